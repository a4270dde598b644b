package shard

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// Class is a class of keys as far as its master is concerned: how its keys are named
// there, how long they live, and who is to be told of what others change.
type Class struct {
	sh       *Shard
	Prefix   string        // of its keys in Redis
	ttl      time.Duration // of most of its keys
	limit    time.Duration // of one write
	Listener Listener
	Tracked  atomic.Bool // the feed announces the class
	lived    lives
}

// Listener is the memory over a class. It is never called under a mutex of the shard;
// Discard is called while the locks of keys that are sent are held.
// Keys are those in Redis.
type Listener interface {
	// Changed says that somebody else has changed a key. It must be quick.
	Changed(key string, deleted bool)
	// SomeDeleted says that somebody else has deleted a prefix of the class.
	SomeDeleted()
	// Discard says that Redis does not hold what was written here.
	Discard(key string)
	// Flushed says that everything is gone.
	Flushed()
	// Flush says that Redis does not hold what was written under some prefixes.
	Flush(under func(key string) bool)
}

// NewClass makes a class; the feed announces it once it is subscribed.
func (sh *Shard) NewClass(name string, ttl, limit time.Duration, l Listener) *Class {
	return &Class{sh: sh, Prefix: sh.Config.KeyPrefix + name + ":", ttl: ttl, limit: limit, Listener: l}
}

// Tomb is the key of a key's tombstone.
func (k *Class) Tomb(full string) string { return remote.TombstoneKey(k.sh.Config.KeyPrefix, full) }

// Marks is where deletes of prefixes of the class are noted.
func (k *Class) Marks() string { return remote.MarksKey(k.sh.Config.KeyPrefix, k.Prefix) }

// Mark is to be taken before Redis is asked or written.
func (k *Class) Mark(full string) Mark {
	f := k.sh.Feed
	// The cover first: another master may be reached between the two, which announces
	// the class later, or not at all.
	m := Mark{epoch: f.Cover(), tracked: k.Tracked.Load(), slot: f.slot(full)}
	m.seq = f.seqs[m.slot].Load()
	return m
}

// Outgoing is a write on its way to a master. It lies on its caller's stack: nothing
// keeps a pointer to it.
type Outgoing struct {
	Rec    outbox.Record
	TTL    time.Duration
	InTime bool // it is a script: see remote.Node.InTime
}

// Sent is a write that was sent to a master, and what came of it.
type Sent struct {
	Node  *remote.Node
	Mark  Mark
	Span  remote.Span
	Found bool  // false: a Touch of a missing key
	done  int64 // when a Delete was executed, on the server's clock
	Err   error
	// Unsent: no master has seen it.
	Unsent bool
}

// Deliver sends a write to the master, and to the next one if there is one in time:
// repeating it is safe. The caller holds the key's lock.
func (k *Class) Deliver(p *deadline.Budget, node *remote.Node, w *Outgoing) Sent {
	ctx, limit := p.First()
	for {
		sent := k.Send(ctx, node, w, limit)
		if kind := remote.KindOf(sent.Err); !kind.Outage() || kind.Refused() || p.Over() {
			return sent
		}
		k.sh.blackouts.sign()
		if node = k.sh.awaitMaster(p.Bounded(), node); node == nil {
			return sent
		}
		ctx, limit = p.Left()
	}
}

// Send sends a write once.
func (k *Class) Send(ctx context.Context, node *remote.Node, w *Outgoing, limit time.Duration) Sent {
	s := Sent{Node: node, Mark: k.Mark(w.Rec.Key), Found: true}
	if w.Rec.Kind != outbox.Delete {
		if ctx, limit, s.Err = k.NoteFirst(ctx, node, w.TTL, w.Rec.Kind == outbox.Touch, limit); s.Err != nil {
			s.Unsent = true
			return s
		}
	}
	switch w.Rec.Kind {
	case outbox.Delete:
		s.Span.Sent = time.Now()
		_, s.done, s.Err = node.Delete(ctx, remote.Del{Key: w.Rec.Key, Tomb: k.Tomb(w.Rec.Key), Process: k.sh.Process}, limit)
		if s.done != 0 {
			k.sh.Tombs.Left(len(k.Tomb(w.Rec.Key)), k.sh.Clock.Now())
		}
	case outbox.Touch:
		trace := k.trace(w.Rec.Key, w.TTL)
		w.InTime = trace != "" || node.InTime(0)
		leave := k.sh.scripted(node, w.Rec.Key, w.InTime)
		s.Found, s.Span, s.Err = node.Expire(ctx, remote.Pair{
			Key: w.Rec.Key, TTL: w.TTL, InTime: w.InTime, Trace: trace, Process: k.sh.Process,
		}, limit)
		leave()
		s.Found = s.Found || s.Err != nil
	default:
		end := node.EndOf(w.TTL, time.Now())
		w.Rec.SendAgain(outbox.End{From: end, To: end})
		trace := k.trace(w.Rec.Key, w.TTL)
		w.InTime = trace != "" || node.InTime(len(w.Rec.Value))
		leave := k.sh.scripted(node, w.Rec.Key, w.InTime)
		s.Span, s.Err = node.Set(ctx, remote.Pair{
			Key: w.Rec.Key, Data: w.Rec.Value, TTL: w.TTL, Ends: end, InTime: w.InTime, Trace: trace, Process: k.sh.Process,
		}, limit)
		leave()
	}
	return s
}

// Executed is when the server executed the write, on its own clock.
func (s Sent) Executed() (low, high int64) {
	if s.done != 0 {
		return s.done, s.done
	}
	if s.Span.Answered.IsZero() {
		s.Span.Answered = time.Now()
	}
	low, _ = s.Node.ServerTime(s.Span.Sent)
	_, high = s.Node.ServerTime(s.Span.Answered)
	return low, high
}

// Add stores a value unless the key is there.
func (k *Class) Add(ctx context.Context, node *remote.Node, w *Outgoing, limit time.Duration) (s Sent, stored bool) {
	s = Sent{Node: node, Mark: k.Mark(w.Rec.Key), Found: true}
	if ctx, limit, s.Err = k.NoteFirst(ctx, node, w.TTL, false, limit); s.Err != nil {
		s.Unsent = true
		return s, false
	}
	end := node.EndOf(w.TTL, time.Now())
	w.Rec.SendAgain(outbox.End{From: end, To: end})
	pair := remote.Pair{Key: w.Rec.Key, Data: w.Rec.Value, TTL: w.TTL, Ends: end}
	stored, s.Span, s.Err = node.SetAbsent(ctx, pair, limit)
	if trace := k.trace(w.Rec.Key, w.TTL); stored && s.Err == nil && trace != "" {
		at, _ := node.ServerTime(s.Span.Sent)
		_ = node.LeaveTrace(ctx, trace, k.sh.Process, at, limit) // without it an older value may come back
	}
	return s, stored
}

// Filling is a loaded value on its way to a master.
type Filling struct {
	Key, Rest string // rest: without the class
	Data      []byte
	Missed    int64  // when the key was missed, by the master's clock
	Replaces  string // the sum of what is there and of no use
}

// Fill stores a loaded value, unless the key was written or deleted since it was
// missed. The caller holds the key's lock.
func (k *Class) Fill(ctx context.Context, node *remote.Node, f Filling) (stored bool, err error) {
	if err := k.note(ctx, node, k.ttl, false, k.limit); err != nil {
		return false, err
	}
	return node.Fill(ctx, remote.Fill{
		Pair: remote.Pair{Key: f.Key, Data: f.Data, TTL: k.ttl}, Tomb: k.Tomb(f.Key), Marks: k.Marks(),
		Trace: remote.TraceKey(k.sh.Config.KeyPrefix, f.Key), Rest: f.Rest, MissedAt: f.Missed, Replaces: f.Replaces,
	}, k.limit)
}

// Unfill takes a fill back, unless the key has been written since.
func (k *Class) Unfill(ctx context.Context, node *remote.Node, full string, sent time.Time) {
	w := remote.Replay{Kind: remote.Invalidate, Key: full, Cond: remote.CondOf(k.sh.Config.KeyPrefix, full, k.sh.Process)}
	w.Lo, _ = node.ServerTime(sent)
	_, w.Hi = node.ServerTime(time.Now())
	_, _ = node.Replay(ctx, []remote.Replay{w}, k.limit)
}

// DeletePrefix leaves the mark of the delete and deletes the keys. What others
// wrote meanwhile may have been deleted too, and what they wrote before that must
// not be put back: so the mark moves to the end. at is when it began.
func (k *Class) DeletePrefix(ctx context.Context, node *remote.Node, prefix string) (n int, at int64, err error) {
	mark := remote.PrefixMark{Marks: k.Marks(), Rest: prefix, Process: k.sh.Process}
	at, err = node.MarkPrefix(ctx, mark, k.limit)
	if err != nil {
		return 0, 0, err
	}
	marked := at > 0
	if !marked { // scripts are forbidden
		at, _ = node.ServerTime(time.Now())
	}
	n, err = node.DeletePrefix(ctx, k.Prefix+prefix, k.limit)
	if err == nil && n > 0 && marked {
		_, err = node.MarkPrefix(ctx, mark, k.limit)
	}
	return n, at, err
}
