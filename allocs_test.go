package evercache

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// The seam to the shard lets a write stay on its caller's stack, and a hit allocates
// nothing. What the race detector takes out of pools is in the bounds.
func TestWhatACallAllocates(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	_, err := c.Set(t.Context(), "hit", "v")
	wantErr(t, err, nil)
	waitCovers(t, c, "hit", "v")
	n := 0
	for _, call := range []struct {
		name string
		most float64
		do   func()
	}{
		{"hit", 0, func() { _, _ = c.Get(t.Context(), "hit", nil) }},
		{"Set", 15, func() { _, _ = c.Set(t.Context(), "set", "v") }},
		{"load", 75, func() {
			n++
			_, _ = c.Get(t.Context(), fmt.Sprint("load", n), constant("v"))
		}},
	} {
		least := math.Inf(1)
		for range 50 { // other goroutines allocate too, and the race detector empties pools
			if least = min(least, testing.AllocsPerRun(50, call.do)); least <= call.most {
				break
			}
		}
		t.Logf("%s: %v", call.name, least)
		if least > call.most {
			t.Errorf("%s allocates %v times, at most %v were wanted", call.name, least, call.most)
		}
	}
}
