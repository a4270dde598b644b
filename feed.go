package evercache

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
	epoch atomic.Uint64       // another one means that announcements may have been missed; never 0
	until atomic.Int64        // the lease's end, in the client's time
	alone atomic.Int64        // the same, for what Redis itself says now
	begun atomic.Int64        // when the master was reached that announces, in the client's time

	announced atomic.Uint64
	flushes   atomic.Uint64
	epochs    atomic.Uint64 // that were ended by silence

	mu      sync.Mutex // guards what follows
	on      bool       // the master announces changes
	why     error      // why it does not
	barrier int64      // the proofs, in the client's time; 0: none
	heard   int64
	since   int64 // proofs of before do not count
}

// leaseTerm is how old the proofs may be.
const leaseTerm = int64(time.Second)

func newFeed() *feed {
	f := &feed{seed: maphash.MakeSeed()}
	f.epoch.Store(1)
	return f
}

// begin starts an epoch with a master. Nothing is coherent until there are proofs.
func (f *feed) begin(on bool, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch.Add(1)
	f.on, f.why, f.barrier, f.heard = on, why, 0, 0
	f.settle()
}

// end says that there is no master to hear.
func (f *feed) end() { f.begin(false, nil) }

// silent says that the feed has not been heard for longer than the lease.
func (f *feed) silent() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epochs.Add(1)
	f.epoch.Add(1)
	f.heard = 0
	f.settle()
}

// doubt says that this process has not run for a while until now: what was
// announced meanwhile is still to be read. It does not end the epoch: nothing is
// lost on the connection, and what is asked from here on is answered behind it.
func (f *feed) doubt(now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.since, f.barrier, f.heard = now, 0, 0
	f.settle()
}

// flushed says that everything is gone.
func (f *feed) flushed() {
	f.flushes.Add(1)
	f.epoch.Add(1)
}

// provedBarrier and provedHeard take a proof.
func (f *feed) provedBarrier(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at >= f.since {
		f.barrier = max(f.barrier, at)
		f.settle()
	}
}

func (f *feed) provedHeard(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at >= f.since {
		f.heard = max(f.heard, at)
		f.settle()
	}
}

func (f *feed) settle() {
	f.alone.Store(term(f.barrier))
	if !f.on {
		f.until.Store(0)
		return
	}
	f.until.Store(term(min(f.barrier, f.heard)))
}

func term(proof int64) int64 {
	if proof == 0 {
		return 0
	}
	return proof + leaseTerm
}

// state tells what the feed is worth.
func (f *feed) state() (on bool, barrier, heard int64, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on, f.barrier, f.heard, f.why
}

// mark is where the feed stood when something was asked or sent: what comes of
// it is covered by the feed from then on.
type mark struct {
	epoch uint64 // 0: not covered
	slot  uint32
	seq   uint64
}

func (f *feed) slot(key string) uint32 {
	return uint32(maphash.String(f.seed, key) % uint64(len(f.seqs)))
}

// announce notes an announcement for a key.
func (f *feed) announce(key string) {
	f.announced.Add(1)
	f.seqs[f.slot(key)].Add(1)
}

// undisturbed reports that nothing was announced for the key, or one that
// shares its slot, since the mark.
func (f *feed) undisturbed(m mark) bool { return f.seqs[m.slot].Load() == m.seq }

// passed reports whether an entry of that epoch was covered once and is not now.
func (f *feed) passed(epoch uint64) bool { return epoch != 0 && epoch != f.epoch.Load() }

// classOf finds the class of a key in Redis.
func (sh *shard) classOf(full string) *class {
	rest, ok := strings.CutPrefix(full, sh.opts.KeyPrefix)
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
func (sh *shard) classNamed(name string) *class {
	k, _ := sh.classes.Load(name)
	found, _ := k.(*class)
	return found
}

// everyClass calls f for each class.
func (sh *shard) everyClass(f func(*class)) {
	sh.classes.Range(func(_, k any) bool {
		f(k.(*class))
		return true
	})
}

// invalidated is called for every announcement, in order, by the connection's
// reader: it must be quick.
func (sh *shard) invalidated(keys []string, all bool) {
	if all {
		sh.feed.flushed()
		sh.spawn(func() { sh.everyClass(func(k *class) { k.listener.Flushed() }) })
		return
	}
	for _, key := range keys {
		if name, ok := strings.CutPrefix(key, remote.MarksKey(sh.opts.KeyPrefix, "")); ok {
			if k := sh.classNamed(name); k != nil {
				k.listener.SomeDeleted()
			}
			continue
		}
		of, deleted := remote.KeyOfTombstone(sh.opts.KeyPrefix, key)
		if deleted {
			key = of
		}
		if k := sh.classOf(key); k != nil {
			sh.feed.announce(key)
			k.listener.Changed(key, deleted)
			if !deleted {
				sh.changedByOther(key)
			}
		}
	}
}

// hearEach is how often the feed's connection is asked.
const hearEach = 200 * time.Millisecond

// hear asks the feed's connection until ctx ends, and ends the epoch when no
// answer comes for the term of a lease.
func (sh *shard) hear(ctx context.Context, n *remote.Node) {
	var last, before int64 // when the last question, and the one before, was asked
	proof := sh.clock.Now()
	for ctx.Err() == nil {
		sh.trackAll(n)
		asked := sh.clock.Now()
		if n.PingFeed(ctx, hearEach) == nil {
			before, last = last, asked
		}
		if before != 0 {
			proof = before
			sh.feed.provedHeard(before)
		}
		if sh.clock.Now()-proof > leaseTerm {
			sh.feed.silent()
			last, before, proof = 0, 0, sh.clock.Now()
		}
		if remote.Pause(ctx, hearEach) != nil {
			return
		}
	}
}

// settlingTime is how long after a master was reached others may still send
// again what they have kept.
const settlingTime = int64(10 * time.Second)

// settling reports whether an announcement may be of a write that was sent again.
// Then it need not be news, and Redis may fail once more before it is read.
func (sh *shard) settling(now int64) bool {
	return sh.node.Load() == nil || now-sh.feed.begun.Load() < settlingTime
}

// bereft reports whether Redis has just lost its data: that it has no value does
// not mean that somebody deleted it.
func (sh *shard) bereft() bool {
	return time.Since(time.Unix(0, sh.recovery.resetAt.Load())) < time.Duration(settlingTime)
}
