package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/health"
)

func TestSentinelAskedForByFullConfiguration(t *testing.T) {
	cfg := accept(t, sentinelOn, masterIs, three,
		"REDIS_PASSWORD=data", "REDIS_DB=3",
		"REDIS_SENTINEL_USERNAME=watcher", "REDIS_SENTINEL_PASSWORD=watch",
		"REDIS_ADDRESS_MAP=redis-1:6379 = 127.0.0.1:7001, redis-2:6379=[::1]:7002")
	o := cfg.Redis
	if diff := cmp.Diff([]string{"s1:26379", "s2:26379", "s3:26379"}, o.Sentinels); diff != "" {
		t.Errorf("Sentinels (-want +got):\n%s", diff)
	}
	if o.MasterName != "mymaster" || o.SentinelUsername != "watcher" || o.SentinelPassword != "watch" {
		t.Errorf("MasterName, SentinelUsername or SentinelPassword is wrong: %q %q", o.MasterName, o.SentinelUsername)
	}
	if diff := cmp.Diff(map[string]string{"redis-1:6379": "127.0.0.1:7001", "redis-2:6379": "[::1]:7002"}, o.AddressMap); diff != "" {
		t.Errorf("AddressMap (-want +got):\n%s", diff)
	}
	if o.Password != "data" || o.DB != 3 || o.Addr != "" || o.RequestedMode != nil || o.RedisOptional {
		t.Errorf("DB %d, Addr %q, RequestedMode %v, RedisOptional %v", o.DB, o.Addr, o.RequestedMode, o.RedisOptional)
	}
	expectCodes(t, cfg)
}

func expectFallback(t *testing.T, cfg Config) health.Finding {
	t.Helper()
	o := cfg.Redis
	if o.Addr != "redis:6379" || len(o.Sentinels) > 0 || o.MasterName != "" || o.SentinelPassword != "" {
		t.Errorf("Addr %q, Sentinels %v, MasterName %q: want the single server and nothing of Sentinel", o.Addr, o.Sentinels, o.MasterName)
	}
	if o.RequestedMode == nil || *o.RequestedMode != health.ModeSentinel {
		t.Errorf("RequestedMode = %v, want sentinel", o.RequestedMode)
	}
	f := find(t, cfg, "config-sentinel-fallback")
	if f.Severity != health.SeverityError {
		t.Errorf("Severity = %s, want error", f.Severity)
	}
	return f
}

func TestFallsBackToStandaloneWithoutAList(t *testing.T) {
	cfg := accept(t, sentinelOn, "REDIS_HOST=redis", "REDIS_SENTINEL_PASSWORD=watch")
	want := health.Finding{
		Code: "config-sentinel-fallback", Severity: health.SeverityError, Title: "Sentinel mode is asked for, a single server is used",
		Detail: "REDIS_SENTINEL_ENABLED is true, but REDIS_SENTINEL_MASTER_NAME is not set and REDIS_SENTINELS is not set. " +
			"Only the server of REDIS_HOST and REDIS_PORT is used: its failover will not be followed.",
		Fix: "REDIS_SENTINEL_MASTER_NAME: give the name in the line `sentinel monitor <name>`, often mymaster. " +
			"REDIS_SENTINELS: list at least three, so that a majority survives the loss of one. REDIS_STRICT=true refuses to start instead.",
	}
	if diff := cmp.Diff(want, expectFallback(t, cfg)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFallsBackWithoutAMasterName(t *testing.T) {
	expectFallback(t, accept(t, sentinelOn, three, "REDIS_HOST=redis"))
}

func TestFallsBackBelowThreeSentinels(t *testing.T) {
	for _, list := range []string{"s1:26379", "s1:26379,s2:26379", "one-name-for-all:26379"} {
		expectFallback(t, accept(t, sentinelOn, masterIs, "REDIS_HOST=redis", "REDIS_SENTINELS="+list))
	}
}

func TestStrictRefusesInsteadOfFallingBack(t *testing.T) {
	expectLines(t, refuse(t, sentinelOn, strict),
		"REDIS_SENTINEL_MASTER_NAME: is not set; give the name in the line `sentinel monitor <name>`, often mymaster",
		"REDIS_SENTINELS: is not set; list at least three, so that a majority survives the loss of one")
	expectLines(t, refuse(t, sentinelOn, strict, masterIs, "REDIS_SENTINELS=s1:26379,s2:26379", "REDIS_DB=x"),
		`REDIS_DB: "x" is not a possible number; give a whole number from 0 to 1000000`,
		"REDIS_SENTINELS: lists 2; list at least three, so that a majority survives the loss of one")
	accept(t, sentinelOn, strict, masterIs, three)
}

func TestAMalformedSentinelIsAFaultEvenWhereAListFallsBack(t *testing.T) {
	expectLines(t, refuse(t, sentinelOn, masterIs, "REDIS_SENTINELS=s1"),
		`REDIS_SENTINELS: "s1" has no port; write host:port, an IPv6 address in brackets: [::1]:26379`)
	expectLines(t, refuse(t, sentinelOn, three, "REDIS_SENTINEL_MASTER_NAME=my master"),
		`REDIS_SENTINEL_MASTER_NAME: "my master" is not a master name; use letters, digits and .-_ as in the line `+"`sentinel monitor <name>`")
}

func TestParsesTheSentinelList(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"names", "a:1,b:2,c:3", []string{"a:1", "b:2", "c:3"}},
		{"addresses", "10.0.0.1:26379,10.0.0.2:26379,10.0.0.3:26379", []string{"10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379"}},
		{"IPv6", "[::1]:1,[2001:db8::2]:2,[::3]:3", []string{"[::1]:1", "[2001:db8::2]:2", "[::3]:3"}},
		{"empty entries", ",a:1,,b:2,c:3,", []string{"a:1", "b:2", "c:3"}},
		{"one host, three ports", "h:1,h:2,h:3", []string{"h:1", "h:2", "h:3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := accept(t, sentinelOn, masterIs, "REDIS_SENTINELS="+tt.in)
			if diff := cmp.Diff(tt.want, cfg.Redis.Sentinels); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	const fix = "; write host:port, an IPv6 address in brackets: [::1]:26379"
	for _, tt := range []struct{ name, entry, want string }{
		{"no port", "s3", `"s3" has no port` + fix},
		{"no host", ":26379", `":26379" has no host` + fix},
		{"port zero", "s3:0", `"s3:0" has a bad port; give a port from 1 to 65535`},
		{"port too large", "s3:65536", `"s3:65536" has a bad port; give a port from 1 to 65535`},
		{"port of letters", "s3:redis", `"s3:redis" has a bad port; give a port from 1 to 65535`},
		{"IPv6 without brackets", "::1:26379", `"::1:26379" is not host:port` + fix},
		{"URL", "redis://s3:26379", `the value is a URL` + fix},
		{"bad host", "s/3:26379", `"s/3:26379" has a bad host` + fix},
		{"bad address", "10.0.0.256:26379", `"10.0.0.256:26379" has a bad host` + fix},
		{"twice", "s1:26379", `"s1:26379" is there twice; give each address once`},
		{"twice in another spelling", "S1:026379", `"S1:026379" is there twice; give each address once`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectLines(t, refuse(t, "REDIS_SENTINELS=s1:26379,s2:26379,"+tt.entry), "REDIS_SENTINELS: "+tt.want)
		})
	}
}

func TestIgnoresWhiteSpace(t *testing.T) {
	cfg := accept(t, "REDIS_SENTINEL_ENABLED= TRUE\n", "REDIS_SENTINEL_MASTER_NAME=\tmymaster ",
		"REDIS_SENTINELS=\n  s1:26379 ,\r\n\ts2:26379\n s3:26379 ,\n", "EVERCACHE_HOSTS= a , b ", "EVERCACHE_MEMORY= 64 mb ")
	if diff := cmp.Diff([]string{"s1:26379", "s2:26379", "s3:26379"}, cfg.Redis.Sentinels); diff != "" {
		t.Errorf("Sentinels (-want +got):\n%s", diff)
	}
	if cfg.Redis.MasterName != "mymaster" || cfg.Redis.MemoryBytes != 64<<20 {
		t.Errorf("MasterName %q, MemoryBytes %d", cfg.Redis.MasterName, cfg.Redis.MemoryBytes)
	}
	if diff := cmp.Diff([]string{"a", "b"}, cfg.Server.Hosts); diff != "" {
		t.Errorf("Hosts (-want +got):\n%s", diff)
	}
}

func TestSentinelFindings(t *testing.T) {
	four := "REDIS_SENTINELS=s1:26379,s2:26379,s3:26379,s4:6379"
	for _, tt := range []struct {
		name string
		env  []string
		want []string
	}{
		{"not enabled", []string{three, masterIs}, []string{"config-sentinel-not-enabled"}},
		{"an even number, one on the port of Redis", []string{sentinelOn, masterIs, four}, []string{"config-sentinel-even", "config-sentinel-port"}},
		{"a server too", []string{sentinelOn, masterIs, three, "REDIS_HOST=redis"}, []string{"config-several-modes"}},
		{"port of a sentinel", []string{"REDIS_PORT=26379"}, []string{"config-redis-port"}},
		{"port of a sentinel in the URL", []string{"REDIS_URL=redis://h:26379"}, []string{"config-redis-port"}},
		{"map without use", []string{"REDIS_ADDRESS_MAP=a:1=b:2"}, []string{"config-setting-unused"}},
	} {
		t.Run(tt.name, func(t *testing.T) { expectCodes(t, accept(t, tt.env...), tt.want...) })
	}
}

func TestSentinelsKeptForTheWayBackAreNoWarning(t *testing.T) {
	cfg := accept(t, three, masterIs, "REDIS_SENTINEL_ENABLED=false", "REDIS_HOST=redis")
	f := find(t, cfg, "config-sentinel-not-enabled")
	if f.Severity != health.SeverityInfo {
		t.Errorf("Severity = %s, want info", f.Severity)
	}
	if want := "REDIS_SENTINEL_ENABLED is not true; no effect have REDIS_SENTINELS, REDIS_SENTINEL_MASTER_NAME."; f.Detail != want {
		t.Errorf("Detail = %q, want %q", f.Detail, want)
	}
	if cfg.Redis.Addr != "redis:6379" || cfg.Redis.MasterName != "" || cfg.Redis.RequestedMode != nil {
		t.Errorf("Addr %q, MasterName %q, RequestedMode %v", cfg.Redis.Addr, cfg.Redis.MasterName, cfg.Redis.RequestedMode)
	}
}

func TestClusterIsAskedForByItsNodes(t *testing.T) {
	cfg := accept(t, "REDIS_CLUSTER_NODES= n1:6379, n2:6379\t[::1]:7000\n", "REDIS_ADDRESS_MAP=10.0.0.1:6379=n1:7001", "REDIS_USERNAME=u", "REDIS_PASSWORD=p")
	if diff := cmp.Diff([]string{"n1:6379", "n2:6379", "[::1]:7000"}, cfg.Redis.ClusterNodes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if o := cfg.Redis; o.Addr != "" || o.RequestedMode != nil || o.Username != "u" || o.AddressMap["10.0.0.1:6379"] != "n1:7001" {
		t.Errorf("addr %q, requested %v, user %q, map %v", o.Addr, o.RequestedMode, o.Username, o.AddressMap)
	}
	expectLines(t, refuse(t, "REDIS_CLUSTER_NODES=n1:6379", "REDIS_DB=1"),
		"REDIS_DB: a Cluster has only database 0; leave it out")
	expectLines(t, refuse(t, "REDIS_CLUSTER_NODES=n1,n1:0,n2:1,n2:1"),
		`REDIS_CLUSTER_NODES: "n1" has no port; write host:port, an IPv6 address in brackets: [::1]:6379`,
		`REDIS_CLUSTER_NODES: "n1:0" has a bad port; give a port from 1 to 65535`,
		`REDIS_CLUSTER_NODES: "n2:1" is there twice; give each address once`)
	expectLines(t, refuse(t, "REDIS_CLUSTER_NODES="+strings.Repeat("n:1,", maxSeeds+1)),
		"REDIS_CLUSTER_NODES: the value lists 65 addresses; give from 1 to 64")
}

func TestAServerBesideAClusterIsNotUsed(t *testing.T) {
	cfg := accept(t, "REDIS_CLUSTER_NODES=n1:6379", "REDIS_HOST=redis")
	if f := find(t, cfg, "config-several-modes"); cfg.Redis.Addr != "" || !strings.Contains(f.Detail, "REDIS_HOST") {
		t.Errorf("addr %q, %+v", cfg.Redis.Addr, f)
	}
}

func TestSentinelAndClusterTogetherAreAFault(t *testing.T) {
	expectLines(t, refuse(t, sentinelOn, masterIs, three, "REDIS_CLUSTER_NODES=n1:6379"),
		"REDIS_CLUSTER_NODES: Sentinel mode is asked for too (REDIS_SENTINEL_ENABLED); choose one of the two")
}

func TestAddressMapFaults(t *testing.T) {
	expectLines(t, refuse(t, "REDIS_ADDRESS_MAP=a:1=b:2,a:1=c:3,d:1,e=f:1,g:1=h:x"),
		`REDIS_ADDRESS_MAP: "a:1=c:3" maps an address that is mapped already; give each announced address once`,
		`REDIS_ADDRESS_MAP: "d:1" is not announced=dialable; write redis-1:6379=127.0.0.1:6379`,
		`REDIS_ADDRESS_MAP: "e" has no port; write host:port, an IPv6 address in brackets: [::1]:6379`,
		`REDIS_ADDRESS_MAP: "h:x" has a bad port; give a port from 1 to 65535`)
}

func TestReplicasAreReadFromWhereTheyAreKnown(t *testing.T) {
	const on, zone = "REDIS_REPLICA_READS=true", "REDIS_ZONE=eu-1a"
	for _, env := range [][]string{{sentinelOn, masterIs, three, on, zone}, {"REDIS_CLUSTER_NODES=n1:6379", on, zone}} {
		if cfg := accept(t, env...); !cfg.Redis.ReplicaReads || cfg.Redis.Zone != "eu-1a" || !cfg.Policy.ReplicaReads {
			t.Errorf("%v: %v, zone %q, policy %v", env, cfg.Redis.ReplicaReads, cfg.Redis.Zone, cfg.Policy.ReplicaReads)
		}
	}
	cfg := accept(t, sentinelOn, three, on)
	if cfg.Redis.ReplicaReads || cfg.Policy.ReplicaReads {
		t.Error("an incomplete Sentinel configuration has replicas to be read from")
	}
	expectCodes(t, cfg, "config-sentinel-fallback", "config-replica-reads-off")
	expectCodes(t, accept(t, sentinelOn, three), "config-sentinel-fallback")
	expectCodes(t, accept(t, sentinelOn, three, masterIs, on))
	expectLines(t, refuse(t, on),
		"REDIS_REPLICA_READS: the replicas of a single server are not known here; give REDIS_SENTINEL_ENABLED=true with REDIS_SENTINELS, or REDIS_CLUSTER_NODES, or leave it out")
	expectLines(t, refuse(t, "REDIS_CLUSTER_NODES=n1:6379", zone),
		"REDIS_ZONE: is for reads from replicas, which are off; set REDIS_REPLICA_READS=true too, or leave it out")
	expectLines(t, refuse(t, "REDIS_CLUSTER_NODES=n1:6379", on, "REDIS_ZONE="+strings.Repeat("z", 257)),
		`REDIS_ZONE: "`+strings.Repeat("z", 32)+`" is too long; give the availability-zone of your servers, at most 256 bytes`)
}
