package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
)

// memory is files for tests: path to content; a content "!private" may be read
// by its owner only.
type memory map[string]string

func (m memory) read(path string, most int64) ([]byte, fs.FileMode, error) {
	content, ok := m[path]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	mode := fs.FileMode(0o644)
	if private, ok := strings.CutPrefix(content, "!"); ok {
		content, mode = private, 0o400
	}
	if int64(len(content)) > most {
		return nil, 0, errTooLarge
	}
	return []byte(content), mode, nil
}

// accept reads an environment that must have no fault.
func accept(t *testing.T, environ ...string) Config {
	t.Helper()
	return acceptWith(t, memory{}, environ...)
}

func acceptWith(t *testing.T, f files, environ ...string) Config {
	t.Helper()
	cfg, err := read(environ, f)
	if err != nil {
		t.Fatalf("FromEnv: %v", err)
	}
	return cfg
}

// refuse reads an environment that must have faults and returns their lines.
func refuse(t *testing.T, environ ...string) []string {
	t.Helper()
	return refuseWith(t, memory{}, environ...)
}

func refuseWith(t *testing.T, f files, environ ...string) []string {
	t.Helper()
	_, err := read(environ, f)
	if _, ok := errors.AsType[Faults](err); !ok {
		t.Fatalf("FromEnv = %v, want Faults", err)
	}
	return strings.Split(err.Error(), "\n")
}

func expectLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

// codes are those of the findings, in their order.
func codes(cfg Config) []string {
	var out []string
	for _, f := range cfg.Redis.Findings {
		out = append(out, f.Code)
	}
	return out
}

func expectCodes(t *testing.T, cfg Config, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, codes(cfg)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func find(t *testing.T, cfg Config, code string) health.Finding {
	t.Helper()
	for _, f := range cfg.Redis.Findings {
		if f.Code == code {
			return f
		}
	}
	t.Fatalf("no finding %s in %v", code, codes(cfg))
	return health.Finding{}
}

const (
	sentinelOn = "REDIS_SENTINEL_ENABLED=true"
	masterIs   = "REDIS_SENTINEL_MASTER_NAME=mymaster"
	three      = "REDIS_SENTINELS=s1:26379,s2:26379,s3:26379"
	strict     = "REDIS_STRICT=true"
)

func TestStandaloneByDefault(t *testing.T) {
	got := accept(t, "PATH=/bin", "HOME=/", "REDISTRIBUTE=x")
	want := Config{
		Redis: evercache.Options{
			Addr: "localhost:6379", RedisOptional: true,
			DialTimeout: 300 * time.Millisecond, ReadTimeout: 100 * time.Millisecond, WriteTimeout: 250 * time.Millisecond,
			MemoryBytes: 32 << 20, MaxValueBytes: 1 << 20, OutboxBytes: 8 << 20, RingBytes: 16 << 20, RingAge: time.Minute,
		},
		Server: Server{
			Listen: "127.0.0.1:3000", LogLevel: slog.LevelInfo, LogFormat: "auto", InspectEvery: 10 * time.Second,
			MaxBodyBytes: 1 << 20, BodyMemory: 16 << 20, MaxTTL: 720 * time.Hour, MaxClasses: 100,
			DrainTimeout: 10 * time.Second, Revocations: "auto",
			RevocationsMaxLag: 15 * time.Second, RevocationsMaxLife: 744 * time.Hour, RevocationsOnUnknown: "deny",
			RevocationsMaxEntries: 10_000_000,
		},
		Policy: evercache.Policy{
			TTL:         time.Hour,
			ReadTimeout: 100 * time.Millisecond, WriteTimeout: 250 * time.Millisecond,
		},
	}
	got.lines = nil
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Config{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOwnHostAndPort(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"host", []string{"REDIS_HOST=redis.example"}, "redis.example:6379"},
		{"port", []string{"REDIS_PORT=6380"}, "localhost:6380"},
		{"both, with white space", []string{"REDIS_HOST= cache \n", "REDIS_PORT=\t6380 "}, "cache:6380"},
		{"IPv4", []string{"REDIS_HOST=10.0.0.7"}, "10.0.0.7:6379"},
		{"IPv6", []string{"REDIS_HOST=2001:db8::7"}, "[2001:db8::7]:6379"},
		{"IPv6 in brackets", []string{"REDIS_HOST=[2001:db8::7]", "REDIS_PORT=7000"}, "[2001:db8::7]:7000"},
		{"IPv6 with a zone", []string{"REDIS_HOST=fe80::1%eth0"}, "[fe80::1%eth0]:6379"},
		{"underscore", []string{"REDIS_HOST=my_redis"}, "my_redis:6379"},
		{"empty is not set", []string{"REDIS_HOST=", "REDIS_PORT=  "}, "localhost:6379"},
		{"the later entry counts", []string{"REDIS_HOST=a", "REDIS_HOST=b"}, "b:6379"},
		{"URL", []string{"REDIS_URL=redis://redis.example:6380"}, "redis.example:6380"},
		{"URL without a port", []string{"REDIS_URL=redis://redis.example"}, "redis.example:6379"},
		{"URL with IPv6", []string{"REDIS_URL=redis://[::1]:6380/3"}, "[::1]:6380"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := accept(t, tt.env...).Redis.Addr; got != tt.want {
				t.Errorf("Addr = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRedisIsOptionalOnlyWhenNothingNamesIt(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want bool
	}{
		{nil, true},
		{[]string{"EVERCACHE_TTL=5m"}, true},
		{[]string{"REDIS_HOST="}, true},
		{[]string{"REDIS_PORT=tcp://10.0.0.1:6379", "REDIS_SERVICE_HOST=10.0.0.1"}, true},
		{[]string{"REDIS_HOST=localhost"}, false},
		{[]string{"REDIS_HSOT=redis"}, false},
		{[]string{strict}, false},
	} {
		if got := accept(t, tt.env...).Redis.RedisOptional; got != tt.want {
			t.Errorf("%v: RedisOptional = %v, want %v", tt.env, got, tt.want)
		}
	}
}

func TestListsEveryFaultAtOnce(t *testing.T) {
	got := refuse(t,
		"EVERCACHE_TTL=soon",
		"REDIS_HOST=redis:6380",
		"REDIS_PORT=99999",
		"REDIS_DB=first",
		"REDIS_TLS=maybe",
		"REDIS_SENTINELS=s1:26379,s1:26379,s2,:1",
		"REDIS_CLUSTER_NODES=n1:0",
		"EVERCACHE_LISTEN=3000",
		"EVERCACHE_MAX_BODY=1.5MiB",
		"EVERCACHE_LOG_LEVEL=loud",
		"EVERCACHE_LOG_FORMAT=xml",
		"EVERCACHE_DIAL_TIMEOUT=0",
		"EVERCACHE_REVOCATIONS=perhaps",
	)
	expectLines(t, got,
		`REDIS_HOST: "redis:6380" holds a port too; set REDIS_HOST to what is before the colon and REDIS_PORT to what is after it`,
		`REDIS_PORT: "99999" is not a port; give a number from 1 to 65535`,
		`REDIS_DB: "first" is not a possible number; give a whole number from 0 to 1000000`,
		`REDIS_TLS: "maybe" is neither true nor false; write true or false (1, 0, yes and no will do)`,
		`REDIS_SENTINELS: "s1:26379" is there twice; give each address once`,
		`REDIS_SENTINELS: "s2" has no port; write host:port, an IPv6 address in brackets: [::1]:26379`,
		`REDIS_SENTINELS: ":1" has no host; write host:port, an IPv6 address in brackets: [::1]:26379`,
		`REDIS_CLUSTER_NODES: "n1:0" has a bad port; give a port from 1 to 65535`,
		`EVERCACHE_LISTEN: "3000" is not host:port; write 127.0.0.1:3000, or :3000 for every address of the machine`,
		`EVERCACHE_LOG_LEVEL: "loud" is not a log level; write debug, info, warn or error`,
		`EVERCACHE_LOG_FORMAT: "xml" is not one of the choices; write auto, json, text`,
		`EVERCACHE_MAX_BODY: "1.5MiB" is not a size; write bytes as a whole number, or with a unit: 512KiB, 32MiB, 1GiB`,
		`EVERCACHE_REVOCATIONS: "perhaps" is not one of the choices; write auto, on, required, off`,
		`EVERCACHE_TTL: "soon" is not a duration; write 250ms, 90s, 5m or 1h30m, or whole seconds`,
		`EVERCACHE_DIAL_TIMEOUT: "0" is out of bounds; give a duration from 1ms to 1m`,
	)
}

func TestFaultsAreBounded(t *testing.T) {
	got := refuse(t, "REDIS_SENTINELS="+strings.Repeat("x,", maxSentinels))
	if n := len(got); n != maxProblems+1 {
		t.Errorf("%d lines, want %d", n, maxProblems+1)
	}
	if want := fmt.Sprintf("REDIS_SENTINELS: %d more of the kind; see the lines above", maxSentinels-maxProblems); got[maxProblems] != want {
		t.Errorf("last line = %q, want %q", got[maxProblems], want)
	}
	expectLines(t, refuse(t, "REDIS_SENTINELS="+strings.Repeat("x,", maxSentinels+1)),
		"REDIS_SENTINELS: the value lists 65 addresses; give from 1 to 64")
	expectLines(t, refuse(t, "REDIS_PASSWORD="+strings.Repeat("x", maxValueBytes+1)),
		"REDIS_PASSWORD: the value is too long; give at most 65536 bytes")
}
