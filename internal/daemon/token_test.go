package daemon

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
)

func bearerOf(token string) []string { return []string{"Authorization", "Bearer " + token} }

func TestATokenIsGoodForItsCallsOnly(t *testing.T) {
	s := serveAPI(t, append(redisAway(t), "EVERCACHE_TOKEN=token-for-everything", "EVERCACHE_READ_TOKEN=token-for-reading",
		"EVERCACHE_WRITE_TOKEN=token-for-writing", "EVERCACHE_REVOKE_TOKEN=token-for-revoking", "EVERCACHE_METRICS_TOKEN=token-for-metrics")...)
	roles := []string{"everything", "reading", "writing", "revoking", "metrics"}
	for call, good := range map[string]string{
		"GET /v1/cache/demo/a":         "everything reading writing",
		"HEAD /v1/cache/demo/a":        "everything reading writing",
		"PUT /v1/cache/demo/a":         "everything writing",
		"DELETE /v1/cache/demo/a":      "everything writing",
		"DELETE /v1/cache/demo?prefix": "everything writing",
		"POST /v1/revocations":         "everything revoking",
		"POST /v1/revocations/check":   "everything revoking reading writing",
		"GET /metrics":                 "everything metrics",
		"GET /":                        "everything metrics",
		"HEAD /metrics":                "everything metrics",
		"GET /nothing":                 "everything reading writing revoking metrics",
		"POST /v1/cache/demo/a":        "everything reading writing revoking metrics",
	} {
		method, path, _ := strings.Cut(call, " ")
		for _, role := range roles {
			a := s.do(method, path, "", bearerOf("token-for-"+role)...)
			refused := a.StatusCode == 403
			if want := !strings.Contains(good, role); refused != want || a.StatusCode == 401 {
				t.Errorf("%s with the token for %s = %d %s, want refused %v", call, role, a.StatusCode, a.body, want)
			}
			if refused && method != "HEAD" && a.code() != "token_not_for_this" {
				t.Errorf("%s with the token for %s: %s", call, role, a.body)
			}
		}
		if a := s.do(method, path, "", bearerOf("token-for-nothing-")...); a.StatusCode != 401 {
			t.Errorf("%s with a wrong token = %d", call, a.StatusCode)
		}
	}
	s.do("GET", "/metrics", "", "Authorization", basic("", "token-for-metrics")).wantsStatus(t, 200)
	s.do("GET", "/metrics", "", "Authorization", basic("", "token-for-reading")).wants(t, 403, "token_not_for_this")
}

// What has no token of its own is open to nobody else: a token for metrics must not
// leave the cache open.
func TestWithOneTokenTheOtherCallsAreClosed(t *testing.T) {
	s := serveAPI(t, append(redisAway(t), "EVERCACHE_METRICS_TOKEN=token-for-metrics")...)
	s.do("GET", "/v1/cache/demo/a", "").wants(t, 401, "unauthorized")
	s.do("GET", "/v1/cache/demo/a", "", bearerOf("token-for-metrics")...).wants(t, 403, "token_not_for_this")
	s.do("GET", "/metrics", "", bearerOf("token-for-metrics")...).wantsStatus(t, 200)
	same := serveAPI(t, append(redisAway(t), "EVERCACHE_METRICS_TOKEN=token-for-both---", "EVERCACHE_READ_TOKEN=token-for-both---")...)
	for _, path := range []string{"/metrics", "/v1/cache/demo/a"} {
		if a := same.do("GET", path, "", bearerOf("token-for-both---")...); a.StatusCode == 401 || a.StatusCode == 403 {
			t.Errorf("%s with a token for both = %d", path, a.StatusCode)
		}
	}
}

func TestBothOfTwoTokensAreGood(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the-token-of-before\nthe-token-of-after")
	s := serveAPI(t, "EVERCACHE_TOKEN_FILE="+file)
	ask := func(token string) int { return s.do("GET", "/metrics", "", bearerOf(token)...).StatusCode }
	for _, token := range []string{"the-token-of-before", "the-token-of-after"} {
		if got := ask(token); got != 200 {
			t.Errorf("%s = %d", token, got)
		}
	}
	if got := ask("the-token-of-before\tthe-token-of-after"); got != 401 {
		t.Errorf("both in one = %d", got)
	}
	write("the-token-of-after")
	s.eventually(20*time.Second, "the former is refused", func() bool { return ask("the-token-of-before") == 401 })
	if got := ask("the-token-of-after"); got != 200 {
		t.Errorf("the latter = %d", got)
	}
	write("short") // a tool that writes in steps
	time.Sleep(2 * doubtedFor)
	if ask("short") != 401 || ask("the-token-of-after") != 200 {
		t.Error("a token that is too short has taken the place of a good one")
	}
}

// A file system that hangs costs each token a moment once, and nobody else waits.
func TestATokenFileThatHangsHoldsUpNobody(t *testing.T) {
	release := make(chan struct{})
	log := &logs{}
	s := newTokenSource(config.Token{Values: []evercache.Secret{"the-token-of-before"}, File: "x"}, slog.New(slog.NewTextHandler(log, nil)))
	var begun sync.WaitGroup
	begun.Add(1)
	s.read = func(string) ([]evercache.Secret, error) {
		begun.Done() // a second one would panic
		<-release
		return nil, errors.New("cannot be read")
	}
	all := &tokens{all: []granted{{"EVERCACHE_TOKEN", mayAll, s}}}
	s.last.Load().at = time.Now().Add(-time.Hour)
	if _, _, known := all.rights("the-token-of-before"); !known {
		t.Error("the last token does not stay")
	}
	begun.Wait()
	began := time.Now()
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for range 100 {
				if _, _, known := all.rights("the-token-of-before"); !known {
					t.Error("the last token does not stay")
				}
				if _, _, known := all.rights("wrong"); known {
					t.Error("a wrong token is good")
				}
			}
		})
	}
	asking.Wait()
	if took := time.Since(began); took > 40*readPatience { // each would cost it
		t.Errorf("200 questions of each kind took %v", took)
	}
	if n := strings.Count(log.String(), "does not answer"); n != 1 {
		t.Errorf("the log tells of it %d times: %s", n, log)
	}
	s.read = func(string) ([]evercache.Secret, error) { return []evercache.Secret{"the-token-of-after"}, nil }
	close(release)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, _, known := all.rights("the-token-of-after"); known && strings.Contains(log.String(), "can be read again") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the file is not read again, or that is not told: %s", log)
		}
	}
}

func TestFailuresAreToldAndCounted(t *testing.T) {
	s := serveAPI(t, append(redisAway(t), "EVERCACHE_READ_TOKEN=token-for-reading")...)
	for range 50 {
		s.do("GET", "/v1/cache/demo/a", "", bearerOf("a-wrong-token-of-somebody")...).wantsStatus(t, 401)
	}
	s.do("PUT", "/v1/cache/demo/a", "v", bearerOf("token-for-reading")...).wantsStatus(t, 403)
	text := s.logs.String()
	if n := strings.Count(text, `"event":"auth.failed"`); n != 1 && n != 2 { // two where 51 requests take ten seconds
		t.Errorf("%d lines about 51 failures", n)
	}
	for _, want := range []string{`"route":"cache_key"`, `"remote":"127.0.0.1:`, `"code":"unauthorized"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	for _, never := range []string{"a-wrong-token-of-somebody", "token-for-reading"} {
		if strings.Contains(text, never) {
			t.Errorf("%s is in the log", never)
		}
	}
}

func TestALineInTenSecondsCountsTheOthers(t *testing.T) {
	f := newFailures(slog.New(slog.DiscardHandler))
	now := time.Now()
	for _, tt := range []struct {
		after  time.Duration
		others int
		tell   bool
	}{{0, 0, true}, {1, 0, false}, {9 * time.Second, 0, false}, {10 * time.Second, 2, true}, {11 * time.Second, 0, false}, {30 * time.Second, 1, true}, {time.Minute, 0, true}} {
		if others, tell := f.next(now.Add(tt.after)); others != tt.others || tell != tt.tell {
			t.Errorf("after %v: %d, %v, want %d, %v", tt.after, others, tell, tt.others, tt.tell)
		}
	}
}
