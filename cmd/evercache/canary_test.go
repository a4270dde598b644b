//go:build unix

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

// canaries are what is entrusted to evercache, by the name that a finding of this test gives it.
var canaries = map[string]string{
	"the password of Redis": "canary-redis-3f1", "the password of the sentinels": "canary-sentinel-7c2",
	"the token of the service": "canary-service-token-91d", "a token that is revoked": "canary-revoked-token-5ab",
	"a wrong token of a caller": "canary-wrong-token-e04",
}

// secrets are a set, a service on it, and everything that both have told.
type secrets struct {
	*testing.T
	set     *redistest.Sentinel
	environ []string
	dir     string
	service *worldly
	told    map[string]string
}

// TestNothingSecretIsToldByAnyCommand: the service and each command on a set with passwords,
// through a failover and with wrong passwords; then everything that was printed, logged, sent
// or written to a file is searched.
func TestNothingSecretIsToldByAnyCommand(t *testing.T) {
	t.Parallel()
	s := &secrets{T: t, dir: t.TempDir(), told: map[string]string{}}
	s.set = redistest.StartSentinel(t, redistest.WithPassword(canaries["the password of Redis"]),
		redistest.WithSentinelPassword(canaries["the password of the sentinels"]), redistest.WithDownAfter(2*time.Second))
	s.environ = []string{
		"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=" + s.set.MasterName(), "REDIS_SENTINELS=" + strings.Join(s.set.Addrs(), ","),
		"REDIS_PASSWORD=" + canaries["the password of Redis"], "REDIS_SENTINEL_PASSWORD=" + canaries["the password of the sentinels"],
		"EVERCACHE_TOKEN=" + canaries["the token of the service"],
	}
	s.serve()
	s.use()
	old := s.set.KillMaster()
	s.set.WaitMaster(old.Addr(), time.Minute)
	old.Restart(redistest.Empty)
	s.use()
	s.set.WaitHealthy(time.Minute)
	s.commands(s.environ)
	// With passwords that servers refuse, and tell.
	for _, name := range []string{"REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"} {
		wrong := append(s.environ[:len(s.environ):len(s.environ)], name+"="+canaries["a wrong token of a caller"])
		for _, args := range [][]string{{"doctor"}, {"doctor", "-o", "json"}, {"status"}, {"switchover", "--yes"}, {"backup", filepath.Join(s.dir, "none.backup")}} {
			s.run(wrong, args...)
		}
	}
	s.service.signal(15)
	s.service.exit()
	s.search()
}

// serve starts the service, which writes a log and an audit log.
func (s *secrets) serve() {
	s.Helper()
	log, err := os.Create(filepath.Join(s.dir, "service.log"))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { log.Close() })
	p := prepare(s.T, append(s.environ[:len(s.environ):len(s.environ)], "EVERCACHE_LOG_LEVEL=debug", "EVERCACHE_AUDIT_LOG="+filepath.Join(s.dir, "audit.log"))...)
	p.Stdout, p.Stderr = log, log
	s.service = p.begin()
}

// use calls everything that the service has, as its owner and as a stranger.
func (s *secrets) use() {
	s.Helper()
	for _, token := range []string{canaries["the token of the service"], canaries["a wrong token of a caller"], ""} {
		for _, c := range [][3]string{
			{"PUT", "/v1/cache/demo/a", "value"},
			{"GET", "/v1/cache/demo/a", ""},
			{"DELETE", "/v1/cache/demo?prefix=a", ""},
			{"POST", "/v1/revocations", `{"id":"` + canaries["a token that is revoked"] + `","expiresAt":4102444800}`},
			{"POST", "/v1/revocations/check", `{"tokens":[{"id":"` + canaries["a token that is revoked"] + `"}]}`},
			{"POST", "/v1/inspect?class=demo", ""},
			{"GET", "/health", ""},
			{"GET", "/metrics", ""},
			{"GET", "/", ""},
		} {
			s.told["the answers"] += s.call(c[0], c[1], c[2], token)
		}
	}
}

func (s *secrets) call(method, path, body, token string) string {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), method, "http://"+s.service.addr+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	var all strings.Builder
	if err := resp.Header.Write(&all); err != nil {
		s.Fatal(err)
	}
	b := make([]byte, 1<<20)
	n, _ := resp.Body.Read(b) // the beginning is enough
	return all.String() + string(b[:n])
}

// run runs a command and keeps what it prints.
func (s *secrets) run(environ []string, args ...string) int {
	s.Helper()
	text, status := runHere(environ, args...)
	s.told["evercache "+strings.Join(args, " ")] += text
	return status
}

// commands runs each command that works on a set or on a service.
func (s *secrets) commands(environ []string) {
	s.Helper()
	url := "http://" + s.service.addr
	backup := filepath.Join(s.dir, "whole.backup")
	for _, args := range [][]string{
		{"doctor"},
		{"doctor", "-o", "json"},
		{"doctor", "--plan", "standalone"},
		{"status"},
		{"status", "-o", "json"},
		{"status", "--url", url},
		{"history", "--url", url},
		{"inspect", "--url", url, "demo"},
		{"healthcheck", "--url", url},
		{"drill", "--trigger", "none", "--for", "2s", "--yes", "--compare", "--report", filepath.Join(s.dir, "drill.md"), "--report", filepath.Join(s.dir, "drill.svg")},
		{"backup", backup},
		{"verify", backup},
		{"restore", "--dry-run", backup},
		{"switchover", "--yes"},
		{"audit", "verify", filepath.Join(s.dir, "audit.log")},
	} {
		if status := s.run(environ, args...); status == exitUsage && args[0] != "doctor" { // which says so of errors that it has found
			s.Errorf("evercache %s: status %d: %s", strings.Join(args, " "), status, s.told["evercache "+strings.Join(args, " ")])
		}
	}
}

// search looks for the canaries in what was told and in every file that was written.
func (s *secrets) search() {
	s.Helper()
	err := filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		s.told[filepath.Base(path)] = string(b)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	for _, needed := range []string{"service.log", "audit.log", "drill.md", "drill.svg", "whole.backup", "the answers"} {
		if s.told[needed] == "" {
			s.Errorf("%s is empty: this test proves nothing", needed)
		}
	}
	for where, text := range s.told {
		for what, canary := range canaries {
			if i := strings.Index(text, canary); i >= 0 {
				s.Errorf("%s is told by %s: …%.300s…", what, where, text[max(0, i-150):])
			}
		}
	}
}
