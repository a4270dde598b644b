package config

import (
	"slices"
	"testing"
)

func TestDefaultsForMemoryFollowTheLimit(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name                 string
		limit                int64
		env                  []string
		memory, outbox, ring int64
		short                bool
	}{
		{"no limit", 0, nil, 32 * mib, 8 * mib, 16 * mib, false},
		{"plenty", 1 << 30, nil, 32 * mib, 8 * mib, 16 * mib, false},
		{"enough", 256 * mib, nil, 32 * mib, 8 * mib, 16 * mib, false},
		{"128 MiB", 128 * mib, nil, 32 * mib, 8 * mib, 8 * mib, false},
		{"a small sidecar", 64 * mib, nil, 16 * mib, 4 * mib, 4 * mib, false},
		{"too small for the program", 16 * mib, nil, 4 * mib, 1 * mib, 1 * mib, true},
		{"next to nothing", 1, nil, leastMemory, leastMemory, leastMemory, true},
		{"what is set stays", 64 * mib, []string{"EVERCACHE_MEMORY=32MiB"}, 32 * mib, 4 * mib, 4 * mib, true},
		{"also what is set to the default", 64 * mib, []string{"EVERCACHE_OUTBOX_MEMORY=8MiB"}, 16 * mib, 8 * mib, 4 * mib, true},
		{"without a ring", 64 * mib, []string{"EVERCACHE_RING_MEMORY=1GiB", "EVERCACHE_RING_AGE=0"}, 16 * mib, 4 * mib, 1024 * mib, false},
		{"no overflow", 64 * mib, []string{"EVERCACHE_MEMORY=1024GiB", "EVERCACHE_OUTBOX_MEMORY=1024GiB", "EVERCACHE_RING_MEMORY=1024GiB"}, 1 << 40, 1 << 40, 1 << 40, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			was := accept(t, tt.env...)
			cfg := was.Within(tt.limit)
			if o := cfg.Redis; o.MemoryBytes != tt.memory || o.OutboxBytes != tt.outbox || o.RingBytes != tt.ring {
				t.Errorf("%d, %d, %d; want %d, %d, %d", o.MemoryBytes, o.OutboxBytes, o.RingBytes, tt.memory, tt.outbox, tt.ring)
			}
			if got := slices.Contains(codes(cfg), "config-memory"); got != tt.short {
				t.Errorf("finding %v, want %v", got, tt.short)
			}
			checkOutcome(t, cfg, nil)
			if was.Redis.MemoryBytes != accept(t, tt.env...).Redis.MemoryBytes || slices.Contains(codes(was), "config-memory") {
				t.Error("the Config that Within was called on has changed")
			}
		})
	}
}

func TestWithinSaysWhatDecided(t *testing.T) {
	was := accept(t, "EVERCACHE_RING_MEMORY=1MiB")
	lines := was.Within(64 << 20).Redacted()
	for name, want := range map[string]Line{
		"EVERCACHE_MEMORY":        {"EVERCACHE_MEMORY", "16MiB", "memory limit"},
		"EVERCACHE_OUTBOX_MEMORY": {"EVERCACHE_OUTBOX_MEMORY", "4MiB", "memory limit"},
		"EVERCACHE_RING_MEMORY":   {"EVERCACHE_RING_MEMORY", "1MiB", "env"},
	} {
		if got := lines[position(name)]; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if got := was.Redacted()[position("EVERCACHE_MEMORY")].Source; got != "default" {
		t.Errorf("the Config that Within was called on says %q", got)
	}
}
