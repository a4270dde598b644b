package evercache

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// class is a class of keys as far as its master is concerned: how its keys are named
// there, how long they live, and who is to be told of what others change.
type class struct {
	sh       *shard
	prefix   string        // of its keys in Redis
	ttl      time.Duration // of most of its keys
	limit    time.Duration // of one write
	listener listener
	tracked  atomic.Bool // the feed announces the class
	lived    lives
}

// listener is the memory over a class. It is never called under a lock of the shard.
// Keys are those in Redis.
type listener interface {
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

// newClass makes a class; the feed announces it once it is subscribed.
func (sh *shard) newClass(name string, ttl, limit time.Duration, l listener) *class {
	return &class{sh: sh, prefix: sh.opts.KeyPrefix + name + ":", ttl: ttl, limit: limit, listener: l}
}

// tomb is the key of a key's tombstone.
func (k *class) tomb(full string) string { return remote.TombstoneKey(k.sh.opts.KeyPrefix, full) }

// marks is where deletes of prefixes of the class are noted.
func (k *class) marks() string { return remote.MarksKey(k.sh.opts.KeyPrefix, k.prefix) }

// mark is to be taken before Redis is asked or written.
func (k *class) mark(full string) mark {
	f := k.sh.feed
	m := mark{slot: f.slot(full)}
	m.seq = f.seqs[m.slot].Load()
	if k.tracked.Load() {
		m.epoch = f.epoch.Load()
	}
	return m
}

// outgoing is a write on its way to a master. It lies on its caller's stack: nothing
// keeps a pointer to it.
type outgoing struct {
	rec    outbox.Record
	ttl    time.Duration
	inTime bool // it is a script: see remote.Node.InTime
}

// sending is a write that was sent to a master, and what came of it.
type sending struct {
	node  *remote.Node
	mark  mark
	span  remote.Span
	found bool  // false: a Touch of a missing key
	done  int64 // when a Delete was executed, on the server's clock
	err   error
	// unsent: no master has seen it.
	unsent bool
}

// deliver sends a write to the master, and to the next one if there is one in time:
// repeating it is safe. The caller holds the key's lane.
func (k *class) deliver(p *deadline.Budget, node *remote.Node, w *outgoing) sending {
	ctx, limit := p.First()
	for {
		sent := k.send(ctx, node, w, limit)
		if kind := remote.KindOf(sent.err); !kind.Outage() || kind.Refused() || p.Over() {
			return sent
		}
		k.sh.blackouts.sign()
		if node = k.sh.awaitMaster(p.Bounded(), node); node == nil {
			return sent
		}
		ctx, limit = p.Left()
	}
}

// send sends a write once.
func (k *class) send(ctx context.Context, node *remote.Node, w *outgoing, limit time.Duration) sending {
	s := sending{node: node, mark: k.mark(w.rec.Key), found: true}
	if w.rec.Kind != outbox.Delete {
		if ctx, limit, s.err = k.noteFirst(ctx, node, w.ttl, w.rec.Kind == outbox.Touch, limit); s.err != nil {
			s.unsent = true
			return s
		}
	}
	switch w.rec.Kind {
	case outbox.Delete:
		s.span.Sent = time.Now()
		_, s.done, s.err = node.Delete(ctx, remote.Del{Key: w.rec.Key, Tomb: k.tomb(w.rec.Key), Process: k.sh.process}, limit)
		if s.done != 0 {
			k.sh.tombs.left(len(k.tomb(w.rec.Key)), k.sh.clock.Now())
		}
	case outbox.Touch:
		trace := k.trace(w.rec.Key, w.ttl)
		w.inTime = trace != "" || node.InTime(0)
		leave := k.sh.scripted(node, w.rec.Key, w.inTime)
		s.found, s.span, s.err = node.Expire(ctx, remote.Pair{
			Key: w.rec.Key, TTL: w.ttl, InTime: w.inTime, Trace: trace, Process: k.sh.process,
		}, limit)
		leave()
		s.found = s.found || s.err != nil
	default:
		end := node.EndOf(w.ttl, time.Now())
		w.rec.SendAgain(outbox.End{From: end, To: end})
		trace := k.trace(w.rec.Key, w.ttl)
		w.inTime = trace != "" || node.InTime(len(w.rec.Value))
		leave := k.sh.scripted(node, w.rec.Key, w.inTime)
		s.span, s.err = node.Set(ctx, remote.Pair{
			Key: w.rec.Key, Data: w.rec.Value, TTL: w.ttl, Ends: end, InTime: w.inTime, Trace: trace, Process: k.sh.process,
		}, limit)
		leave()
	}
	return s
}

// executed is when the server executed the write, on its own clock.
func (s sending) executed() (low, high int64) {
	if s.done != 0 {
		return s.done, s.done
	}
	if s.span.Answered.IsZero() {
		s.span.Answered = time.Now()
	}
	low, _ = s.node.ServerTime(s.span.Sent)
	_, high = s.node.ServerTime(s.span.Answered)
	return low, high
}

// add stores a value unless the key is there.
func (k *class) add(ctx context.Context, node *remote.Node, w *outgoing, limit time.Duration) (s sending, stored bool) {
	s = sending{node: node, mark: k.mark(w.rec.Key), found: true}
	if ctx, limit, s.err = k.noteFirst(ctx, node, w.ttl, false, limit); s.err != nil {
		s.unsent = true
		return s, false
	}
	end := node.EndOf(w.ttl, time.Now())
	w.rec.SendAgain(outbox.End{From: end, To: end})
	pair := remote.Pair{Key: w.rec.Key, Data: w.rec.Value, TTL: w.ttl, Ends: end}
	stored, s.span, s.err = node.SetAbsent(ctx, pair, limit)
	if trace := k.trace(w.rec.Key, w.ttl); stored && s.err == nil && trace != "" {
		at, _ := node.ServerTime(s.span.Sent)
		_ = node.LeaveTrace(ctx, trace, k.sh.process, at, limit) // without it an older value may come back
	}
	return s, stored
}

// filling is a loaded value on its way to a master.
type filling struct {
	key, rest string // rest: without the class
	data      []byte
	missed    int64  // when the key was missed, by the master's clock
	replaces  string // the sum of what is there and of no use
}

// fill stores a loaded value, unless the key was written or deleted since it was
// missed. The caller holds the key's lane.
func (k *class) fill(ctx context.Context, node *remote.Node, f filling) (stored bool, err error) {
	if err := k.note(ctx, node, k.ttl, false, k.limit); err != nil {
		return false, err
	}
	return node.Fill(ctx, remote.Fill{
		Pair: remote.Pair{Key: f.key, Data: f.data, TTL: k.ttl}, Tomb: k.tomb(f.key), Marks: k.marks(),
		Trace: remote.TraceKey(k.sh.opts.KeyPrefix, f.key), Rest: f.rest, MissedAt: f.missed, Replaces: f.replaces,
	}, k.limit)
}

// unfill takes a fill back, unless the key has been written since.
func (k *class) unfill(ctx context.Context, node *remote.Node, full string, sent time.Time) {
	w := remote.Replay{Kind: remote.Invalidate, Key: full, Cond: remote.CondOf(k.sh.opts.KeyPrefix, full, k.sh.process)}
	w.Lo, _ = node.ServerTime(sent)
	_, w.Hi = node.ServerTime(time.Now())
	_, _ = node.Replay(ctx, []remote.Replay{w}, k.limit)
}

// deletePrefix leaves the mark of the delete and deletes the keys. What others
// wrote meanwhile may have been deleted too, and what they wrote before that must
// not be put back: so the mark moves to the end. at is when it began.
func (k *class) deletePrefix(ctx context.Context, node *remote.Node, prefix string) (n int, at int64, err error) {
	mark := remote.PrefixMark{Marks: k.marks(), Rest: prefix, Process: k.sh.process}
	at, err = node.MarkPrefix(ctx, mark, k.limit)
	if err != nil {
		return 0, 0, err
	}
	marked := at > 0
	if !marked { // scripts are forbidden
		at, _ = node.ServerTime(time.Now())
	}
	n, err = node.DeletePrefix(ctx, k.prefix+prefix, k.limit)
	if err == nil && n > 0 && marked {
		_, err = node.MarkPrefix(ctx, mark, k.limit)
	}
	return n, at, err
}
