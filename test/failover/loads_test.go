package failover_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// origin is what two processes load from. Whoever changes a row tells the cache afterwards.
type origin struct {
	mu      sync.Mutex
	version map[string]int
	told    map[string]int       // acknowledged to the process that writes the key
	master  map[string][]landing // what a master has acknowledged
}

type landing struct {
	version int
	at      time.Time
}

var errBusy = errors.New("the origin is busy")

// load is slow at times, fails at times, and gives some rows a life of their own.
func (o *origin) load(ctx context.Context, key string) (int, error) {
	o.mu.Lock()
	v := o.version[key]
	o.mu.Unlock()
	time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	switch rand.IntN(10) {
	case 0:
		return 0, errBusy
	case 1, 2, 3:
		evercache.LoadOf[int](ctx).SetTTL(key, time.Duration(1+rand.IntN(5))*time.Second)
	}
	return v, nil
}

// write changes a row and tells the cache: the new value, or that the old one is over.
func (o *origin) write(ctx context.Context, c *evercache.Cache[int], key string) {
	o.mu.Lock()
	o.version[key]++
	v := o.version[key]
	o.mu.Unlock()
	var r evercache.Receipt
	var err error
	if rand.IntN(3) == 0 {
		r, err = c.Delete(ctx, key)
	} else {
		r, err = c.Set(ctx, key, v)
	}
	if err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told[key] = v
	if r.Durability >= evercache.Master {
		o.master[key] = append(o.master[key], landing{v, time.Now()})
	}
}

// least is the oldest version that a read may answer from now on: for the process that writes the key,
// and for one whose answer is coherent.
func (o *origin) least(key string) (own, coherent int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.master[key] {
		if time.Since(l.at) > 1200*time.Millisecond {
			coherent = max(coherent, l.version)
		}
	}
	return o.told[key], coherent
}

func openRows(t *testing.T, set *redistest.Sentinel) (*evercache.Client, *evercache.Cache[int]) {
	t.Helper()
	client, err := evercache.Open(t.Context(), evercache.Options{
		Sentinels: set.Addrs(), MasterName: set.MasterName(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	rows, err := evercache.NewCache[int](client, "row", evercache.Policy{
		TTL: 3 * time.Second, Stale: time.Minute, RefreshAhead: 0.5, OutageLoadRate: evercache.UnlimitedLoads,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, rows
}

// TestSentinelLoadsAndRefreshesUndoNoWrite: two processes load, refresh and write the same keys,
// with lives that the loader gives, while masters die and hang.
func TestSentinelLoadsAndRefreshesUndoNoWrite(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithFastSentinel())
	const keys, processes = 60, 2
	o := &origin{version: map[string]int{}, told: map[string]int{}, master: map[string][]landing{}}
	var clients [processes]*evercache.Client
	var caches [processes]*evercache.Cache[int]
	for i := range clients {
		clients[i], caches[i] = openRows(t, set)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 * processes {
		mine := i % processes
		wg.Go(func() { // a key has one writer, so the order of its versions is known
			for ctx.Err() == nil {
				key := rand.IntN(keys/8)*8 + i
				o.write(t.Context(), caches[mine], fmt.Sprint(key))
				time.Sleep(time.Duration(10+rand.IntN(40)) * time.Millisecond)
			}
		})
		wg.Go(func() {
			for ctx.Err() == nil {
				n := rand.IntN(keys)
				key := fmt.Sprint(n)
				own, coherent := o.least(key)
				e, err := caches[mine].GetEntry(t.Context(), key, o.load)
				switch {
				case err != nil && !errors.Is(err, errBusy) && !errors.Is(err, evercache.ErrUnavailable) && !errors.Is(err, evercache.ErrOriginPaused):
					t.Errorf("%s: %v", key, err)
				case err != nil:
				case n%8%processes == mine && e.Value < own:
					t.Errorf("%s: version %d was answered after %d was written here (%+v)", key, e.Value, own, e)
				case e.Coherent && e.Value < coherent:
					t.Errorf("%s: version %d is called coherent, and a master had %d a second ago (%+v)", key, e.Value, coherent, e)
				}
				time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
			}
		})
	}
	time.Sleep(2 * time.Second)
	old := set.KillMaster()
	set.WaitMaster(old.Addr(), 30*time.Second)
	time.Sleep(2 * time.Second)
	old.Restart(redistest.Empty)
	set.WaitHealthy(60 * time.Second)
	hung := set.PauseMaster()
	set.WaitMaster(hung.Addr(), 30*time.Second)
	hung.Resume()
	time.Sleep(2 * time.Second)
	stop()
	wg.Wait()
	for _, c := range clients {
		testkit.Until(t, "writes wait still", func() bool {
			h := c.Health()
			return h.State == health.Connected && h.OutboxEntries == 0
		})
	}
	time.Sleep(2 * time.Second) // what was announced has come
	for key, want := range o.version {
		for i, c := range caches {
			var e evercache.Entry[int]
			testkit.Until(t, "a key is not loaded", func() (ok bool) {
				var err error
				e, err = c.GetEntry(t.Context(), key, o.load)
				return err == nil && e.Fresh // a load may have failed just before
			})
			if e.Value != want {
				t.Errorf("%s: in the end process %d answers %d, the origin has %d (%+v)", key, i, e.Value, want, e)
			}
		}
	}
	var refreshed uint64
	for _, c := range clients {
		refreshed += c.Stats().LoadsRefreshed
	}
	if refreshed == 0 {
		t.Error("nothing was refreshed")
	}
}
