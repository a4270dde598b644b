//go:build unix

package dev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/evercache/evercache/internal/testbed"
)

// stage is a Run in this process.
type stage struct {
	*testing.T
	environ []string
	keys    *io.PipeWriter
	over    chan error

	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (s *stage) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *stage) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// play runs a set until the test ends it.
func play(t *testing.T, o Options) (s *stage, end context.CancelFunc) {
	t.Helper()
	testbed.NeedRedis(t)
	s = &stage{T: t, environ: []string{"XDG_RUNTIME_DIR=" + shortDir(t)}, over: make(chan error, 1)}
	in, keys := io.Pipe()
	s.keys = keys
	o.Environ, o.Stdin, o.Stdout = append(s.environ, o.Environ...), in, s
	ctx, end := context.WithCancel(context.Background())
	go func() { s.over <- Run(ctx, o) }() // until end, or an order
	t.Cleanup(func() {
		end()
		_ = keys.Close() // a pipe in memory
		if t.Failed() {
			t.Logf("it printed:\n%s", s.output())
		}
	})
	return s, end
}

func (s *stage) sees(text string) {
	s.Helper()
	until(s.T, "it prints "+text, func() bool { return strings.Contains(s.output(), text) })
}

func (s *stage) types(line string) {
	s.Helper()
	if _, err := fmt.Fprintln(s.keys, line); err != nil {
		s.Error(err)
	}
}

// fakeService is a service that does nothing.
type fakeService struct {
	ended chan struct{}
	err   error
}

func (f *fakeService) URL() string                  { return "http://127.0.0.1:1" }
func (f *fakeService) State(context.Context) string { return "up: it does nothing" }
func (f *fakeService) Ended() <-chan struct{}       { return f.ended }
func (f *fakeService) Err() error                   { return f.err }

func TestASetIsBrokenAndMended(t *testing.T) {
	var environ []string
	var logFile io.Writer
	s, _ := play(t, Options{
		Environ: []string{"REDIS_HOST=nowhere", "EVERCACHE_TTL=1s"},
		Serve: func(ctx context.Context, env []string, log io.Writer) (Service, error) {
			environ, logFile = env, log
			f := &fakeService{ended: make(chan struct{})}
			context.AfterFunc(ctx, func() { close(f.ended) })
			return f, nil
		},
	})
	s.sees("\nready: master redis-1, 2 replicas in sync, 3 sentinels agree\n")
	s.sees("evercache serves on http://127.0.0.1:1")
	s.sees("evercache: up: it does nothing")
	if text := strings.Join(environ, "\n"); strings.Contains(text, "nowhere") || !strings.Contains(text, "EVERCACHE_TTL=1s") || !strings.Contains(text, "REDIS_SENTINELS=127.0.0.1:") || logFile == nil {
		t.Errorf("the service has %s", text)
	}
	s.types("")
	s.types("kill sentinel-3 redis-3")
	s.sees("sentinel-3 was killed\nredis-3 was killed")
	s.types("kill redis-3")
	s.sees("redis-3 is dead already")
	s.types("stop redis-2")
	s.sees("redis-2 is stopped; 'start redis-2' lets it go on")
	s.types("stop redis-2")
	s.sees("redis-2 is stopped already")
	s.types("failover redis-2")
	s.sees("the sentinels choose the replica")
	s.types("status")
	s.sees("not well: redis-2 is stopped; redis-3 is dead; sentinel-3 is dead")
	s.types("start")
	s.sees("redis-2 goes on\nredis-3 was started\nsentinel-3 was started")
	s.sees("all is well: master redis-1")
	s.types("start")
	s.sees("all servers run")
	s.types("restart-empty sentinel-1")
	s.sees("sentinel-1 was started without data")
	s.types("help")
	s.sees("restart-empty NODE...")
	s.types("kill")
	s.sees("not an order: kill what?")
	c, err := Parse("failover")
	if err != nil {
		t.Fatal(err)
	}
	until(t, "a failover begins", func() bool { // the sentinel that was emptied has to find the others first
		text, err := Send(t.Context(), s.environ, "default", c)
		return err == nil && text == "a failover has begun"
	})
	s.sees("leads a failover")
	s.types("quit")
	if err := <-s.over; err != nil {
		t.Error(err)
	}
	s.sees("all servers are ended, their files are removed")
	if text, err := Send(t.Context(), s.environ, "default", c); err == nil {
		t.Errorf("after the end: %s", text)
	}
}

func TestWhatCannotBeStartedLeavesNothing(t *testing.T) {
	wrong := errors.New("it does not serve")
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		o    Options
		want string
	}{
		"options":             {Options{Mode: "x"}, "want sentinel, cluster or standalone"},
		"service":             {Options{Mode: Standalone, Serve: func(context.Context, []string, io.Writer) (Service, error) { return nil, wrong }}, wrong.Error()},
		"a port":              {Options{Mode: Standalone, Port: listening(t)}, "free ports are found"},
		"a file":              {Options{Mode: Standalone, EnvFile: taken}, "choose another name"},
		"a full directory":    {Options{Mode: Standalone, Dir: filepath.Dir(taken)}, "is not empty"},
		"a file as directory": {Options{Mode: Standalone, Dir: taken}, "--dir"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			s, _ := play(t, tt.o)
			if err := <-s.over; err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if left, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*")); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
	if text, err := os.ReadFile(taken); err != nil || string(text) != "mine" {
		t.Errorf("%s, %v", text, err)
	}
}

func TestAServiceThatEndsIsTold(t *testing.T) {
	f := &fakeService{ended: make(chan struct{}), err: errors.New("out of luck")}
	s, end := play(t, Options{Mode: Standalone, Serve: func(context.Context, []string, io.Writer) (Service, error) { return f, nil }})
	s.sees("\nready: ")
	close(f.ended)
	s.sees("evercache ended: out of luck")
	s.types("failover")
	s.sees("one server has nobody to fail over to")
	end()
	if err := <-s.over; err != nil {
		t.Error(err)
	}
	s.sees("ending: context canceled")
}

func TestAnInterruptedStartIsNoFault(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, end := play(t, Options{Mode: Cluster})
	s.sees("starting a Cluster of 3 masters with 1 replica each")
	end()
	if err := <-s.over; err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
