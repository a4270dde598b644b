package evercache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
)

// TestTheRingIsAsLargeAsItsOptionsSay: what it holds is put back when Redis returns
// without its data, and nothing else.
func TestTheRingIsAsLargeAsItsOptionsSay(t *testing.T) {
	t.Parallel()
	const writes = 40
	for _, tt := range []struct {
		name        string
		o           Options
		least, most int
	}{
		{"default", Options{}, writes, writes},
		{"bytes", Options{RingBytes: 15_000}, 5, 14},
		{"none", Options{RingAge: Never}, 0, 0},
		{"its age is over", Options{RingAge: time.Millisecond}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := redistest.Start(t)
			tt.o.Addr = r.Addr()
			client := open(t, tt.o)
			connect(t, client, 30*time.Second)
			c := cacheOf[string](t, client, "c", Policy{WriteTimeout: 5 * time.Second})
			for i := range writes {
				if got, err := c.Set(t.Context(), fmt.Sprint(i), strings.Repeat("v", 1000)); err != nil || got.Durability != Master {
					t.Fatal(got, err)
				}
			}
			eventually(t, func() bool {
				h := client.Health().Recovery
				return h.Unconfirmed == 0 && h.Ring >= tt.least && h.Ring <= tt.most
			})
			r.Restart(redistest.Empty)
			eventually(t, func() bool { return client.State() == health.Connected && client.Health().Recovery.DatasetResets > 0 })
			n := 0
			for i := range writes {
				if r.Do("EXISTS", fmt.Sprint("c:", i)) == int64(1) {
					n++
				}
			}
			if n < tt.least || n > tt.most {
				t.Errorf("%d of %d are in Redis, want %d to %d", n, writes, tt.least, tt.most)
			}
		})
	}
}

func TestWrongRingOptionsAreRefused(t *testing.T) {
	_, err := Open(t.Context(), Options{RingBytes: -1, RingAge: MaxRingAge + 1})
	for _, want := range []string{"RingBytes -1", "RingAge 5m0.000000001s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s in it", err, want)
		}
	}
}
