package main

import (
	"strings"
	"testing"
)

func TestTheCommandLineListsEveryMistake(t *testing.T) {
	_, err := parse([]string{"-clients", "0,many", "-duration", "1ms", "-modes", "cluster", "-repeat", "0"})
	for _, want := range []string{`"0"`, "many", "-duration", "cluster", "-repeat"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}

func TestARowHasTheMedianAndTheRange(t *testing.T) {
	got := table([]row{{mode: "sentinel", clients: 10, samples: []sample{{heap: 900, cpu: 3}, {heap: 700, cpu: 1}, {heap: 800.4, cpu: 2}}}})
	if !strings.Contains(got, "| sentinel | 10 | 800 (700–900) | 0.0 | 0.0 | 0.0 | 0.0 | 0.0 | 2.0 (1.0–3.0) |") {
		t.Error(got)
	}
}
