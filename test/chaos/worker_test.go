package chaos_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// TestChaosWorker is the worker when a run has started it, and else nothing.
func TestChaosWorker(t *testing.T) {
	testkit.ServeWorker(t, func(c *evercache.Client) chaos.Party {
		cache, err := chaosCache(c, scene{}.policy(), false)
		if err != nil {
			t.Fatal(err)
		}
		return party{cache: cache}
	}, testkit.Questions{"well": well, "settled": settled, "calm": calm})
}

// startWorker starts a client in a process of its own.
func startWorker(s *stage, wrap []string, env ...string) *testkit.Worker {
	s.Helper()
	return testkit.StartWorker(s.T, s.log, "TestChaosWorker", wrap, env...)
}

// workerScenes kill a process. With a journal it may lose nothing that it
// acknowledged; the row exists as soon as the configuration takes a journal's
// folder.
func workerScenes() []scene {
	mortal := func(name string, journal bool) scene {
		return scene{
			name: name, rules: chaos.Rules{WritesMayFail: true, LongestRead: time.Second, LongestWrite: time.Second}, // over a pipe
			set: options(redistest.WithPersistence()),
			open: func(s *stage, proc int) chaos.Party {
				if proc == 0 {
					return nil
				}
				env := sentinelEnv(s.set.MasterName(), s.set.Addrs())
				if journal {
					env = append(env, journalEnv+"="+s.TempDir())
				}
				s.worker, s.journal = startWorker(s, nil, env...), journal
				return s.worker
			},
			script: killWorker,
		}
	}
	all := []scene{mortal("process killed in an outage", false)}
	if _, err := config.FromEnv([]string{journalEnv + "=" + os.TempDir()}); err == nil {
		all = append(all, mortal("process with a journal killed in an outage", true))
	}
	return all
}

const journalEnv = "EVERCACHE_JOURNAL_DIR"

func sentinelEnv(name string, addrs []string) []string {
	return []string{"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=" + name, "REDIS_SENTINELS=" + strings.Join(addrs, ",")}
}

// killWorker kills the second process in an outage. It starts again before the
// outage is over, or after the other one has overwritten its keys.
func killWorker(s *stage, r *rand.Rand) {
	s.note("every Redis is killed")
	if !s.journal {
		s.final.Fell = s.trace.Now()
	}
	each(s.set.Nodes(), (*redistest.Server).Kill)
	s.nap(r, 1000, 3000)
	s.note("process 1 is killed")
	s.worker.Kill()
	s.final.Died = []int64{0, s.trace.Now()}
	s.nap(r, 100, 500)
	again := []func(){
		func() { s.note("process 1 starts"); s.worker.Start() },
		func() {
			s.note("every Redis starts again")
			each(s.set.Nodes(), (*redistest.Server).Start)
		},
	}
	r.Shuffle(2, func(i, j int) { again[i], again[j] = again[j], again[i] })
	again[0]()
	s.nap(r, 500, 3000)
	again[1]()
	s.nap(r, 2000, 3000)
}
