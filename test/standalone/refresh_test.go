package standalone_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// table is an origin whose rows all have the same version.
type table struct {
	version, asked atomic.Int64
	size           int
}

func (o *table) load(context.Context, string) ([]byte, error) {
	o.asked.Add(1)
	row := fmt.Appendf(nil, "v%03d", o.version.Load())
	return append(row, bytes.Repeat([]byte("."), o.size)...), nil
}

const rows = 10

// openTable opens a class whose rows are loaded again before their end, and reads them all.
func openTable(t *testing.T, redis *redistest.Server, o *table, ttl time.Duration, change ...func(*evercache.Options)) (*evercache.Client, *evercache.Cache[[]byte]) {
	t.Helper()
	opts := evercache.Options{Addr: redis.Addr(), Logger: slog.New(slog.DiscardHandler), CloseTimeout: time.Second}
	for _, f := range change {
		f(&opts)
	}
	client, err := evercache.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	testkit.Until(t, "connected", func() bool { return client.Health().Connected })
	cache, err := evercache.NewCache[[]byte](client, class, evercache.Policy{
		TTL: ttl, Stale: time.Minute, RefreshAhead: 0.5, MaxRefreshes: 4, LoadTimeout: 10 * ttl,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if _, err := cache.Get(t.Context(), fmt.Sprint(i), o.load); err != nil {
			t.Fatal(err)
		}
	}
	return client, cache
}

// keepReading reads the rows until the test ends or stop is called, which returns the slowest read.
func keepReading(t *testing.T, cache *evercache.Cache[[]byte], o *table) (stop func() time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var slowest atomic.Int64
	for reader := range 4 {
		wg.Go(func() {
			for n := reader; ctx.Err() == nil; n++ {
				began := time.Now()
				if _, err := cache.Get(t.Context(), fmt.Sprint(n%rows), o.load); err != nil {
					t.Errorf("row %d: %v", n%rows, err)
				}
				if took := int64(time.Since(began)); took > slowest.Load() {
					slowest.Store(took)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	var once sync.Once
	stop = func() time.Duration {
		once.Do(func() { cancel(); wg.Wait() })
		return time.Duration(slowest.Load())
	}
	t.Cleanup(func() { stop() })
	return stop
}

// TestRefreshesOutliveWhateverHappensToRedis: the origin changes meanwhile. No read fails, none
// waits for Redis or for a load, the origin is not asked more often than before, and in the end
// memory and Redis hold what it has.
func TestRefreshesOutliveWhateverHappensToRedis(t *testing.T) {
	do := func(args ...string) func(*redistest.Server) {
		return func(s *redistest.Server) { s.Do(args...) }
	}
	for name, fault := range map[string]struct {
		config     []string
		begin, end func(*redistest.Server)
	}{
		"hangs":            {nil, (*redistest.Server).Pause, (*redistest.Server).Resume},
		"is gone":          {nil, (*redistest.Server).Kill, (*redistest.Server).Start},
		"is emptied":       {nil, do("FLUSHALL"), nil},
		"has no memory":    {nil, do("CONFIG", "SET", "maxmemory", "1"), do("CONFIG", "SET", "maxmemory", "0")},
		"is made replica":  {nil, do("REPLICAOF", "127.0.0.1", "1"), do("REPLICAOF", "NO", "ONE")},
		"refuses scripts":  {nil, do("ACL", "SETUSER", "default", "-@scripting"), do("ACL", "SETUSER", "default", "+@scripting")},
		"too few replicas": {nil, do("CONFIG", "SET", "min-replicas-to-write", "1"), do("CONFIG", "SET", "min-replicas-to-write", "0")},
		"is loading": {
			[]string{"key-load-delay 200", "loading-process-events-interval-bytes 1024", "enable-debug-command yes"},
			func(s *redistest.Server) {
				s.Do("DEBUG", "POPULATE", "10000", "filler", "100")
				s.Restart(redistest.KeepData)
			}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t, redistest.WithConfig(fault.config...))
			o := &table{}
			client, cache := openTable(t, redis, o, time.Second)
			stop := keepReading(t, cache, o)
			began, asked := time.Now(), o.asked.Load()
			fault.begin(redis)
			time.Sleep(time.Second) // what memory holds is due meanwhile
			o.version.Store(1)
			time.Sleep(time.Second)
			if fault.end != nil {
				fault.end(redis)
			}
			testkit.Until(t, "memory and Redis hold what the origin has", func() bool {
				for i := range rows {
					v, err := cache.Get(t.Context(), fmt.Sprint(i), o.load)
					if err != nil || string(v) != "v001" {
						return false
					}
					if there, err := redis.Try(t.Context(), "GET", fmt.Sprint(class, ":", i)); err != nil || there != "v001" {
						return false
					}
				}
				return client.Health().Connected
			})
			if slowest := stop(); slowest > time.Second { // without: LoadTimeout, or longer
				t.Errorf("a read took %v", slowest)
			}
			// Half a second at least is between two loads of a row, a quarter of it less by chance.
			most := rows * (int64(time.Since(began)/(375*time.Millisecond)) + 2)
			if n := o.asked.Load() - asked; n > most {
				t.Errorf("the origin was asked %d times in %v, want at most %d", n, time.Since(began), most)
			}
		})
	}
}

// TestAHugeValueIsRefreshedBesideOthers: nobody waits for its way to Redis and back.
func TestAHugeValueIsRefreshedBesideOthers(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	huge, small := &table{size: 50 << 20}, &table{}
	client, cache := openTable(t, redis, small, 5*time.Second, func(o *evercache.Options) {
		o.MemoryBytes, o.MaxValueBytes = 512<<20, 64<<20
		o.WriteTimeout = 5 * time.Second // a busy machine does not send it within 250 ms
	})
	if _, err := cache.Get(t.Context(), "huge", huge.load); err != nil {
		t.Fatal(err)
	}
	stop := keepReading(t, cache, small)
	huge.version.Store(1)
	testkit.Until(t, "the huge value is loaded again, and in Redis", func() bool {
		began := time.Now()
		v, err := cache.Get(t.Context(), "huge", huge.load)
		if err != nil || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		return string(v[:4]) == "v001" && redis.Do("GETRANGE", class+":huge", "0", "3") == "v001"
	})
	if slowest := stop(); slowest > time.Second {
		t.Errorf("a read of a small value took %v", slowest)
	}
	if s := client.Stats(); s.LoadsRefreshed == 0 {
		t.Errorf("nothing was refreshed: %+v", s)
	}
}
