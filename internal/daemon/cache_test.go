package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
)

func TestWhatIsPutIsGotUntilItIsDeleted(t *testing.T) {
	s := serveAPI(t)
	put := s.do("PUT", "/v1/cache/demo/a?ttl=60s", "hello")
	put.wantsStatus(t, 204)
	if d, n := put.Header.Get("Evercache-Durability"), put.Header.Get("Evercache-Replicas"); d != "memory" || n != "0" {
		t.Errorf("PUT: Evercache-Durability %q, Evercache-Replicas %q; want memory, 0", d, n)
	}
	get := s.do("GET", "/v1/cache/demo/a", "")
	get.wantsStatus(t, 200)
	if get.body != "hello" {
		t.Errorf("GET = %q, want hello", get.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Content-Length": "5", "Evercache-Source": "memory", "Evercache-Fresh": "true", "Evercache-Coherent": "false", "Age": "0",
	} {
		if got := get.Header.Get(name); got != want {
			t.Errorf("GET: %s = %q, want %q", name, got, want)
		}
	}
	head := s.do("HEAD", "/v1/cache/demo/a", "")
	head.wantsStatus(t, 200)
	if head.body != "" || head.Header.Get("Content-Length") != "5" || head.Header.Get("Evercache-Source") != "memory" {
		t.Errorf("HEAD: body %q, header %v", head.body, head.Header)
	}
	del := s.do("DELETE", "/v1/cache/demo/a", "")
	del.wantsStatus(t, 204)
	if d := del.Header.Get("Evercache-Durability"); d != "memory" {
		t.Errorf("DELETE: Evercache-Durability = %q, want memory", d)
	}
	s.do("GET", "/v1/cache/demo/a", "").wants(t, 404, "not_found")
	if h := s.do("HEAD", "/v1/cache/demo/a", ""); h.StatusCode != 404 || h.body != "" {
		t.Errorf("HEAD of nothing = %d %q", h.StatusCode, h.body)
	}
}

func TestAnEmptyBodyIsAValue(t *testing.T) {
	s := serveAPI(t)
	s.do("PUT", "/v1/cache/demo/a", "").wantsStatus(t, 204)
	if a := s.do("GET", "/v1/cache/demo/a", ""); a.StatusCode != 200 || a.body != "" {
		t.Errorf("GET = %d %q, want 200 and nothing", a.StatusCode, a.body)
	}
}

func TestGetShowsWhatIsKnownOfTheEntry(t *testing.T) {
	s := serveAPI(t).with(&fakeCache{entry: evercache.Entry[[]byte]{
		Value: []byte("v"), Source: evercache.SourceRedis, Age: 61*time.Second + 900*time.Millisecond, Coherent: true,
	}})
	a := s.do("GET", "/v1/cache/demo/a", "")
	for name, want := range map[string]string{
		"Evercache-Source": "redis", "Evercache-Fresh": "false", "Evercache-Coherent": "true", "Age": "61",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestAnUnknownKeyIsNotFoundOnlyWhenSomebodyKnows(t *testing.T) {
	t.Run("no Redis is configured", func(t *testing.T) {
		serveAPI(t).do("GET", "/v1/cache/demo/a", "").wants(t, 404, "not_found")
	})
	t.Run("Redis is away", func(t *testing.T) {
		s := serveAPI(t, redisAway(t)...)
		a := s.do("GET", "/v1/cache/demo/a", "")
		a.wants(t, 503, "unavailable")
		if got := a.Header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After = %q, want 1", got)
		}
		s.do("PUT", "/v1/cache/demo/a", "v").wantsStatus(t, 204)
		s.do("GET", "/v1/cache/demo/a", "").wantsStatus(t, 200)
		s.do("DELETE", "/v1/cache/demo/a", "").wantsStatus(t, 204)
		s.do("DELETE", "/v1/cache/other/never-seen", "").wantsStatus(t, 204)
		// Deleted here, so that nothing is there is known.
		s.do("GET", "/v1/cache/demo/a", "").wants(t, 404, "not_found")
	})
}

func TestTTLOfAPut(t *testing.T) {
	s := serveAPI(t, "EVERCACHE_MAX_TTL=1h", "EVERCACHE_TTL=10m")
	for _, ttl := range []string{"60", "60s", "1m30s", "1h", "3600", "1ms"} {
		s.do("PUT", "/v1/cache/demo/a?ttl="+ttl, "v").wantsStatus(t, 204)
	}
	for _, ttl := range []string{"", "0", "0s", "-1", "-1s", "3601", "61m", "1d", "abc", "1.5", "99999999999999999999"} {
		s.do("PUT", "/v1/cache/demo/bad?ttl="+ttl, "v").wants(t, 400, "bad_ttl")
	}
	s.do("PUT", "/v1/cache/demo/bad?ttl=1&ttl=2", "v").wants(t, 400, "bad_query")
	s.do("PUT", "/v1/cache/demo/bad?tll=60", "v").wants(t, 400, "bad_query")
	s.do("PUT", "/v1/cache/demo/bad?ttl", "v").wants(t, 400, "bad_query")
	s.do("GET", "/v1/cache/demo/bad?ttl=1", "").wants(t, 400, "bad_query")
	s.do("DELETE", "/v1/cache/demo/bad?ttl=1", "").wants(t, 400, "bad_query")
	s.do("GET", "/v1/cache/demo/bad", "").wants(t, 404, "not_found")
}

func TestATTLIsKept(t *testing.T) {
	s := serveAPI(t)
	s.do("PUT", "/v1/cache/demo/a?ttl=30ms", "v").wantsStatus(t, 204)
	deadline := time.Now().Add(5 * time.Second)
	for s.do("GET", "/v1/cache/demo/a", "").StatusCode != 404 {
		if time.Now().After(deadline) {
			t.Fatal("a value with a ttl of 30ms is still there after 5 s")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestDurabilityAskedFor(t *testing.T) {
	s := serveAPI(t, redisAway(t)...)
	for _, level := range []string{"memory", " memory "} {
		s.do("PUT", "/v1/cache/demo/a", "v", "Evercache-Min-Durability", level).wantsStatus(t, 204)
	}
	for _, level := range []string{"journaled", "master", "replicated", "replicated(2)"} {
		for _, method := range []string{"PUT", "DELETE"} {
			a := s.do(method, "/v1/cache/demo/a", "v", "Evercache-Min-Durability", level)
			a.wants(t, 503, "below_durability")
			if a.Header.Get("Retry-After") != "1" || a.Header.Get("Evercache-Durability") != "memory" || a.Header.Get("Evercache-Replicas") != "0" {
				t.Errorf("%s %s: header %v", method, level, a.Header)
			}
		}
	}
	s.do("PUT", "/v1/cache/demo/a", "v", "Evercache-Min-Durability", "most").wants(t, 400, "bad_durability")
	s.do("DELETE", "/v1/cache/demo/a", "", "Evercache-Min-Durability", "").wants(t, 400, "bad_durability")
}

func TestReceiptOfAReplicatedWrite(t *testing.T) {
	s := serveAPI(t).with(&fakeCache{receipt: replicatedTo(2)})
	for _, method := range []string{"PUT", "DELETE"} {
		a := s.do(method, "/v1/cache/demo/a", "v")
		if d, n := a.Header.Get("Evercache-Durability"), a.Header.Get("Evercache-Replicas"); d != "replicated" || n != "2" {
			t.Errorf("%s: Evercache-Durability %q, Evercache-Replicas %q; want replicated, 2", method, d, n)
		}
	}
}

func TestDeleteByPrefix(t *testing.T) {
	f := &fakeCache{deleted: 3, receipt: evercache.Receipt{Durability: evercache.Master}}
	s := serveAPI(t).with(f)
	a := s.do("DELETE", "/v1/cache/demo?prefix=a%2Fb%2A", "")
	if a.wantsStatus(t, 200); a.body != "{\"deleted\":3}\n" || a.Header.Get("Evercache-Durability") != "master" {
		t.Errorf("answer %q, header %v", a.body, a.Header)
	}
	f.deleted = 0
	if a := s.do("DELETE", "/v1/cache/demo?prefix=", ""); a.body != "{\"deleted\":0}\n" {
		t.Errorf("answer %q", a.body)
	}
	f.deleted, f.receipt = -1, evercache.Receipt{}
	a = s.do("DELETE", "/v1/cache/demo?prefix=p", "")
	if a.wantsStatus(t, 202); a.body != "{\"deleted\":null,\"pending\":true}\n" || a.Header.Get("Evercache-Durability") != "memory" {
		t.Errorf("answer %q, header %v", a.body, a.Header)
	}
	s.do("DELETE", "/v1/cache/demo", "").wants(t, 400, "prefix_required")
	s.do("DELETE", "/v1/cache/demo?prefix", "").wants(t, 400, "bad_query")
	s.do("DELETE", "/v1/cache/demo?prefix=a&prefix=b", "").wants(t, 400, "bad_query")
	s.do("DELETE", "/v1/cache/demo?perfix=a", "").wants(t, 400, "bad_query")
	s.do("DELETE", "/v1/cache/demo?prefix="+strings.Repeat("a", 1025), "").wants(t, 400, "bad_query")
	s.do("DELETE", "/v1/cache/Demo?prefix=a", "").wants(t, 400, "bad_class")
	s.do("DELETE", "/v1/cache/demo/?prefix=a", "").wants(t, 400, "bad_key")
	s.do("DELETE", "/v1/cache/?prefix=a", "").wants(t, 400, "bad_class")
	s.do("DELETE", "/v1/cache/demo?prefix=a", "", "Evercache-Min-Durability", "master").wants(t, 400, "bad_durability")
	if want := []string{"prefix a/b*", "prefix ", "prefix p"}; !slices.Equal(f.calls, want) {
		t.Errorf("calls = %q, want %q", f.calls, want)
	}
}

func TestDeleteByPrefixInAnOutageIsPending(t *testing.T) {
	s := serveAPI(t, redisAway(t)...)
	s.do("PUT", "/v1/cache/demo/a1", "v").wantsStatus(t, 204)
	s.do("PUT", "/v1/cache/demo/b1", "v").wantsStatus(t, 204)
	s.do("DELETE", "/v1/cache/demo?prefix=a", "").wantsStatus(t, 202)
	if a := s.do("GET", "/v1/cache/demo/a1", ""); a.StatusCode == 200 {
		t.Errorf("a1 is still served: %q", a.body)
	}
	s.do("GET", "/v1/cache/demo/b1", "").wantsStatus(t, 200)
}

func TestWhatTheLibrarySaysBecomesAnAnswer(t *testing.T) {
	for _, tc := range []struct {
		err    error
		status int
		code   string
		retry  string
	}{
		{evercache.ErrNotFound, 404, "not_found", ""},
		{fmt.Errorf("%w: dial: refused", evercache.ErrUnavailable), 503, "unavailable", "1"},
		{fmt.Errorf("%w: loads of this class fail", evercache.ErrOriginPaused), 503, "unavailable", "1"},
		{evercache.ErrClosed, 503, "shutting_down", "1"},
		{evercache.ErrKey, 400, "bad_key", ""},
		{evercache.ErrTTL, 400, "bad_ttl", ""},
		{evercache.ErrDurability, 400, "bad_durability", ""},
		{&evercache.DurabilityError{Asked: evercache.Master, Cause: evercache.ErrUnavailable}, 503, "below_durability", "1"},
		{errors.New("a fault with secret details"), 500, "internal", ""},
	} {
		s := serveAPI(t).with(&fakeCache{err: tc.err})
		for _, call := range []string{"GET /v1/cache/demo/a", "PUT /v1/cache/demo/a", "DELETE /v1/cache/demo/a", "DELETE /v1/cache/demo?prefix="} {
			method, path, _ := strings.Cut(call, " ")
			a := s.do(method, path, "")
			a.wants(t, tc.status, tc.code)
			if got := a.Header.Get("Retry-After"); got != tc.retry {
				t.Errorf("%s: Retry-After = %q, want %q", call, got, tc.retry)
			}
			if strings.Contains(a.body, "secret") || strings.Contains(a.body, "refused") {
				t.Errorf("%s: the answer tells too much: %s", call, a.body)
			}
		}
	}
}

func TestConditionalAndPartialPutsAreRefused(t *testing.T) {
	s := serveAPI(t)
	for name, value := range map[string]string{"Content-Range": "bytes 0-1/5", "If-Match": `"x"`, "If-None-Match": "*", "If-Unmodified-Since": "Mon, 01 Jan 2026 00:00:00 GMT"} {
		s.do("PUT", "/v1/cache/demo/a", "v", name, value).wants(t, 400, "unsupported_header")
	}
	s.do("GET", "/v1/cache/demo/a", "").wants(t, http.StatusNotFound, "not_found")
}
