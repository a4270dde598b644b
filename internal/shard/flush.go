package shard

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
)

// flushes tells a FLUSHALL from a loss of data. Two things must be seen within
// flushApart on one living connection to a master: it announces that everything is gone,
// which a server does that is told to flush one of its databases, and the heartbeat finds
// that its barrier and the marker of its dataset are gone. A server that was restarted
// empty announces nothing, and neither does one that copies another one's data.
type flushes struct {
	mu        sync.Mutex // guards what follows
	announced time.Time
	replaced  time.Time
	before    uint64 // the last barrier that the flush took

	forgetting atomic.Bool // forgetAll waits for a proof
}

const flushApart = 3 * time.Second

// announce notes that everything is said to be gone. before is the last barrier that was
// lost with it, 0: none is known to be, so far.
func (f *flushes) announce(now time.Time) (before uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.announced = now
	return f.both()
}

// replace notes that the dataset of that barrier is gone.
func (f *flushes) replace(now time.Time, barrier uint64) (before uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replaced, f.before = now, barrier
	return f.both()
}

func (f *flushes) both() uint64 {
	if f.announced.IsZero() || f.replaced.IsZero() || f.announced.Sub(f.replaced).Abs() > flushApart {
		return 0
	}
	before := f.before
	f.announced, f.replaced, f.before = time.Time{}, time.Time{}, 0
	return before
}

// forget is called when another node is used: what was seen was not of it.
func (f *flushes) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.announced, f.replaced, f.before = time.Time{}, time.Time{}, 0
}

// announcedByRedis is called by the reader of the feed's connection.
func (sh *Shard) announcedByRedis(keys []string, all bool) {
	if all {
		sh.Ledger.Flushed(sh.flushes.announce(time.Now()))
	}
	sh.invalidated(keys, all)
}

// datasetGone notes that the node holds another dataset than at the last barrier.
func (sh *Shard) datasetGone(n *remote.Node) {
	if last, _ := sh.Barriers.Watch(); last.node == n {
		sh.Ledger.Flushed(sh.flushes.replace(time.Now(), last.N))
	}
}

// forgetAll drops what memory holds of the shard, since everything is said to be gone.
//
// A master of a Cluster that is replaced while it lives says so too: it copies the data of
// its successor, and does not end its connections before. What memory holds is needed
// then, until the successor is found. So the node must have taken a barrier that was sent
// behind the announcement. Until then nothing that memory holds is covered.
func (sh *Shard) forgetAll() {
	if !sh.clustered() {
		sh.Spawn(func() { sh.everyClass(func(k *Class) { k.listener.Flushed() }) })
		return
	}
	node, behind := sh.Node.Load(), sh.Ledger.Next()
	if node == nil || !sh.flushes.forgetting.CompareAndSwap(false, true) {
		return
	}
	if !sh.Spawn(func() { sh.forgetProved(node, behind) }) {
		sh.flushes.forgetting.Store(false)
	}
}

func (sh *Shard) forgetProved(node *remote.Node, behind uint64) {
	still := sh.staysMaster(node, behind)
	sh.flushes.forgetting.Store(false) // what is announced from here on is another flush
	if !still {
		return
	}
	lies := sh.slots.Load()
	sh.everyClass(func(k *Class) {
		k.listener.Flush(func(key string) bool { return lies.owned.Has(slot.Of(key)) })
	})
}

// staysMaster waits until a node has taken a barrier with that number, or a later one.
// false: it is given up before.
func (sh *Shard) staysMaster(node *remote.Node, barrier uint64) bool {
	defer sh.Barriers.await()()
	for {
		left := *sh.nodeChanged.Load()
		last, changed := sh.Barriers.Watch()
		if last.node == node && last.N >= barrier {
			return true
		}
		if sh.Node.Load() != node {
			return false
		}
		select {
		case <-changed:
		case <-left:
		case <-sh.life.Done():
			return false
		}
	}
}
