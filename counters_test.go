package evercache

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
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
	for _, op := range []Op{OpGet, OpLookup} {
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
			for _, op := range []Op{OpSet, OpDelete, OpDeletePrefix, OpTouch} {
				if err != nil && op != OpTouch && (err == errs[1] || err == errs[2]) {
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
		shown(fmt.Sprint(op, " rejected"), func() { client.requests.add(op, TierNone, ResultRejected) })
	}
}

func TestARequestIsCountedByWhoAnswered(t *testing.T) {
	tests := []struct {
		name  string
		count func(*Client)
		want  RequestCount
	}{
		{"from memory", func(c *Client) { c.countRead(OpGet, SourceMemory, true, nil) }, RequestCount{OpGet, TierL1, ResultHit, 1}},
		{"stale from memory", func(c *Client) { c.countRead(OpGet, SourceMemory, false, nil) }, RequestCount{OpGet, TierL1, ResultStale, 1}},
		{"from Redis", func(c *Client) { c.countRead(OpLookup, SourceRedis, true, nil) }, RequestCount{OpLookup, TierL2, ResultHit, 1}},
		{"loaded", func(c *Client) { c.countRead(OpGet, SourceLoader, true, nil) }, RequestCount{OpGet, TierNone, ResultMiss, 1}},
		{"not found", func(c *Client) { c.countRead(OpGet, SourceNone, false, ErrNotFound) }, RequestCount{OpGet, TierNone, ResultMiss, 1}},
		{"unavailable", func(c *Client) { c.countRead(OpGet, SourceNone, false, ErrUnavailable) }, RequestCount{OpGet, TierNone, ResultError, 1}},
		{"a bad key", func(c *Client) { c.countRead(OpGet, SourceNone, false, ErrKey) }, RequestCount{OpGet, TierNone, ResultRejected, 1}},
		{"kept", func(c *Client) { c.countWrite(OpSet, Receipt{Durability: Memory}, nil) }, RequestCount{OpSet, TierL1, ResultOK, 1}},
		{"written", func(c *Client) { c.countWrite(OpSet, Receipt{Durability: Master}, nil) }, RequestCount{OpSet, TierL2, ResultOK, 1}},
		{"not written", func(c *Client) { c.countWrite(OpSet, Receipt{}, ErrUnavailable) }, RequestCount{OpSet, TierNone, ResultError, 1}},
		{"not as safe as asked", func(c *Client) { c.countWrite(OpSet, Receipt{Durability: Master}, &DurabilityError{}) }, RequestCount{OpSet, TierNone, ResultError, 1}},
		{"nothing to touch", func(c *Client) { c.countWrite(OpTouch, Receipt{}, ErrNotFound) }, RequestCount{OpTouch, TierL2, ResultMiss, 1}},
		{"it was there", func(c *Client) { c.countAdd(false, Receipt{}, nil) }, RequestCount{OpAdd, TierL2, ResultMiss, 1}},
		{"added", func(c *Client) { c.countAdd(true, Receipt{Durability: Master}, nil) }, RequestCount{OpAdd, TierL2, ResultOK, 1}},
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
	row := func(op Op, t Tier, r Result) RequestCount { return RequestCount{op, t, r, 1} }
	s := Stats{Requests: []RequestCount{
		row(OpGet, TierL1, ResultHit), row(OpGet, TierL2, ResultHit), row(OpLookup, TierL1, ResultStale), // 3 hits
		row(OpGet, TierNone, ResultMiss), row(OpLookup, TierL2, ResultMiss), // 2 misses
		row(OpSet, TierL1, ResultOK), row(OpSet, TierL2, ResultOK), row(OpAdd, TierL2, ResultOK), // 3 sets
		row(OpDelete, TierL1, ResultOK), row(OpDeletePrefix, TierL2, ResultOK), // 2 deletes
		row(OpGet, TierNone, ResultError), row(OpSet, TierNone, ResultError), // 2 errors
		row(OpAdd, TierL2, ResultMiss), row(OpTouch, TierL2, ResultMiss), row(OpTouch, TierL2, ResultOK), row(OpSet, TierNone, ResultRejected), // none of these
	}}
	s.sum()
	if s.Hits != 3 || s.Misses != 2 || s.Sets != 3 || s.Deletes != 2 || s.Errors != 2 {
		t.Errorf("hits %d, misses %d, sets %d, deletes %d, errors %d", s.Hits, s.Misses, s.Sets, s.Deletes, s.Errors)
	}
}

func TestNoCountIsLost(t *testing.T) {
	var (
		r  requests
		h  histogram
		l  = newLabelled("a")
		wg sync.WaitGroup
	)
	const callers, each = 16, 1000
	for range callers {
		wg.Go(func() {
			for range each {
				r.add(OpGet, TierL1, ResultHit)
				h.observe(time.Millisecond)
				l.add("a")
				if i := stripeOfCaller(); i >= stripes {
					t.Errorf("stripe %d", i)
				}
			}
		})
	}
	wg.Wait()
	if got := r.sum(OpGet, TierL1, ResultHit); got != callers*each {
		t.Errorf("%d requests are counted", got)
	}
	if got := l.snapshot()["a"]; got != callers*each {
		t.Errorf("%d labels are counted", got)
	}
	if s := h.snapshot(); sumOf(s.Counts) != callers*each || s.Sum < 15.9 || s.Sum > 16.1 {
		t.Errorf("%d durations of %v s are counted", sumOf(s.Counts), s.Sum)
	}
}

func sumOf(ns []uint64) (sum uint64) {
	for _, n := range ns {
		sum += n
	}
	return sum
}

func TestADurationIsCountedUpToItsBound(t *testing.T) {
	var bounds histogram
	if len(bounds.counts) != len(durationBounds)+1 || !slices.IsSorted(durationBounds) {
		t.Fatalf("%d counts for %d bounds", len(bounds.counts), len(durationBounds))
	}
	tests := []struct {
		d    time.Duration
		want int // the index of its count
	}{
		{0, 0},
		{5 * time.Microsecond, 0},
		{5*time.Microsecond + 1, 1},
		{time.Millisecond, 6},
		{time.Second, len(durationBounds) - 1},
		{time.Second + 1, len(durationBounds)},
		{time.Hour, len(durationBounds)},
	}
	for _, tt := range tests {
		var h histogram
		h.observe(tt.d)
		s := h.snapshot()
		if s.Counts[tt.want] != 1 || sumOf(s.Counts) != 1 || s.Sum != tt.d.Seconds() {
			t.Errorf("%v: %v, sum %v, want it at %d", tt.d, s.Counts, s.Sum, tt.want)
		}
	}
}

func TestAnUnknownLabelIsCountedAsOther(t *testing.T) {
	l := newLabelled("a", "b")
	l.add("a")
	l.add("never heard of")
	if got := fmt.Sprint(l.snapshot()); got != "map[a:1 b:0 other:1]" {
		t.Errorf("snapshot %s", got)
	}
}

func TestEveryRowIsShownFromTheStartWithZero(t *testing.T) {
	rows := new(requests).snapshot()
	seen := map[RequestCount]bool{}
	for _, row := range rows {
		if row.Count != 0 || seen[row] {
			t.Errorf("%+v", row)
		}
		seen[row] = true
	}
	for op := range opCount {
		if !seen[RequestCount{op, TierNone, ResultError, 0}] {
			t.Errorf("errors of %v are not shown", op)
		}
	}
}
