package config

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/evercache/evercache"
)

// Without Redis, so that nothing is dialled; all other options are checked.
func TestTheLibraryTakesWhatFromEnvAccepts(t *testing.T) {
	for _, env := range [][]string{
		nil,
		{"REDIS_URL=rediss://u:p@[::1]:6380/3", "REDIS_KEY_PREFIX=" + strings.Repeat("x", maxPrefixBytes)},
		{"REDIS_HOST=fe80::1%eth0", "REDIS_DB=1000000", "EVERCACHE_MEMORY=64KiB", "EVERCACHE_OUTBOX_MEMORY=1024GiB"},
		{"EVERCACHE_RING_MEMORY=1024GiB", "EVERCACHE_RING_AGE=5m"},
		{"EVERCACHE_RING_MEMORY=64KiB", "EVERCACHE_RING_AGE=0"},
		{sentinelOn, "REDIS_HOST=redis"},
		{"REDIS_CLUSTER_NODES=nobody.invalid:6379", "REDIS_URL=redis://h", "REDIS_ADDRESS_MAP=10.0.0.1:6379=127.0.0.1:1", "REDIS_PASSWORD=x"},
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
