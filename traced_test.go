package evercache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/trace"
)

type requestKey struct{}

// recorder is a Tracer that writes down what it is told, with the id of the request.
type recorder struct {
	mu   sync.Mutex // guards told
	told []string
	open int // begun and not ended
}

func (r *recorder) note(ctx context.Context, open int, format string, a ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open += open
	r.told = append(r.told, fmt.Sprintf("%v: ", ctx.Value(requestKey{}))+fmt.Sprintf(format, a...))
}

func (r *recorder) CallStart(ctx context.Context, c trace.Call) context.Context {
	r.note(ctx, 1, "start %s", c.Name)
	return context.WithValue(ctx, inCallKey{}, c.Name)
}

func (r *recorder) CallEnd(ctx context.Context, c trace.Call, e trace.End) {
	if ctx.Value(inCallKey{}) != c.Name {
		r.note(ctx, 0, "end of another call")
	}
	r.note(ctx, -1, "end %s %s keys=%d db=%d %s %s", c.Name, c.Operation, c.Keys, c.DB, e.ErrorType, e.Status)
}

func (r *recorder) LoadStart(ctx context.Context, l trace.Load) context.Context {
	r.note(ctx, 1, "start load %s", l.Class)
	return context.WithValue(ctx, inCallKey{}, "load")
}

func (r *recorder) LoadEnd(ctx context.Context, l trace.Load, e trace.End) {
	r.note(ctx, -1, "end load %s keys=%d %s", l.Class, l.Keys, e.ErrorType)
}

func (r *recorder) Served(ctx context.Context, s trace.Served) {
	r.note(ctx, 0, "served %s %s %s %s", s.Class, s.Op, s.Tier, s.Result)
}

// take is what was told since the last time, when all that was begun has ended.
func (r *recorder) take(t *testing.T) []string {
	t.Helper()
	var told []string
	waitUntil(t, 20*time.Second, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.open != 0 {
			return false
		}
		told, r.told = r.told, nil
		return true
	}, func() string { return "calls were begun and have not ended" })
	return told
}

type inCallKey struct{}

func request(t *testing.T, id string) context.Context {
	return context.WithValue(t.Context(), requestKey{}, id)
}

// withIDs is an application's handler: it adds the id of the request.
type withIDs struct{ slog.Handler }

func (h withIDs) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(requestKey{}).(string); ok {
		r.AddAttrs(slog.String("id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// lockedBuffer is a log.
type lockedBuffer struct{ testbed.Buffer }

func (l *lockedBuffer) lines() []string { return slices.Collect(strings.Lines(l.String())) }

// waitLine waits for a line that has all these.
func (l *lockedBuffer) waitLine(t *testing.T, parts ...string) {
	t.Helper()
	waitUntil(t, 20*time.Second, func() bool {
		return slices.ContainsFunc(l.lines(), func(line string) bool {
			return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) })
		})
	}, func() string { return fmt.Sprintf("no line has %q in\n%s", parts, strings.Join(l.lines(), "")) })
}

func openTraced(t *testing.T, o Options) (*Client, *recorder, *lockedBuffer) {
	t.Helper()
	rec, log := new(recorder), new(lockedBuffer)
	o.Tracer = rec
	o.Logger = slog.New(withIDs{slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})})
	client, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, rec, log
}

func wantTold(t *testing.T, got []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g string) bool { return strings.TrimRight(g, " ") == w }) {
			t.Errorf("%q is not in\n%s", w, strings.Join(got, "\n"))
		}
	}
}

func TestATracerIsToldOfCallsAndLoadsAndNeverOfAHit(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client, rec, _ := openTraced(t, Options{Addr: p.Addr(), DB: 3})
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "product", Policy{TTL: time.Hour})
	if told := rec.take(t); len(told) > 0 {
		t.Errorf("what the client does on its own is told: %q", told)
	}
	inLoader := ""
	_, err := c.Get(request(t, "a"), "k", func(ctx context.Context, _ string) (string, error) {
		inLoader = fmt.Sprint(ctx.Value(inCallKey{}))
		return "v", nil
	})
	wantErr(t, err, nil)
	waitCovers(t, c, "k", "v")
	told := rec.take(t)
	wantTold(t, told, "a: start get", "a: end get GET keys=1 db=3", "a: start load product", "a: end load product keys=1",
		"a: end fill EVALSHA keys=1 db=3", "a: served product get none miss")
	if inLoader != "load" {
		t.Errorf("the loader's context is of %q", inLoader)
	}
	for range 10 {
		_, err = c.Get(request(t, "hit"), "k", nil)
		wantErr(t, err, nil)
	}
	if told := rec.take(t); slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "hit") }) {
		t.Errorf("hits are told: %q", told)
	}
	_, err = c.Set(request(t, "b"), "k", "w")
	wantErr(t, err, nil)
	wantTold(t, rec.take(t), "b: start set", "b: served product set l2 ok")
	_, err = c.GetMany(request(t, "c"), []string{"x", "y"}, func(_ context.Context, keys []string) (map[string]string, error) {
		return nil, errors.New("the origin is down")
	})
	if err == nil {
		t.Error("GetMany has no error")
	}
	wantTold(t, rec.take(t), "c: end mget PIPELINE GET keys=2 db=3", "c: end load product keys=2 error")
	_, err = c.Get(request(t, "d"), "z", func(context.Context, string) (string, error) { panic("broken") })
	if err == nil {
		t.Error("Get has no error")
	}
	wantTold(t, rec.take(t), "d: end load product keys=1 panic")
}

func TestTheLineOfACallThatFailedHasTheContextOfItsCaller(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client, rec, log := openTraced(t, Options{Addr: p.Addr(), DialTimeout: time.Second})
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "product", Policy{})
	redisDo(t, p, "LPUSH", "product:list", "x")
	_, err := c.Lookup(request(t, "wrong-type"), "list")
	wantErr(t, err, ErrNotFound)
	log.waitLine(t, "level=DEBUG", "redis.call_failed", "operation=get", "error_type=logical", "WRONGTYPE", "id=wrong-type")
	log.waitLine(t, "level=WARN", "redis.calls_failed", "error_type=logical", "count=1", "id=wrong-type")
	wantTold(t, rec.take(t), "wrong-type: end get GET keys=1 db=0 logical WRONGTYPE")
	log.waitLine(t, "level=WARN", "value.undecodable", "id=wrong-type")

	kept := errors.New("the origin is down")
	_, err = c.Get(request(t, "load"), "k", func(context.Context, string) (string, error) { return "", kept })
	wantErr(t, err, kept)
	log.waitLine(t, "level=DEBUG", "load.failed", "class=product", "error_type=error", "the origin is down", "id=load")
	log.waitLine(t, "level=WARN", "loads.failed", "count=1", "id=load")

	if err := p.Pause(); err != nil { // it hangs
		t.Fatal(err)
	}
	defer resume(t, p)
	_, err = c.Lookup(request(t, "hung"), "other")
	wantErr(t, err, ErrUnavailable)
	log.waitLine(t, "level=DEBUG", "redis.call_failed", "operation=get", "error_type=timeout", "addr="+p.Addr(), "id=hung")
	log.waitLine(t, "level=WARN", "redis.calls_failed", "error_type=timeout", "count=1", "id=hung")
	wantTold(t, rec.take(t), "hung: end get GET keys=1 db=0 timeout")
	for _, line := range log.lines() {
		if strings.Contains(line, "product:list") || strings.Contains(line, "level=WARN") && strings.Contains(line, "the origin is down") {
			t.Errorf("the line tells too much: %s", line)
		}
	}
}

func TestALoadThatTakesTooLongIsLoggedOnce(t *testing.T) {
	t.Parallel()
	client, rec, log := openTraced(t, Options{MemoryOnly: true})
	c := cacheOf[string](t, client, "slow", Policy{LoadTimeout: 20 * time.Millisecond})
	_, err := c.Get(request(t, "late"), "k", func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	if err == nil {
		t.Error("no error")
	}
	wantTold(t, rec.take(t), "late: end load slow keys=1 timeout")
	wantErr(t, client.Close(), nil)
	n := 0
	for _, l := range log.lines() {
		if strings.Contains(l, "event=load.failed") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d lines about the load in\n%s", n, strings.Join(log.lines(), ""))
	}
	log.waitLine(t, "load.failed", "error_type=timeout", "id=late")
}

func TestAHitAllocatesNothingWithATracer(t *testing.T) {
	client, _, _ := openTraced(t, Options{MemoryOnly: true})
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	_, err := c.Set(t.Context(), "k", "v")
	wantErr(t, err, nil)
	load := constant("v")
	least := 1.0
	for range 50 { // other goroutines allocate too
		least = min(least, testing.AllocsPerRun(100, func() { _, _ = c.Get(t.Context(), "k", load) }))
	}
	if least > 0 {
		t.Errorf("a hit allocates %v times", least)
	}
}
