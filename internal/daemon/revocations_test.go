package daemon

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

var asJSON = []string{"Content-Type", "application/json; charset=utf-8"}

func (s *service) post(path, body string) answer {
	s.t.Helper()
	return s.do("POST", path, body, asJSON...)
}

// check is the status that a check of one token answers.
func (s *service) check(body string) (v verdictBody) {
	s.t.Helper()
	a := s.post("/v1/revocations/check", body)
	a.wantsStatus(s.t, 200)
	var raw struct {
		Status  string
		Allowed bool
		AsOf    *time.Time
		LagMS   *int64
	}
	if err := json.Unmarshal([]byte(a.body), &raw); err != nil {
		s.t.Fatal(err)
	}
	for _, st := range []revoke.Status{revoke.Unknown, revoke.NotRevoked, revoke.Revoked} {
		if st.String() == raw.Status {
			v.Status = st
		}
	}
	v.Allowed, v.AsOf, v.LagMS = raw.Allowed, raw.AsOf, raw.LagMS
	return v
}

func (s *service) eventually(limit time.Duration, what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func expiring(id string) string {
	return fmt.Sprintf(`{"id":%q,"expiresAt":%d}`, id, time.Now().Add(time.Hour).Unix())
}

func TestRevocationsThatAreOffAreAClearNo(t *testing.T) {
	s := serveAPI(t, "EVERCACHE_REVOCATIONS=off")
	for _, path := range []string{"/v1/revocations", "/v1/revocations/check"} {
		s.post(path, `{"id":"x"}`).wants(t, 501, "revocations_off")
		for _, typ := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"} {
			s.do("POST", path, `{"id":"x"}`, "Content-Type", typ).wants(t, 415, "unsupported_media_type")
		}
	}
}

func TestARevocationIsAcknowledgedAndChecked(t *testing.T) {
	s := serveRedis(t, redistest.Start(t))
	s.eventually(10*time.Second, "ready after first use", func() bool { return s.check(`{"id":"a"}`).Status == revoke.NotRevoked })
	a := s.post("/v1/revocations", expiring("a"))
	if a.StatusCode != 201 || a.body != `{"durability":"master","replicas":0}`+"\n" {
		t.Errorf("answer = %d %s", a.StatusCode, a.body)
	}
	if v := s.check(`{"id":"a"}`); v.Status != revoke.Revoked || v.Allowed || v.AsOf == nil || v.LagMS == nil {
		t.Errorf("revoked: %+v", v)
	}
	if v := s.check(`{"id":"b","strict":true}`); v.Status != revoke.NotRevoked || !v.Allowed {
		t.Errorf("strict: %+v", v)
	}
	now := time.Now()
	s.post("/v1/revocations", fmt.Sprintf(`{"subject":"anna","issuedBefore":%q,"expiresAt":"%s"}`,
		now.Format(time.RFC3339Nano), now.Add(time.Hour).Format(time.RFC3339))).wantsStatus(t, 201)
	at := func(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
	for issuedAt, want := range map[string]revoke.Status{
		at(now.Truncate(time.Second)): revoke.Revoked, at(now): revoke.Revoked, at(now.Add(time.Millisecond)): revoke.NotRevoked,
		at(now.Add(time.Hour)): revoke.Revoked, "0": revoke.Revoked, "null": revoke.Revoked, "9999999999": revoke.Revoked,
	} {
		if v := s.check(`{"id":"c","subject":"anna","issuedAt":` + issuedAt + `}`); v.Status != want {
			t.Errorf("a token of the subject, issued at %s: %+v, want %v", issuedAt, v, want)
		}
	}
	batch := s.post("/v1/revocations/check", fmt.Sprintf(`{"strict":true,"tokens":[{"id":"a"},{"id":"b"},{"id":"c","subject":"anna","issuedAt":%d},{"id":%q}]}`, now.Unix()+1, strings.Repeat("x", 5000)))
	var got struct{ Results []struct{ Status string } }
	if err := json.Unmarshal([]byte(batch.body), &got); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Results) != "[{revoked} {notRevoked} {notRevoked} {unknown}]" {
		t.Errorf("batch = %s", batch.body)
	}
	if h := s.do("GET", "/health", "").body; !strings.Contains(h, `"revocations":{"entries":2,"ready":true`) {
		t.Errorf("health = %s", h)
	}
	if strings.Contains(s.logs.String(), "anna") {
		t.Error("a subject is in the log")
	}
}

func TestABodyThatIsNotUnderstoodIsRefused(t *testing.T) {
	s := serveAPI(t)
	soon := time.Now().Add(time.Hour).Unix()
	for body, code := range map[string]string{
		``:                              "bad_body",
		`[]`:                            "bad_body",
		`{"id":"a"} x`:                  "bad_body",
		`{"id":"a","expires":1}`:        "bad_body",
		`{"id":"a","expiresAt":"soon"}`: "bad_body",
		`{"id":"a","expiresAt":1e99}`:   "bad_body",
		`{"id":"a"}`:                    "bad_expiry",
		`{"id":"a","expiresAt":1}`:      "bad_expiry",
		fmt.Sprintf(`{"id":"a","expiresAt":%d}`, soon*1000):                              "bad_body",
		fmt.Sprintf(`{"id":"a","expiresAt":%d}`, soon*10):                                "bad_expiry",
		fmt.Sprintf(`{"subject":"b","issuedBefore":0,"expiresAt":%d}`, soon):             "bad_expiry",
		fmt.Sprintf(`{"subject":"b","issuedBefore":-1,"expiresAt":%d}`, soon):            "bad_body",
		fmt.Sprintf(`{"subject":"b","issuedBefore":%d,"expiresAt":%d}`, soon/1000, soon): "bad_expiry",
		fmt.Sprintf(`{"expiresAt":%d}`, soon):                                            "bad_body",
		fmt.Sprintf(`{"id":"a","subject":"b","expiresAt":%d}`, soon):                     "bad_body",
		fmt.Sprintf(`{"subject":"b","expiresAt":%d}`, soon):                              "bad_body",
		fmt.Sprintf(`{"id":%q,"expiresAt":%d}`, strings.Repeat("a", 5000), soon):         "bad_id",
		fmt.Sprintf(`{"subject":"b","issuedBefore":%d,"expiresAt":%d}`, soon, soon):      "bad_expiry",
	} {
		s.post("/v1/revocations", body).wants(t, 400, code)
	}
	full := `{"tokens":[` + strings.Repeat(`{"id":"a"},`, mostChecks-1) + `{"id":"a"}`
	s.post("/v1/revocations/check", full+`]}`).wantsStatus(t, 200)
	for _, at := range []string{`-1`, `1e300`, `1.7e9`, `"NaN"`, `1764455824000`, `"soon"`} {
		s.post("/v1/revocations/check", `{"subject":"b","issuedAt":`+at+`}`).wants(t, 400, "bad_body")
	}
	for _, body := range []string{`{`, `{"id":1}`, `{"tokens":[{"id":"a"}],"id":"b"}`, full + `,{"id":"a"}]}`} {
		s.post("/v1/revocations/check", body).wants(t, 400, "bad_body")
	}
	s.post("/v1/revocations?x=1", expiring("a")).wants(t, 400, "bad_query")
}

func TestACheckOfNoTokenIsRefused(t *testing.T) {
	s := serveAPI(t)
	for body, says := range map[string]string{
		`{}`:                      "with an id, a subject or both",
		`null`:                    "with an id, a subject or both",
		`{"id":null}`:             "with an id, a subject or both",
		`{"id":"","strict":true}`: "with an id, a subject or both",
		`{"issuedAt":1}`:          "with an id, a subject or both",
		`{"tokens":null}`:         "with an id, a subject or both",
		`{"tokens":[{"id":"a"},{"subject":"b"},{"issuedAt":1}]}`: "tokens[2] has neither an id nor a subject",
		`{"tokens":[null]}`: "tokens[0] has neither an id nor a subject",
	} {
		a := s.post("/v1/revocations/check", body)
		a.wants(t, 400, "bad_body")
		if !strings.Contains(a.body, says) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	s.post("/v1/revocations/check", `{"subject":"b"}`).wantsStatus(t, 200)
	s.post("/v1/revocations/check", `{"tokens":[]}`).wantsStatus(t, 200)
}

func TestAKeyThatIsThereTwiceIsRefused(t *testing.T) {
	s := serveAPI(t)
	soon := time.Now().Add(time.Hour).Unix()
	for key, body := range map[string]string{
		"id":        fmt.Sprintf(`{"id":"x","id":"y","expiresAt":%d}`, soon),
		"ID":        fmt.Sprintf(`{"id":"x","ID":"y","expiresAt":%d}`, soon),
		"expiresAt": fmt.Sprintf(`{"id":"x","expiresAt":%d,"expiresAt":%d}`, soon+1, soon),
	} {
		a := s.post("/v1/revocations", body)
		a.wants(t, 400, "bad_body")
		if !strings.Contains(a.body, fmt.Sprintf(`\"%s\" is there twice`, key)) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	for _, body := range []string{`{"id":"x","id":"y"}`, `{"tokens":[{"id":"x"},{"id":"x","id":"y"}]}`, `{"tokens":[{"id":"x"}],"tokens":[]}`} {
		s.post("/v1/revocations/check", body).wants(t, 400, "bad_body")
	}
	s.post("/v1/revocations/check", `{"tokens":[{"id":"x"},{"id":"x"}],"strict":false}`).wantsStatus(t, 200)
}

func TestARevocationInAnOutageIsInForceAndSafeToRepeat(t *testing.T) {
	s := serveAPI(t, redisAway(t)...)
	a := s.post("/v1/revocations", expiring("a"))
	a.wants(t, 503, "below_durability")
	if a.Header.Get("Retry-After") != "1" || a.Header.Get("Evercache-Durability") != "memory" {
		t.Errorf("header = %v", a.Header)
	}
	if v := s.check(`{"id":"a"}`); v.Status != revoke.Revoked {
		t.Errorf("revoked here: %+v", v)
	}
	if v := s.check(`{"id":"b","strict":true}`); v.Status != revoke.Unknown || v.Allowed || v.AsOf != nil {
		t.Errorf("unknown: %+v", v)
	}
	allow := serveAPI(t, append(redisAway(t), "EVERCACHE_REVOCATIONS_ON_UNKNOWN=allow")...)
	if v := allow.check(`{"id":"b"}`); v.Status != revoke.Unknown || !v.Allowed {
		t.Errorf("unknown, allowed: %+v", v)
	}
}

// TestBRefusesWhatWasRevokedThroughA: through a master that is killed, wiped and
// restarted empty.
func TestBRefusesWhatWasRevokedThroughA(t *testing.T) {
	r := redistest.Start(t)
	a, b := serveRedis(t, r, "EVERCACHE_REVOCATIONS=on"), serveRedis(t, r, "EVERCACHE_REVOCATIONS=on")
	ready := func() bool { return a.check(`{"id":"x"}`).Allowed && b.check(`{"id":"x"}`).Allowed }
	a.eventually(10*time.Second, "both ready", ready)
	a.post("/v1/revocations", expiring("a")).wantsStatus(t, 201)
	b.eventually(time.Second, "refused by b", func() bool { return b.check(`{"id":"a"}`).Status == revoke.Revoked })
	before := r.Do("ZCARD", "~r:{tokens}:set")
	r.Kill()
	r.Restart(redistest.Empty)
	if v := b.check(`{"id":"a"}`); v.Status != revoke.Revoked {
		t.Errorf("b: %+v", v)
	}
	b.eventually(10*time.Second, "the set is whole again", func() bool { return r.Do("ZCARD", "~r:{tokens}:set") == before })
	b.eventually(10*time.Second, "all is known again", ready)
}

func TestRequiredIsNotReadyBeforeTheListIs(t *testing.T) {
	r := redistest.Start(t)
	s := serveRedis(t, r, "EVERCACHE_REVOCATIONS=required")
	go s.daemon.awaitDenylist(s.api.status, s.list)
	s.do("GET", "/readyz", "").wantsStatus(t, 503)
	if _, err := revoke.Init(t.Context(), s.client, revoke.Policy{}); err != nil {
		t.Fatal(err)
	}
	s.eventually(10*time.Second, "ready", func() bool { return s.do("GET", "/readyz", "").StatusCode == 200 })
}

// The key of the settings goes into every hash: without it, who reads Redis could
// try all numbers. A process with another key knows nothing, and says so.
func TestTheKeyGoesIntoEveryHash(t *testing.T) {
	r := redistest.Start(t)
	one := serveRedis(t, r, "EVERCACHE_REVOCATIONS=on", "EVERCACHE_REVOCATIONS_KEY=key-one-0123456789")
	if _, err := revoke.Init(t.Context(), one.client, revocationPolicy(one.daemon.cfg.Server)); err != nil {
		t.Fatal(err)
	}
	one.eventually(30*time.Second, "ready", func() bool { return one.check(`{"id":"x"}`).Allowed })
	one.post("/v1/revocations", expiring("42")).wantsStatus(t, 201)
	for name, key := range map[string]string{"another key": "EVERCACHE_REVOCATIONS_KEY=key-two-0123456789", "no key": "EVERCACHE_REVOCATIONS_KEY="} {
		other := serveRedis(t, r, "EVERCACHE_REVOCATIONS=on", key)
		other.eventually(30*time.Second, name+" is told", func() bool {
			return strings.Contains(other.do("GET", "/health", "").body, "revocations-key")
		})
		if v := other.check(`{"id":"42"}`); v.Status != revoke.Unknown || v.Allowed {
			t.Errorf("%s: %+v", name, v)
		}
	}
	same := serveRedis(t, r, "EVERCACHE_REVOCATIONS=on", "EVERCACHE_REVOCATIONS_KEY=key-one-0123456789")
	same.eventually(30*time.Second, "the same key knows", func() bool { return same.check(`{"id":"42"}`).Status == revoke.Revoked })
}

// Who only caches has a denylist nowhere: not in Redis, not in /health, not in the
// metrics. Who asks has one from then on, and what it has not read yet is unknown.
func TestTheDenylistBeginsWhenItIsUsed(t *testing.T) {
	const revoked = `{"id":"revoked-through-another"}`
	for name, use := range map[string]func(*service){
		"a check":        func(s *service) { s.check(`{"id":"x"}`) },
		"a strict check": func(s *service) { s.check(`{"id":"x","strict":true}`) },
		"a revocation":   func(s *service) { s.post("/v1/revocations", expiring("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := redistest.Start(t)
			s := serveRedis(t, r)
			s.eventually(30*time.Second, "a write is in Redis", func() bool {
				return s.do("PUT", "/v1/cache/demo/a", "v").Header.Get("Evercache-Durability") == "master"
			})
			time.Sleep(time.Second) // several times what a list needs for its first claim
			if keys := r.Do("KEYS", "~r:*"); len(keys.([]any)) != 0 {
				t.Errorf("keys of a list that nobody uses: %v", keys)
			}
			if h, m := s.do("GET", "/health", "").body, s.do("GET", "/metrics", "").body; strings.Contains(h, "revocations") || strings.Contains(m, "evercache_revocations_") {
				t.Errorf("a list that nobody uses is shown: %s", h)
			}
			other := serveRedis(t, r, "EVERCACHE_REVOCATIONS=on")
			if _, err := revoke.Init(t.Context(), other.client, revoke.Policy{}); err != nil {
				t.Fatal(err)
			}
			other.eventually(30*time.Second, "the other is ready", func() bool { return other.check(`{"id":"x"}`).Allowed })
			other.post("/v1/revocations", expiring("revoked-through-another")).wantsStatus(t, 201)
			use(s)
			s.eventually(30*time.Second, "it is known, and never allowed before", func() bool {
				v := s.check(revoked)
				if v.Allowed || v.Status == revoke.NotRevoked {
					t.Fatalf("before the list was read: %+v", v)
				}
				return v.Status == revoke.Revoked
			})
			if h, m := s.do("GET", "/health", "").body, s.do("GET", "/metrics", "").body; !strings.Contains(h, `"revocations":{`) || !strings.Contains(m, "evercache_revocations_ready") {
				t.Errorf("a list that is used is not shown: %s", h)
			}
		})
	}
}
