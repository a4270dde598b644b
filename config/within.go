package config

import (
	"fmt"

	"github.com/evercache/evercache"
)

// What of its memory a process gives by default to values, to writes that wait,
// and to the ring. Writes can take their part twice: some wait for a master while
// others wait for their confirmation.
const (
	memoryPart = 4
	outboxPart = 16
	ringPart   = 16

	leastMemory = 64 << 10 // of each
)

// Within lowers the defaults for memory to what fits a process that may have limit
// bytes. What was set stays; where it does not fit, the finding config-memory says
// so. limit 0: there is none.
func (c Config) Within(limit int64) Config {
	if limit <= 0 {
		return c
	}
	c.lines = c.Redacted()
	c.lower("EVERCACHE_MEMORY", &c.Redis.MemoryBytes, limit/memoryPart)
	c.lower("EVERCACHE_OUTBOX_MEMORY", &c.Redis.OutboxBytes, limit/outboxPart)
	c.lower("EVERCACHE_RING_MEMORY", &c.Redis.RingBytes, limit/ringPart)
	if need := memoryNeed(c.Redis); need > limit {
		c.Redis.Findings = append(c.Redis.Findings[:len(c.Redis.Findings):len(c.Redis.Findings)], memoryShort.finding(
			fmt.Sprintf("They need some %d MiB, and the limit is %d MiB.", need>>20, limit>>20),
			"Raise the limit, or lower EVERCACHE_MEMORY, EVERCACHE_OUTBOX_MEMORY or EVERCACHE_RING_MEMORY: what is not set follows the limit.",
		))
	}
	return c
}

// lower takes the default of a setting down to most.
func (c Config) lower(name string, bytes *int64, most int64) {
	line := &c.lines[position(name)]
	if most = max(most, leastMemory); line.Source == "default" && *bytes > most {
		*bytes, line.Value, line.Source = most, bytesText(most), "memory limit"
	}
}

// baseMemory is what serve needs when it keeps nothing.
const baseMemory = 24 << 20

// memoryNeed is how much memory the settings need at least, at their bounds. The
// collector needs room beside what is kept.
func memoryNeed(o evercache.Options) int64 {
	const most = 1 << 60 // of each: the sum must not overflow
	kept := min(o.MemoryBytes, most) + 2*min(o.OutboxBytes, most)
	if o.RingAge != evercache.Never {
		kept += min(o.RingBytes, most)
	}
	return baseMemory + kept + kept/4
}
