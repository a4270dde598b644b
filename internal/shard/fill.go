package shard

import (
	"bytes"
	"context"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// Filling is a loaded value on its way to a master.
type Filling struct {
	Key, Rest string // rest: without the class
	Data      []byte
	Missed    Asked  // when the master that was asked did not have it
	Replaces  string // the sum of what is there and of no use
}

// Fill stores a loaded value. The caller holds the key's lock, and calls End last.
type Fill struct {
	class *Class
	shard *Shard
	node  *remote.Node
	what  remote.Fill
	sent  time.Time
	leave func()
}

// BeginFill is to be called before it is sent. ok is false where there is no master, or
// none that was asked.
func (k *Class) BeginFill(f Filling) (_ Fill, ok bool) {
	sh := k.st.of(f.Key)
	node := sh.Node.Load()
	missed, ok := f.Missed.by(sh.clocks)
	if node == nil || !ok || f.Missed.shard != sh { // another master says when by another clock
		return Fill{}, false
	}
	what := remote.Fill{
		Pair: remote.Pair{Key: f.Key, Data: f.Data, TTL: k.ttl}, Tomb: k.Tomb(f.Key), Marks: k.Marks(),
		Trace: remote.TraceKey(sh.Config.KeyPrefix, f.Key), Rest: f.Rest, MissedAt: missed, Replaces: f.Replaces,
	}
	if lies := sh.slots.Load(); lies != nil {
		s := k.st.slotOf(f.Key)
		anchor, ok := lies.anchor(s)
		if !ok || lies.moving.Has(s) { // nobody could tell what was deleted meanwhile
			return Fill{}, false
		}
		what.Anchored, what.Marks = true, remote.MarksAt(sh.Config.KeyPrefix, f.Key, anchor)
	}
	return Fill{class: k, shard: sh, node: node, what: what, sent: time.Now(), leave: sh.Scripts.Enter(f.Key)}, true
}

// Send stores the value, unless the key was written or deleted since it was missed.
func (f *Fill) Send(ctx context.Context) (stored bool, err error) {
	if err := f.class.note(ctx, f.shard, f.node, f.class.ttl, false, f.class.limit); err != nil {
		return false, err
	}
	stored, err = f.node.Fill(ctx, f.what, f.class.limit)
	f.shard.wrote(f.what.Key, f.shard.Ledger.Next())
	return stored, err
}

// Undo takes it back, unless the key has been written since.
func (f *Fill) Undo(ctx context.Context) {
	sh, key := f.shard, f.what.Key
	w := remote.Replay{Kind: remote.Invalidate, Key: key, Cond: sh.condNow(key)}
	w.Lo, _ = f.node.ServerTime(f.sent)
	_, w.Hi = f.node.ServerTime(time.Now())
	_, _ = f.node.Replay(ctx, []remote.Replay{w}, f.class.limit)
	sh.wrote(key, sh.Ledger.Next())
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
func (f *Fill) End() { f.leave() }
