package otlp

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/testbed"
	"google.golang.org/protobuf/encoding/protowire"
)

func TestTraceparent(t *testing.T) {
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	p, ok := ParseTraceparent("00-" + id + "-" + span + "-01")
	if !ok || p.Trace.String() != id || p.Span.String() != span || !p.Sampled {
		t.Errorf("%v %v", p, ok)
	}
	if p, ok := ParseTraceparent("01-" + id + "-" + span + "-02-more-to-come"); !ok || p.Sampled {
		t.Errorf("a later version: %v %v", p, ok)
	}
	for _, bad := range []string{
		"", "-", "00-" + id, "ff-" + id + "-" + span + "-01", "00-" + id + "-" + span + "-01-x", "00-" + strings.ToUpper(id) + "-" + span + "-01",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01", "00-" + id + "-" + strings.Repeat("0", 16) + "-01", "00-" + id + "-" + span + "-0g",
	} {
		if _, ok := ParseTraceparent(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzParseTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("----")
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := ParseTraceparent(text); ok && !strings.Contains(text, p.Trace.String()+"-"+p.Span.String()) {
			t.Errorf("%q is %v", text, p)
		}
	})
}

func TestSamplers(t *testing.T) {
	low, high := TraceID{1}, TraceID{1}
	for i := range 8 {
		high[8+i] = 0xff
	}
	above := func(id TraceID, sampled bool) Parent { return Parent{Trace: id, Span: SpanID{1}, Sampled: sampled} }
	for _, tc := range []struct {
		name  string
		ratio float64
		of    Parent
		want  bool
	}{
		{"always_on", 0, above(high, false), true},
		{"always_off", 1, above(high, true), false},
		{"parentbased_always_on", 0, Parent{Trace: high}, true},
		{"parentbased_always_on", 0, above(high, false), false},
		{"parentbased_always_off", 0, Parent{Trace: high}, false},
		{"parentbased_always_off", 0, above(high, true), true},
		{"traceidratio", 0.5, above(high, true), false},
		{"traceidratio", 0.5, above(low, false), true},
		{"traceidratio", 0, Parent{Trace: low}, false},
		{"traceidratio", 1, Parent{Trace: high}, true},
		{"parentbased_traceidratio", 0.5, Parent{Trace: high}, false},
		{"parentbased_traceidratio", 0.5, above(high, true), true},
	} {
		s, ok := SamplerOf(tc.name, tc.ratio)
		if got := s.samples(tc.of); !ok || got != tc.want {
			t.Errorf("%s %v of %v: %v", tc.name, tc.ratio, tc.of, got)
		}
	}
	if _, ok := SamplerOf("jaeger", 1); ok {
		t.Error("an unknown sampler is taken")
	}
}

// collector is one that a test can break.
type collector struct {
	*httptest.Server
	status atomic.Int64  // 0: 200
	hang   chan struct{} // nil: it answers
	tries  atomic.Int64

	mu     sync.Mutex // guards what follows
	bodies [][]byte
	header http.Header
}

func startCollector(t *testing.T, hang chan struct{}) *collector {
	c := &collector{hang: hang}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.tries.Add(1)
		if c.hang != nil {
			<-c.hang
			return
		}
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		if s := int(c.status.Load()); s != 0 {
			if s/100 == 3 {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(s)
			_, _ = w.Write(bytes.Repeat([]byte("garbage"), 1<<16))
			return
		}
		c.mu.Lock()
		c.bodies, c.header = append(c.bodies, b.Bytes()), r.Header
		c.mu.Unlock()
		_, _ = w.Write([]byte("\xff\xfe garbage \x00"))
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(bytes.Join(c.bodies, nil))
}

func exporter(t *testing.T, url string) (*Tracer, *testbed.Buffer) {
	log := new(testbed.Buffer)
	tr := New(Config{
		URL: url, Headers: map[string]string{"Api-Key": "canary"}, Timeout: time.Minute, Version: "1",
		Resource: []Attr{{"service.name", "shop"}}, Sampler: Sampler{Parent: true, Ratio: 1},
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	t.Cleanup(func() { end(tr, 0) })
	return tr, log
}

// end ends the exporter within d, and returns how long that took.
func end(tr *Tracer, d time.Duration) time.Duration {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	began := time.Now()
	tr.Shutdown(ctx)
	return time.Since(began)
}

// spans makes spans, and returns how long that took.
func spans(tr *Tracer, n int) time.Duration {
	began := time.Now()
	for range n {
		ctx, s := tr.Start(context.Background(), "GET /x", Server, Parent{}, Attr{"http.response.status_code", 200})
		_, child := Child(ctx, "GET", Client, Attr{"db.system.name", "redis"}, Attr{"ok", true})
		child.Fail()
		child.End()
		s.End()
		s.End() // once counts
	}
	return time.Since(began)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestSpansGetToTheCollector(t *testing.T) {
	c := startCollector(t, nil)
	tr, log := exporter(t, c.URL+"/v1/traces")
	spans(tr, 600) // 1200 spans: some at once, the rest at the end
	until(t, "no full batch is sent at once", func() bool { return tr.Exported() >= mostSent })
	end(tr, 20*time.Second)
	if tr.Exported() != 1200 || tr.Dropped() != 0 || tr.Waiting() != 0 {
		t.Errorf("%d spans are exported, %d dropped, %d wait", tr.Exported(), tr.Dropped(), tr.Waiting())
	}
	for _, want := range []string{"service.name", "shop", "db.system.name", scope} {
		if !strings.Contains(c.text(), want) {
			t.Errorf("%s is not in what was sent", want)
		}
	}
	if c.header.Get("Api-Key") != "canary" || c.header.Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("headers: %v", c.header)
	}
	if n := countSpans(t, c.bodies); n != 1200 {
		t.Errorf("%d spans in the requests", n)
	}
	if log.String() != "" {
		t.Errorf("the log: %s", log)
	}
	spans(tr, 1) // after the end
	if tr.Dropped() != 2 {
		t.Errorf("%d dropped after the end", tr.Dropped())
	}
}

// countSpans walks over the messages: what is no message fails the test.
func countSpans(t *testing.T, bodies [][]byte) (n int) {
	t.Helper()
	path := []protowire.Number{1, 2, 2} // resource_spans, scope_spans, spans
	var walk func(b []byte, depth int)
	walk = func(b []byte, depth int) {
		if depth == len(path) {
			n++
			return
		}
		for len(b) > 0 {
			number, kind, size := protowire.ConsumeField(b)
			if size < 0 {
				t.Fatal(protowire.ParseError(size))
			}
			if _, _, head := protowire.ConsumeTag(b); number == path[depth] && kind == protowire.BytesType {
				in, _ := protowire.ConsumeBytes(b[head:])
				walk(in, depth+1)
			}
			b = b[size:]
		}
	}
	for _, b := range bodies {
		walk(b, 0)
	}
	return n
}

func TestACollectorThatHangsDelaysNothing(t *testing.T) {
	gate := make(chan struct{})
	c := startCollector(t, gate)
	t.Cleanup(func() { close(gate) })
	tr, _ := exporter(t, c.URL)
	took := spans(tr, 10*mostWaiting) // 20 times the room
	until(t, "nothing is sent", func() bool { return c.tries.Load() > 0 })
	if took > 5*time.Second {
		t.Errorf("%v for spans that nobody takes", took)
	}
	if tr.Waiting() > mostWaiting || tr.Dropped() == 0 {
		t.Errorf("%d wait and %d were dropped", tr.Waiting(), tr.Dropped())
	}
	if took := end(tr, time.Second); took > 2*time.Second {
		t.Errorf("the end took %v", took)
	}
	if tr.Dropped() != 20*mostWaiting || tr.Exported() != 0 {
		t.Errorf("%d of %d are counted as dropped", tr.Dropped(), 20*mostWaiting)
	}
}

func TestACollectorThatIsDownIsToldOnceAndTriedAgain(t *testing.T) {
	c := startCollector(t, nil)
	c.status.Store(503)
	tr, log := exporter(t, c.URL)
	spans(tr, mostSent/2) // a full request
	until(t, "it is not tried again", func() bool { return c.tries.Load() > 1 })
	c.status.Store(0)
	until(t, "it is not taken later", func() bool { return tr.Exported() == mostSent })
	end(tr, time.Second)
	if tr.Dropped() != 0 || strings.Count(log.String(), "traces.failed") != 1 || strings.Count(log.String(), "traces.exported") != 1 ||
		!strings.Contains(log.String(), "answers 503") {
		t.Errorf("%d dropped; the log:\n%s", tr.Dropped(), log)
	}
}

func TestWhatACollectorRefusesIsNotSentAgain(t *testing.T) {
	for _, status := range []int{302, 400, 401, 500} {
		c := startCollector(t, nil)
		c.status.Store(int64(status))
		tr, log := exporter(t, c.URL)
		spans(tr, mostSent/2)
		until(t, "it is not dropped", func() bool { return tr.Dropped() == mostSent })
		end(tr, time.Second)
		if c.tries.Load() != 1 {
			t.Errorf("%d: %d tries", status, c.tries.Load())
		}
		if strings.Contains(log.String(), "canary") || !strings.Contains(log.String(), "traces.failed") {
			t.Errorf("%d: the log is %s", status, log)
		}
	}
}

func TestNoCollectorAtAllDelaysNoEnd(t *testing.T) {
	c := startCollector(t, nil)
	url := strings.Replace(c.URL, "http://", "http://user:canary@", 1)
	c.Close()
	tr, log := exporter(t, url)
	spans(tr, mostSent/2)
	until(t, "the log is not told", func() bool { return strings.Contains(log.String(), "traces.failed") })
	if took := end(tr, time.Second); took > time.Second {
		t.Errorf("the end took %v", took)
	}
	if tr.Dropped() != mostSent || strings.Contains(log.String(), "canary") {
		t.Errorf("%d dropped; the log: %s", tr.Dropped(), log)
	}
}

func TestWithoutASamplerOrAParentNothingIsMade(t *testing.T) {
	var none *Tracer
	ctx, s := none.Start(context.Background(), "x", Server, Parent{})
	if _, child := Child(ctx, "y", Client); s != nil || child != nil {
		t.Error("a span of no tracer")
	}
	s.Set(Attr{"a", 1})
	s.Fail()
	s.End()
	none.Shutdown(ctx)
	if s.Context().Valid() {
		t.Error("it has a context")
	}
}

func TestASpanIsBounded(t *testing.T) {
	c := startCollector(t, nil)
	tr, _ := exporter(t, c.URL)
	_, s := tr.Start(context.Background(), strings.Repeat("n", 1<<20), Server, Parent{})
	for i := range 1000 {
		s.Set(Attr{strings.Repeat("k", i%50+1), strings.Repeat("v", 1<<20)}, Attr{"same", i})
	}
	s.Set(Attr{"k", "last"})
	if n := len(s.encode()); n > 64<<10 {
		t.Errorf("it has %d bytes", n)
	}
	if !bytes.Contains(s.encode(), []byte("last")) {
		t.Error("what changes is not there")
	}
}
