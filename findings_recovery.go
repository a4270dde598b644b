package evercache

import (
	"fmt"
	"time"
)

// FeedHealth is what the invalidation feed is worth.
type FeedHealth struct {
	// On: the master announces what others change. Cause says why not.
	On    bool
	Cause error
	// Coherent: entries that the feed covers may be called coherent now.
	Coherent bool
	// Lease is how long ago the last proof was that the feed is whole and its
	// master the only one; negative: there is none. Entries are coherent while
	// it is at most a second.
	Lease time.Duration
	// Epoch rises whenever announcements may have been missed.
	Epoch     uint64
	Announced uint64 // changes by others, so far
	Flushes   uint64 // times that everything was gone or another: FLUSHALL (which may count twice), SWAPDB and the like
	Silences  uint64 // epochs that were ended because the feed did not answer
}

// RecoveryHealth is what is kept for a master that comes back, or another one,
// with less than we were told is stored, and what became of it.
type RecoveryHealth struct {
	// Unconfirmed writes are taken by the master, but not yet known to be held
	// by every replica that could be promoted.
	Unconfirmed       int
	UnconfirmedBytes  int64
	UnconfirmedOldest time.Duration
	// Ring is what is kept of the last minute beyond them.
	Ring      int
	RingBytes int64

	Uncovered     uint64 // writes that a next master did not have: sent again
	Superseded    uint64 // not sent again: another process had written since
	Invalidated   uint64 // deleted, because the order could not be told
	Evicted       uint64 // deleted, because Redis may have evicted what tells the order
	DroppedValues uint64 // unconfirmed writes that kept only their key, for want of room
	DroppedKeys   uint64 // those that kept only their class
	DatasetResets uint64 // times that Redis came back without its data
}

func (sh *shard) feedHealth() FeedHealth {
	now := sh.clock.precise()
	on, barrier, heard, why := sh.feed.state()
	h := FeedHealth{
		On: on, Cause: why, Lease: -1,
		Coherent: now < sh.feed.until.Load(), Epoch: sh.feed.epoch.Load(),
		Announced: sh.feed.announced.Load(), Flushes: sh.feed.flushes.Load(), Silences: sh.feed.epochs.Load(),
	}
	if proof := min(barrier, heard); proof > 0 {
		h.Lease = time.Duration(now - proof)
	}
	return h
}

func (sh *shard) recoveryHealth() RecoveryHealth {
	d, r := sh.ledger.Depth(), &sh.recovery
	h := RecoveryHealth{
		Unconfirmed: d.Unconfirmed, UnconfirmedBytes: d.Bytes, Ring: d.Ring, RingBytes: d.RingBytes,
		Uncovered: r.uncovered.Load(), Superseded: r.superseded.Load(), Invalidated: r.invalidated.Load(), Evicted: r.evicted.Load(),
		DroppedValues: d.Dropped, DroppedKeys: d.DroppedKeys, DatasetResets: r.resets.Load(),
	}
	if d.Oldest != 0 {
		h.UnconfirmedOldest = max(0, time.Duration(sh.clock.precise()-d.Oldest))
	}
	return h
}

const (
	// unconfirmedLong: a promotable replica that does not answer is held down by
	// the sentinels long before.
	unconfirmedLong = 30 * time.Second
	resetTold       = time.Hour
)

// recoveryFindings tell what endangers writes that were acknowledged, or did.
func recoveryFindings(h Health, resetAt time.Time) (fs []Finding) {
	r := h.Recovery
	if r.DroppedValues+r.DroppedKeys > 0 {
		fs = append(fs, Finding{
			Code: "ledger-overflowed", Severity: Warning,
			Title:  "More writes were unconfirmed than there is room for",
			Detail: fmt.Sprintf("%d kept only their keys, %d only their classes: those are deleted if a failover loses them", r.DroppedValues, r.DroppedKeys),
			Fix:    "Look for a replica that lags (it holds up confirmation), or raise the outbox's bounds (EVERCACHE_OUTBOX_MEMORY).",
		})
	}
	if h.Connected && r.UnconfirmedOldest > unconfirmedLong {
		fs = append(fs, Finding{
			Code: "replication-behind", Severity: Warning,
			Title:  "Writes are not confirmed by every replica that could be promoted",
			Detail: fmt.Sprintf("%d writes, the oldest for %v", r.Unconfirmed, r.UnconfirmedOldest.Round(time.Second)),
			Fix:    "Look for a replica that is connected but does not keep up (INFO replication: lag), and for a failover that does not end.",
		})
	}
	if r.DatasetResets > 0 && time.Since(resetAt) < resetTold {
		fs = append(fs, Finding{
			Code: "dataset-reset", Severity: Error,
			Title:  "Redis came back without its data",
			Detail: fmt.Sprintf("at %s; what this process had written in the last minute was put back", resetAt.UTC().Format(time.RFC3339)),
			Fix:    "Find out why: a restart without persistence, a FLUSHALL, another server at this address. Turn on appendonly, and never let a master restart empty beside replicas.",
		})
	}
	return fs
}

// rejectedFindings tell of kept writes that no master takes.
func rejectedFindings(n uint64, last time.Time) []Finding {
	if n == 0 || time.Since(last) > resetTold {
		return nil
	}
	return []Finding{{
		Code: "write-rejected", Severity: Error,
		Title:  "Redis does not take a write that was kept",
		Detail: fmt.Sprintf("%d so far, the last at %s; the key is deleted instead", n, last.UTC().Format(time.RFC3339)),
		Fix:    "Look at the size of the values: proto-max-bulk-len, client-query-buffer-limit, or a proxy may end the connection.",
	}}
}
