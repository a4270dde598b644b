package daemon

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
)

// TestHealthOffLoopbackTellsDetailsWithTheTokenOnly: the words stay for everybody.
func TestHealthOffLoopbackTellsDetailsWithTheTokenOnly(t *testing.T) {
	const token = "a-long-random-word"
	for _, tt := range []struct {
		name    string
		environ []string
		auth    string
		details bool
	}{
		{"loopback", []string{"EVERCACHE_TOKEN=" + token}, "", true},
		{"off loopback", []string{"EVERCACHE_LISTEN=:3000", "EVERCACHE_TOKEN=" + token}, "", false},
		{"off loopback, another token", []string{"EVERCACHE_LISTEN=:3000", "EVERCACHE_TOKEN=" + token}, "Bearer mistaken", false},
		{"off loopback, the token", []string{"EVERCACHE_LISTEN=:3000", "EVERCACHE_TOKEN=" + token}, "Bearer " + token, true},
		{"open", []string{"EVERCACHE_LISTEN=:3000", "EVERCACHE_INSECURE=true"}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serveAPI(t, append(tt.environ, redisAway(t)...)...)
			var headers []string
			if tt.auth != "" {
				headers = []string{"Authorization", tt.auth}
			}
			a := s.do("GET", "/health", "", headers...)
			a.wantsStatus(t, 200)
			if !strings.Contains(a.body, `"status":"degraded"`) || !strings.Contains(a.body, `"connected":false`) || a.Header.Get("Evercache-Status") != "degraded" {
				t.Errorf("answer %s", a.body)
			}
			for _, detail := range []string{"findings", "metrics", "127.0.0.1", "outbox"} {
				if strings.Contains(a.body, detail) && !tt.details || !strings.Contains(a.body, "findings") && tt.details {
					t.Errorf("details %v, want %v: %s", !tt.details, tt.details, a.body)
				}
			}
			s.do("GET", "/health?strict=1", "", headers...).wantsStatus(t, 503)
		})
	}
}

// TestReadinessWaitsForRedisWhereThatIsAskedFor: for a Redis that is away as long as
// was said, and for a wrong password until it is right.
func TestReadinessWaitsForRedisWhereThatIsAskedFor(t *testing.T) {
	locked := redistest.Start(t, redistest.WithPassword("right"))
	for _, tt := range []struct {
		name    string
		environ []string
		ready   bool
	}{
		{"not asked for", append(one(locked, "REDIS_PASSWORD=wrong"), "EVERCACHE_READY_WAIT=0"), true},
		{"reached", append(one(locked, "REDIS_PASSWORD=right"), "EVERCACHE_READY_WAIT=10m"), true},
		{"away", append(redisAway(t), "EVERCACHE_READY_WAIT=500ms"), true},
		{"a wrong password", append(one(locked, "REDIS_PASSWORD=wrong"), "EVERCACHE_READY_WAIT=500ms"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serveAPI(t, tt.environ...)
			release := s.daemon.hold(s.api.status)
			if waits := s.daemon.cfg.Server.ReadyWait > 0; (s.do("GET", "/readyz", "").StatusCode == 503) != waits {
				t.Errorf("readyz at the start: want it to wait %v", waits)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); s.daemon.awaitRedis(ctx, release, s.client) }()
			t.Cleanup(func() { cancel(); <-ended })
			if !tt.ready {
				s.awaitFinding(t, "redis-auth")
				time.Sleep(1500 * time.Millisecond) // three times the bound
				s.do("GET", "/readyz", "").wantsStatus(t, 503)
				return
			}
			for end := time.Now().Add(30 * time.Second); s.do("GET", "/readyz", "").StatusCode != 200; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("not ready within 30 s")
				}
			}
			s.do("GET", "/livez", "").wantsStatus(t, 200)
		})
	}
}

func (s *service) awaitFinding(t *testing.T, code string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); findingIn(t, s.do("GET", "/health", "").body, code).Code == ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", code)
		}
	}
}

// TestEveryRefusalOfSettingsIsAFinding, lest a code is written that nobody gives.
func TestEveryRefusalOfSettingsIsAFinding(t *testing.T) {
	for _, code := range settingsRefused {
		if !refusesSettings(health.Finding{Code: code, Severity: health.SeverityError}) {
			t.Errorf("%s does not hold readiness", code)
		}
	}
	for _, code := range []string{"redis-unreachable", "redis-timeout", "redis-loading", "sentinel-unreachable", "sentinel-failover"} {
		if refusesSettings(health.Finding{Code: code, Severity: health.SeverityError}) {
			t.Errorf("an outage (%s) would hold readiness for ever", code)
		}
	}
}

// TestWithoutAnyRedisConfiguredNobodyIsToBringOneBack: memory answers, which monitors
// know as degraded, and there is one finding, which says why.
func TestWithoutAnyRedisConfiguredNobodyIsToBringOneBack(t *testing.T) {
	s := serveAPI(t)
	s.do("PUT", "/v1/cache/demo/a", "v").wantsStatus(t, 204)
	s.awaitFinding(t, "redis-not-configured")
	body := s.do("GET", "/health", "").body
	for _, want := range []string{`"status":"degraded"`, `"mode":"standalone"`, "memory answers", "Nothing to do if that is meant"} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %s: %s", want, body)
		}
	}
	for _, f := range findingsIn(t, body) {
		if f.Code != "redis-not-configured" && !strings.HasPrefix(f.Code, "revocations-") {
			t.Errorf("finding %+v", f)
		}
	}
	if strings.Contains(body, "Bring Redis back") {
		t.Errorf("it wants Redis back: %s", body)
	}
	a := serveAPI(t, redisAway(t)...)
	a.do("PUT", "/v1/cache/demo/a", "v").wantsStatus(t, 204)
	a.awaitFinding(t, "outbox-pending")
}

// TestAHealthyStartWarnsOfNothing, in either mode.
func TestAHealthyStartWarnsOfNothing(t *testing.T) {
	set := redistest.StartSentinel(t)
	for name, environ := range map[string][]string{
		"standalone": one(set.Master()),
		"sentinel": {
			"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=" + set.MasterName(), "REDIS_SENTINELS=" + strings.Join(set.Addrs(), ","),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveAPI(t, append(environ, "EVERCACHE_REVOCATIONS=off")...)
			s.becomes("up")
			time.Sleep(2 * time.Second) // a finding settles for one
			for line := range strings.Lines(s.logs.String()) {
				if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
					t.Error(line)
				}
			}
		})
	}
}

// TestAFailoverIsOneLineInTheLog says from where to where, for how long, and how much
// was sent again.
func TestAFailoverIsOneLineInTheLog(t *testing.T) {
	set := redistest.StartSentinel(t)
	s := serveAPI(t, "REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME="+set.MasterName(), "REDIS_SENTINELS="+strings.Join(set.Addrs(), ","))
	s.becomes("up")
	old := set.KillMaster()
	var line string
	for end := time.Now().Add(30 * time.Second); line == ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no line:\n%s", s.logs)
		}
		line = s.logs.eventLine("failover")
	}
	for _, want := range []string{
		`"from":"` + old.Addr() + `"`, `"to":"` + set.Master().Addr() + `"`, `"cause":"failure"`, `"blackout_s":`, `"replayed":`, `"count":1`,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("it does not say %s: %s", want, line)
		}
	}
	if n := strings.Count(s.logs.String(), `"event":"failover"`); n != 1 {
		t.Errorf("%d lines", n)
	}
}

func (l *logs) eventLine(event string) string {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, fmt.Sprintf(`"event":%q`, event)) {
			return line
		}
	}
	return ""
}
