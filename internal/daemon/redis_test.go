package daemon

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

// serveRedis serves over a real server, once it is connected.
func serveRedis(t *testing.T, r *redistest.Server, environ ...string) *service {
	t.Helper()
	s := serveAPI(t, append(environ, "REDIS_HOST="+r.Host(), fmt.Sprint("REDIS_PORT=", r.Port()))...)
	s.becomes("up")
	return s
}

// becomes waits until /health says so, which takes at most the two seconds that
// a client may take to find its Redis again, and as long for a slow machine.
func (s *service) becomes(word string) {
	s.t.Helper()
	deadline := time.Now().Add(4 * time.Second)
	for {
		a := s.do("GET", "/health", "")
		if a.Header.Get("Evercache-Status") == word {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("health is not %s after 4 s: %s", word, a.body)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (a answer) from(t *testing.T, source, body string) {
	t.Helper()
	if a.StatusCode != 200 || a.body != body || a.Header.Get("Evercache-Source") != source {
		t.Errorf("answer = %d %q from %q, want %q from %s", a.StatusCode, a.body, a.Header.Get("Evercache-Source"), body, source)
	}
}

func TestValuesAreSharedWithOtherProgramsThroughRedis(t *testing.T) {
	r := redistest.Start(t)
	s := serveRedis(t, r, "REDIS_KEY_PREFIX=shop:")
	a := s.do("PUT", "/v1/cache/demo/a%2F%00?ttl=60s", "hello")
	if a.wantsStatus(t, 204); a.Header.Get("Evercache-Durability") != "master" {
		t.Errorf("Evercache-Durability = %q, want master", a.Header.Get("Evercache-Durability"))
	}
	if got := fmt.Sprint(r.Do("GET", "shop:demo:a/\x00")); got != "hello" {
		t.Errorf("in Redis is %q", got)
	}
	if got := r.Do("PTTL", "shop:demo:a/\x00").(int64); got <= 50_000 || got > 60_000 {
		t.Errorf("PTTL = %v, want about 60000", got)
	}

	r.Do("SET", "shop:elsewhere:b", "theirs", "PX", "60000") // a class that nobody wrote here
	get := s.do("GET", "/v1/cache/elsewhere/b", "")
	get.from(t, "redis", "theirs")
	if get.Header.Get("Evercache-Fresh") != "true" || get.Header.Get("Evercache-Coherent") != "true" {
		t.Errorf("header = %v", get.Header)
	}
	s.do("GET", "/v1/cache/elsewhere/b", "").from(t, "memory", "theirs")
	s.do("DELETE", "/v1/cache/elsewhere/b", "").wantsStatus(t, 204)
	if got := r.Do("EXISTS", "shop:elsewhere:b").(int64); got != 0 {
		t.Error("the key is still in Redis")
	}
	s.do("GET", "/v1/cache/elsewhere/b", "").wants(t, 404, "not_found")
	s.do("PUT", "/v1/cache/demo/a", "v", "Evercache-Min-Durability", "master").wantsStatus(t, 204)
	s.do("PUT", "/v1/cache/demo/a", "v", "Evercache-Min-Durability", "replicated").wants(t, 503, "below_durability")
	if m := s.do("GET", "/metrics", "").body; !strings.Contains(m, "evercache_redis_up 1") {
		t.Error("evercache_redis_up is not 1")
	}
	s.do("GET", "/health?strict=1", "").wantsStatus(t, 200)
}

func TestDeleteByPrefixCountsWhatRedisHad(t *testing.T) {
	r := redistest.Start(t)
	s := serveRedis(t, r)
	for _, key := range []string{"a*1", "a*2", "ab3", "b"} {
		r.Do("SET", "demo:"+key, "v")
	}
	r.Do("SET", "other:a*4", "v")
	for path, want := range map[string]string{"demo?prefix=a%2A": `{"deleted":2}`, "unknown?prefix=": `{"deleted":0}`} {
		a := s.do("DELETE", "/v1/cache/"+path, "")
		if a.wantsStatus(t, 200); a.body != want+"\n" {
			t.Errorf("%s: %s, want %s", path, a.body, want)
		}
	}
	if a := s.do("DELETE", "/v1/cache/demo?prefix=", ""); a.body != "{\"deleted\":2}\n" {
		t.Errorf("whole class: %s", a.body)
	}
	if got := r.Do("EXISTS", "demo:a*1", "demo:a*2", "demo:ab3", "demo:b", "other:a*4").(int64); got != 1 {
		t.Errorf("%d keys are left, want the one of the other class", got)
	}
}

func TestNobodyNoticesThatRedisIsGoneButHealth(t *testing.T) {
	r := redistest.Start(t)
	s := serveRedis(t, r)
	s.do("PUT", "/v1/cache/demo/a", "old").wantsStatus(t, 204)
	s.do("PUT", "/v1/cache/demo/gone", "old").wantsStatus(t, 204)
	r.Kill()
	s.do("GET", "/v1/cache/demo/a", "").from(t, "memory", "old")
	s.becomes("degraded")
	s.do("GET", "/v1/cache/demo/never-seen", "").wants(t, 503, "unavailable")
	if a := s.do("PUT", "/v1/cache/demo/a", "new"); a.StatusCode != 204 || a.Header.Get("Evercache-Durability") != "memory" {
		t.Errorf("PUT = %d %v", a.StatusCode, a.Header)
	}
	s.do("GET", "/v1/cache/demo/a", "").from(t, "memory", "new")
	s.do("DELETE", "/v1/cache/demo/gone", "").wantsStatus(t, 204)
	s.do("DELETE", "/v1/cache/demo?prefix=x", "").wantsStatus(t, 202)
	s.do("GET", "/readyz", "").wantsStatus(t, 200)
	s.do("GET", "/health?strict=1", "").wantsStatus(t, 503)

	r.Start()
	s.becomes("up")
	if got := fmt.Sprint(r.Do("GET", "demo:a")); got != "new" {
		t.Errorf("in Redis is %q, want what was written while it was away", got)
	}
	s.do("GET", "/v1/cache/demo/gone", "").wants(t, 404, "not_found")
}

func TestNoRequestWaitsForAHungRedis(t *testing.T) {
	r := redistest.Start(t)
	s := serveRedis(t, r)
	s.do("PUT", "/v1/cache/demo/a", "v").wantsStatus(t, 204)
	r.Pause()
	defer r.Resume()
	// Reads may wait 100 ms and writes 250 ms until the hang is known.
	const limit = 250*time.Millisecond + 500*time.Millisecond // for a slow machine
	for i := range 20 {
		for _, call := range []string{"GET a", fmt.Sprint("GET b", i), fmt.Sprint("PUT c", i), fmt.Sprint("DELETE d", i)} {
			method, key, _ := strings.Cut(call, " ")
			began := time.Now()
			a := s.do(method, "/v1/cache/demo/"+key, "")
			if took := time.Since(began); took > limit {
				t.Errorf("%s took %v", call, took)
			}
			if key[0] != 'b' && a.StatusCode >= 300 {
				t.Errorf("%s = %d %s", call, a.StatusCode, a.body)
			}
		}
	}
	s.becomes("degraded")
}

func TestAWrongPasswordIsAFindingAndNoSecret(t *testing.T) {
	r := redistest.Start(t, redistest.WithPassword("canary-right"))
	s := serveAPI(t, "REDIS_HOST="+r.Host(), fmt.Sprint("REDIS_PORT=", r.Port()), "REDIS_PASSWORD=canary-wrong", "EVERCACHE_LOG_LEVEL=debug")
	deadline := time.Now().Add(4 * time.Second)
	for !strings.Contains(s.do("GET", "/health", "").body, "WRONGPASS") {
		if time.Now().After(deadline) {
			t.Fatalf("health does not tell: %s", s.do("GET", "/health", "").body)
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.do("PUT", "/v1/cache/demo/a", "v").wantsStatus(t, 204)
	told := s.do("GET", "/health", "").body + s.do("GET", "/metrics", "").body + s.do("GET", "/v1/cache/demo/b", "").body + s.logs.String()
	if i := strings.Index(told, "canary"); i >= 0 {
		t.Errorf("told: …%s…", told[max(0, i-200):min(len(told), i+50)])
	}
}

// What was acknowledged in an outage is sent at the end, if Redis comes in time.
func TestDrainSendsWhatWasKept(t *testing.T) {
	r := redistest.Start(t)
	d := runDaemon(t, "REDIS_HOST="+r.Host(), fmt.Sprint("REDIS_PORT=", r.Port()))
	put := func(key string) string {
		t.Helper()
		req, err := http.NewRequest("PUT", "http://"+d.Addr().String()+"/v1/cache/demo/"+key, strings.NewReader("kept"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header.Get("Evercache-Durability")
	}
	deadline := time.Now().Add(4 * time.Second)
	for put("a") != "master" {
		if time.Now().After(deadline) {
			t.Fatal("Redis is not used after 4 s")
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.Kill()
	if got := put("b"); got != "memory" {
		t.Errorf("durability = %s, want memory", got)
	}
	d.stop()
	r.Start()
	if err := d.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
	if got := fmt.Sprint(r.Do("GET", "demo:b")); got != "kept" {
		t.Errorf("in Redis is %q, want kept", got)
	}
}

// TestAValueThatRedisDoesNotTakeIs413 and harms nobody else: Redis would end the
// connection of all callers at it.
func TestAValueThatRedisDoesNotTakeIs413(t *testing.T) {
	r := redistest.Start(t)
	r.Do("CONFIG", "SET", "proto-max-bulk-len", "1mb")
	s := serveRedis(t, r, "EVERCACHE_MAX_BODY=4MiB")
	a := s.do("PUT", "/v1/cache/demo/big", strings.Repeat("x", 2<<20))
	a.wants(t, 413, "value_too_large")
	if !strings.Contains(a.body, "proto-max-bulk-len") {
		t.Errorf("the answer does not say why: %s", a.body)
	}
	a = s.do("PUT", "/v1/cache/demo/small", "v")
	if a.wantsStatus(t, 204); a.Header.Get("Evercache-Durability") != "master" {
		t.Errorf("the next write is stored as %q", a.Header.Get("Evercache-Durability"))
	}
	s.do("GET", "/v1/cache/demo/big", "").wantsStatus(t, 404)
}
