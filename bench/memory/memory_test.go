package main

import (
	"strings"
	"testing"
)

func TestWrongFlagsAreRefused(t *testing.T) {
	_, err := parse([]string{"-duration", "1ms", "-callers", "0", "-value", "0", "-limit", "-1", "more"})
	for _, want := range []string{"-duration 1ms", "-callers 0", "-value 0", "-limit -1", `"more"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s in it", err, want)
		}
	}
}

func TestTheTableHasARowForEachPhase(t *testing.T) {
	text := table([]row{{phase: "idle", now: 18 << 20, peak: 19 << 20}, {phase: "writes", writes: 7}})
	if strings.Count(text, "\n") != 4 || !strings.Contains(text, "| idle | 0 | 0 | 0 | 18 | 19 | 0 |") {
		t.Error(text)
	}
}
