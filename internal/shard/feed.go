package shard

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/cover"
	"github.com/evercache/evercache/internal/remote"
)

// feed is what the master announces of changes, and how far it can be relied
// on. An entry is coherent while its cover covers it: every change that was made
// elsewhere has been announced. An epoch is the time of one cover; another epoch
// begins when announcements may have been missed.
type feed struct {
	cover atomic.Pointer[cover.Cover] // of the present epoch; never nil
	alone atomic.Int64                // until when Redis itself is believed, in the client's time
	Begun atomic.Int64                // when the master was reached that announces, in the client's time

	Flushes atomic.Uint64

	fresh func() // called before a cover takes effect, while there is a master; nil: nobody is

	mu       sync.Mutex // guards what follows; held while covers and leases change
	proofs   proofs
	why      error  // why the master does not announce changes
	epochs   uint64 // so far
	silences uint64 // epochs that were ended by silence
}

func NewFeed() *feed {
	f := &feed{epochs: 1}
	f.cover.Store(new(cover.Cover))
	return f
}

// Begin starts an epoch with a master. Nothing is coherent until there are proofs.
func (f *feed) Begin(on bool, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.follow(on, why)
	f.begin()
}

// end says that there is no master to hear.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.follow(false, nil)
	f.cease()
}

// follow notes another master, or none; the caller holds mu.
func (f *feed) follow(on bool, why error) {
	f.why = why
	f.proofs = proofs{on: on, since: f.proofs.since}
}

// Silent says that the feed has not been heard for longer than the lease.
func (f *feed) Silent() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.silences++
	f.proofs.heard = 0
	f.begin()
}

// flushed says that everything is gone. The proofs stand: what is read from here on
// is covered.
func (f *feed) flushed() {
	f.Flushes.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin()
}

// parted says that keys have another master now. The proofs stand.
func (f *feed) parted() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin()
}

// begin ends the present cover and makes another; the caller holds mu.
func (f *feed) begin() {
	if f.fresh != nil {
		f.fresh()
	}
	f.cease()
}

// cease ends the present cover; the caller holds mu.
func (f *feed) cease() {
	f.epochs++
	f.cover.Swap(new(cover.Cover)).End()
	f.settle()
}

// Doubt says that this process has not run for a while until now: what was
// announced meanwhile is still to be read. It does not end the epoch: nothing is
// lost on the connection, and what is asked from here on is answered behind it.
func (f *feed) Doubt(now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proofs = f.proofs.doubted(now)
	f.settle()
}

// ProvedBarrier and ProvedHeard take a proof.
func (f *feed) ProvedBarrier(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proofs = f.proofs.withBarrier(at)
	f.settle()
}

func (f *feed) ProvedHeard(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proofs = f.proofs.withHeard(at)
	f.settle()
}

// settle gives the present cover its lease; the caller holds mu.
func (f *feed) settle() {
	until, alone := f.proofs.lease()
	f.alone.Store(alone)
	f.cover.Load().Renew(until)
}

// Alone reports whether Redis itself is believed: our master was the only one.
func (f *feed) Alone(now int64) bool { return now < f.alone.Load() }

// Cover is what covers whatever is read or written from now on.
func (f *feed) Cover() *cover.Cover { return f.cover.Load() }

// feedState is what the feed is worth.
type feedState struct {
	proofs
	why              error
	epochs, silences uint64
}

func (f *feed) state() feedState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return feedState{f.proofs, f.why, f.epochs, f.silences}
}

// State tells what the feed is worth.
func (f *feed) State() (on bool, barrier, heard int64, why error) {
	s := f.state()
	return s.on, s.barrier, s.heard, s.why
}

// ClassOf finds the class of a key in Redis.
func (st *Store) ClassOf(full string) *Class {
	rest, ok := strings.CutPrefix(full, st.Config.KeyPrefix)
	if !ok {
		return nil
	}
	name, _, ok := strings.Cut(rest, ":")
	if !ok {
		return nil
	}
	return st.classNamed(name)
}

// classNamed is nil where there is none.
func (st *Store) classNamed(name string) *Class {
	k, _ := st.classes.Load(name)
	found, _ := k.(*Class)
	return found
}

// everyClass calls f for each class.
func (st *Store) everyClass(f func(*Class)) {
	st.classes.Range(func(_, k any) bool {
		f(k.(*Class))
		return true
	})
}

// invalidated is called for every announcement, in order, by the connection's
// reader: it must be quick.
func (sh *Shard) invalidated(keys []string, all bool) {
	if all {
		sh.Feed.flushed()
		sh.forgetAll()
		return
	}
	for _, key := range keys {
		if name, ok := remote.ClassOfMarks(sh.Config.KeyPrefix, key); ok {
			if k := sh.classNamed(name); k != nil {
				k.listener.SomeDeleted()
			}
			continue
		}
		of, deleted := remote.KeyOfTombstone(sh.Config.KeyPrefix, key)
		if deleted {
			key = of
		}
		if k := sh.ClassOf(key); k != nil {
			sh.heard.announce(key)
			sh.changedElsewhere(key)
			k.listener.Changed(key, deleted)
			if !deleted {
				sh.changedByOther(key)
			}
		}
	}
}

// HearEach is how often the feed's connection is asked.
const HearEach = 200 * time.Millisecond

// Hear asks the feed's connection until ctx ends, and ends the epoch when no
// answer comes for the term of a lease.
func (sh *Shard) Hear(ctx context.Context, n *remote.Node) {
	var last, before int64 // when the last question, and the one before, was asked
	proof := sh.Clock.Now()
	for rested := false; ctx.Err() == nil; {
		sh.trackAll(n)
		asked := sh.Clock.Now()
		answered := sh.askFeed(ctx, n) == nil
		if answered {
			before, last = last, asked
		}
		if before != 0 {
			proof = max(proof, before)
			sh.Feed.ProvedHeard(before)
		}
		if sh.Clock.Now()-proof > LeaseTerm {
			sh.Feed.Silent()
			last, before, proof = 0, 0, sh.Clock.Now()
		}
		if rested && answered && !sh.usage.resting.Load() {
			rested = false
			continue // the question before is old: it takes two to prove something
		}
		var err error
		if rested, err = sh.pauseHearing(ctx, answered); err != nil {
			return
		}
		if rested {
			proof = sh.Clock.Now()
		}
	}
}

// SettlingTime is how long after a master was reached others may still send
// again what they have kept.
const SettlingTime = int64(10 * time.Second)

// settling reports whether an announcement may be of a write that was sent again.
// Then it need not be news, and Redis may fail once more before it is read.
func (sh *Shard) settling(now int64) bool {
	return sh.Node.Load() == nil || now-sh.Feed.Begun.Load() < SettlingTime
}
