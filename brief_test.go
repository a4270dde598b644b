package evercache

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// briefly is how long a brief value lives in these tests.
const briefly = 300 * time.Millisecond

// gone waits until a key has ended in Redis.
func gone(t *testing.T, p *redisproc.Process, key string) {
	t.Helper()
	waitUntil(t, 20*time.Second, func() bool { return redisDo(t, p, "GET", key) == nil }, func() string { return key + " does not end" })
}

// A value that another process has overwritten does not come back because what it
// was overwritten with has ended meanwhile.
func TestAnOlderValueDoesNotComeBackWhenTheNewerOneHasEnded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		pb    Policy
		write func(c *Cache[string], key string) (Receipt, error)
	}{
		{"Set", Policy{TTL: time.Hour}, func(c *Cache[string], key string) (Receipt, error) {
			return c.Set(t.Context(), key, "on", TTL(briefly))
		}},
		{"SetMany", Policy{TTL: time.Hour}, func(c *Cache[string], key string) (Receipt, error) {
			return c.SetMany(t.Context(), map[string]string{key: "on"}, TTL(briefly))
		}},
		{"Add", Policy{TTL: time.Hour}, func(c *Cache[string], key string) (Receipt, error) {
			_, r, err := c.Add(t.Context(), key, "on", TTL(briefly))
			return r, err
		}},
		{"a class that lives so long there", Policy{TTL: briefly}, func(c *Cache[string], key string) (Receipt, error) {
			return c.Set(t.Context(), key, "on")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, Policy{TTL: time.Hour}, tt.pb)
			_, err := p.a.Set(t.Context(), "first", "v")
			wantErr(t, err, nil)
			p.cut(t)
			for i := range 10 {
				wantWritten(t, Memory)(p.a.Set(t.Context(), fmt.Sprint(i), "off"))
			}
			time.Sleep(20 * time.Millisecond) // more than the order needs
			for i := range 20 {
				if !wantMaster(t, func() (Receipt, error) { return tt.write(p.b, fmt.Sprint(i)) }) {
					return
				}
			}
			time.Sleep(20 * time.Millisecond)
			for i := 10; i < 20; i++ {
				wantWritten(t, Memory)(p.a.Set(t.Context(), fmt.Sprint(i), "off"))
			}
			for i := range 20 {
				gone(t, p.server, fmt.Sprint("c:", i))
			}
			p.heal(t)
			for i := range 10 {
				wantStored(t, p.server, fmt.Sprint("c:", i), "")
				wantStored(t, p.server, fmt.Sprint("c:", i+10), "off")
			}
		})
	}
}

// The newer one may have been put back before it ended.
func TestAnOlderValueDoesNotComeBackWhenTheNewerOneWasPutBackAndHasEnded(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{TTL: time.Hour}, Policy{TTL: time.Hour})
	_, err := p.a.Set(t.Context(), "first", "v")
	wantErr(t, err, nil)
	n := times(p.b.client)
	kill(t, p.server)
	p.cut(t)
	degraded(t, p.b.client)
	wantWritten(t, Memory)(p.a.Set(t.Context(), "k", "off"))
	time.Sleep(20 * time.Millisecond)
	wantWritten(t, Memory)(p.b.Set(t.Context(), "k", "on", TTL(5*time.Second)))
	restart(t, p.server, redisproc.Empty)
	returned(t, p.b.client, n)
	gone(t, p.server, "c:k")
	p.heal(t)
	wantStored(t, p.server, "c:k", "")
}

// Nor does a value that was loaded before.
func TestALoadThatIsOlderThanABriefValueIsNotStored(t *testing.T) {
	t.Parallel()
	p := startPair(t, Policy{TTL: time.Hour, LoadTimeout: 20 * time.Second}, Policy{TTL: time.Hour})
	v, err := p.a.Get(t.Context(), "k", func(ctx context.Context, key string) (string, error) {
		if !wantMaster(t, func() (Receipt, error) { return p.b.Set(ctx, key, "on", TTL(briefly)) }) {
			return "", ErrNotFound
		}
		gone(t, p.server, "c:k")
		return "older", nil
	})
	wantValue(t, v, err, "older")
	time.Sleep(50 * time.Millisecond)
	wantStored(t, p.server, "c:k", "")
}
