package findings

import (
	"io"
	"strings"
	"testing"

	"github.com/evercache/evercache/health"
)

// TestWhatWaitsForAMomentIsNoFinding: where a master is there, only what waits for long.
func TestWhatWaitsForAMomentIsNoFinding(t *testing.T) {
	for name, tt := range map[string]struct {
		report    health.Report
		verifying int
		want      bool
	}{
		"in an outage":        {health.Report{State: health.Degraded, OutboxEntries: 1}, 0, true},
		"for a moment":        {health.Report{State: health.Recovering, OutboxEntries: 5, OutboxOldest: pendingFor - 1}, 0, false},
		"for long":            {health.Report{State: health.Recovering, OutboxEntries: 5, OutboxOldest: pendingFor}, 0, true},
		"only to be verified": {health.Report{State: health.Degraded, OutboxEntries: 5, OutboxOldest: pendingFor}, 5, false},
	} {
		if fs := outbox(tt.report, 0, tt.verifying); (len(fs) > 0) != tt.want {
			t.Errorf("%s: %+v", name, fs)
		}
	}
}

// TestARefusedWriteIsToldToBeWhereItIs: in memory, in the journal too, or in
// memory only because the journal cannot be written.
func TestARefusedWriteIsToldToBeWhereItIs(t *testing.T) {
	for _, tt := range []struct {
		journal                health.Journal
		detail, pending, other string
	}{
		{health.Journal{}, "kept in memory until", "in memory only", "journal"},
		{health.Journal{Enabled: true}, "kept in memory and in the journal until", "they are in the journal", "only"},
		{health.Journal{Enabled: true, Err: io.EOF}, "kept in memory only, and answered with an error", "in memory only", "and in the journal"},
	} {
		h := health.Report{OutboxEntries: 1, Journal: tt.journal}
		for reason := range refusals {
			if f := masters(Master{Refused: reason, NeverEvicts: true}, h)[0]; !strings.Contains(f.Detail, tt.detail) || strings.Contains(f.Detail, tt.other) {
				t.Errorf("%s with %+v: %s", f.Code, tt.journal, f.Detail)
			}
		}
		f := outbox(h, 0, 0)[0]
		if !strings.Contains(f.Detail, tt.pending) || strings.Contains(f.Fix, "before this process ends") != (tt.pending == "in memory only") {
			t.Errorf("%s with %+v: %s; %s", f.Code, tt.journal, f.Detail, f.Fix)
		}
	}
}
