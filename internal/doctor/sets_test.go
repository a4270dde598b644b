package doctor

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
)

// well are the options of a set as it would be in production: nothing is to be found in
// it but what is always told of a set on one machine.
func well(more ...redistest.Option) []redistest.Option {
	return append([]redistest.Option{
		redistest.WithPersistence(), redistest.WithDownAfter(2 * time.Second), redistest.WithFailoverTimeout(15 * time.Second),
		redistest.WithConfig("maxmemory 100mb", "maxmemory-policy noeviction", "min-replicas-to-write 1"),
	}, more...)
}

// told are the codes that such a set always has.
func told(more ...string) []string { return append(more, "set-one-host", "redis-noeviction") }

func inSet(set *redistest.Sentinel, more ...string) []string {
	return append([]string{
		"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=" + set.MasterName(),
		"REDIS_SENTINELS=" + strings.Join(set.Addrs()[:3], ","),
	}, more...)
}

func startSet(t *testing.T, opts ...redistest.Option) (*stage, *redistest.Sentinel) {
	t.Helper()
	s, set := newStage(t), redistest.StartSentinel(t, well(opts...)...)
	s.sentinel(set)
	return s, set
}

func at(server *redistest.Server, more ...string) []string {
	return append([]string{"REDIS_HOST=" + server.Host(), fmt.Sprintf("REDIS_PORT=%d", server.Port())}, more...)
}

func TestAWellSet(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	began := time.Now()
	s.wants("well", inSet(set), told()...)
	t.Logf("it took %v", time.Since(began))
	var byName []string
	for i, p := range set.Sentinels() {
		byName = append(byName, fmt.Sprintf("localhost:%d", p.Port()))
		s.name(byName[i], "SENTINEL-"+string(rune('1'+i)))
	}
	s.wants("well-by-name", append(inSet(set), "REDIS_SENTINELS="+strings.Join(byName, ",")), told()...)
	s.wants("wrong-master-name", inSet(set, "REDIS_SENTINEL_MASTER_NAME=canteen"), health.CodeSentinelUnknownMaster)
	s.wants("nodes-as-sentinels", append(inSet(set), "REDIS_SENTINELS="+joined(set.Nodes())), health.CodeSentinelNotSentinel)
	s.wants("single-replica", at(set.Nodes()[1]), health.CodeRedisReplica, "redis-noeviction")
	s.wantsIn("tls-against-plain", Request{Environ: inSet(set, "REDIS_TLS=true"), Timeout: 9 * time.Second}, health.CodeSentinelTLS)
	unlisted := func(n int) string {
		return fmt.Sprintf("REDIS_ADDRESS_MAP=%s=127.0.0.1:1", set.Nodes()[n].Addr())
	}
	s.wants("replica-unreachable-from-here", inSet(set, unlisted(1)), told("redis-announced-unreachable")...)
	s.wants("settings-too", inSet(set, "REDIS_HOST=redis", "REDIS_NONSENSE=1", "EVERCACHE_LISTEN=127.0.0.1:0"), told("config-several-modes", "config-unknown-name")...)
}

func joined(servers []*redistest.Server) string {
	var all []string
	for _, s := range servers {
		all = append(all, s.Addr())
	}
	return strings.Join(all, ",")
}

func TestAWellSetWithLoginAndTLS(t *testing.T) {
	t.Parallel()
	s, set := startSet(t, redistest.WithTLSClientCerts(), redistest.WithPassword(canary), redistest.WithSentinelPassword(canary+"-2"))
	files := set.TLSFiles()
	secured := inSet(set, "REDIS_TLS=true", "REDIS_TLS_CA_FILE="+files.CA, "REDIS_TLS_CERT_FILE="+files.Cert, "REDIS_TLS_KEY_FILE="+files.Key)
	login := append(secured, "REDIS_PASSWORD="+canary, "REDIS_SENTINEL_PASSWORD="+canary+"-2")
	// The certificates of the test bed are for a day.
	s.wants("well-with-tls", login, told(health.CodeRedisTLSExpiring, "redis-server-certificate")...)
	s.wants("wrong-sentinel-password", append(login, "REDIS_SENTINEL_PASSWORD=wrong-"+canary), health.CodeSentinelAuth, health.CodeRedisTLSExpiring)
	s.wants("wrong-password", append(login, "REDIS_PASSWORD=wrong-"+canary), health.CodeRedisAuth, health.CodeRedisTLSExpiring, "redis-server-certificate")
	s.wants("plain-against-tls", inSet(set), health.CodeSentinelTLS)
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.wants("nobody", []string{
		"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=mymaster", "REDIS_SENTINELS=127.0.0.1:1,127.0.0.1:2,127.0.0.1:3",
		"REDIS_PASSWORD=" + canary,
	}, health.CodeSentinelUnreachable)
	s.wants("nobody-standalone", []string{"REDIS_HOST=127.0.0.1", "REDIS_PORT=1", "REDIS_PASSWORD=" + canary}, health.CodeRedisUnreachable)
	s.wants("nobody-cluster", []string{"REDIS_CLUSTER_NODES=127.0.0.1:1,127.0.0.1:2"}, health.CodeClusterUnreachable)
	s.wants("unresolved", []string{"REDIS_HOST=no-such-host.invalid"}, health.CodeRedisUnresolved)
	s.wants("wrong-settings", []string{"REDIS_PORT=none", "REDIS_USERNAME=shop", "REDIS_DB=x", "REDIS_SENTINEL_PASSWORD=" + canary}, CodeSettings)
}

func TestAGhostSentinel(t *testing.T) {
	t.Parallel()
	s, set := startSet(t, redistest.WithSentinels(4))
	set.Sentinels()[3].Kill()
	s.wants("ghost-sentinel", inSet(set), told("sentinel-ghost")...)
}

func TestAnEvenNumberOfSentinels(t *testing.T) {
	t.Parallel()
	s, set := startSet(t, redistest.WithSentinels(4))
	s.wants("even", inSet(set), told("sentinel-even", "sentinel-not-listed")...)
}

func TestASentinelMonitorsAnotherMaster(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	other := redistest.Start(t)
	s.name(other.Addr(), "OTHER")
	lost := set.Sentinels()[2]
	lost.Do("SENTINEL", "REMOVE", set.MasterName())
	lost.Do("SENTINEL", "MONITOR", set.MasterName(), other.Host(), fmt.Sprint(other.Port()), "1")
	lost.Do("SENTINEL", "SET", set.MasterName(), "down-after-milliseconds", "2000")
	lost.Do("SENTINEL", "SET", set.MasterName(), "failover-timeout", "15000")
	s.wants("sentinels-disagree", inSet(set), told(health.CodeSentinelDisagrees, "sentinel-settings-differ")...)
}

func TestTooFewSentinelsAnswer(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	set.Sentinels()[2].Kill()
	s.wants("one-sentinel-away", inSet(set), told(health.CodeSentinelUnreachable)...)
}

func TestAQuorumOfOne(t *testing.T) {
	t.Parallel()
	s, set := startSet(t, redistest.WithQuorum(1))
	s.wants("quorum-one", inSet(set), told("sentinel-quorum-one")...)
}

func TestNamesAndAddressesAreMixed(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	for _, p := range set.Sentinels() {
		p.Do("SENTINEL", "CONFIG", "SET", "resolve-hostnames", "yes")
		p.Do("SENTINEL", "CONFIG", "SET", "announce-hostnames", "yes")
		p.Do("SENTINEL", "REMOVE", set.MasterName())
	}
	for _, p := range set.Sentinels() {
		p.Do("SENTINEL", "MONITOR", set.MasterName(), "localhost", fmt.Sprint(set.Nodes()[0].Port()), "2")
		p.Do("SENTINEL", "SET", set.MasterName(), "down-after-milliseconds", "2000")
		p.Do("SENTINEL", "SET", set.MasterName(), "failover-timeout", "15000")
	}
	s.name(fmt.Sprintf("localhost:%d", set.Nodes()[0].Port()), "NAME-1")
	s.eventually("the sentinels know each other and the replicas", func() bool {
		for _, p := range set.Sentinels() {
			text := fmt.Sprint(p.Do("SENTINEL", "MASTER", set.MasterName()))
			if !strings.Contains(text, "num-slaves 2") || !strings.Contains(text, "num-other-sentinels 2") {
				return false
			}
			if q, err := p.Try(t.Context(), "SENTINEL", "CKQUORUM", set.MasterName()); err != nil || !strings.HasPrefix(fmt.Sprint(q), "OK 3") {
				return false
			}
		}
		return true
	})
	s.wants("names-mixed", inSet(set), told("sentinel-names-mixed")...)
}

func (s *stage) eventually(what string, ok func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func TestNoReplicaCanBePromoted(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	for _, n := range set.Nodes() {
		n.Do("CONFIG", "SET", "replica-priority", "0")
	}
	s.wants("priority-zero", inSet(set), told(health.CodeSentinelNoReplica)...)
}

func TestNothingIsKeptAndTheDenylistMayBeEvicted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	set := redistest.StartSentinel(t, redistest.WithDownAfter(30*time.Second), redistest.WithFailoverTimeout(3*time.Minute),
		redistest.WithConfig("maxmemory 100mb", "maxmemory-policy allkeys-lru"))
	s.sentinel(set)
	found := []string{"set-one-host", "redis-no-persistence", "redis-min-replicas-off", health.CodeRedisEvicts, "sentinel-down-after", "sentinel-failover-timeout-long"}
	s.wants("redis-defaults", inSet(set), found...)
	s.wants("denylist-evictable", inSet(set, "EVERCACHE_REVOCATIONS=on"), append(found, health.CodeRevocationsEvictable)...)
}

func TestTheSentinelsHaveDifferentSettings(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	set.Sentinels()[2].Do("SENTINEL", "SET", set.MasterName(), "failover-timeout", "20000")
	set.Nodes()[2].Do("CONFIG", "SET", "appendonly", "no")
	s.wants("settings-differ", inSet(set), told("sentinel-settings-differ", "redis-settings-differ")...)
}

func TestAReplicaFollowsAnotherMaster(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	other := redistest.Start(t)
	s.name(other.Addr(), "OTHER")
	set.Nodes()[2].Do("REPLICAOF", other.Host(), fmt.Sprint(other.Port()))
	s.eventually("the master knows that the replica is gone", func() bool {
		return strings.Contains(fmt.Sprint(set.Nodes()[0].Do("INFO", "replication")), "connected_slaves:1")
	})
	s.wants("wrong-master", inSet(set), told("redis-replica-wrong-master")...)
}

// The node has a password, so it is not asked under a name that only one other node knows it
// by. It is the master all the same.
func TestAReplicaFollowsTheMasterByItsName(t *testing.T) {
	t.Parallel()
	s, set := startSet(t, redistest.WithPassword(canary))
	name := fmt.Sprintf("localhost:%d", set.Nodes()[0].Port())
	s.name(name, "NAME-1")
	set.Nodes()[2].Do("REPLICAOF", "localhost", fmt.Sprint(set.Nodes()[0].Port()))
	s.eventually("the replica is back", func() bool {
		return strings.Contains(fmt.Sprint(set.Nodes()[2].Do("INFO", "replication")), "master_link_status:up") &&
			strings.Contains(fmt.Sprint(set.Nodes()[0].Do("INFO", "replication")), "connected_slaves:2")
	})
	s.wants("follows-by-name", inSet(set, "REDIS_PASSWORD="+canary), told("sentinel-names-mixed")...)
}

func TestASecondMaster(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	set.Nodes()[2].Do("REPLICAOF", "NO", "ONE")
	s.eventually("the master knows that the replica is gone", func() bool {
		return strings.Contains(fmt.Sprint(set.Nodes()[0].Do("INFO", "replication")), "connected_slaves:1")
	})
	s.wants("two-masters", inSet(set), told(health.CodeSentinelTwoMasters)...)
}

func TestTheMasterHasNoMasterauth(t *testing.T) {
	t.Parallel()
	s, set := startSet(t, redistest.WithPassword(canary))
	login := inSet(set, "REDIS_PASSWORD="+canary)
	set.Nodes()[0].Do("CONFIG", "SET", "masterauth", "")
	s.wants("masterauth-missing", login, told("redis-masterauth")...)
	set.Nodes()[0].Do("CONFIG", "SET", "masterauth", "old-"+canary)
	s.wants("masterauth-wrong", login, told("redis-masterauth")...)
}

func TestTheACLForbidsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	s, set := startSet(t, redistest.WithUser("app", canary, "~*", "&*", "+@all", "-acl", "-evalsha", "-unlink", "-config"))
	s.wants("acl", inSet(set, "REDIS_USERNAME=app", "REDIS_PASSWORD="+canary), "set-one-host", health.CodeRedisNoPerm, "redis-config-hidden", "redis-noeviction")
}

// The users of the sentinels and of the replicas can do what they do every day, and not
// what the next failover needs.
func TestOthersLackRights(t *testing.T) {
	t.Parallel()
	daily := []string{"resetchannels", "&__sentinel__:hello", "-@all", "+ping", "+info", "+role", "+publish", "+subscribe", "+client|setname", "+client|kill", "+multi", "+exec", "+script|kill"}
	s, set := startSet(
		t, redistest.WithPassword(canary), redistest.WithUser("monitor", canary, daily...),
		redistest.WithSentinelConfig("sentinel auth-user mymaster monitor"),
	)
	login := inSet(set, "REDIS_PASSWORD="+canary)
	s.wants("sentinel-user", login, told("sentinel-user-rights")...)
	for _, n := range set.Nodes() {
		n.Do("ACL", "SETUSER", "monitor", "+slaveof", "+config|rewrite")
	}
	set.Nodes()[0].Do("CONFIG", "SET", "masteruser", "nobody")
	s.wants("masteruser", login, told("redis-masteruser-rights")...)
}

// The users of deploy/compose have what evercache needs and no more: nothing of that may
// be reported as missing.
func TestTheLeastRightsAreEnough(t *testing.T) {
	t.Parallel()
	node := rulesOf(t, "redis-users.acl.tmpl")
	s, set := startSet(
		t, redistest.WithUser("evercache", canary, node...),
		redistest.WithSentinelConfig("user evercache on >"+canary+" "+strings.Join(rulesOf(t, "sentinel-users.acl.tmpl"), " ")),
	)
	s.wants("least-rights", inSet(
		set, "REDIS_USERNAME=evercache", "REDIS_PASSWORD="+canary, "REDIS_SENTINEL_USERNAME=evercache", "REDIS_SENTINEL_PASSWORD="+canary, "REDIS_KEY_PREFIX=shop:",
	), "set-one-host", "redis-config-hidden", "redis-noeviction")
}

// rulesOf are the ACL rules of the user evercache in a file of deploy/compose.
func rulesOf(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "compose", "set", name))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\nuser evercache on ")
	line, _, _ := strings.Cut(rest, "\n")
	if !ok {
		t.Fatalf("%s has no user evercache", name)
	}
	line = strings.NewReplacer("@KEY_PREFIX@", "shop:", "@SETINFO@", "").Replace(line)
	return strings.Fields(line)[1:] // the password is another one
}

func TestTheVersionsDiffer(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	var pairs []string
	for _, n := range set.Nodes() {
		if n == set.Nodes()[2] {
			pairs = append(pairs, n.Addr()+"="+older(t, n.Addr()))
		}
	}
	s.wants("versions", inSet(set, "REDIS_ADDRESS_MAP="+strings.Join(pairs, ",")), told("redis-versions-differ")...)
}

// older is a proxy that makes a server look like another version of Redis.
func older(t *testing.T, addr string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			go relay(client, addr)
		}
	}()
	return ln.Addr().String()
}

func relay(client net.Conn, addr string) {
	defer client.Close()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, client) }()
	buf := make([]byte, 256<<10)
	for {
		n, err := server.Read(buf)
		// A reply to INFO comes in one piece here; the digit is never cut from its name.
		text := buf[:n]
		if i := bytes.Index(text, []byte("redis_version:")); i >= 0 {
			text[i+len("redis_version:7.")] = '2'
		}
		if _, werr := client.Write(text); err != nil || werr != nil {
			return
		}
	}
}

func TestTheClockOfRedisIsWrong(t *testing.T) {
	t.Parallel()
	s, clock := newStage(t), redistest.NewClock(t)
	server := redistest.Start(t, redistest.WithClock(clock), redistest.WithConfig("maxmemory 100mb"))
	s.name(server.Addr(), "SERVER")
	s.wants("well-standalone", at(server), "redis-noeviction")
	clock.Set(7 * time.Second)
	s.wants("clock", at(server), "redis-noeviction", health.CodeRedisClock)
}

func TestTheWrongKindOfServer(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	secured := redistest.Start(t, redistest.WithTLS())
	s.name(secured.Addr(), "SERVER")
	s.wants("standalone-plain-against-tls", at(secured), health.CodeRedisTLS)
	plain := redistest.Start(t, redistest.WithPassword(canary))
	s.name(plain.Addr(), "PLAIN")
	s.wantsIn("standalone-tls-against-plain", Request{Environ: at(plain, "REDIS_TLS=true"), Timeout: 9 * time.Second}, health.CodeRedisTLS)
	s.wants("standalone-no-password", at(plain), health.CodeRedisAuth)
	renamed := redistest.Start(t, redistest.WithConfig(`rename-command EVALSHA ""`, `rename-command WAIT ""`))
	s.name(renamed.Addr(), "RENAMED")
	s.wants("standalone-renamed", at(renamed), health.CodeRedisCommandMissing, "redis-no-maxmemory")
	s.wants("standalone-no-database", at(plain, "REDIS_PASSWORD="+canary, "REDIS_DB=99"), health.CodeRedisDB)
}

func TestPlans(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	other := redistest.Start(t, redistest.WithConfig("maxmemory 100mb"))
	s.name(other.Addr(), "OTHER")
	set.Master().Do("SET", "a", "1")
	plan := func(golden, mode string, environ []string, codes ...string) {
		s.Helper()
		if mode == "standalone" {
			codes = append(codes, "plan-lost", "plan-variables", "config-sentinel-not-enabled", "redis-noeviction")
		}
		s.wantsIn(golden, Request{Environ: environ, Timeout: patience, Plan: mode}, codes...)
	}
	plan("plan-to-master", "standalone", inSet(set, at(set.Nodes()[0])...), "redis-standalone-replicas")
	plan("plan-to-replica", "standalone", inSet(set, at(set.Nodes()[1])...), "plan-target-not-master", health.CodeRedisReplica)
	plan("plan-to-stranger", "standalone", inSet(set, at(other, "EVERCACHE_REVOCATIONS=on", "EVERCACHE_JOURNAL_DIR="+t.TempDir())...),
		"plan-target-not-master", "plan-data-left", "plan-denylist", "plan-journal")
	plan("plan-to-sentinel", "sentinel", append(at(set.Nodes()[0]), inSet(set, "REDIS_SENTINEL_ENABLED=false")...), told("config-several-modes", "plan-variables")...)
	plan("plan-incomplete", "sentinel", at(set.Nodes()[0]), "plan-settings", "plan-variables")
	plan("plan-to-cluster", "cluster", at(set.Nodes()[0], "REDIS_DB=2"), "plan-settings", "plan-db", "plan-lost", "plan-variables")
	plan("plan-same", "sentinel", inSet(set, "REDIS_STRICT=true"), told("plan-same-mode")...)
}

// A sentinel that cannot log in holds down what everybody else reaches. CKQUORUM says OK all the same.
func TestASentinelDoesNotReachTheServers(t *testing.T) {
	t.Parallel()
	s, set := startSet(t, redistest.WithPassword(canary))
	blind := set.Sentinels()[2]
	blind.Do("SENTINEL", "SET", set.MasterName(), "auth-pass", "wrong-"+canary)
	for _, n := range set.Nodes() {
		n.Do("CLIENT", "KILL", "TYPE", "normal") // its connections were logged in before
	}
	s.eventually("the servers have run for long enough, and the sentinel holds them down", func() bool {
		for _, n := range set.Nodes() {
			if up, _, _ := strings.Cut(after(fmt.Sprint(n.Do("INFO", "server")), "uptime_in_seconds:"), "\r"); len(up) < 2 {
				return false
			}
		}
		return strings.Contains(fmt.Sprint(blind.Do("SENTINEL", "MASTER", set.MasterName())), "s_down") &&
			strings.Count(fmt.Sprint(blind.Do("SENTINEL", "REPLICAS", set.MasterName())), "s_down") == 2 &&
			!strings.Contains(fmt.Sprint(set.Sentinels()[0].Do("SENTINEL", "MASTER", set.MasterName())), "disconnected")
	})
	s.wants("sentinel-holds-down", inSet(set, "REDIS_PASSWORD="+canary), told("sentinel-holds-down")...)
}

// after is what stands behind a mark in a text.
func after(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	return rest
}

// A failover is over, and the old master does not know it yet.
func TestAfterAFailoverTheOldMasterIsWaitedFor(t *testing.T) {
	t.Parallel()
	s, set := startSet(t)
	old := set.Nodes()[0]
	for _, p := range set.Sentinels() { // the failover ends before they ask the old master for its role
		_, _ = p.Try(t.Context(), "SENTINEL", "DEBUG", "info-period", "60000") // Redis 7
	}
	old.Kill()
	s.eventually("all sentinels name the next master", func() bool {
		for _, p := range set.Sentinels() {
			text := fmt.Sprint(p.Do("SENTINEL", "MASTER", set.MasterName()))
			if strings.Contains(text, fmt.Sprintf("port %d ", old.Port())) || strings.Contains(text, "failover_in_progress") || !strings.Contains(text, "num-slaves 2") {
				return false
			}
		}
		return true
	})
	old.Start()
	s.eventually("it says that it is a master", func() bool {
		return strings.Contains(fmt.Sprint(old.Do("ROLE")), "master")
	})
	report := Run(t.Context(), Request{Environ: append(inSet(set), slack...), Timeout: patience})
	for _, f := range report.Findings {
		if f.Code == health.CodeSentinelTwoMasters && f.Severity == health.SeverityWarning && strings.HasPrefix(f.Fix, "Wait:") {
			return
		}
	}
	t.Errorf("found:\n%s", report.Text(false))
}
