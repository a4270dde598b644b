package daemon

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHostMustBeOneOfOurs(t *testing.T) {
	s := serveAPI(t, "EVERCACHE_HOSTS=cache.example,fd00::7")
	for _, host := range []string{
		"localhost", "localhost:3000", "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:3000",
		"cache.example", "Cache.Example.:80", "[fd00::7]:3000",
	} {
		s.do("GET", "/health", "", "Host", host).wantsStatus(t, 200)
	}
	for _, host := range []string{
		"evil.example", "localhost.evil.example", "cache.example.evil", "127.0.0.1.evil.example", "127.0.0.2", "10.0.0.1:3000",
		"[::2]", "0.0.0.0", "127.1", "2130706433", "x.localhost", "localhost:80:80",
	} {
		for _, path := range []string{"/", "/health", "/metrics", "/v1/cache/demo/a", "/nothing"} {
			s.do("GET", path, "", "Host", host).wants(t, 403, "host_not_allowed")
		}
		s.do("PUT", "/v1/cache/demo/a", "v", "Host", host).wants(t, 403, "host_not_allowed")
		for _, path := range []string{"/livez", "/readyz"} { // they tell nothing, and supervisors use odd names
			s.do("GET", path, "", "Host", host).wantsStatus(t, 200)
		}
	}
	if n := s.api.client.Stats().Sets; n != 0 {
		t.Errorf("%d values were stored", n)
	}
}

// A pod is asked by its own address, which no list can hold beforehand.
func TestTheAddressOfTheConnectionIsOurs(t *testing.T) {
	s := serveAPI(t)
	ask := func(host, local string) int {
		r := httptest.NewRequest("GET", "/health", nil)
		r.Host = host
		addr, err := net.ResolveTCPAddr("tcp", local)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.api.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, addr)))
		return w.Code
	}
	for _, tc := range []struct {
		host, local string
		want        int
	}{
		{"10.1.2.3:3000", "10.1.2.3:3000", 200},
		{"10.1.2.3", "10.1.2.3:3000", 200},
		{"10.1.2.3", "[::ffff:10.1.2.3]:3000", 200},
		{"[fd00::1]:3000", "[fd00::1]:3000", 200},
		{"10.1.2.4:3000", "10.1.2.3:3000", 403},
		{"pod.example", "10.1.2.3:3000", 403},
	} {
		if got := ask(tc.host, tc.local); got != tc.want {
			t.Errorf("Host %s on a connection to %s = %d, want %d", tc.host, tc.local, got, tc.want)
		}
	}
}

func TestOtherOriginsAreRefused(t *testing.T) {
	s := serveAPI(t)
	s.do("PUT", "/v1/cache/demo/a", "v").wantsStatus(t, 204)
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS"} {
		for _, h := range [][]string{
			{"Origin", "https://evil.example"},
			{"Origin", "null"},
			{"Origin", "http://localhost:1"},
			{"Origin", "http://%zz"},
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Sec-Fetch-Site", "whatever"},
			{"Sec-Fetch-Site", "cross-site", "Origin", s.URL},
		} {
			a := s.do(method, "/v1/cache/demo/a", "", h...)
			if a.StatusCode != 403 || method != "HEAD" && a.code() != "cross_origin" {
				t.Errorf("%s with %v = %d %q, want 403 cross_origin", method, h, a.StatusCode, a.body)
			}
			if a.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s with %v is allowed to read the answer", method, h)
			}
		}
	}
	for _, h := range [][]string{{}, {"Origin", s.URL}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}} {
		s.do("GET", "/v1/cache/demo/a", "", h...).wantsStatus(t, 200)
	}
}

func TestTokenIsAskedForEverywhereButByMonitors(t *testing.T) {
	s := serveAPI(t, "EVERCACHE_TOKEN=the-long-token-1")
	guarded := []string{"GET /", "GET /metrics", "GET /v1/cache/demo/a", "PUT /v1/cache/demo/a", "DELETE /v1/cache/demo/a", "DELETE /v1/cache/demo?prefix=", "POST /v1/revocations", "GET /nothing", "OPTIONS /"}
	for _, call := range guarded {
		method, path, _ := strings.Cut(call, " ")
		for _, h := range [][]string{
			{},
			{"Authorization", "Bearer wrong"},
			{"Authorization", "Bearer "},
			{"Authorization", "Bearer"},
			{"Authorization", "the-long-token-1"},
			{"Authorization", "Bearer the-long-token-12"},
			{"Authorization", "Token the-long-token-1"},
			{"Authorization", "Basic !"},
			{"Authorization", basic("the-long-token-1", "")},
		} {
			a := s.do(method, path, "", h...)
			a.wants(t, 401, "unauthorized")
			if c := a.Header.Get("Www-Authenticate"); !strings.HasPrefix(c, "Bearer ") {
				t.Errorf("%s: WWW-Authenticate = %q", call, c)
			}
		}
		for _, h := range []string{"Bearer the-long-token-1", "bearer  the-long-token-1"} {
			if a := s.do(method, path, "", "Authorization", h); a.StatusCode == 401 {
				t.Errorf("%s with the token = 401", call)
			}
		}
	}
	for _, path := range []string{"/", "/metrics"} {
		s.do("GET", path, "", "Authorization", basic("anybody", "the-long-token-1")).wantsStatus(t, 200)
		s.do("GET", path, "", "Authorization", basic("", "wrong")).wants(t, 401, "unauthorized")
		if c := s.do("GET", path, "").Header.Values("Www-Authenticate"); len(c) != 2 || !strings.HasPrefix(c[1], "Basic ") {
			t.Errorf("%s: WWW-Authenticate = %q, want Bearer and Basic", path, c)
		}
	}
	s.do("PUT", "/v1/cache/demo/a", "v", "Authorization", basic("", "the-long-token-1")).wants(t, 401, "unauthorized")
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		s.do("GET", path, "").wantsStatus(t, 200)
	}
}

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func TestARotatedTokenFileIsFollowed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the-first-token-of-all\n")
	s := serveAPI(t, "EVERCACHE_TOKEN_FILE="+file)
	ask := func(token string) int {
		return s.do("GET", "/", "", "Authorization", "Bearer "+token).StatusCode
	}
	becomes := func(token string, want int) {
		t.Helper()
		deadline := time.Now().Add(5 * time.Second)
		for ask(token) != want {
			if time.Now().After(deadline) {
				t.Fatalf("%q is never answered with %d", token, want)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	becomes("the-first-token-of-all", 200)
	write("the-second-token-of-all")
	becomes("the-second-token-of-all", 200)
	if c := ask("the-first-token-of-all"); c != 401 {
		t.Errorf("the first token after the rotation = %d, want 401", c)
	}
	write("the-third-token-of-all")
	becomes("the-second-token-of-all", 401) // without anybody who knows the third
	write("")
	becomes("the-third-token-of-all", 200) // an empty file is no token
	time.Sleep(2 * doubtedFor)
	if c := ask(""); c != 401 {
		t.Errorf("no token with an empty file = %d, want 401", c)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * doubtedFor)
	if c := ask("wrong"); c != 401 {
		t.Errorf("a wrong token without a file = %d, want 401", c)
	}
	if c := ask("the-third-token-of-all"); c != 200 {
		t.Errorf("the last token without a file = %d, want 200", c)
	}
	if n := strings.Count(s.logs.String(), "token file cannot be read"); n != 1 {
		t.Errorf("the log has %d lines about it, want 1", n)
	}
}
