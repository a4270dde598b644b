package revoke_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// stage is a Sentinel set with three processes on it, two of which revoke while
// all three check.
type stage struct {
	*testing.T
	set     *redistest.Sentinel
	policy  revoke.Policy
	history history
	rand    *rand.Rand

	mu   sync.RWMutex // guards all
	all  []*process
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func (s *stage) process(i int) func() *process {
	return func() *process {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return s.all[i]
	}
}

func newStage(t *testing.T, seed uint64) *stage {
	s := &stage{T: t, set: redistest.StartSentinel(t), rand: rand.New(rand.NewPCG(seed, 0))}
	// A busy machine holds up an election: what is shown here is not MaxLag.
	s.policy = revoke.Policy{MaxLag: time.Minute}
	s.all = startAll(t, 3, options(s.set), s.policy)
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	for i := range s.all {
		if i < 2 {
			s.wg.Go(func() { s.history.revokeUntil(ctx, s.process(i), fmt.Sprint("p", i, "-"), pace(500*time.Microsecond)) })
		}
		s.wg.Go(func() { s.history.checkUntil(ctx, s.process(i), fmt.Sprint("process ", i), s.policy.MaxLag) })
	}
	return s
}

// works waits until revocations that were made from now on are acknowledged and
// known by all.
func (s *stage) works() {
	s.Helper()
	began := time.Now()
	eventually(s.T, time.Minute, "revocations are acknowledged and known by all", func() bool {
		last := s.history.last()
		if last.Before(began) {
			return false
		}
		for i := range 3 {
			if s.process(i)().Stats().AsOf.Before(began) {
				return false
			}
		}
		return true
	})
}

// end checks what everybody knows in the end, one that has just started included.
func (s *stage) end() {
	s.Helper()
	s.works()
	s.stop()
	s.wg.Wait()
	last := s.history.last()
	fresh := start(s.T, options(s.set), s.policy)
	fresh.waitReady()
	for i, p := range append(s.all, fresh) {
		eventually(s.T, time.Minute, "everything is known", func() bool { return p.Stats().AsOf.After(last) })
		if in := p.missing(s.history.all()); len(in) > 0 {
			s.Errorf("process %d does not know %d: %s", i, len(in), in[0])
		}
	}
	eventually(s.T, time.Minute, "Redis holds everything", func() bool {
		card, _ := s.set.Master().Try(s.Context(), "ZCOUNT", setKey, "1", "8999999999999999")
		return card == int64(fresh.Stats().Entries)
	})
	s.history.report(s.T)
}

// faults are what happens to a set or to a process.
var faults = []struct {
	name   string
	single bool // also run alone by `make test`
	do     func(*stage)
}{
	{"kill", true, func(s *stage) {
		m := s.set.KillMaster()
		s.set.WaitMaster(m.Addr(), time.Minute)
		m.Restart(redistest.Empty)
	}},
	{"planned failover", true, func(s *stage) {
		m := s.set.Master()
		s.set.WaitHealthy(30 * time.Second)
		s.set.Failover()
		s.set.WaitMaster(m.Addr(), time.Minute)
	}},
	{"hung master that answers again", true, func(s *stage) {
		m := s.set.PauseMaster()
		s.set.WaitMaster(m.Addr(), time.Minute)
		m.Resume()
	}},
	{"empty restart of the set", true, func(s *stage) {
		for _, n := range s.set.Nodes() {
			n.Kill()
		}
		for _, n := range s.set.Nodes() {
			n.Restart(redistest.Empty)
		}
	}},
	{"FLUSHALL", false, func(s *stage) { s.set.Master().Do("FLUSHALL") }},
	{"DEL", false, func(s *stage) { s.set.Master().Do("DEL", setKey) }},
	{"kill and restart at once", false, func(s *stage) {
		m := s.set.KillMaster()
		m.Start()
	}},
	{"eviction", false, func(s *stage) {
		m := s.set.Master()
		m.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "1")
		eventually(s.T, 10*time.Second, "the set is evicted", func() bool {
			n, _ := m.Try(s.Context(), "EXISTS", setKey)
			return n == int64(0)
		})
		m.Do("CONFIG", "SET", "maxmemory", "0")
	}},
	{"restart of a process", false, func(s *stage) { s.restart(s.rand.IntN(3)) }},
	{"restart of all, one after the other", false, func(s *stage) {
		for i := range 3 {
			s.restart(i)
		}
	}},
}

// restart ends a process when another has taken its place.
func (s *stage) restart(i int) {
	p := start(s.T, options(s.set), s.policy)
	s.mu.Lock()
	old := s.all[i]
	s.all[i] = p
	s.mu.Unlock()
	old.end()
	p.waitReady()
}

func TestSentinelAnAcknowledgedRevocationSurvivesEveryFault(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		if f.single {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, 1)
				time.Sleep(300 * time.Millisecond)
				f.do(s)
				s.end()
			})
		}
	}
}

// TestSentinelChaos is one fault after the other, in an order that the seed gives:
// two of those that are not shown alone. EVERCACHE_CHAOS_RUNS says how many runs
// of all of them there are.
func TestSentinelChaos(t *testing.T) {
	runs, some := 1, faults[4:]
	if n, err := strconv.Atoi(os.Getenv("EVERCACHE_CHAOS_RUNS")); err == nil {
		runs, some = n, faults
	} else {
		t.Parallel()
	}
	for seed := range uint64(runs) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			s := newStage(t, seed)
			order := s.rand.Perm(len(some))
			if runs == 1 {
				order = order[:2]
			}
			for _, i := range order {
				time.Sleep(time.Duration(s.rand.IntN(500)) * time.Millisecond)
				f := some[i]
				t.Log(f.name)
				f.do(s)
				if s.rand.IntN(3) > 0 {
					s.works()
				}
			}
			s.end()
		})
	}
}
