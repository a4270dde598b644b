package daemon

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/revoke"
	"github.com/evercache/evercache/status"
)

// service is the API on a listener of its own, without the Daemon around it.
type service struct {
	*httptest.Server
	t    *testing.T
	api  *api
	logs *logs

	daemon *Daemon
	client *evercache.Client
	list   *revoke.List
}

// serveAPI serves with the settings given. Unless they say where Redis is there
// is none, and memory is all there is.
func serveAPI(t *testing.T, environ ...string) *service {
	t.Helper()
	d, l := newDaemon(t, environ...)
	client, err := evercache.Open(t.Context(), d.cfg.Redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what a test leaves in the outbox is nobody's loss
		_ = client.Shutdown(ctx)
	})
	list, err := d.openDenylist(client)
	if err != nil {
		t.Fatal(err)
	}
	if list != nil {
		t.Cleanup(func() { _ = list.Close() })
	}
	st := status.New(client)
	a := d.api(client, st, list)
	s := &service{Server: httptest.NewUnstartedServer(nil), t: t, api: a, logs: l, daemon: d, client: client, list: list}
	s.Config = d.server(a)
	s.Listener = speaking{Listener: s.Listener, log: d.log}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func newDaemon(t *testing.T, environ ...string) (*Daemon, *logs) {
	t.Helper()
	cfg, err := config.FromEnv(environ)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Redis.RedisOptional { // not even one on this machine's default port
		cfg.Redis.Addr = nowhere(t)
	}
	l := &logs{}
	return New(cfg, NewLogger(l, slog.LevelDebug, "json")), l
}

// redisAway are settings of a Redis that does not answer.
func redisAway(t *testing.T) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(nowhere(t))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"REDIS_HOST=" + host, "REDIS_PORT=" + port}
}

// nowhere is an address that refuses connections.
func nowhere(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return addr
}

// with replaces the classes by one fake cache.
func (s *service) with(c cache) *service {
	s.api.classes = newClasses(10, func(string) (cache, error) { return c, nil })
	return s
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// do sends a request; headers are name, value pairs.
func (s *service) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, r)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp, string(b)}
}

// code is the code in an error's body.
func (a answer) code() string {
	var b errorBody
	if json.Unmarshal([]byte(a.body), &b) != nil {
		return ""
	}
	return b.Error.Code
}

// wants fails the test unless the answer is an error with this status and code.
func (a answer) wants(t *testing.T, status int, code string) {
	t.Helper()
	if a.StatusCode != status || a.code() != code {
		t.Errorf("answer = %d %q, want %d with code %q", a.StatusCode, a.body, status, code)
	}
}

// wantsStatus fails the test unless the answer has this status.
func (a answer) wantsStatus(t *testing.T, status int) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("answer = %d %q, want %d", a.StatusCode, a.body, status)
	}
}

// logs collects what a logger writes.
type logs struct{ testbed.Buffer }

// fakeCache answers whatever a test says.
type fakeCache struct {
	entry   evercache.Entry[[]byte]
	receipt evercache.Receipt
	deleted int
	err     error

	inspection evercache.Inspection

	mu    sync.Mutex // guards calls
	calls []string
}

func (f *fakeCache) note(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
}

func (f *fakeCache) Lookup(_ context.Context, key string) (evercache.Entry[[]byte], error) {
	f.note("lookup " + key)
	return f.entry, f.err
}

func (f *fakeCache) Set(_ context.Context, key string, v []byte, _ ...evercache.WriteOption) (evercache.Receipt, error) {
	f.note("set " + key + " " + string(v))
	return f.receipt, f.err
}

func (f *fakeCache) Delete(_ context.Context, key string, _ ...evercache.WriteOption) (evercache.Receipt, error) {
	f.note("delete " + key)
	return f.receipt, f.err
}

func (f *fakeCache) Inspect(context.Context, int) (evercache.Inspection, error) {
	return f.inspection, f.err
}

func (f *fakeCache) Release() bool {
	f.note("release")
	return true
}

func (f *fakeCache) DeletePrefix(_ context.Context, prefix string) (int, evercache.Receipt, error) {
	f.note("prefix " + prefix)
	return f.deleted, f.receipt, f.err
}
