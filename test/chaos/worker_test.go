package chaos_test

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// A worker is a client in a process of its own, which can be killed. It is this
// test binary; the environment says what to open, as for the service.

const (
	workerEnv = "EVERCACHE_CHAOS_WORKER"
	// A look at one of these asks about the client.
	wellKey    = "?well"
	settledKey = "?settled"
	calmKey    = "?calm"
)

// TestChaosWorker is the worker when a run has started it, and else nothing.
func TestChaosWorker(t *testing.T) {
	if os.Getenv(workerEnv) == "" {
		return
	}
	var environ []string
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "EVERCACHE_CHAOS_") && !strings.HasPrefix(line, "EVERCACHE_TEST_") {
			environ = append(environ, line)
		}
	}
	cfg, err := config.FromEnv(environ)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Redis.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("process", "worker")
	c, err := evercache.Open(t.Context(), cfg.Redis)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cache, err := chaosCache(c, scene{}.policy(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := chaos.Serve(served{party{cache: cache}, c}, os.NewFile(3, "calls"), os.NewFile(4, "answers")); err != nil {
		t.Fatal(err)
	}
}

// served is a party that also says how its client is: well, or settled at least.
type served struct {
	party
	client *evercache.Client
}

func (p served) Do(ctx context.Context, act chaos.Act, key string, v chaos.Value) chaos.Answer {
	switch {
	case key == wellKey && well(p.client), key == settledKey && settled(p.client), key == calmKey && calm(p.client):
		return chaos.Answer{Outcome: chaos.Found}
	case key == wellKey, key == settledKey, key == calmKey:
		return chaos.Answer{Outcome: chaos.Missing}
	}
	return p.party.Do(ctx, act, key, v)
}

// worker is a party that can be killed and started again.
type worker struct {
	t    testing.TB
	log  io.Writer
	wrap []string // the program that runs it: a network namespace
	env  []string

	journal bool // it has one

	mu     sync.Mutex // guards what follows
	remote *chaos.Remote
	cmd    *exec.Cmd
	done   <-chan struct{}
	calls  io.Closer
}

// startWorker starts one with further environment.
func startWorker(t testing.TB, log io.Writer, wrap []string, env ...string) *worker {
	t.Helper()
	w := &worker{t: t, log: log, wrap: wrap, env: env}
	w.start()
	t.Cleanup(w.kill)
	return w
}

func (w *worker) start() {
	w.t.Helper()
	callsIn, calls, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	answers, answersOut, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	words := append(append([]string(nil), w.wrap...), os.Args[0], "-test.run=^TestChaosWorker$", "-test.timeout=0")
	cmd := exec.Command(words[0], words[1:]...)
	cmd.ExtraFiles = []*os.File{callsIn, answersOut}
	cmd.Stderr = w.log
	cmd.Env = append(os.Environ(), append([]string{workerEnv + "=1"}, w.env...)...)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	_, _ = callsIn.Close(), answersOut.Close() // the worker has them
	remote, done := chaos.NewRemote(answers, calls)
	// Its first answer: how long a process takes to start is nobody's write.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	remote.Do(ctx, chaos.Look, settledKey, chaos.Nothing)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cmd, w.calls = cmd, calls
	w.remote, w.done = remote, done
}

// kill ends it with SIGKILL and waits until nothing of it is left.
func (w *worker) kill() {
	w.mu.Lock()
	cmd, done, calls := w.cmd, w.done, w.calls
	w.cmd = nil
	w.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	<-done
	_ = calls.Close()
}

// Do asks the worker that there is.
func (w *worker) Do(ctx context.Context, act chaos.Act, key string, v chaos.Value) chaos.Answer {
	w.mu.Lock()
	remote := w.remote
	w.mu.Unlock()
	return remote.Do(ctx, act, key, v)
}

// is asks one of the questions about the client.
func (w *worker) is(question string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return w.Do(ctx, chaos.Look, question, chaos.Nothing).Outcome == chaos.Found
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
				s.worker = startWorker(s.T, s.log, nil, env...)
				s.worker.journal = journal
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
	if !s.worker.journal {
		s.final.Fell = s.trace.Now()
	}
	each(s.set.Nodes(), (*redistest.Server).Kill)
	s.nap(r, 1000, 3000)
	s.note("process 1 is killed")
	s.worker.kill()
	s.final.Died = []int64{0, s.trace.Now()}
	s.nap(r, 100, 500)
	again := []func(){
		func() { s.note("process 1 starts"); s.worker.start() },
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
