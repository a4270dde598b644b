package shard

import (
	"sync"
	"time"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/stats"
)

// Tombs counts the tombstones of this process, by the minute in which they were left.
type Tombs struct {
	mu      sync.Mutex // guards minutes
	minutes [tombMinutes]tombMinute
}

type tombMinute struct {
	minute int64
	stats.Tombstones
}

// tombMinutes is how many minutes a tombstone may have been left in: those that it
// lives, and the one that has begun.
const tombMinutes = int64(remote.TombstoneLife/time.Minute) + 1

// Left notes a tombstone under a key of so many bytes.
func (t *Tombs) Left(keyBytes int, now int64) {
	minute := now / int64(time.Minute)
	t.mu.Lock()
	defer t.mu.Unlock()
	m := &t.minutes[minute%tombMinutes]
	if m.minute != minute {
		*m = tombMinute{minute: minute}
	}
	m.Live++
	m.Bytes += tombBytes(keyBytes)
}

// Live adds up what still lives, give or take a minute.
func (t *Tombs) Live(now int64) (s stats.Tombstones) {
	minute := now / int64(time.Minute)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.minutes {
		if minute-m.minute < tombMinutes {
			s.Live += m.Live
			s.Bytes += m.Bytes
		}
	}
	return s
}

// tombBytes is about what a tombstone takes in Redis: two objects and their places
// in two tables, and its key as the allocator rounds it up.
func tombBytes(keyBytes int) int64 { return int64(160 + keyBytes + keyBytes/4) }
