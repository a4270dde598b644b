package admin

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

type served struct {
	*httptest.Server
	*testing.T
	level *slog.LevelVar
	log   bytes.Buffer
}

func serve(t *testing.T, f *Flight) *served {
	t.Helper()
	s := &served{T: t, level: &slog.LevelVar{}}
	h := New(s.level, f, slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: s.level})))
	s.Server = httptest.NewUnstartedServer(nil)
	s.Config = h.Server()
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *served) ask(method, path, body string, headers ...string) (int, string) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestTheLevelOfTheLogIsChanged(t *testing.T) {
	s := serve(t, nil)
	if code, body := s.ask("GET", "/log/level", ""); code != 200 || body != "info\n" {
		t.Errorf("%d %q", code, body)
	}
	for _, level := range []string{"debug", " warn\n", "error", "info"} {
		if code, body := s.ask("PUT", "/log/level", level); code != 200 || body != strings.TrimSpace(level)+"\n" {
			t.Errorf("%q: %d %q", level, code, body)
		}
	}
	for _, bad := range []string{"", "loud", strings.Repeat("x", 1000)} {
		if code, body := s.ask("PUT", "/log/level", bad); code != 400 || !strings.Contains(body, "debug, info, warn or error") {
			t.Errorf("%.10q: %d %q", bad, code, body)
		}
	}
	if s.level.Level() != slog.LevelInfo || strings.Count(s.log.String(), "event=log.level") != 4 {
		t.Errorf("%v; the log: %s", s.level, &s.log)
	}
}

func TestProfilesAreThere(t *testing.T) {
	s := serve(t, nil)
	for _, path := range []string{"/", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=1", "/debug/pprof/profile?seconds=1"} {
		if code, body := s.ask("GET", path, ""); code != 200 || body == "" {
			t.Errorf("%s: %d, %d bytes", path, code, len(body))
		}
	}
	// The command line of a process may hold what is not for everybody.
	for _, path := range []string{"/debug/pprof/cmdline", "/nothing"} {
		if code, _ := s.ask("GET", path, ""); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _ := s.ask("POST", "/log/level", "debug"); code != 405 {
		t.Errorf("POST: %d", code)
	}
}

func TestWebPagesHaveNoAccess(t *testing.T) {
	s := serve(t, nil)
	for name, headers := range map[string][]string{
		"a page of another origin": {"Origin", "https://evil.example"},
		"its picture":              {"Sec-Fetch-Site", "cross-site"},
		"a name that points here":  {"Host", "evil.example"},
	} {
		if code, _ := s.ask("GET", "/debug/pprof/heap", "", headers...); code != 403 {
			t.Errorf("%s: %d", name, code)
		}
	}
	for _, host := range []string{"localhost:3001", "127.0.0.1", "[::1]:3001"} {
		if code, _ := s.ask("GET", "/", "", "Host", host); code != 200 {
			t.Errorf("Host %s: %d", host, code)
		}
	}
	if code, _ := s.ask("GET", "/", "", "Sec-Fetch-Site", "none"); code != 200 { // typed by hand
		t.Errorf("by hand: %d", code)
	}
}

func TestTheFlightRecorderKeepsWhatWas(t *testing.T) {
	f, err := StartFlight()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	s := serve(t, f)
	if code, _ := s.ask("GET", "/debug/flight/last", ""); code != 404 {
		t.Errorf("before a failover: %d", code)
	}
	const magic = "go 1."
	if code, body := s.ask("GET", "/debug/flight", ""); code != 200 || !strings.HasPrefix(body, magic) {
		t.Errorf("now: %d %.20q", code, body)
	}
	f.Keep()
	code, body := s.ask("GET", "/debug/flight/last", "")
	if at, kept, ok := f.Last(); code != 200 || !ok || body != string(kept) || !strings.HasPrefix(body, magic) || time.Since(at) > time.Minute {
		t.Errorf("after a failover: %d %.20q", code, body)
	}
	f.reading.Lock()
	if code, _ := s.ask("GET", "/debug/flight", ""); code != 503 {
		t.Errorf("while another reads it: %d", code)
	}
	f.Keep() // does not wait
	f.reading.Unlock()
	f.Stop()
	if code, _ := s.ask("GET", "/debug/flight", ""); code != 503 {
		t.Errorf("after its end: %d", code)
	}
}

func TestWithoutAFlightRecorder(t *testing.T) {
	s := serve(t, nil)
	for _, path := range []string{"/debug/flight", "/debug/flight/last"} {
		if code, _ := s.ask("GET", path, ""); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
	var f *Flight
	f.Keep()
	f.Stop()
}

func TestWhatIsKeptHasABound(t *testing.T) {
	b := bounded{left: 3}
	if _, err := b.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write([]byte("d")); err == nil {
		t.Error("it takes more")
	}
}
