package config

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache"
)

func TestBooleans(t *testing.T) {
	for in, want := range map[string]bool{
		"true": true, "TRUE": true, "1": true, "yes": true, "Yes": true,
		"false": false, "False": false, "0": false, "no": false, "NO": false,
	} {
		if got, bad := boolean(in); bad != nil || got != want {
			t.Errorf("boolean(%q) = %v, %v", in, got, bad)
		}
	}
	for _, in := range []string{"on", "off", "2", "y", "t", "enabled"} {
		if _, bad := boolean(in); bad == nil {
			t.Errorf("boolean(%q) is accepted", in)
		}
	}
}

func TestDurations(t *testing.T) {
	parse := duration(time.Millisecond, time.Hour)
	for in, want := range map[string]time.Duration{
		"30": 30 * time.Second, "250ms": 250 * time.Millisecond, "1m30s": 90 * time.Second, "1.5s": 1500 * time.Millisecond, "3600": time.Hour,
	} {
		if got, bad := parse(in); bad != nil || got != want {
			t.Errorf("duration(%q) = %v, %v", in, got, bad)
		}
	}
	for in, want := range map[string]string{
		"1.5": "is not a duration", "1d": "is not a duration", "an hour": "is not a duration",
		"0": "is out of bounds", "-5s": "is out of bounds", "61m": "is out of bounds",
		"9223372036854775807": "is out of bounds", "-9223372036854775808": "is out of bounds",
	} {
		if _, bad := parse(in); len(bad) != 1 || bad[0].what != want {
			t.Errorf("duration(%q): %v, want %q", in, bad, want)
		}
	}
}

func TestSizes(t *testing.T) {
	parse := size(1, 1<<40)
	for in, want := range map[string]int64{
		"1": 1, "1048576": 1 << 20, "512b": 512, "32MiB": 32 << 20, "64mb": 64 << 20, "64Mi": 64 << 20, "64M": 64 << 20,
		"3 KB": 3 << 10, "1GiB": 1 << 30, "1024g": 1 << 40,
	} {
		if got, bad := parse(in); bad != nil || got != want {
			t.Errorf("size(%q) = %v, %v", in, got, bad)
		}
	}
	for in, want := range map[string]string{
		"1.5MiB": "is not a size", "MiB": "is not a size", "10 parsecs": "is not a size", "1TiB": "is not a size", "99999999999999999999": "is not a size",
		"0": "is out of bounds", "-1": "is out of bounds", "1025GiB": "is out of bounds", "9223372036854775807g": "is out of bounds",
	} {
		if _, bad := parse(in); len(bad) != 1 || bad[0].what != want {
			t.Errorf("size(%q): %v, want %q", in, bad, want)
		}
	}
}

func TestShortTexts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 10 * time.Second: "10s", time.Hour + time.Second: "1h0m1s", 8760 * time.Hour: "8760h",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 1: "1", 1500: "1500", 1024: "1KiB", 1536: "1536", 64 << 20: "64MiB", 1 << 40: "1024GiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestHostFaults(t *testing.T) {
	const fix = "; give a host name or an IP address, without a port"
	for in, want := range map[string]string{
		"redis:6380":               `"redis:6380" holds a port too; set REDIS_HOST to what is before the colon and REDIS_PORT to what is after it`,
		"[::1]:6379":               `"[::1]:6379" holds a port too; set REDIS_HOST to what is before the colon and REDIS_PORT to what is after it`,
		"redis://:canary@host":     "the value is a URL; put it into REDIS_URL, or give the host alone",
		"/var/run/redis.sock":      `"/var/run/redis.sock" is a unix socket, which is not supported; give a host name or an IP address`,
		"unix:/var/run/redis.sock": `"unix:/var/run/redis.sock" is a unix socket, which is not supported; give a host name or an IP address`,
		"a,b":                      `"a,b" is a list; give one host; several belong into REDIS_SENTINELS or REDIS_CLUSTER_NODES`,
		"10.0.0.256":               `"10.0.0.256" is not a host` + fix,
		"redis..example":           `"redis..example" is not a host` + fix,
		"[redis]":                  `"[redis]" is not a host` + fix,
		"[::1":                     `"[::1" is not a host` + fix,
		"redis:":                   `"redis:" is not a host` + fix,
		"user@host":                "the value is not a host" + fix,
		strings.Repeat("x", 70):    `"` + strings.Repeat("x", 64) + `"… is not a host` + fix,
	} {
		expectLines(t, refuse(t, "REDIS_HOST="+in), "REDIS_HOST: "+want)
	}
}

func TestURL(t *testing.T) {
	for _, tt := range []struct {
		in, shown  string
		user, pass string
		db         int
		tls        bool
	}{
		{in: "redis://h", shown: "redis://h:6379"},
		{in: "redis://h:6380/", shown: "redis://h:6380"},
		{in: "REDISS://h:6380/7", shown: "rediss://h:6380/7", db: 7, tls: true},
		{in: "redis://:pa%2Fss@h/0", shown: "redis://:***@h:6379/0", pass: "pa/ss"},
		{in: "redis://:p@ss@h", shown: "redis://:***@h:6379", pass: "p@ss"},
		{in: "rediss://sh%40p:pass@[::1]:6380/2", shown: "rediss://sh%40p:***@[::1]:6380/2", user: "sh@p", pass: "pass", db: 2, tls: true},
	} {
		cfg := accept(t, "REDIS_URL="+tt.in)
		o := cfg.Redis
		if o.Username != tt.user || o.Password.Reveal() != tt.pass || o.DB != tt.db || (o.TLS != nil) != tt.tls {
			t.Errorf("%s: %q %q %d TLS %v", tt.in, o.Username, o.Password.Reveal(), o.DB, o.TLS != nil)
		}
		if got := lineOf(t, cfg, "REDIS_URL"); got != (Line{"REDIS_URL", tt.shown, "env"}) {
			t.Errorf("%s: shown as %v", tt.in, got)
		}
	}
}

func lineOf(t *testing.T, cfg Config, name string) Line {
	t.Helper()
	for _, l := range cfg.Redacted() {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no line %s", name)
	return Line{}
}

func TestURLFaults(t *testing.T) {
	const encode = "the value cannot be read as a URL; percent-encode the special signs in user and password: / is %2F, # is %23, ? is %3F, % is %25"
	const form = "; write redis://user:password@host:port/db, or rediss:// for TLS"
	for in, want := range map[string]string{
		"unix:///run/redis.sock":        "the value names a unix socket, which is not supported; write redis://host:port/db",
		"redis+unix:///run/redis.sock":  "the value names a unix socket, which is not supported; write redis://host:port/db",
		"redis-socket:///run/redis":     "the value names a unix socket, which is not supported; write redis://host:port/db",
		"/run/redis.sock":               "the value names a unix socket, which is not supported; write redis://host:port/db",
		"redis+sentinel://h:26379/m":    "the value names sentinels; use REDIS_SENTINEL_ENABLED, REDIS_SENTINEL_MASTER_NAME and REDIS_SENTINELS",
		"http://h":                      "the value does not begin with redis:// or rediss://" + form,
		"canary":                        "the value does not begin with redis:// or rediss://" + form,
		"redis:h:6379":                  "the value does not begin with redis:// or rediss://" + form,
		"redis://:can#ary@h":            encode,
		"redis://:can/ary@h":            encode,
		"redis://:can%ary@h":            encode,
		"redis://":                      "the value has no host, or a bad one" + form,
		"redis://h:0":                   "the value has a bad port; give a port from 1 to 65535",
		"redis://h/canary":              "the value has something else than a database number after the host" + form,
		"redis://user:12/canary@h:63/1": "the value has something else than a database number after the host" + form,
		"redis://h?timeout=canary":      "the value holds a ? or a #; options have variables of their own; in a password write %3F for ? and %23 for #",
		"redis://canary@h":              "names a user without a password; set REDIS_PASSWORD or REDIS_PASSWORD_FILE too",
	} {
		expectLines(t, refuse(t, "REDIS_URL="+in), "REDIS_URL: "+want)
	}
}

func TestURLBesideItsParts(t *testing.T) {
	expectLines(t, refuse(t, "REDIS_URL=redis://u:p@h/1", "REDIS_HOST=h", "REDIS_PORT=6379", "REDIS_USERNAME=u", "REDIS_PASSWORD=p", "REDIS_DB=1", "REDIS_TLS=yes"),
		"REDIS_HOST: REDIS_URL says it too; give one of them",
		"REDIS_PORT: REDIS_URL says it too; give one of them",
		"REDIS_USERNAME: REDIS_URL says it too; give one of them",
		"REDIS_PASSWORD: REDIS_URL says it too; give one of them",
		"REDIS_DB: REDIS_URL says it too; give one of them",
		"REDIS_TLS: contradicts REDIS_URL; write rediss:// there for TLS, redis:// for none, and leave REDIS_TLS out")

	o := accept(t, "REDIS_URL=rediss://h", "REDIS_USERNAME=u", "REDIS_PASSWORD=p", "REDIS_DB=1", "REDIS_TLS=true").Redis
	if o.Addr != "h:6379" || o.Username != "u" || o.Password != "p" || o.DB != 1 || o.TLS == nil {
		t.Errorf("parts that the URL leaves out are not taken: %q %q %d", o.Addr, o.Username, o.DB)
	}
}

func TestServer(t *testing.T) {
	got := accept(t, "EVERCACHE_LISTEN=[::]:8080", "EVERCACHE_TOKEN=0123456789abcdef", "EVERCACHE_HOSTS=Cache.example, 10.0.0.7\n[::7]",
		"EVERCACHE_LOG_LEVEL=WARN", "EVERCACHE_LOG_FORMAT=JSON", "EVERCACHE_MAX_BODY=64KiB", "EVERCACHE_BODY_MEMORY=8MiB", "EVERCACHE_MAX_TTL=24h",
		"EVERCACHE_DRAIN_TIMEOUT=25", "EVERCACHE_SHUTDOWN_DELAY=7", "EVERCACHE_REVOCATIONS=OFF",
		"EVERCACHE_REVOCATIONS_MAX_LAG=60", "EVERCACHE_REVOCATIONS_ON_UNKNOWN=Allow", "EVERCACHE_REVOCATIONS_MAX_LIFE=24h",
		"EVERCACHE_REVOCATIONS_MAX_ENTRIES=5000").Server
	want := Server{
		Listen: "[::]:8080", Tokens: Tokens{All: Token{Values: []evercache.Secret{"0123456789abcdef"}}}, Hosts: []string{"10.0.0.7", "::7", "cache.example"},
		LogLevel: slog.LevelWarn, LogFormat: "json", InspectEvery: 10 * time.Second, MaxBodyBytes: 64 << 10, BodyMemory: 8 << 20, MaxTTL: 24 * time.Hour, MaxClasses: 100,
		DrainTimeout: 25 * time.Second, ShutdownDelay: 7 * time.Second, Revocations: "off",
		RevocationsMaxLag: time.Minute, RevocationsMaxLife: 24 * time.Hour, RevocationsOnUnknown: "allow", RevocationsMaxEntries: 5000,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := accept(t, "EVERCACHE_MAX_BODY=100MiB").Server.BodyMemory; got != 200<<20 {
		t.Errorf("BodyMemory = %d, want twice the largest body", got)
	}
	expectLines(t, refuse(t, "EVERCACHE_MAX_BODY=100MiB", "EVERCACHE_BODY_MEMORY=50MiB"),
		`EVERCACHE_BODY_MEMORY: 50MiB is less than EVERCACHE_MAX_BODY (100MiB); raise it, or lower EVERCACHE_MAX_BODY`)
	expectLines(t, refuse(t, "EVERCACHE_REVOCATIONS_MAX_ENTRIES=0"),
		`EVERCACHE_REVOCATIONS_MAX_ENTRIES: "0" is out of bounds; give a number from 1 to 1000000000`)
	expectLines(t, refuse(t, "EVERCACHE_REVOCATIONS_MAX_ENTRIES=10M"),
		`EVERCACHE_REVOCATIONS_MAX_ENTRIES: "10M" is not a number; write a whole number, digits only`)
	expectLines(t, refuse(t, "EVERCACHE_HOSTS=a,b:3000,http://c"),
		`EVERCACHE_HOSTS: the value is not a host; give a host name or an IP address, without a port`,
		`EVERCACHE_HOSTS: the value is not a host; give a host name or an IP address, without a port`)
	expectLines(t, refuse(t, "EVERCACHE_HOSTS=a,b:3000"),
		`EVERCACHE_HOSTS: "b:3000" is not a host; give a host name or an IP address, without a port`)
}

func TestOpenListener(t *testing.T) {
	for _, closed := range []string{"127.0.0.1:3000", "localhost:3000", "LocalHost:3000", "[::1]:0", "127.8.8.8:1", "[::ffff:127.0.0.1]:3000"} {
		expectCodes(t, accept(t, "EVERCACHE_LISTEN="+closed))
	}
	for _, open := range []string{":3000", "0.0.0.0:3000", "[::]:3000", "10.0.0.7:3000", "cache.example:3000"} {
		expectLines(t, refuse(t, "EVERCACHE_LISTEN="+open),
			`EVERCACHE_LISTEN: "`+open+`" can be reached from other machines, and no token is set; set EVERCACHE_TOKEN or EVERCACHE_TOKEN_FILE, or EVERCACHE_INSECURE=true to run open, or listen on 127.0.0.1`)
		expectCodes(t, accept(t, "EVERCACHE_LISTEN="+open, "EVERCACHE_TOKEN=0123456789abcdef"))
		expectCodes(t, acceptWith(t, memory{"/t": "!0123456789abcdef"}, "EVERCACHE_LISTEN="+open, "EVERCACHE_TOKEN_FILE=/t"))
		expectCodes(t, accept(t, "EVERCACHE_LISTEN="+open, "EVERCACHE_INSECURE=1"), "config-listener-open")
		expectCodes(t, accept(t, "EVERCACHE_LISTEN="+open, "EVERCACHE_INSECURE=1", "EVERCACHE_TOKEN=0123456789abcdef"), "config-setting-unused")
	}
	refuse(t, "EVERCACHE_LISTEN=:3000", "EVERCACHE_TOKEN=")
	expectLines(t, refuse(t, "EVERCACHE_LISTEN=:3000", "EVERCACHE_TOKEN_FILE=/none"),
		`EVERCACHE_TOKEN_FILE: "/none" does not exist; give the path of a file that holds the secret and nothing else`)
}

func TestPolicy(t *testing.T) {
	for _, tt := range []struct {
		name           string
		env            []string
		ttl, stale, l1 time.Duration
	}{
		{"all", []string{"EVERCACHE_TTL=10m", "EVERCACHE_STALE=2h", "EVERCACHE_L1_TTL=1s"}, 10 * time.Minute, 2 * time.Hour, time.Second},
		{"zero switches off", []string{"EVERCACHE_STALE=0", "EVERCACHE_L1_TTL=0"}, time.Hour, 0, evercache.Never},
		{"a short life", []string{"EVERCACHE_TTL=2s"}, 2 * time.Second, 0, 0},
		{"a low maximum lowers the default", []string{"EVERCACHE_MAX_TTL=30m"}, 30 * time.Minute, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := accept(t, tt.env...).Policy
			if p.TTL != tt.ttl || p.Stale != tt.stale || p.L1TTL != tt.l1 {
				t.Errorf("TTL %v, Stale %v, L1TTL %v", p.TTL, p.Stale, p.L1TTL)
			}
		})
	}
	expectLines(t, refuse(t, "EVERCACHE_MAX_TTL=30m", "EVERCACHE_TTL=1h", "EVERCACHE_L1_TTL=2h"),
		"EVERCACHE_TTL: 1h is longer than EVERCACHE_MAX_TTL (30m); lower it, or raise EVERCACHE_MAX_TTL",
		"EVERCACHE_L1_TTL: 2h is longer than EVERCACHE_TTL (1h); lower it, or raise EVERCACHE_TTL")
	expectLines(t, refuse(t, "EVERCACHE_MAX_TTL=none", "EVERCACHE_TTL=8000h"),
		`EVERCACHE_MAX_TTL: "none" is not a duration; write 250ms, 90s, 5m or 1h30m, or whole seconds`)
}

func TestOptions(t *testing.T) {
	o := accept(t, "REDIS_KEY_PREFIX=shop:", "REDIS_USERNAME=u", "REDIS_PASSWORD=p", "REDIS_DB=4", "EVERCACHE_MEMORY=1GiB",
		"EVERCACHE_OUTBOX_MEMORY=1MiB", "EVERCACHE_RING_MEMORY=2MiB", "EVERCACHE_RING_AGE=0", "EVERCACHE_DIAL_TIMEOUT=1s", "EVERCACHE_READ_TIMEOUT=50ms", "EVERCACHE_WRITE_TIMEOUT=75ms").Redis
	want := evercache.Options{
		Addr: "localhost:6379", KeyPrefix: "shop:", Username: "u", Password: "p", DB: 4, MemoryBytes: 1 << 30, MaxValueBytes: 1 << 20, OutboxBytes: 1 << 20, RingBytes: 2 << 20, RingAge: evercache.Never,
		DialTimeout: time.Second, ReadTimeout: 50 * time.Millisecond, WriteTimeout: 75 * time.Millisecond,
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	expectLines(t, refuse(t, "REDIS_USERNAME=u", "REDIS_KEY_PREFIX=a{b}", "REDIS_SENTINEL_USERNAME=w"),
		"REDIS_USERNAME: names a user without a password; set REDIS_PASSWORD or REDIS_PASSWORD_FILE too",
		`REDIS_KEY_PREFIX: "a{b}" holds a brace; leave braces out: they would put every key into one Cluster slot`,
		"REDIS_SENTINEL_USERNAME: names a user without a password; set REDIS_SENTINEL_PASSWORD or REDIS_SENTINEL_PASSWORD_FILE too")
}
