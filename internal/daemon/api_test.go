package daemon

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/evercache/evercache"
)

func TestMethodsThatAPathDoesNotTake(t *testing.T) {
	s := serveAPI(t)
	for call, allow := range map[string]string{
		"POST /v1/cache/demo/a":    "DELETE, GET, HEAD, PUT",
		"PATCH /v1/cache/demo/a":   "DELETE, GET, HEAD, PUT",
		"OPTIONS /v1/cache/demo/a": "DELETE, GET, HEAD, PUT",
		"GET /v1/cache/demo":       "DELETE",
		"PUT /v1/cache/demo":       "DELETE",
		"GET /v1/revocations":      "POST",
		"POST /health":             "GET, HEAD",
		"DELETE /livez":            "GET, HEAD",
		"PUT /":                    "GET, HEAD",
		"BREW /metrics":            "GET, HEAD",
	} {
		method, path, _ := strings.Cut(call, " ")
		a := s.do(method, path, "")
		a.wants(t, 405, "method_not_allowed")
		if got := a.Header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow = %q, want %q", call, got, allow)
		}
	}
}

func TestErrorsHaveOneShape(t *testing.T) {
	s := serveAPI(t)
	a := s.do("GET", "/v1/cache/demo/a", "", "X-Request-ID", "job-7")
	want := `{"error":{"code":"not_found","message":"the key has no value","requestId":"job-7"}}` + "\n"
	if a.body != want {
		t.Errorf("body = %s, want %s", a.body, want)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Request-Id": "job-7",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestRequestIDIsInAnswersErrorsAndLogs(t *testing.T) {
	s := serveAPI(t)
	for _, h := range [][]string{{"Traceparent", "00-" + someTrace + "-00f067aa0ba902b7-01", "X-Request-ID", "other"}, {"X-Request-ID", someTrace}} {
		for _, path := range []string{"/health", "/livez", "/v1/cache/demo/a", "/nothing"} {
			a := s.do("GET", path, "", h...)
			if got := a.Header.Get("X-Request-ID"); got != someTrace {
				t.Errorf("%s: X-Request-ID = %q, want %q", path, got, someTrace)
			}
		}
	}
	a := s.do("GET", "/v1/cache/demo/a", "", "X-Request-ID", "not allowed!")
	id := a.Header.Get("X-Request-ID")
	if !validRequestID(id) || !strings.Contains(a.body, `"requestId":"`+id+`"`) {
		t.Errorf("X-Request-ID = %q, body %s", id, a.body)
	}
	for _, want := range []string{someTrace, id} {
		if !strings.Contains(s.logs.String(), `"request_id":"`+want+`"`) {
			t.Errorf("the log does not have %s:\n%s", want, s.logs)
		}
	}
}

func TestIndexSaysWhatThereIs(t *testing.T) {
	a := serveAPI(t, redisAway(t)...).do("GET", "/", "")
	a.wantsStatus(t, 200)
	for _, want := range []string{"evercache", "standalone mode", "PUT    /v1/cache/{class}/{key}?ttl=60s", "/metrics"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%q is not in\n%s", want, a.body)
		}
	}
}

func TestHealthOfAServiceWhoseRedisIsAway(t *testing.T) {
	s := serveAPI(t, redisAway(t)...)
	a := s.do("GET", "/health", "")
	if a.wantsStatus(t, 200); a.Header.Get("Evercache-Status") != "degraded" {
		t.Errorf("Evercache-Status = %q, want degraded", a.Header.Get("Evercache-Status"))
	}
	var h struct {
		Redis struct{ Status, Mode, Message string }
	}
	if err := json.Unmarshal([]byte(a.body), &h); err != nil {
		t.Fatal(err)
	}
	if h.Redis.Status != "degraded" || h.Redis.Mode != "standalone" || !strings.Contains(h.Redis.Message, "memory answers") {
		t.Errorf("redis = %+v", h.Redis)
	}
	s.do("GET", "/health?strict=1", "").wantsStatus(t, 503)
	s.do("GET", "/readyz", "").wantsStatus(t, 200)
	s.do("GET", "/livez", "").wantsStatus(t, 200)
	s.api.status.SetDraining()
	s.do("GET", "/health", "").wantsStatus(t, 503)
	s.do("GET", "/readyz", "").wantsStatus(t, 503)
	s.do("GET", "/livez", "").wantsStatus(t, 200)
}

// panics is a cache with a fault of ours in it.
type panics struct {
	*fakeCache
	with any
}

func (p panics) Delete(_ context.Context, _ string, _ ...evercache.WriteOption) (evercache.Receipt, error) {
	panic(p.with)
}

func TestAPanicIsAnAnswerAndOneLineInTheLog(t *testing.T) {
	s := serveAPI(t).with(panics{&fakeCache{}, "a panic that quotes hush-hush"})
	a := s.do("DELETE", "/v1/cache/demo/a", "", "X-Request-ID", "job-7")
	a.wants(t, 500, "internal")
	if !strings.Contains(a.body, `"requestId":"job-7"`) {
		t.Errorf("body = %s", a.body)
	}
	log := s.logs.String()
	if n := strings.Count(log, `"msg":"panic in a handler"`); n != 1 {
		t.Errorf("%d lines about it in the log, want 1:\n%s", n, log)
	}
	for _, want := range []string{`"level":"ERROR"`, `"request_id":"job-7"`, `"panic":"string"`, "cache.go"} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is not in the log:\n%s", want, log)
		}
	}
	if strings.Contains(log, "hush-hush") {
		t.Errorf("the log quotes the panic:\n%s", log)
	}
	if !strings.Contains(s.do("GET", "/metrics", "").body, `evercache_http_requests_total{code="500",method="DELETE",route="cache_key"} 1`) {
		t.Error("the panic is not counted")
	}
}

func TestAPanicInTheMiddleOfAnAnswerBreaksIt(t *testing.T) {
	s := serveAPI(t)
	s.api.routes.byPath["/half"] = newRoute("half", withBearer, map[string]handler{"GET": func(w http.ResponseWriter, _ *request) *apiError {
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("half"))
		panic("the rest")
	}})
	resp, err := http.Get(s.URL + "/half")
	if err == nil {
		_, err = resp.Body.Read(make([]byte, 100))
		for err == nil {
			_, err = resp.Body.Read(make([]byte, 100))
		}
		resp.Body.Close()
	}
	if err == nil || err.Error() == "EOF" {
		t.Errorf("half an answer looks whole: %v", err)
	}
	s.do("GET", "/livez", "").wantsStatus(t, 200)
}
