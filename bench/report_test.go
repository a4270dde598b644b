package main

import (
	"strings"
	"testing"
	"time"
)

func TestTablePairsRatiosWithinALevel(t *testing.T) {
	rates := func(level int, name string, opsPerSec ...float64) cell {
		c := cell{Table: "read", Level: level, Subject: name}
		for _, r := range opsPerSec {
			c.Samples = append(c.Samples, sample{OpsPerSec: r})
		}
		return c
	}
	s := suite{name: "read", title: "Reads", unit: "goroutines", columns: []column{opsPerSec, speedOf}}
	var b strings.Builder
	s.table(&b, []cell{
		rates(1, "ours", 90, 45), rates(1, "theirs", 100, 50),
		rates(16, "ours", 500), rates(16, "theirs", 250),
		{Table: "write", Level: 1, Subject: "of another table", Samples: []sample{{}}},
	})
	got := b.String()
	for _, line := range []string{
		"| goroutines | subject | ops/s | ratio |",
		"| 1 | ours | 68 (45–90) | 1 |",
		"| 1 | theirs | 75 (50–100) | 0.90 |",
		"| 16 | ours | 500 | 1 |",
		"| 16 | theirs | 250 | 2.00 |",
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %q in\n%s", line, got)
		}
	}
	if strings.Contains(got, "another table") || strings.Contains(got, "failed") {
		t.Errorf("what does not belong there is in\n%s", got)
	}
}

func TestRatioOfProcessorTime(t *testing.T) {
	spent := func(name string, client, server time.Duration) cell {
		return cell{Table: "read", Level: 1, Subject: name, Samples: []sample{{OpsPerSec: 100, CPUPerOp: client * time.Microsecond, Server: server * time.Microsecond}}}
	}
	var b strings.Builder
	suite{name: "read", columns: []column{speedOf, costOf}}.table(&b, []cell{spent("ours", 7, 3), spent("theirs", 36, 4)})
	for _, line := range []string{"| 1 | ours | 1 | 1 |", "| 1 | theirs | 1.00 | 4.00 |"} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("no line %q in\n%s", line, b.String())
		}
	}
}

func TestFailuresShowInAColumnOfTheirOwn(t *testing.T) {
	var b strings.Builder
	s := suite{name: "read", columns: []column{opsPerSec}}
	s.table(&b, []cell{{Table: "read", Level: 1, Subject: "x", Samples: []sample{{Failed: 3}}}})
	if got := b.String(); !strings.Contains(got, "| failed |") || !strings.Contains(got, "| 3 |") {
		t.Errorf("failures are hidden in\n%s", got)
	}
}
