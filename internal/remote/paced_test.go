package remote

import (
	"testing"
	"time"
)

func TestWhoWaitsForOtherCallsOnlyFindsNoServerSlow(t *testing.T) {
	const ms = time.Millisecond
	now := time.Now()
	quick := &beaten{at: now.Add(-time.Second), took: 5 * ms}
	for name, tt := range map[string]struct {
		took    time.Duration
		answers uint64
		beat    *beaten
		want    bool
	}{
		"a thousand callers":                     {80 * ms, 900, quick, true},
		"just fast enough":                       {80 * ms, 160, quick, true},
		"a server that takes long for each":      {80 * ms, 159, quick, false},
		"a caller alone":                         {80 * ms, 1, quick, false},
		"a network that takes long for each":     {80 * ms, 900, &beaten{at: now, took: 70 * ms}, false},
		"the heartbeat takes half of it":         {80 * ms, 900, &beaten{at: now, took: 40 * ms}, true},
		"the last heartbeat was long ago":        {80 * ms, 900, &beaten{at: now.Add(-3 * time.Second), took: ms}, false},
		"no heartbeat has been answered by then": {80 * ms, 900, nil, false},
	} {
		if got := paced(tt.took, tt.answers, tt.beat, now); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
