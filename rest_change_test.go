package evercache

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/redistest"
)

// What was changed while nobody used a client is not called coherent by the calls that wake
// it, whatever has become of the master meanwhile, and each of them is quick.
func TestWhatWasChangedInARestIsNotCoherent(t *testing.T) {
	const keys = 8
	write := func(c *Cache[string], at *redistest.Server, value string) {
		for i := range keys {
			at.Do("SET", c.full(strconv.Itoa(i)), value, "PX", "3600000")
		}
	}
	single := func(change func(*Cache[string], *redistest.Server)) func(*testing.T) (Options, func(*Cache[string])) {
		return func(t *testing.T) (Options, func(*Cache[string])) {
			s := redistest.Start(t)
			return Options{Addr: s.Addr()}, func(c *Cache[string]) { change(c, s) }
		}
	}
	for name, begin := range map[string]func(*testing.T) (Options, func(*Cache[string])){
		"written by another": single(func(c *Cache[string], s *redistest.Server) { write(c, s, "new") }),
		"restarted empty": single(func(c *Cache[string], s *redistest.Server) {
			s.Restart(redistest.Empty)
			write(c, s, "new")
		}),
		"hung for a while": single(func(c *Cache[string], s *redistest.Server) {
			s.Pause()
			time.Sleep(3 * time.Second)
			s.Resume()
			write(c, s, "new")
		}),
		"announces nothing": single(func(c *Cache[string], s *redistest.Server) {
			s.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			write(c, s, "new")
		}),
		"cut off in silence": func(t *testing.T) (Options, func(*Cache[string])) {
			s := redistest.Start(t)
			proxy := startProxy(t, s.Addr())
			return Options{Addr: proxy.Addr()}, func(c *Cache[string]) {
				proxy.Blackhole(true)
				write(c, s, "new")
			}
		},
		"promoted": func(t *testing.T) (Options, func(*Cache[string])) {
			set := redistest.StartSentinel(t)
			return Options{Sentinels: set.Addrs(), MasterName: set.MasterName()}, func(c *Cache[string]) {
				old := set.Master().Addr()
				set.PauseMaster() // it will come back, and knows of nothing
				write(c, set.WaitMaster(old, 60*time.Second), "new")
			}
		},
		"moved": func(t *testing.T) (Options, func(*Cache[string])) {
			ring := redistest.StartCluster(t)
			return Options{ClusterNodes: ring.Addrs()}, func(c *Cache[string]) {
				for i := range keys {
					full := c.full(strconv.Itoa(i))
					of := int(slot.Of(full))
					from, to := ring.MasterOfSlot(of), ring.Masters()[0]
					if from.Addr() == to.Addr() {
						to = ring.Masters()[1]
					}
					ring.Reshard(from, to, redistest.OneSlot(of))
					ring.MasterOfSlot(of).Do("SET", full, "new", "PX", "3600000")
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, change := begin(t)
			client := open(t, o)
			c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
			connect(t, client, 30*time.Second)
			for i := range keys {
				_, err := c.Set(t.Context(), strconv.Itoa(i), "old")
				wantErr(t, err, nil)
				waitUntil(t, 20*time.Second, func() bool {
					e, err := c.Lookup(t.Context(), strconv.Itoa(i))
					return err == nil && e.Value == "old" && e.Source == SourceMemory && e.Coherent
				}, func() string { return "memory is not coherent" })
			}
			waitRest(t, client)
			change(c)
			time.Sleep(1100 * time.Millisecond) // coherent: nothing newer was there a second ago
			wantNoneOld(t, c, keys)
		})
	}
}

// wantNoneOld wakes a client by many calls at once, and reads on for a while.
func wantNoneOld(t *testing.T, c *Cache[string], keys int) {
	t.Helper()
	late := lateness(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			began := time.Now()
			for n := g; time.Since(began) < 3*time.Second; n++ {
				call := time.Now()
				e, err := c.Lookup(t.Context(), strconv.Itoa(n%keys))
				if took := time.Since(call); took > c.client.opts.ReadTimeout+400*time.Millisecond+late() { // the machine may be busy
					t.Errorf("call %d took %v", n, took)
				}
				if e.Value == "old" && e.Coherent {
					t.Errorf("call %d, %v after the first: an old value is coherent: %+v, %v", n, time.Since(began), e, err)
					return
				}
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
	wg.Wait()
}
