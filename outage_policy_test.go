package evercache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A key that was deleted in the outage, alone or with its prefix, is loaded within the
// class's rate too, by Get and by GetMany.
func TestLoadsOfWhatWasDeletedInAnOutageStayWithinTheRate(t *testing.T) {
	const keys, rate = 200, 5
	for name, remove := range map[string]func(*testing.T, *Cache[string]){
		"Delete": func(t *testing.T, c *Cache[string]) {
			for i := range keys {
				wantWritten(t, Memory)(c.Delete(t.Context(), fmt.Sprint("k", i)))
			}
		},
		"DeletePrefix": func(t *testing.T, c *Cache[string]) {
			_, _, err := c.DeletePrefix(t.Context(), "k")
			wantErr(t, err, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{OutageLoadRate: rate})
				remove(t, c)
				var loads atomic.Int32
				for i := range keys {
					_, err := c.Get(t.Context(), fmt.Sprint("k", i), func(context.Context, string) (string, error) { loads.Add(1); return "v", nil })
					if err != nil && !IsUnavailable(err) {
						t.Fatal(err)
					}
				}
				if n := loads.Load(); n < 1 || n > 2*rate {
					t.Errorf("%d loads at once, want about %d", n, rate)
				}
				_, err := c.Lookup(t.Context(), fmt.Sprint("k", keys-1))
				wantErr(t, err, ErrNotFound)
				calls := 0
				for range 3 * rate {
					_, _ = c.GetMany(t.Context(), []string{"k198", "k199"}, func(context.Context, []string) (map[string]string, error) { calls++; return nil, nil })
				}
				if calls > rate {
					t.Errorf("GetMany loaded %d times", calls)
				}
			})
		})
	}
}

// RefuseReads answers nothing that Redis has not confirmed: neither a write nor a delete
// that this process keeps for it, nor a loader.
func TestRefusedReadsAreRefusedWhateverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{OutageReads: RefuseReads})
		wantWritten(t, Memory)(c.Set(t.Context(), "kept", "v"))
		wantWritten(t, Memory)(c.Delete(t.Context(), "deleted"))
		_, _, err := c.DeletePrefix(t.Context(), "under")
		wantErr(t, err, nil)
		load := func(_ context.Context, key string) (string, error) { t.Errorf("%s is loaded", key); return "", nil }
		many := func(_ context.Context, keys []string) (map[string]string, error) {
			t.Errorf("%v are loaded", keys)
			return nil, nil
		}
		for _, key := range []string{"kept", "deleted", "under", "another"} {
			_, err := c.Get(t.Context(), key, load)
			wantErr(t, err, ErrUnavailable)
			_, err = c.Lookup(t.Context(), key)
			wantErr(t, err, ErrUnavailable)
			got, err := c.GetMany(t.Context(), []string{key}, many)
			if len(got) > 0 || !errors.Is(err, ErrUnavailable) {
				t.Errorf("GetMany of %s: %v, %v", key, got, err)
			}
		}
	})
}
