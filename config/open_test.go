package config

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/evercache/evercache"
)

func TestOpenRefusesModesThatAreNotBuilt(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{[]string{"REDIS_CLUSTER_NODES=n1:6379", "REDIS_URL=redis://h"}, "cluster mode is not built yet"},
	} {
		c, err := evercache.Open(t.Context(), accept(t, tt.env...).Redis)
		if err == nil {
			c.Close()
			t.Errorf("%v: Open has no error", tt.env)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: Open: %v, want %q", tt.env, err, tt.want)
		}
	}
}

// Without Redis, so that nothing is dialled; all other options are checked.
func TestTheLibraryTakesWhatFromEnvAccepts(t *testing.T) {
	for _, env := range [][]string{
		nil,
		{"REDIS_URL=rediss://u:p@[::1]:6380/3", "REDIS_KEY_PREFIX=" + strings.Repeat("x", maxPrefixBytes)},
		{"REDIS_HOST=fe80::1%eth0", "REDIS_DB=1000000", "EVERCACHE_MEMORY=64KiB", "EVERCACHE_OUTBOX_MEMORY=1024GiB"},
		{"EVERCACHE_RING_MEMORY=1024GiB", "EVERCACHE_RING_AGE=5m"},
		{"EVERCACHE_RING_MEMORY=64KiB", "EVERCACHE_RING_AGE=0"},
		{sentinelOn, "REDIS_HOST=redis"},
		{sentinelOn, masterIs, three, "REDIS_HOST=redis", "REDIS_PASSWORD=x"},
		{"EVERCACHE_TTL=1ms", "EVERCACHE_READ_TIMEOUT=1ms", "EVERCACHE_DIAL_TIMEOUT=1m"},
		{"EVERCACHE_TTL=8760h", "EVERCACHE_MAX_TTL=8760h", "EVERCACHE_STALE=8760h", "EVERCACHE_L1_TTL=8760h"},
		{"EVERCACHE_L1_TTL=0", "EVERCACHE_STALE=0"},
	} {
		cfg := accept(t, env...)
		cfg.Redis.Logger = slog.New(slog.DiscardHandler)
		c, err := evercache.Open(t.Context(), cfg.Redis)
		if err != nil {
			t.Errorf("%v: %v", env, err)
			continue
		}
		if _, err := evercache.NewCache[[]byte](c, "demo", cfg.Policy); err != nil {
			t.Errorf("%v: %v", env, err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("%v: Close: %v", env, err)
		}
	}
}
