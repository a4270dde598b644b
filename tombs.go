package evercache

import (
	"fmt"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// TombstoneStats are the tombstones that this process has left in Redis and that
// still live there. One key that is deleted several times counts as often.
type TombstoneStats struct {
	Live  int64
	Bytes int64 // about: of Redis' memory
}

// tombs counts the tombstones of this process, by the minute in which they were left.
type tombs struct {
	mu      sync.Mutex // guards minutes
	minutes [tombMinutes]tombMinute
}

type tombMinute struct {
	minute int64
	TombstoneStats
}

// tombMinutes is how many minutes a tombstone may have been left in: those that it
// lives, and the one that has begun.
const tombMinutes = int64(remote.TombstoneLife/time.Minute) + 1

// left notes a tombstone under a key of so many bytes.
func (t *tombs) left(keyBytes int, now int64) {
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

// live adds up what still lives, give or take a minute.
func (t *tombs) live(now int64) (s TombstoneStats) {
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

const (
	// tombsShare is the part of maxmemory, in percent, from which tombstones are told
	// of, and tombsMost where it has none, or does not tell.
	tombsShare = 10
	tombsMost  = 256 << 20
)

// tombFindings tell when tombstones take much of the server's memory.
func tombFindings(t TombstoneStats, maxMemory uint64) []Finding {
	most, of := int64(tombsMost), "Redis has no maxmemory, or does not tell it"
	if maxMemory > 0 {
		most = int64(min(maxMemory/100*tombsShare, 1<<50))
		of = fmt.Sprintf("maxmemory is %d MiB", maxMemory>>20)
	}
	if t.Bytes <= most {
		return nil
	}
	return []Finding{{
		Code: "tombstones-many", Severity: Warning,
		Title:  "The traces of deletes take much of the memory of Redis",
		Detail: fmt.Sprintf("this process has left %d tombstones within the last ten minutes, about %d MiB; %s", t.Live, t.Bytes>>20, of),
		Fix:    "Delete a prefix instead of its keys one by one: that leaves one mark. Let keys that nobody needs expire. Else give Redis more memory: a tombstone lives for ten minutes.",
	}}
}
