package daemon

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/otlp"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

// fakeCollector keeps what it is sent.
type fakeCollector struct {
	*httptest.Server
	mu   sync.Mutex // guards sent
	sent []byte
}

func startFakeCollector(t *testing.T) *fakeCollector {
	t.Helper()
	c := &fakeCollector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Api-Key") != "canary" {
			t.Errorf("%s %v: %v", r.URL.Path, r.Header, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sent = append(c.sent, b...)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *fakeCollector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.sent)
}

func ask(t *testing.T, method, url, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// runConnected runs a Daemon that has reached Redis.
func runConnected(t *testing.T, r *redistest.Server, environ ...string) *running {
	t.Helper()
	d := runDaemon(t, append(one(r), environ...)...)
	testbed.Until(t, 20*time.Second, func() bool { return d.live.Load().client.Health().Connected }, func() string { return "no Redis is reached" })
	return d
}

func TestARequestIsATraceAtTheCollector(t *testing.T) {
	r, c := redistest.Start(t), startFakeCollector(t)
	d := runConnected(t, r, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_EXPORTER_OTLP_HEADERS=api-key=canary", "OTEL_SERVICE_NAME=shop-cache",
		"EVERCACHE_LOG_LEVEL=debug")
	base := "http://" + d.Addr().String()
	ask(t, "PUT", base+"/v1/cache/demo/secret-key", "secret-value", "Traceparent", "00-"+someTrace+"-00f067aa0ba902b7-01")
	ask(t, "GET", base+"/v1/cache/demo/other-key", "", "Traceparent", "00-"+strings.Repeat("a", 32)+"-00f067aa0ba902b7-00") // not sampled
	ask(t, "GET", base+"/health", "")
	r.Pause()
	ask(t, "GET", base+"/v1/cache/demo/third-key", "", "X-Request-ID", "order-4711")
	line := d.logs.waitLine(t, "redis.call_failed", "order-4711")
	r.Resume()
	d.stop()
	if err := d.wait(); err != nil {
		t.Error(err)
	}
	sent := c.text()
	for _, want := range []string{
		"PUT /v1/cache/{class}/{key}", "GET /v1/cache/{class}/{key}", "http.response.status_code", "shop-cache", "service.version",
		"db.system.name", "db.operation.name", "evercache.cache.tier", "evercache.cache.result", "error.type", "timeout", "order-4711",
		"\x0a\x10\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36", // trace_id of the traceparent
		"\x22\x08\x00\xf0\x67\xaa\x0b\xa9\x02\xb7",                                 // parent_span_id
	} {
		if !strings.Contains(sent, want) {
			t.Errorf("%q is not in what was sent", want)
		}
	}
	for _, secret := range []string{"secret-", "other-key", "third-key", "canary", strings.Repeat("\xaa", 16), "health"} {
		if strings.Contains(sent, secret) || secret == "canary" && strings.Contains(d.logs.String(), secret) {
			t.Errorf("%q is in what was sent, or in the log", secret)
		}
	}
	if id, _ := line["trace_id"].(string); len(id) != 32 || id == someTrace || line["span_id"] == nil {
		t.Errorf("the line has no trace: %v", line)
	}
}

func TestACollectorThatHangsDelaysNeitherRequestsNorTheEnd(t *testing.T) {
	gate := make(chan struct{})
	c := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-gate }))
	t.Cleanup(c.Close)
	t.Cleanup(func() { close(gate) })
	r := redistest.Start(t)
	d := runConnected(t, r, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	plain := runConnected(t, r)
	for range 200 {
		if resp := ask(t, "PUT", "http://"+d.Addr().String()+"/v1/cache/demo/a", "v"); resp.StatusCode != 204 {
			t.Fatalf("PUT = %d", resp.StatusCode)
		}
	}
	late := testbed.Lateness(t)
	ends := func(d *running) time.Duration {
		began := time.Now()
		d.stop()
		if err := d.wait(); err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	without := ends(plain)
	if took := ends(d); took > without+tracesPatience+late()+time.Second {
		t.Errorf("the end took %v, and %v without a collector", took, without)
	}
}

func TestEverySamplerOfTheSettingsIsKnown(t *testing.T) {
	for _, name := range []string{
		"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "Parentbased_TraceIDRatio",
	} {
		cfg, err := config.FromEnv([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "OTEL_TRACES_SAMPLER=" + name})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := otlp.SamplerOf(cfg.Server.Traces.Sampler, 1); !ok {
			t.Errorf("%s is not known", name)
		}
	}
}
