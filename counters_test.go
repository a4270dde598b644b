package evercache

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/counter"
	"github.com/evercache/evercache/stats"
)

func requestSum(s *requests) (n uint64) {
	for _, row := range s.snapshot() {
		n += row.Count
	}
	return n
}

// Every way in which a call can end shows in the snapshot, once.
func TestEveryRequestIsShownOnce(t *testing.T) {
	client := &Client{requests: new(requests)}
	shown := func(what string, count func()) {
		t.Helper()
		before := requestSum(client.requests)
		count()
		if after := requestSum(client.requests); after != before+1 {
			t.Errorf("%s: %d rows show it", what, after-before)
		}
	}
	errs := []error{nil, ErrNotFound, fmt.Errorf("wrapped: %w", ErrNotFound), ErrUnavailable, ErrKey, ErrClosed, &DurabilityError{}}
	for _, op := range []stats.Op{stats.OpGet, stats.OpLookup} {
		for src := SourceNone; src <= SourceLoader; src++ {
			for _, fresh := range []bool{true, false} {
				for _, err := range errs {
					shown(fmt.Sprintf("%v from %v, fresh %v, %v", op, src, fresh, err), func() { client.countRead(op, src, fresh, err) })
				}
			}
		}
	}
	for d := Memory; d <= Replicated; d++ {
		for _, err := range errs {
			for _, op := range []stats.Op{stats.OpSet, stats.OpDelete, stats.OpDeletePrefix, stats.OpTouch} {
				if err != nil && op != stats.OpTouch && (err == errs[1] || err == errs[2]) {
					continue // only a Touch finds nothing
				}
				shown(fmt.Sprintf("%v as %v, %v", op, d, err), func() { client.countWrite(op, Receipt{Durability: d}, err) })
			}
			for _, added := range []bool{true, false} {
				shown(fmt.Sprintf("add %v as %v, %v", added, d, err), func() { client.countAdd(added, Receipt{Durability: d}, err) })
			}
		}
	}
	for op := range opCount {
		shown(fmt.Sprint(op, " rejected"), func() { client.requests.add(op, stats.TierNone, stats.ResultRejected) })
	}
}

func TestARequestIsCountedByWhoAnswered(t *testing.T) {
	tests := []struct {
		name  string
		count func(*Client)
		want  stats.RequestCount
	}{
		{"from memory", func(c *Client) { c.countRead(stats.OpGet, SourceMemory, true, nil) }, stats.RequestCount{Op: stats.OpGet, Tier: stats.TierL1, Result: stats.ResultHit, Count: 1}},
		{"stale from memory", func(c *Client) { c.countRead(stats.OpGet, SourceMemory, false, nil) }, stats.RequestCount{Op: stats.OpGet, Tier: stats.TierL1, Result: stats.ResultStale, Count: 1}},
		{"from Redis", func(c *Client) { c.countRead(stats.OpLookup, SourceRedis, true, nil) }, stats.RequestCount{Op: stats.OpLookup, Tier: stats.TierL2, Result: stats.ResultHit, Count: 1}},
		{"loaded", func(c *Client) { c.countRead(stats.OpGet, SourceLoader, true, nil) }, stats.RequestCount{Op: stats.OpGet, Tier: stats.TierNone, Result: stats.ResultMiss, Count: 1}},
		{"not found", func(c *Client) { c.countRead(stats.OpGet, SourceNone, false, ErrNotFound) }, stats.RequestCount{Op: stats.OpGet, Tier: stats.TierNone, Result: stats.ResultMiss, Count: 1}},
		{"unavailable", func(c *Client) { c.countRead(stats.OpGet, SourceNone, false, ErrUnavailable) }, stats.RequestCount{Op: stats.OpGet, Tier: stats.TierNone, Result: stats.ResultError, Count: 1}},
		{"a bad key", func(c *Client) { c.countRead(stats.OpGet, SourceNone, false, ErrKey) }, stats.RequestCount{Op: stats.OpGet, Tier: stats.TierNone, Result: stats.ResultRejected, Count: 1}},
		{"kept", func(c *Client) { c.countWrite(stats.OpSet, Receipt{Durability: Memory}, nil) }, stats.RequestCount{Op: stats.OpSet, Tier: stats.TierL1, Result: stats.ResultOK, Count: 1}},
		{"written", func(c *Client) { c.countWrite(stats.OpSet, Receipt{Durability: Master}, nil) }, stats.RequestCount{Op: stats.OpSet, Tier: stats.TierL2, Result: stats.ResultOK, Count: 1}},
		{"not written", func(c *Client) { c.countWrite(stats.OpSet, Receipt{}, ErrUnavailable) }, stats.RequestCount{Op: stats.OpSet, Tier: stats.TierNone, Result: stats.ResultError, Count: 1}},
		{"not as safe as asked", func(c *Client) { c.countWrite(stats.OpSet, Receipt{Durability: Master}, &DurabilityError{}) }, stats.RequestCount{Op: stats.OpSet, Tier: stats.TierNone, Result: stats.ResultError, Count: 1}},
		{"nothing to touch", func(c *Client) { c.countWrite(stats.OpTouch, Receipt{}, ErrNotFound) }, stats.RequestCount{Op: stats.OpTouch, Tier: stats.TierL2, Result: stats.ResultMiss, Count: 1}},
		{"it was there", func(c *Client) { c.countAdd(false, Receipt{}, nil) }, stats.RequestCount{Op: stats.OpAdd, Tier: stats.TierL2, Result: stats.ResultMiss, Count: 1}},
		{"added", func(c *Client) { c.countAdd(true, Receipt{Durability: Master}, nil) }, stats.RequestCount{Op: stats.OpAdd, Tier: stats.TierL2, Result: stats.ResultOK, Count: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &Client{requests: new(requests)}
			tt.count(c)
			if rows := c.requests.snapshot(); !slices.Contains(rows, tt.want) {
				t.Errorf("%+v is not among %+v", tt.want, rows)
			}
		})
	}
}

func TestTotalsAreTheSumsOfTheirRequests(t *testing.T) {
	row := func(op stats.Op, t stats.Tier, r stats.Result) stats.RequestCount {
		return stats.RequestCount{Op: op, Tier: t, Result: r, Count: 1}
	}
	s := stats.Snapshot{Requests: []stats.RequestCount{
		row(stats.OpGet, stats.TierL1, stats.ResultHit), row(stats.OpGet, stats.TierL2, stats.ResultHit), row(stats.OpLookup, stats.TierL1, stats.ResultStale), // 3 hits
		row(stats.OpGet, stats.TierNone, stats.ResultMiss), row(stats.OpLookup, stats.TierL2, stats.ResultMiss), // 2 misses
		row(stats.OpSet, stats.TierL1, stats.ResultOK), row(stats.OpSet, stats.TierL2, stats.ResultOK), row(stats.OpAdd, stats.TierL2, stats.ResultOK), // 3 sets
		row(stats.OpDelete, stats.TierL1, stats.ResultOK), row(stats.OpDeletePrefix, stats.TierL2, stats.ResultOK), // 2 deletes
		row(stats.OpGet, stats.TierNone, stats.ResultError), row(stats.OpSet, stats.TierNone, stats.ResultError), // 2 errors
		row(stats.OpAdd, stats.TierL2, stats.ResultMiss), row(stats.OpTouch, stats.TierL2, stats.ResultMiss), row(stats.OpTouch, stats.TierL2, stats.ResultOK), row(stats.OpSet, stats.TierNone, stats.ResultRejected), // none of these
	}}
	sum(&s)
	if s.Hits != 3 || s.Misses != 2 || s.Sets != 3 || s.Deletes != 2 || s.Errors != 2 {
		t.Errorf("hits %d, misses %d, sets %d, deletes %d, errors %d", s.Hits, s.Misses, s.Sets, s.Deletes, s.Errors)
	}
}

func TestNoCountIsLost(t *testing.T) {
	var (
		r  requests
		h  counter.Histogram
		l  = counter.NewLabelled("a")
		wg sync.WaitGroup
	)
	const callers, each = 16, 1000
	for range callers {
		wg.Go(func() {
			for range each {
				r.add(stats.OpGet, stats.TierL1, stats.ResultHit)
				h.Observe(time.Millisecond)
				l.Add("a")
				if i := stripeOfCaller(); i >= stripes {
					t.Errorf("stripe %d", i)
				}
			}
		})
	}
	wg.Wait()
	if got := r.sum(stats.OpGet, stats.TierL1, stats.ResultHit); got != callers*each {
		t.Errorf("%d requests are counted", got)
	}
	if got := l.Snapshot()["a"]; got != callers*each {
		t.Errorf("%d labels are counted", got)
	}
	if s := h.Snapshot(); sumOf(s.Counts) != callers*each || s.Sum < 15.9 || s.Sum > 16.1 {
		t.Errorf("%d durations of %v s are counted", sumOf(s.Counts), s.Sum)
	}
}

func sumOf(ns []uint64) (sum uint64) {
	for _, n := range ns {
		sum += n
	}
	return sum
}

func TestEveryRowIsShownFromTheStartWithZero(t *testing.T) {
	rows := new(requests).snapshot()
	seen := map[stats.RequestCount]bool{}
	for _, row := range rows {
		if row.Count != 0 || seen[row] {
			t.Errorf("%+v", row)
		}
		seen[row] = true
	}
	for op := range opCount {
		if !seen[stats.RequestCount{Op: op, Tier: stats.TierNone, Result: stats.ResultError, Count: 0}] {
			t.Errorf("errors of %v are not shown", op)
		}
	}
}
