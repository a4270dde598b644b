// Package shard is one Redis master at a time, and everything that is owed to it:
// reads and writes in bytes, what waits for it (outbox, journal), what it has taken and
// could still lose (ledger, barriers), what it announces (feed), and how it is found.
// It knows no types, policies or memory: those are the client's, which is told of what
// others change by a Listener. What all shards of a client share is their Store.
//
// Open without a master, every call goes on: what cannot be sent waits.
package shard

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// Shard is one master at a time and what is owed to that: what it has taken and could
// still lose, what it announces, and how far that can be relied on. What waits for a
// master is in the Store, since a key may belong to another shard by the time that it
// is sent.
type Shard struct {
	*Store

	number uint32                  // in Cluster mode; never used again
	slots  atomic.Pointer[slotsOf] // in Cluster mode; nil elsewhere: all keys are its
	life   context.Context         // in Cluster mode: ends with the shard
	end    context.CancelFunc
	clocks *remote.Clocks // the servers'
	clock  *outbox.Clock  // they are known as, where records move; in Cluster mode

	// The master.
	Node        atomic.Pointer[remote.Node] // the verified master, or nil
	latest      atomic.Pointer[remote.Node] // the last one that was
	nodeChanged atomic.Pointer[chan struct{}]
	downtimes   *downtimes
	Evicting    evicting
	lived       sync.Map // what is noted there of the lives of each *Class: *lives

	// What is owed to it.
	Ledger   *outbox.Ledger // writes that it has taken, for as long as it could lose them
	Barriers *barriers
	replicas *replicas     // to be read from; nil: none are
	wake     chan struct{} // the replayer's
	batches  batches       // of the replay, whose goroutine alone uses it
	dataset  datasets
	undone   *undone
	flushes  flushes

	usage use
	crowd atomic.Uint64 // how many processes share the master, as far as is known

	// What others change.
	Feed        *feed
	listeningMu sync.Mutex // guards listening
	Listening   listening
	hears       hearing // the classes whose changes are announced
}

func newShard(st *Store) *Shard {
	o := st.Config
	sh := &Shard{
		Store:     st,
		clocks:    new(remote.Clocks),
		downtimes: newDowntimes(),
		Ledger:    outbox.NewLedger(outbox.LedgerBounds{Entries: o.OutboxEntries, Bytes: o.OutboxBytes, RingBytes: o.RingBytes, RingAge: o.RingAge}),
		Barriers:  newBarriers(),
		wake:      make(chan struct{}, 1),
		undone:    newUndone(),
		Feed:      NewFeed(),
		usage:     newUse(),
	}
	sh.replicas = newReplicas(o.ReplicaReads)
	sh.Feed.fresh = sh.beginCopies
	if st.clustered() {
		sh.clock = &outbox.Clock{Read: sh.movedClock}
	}
	changed := make(chan struct{})
	sh.nodeChanged.Store(&changed)
	return sh
}

// run starts what a shard does beside looking for its master.
func (sh *Shard) run(goes func(func(context.Context))) {
	goes(sh.replay)
	goes(sh.watchOwn)
	goes(sh.watchEvictions)
	if sh.replicas != nil {
		goes(sh.keepReplicas)
	}
}

// cause is why the master is not in use, or nil while it is. The state may know of no
// cause: it is that of all shards, and a master is gone a moment before it changes.
func (sh *Shard) cause() error {
	switch {
	case sh.memoryOnly() || sh.Node.Load() != nil:
		return nil
	case sh == sh.nobody && sh.reached.Load() && sh.status.Get().Cause == nil:
		return errUnowned
	}
	return sh.AwayCause()
}
