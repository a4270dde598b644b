package shard

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// feed is what the master announces of changes, and how far it can be relied
// on. An entry of the present epoch is coherent while the lease lasts: every
// change that was made elsewhere has been announced.
//
// The lease is as old as the older of two proofs: a barrier that every
// promotable replica held (they had not been promoted, so our master was the
// only one), and the question on the feed's connection before the last that was
// answered (an answer can overtake an announcement that was made before it, but
// not the one that was made before the question before).
type feed struct {
	seed  maphash.Seed
	seqs  [1024]atomic.Uint64 // announcements so far, by hash of the key
	Epoch atomic.Uint64       // another one means that announcements may have been missed; never 0
	Until atomic.Int64        // the lease's end, in the client's time
	Alone atomic.Int64        // the same, for what Redis itself says now
	Begun atomic.Int64        // when the master was reached that announces, in the client's time

	Announced atomic.Uint64
	Flushes   atomic.Uint64
	epochs    atomic.Uint64 // that were ended by silence

	mu      sync.Mutex // guards what follows
	on      bool       // the master announces changes
	why     error      // why it does not
	barrier int64      // the proofs, in the client's time; 0: none
	heard   int64
	since   int64 // proofs of before do not count
}

// LeaseTerm is how old the proofs may be.
const LeaseTerm = int64(time.Second)

func NewFeed() *feed {
	f := &feed{seed: maphash.MakeSeed()}
	f.Epoch.Store(1)
	return f
}

// Begin starts an epoch with a master. Nothing is coherent until there are proofs.
func (f *feed) Begin(on bool, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Epoch.Add(1)
	f.on, f.why, f.barrier, f.heard = on, why, 0, 0
	f.settle()
}

// end says that there is no master to hear.
func (f *feed) end() { f.Begin(false, nil) }

// Silent says that the feed has not been heard for longer than the lease.
func (f *feed) Silent() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epochs.Add(1)
	f.Epoch.Add(1)
	f.heard = 0
	f.settle()
}

// Doubt says that this process has not run for a while until now: what was
// announced meanwhile is still to be read. It does not end the epoch: nothing is
// lost on the connection, and what is asked from here on is answered behind it.
func (f *feed) Doubt(now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.since, f.barrier, f.heard = now, 0, 0
	f.settle()
}

// flushed says that everything is gone.
func (f *feed) flushed() {
	f.Flushes.Add(1)
	f.Epoch.Add(1)
}

// ProvedBarrier and ProvedHeard take a proof.
func (f *feed) ProvedBarrier(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at >= f.since {
		f.barrier = max(f.barrier, at)
		f.settle()
	}
}

func (f *feed) ProvedHeard(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at >= f.since {
		f.heard = max(f.heard, at)
		f.settle()
	}
}

func (f *feed) settle() {
	f.Alone.Store(term(f.barrier))
	if !f.on {
		f.Until.Store(0)
		return
	}
	f.Until.Store(term(min(f.barrier, f.heard)))
}

func term(proof int64) int64 {
	if proof == 0 {
		return 0
	}
	return proof + LeaseTerm
}

// State tells what the feed is worth.
func (f *feed) State() (on bool, barrier, heard int64, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on, f.barrier, f.heard, f.why
}

// Mark is where the feed stood when something was asked or sent: what comes of
// it is covered by the feed from then on.
type Mark struct {
	Epoch uint64 // 0: not covered
	slot  uint32
	seq   uint64
}

func (f *feed) slot(key string) uint32 {
	return uint32(maphash.String(f.seed, key) % uint64(len(f.seqs)))
}

// announce notes an announcement for a key.
func (f *feed) announce(key string) {
	f.Announced.Add(1)
	f.seqs[f.slot(key)].Add(1)
}

// Undisturbed reports that nothing was announced for the key, or one that
// shares its slot, since the mark.
func (f *feed) Undisturbed(m Mark) bool { return f.seqs[m.slot].Load() == m.seq }

// Passed reports whether an entry of that epoch was covered once and is not now.
func (f *feed) Passed(epoch uint64) bool { return epoch != 0 && epoch != f.Epoch.Load() }

// ClassOf finds the class of a key in Redis.
func (sh *Shard) ClassOf(full string) *Class {
	rest, ok := strings.CutPrefix(full, sh.Config.KeyPrefix)
	if !ok {
		return nil
	}
	name, _, ok := strings.Cut(rest, ":")
	if !ok {
		return nil
	}
	return sh.classNamed(name)
}

// classNamed is nil where there is none.
func (sh *Shard) classNamed(name string) *Class {
	k, _ := sh.classes.Load(name)
	found, _ := k.(*Class)
	return found
}

// everyClass calls f for each class.
func (sh *Shard) everyClass(f func(*Class)) {
	sh.classes.Range(func(_, k any) bool {
		f(k.(*Class))
		return true
	})
}

// invalidated is called for every announcement, in order, by the connection's
// reader: it must be quick.
func (sh *Shard) invalidated(keys []string, all bool) {
	if all {
		sh.Feed.flushed()
		sh.Spawn(func() { sh.everyClass(func(k *Class) { k.listener.Flushed() }) })
		return
	}
	for _, key := range keys {
		if name, ok := strings.CutPrefix(key, remote.MarksKey(sh.Config.KeyPrefix, "")); ok {
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
			sh.Feed.announce(key)
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
	for ctx.Err() == nil {
		sh.trackAll(n)
		asked := sh.Clock.Now()
		if n.PingFeed(ctx, HearEach) == nil {
			before, last = last, asked
		}
		if before != 0 {
			proof = before
			sh.Feed.ProvedHeard(before)
		}
		if sh.Clock.Now()-proof > LeaseTerm {
			sh.Feed.Silent()
			last, before, proof = 0, 0, sh.Clock.Now()
		}
		if remote.Pause(ctx, HearEach) != nil {
			return
		}
	}
}

// SettlingTime is how long after a master was reached others may still send
// again what they have kept.
const SettlingTime = int64(10 * time.Second)

// Settling reports whether an announcement may be of a write that was sent again.
// Then it need not be news, and Redis may fail once more before it is read.
func (sh *Shard) Settling(now int64) bool {
	return sh.Node.Load() == nil || now-sh.Feed.Begun.Load() < SettlingTime
}

// Bereft reports whether Redis has just lost its data: that it has no value does
// not mean that somebody deleted it.
func (sh *Shard) Bereft() bool {
	return time.Since(time.Unix(0, sh.recovery.ResetAt.Load())) < time.Duration(SettlingTime)
}
