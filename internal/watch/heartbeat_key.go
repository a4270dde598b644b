package watch

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/slot"
)

// tag is where the heartbeat of a shard is written: a key in a slot that its master owns
// and that does not move.
//
// What a later master of the shard holds under it says how far that is: it came there by
// the stream of the shard's master, in order with all that this took before. That holds
// only for a key that no other way leads to. MIGRATE carries a key to another shard, and
// brings it back: to a successor that lacks what was written before it. So a key whose
// slot moves, is doubted or has gone vouches for nothing from then on, wherever it
// is found, and another takes its place at once, under a name that was never used
// (tenure). Until a barrier there is on every replica that may be promoted, a successor
// may hold none: then everything that could be lost is sent again, as if it had lost it
// all. The key before is not asked then: where it has the larger number, that may have
// been carried there, and the smaller of two is never larger than what the new one
// alone tells.
type tag struct {
	slot   uint16
	key    string
	proven bool      // a barrier under it was on every replica that may be promoted
	void   bool      // it vouches for nothing, and there is no better slot
	begun  time.Time // when it was taken
}

// keyOf is the name of the heartbeat's key.
func (d *Cluster) keyOf(s uint16, shard uint32, tenure uint64) string {
	return fmt.Sprintf("%s~b:{%s}%s.%d.%d", d.c.KeyPrefix, slot.TagFor(s), d.c.Process, shard, tenure)
}

// pick chooses one of the slots that are not to be avoided: the nth of them, counted
// round and round, so that processes and keys spread. Not ok: all are.
func pick(slots, avoid *slot.Set, n uint64) (s uint16, ok bool) {
	good := *slots
	good.RemoveSet(avoid)
	count := uint64(good.Len())
	if count == 0 {
		return 0, false
	}
	n %= count
	for s := range good.All() {
		if n == 0 {
			return s, true
		}
		n--
	}
	return 0, false
}

// spread is where pick begins: an arbitrary number.
func spread(process string, shard uint32, tenure uint64) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range []byte(process) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return (h ^ uint64(shard)<<32 ^ tenure) * 1099511628211 >> 16
}

// restless are the slots that no heartbeat's key should be in.
func restless(d *cluster.Decision) *slot.Set {
	all := d.Moving
	all.AddSet(&d.Doubted)
	return &all
}

// retag has the seat's heartbeat written elsewhere. also are slots to be avoided too.
func (d *Cluster) retag(st *shardSeat, also *slot.Set) {
	avoid := restless(&d.now)
	avoid.AddSet(also)
	d.tenures++
	s, ok := pick(st.shard.Slots, avoid, spread(d.c.Process, st.number, d.tenures))
	if !ok {
		s, _ = pick(st.shard.Slots, &slot.Set{}, d.tenures)
	}
	st.tag = tag{slot: s, key: d.keyOf(s, st.number, d.tenures), void: !ok, begun: time.Now()}
	if st.node != nil {
		st.node.SetHeartbeatKey(st.tag.key)
		st.beat.now()
	}
}

// checkTag takes another key where the one in use vouches for nothing any more.
func (d *Cluster) checkTag(st *shardSeat, returned bool) {
	t := &st.tag
	switch {
	case t.key == "", !st.shard.Slots.Has(t.slot), returned, st.gap.bad(st.shard.Epoch):
	case !t.void && !d.now.Moving.Has(t.slot) && !d.now.Doubted.Has(t.slot):
		return
	case t.void: // no slot is better, as long as that is so
		if _, better := pick(st.shard.Slots, restless(&d.now), 0); !better {
			return
		}
	}
	st.gap = gap{}
	d.retag(st, &slot.Set{})
}

// retagEach bounds how often a key is replaced since its slot was refused: while the
// owner's own word is awaited every slot may be.
const retagEach = 20 * time.Millisecond

// displaced takes another key since the slot of this one was refused: the node does not
// own it, or gives it away. It reports whether that was done.
func (d *Cluster) displaced(st *shardSeat, key string) bool {
	if st.tag.key != key || time.Since(st.tag.begun) < retagEach {
		return false
	}
	d.retag(st, slot.SetOf(slot.Range{First: st.tag.slot, Last: st.tag.slot}))
	return true
}

// gap is a time in which no node has answered. A slot may have gone away in it and come
// back, to a successor even. Nothing of that is to be seen later but that the epoch of
// the shard has risen: who takes a slot back raises his own.
type gap struct {
	at    time.Time // when it ended; zero: there was none
	epoch int64     // of the shard, before it
}

// longGap is longer than any time in which nodes are not asked, and much shorter than
// to move slots and bring them back takes beside a failover.
const longGap = 3 * time.Second

func (g gap) bad(epoch int64) bool { return !g.at.IsZero() && epoch != g.epoch }

// noteGap is called before an answer is looked at.
func (d *Cluster) noteGap(at time.Time) {
	if !d.heardAt.IsZero() && at.Sub(d.heardAt) > longGap {
		for _, st := range d.seats {
			if st.gap.at.IsZero() {
				st.gap = gap{at, st.shard.Epoch}
			}
		}
	}
	d.heardAt = at
}
