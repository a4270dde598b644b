package shard

import (
	"context"
	"errors"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// Outgoing is a write on its way to a master. It lies on its caller's stack: nothing
// keeps a pointer to it.
type Outgoing struct {
	Rec    Record
	TTL    time.Duration
	InTime bool // it is a script: see remote.Node.InTime
}

// Outcome is what came of a write.
type Outcome uint8

const (
	Failed   Outcome = iota // as far as is known, no master has taken it
	NoMaster                // there was none in time
	Taken                   // a master has it
	Missing                 // a Touch, and the key is not there
	Exists                  // an Add, and the key is there
	Rejected                // no server like this will ever take it
)

// Sent is a write that was sent to a master, and what came of it.
type Sent struct {
	Outcome Outcome
	Mark    Mark  // of before
	Unsent  bool  // no master has seen it
	Err     error // nil: the master has answered

	shard *Shard
	node  *remote.Node
	span  remote.Span
	done  int64 // when a Delete was executed, on the server's clock
	found bool  // false: a Touch of a missing key

	script     bool   // it was a script, and is announced to us too
	generation uint32 // of the ledger
}

// begin is a write that is to be sent.
func (k *Class) begin(sh *Shard, node *remote.Node, full string) Sent {
	return Sent{generation: sh.Ledger.Generation(), Mark: k.mark(sh, full), shard: sh, node: node, found: true}
}

// ErrBehind is why a write is not sent: what it must land after still waits.
var ErrBehind = errors.New("an earlier write of its key or prefix is still to be sent")

// InTurn gives a write its place among those of its key: they count in the order in
// which they are carried out, not in that in which they were begun. It is to be called
// when the write has its lock, or, where it gets none, when it is kept.
func (st *Store) InTurn(w *Outgoing) (now int64) {
	now = st.Clock.Next()
	w.Rec.Slot = st.slotOf(w.Rec.Key)
	w.Rec.Evictions = st.of(w.Rec.Key).Evicting.Generation.Load()
	w.Rec.Since, w.Rec.Ends = now, now+int64(w.TTL)
	return now
}

// Write sends a write to the master, and to the next one if there is one in time:
// repeating it is safe. The caller holds the key's lock. Where it has been sent the
// record says when, by the master's clock.
func (k *Class) Write(p *deadline.Budget, w *Outgoing) Sent {
	sh, node := k.st.patientMaster(p, w.Rec.Key)
	switch {
	case node == nil:
		return Sent{Outcome: NoMaster, Unsent: true, Err: k.st.AwayCause()}
	case k.st.behind(&w.Rec):
		return Sent{Unsent: true, Err: ErrBehind}
	}
	s := k.deliver(p, sh, node, w)
	s.conclude(&w.Rec)
	return s
}

// behind reports whether a write must land after what waits in the outbox: after the
// delete of its prefix, and, for a Touch, after the write of its key.
func (st *Store) behind(r *Record) bool {
	return st.coveredByPrefix(r.Key) || r.Kind == outbox.Touch && st.Waits(r.Key)
}

// conclude tells what came of the write.
func (s *Sent) conclude(r *Record) {
	k := remote.KindOf(s.Err)
	switch {
	case s.Err == nil && !s.found:
		s.Outcome = Missing
		return
	case k == remote.Logical:
		s.Outcome = Rejected
		return
	case s.Err == nil:
		s.Outcome = Taken
	case !s.Unsent:
		r.Late = r.Late || k.MayLand()
		s.shard.mayLand(r.Key, k)
	}
	if !s.Unsent && (r.Kind != outbox.Set || r.Sent != (outbox.End{}) || !k.Unserved()) {
		r.Lo, r.Hi = s.executed() // if it was
		r.By = s.shard.clock
	}
}

// deliver sends it to the master, or to the next one.
func (k *Class) deliver(p *deadline.Budget, sh *Shard, node *remote.Node, w *Outgoing) Sent {
	ctx, limit := p.First()
	for {
		sent := k.send(ctx, sh, node, w, limit)
		kind := remote.KindOf(sent.Err)
		if !kind.Outage() || kind.Refused() || p.Over() || kind.Unserved() && kind != remote.Moved {
			return sent
		}
		if kind != remote.Moved {
			sh.downtimes.sign()
		}
		if sh, node = k.st.awaitMaster(p.Bounded(), w.Rec.Key, node); node == nil {
			return sent
		}
		ctx, limit = p.Left()
	}
}

// send sends a write once.
func (k *Class) send(ctx context.Context, sh *Shard, node *remote.Node, w *Outgoing, limit time.Duration) Sent {
	s := k.begin(sh, node, w.Rec.Key)
	if w.Rec.Kind != outbox.Delete {
		if ctx, limit, s.Err = k.noteFirst(ctx, sh, node, w.TTL, w.Rec.Kind == outbox.Touch, limit); s.Err != nil {
			s.Unsent = true
			return s
		}
	}
	switch w.Rec.Kind {
	case outbox.Delete:
		s.span.Sent, s.script = time.Now(), true
		s.done, s.Err = k.delete(ctx, node, w.Rec.Key, limit)
	case outbox.Touch:
		trace := k.trace(w.Rec.Key, w.TTL)
		w.InTime = trace != "" || node.InTime(0)
		leave := k.st.scripted(node, w.Rec.Key, w.InTime)
		s.found, s.span, s.Err = node.Expire(ctx, remote.Pair{
			Key: w.Rec.Key, TTL: w.TTL, InTime: w.InTime, Trace: trace, Process: k.st.process,
		}, limit)
		leave()
		s.found = s.found || s.Err != nil
	default:
		now := time.Now()
		end := node.EndOf(w.TTL, now)
		last, priors := w.Rec.Sent, w.Rec.Priors
		w.Rec.SendAgain(outbox.End{From: end, To: end})
		trace := k.trace(w.Rec.Key, w.TTL)
		w.InTime = trace != "" || node.InTimeAt(len(w.Rec.Value), now)
		s.script = w.InTime
		leave := k.st.scripted(node, w.Rec.Key, w.InTime)
		s.span, s.Err = node.Set(ctx, remote.Pair{
			Key: w.Rec.Key, Data: w.Rec.Value, TTL: w.TTL, Ends: end, InTime: w.InTime, Trace: trace, Process: k.st.process, At: now,
		}, limit)
		leave()
		if remote.KindOf(s.Err).Unserved() { // nothing was carried out, and it has no time yet
			w.Rec.Sent, w.Rec.Priors = last, priors
		}
	}
	return s
}

// delete removes a key, and tells when, by the clock of the node. While its slot moves, its
// halves may be at two nodes; then at is 0.
func (k *Class) delete(ctx context.Context, node *remote.Node, full string, limit time.Duration) (at int64, err error) {
	began, d := time.Now(), remote.Del{Key: full, Tomb: k.Tomb(full), Process: k.st.process}
	tomb := int64(0) // when it was left, by the clock of whichever node has it
	defer func() {
		if tomb != 0 {
			k.st.tombs.Left(len(d.Tomb), k.st.Clock.Now())
		}
	}()
	_, at, err = node.Delete(ctx, d, limit)
	tomb = at
	if kind := remote.KindOf(err); !k.st.clustered() || kind != remote.Ask && kind != remote.TryAgain {
		return at, err
	}
	for range 2 { // the first answer may not name the other node
		var left time.Duration
		ctx, left = deadline.Remainder(ctx, limit, time.Since(began))
		if _, tomb, err = remote.DeleteMoving(ctx, node, k.st.awaits(node, err), d, left); remote.KindOf(err) != remote.Ask {
			break
		}
	}
	return 0, err
}

// executed is when the server executed the write, on its own clock.
func (s *Sent) executed() (low, high int64) {
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

// Add sends a Set that is carried out only if the key is not there. It waits for no
// second master: repeating it is not safe. The caller holds the key's lock.
func (k *Class) Add(p *deadline.Budget, w *Outgoing) Sent {
	sh, node := k.st.patientMaster(p, w.Rec.Key)
	if node == nil {
		return Sent{Outcome: NoMaster, Unsent: true, Err: k.st.AwayCause()}
	}
	ctx, limit := p.First()
	s := k.begin(sh, node, w.Rec.Key)
	if ctx, limit, s.Err = k.noteFirst(ctx, sh, node, w.TTL, false, limit); s.Err != nil {
		s.Unsent = true
		return s
	}
	stored := false
	end := node.EndOf(w.TTL, time.Now())
	w.Rec.SendAgain(End{From: end, To: end})
	pair := remote.Pair{Key: w.Rec.Key, Data: w.Rec.Value, TTL: w.TTL, Ends: end}
	stored, s.span, s.Err = node.SetAbsent(ctx, pair, limit)
	if trace := k.trace(w.Rec.Key, w.TTL); stored && s.Err == nil && trace != "" {
		at, _ := node.ServerTime(s.span.Sent)
		_ = node.LeaveTrace(ctx, trace, k.st.process, at, limit) // without it an older value may come back
	}
	switch {
	case s.Err != nil:
		sh.mayLand(w.Rec.Key, remote.KindOf(s.Err))
	case !stored:
		s.Outcome = Exists
	default:
		s.Outcome = Taken
		w.Rec.Lo, w.Rec.Hi = s.executed()
		w.Rec.By = sh.clock
	}
	return s
}
