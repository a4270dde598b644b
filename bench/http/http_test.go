package main

import (
	"strings"
	"testing"
	"time"
)

func TestTheCommandLineListsEveryMistake(t *testing.T) {
	_, err := parse([]string{"-callers", "0,many", "-repeat", "0", "-slice", "1ms", "-value", "0"})
	for _, want := range []string{`"0"`, "many", "-repeat", "-slice", "-value"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}

func TestTheRatioIsThatOfPairs(t *testing.T) {
	pair := func(ours, bare time.Duration) [2]sample {
		return [2]sample{{cpu: ours, requests: 2}, {cpu: bare, requests: 3}}
	}
	got := table([]row{{callers: 8, pairs: [][2]sample{
		pair(10*time.Microsecond, 9*time.Microsecond), pair(20*time.Microsecond, 16*time.Microsecond), pair(10*time.Microsecond, 7*time.Microsecond),
	}}})
	if !strings.Contains(got, "| 8 | 10.0 (10.0–20.0) | 9.0 (7.0–16.0) | 0.80 (0.70–0.90) | 2 (2–2) | 3 (3–3) |") {
		t.Error(got)
	}
}
