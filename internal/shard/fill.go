package shard

import (
	"bytes"
	"context"
	"math/bits"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// Filling is a loaded value on its way to a master.
type Filling struct {
	Key, Rest string // rest: without the class
	Data      []byte
	Missed    Asked  // when the master that was asked did not have it
	Replaces  string // the sum of what is there and of no use
	TTL       time.Duration
	Seen      Seen // of a refresh
	Gone      bool // what was seen is to be deleted
}

// Seen is a value that a master had, and that is loaded again. It is replaced where it is
// there still: the same bytes, and with no more time to live than it had then.
type Seen struct {
	sum  string
	left time.Duration
	at   time.Time // when it was asked for
}

// Seen is what a refresh of an answer replaces.
func (a Answer) Seen() Seen { return Seen{Sum(a.Data), a.Left, a.Asked.At} }

// Is reports whether there is such a value.
func (s Seen) Is() bool { return s.sum != "" }

// replaced is what a fill that ends by then at the latest replaces.
func (s Seen) replaced(by time.Time) remote.Replaced {
	if s.left < 0 { // it has no end
		return remote.Replaced{Sum: s.sum, Least: -1, Most: -1}
	}
	return remote.Replaced{Sum: s.sum, Least: max(0, (s.left - by.Sub(s.at)).Milliseconds()), Most: s.left.Milliseconds() + 1}
}

// Fill stores a loaded value. The caller holds the key's lock, and calls End last.
type Fill struct {
	class *Class
	shard *Shard
	node  *remote.Node
	what  remote.Fill
	sent  time.Time
}

// BeginFill is to be called before it is sent. ok is false where there is no master, or
// none that was asked.
func (k *Class) BeginFill(f Filling) (_ Fill, ok bool) {
	sh := k.st.of(f.Key)
	node := sh.Node.Load()
	missed, ok := f.Missed.by(sh.clocks)
	switch {
	case node == nil || !ok || f.Missed.shard != sh: // another master says when by another clock
		return Fill{}, false
	case f.Seen.Is() && node.ScriptsForbidden(): // nothing else replaces what was seen and nothing newer
		return Fill{}, false
	}
	tomb, trace := remote.Beside(sh.Config.KeyPrefix, f.Key)
	what := remote.Fill{
		Pair: remote.Pair{Key: f.Key, Data: f.Data, TTL: f.TTL}, Tomb: tomb, Marks: k.marks,
		Trace: trace, Rest: f.Rest, MissedAt: missed, Replaces: f.Replaces,
		Brief: (f.Seen.Is() || f.TTL != k.ttl) && k.brief(f.TTL), Process: k.st.process,
	}
	if f.Seen.Is() {
		what.Over, what.Gone = f.Seen.replaced(time.Now().Add(k.limit+fillMargin)), f.Gone
	}
	if lies := sh.slots.Load(); lies != nil {
		s := k.st.slotOf(f.Key)
		anchor, ok := lies.anchor(s)
		if !ok || lies.moving.Has(s) { // nobody could tell what was deleted meanwhile
			return Fill{}, false
		}
		what.Anchored, what.Marks = true, remote.MarksAt(sh.Config.KeyPrefix, f.Key, anchor)
	}
	sh.Scripts.enterOne(f.Key)
	return Fill{class: k, shard: sh, node: node, what: what, sent: time.Now()}, true
}

// fillMargin is how much later than given up a fill may be executed, and how far clocks
// run apart in the life of a load.
const fillMargin = time.Second

// Send stores the value, unless the key was written or deleted since it was missed.
func (f *Fill) Send(ctx context.Context) (stored bool, err error) {
	if err := f.note(ctx); err != nil {
		return false, err
	}
	stored, err = f.node.Fill(ctx, f.what, f.class.limit)
	f.shard.wrote(f.what.Key, f.shard.Ledger.Next())
	return stored, err
}

// note tells Redis how long the value lives. Of a life of its own it tells the powers of two
// of milliseconds around it: a class may have few lives, and loaders give as many as they like. When the
// value was written is known no worse by that than by the other lives of the class.
func (f *Fill) note(ctx context.Context) error {
	if f.what.Gone {
		return nil
	}
	if f.what.TTL == f.class.ttl {
		return f.noteOne(ctx, f.what.TTL)
	}
	ms := uint64(max(1, f.what.TTL.Milliseconds()))
	below := time.Duration(1<<(bits.Len64(ms)-1)) * time.Millisecond
	if err := f.noteOne(ctx, below); err != nil {
		return err
	}
	return f.noteOne(ctx, 2*below)
}

func (f *Fill) noteOne(ctx context.Context, ttl time.Duration) error {
	return f.class.note(ctx, f.shard, f.node, ttl, false, f.class.limit)
}

// Undo takes back what was stored, or may have been. What somebody else has written since
// stays, and what he wrote before.
func (f *Fill) Undo(ctx context.Context) {
	if f.what.Gone || f.node.ScriptsForbidden() && !f.Holds(ctx, f.class.limit) {
		return
	}
	lo, _ := f.node.ServerTime(f.sent)
	_, hi := f.node.ServerTime(time.Now())
	_ = f.node.TakeBack(ctx, f.what.Pair, lo, hi, f.class.limit)
	f.shard.wrote(f.what.Key, f.shard.Ledger.Next())
}

// Holds asks the master whether it holds what was stored. false: it does not, or there
// is another master, or nobody can say.
func (f *Fill) Holds(ctx context.Context, limit time.Duration) bool {
	if f.shard.Node.Load() != f.node {
		return false
	}
	v, err := f.node.Get(ctx, f.what.Key, limit)
	return err == nil && bytes.Equal(v.Data, f.what.Data)
}

// End says that nothing more is asked about it.
func (f *Fill) End() { f.shard.Scripts.leaveOne(f.what.Key) }
