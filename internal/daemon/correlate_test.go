package daemon

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

// waitLine waits for a line of the log that has all these, and returns it.
func (l *logs) waitLine(t *testing.T, parts ...string) (found map[string]any) {
	t.Helper()
	testbed.Until(t, 20*time.Second, func() bool {
		for line := range strings.Lines(l.String()) {
			all := true
			for _, p := range parts {
				all = all && strings.Contains(line, p)
			}
			if all && json.Unmarshal([]byte(line), &found) == nil {
				return true
			}
		}
		return false
	}, func() string { return fmt.Sprintf("no line has %q in\n%s", parts, l) })
	return found
}

func TestTheLineOfACallToAHungRedisHasTheIDOfItsRequest(t *testing.T) {
	r := redistest.Start(t)
	s := serveRedis(t, r)
	r.Pause()
	t.Cleanup(r.Resume)
	a := s.do("GET", "/v1/cache/demo/hung", "", "X-Correlation-ID", "order-4711")
	a.wants(t, 503, "unavailable")
	if got := a.Header.Get("X-Request-Id"); got != "order-4711" {
		t.Errorf("the answer has the id %q", got)
	}
	line := s.logs.waitLine(t, `"event":"redis.call_failed"`, `"request_id":"order-4711"`)
	if line["level"] != "DEBUG" || line["error_type"] != "timeout" || line["operation"] != "get" || line["addr"] != r.Addr() {
		t.Errorf("the line is %v", line)
	}
	line = s.logs.waitLine(t, `"event":"redis.calls_failed"`, `"request_id":"order-4711"`)
	if line["level"] != "WARN" || line["count"] != 1.0 {
		t.Errorf("the summary is %v", line)
	}
	for line := range strings.SplitSeq(s.logs.String(), "\n") {
		if strings.Count(line, `"request_id"`) > 1 || strings.Contains(line, "demo/hung") {
			t.Errorf("the line has two ids, or a key: %s", line)
		}
	}
}

func TestEveryLineOfARequestHasItsID(t *testing.T) {
	s := serveAPI(t, "EVERCACHE_TOKEN=a-token-that-is-long-enough")
	s.do("GET", "/v1/cache/demo/a", "", "X-Request-ID", "refused-1")
	s.logs.waitLine(t, "auth.failed", `"request_id":"refused-1"`)
	s.logs.waitLine(t, "request.ended", `"request_id":"refused-1"`)
	for line := range strings.Lines(s.logs.String()) {
		if strings.Contains(line, "request") != strings.Contains(line, `"request_id"`) {
			t.Errorf("a line of a request without an id, or of none with one: %s", line)
		}
	}
}
