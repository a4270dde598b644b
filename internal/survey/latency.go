package survey

import (
	"context"
	"slices"
	"time"
)

// Pings is how long a server takes to answer the same small question again and again, from here.
type Pings struct {
	Count    int // how many were asked; 0: none
	P50, P99 time.Duration
}

const (
	// mostPings is how many questions are asked one after another, for pingFor at most.
	mostPings = 100
	pingFor   = 250 * time.Millisecond
)

// ping measures the latency of a server. One that answers slowly is asked fewer times.
func (i *interview) ping(ctx context.Context) error {
	var took []time.Duration
	for end := time.Now().Add(pingFor); len(took) < mostPings && time.Now().Before(end); {
		before := time.Now()
		if _, err := i.Ask(ctx, i.limit, []string{"PING"}); err != nil {
			return err
		}
		took = append(took, time.Since(before))
	}
	i.s.Pings = pingsOf(took)
	return nil
}

// pingsOf sorts out how long the answers took.
func pingsOf(took []time.Duration) Pings {
	n := len(took)
	if n == 0 {
		return Pings{}
	}
	sorted := slices.Sorted(slices.Values(took))
	at := func(percent int) time.Duration { return sorted[(n*percent+99)/100-1] }
	return Pings{Count: n, P50: at(50), P99: at(99)}
}
