package remote

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/breaker"
	"github.com/evercache/evercache/internal/redisproc"
)

func TestWhatACallIsJudgedBy(t *testing.T) {
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		limit, whole, took time.Duration
		kind               Kind
		want               time.Duration
		no                 bool // it says nothing
	}{
		"a timeout":                             {limit: 100 * ms, took: 101 * ms, kind: Timeout, want: 100 * ms},
		"a timeout of a small remainder":        {limit: 10 * ms, whole: 100 * ms, took: 11 * ms, kind: Timeout, no: true},
		"a timeout of a large remainder":        {limit: 60 * ms, whole: 100 * ms, took: 61 * ms, kind: Timeout, want: 100 * ms},
		"a remainder whose timer was late":      {limit: 10 * ms, whole: 100 * ms, took: 80 * ms, kind: Timeout, want: 100 * ms},
		"slow":                                  {limit: 100 * ms, took: 60 * ms, kind: OK, want: 100 * ms},
		"slow for a remainder only":             {limit: 10 * ms, whole: 100 * ms, took: 8 * ms, kind: OK, want: 100 * ms},
		"quick":                                 {limit: 100 * ms, took: ms, kind: OK, want: 100 * ms},
		"a whole that is less than what it has": {limit: 100 * ms, whole: 10 * ms, took: 101 * ms, kind: Timeout, want: 100 * ms},
	} {
		ctx := t.Context()
		if tt.whole != 0 {
			ctx = WithWhole(WithWhole(ctx, tt.whole), tt.whole/2)
		}
		c := call{limit: tt.limit, took: tt.took}
		if got, ok := c.judgedBy(ctx, tt.kind); ok == tt.no || ok && got != tt.want {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}

// A node is new, so that one call without an answer opens its breaker; but not one
// that had hardly any time.
func TestANodeIsNotGivenUpForACallThatHadHardlyAnyTime(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Resume() }()
	pair := Pair{Key: "k", Data: []byte("v"), TTL: time.Minute}
	for range 5 {
		if _, err := n.Set(WithWhole(t.Context(), 20*time.Second), pair, 5*time.Millisecond); KindOf(err) != Timeout {
			t.Fatalf("%v, want a timeout", err)
		}
		if cause := n.breaker.Cause(); cause != breaker.None {
			t.Fatalf("given up: %s", cause)
		}
	}
	if _, err := n.Set(t.Context(), pair, 5*time.Millisecond); KindOf(err) != Timeout {
		t.Fatalf("%v, want a timeout", err)
	}
	if n.breaker.Cause() != breaker.Errors {
		t.Error("not given up for one that had all of its time")
	}
}
