package daemon

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetricsHaveEveryRouteFromTheStart(t *testing.T) {
	body := serveAPI(t, redisAway(t)...).do("GET", "/metrics", "").body
	for _, want := range []string{
		`evercache_http_requests_total{code="503",method="PUT",route="cache_key"} 0`,
		`evercache_http_requests_total{code="401",method="GET",route="index"} 0`,
		`evercache_http_request_duration_seconds_count{route="cache_class"} 0`,
		`evercache_mode_info{mode="standalone",requested_mode="standalone"} 1`,
		`evercache_cache_requests_total{op="set",result="ok",tier="l2"} 0`,
		"evercache_build_info{", "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in /metrics", want)
		}
	}
}

func TestInventedPathsAndMethodsMakeNoSeries(t *testing.T) {
	s := serveAPI(t)
	before := testutil.CollectAndCount(s.api.metrics.requests)
	for _, method := range []string{"BREW", "CANARY", "PROPFIND"} {
		for _, path := range []string{"/canary", "/v1/cache/canary/canary", "/v1/canary"} {
			s.do(method, path, "")
		}
	}
	if got := testutil.CollectAndCount(s.api.metrics.requests) - before; got > 2 { // none and cache_key, with method other
		t.Errorf("%d series were made", got)
	}
	if body := s.do("GET", "/metrics", "").body; strings.Contains(body, "canary") || strings.Contains(body, "BREW") {
		t.Error("/metrics quotes a caller")
	}
}

func TestMetricsPassTheLinters(t *testing.T) {
	s := serveAPI(t)
	s.do("PUT", "/v1/cache/demo/a", "v")
	problems, err := testutil.GatherAndLint(s.api.metrics.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if promtool, err := exec.LookPath("promtool"); err == nil {
		cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(s.do("GET", "/metrics", "").body)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
	}
}
