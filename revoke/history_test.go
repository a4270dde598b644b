package revoke_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/revoke"
)

// history is what was acknowledged, and what checks said of it.
type history struct {
	mu     sync.Mutex // guards what follows
	ids    []string
	at     []time.Time // of the acknowledgement
	checks int
	wrong  []string
}

func (h *history) acknowledged(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ids, h.at = append(h.ids, id), append(h.at, time.Now())
}

func (h *history) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ids[:len(h.ids):len(h.ids)]
}

func (h *history) last() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.at) == 0 {
		return time.Time{}
	}
	return h.at[len(h.at)-1]
}

// some is an id that was acknowledged, more often a late one.
func (h *history) some() (id string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.ids)
	if n == 0 {
		return "", time.Time{}
	}
	i := rand.N(n)
	if rand.N(2) == 0 {
		i = n - 1 - rand.N(min(n, 20))
	}
	return h.ids[i], h.at[i]
}

// judge is the promise: a token that was revoked with an acknowledgement may only
// be let in by a process that says that its knowledge is older than that, and not
// by more than MaxLag.
func (h *history) judge(who string, v revoke.Verdict, id string, at, began time.Time, maxLag time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks++
	if !v.Allowed() {
		return
	}
	if !v.AsOf.Before(at) || began.Sub(at) > maxLag {
		h.wrong = append(h.wrong, fmt.Sprintf("%s let in %s at %v, %v after its acknowledgement, knowing all as of %v",
			who, id, began.Format("05.000"), began.Sub(at), v.AsOf.Format("05.000")))
	}
}

// revokeUntil revokes one id after the other until ctx ends.
func (h *history) revokeUntil(ctx context.Context, p func() *process, prefix string, pace time.Duration) {
	for i := 0; ctx.Err() == nil; i++ {
		id := fmt.Sprint(prefix, i)
		if _, err := p().Revoke(ctx, id, inAnHour()); err == nil {
			h.acknowledged(id)
		}
		time.Sleep(pace)
	}
}

// checkUntil checks ids that were acknowledged until ctx ends.
func (h *history) checkUntil(ctx context.Context, p func() *process, who string, maxLag time.Duration) {
	for ctx.Err() == nil {
		id, at := h.some()
		if id == "" {
			time.Sleep(time.Millisecond)
			continue
		}
		began := time.Now()
		h.judge(who, p().Check(revoke.Token{ID: id}), id, at, began, maxLag)
		time.Sleep(pace(100 * time.Microsecond))
	}
}

// pace is how long a caller waits between two calls. Beside all other tests that is eight
// times as long as where the scenes run by themselves.
func pace(alone time.Duration) time.Duration {
	if os.Getenv("EVERCACHE_CHAOS_RUNS") == "" {
		return 8 * alone
	}
	return alone
}

func (h *history) report(tb testing.TB) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.wrong[:min(len(h.wrong), 10)] {
		tb.Error(w)
	}
	tb.Logf("%d revocations acknowledged, %d checks of them, %d let in that must not be", len(h.ids), h.checks, len(h.wrong))
}
