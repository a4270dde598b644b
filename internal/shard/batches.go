package shard

import (
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

const (
	// firstBatch and largestBatch bound the bytes of one pipeline of the replay:
	// it begins with the first, and doubles while it goes well.
	firstBatch   = 256 << 10
	largestBatch = 4 << 20
	// smallestBatch is the least that a slow link makes of it, and longBatch how
	// long one should take.
	smallestBatch = 16 << 10
	longBatch     = 50 * time.Millisecond
	// maxSuspects bounds the records that are remembered to have broken a
	// connection.
	maxSuspects = 64
	// mostBreaks is how often a record may break a connection on which it was sent
	// alone, and smallestBreaker the size from which that is taken for its fault.
	mostBreaks      = 4
	smallestBreaker = 16 << 10
)

// batches is how much the replay sends in one pipeline, and what a connection broke on.
// It outlives connections: a batch that breaks one is halved until the record is
// alone that does it, which is then sent last, so that it holds up nothing else.
type batches struct {
	bytes    int64
	count    int
	broke    map[string]breakage // by key
	hopeful  int                 // batches that went well since the last that did not
	shrunken bool
}

type breakage struct {
	seq   uint64
	times int
}

func (b *batches) begin() {
	if b.count == 0 {
		b.bytes, b.count = firstBatch, remote.MaxBatch
	}
}

func (b *batches) most() int { return b.count }

// cut leaves so many records as fit, one at least; a large one goes by itself.
func (b *batches) cut(rs []outbox.Record) []outbox.Record {
	sum := int64(0)
	for i := range rs {
		sum += int64(len(rs[i].Value))
		switch {
		case i > 0 && (sum > b.bytes || isLarge(&rs[i])):
			return rs[:i]
		case isLarge(&rs[i]):
			return rs[:1]
		}
	}
	return rs
}

func isLarge(r *outbox.Record) bool { return len(r.Value) >= remote.LargeWrite }

// went notes how a batch went.
func (b *batches) went(rs []outbox.Record, took time.Duration, err error) {
	k := remote.KindOf(err)
	switch {
	case err == nil:
		b.well(rs, took)
	case k == remote.Timeout || k == remote.Conn || k == remote.Crowded:
		b.badly(rs, k)
	}
}

// well lets batches grow while they are quick: other calls wait behind them.
func (b *batches) well(rs []outbox.Record, took time.Duration) {
	for i := range rs {
		delete(b.broke, rs[i].Key)
	}
	if len(rs) == 1 && isLarge(&rs[0]) {
		return // it tells nothing about pipelines
	}
	if b.hopeful++; b.shrunken && b.hopeful < 8 {
		return // what broke it may come next
	}
	b.shrunken = false
	if took > longBatch {
		b.bytes = max(b.bytes/2, smallestBatch)
		return
	}
	if took > longBatch/2 {
		return
	}
	b.bytes, b.count = min(2*b.bytes, largestBatch), min(2*b.count, remote.MaxBatch)
}

func (b *batches) badly(rs []outbox.Record, k remote.Kind) {
	if len(rs) > 1 {
		b.hopeful, b.shrunken = 0, true
		sum := int64(0)
		for i := range rs {
			sum += int64(len(rs[i].Value))
		}
		b.bytes, b.count = max(sum/2, 1), len(rs)/2
		return
	}
	for i := range rs {
		r := &rs[i]
		was := b.broke[r.Key]
		if was.seq != r.Seq {
			was = breakage{seq: r.Seq}
		}
		if k == remote.Conn {
			was.times++
		}
		if b.broke == nil {
			b.broke = map[string]breakage{}
		}
		for key := range b.broke { // any one: its record may be gone
			if len(b.broke) >= maxSuspects && key != r.Key {
				delete(b.broke, key)
				break
			}
		}
		b.broke[r.Key] = was
	}
}

// suspects reports whether a connection broke on the record when it was alone.
func (b *batches) suspects(r *outbox.Record) bool {
	was, ok := b.broke[r.Key]
	if ok && was.seq != r.Seq { // another write of the key
		delete(b.broke, r.Key)
		return false
	}
	return ok
}

// hopeless reports whether it broke too many to be tried again.
func (b *batches) hopeless(r *outbox.Record) bool {
	return b.broke[r.Key].times >= mostBreaks && len(r.Value) >= smallestBreaker
}
