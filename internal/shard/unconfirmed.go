package shard

import (
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// unconfirmed is what a master has taken and could still lose, as the nodes know it
// (remote.Book): they number their barriers by it, and tell it what they hold.
type unconfirmed struct{ sh *Shard }

// unconfirmedWrites is for the nodes.
func (sh *Shard) unconfirmedWrites() remote.Book { return unconfirmed{sh} }

// NextBarrier numbers a barrier.
func (b unconfirmed) NextBarrier(n *remote.Node) (number uint64, ok bool) {
	b.sh.counted(n, func(epoch uint64) bool {
		number, ok = b.sh.Ledger.NextBarrier(epoch)
		return ok
	})
	return number, ok
}

// taken enters what a master has taken into the ledger. ok is false when that
// master is not ours any more.
func (sh *Shard) taken(r outbox.Record, node *remote.Node) (number uint64, ok bool) {
	sh.counted(node, func(epoch uint64) bool {
		number, ok = sh.Ledger.Add(r, epoch, sh.Clock.Now())
		return ok
	})
	if ok && sh.Ledger.Unconfirmed() == 1 {
		sh.Barriers.hurry()
	}
	return number, ok
}

// takenPrefixes is Taken for deletes of prefixes.
func (sh *Shard) takenPrefixes(ps []outbox.Prefix, node *remote.Node) bool {
	return sh.counted(node, func(epoch uint64) bool {
		_, ok := sh.Ledger.AddPrefixes(ps, epoch, sh.Clock.Now())
		return ok
	})
}

// counted does what only counts in the node's epoch. A dial that was given up
// can end the epoch of the node that is in use: its next one begins then.
func (sh *Shard) counted(node *remote.Node, do func(epoch uint64) bool) bool {
	if do(node.Epoch.Load()) {
		return true
	}
	if sh.Node.Load() != node {
		return false
	}
	node.Epoch.Store(sh.Ledger.Epoch())
	return do(node.Epoch.Load())
}
