package daemon

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/page"
)

const html = "text/html,application/xhtml+xml,*/*;q=0.8"

func TestABrowserGetsThePageAndOthersTheText(t *testing.T) {
	s := serveAPI(t)
	a := s.do("GET", "/", "", "Accept", html)
	a.wantsStatus(t, http.StatusOK)
	if !strings.HasPrefix(a.body, "<!doctype html>") || a.Header.Get("Content-Security-Policy") != page.Policy {
		t.Errorf("a browser gets %.60q with %v", a.body, a.Header)
	}
	for _, accept := range []string{"*/*", "", "text/plain", "application/json"} {
		a := s.do("GET", "/", "", "Accept", accept)
		if !strings.HasPrefix(a.body, "evercache, ") || a.Header.Get("Vary") != "Accept" {
			t.Errorf("Accept %q gets %.60q with %v", accept, a.body, a.Header)
		}
	}
	for _, name := range page.Names() {
		content, contentType, _ := page.File(name)
		a := s.do("GET", "/page/"+name, "")
		if a.body != string(content) || a.Header.Get("Content-Type") != contentType || a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d bytes with %v", name, len(a.body), a.Header)
		}
		if a := s.do("HEAD", "/page/"+name, ""); a.StatusCode != http.StatusOK || a.body != "" {
			t.Errorf("HEAD %s: %d %q", name, a.StatusCode, a.body)
		}
		s.do("POST", "/page/"+name, "x").wants(t, http.StatusMethodNotAllowed, "method_not_allowed")
	}
	for _, path := range []string{"/page/", "/page", "/page/page.go", "/page/../main.go", "/page/app.js/"} {
		s.do("GET", path, "").wants(t, http.StatusNotFound, "no_such_path")
	}
}

// The page tells what /health tells with a token, so it needs one too.
func TestThePageNeedsATokenWhereThereIsOne(t *testing.T) {
	s := serveAPI(t, "EVERCACHE_TOKEN=0123456789abcdef-secret", "EVERCACHE_LISTEN=0.0.0.0:0")
	for _, path := range []string{"/", "/page/app.js", "/page/events"} {
		a := s.do("GET", path, "", "Accept", html)
		if a.StatusCode != http.StatusUnauthorized || !strings.Contains(strings.Join(a.Header.Values("WWW-Authenticate"), ","), "Basic") {
			t.Errorf("%s without a token: %d, %q", path, a.StatusCode, a.Header.Values("WWW-Authenticate"))
		}
	}
	a := s.do("GET", "/", "", "Accept", html, "Authorization", "Bearer 0123456789abcdef-secret")
	a.wantsStatus(t, http.StatusOK)
}

func TestAPageOfAnotherOriginCannotFollowTheEvents(t *testing.T) {
	s := serveAPI(t)
	s.do("GET", "/page/events", "", "Origin", "https://evil.example").wants(t, http.StatusForbidden, "cross_origin")
	s.do("GET", "/page/events", "", "Sec-Fetch-Site", "cross-site").wants(t, http.StatusForbidden, "cross_origin")
}

// stream is an open page.
type stream struct {
	*http.Response
	lines *bufio.Scanner
}

func (s *service) stream() *stream {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", s.URL+"/page/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return &stream{resp, lines}
}

// next is the next event; ok is false at the end.
func (s *stream) next(t *testing.T) (snap page.Snapshot, status string, ok bool) {
	t.Helper()
	for s.lines.Scan() {
		data, is := strings.CutPrefix(s.lines.Text(), "data: ")
		if !is {
			continue
		}
		var health struct{ Status string }
		if err := json.Unmarshal([]byte(data), &snap); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		if err := json.Unmarshal(snap.Health, &health); err != nil {
			t.Fatal(err)
		}
		return snap, health.Status, true
	}
	return snap, "", false
}

func TestAnOpenPageFollowsWhatHappensAndEndsWithTheService(t *testing.T) {
	s := serveAPI(t)
	st := s.stream()
	if got := st.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
	first, status, ok := st.next(t)
	if !ok || status == "" || first.Reads.Memory != 0 {
		t.Fatalf("%+v, %q, %v", first, status, ok)
	}
	s.do("PUT", "/v1/cache/demo/k", "v").wantsStatus(t, http.StatusNoContent)
	s.do("GET", "/v1/cache/demo/k", "").wantsStatus(t, http.StatusOK)
	for end := time.Now().Add(10 * time.Second); ; {
		snap, _, ok := st.next(t)
		if ok && snap.Reads.Memory == 1 && snap.Memory.Entries == 1 {
			break
		}
		if !ok || time.Now().After(end) {
			t.Fatalf("the page does not see the read: %+v", snap)
		}
	}
	s.api.drain()
	s.api.drain() // twice does no harm
	var last string
	for {
		_, status, ok := st.next(t)
		if !ok {
			break
		}
		last = status
	}
	if last != "down" {
		t.Errorf("the last event says %q, want down", last)
	}
}

func TestThereAreNotMoreOpenPagesThanAllowed(t *testing.T) {
	s := serveAPI(t)
	var open []*stream
	for range mostStreams {
		st := s.stream()
		if _, _, ok := st.next(t); !ok {
			t.Fatal("a page does not open")
		}
		open = append(open, st)
	}
	a := s.do("GET", "/page/events", "")
	a.wants(t, http.StatusServiceUnavailable, "too_many_pages")
	if a.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to try again")
	}
	_ = open[0].Body.Close()
	until(t, func() bool {
		st := s.stream()
		defer st.Body.Close()
		return st.StatusCode == http.StatusOK
	})
}

// An open page outlives the limits of a request.
func TestAnOpenPageHasNoEnd(t *testing.T) {
	s := serveAPI(t)
	short := httptest.NewUnstartedServer(nil)
	short.Config = s.daemon.server(s.api)
	short.Config.ReadTimeout, short.Config.WriteTimeout = 700*time.Millisecond, 700*time.Millisecond
	short.Listener = speaking{Listener: short.Listener, log: s.daemon.log}
	short.Start()
	t.Cleanup(short.Close)
	s.Server = short
	st := s.stream()
	for began := time.Now(); time.Since(began) < 3*time.Second; {
		if _, _, ok := st.next(t); !ok {
			t.Fatalf("it has ended after %v", time.Since(began))
		}
	}
}
