package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// revokeAt revokes an id and asks for a durability.
func (s *service) revokeAt(id, durability string) answer {
	s.t.Helper()
	return s.do("POST", "/v1/revocations", expiring(id), append([]string{minDurabilityHeader, durability}, asJSON...)...)
}

func (a answer) stored(t *testing.T, durability, replicas string) {
	t.Helper()
	if d, n := a.Header.Get("Evercache-Durability"), a.Header.Get("Evercache-Replicas"); d != durability || n != replicas {
		t.Errorf("stored as %s on %s replicas, want %s on %s: %d %s", d, n, durability, replicas, a.StatusCode, a.body)
	}
}

func TestARevocationIsStoredAsSafelyAsItsCallerAsks(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s := serveRedis(t, r)

	t.Log("without a replica")
	a := s.revokeAt("a", "replicated")
	a.wants(t, 503, "below_durability")
	if a.stored(t, "master", "0"); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if v := s.check(`{"id":"a"}`); v.Status != revoke.Revoked {
		t.Errorf("it is in force here all the same: %+v", v)
	}
	s.revokeAt("b", "master").wantsStatus(t, 201)
	s.post("/v1/revocations", expiring("c")).wantsStatus(t, 201) // the default is as before

	t.Log("with one")
	replica := redistest.Start(t, redistest.WithConfig(fmt.Sprintf("replicaof %s %d", r.Host(), r.Port())))
	s.eventually(20*time.Second, "the replica is attached", func() bool {
		return strings.Contains(fmt.Sprint(replica.Do("INFO", "replication")), "master_link_status:up")
	})
	s.eventually(20*time.Second, "replicated", func() bool { return s.revokeAt("a", "replicated").StatusCode == 201 })
	a = s.revokeAt("d", "replicated(1)")
	if a.stored(t, "replicated", "1"); a.body != `{"durability":"replicated","replicas":1}`+"\n" {
		t.Errorf("body = %s", a.body)
	}
	s.revokeAt("d", "replicated(2)").wants(t, 503, "below_durability")
	subject := fmt.Sprintf(`{"subject":"anna","issuedBefore":%d,"expiresAt":%d}`, time.Now().Unix(), time.Now().Add(time.Hour).Unix())
	s.do("POST", "/v1/revocations", subject, append([]string{minDurabilityHeader, "replicated"}, asJSON...)...).stored(t, "replicated", "1")
}

func TestABadAskedDurabilityRevokesNothing(t *testing.T) {
	s := serveAPI(t)
	for _, d := range []string{"", "best", "replicated(0)", "replicated(100)"} {
		s.revokeAt("a", d).wants(t, 400, "bad_durability")
	}
	if v := s.check(`{"id":"a"}`); v.Status == revoke.Revoked {
		t.Error("what was refused is in force")
	}
}

func TestInAnOutageLessCanBeAsked(t *testing.T) {
	s := serveAPI(t, redisAway(t)...)
	s.revokeAt("a", "memory").wantsStatus(t, 201)
	s.revokeAt("b", "journaled").wants(t, 503, "below_durability")
	j := serveAPI(t, append(redisAway(t), "EVERCACHE_JOURNAL_DIR="+t.TempDir())...)
	j.revokeAt("a", "journaled").stored(t, "journaled", "0")
	j.revokeAt("b", "master").wants(t, 503, "below_durability")
}

func TestNoPathOfTheCacheLeadsToRevocations(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s := serveRedis(t, r)
	s.revokeAt("a", "master").wantsStatus(t, 201)
	s.eventually(30*time.Second, "the list is marked", func() bool { return s.check(`{"id":"x"}`).Allowed })
	set := func() string { return fmt.Sprint(r.Do("ZRANGE", "~r:{tokens}:set", "0", "-1")) }
	before := set()
	for _, class := range []string{"~r", "%7Er", "~r%3A%7Btokens%7D", "~"} {
		s.do("PUT", "/v1/cache/"+class+"/%7Btokens%7D%3Aset", "x").wantsStatus(t, 400)
		s.do("DELETE", "/v1/cache/"+class+"/%7Btokens%7D%3Aset", "").wantsStatus(t, 400)
		s.do("DELETE", "/v1/cache/"+class+"?prefix=", "").wantsStatus(t, 400)
	}
	for _, key := range []string{"~r%3A%7Btokens%7D%3Aset", "%7Btokens%7D%3Aset", "*", "..%2F~r"} {
		s.do("PUT", "/v1/cache/r/"+key, "x").wantsStatus(t, 204)
		s.do("DELETE", "/v1/cache/r/"+key, "").wantsStatus(t, 204)
	}
	s.do("DELETE", "/v1/cache/r?prefix=", "").wantsStatus(t, 200)
	if got := set(); got != before {
		t.Errorf("the set is %q, and was %q", got, before)
	}
}

func TestMetricsShowTheDenylistUnlessItIsOff(t *testing.T) {
	s := serveAPI(t, redisAway(t)...)
	s.post("/v1/revocations", expiring("a"))
	body := s.do("GET", "/metrics", "").body
	for _, want := range []string{
		"\nevercache_revocations_entries 1\n", "\nevercache_revocations_ready 0\n", "\nevercache_revocations_untaken 1\n",
		"\nevercache_revocations_made_total 1\n", "\nevercache_revocations_strict_checks_total{result=\"unavailable\"} 0\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in /metrics", want)
		}
	}
	if body = serveAPI(t, "EVERCACHE_REVOCATIONS=off").do("GET", "/metrics", "").body; strings.Contains(body, "evercache_revocations_") {
		t.Error("there are metrics of a denylist that is off")
	}
}
