package shard

import (
	"context"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/keylock"
	"github.com/evercache/evercache/internal/remote"
)

// Pipeline is several Sets of a class on their way to one master.
type Pipeline struct {
	class *Class
	shard *Shard
	node  *remote.Node
	ctx   context.Context
	limit time.Duration
	noted error // why the lives of the class are not noted

	writes  []remote.Write
	recs    []*Record
	sends   []Sent
	locks   []*keylock.Held
	scripts []string // the keys of those that are to be in time
}

// NewPipeline waits for the master of a key, which is to take up to most writes; nil:
// there is none in time.
func (k *Class) NewPipeline(p *deadline.Budget, most int, full string) *Pipeline {
	sh, node := k.st.patientMaster(p, full)
	if node == nil {
		return nil
	}
	return &Pipeline{
		class: k, shard: sh, node: node,
		writes: make([]remote.Write, 0, most), recs: make([]*Record, 0, most),
		sends: make([]Sent, 0, most), locks: make([]*keylock.Held, 0, most),
	}
}

// Begin lets the master know how long the keys will live. After an error nothing goes
// through the pipeline.
func (l *Pipeline) Begin(p *deadline.Budget, ttl time.Duration) error {
	l.ctx, l.limit = p.First()
	l.ctx, l.limit, l.noted = l.class.noteFirst(l.ctx, l.shard, l.node, ttl, false, l.limit)
	return l.noted
}

// mostInPipeline is the size from which a value is sent alone: others wait behind it.
const mostInPipeline = 64 << 10

// Lock takes the lock of a write's key. false: it is not free, or the write has to be
// sent alone, or to another master. Then the caller gives the write its turn, and puts it in.
func (l *Pipeline) Lock(w *Outgoing) bool {
	k := l.class
	if k.st.of(w.Rec.Key) != l.shard || k.st.coveredByPrefix(w.Rec.Key) || len(w.Rec.Value) >= mostInPipeline || l.noted != nil {
		return false
	}
	held := k.st.Locks.TryLock(w.Rec.Key)
	if held == nil {
		return false
	}
	l.locks = append(l.locks, held)
	return true
}

// Put puts a write in whose key was locked last.
func (l *Pipeline) Put(w *Outgoing) {
	now := time.Now()
	end := l.node.EndOf(w.TTL, now)
	w.Rec.SendAgain(End{From: end, To: end})
	l.recs = append(l.recs, &w.Rec)
	s := l.class.begin(l.shard, l.node, w.Rec.Key)
	s.span = remote.Span{Sent: now}
	pair := remote.Pair{Key: w.Rec.Key, Data: w.Rec.Value, TTL: w.TTL, Ends: end}
	trace := l.class.trace(w.Rec.Key, w.TTL)
	if w.InTime = trace != "" || l.node.InTimeAt(len(w.Rec.Value), now); w.InTime {
		s.script, pair.InTime, pair.Trace, pair.Process = true, true, trace, l.class.st.process
		l.scripts = append(l.scripts, w.Rec.Key)
	}
	l.sends = append(l.sends, s)
	l.writes = append(l.writes, remote.Write{Kind: remote.WriteSet, Pair: pair})
}

// Send sends them, and returns what came of each in the order in which they were put in.
func (l *Pipeline) Send() []Sent {
	if len(l.writes) == 0 {
		return nil
	}
	leave := l.class.st.scriptedAll(l.node, l.scripts...)
	errs, _ := l.node.WriteMany(l.ctx, l.writes, l.limit)
	leave()
	for i := range l.sends {
		l.sends[i].Err = errs[i]
		l.sends[i].conclude(l.recs[i])
	}
	return l.sends
}

// Unlock gives back the lock of a write, by its place.
func (l *Pipeline) Unlock(i int) { l.class.st.Locks.Unlock(l.locks[i]) }
