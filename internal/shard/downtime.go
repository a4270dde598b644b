package shard

import (
	"sync"
	"sync/atomic"
	"time"
)

// downtimes are the times in which callers had no master, as they saw them:
// from the first sign of trouble to the next master in use.
type downtimes struct {
	signAt atomic.Int64 // when a write last failed, in Unix nanoseconds

	mu    sync.Mutex // guards what follows
	since time.Time  // zero while there is a master
	past  []downtime // oldest first
}

type downtime struct {
	to             string // address of the master that ended it
	began, ended   time.Time
	replayedBefore uint64
}

const maxDowntimes = 64

func newDowntimes() *downtimes { return &downtimes{since: time.Now()} }

// sign notes that a write has failed: the trouble may have begun.
func (b *downtimes) sign() { b.signAt.Store(time.Now().UnixNano()) }

// signBefore is how long before the loss of the master its first sign may be.
const signBefore = 2 * time.Second

// begin notes that the master is lost.
func (b *downtimes) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.since.IsZero() {
		return
	}
	b.since = time.Now()
	if sign := time.Unix(0, b.signAt.Load()); b.since.Sub(sign) < signBefore {
		b.since = sign
	}
}

// end notes that a master is in use.
func (b *downtimes) end(to string, replayed uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		return
	}
	if len(b.past) == maxDowntimes {
		b.past = b.past[1:]
	}
	b.past = append(b.past, downtime{to: to, began: b.since, ended: time.Now(), replayedBefore: replayed})
	b.since = time.Time{}
}

// age is how long there has been no master; 0 while there is one.
func (b *downtimes) age() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		return 0
	}
	return time.Since(b.since)
}

// of finds the downtime that ended with this master at about that time, and
// how many writes were replayed between it and the next.
func (b *downtimes) of(to string, adopted time.Time, replayedNow uint64) (took time.Duration, replayed uint64) {
	const slack = 250 * time.Millisecond
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, p := range b.past {
		if p.to != to || p.ended.Before(adopted.Add(-slack)) {
			continue
		}
		if i+1 < len(b.past) {
			replayedNow = b.past[i+1].replayedBefore
		}
		return p.ended.Sub(p.began), replayedNow - p.replayedBefore
	}
	return 0, 0
}
