package config

import (
	"fmt"
	"testing"

	"github.com/evercache/evercache/health"
)

func TestSuggestsTheNearestName(t *testing.T) {
	for in, want := range map[string]string{
		"REDIS_HSOT":            "REDIS_HOST",
		"REDIS_HOTS":            "REDIS_HOST",
		"REDIS_PASWORD":         "REDIS_PASSWORD",
		"REDIS_PASSWROD_FILE":   "REDIS_PASSWORD_FILE",
		"REDIS_PASS":            "REDIS_PASSWORD",
		"REDIS_USER":            "REDIS_USERNAME",
		"REDIS_SENTINEL":        "REDIS_SENTINELS",
		"REDIS_SENTINEL_MASTER": "REDIS_SENTINEL_MASTER_NAME",
		"REDIS_SENTINEL_ENABLE": "REDIS_SENTINEL_ENABLED",
		"REDIS_CLUSTER_NODE":    "REDIS_CLUSTER_NODES",
		"EVERCACHE_LISTN":       "EVERCACHE_LISTEN",
		"EVERCACHE_LOGLEVEL":    "EVERCACHE_LOG_LEVEL",
		"REDIS_VERSION":         "",
		"REDIS_X":               "",
		"EVERCACHE_COLOUR":      "",
	} {
		if got := nearest(in); got != want {
			t.Errorf("nearest(%q) = %q, want %q", in, got, want)
		}
	}
	cfg := accept(t, "REDIS_HSOT=redis", "EVERCACHE_COLOUR=blue", "REDIS_BAD NAME\n=x")
	want := "Not a setting, and ignored: EVERCACHE_COLOUR, REDIS_BAD?NAME?, REDIS_HSOT (did you mean REDIS_HOST?)."
	if f := find(t, cfg, "config-unknown-name"); f.Detail != want || f.Severity != health.SeverityWarning {
		t.Errorf("%s %q, want %q", f.Severity, f.Detail, want)
	}
	expectCodes(t, cfg, "config-unknown-name")
}

func TestUnknownNamesAreBounded(t *testing.T) {
	var env []string
	for i := range 30 {
		env = append(env, fmt.Sprintf("EVERCACHE_ODD_%02d=x", i))
	}
	f := find(t, accept(t, env...), "config-unknown-name")
	want := "Not a setting, and ignored: EVERCACHE_ODD_00, EVERCACHE_ODD_01, EVERCACHE_ODD_02, EVERCACHE_ODD_03, EVERCACHE_ODD_04, " +
		"EVERCACHE_ODD_05, EVERCACHE_ODD_06, EVERCACHE_ODD_07, EVERCACHE_ODD_08, EVERCACHE_ODD_09, EVERCACHE_ODD_10, EVERCACHE_ODD_11, " +
		"EVERCACHE_ODD_12, EVERCACHE_ODD_13, EVERCACHE_ODD_14, EVERCACHE_ODD_15 and 14 more."
	if f.Detail != want {
		t.Errorf("Detail = %q", f.Detail)
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "acb", 1},
		{"abcd", "badc", 2},
		{"kitten", "sitting", 3},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestIgnoresWhatKubernetesInjects(t *testing.T) {
	env := []string{
		"REDIS_PORT=tcp://10.96.0.11:6379",
		"REDIS_SERVICE_HOST=10.96.0.11",
		"REDIS_SERVICE_PORT=6379",
		"REDIS_SERVICE_PORT_TCP_REDIS=6379",
		"REDIS_PORT_6379_TCP=tcp://10.96.0.11:6379",
		"REDIS_PORT_6379_TCP_PROTO=tcp",
		"REDIS_PORT_6379_TCP_PORT=6379",
		"REDIS_PORT_6379_TCP_ADDR=10.96.0.11",
		"REDIS_MASTER_SERVICE_HOST=10.96.0.12",
		"REDIS_MASTER_PORT=tcp://10.96.0.12:6379",
		"REDIS_SENTINEL_SERVICE_PORT=26379",
		"REDIS_SENTINEL_PORT_26379_TCP=tcp://10.96.0.13:26379",
		"EVERCACHE_PORT=tcp://10.96.0.14:3000",
		"EVERCACHE_SERVICE_HOST=10.96.0.14",
		"EVERCACHE_PORT_3000_TCP_ADDR=10.96.0.14",
		"EVERCACHE_PORT_3001_UDP=udp://10.96.0.14:3001",
	}
	cfg := accept(t, env...)
	if cfg.Redis.Addr != "localhost:6379" || !cfg.Redis.RedisOptional {
		t.Errorf("Addr %q, RedisOptional %v", cfg.Redis.Addr, cfg.Redis.RedisOptional)
	}
	expectCodes(t, cfg, "config-kubernetes-names")
	if f := find(t, cfg, "config-kubernetes-names"); f.Severity != health.SeverityInfo {
		t.Errorf("Severity = %s", f.Severity)
	}

	cfg = accept(t, "REDIS_URL=redis://h:6380", "REDIS_PORT=tcp://10.96.0.11:6379")
	if cfg.Redis.Addr != "h:6380" {
		t.Errorf("Addr = %q: an injected REDIS_PORT is taken for one of ours", cfg.Redis.Addr)
	}
	expectLines(t, refuse(t, "REDIS_PORT=http://10.96.0.11:6379"), "REDIS_PORT: the value is not a port; give a number from 1 to 65535")
}
