package testkit

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/chaos"
)

// workerEnv tells the test binary to be a worker.
const workerEnv = "EVERCACHE_TEST_WORKER"

// Worker is a client in a process of its own: it can be killed, and it can run in another
// network namespace. The process is the test binary, in which one test calls ServeWorker;
// the environment says what to open, as for the service.
type Worker struct {
	t    testing.TB
	log  io.Writer
	test string
	wrap []string
	env  []string

	mu     sync.Mutex // guards what follows
	remote *chaos.Remote
	cmd    *exec.Cmd
	done   <-chan struct{}
	calls  io.Closer
}

// Questions are what a worker can be asked about its client, by name.
type Questions map[string]func(*evercache.Client) bool

// asked are a party and the questions: a look at a key that is "?" and a name is one.
type asked struct {
	chaos.Party
	client    *evercache.Client
	questions Questions
}

func (a asked) Do(ctx context.Context, act chaos.Act, key string, v chaos.Value) chaos.Answer {
	name, question := strings.CutPrefix(key, "?")
	switch {
	case !question:
		return a.Party.Do(ctx, act, key, v)
	case a.questions[name] != nil && a.questions[name](a.client):
		return chaos.Answer{Outcome: chaos.Found}
	}
	return chaos.Answer{Outcome: chaos.Missing}
}

// ServeWorker is the worker where StartWorker has started this test, and else nothing.
func ServeWorker(t *testing.T, party func(*evercache.Client) chaos.Party, questions Questions) {
	t.Helper()
	if os.Getenv(workerEnv) == "" {
		return
	}
	var environ []string
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "EVERCACHE_CHAOS_") && !strings.HasPrefix(line, "EVERCACHE_CLUSTER_") && !strings.HasPrefix(line, "EVERCACHE_TEST_") {
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
	if err := chaos.Serve(asked{party(c), c, questions}, os.NewFile(3, "calls"), os.NewFile(4, "answers")); err != nil {
		t.Fatal(err)
	}
}

// StartWorker starts one in the test of this name, with further environment. wrap are
// the words of a program that runs it: see Network.Within.
func StartWorker(t testing.TB, log io.Writer, test string, wrap []string, env ...string) *Worker {
	t.Helper()
	w := &Worker{t: t, log: log, test: test, wrap: wrap, env: env}
	w.Start()
	t.Cleanup(w.Kill)
	return w
}

// Start starts it again.
func (w *Worker) Start() {
	w.t.Helper()
	callsIn, calls, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	answers, answersOut, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	words := append(append([]string(nil), w.wrap...), os.Args[0], "-test.run=^"+w.test+"$", "-test.timeout=0")
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
	remote.Do(ctx, chaos.Look, "?", chaos.Nothing)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cmd, w.calls = cmd, calls
	w.remote, w.done = remote, done
}

// Kill ends it with SIGKILL and waits until nothing of it is left.
func (w *Worker) Kill() {
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
func (w *Worker) Do(ctx context.Context, act chaos.Act, key string, v chaos.Value) chaos.Answer {
	w.mu.Lock()
	remote := w.remote
	w.mu.Unlock()
	return remote.Do(ctx, act, key, v)
}

// Is asks one of its questions about the client.
func (w *Worker) Is(question string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return w.Do(ctx, chaos.Look, "?"+question, chaos.Nothing).Outcome == chaos.Found
}
