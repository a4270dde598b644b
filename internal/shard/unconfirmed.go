package shard

import (
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
)

// unconfirmed is what a master has taken and could still lose, as the nodes know it
// (remote.Book): they number their barriers by it, and tell it what they hold.
type unconfirmed struct{ sh *Shard }

// unconfirmedWrites is for the nodes.
func (sh *Shard) unconfirmedWrites() remote.Book { return unconfirmed{sh} }

// NextBarrier numbers a barrier.
func (b unconfirmed) NextBarrier(n *remote.Node) (number uint64, ok bool) {
	at := b.sh.Clock.Now()
	b.sh.counted(n, func(epoch uint64) bool {
		number, ok = b.sh.Ledger.NextBarrier(epoch)
		return ok
	})
	b.sh.Barriers.sends(number, ok)
	if r := b.sh.replicas; r != nil && ok {
		r.sent.note(number, at)
	}
	return number, ok
}

// taken enters what a master has taken into the ledger. ok is false when that
// master is not ours any more, or the slot of the record has left it since that
// generation of the ledger.
func (sh *Shard) taken(r outbox.Record, node *remote.Node, generation uint32) (number uint64, ok bool) {
	sh.counted(node, func(epoch uint64) bool {
		number, ok = sh.Ledger.AddIn(r, epoch, generation, sh.Clock.Now())
		return ok
	})
	if ok {
		sh.wrote(r.Key, number)
		sh.touch()
	}
	if ok && sh.Ledger.Unconfirmed() == 1 {
		sh.Barriers.hurry()
	}
	return number, ok
}

// takenPrefixes is taken for deletes of prefixes. left are slots that have left the master
// meanwhile: there they are to be deleted once more.
func (sh *Shard) takenPrefixes(ps []outbox.Prefix, node *remote.Node, generation uint32) (left *slot.Set, ok bool) {
	ok = sh.counted(node, func(epoch uint64) (ok bool) {
		_, left, ok = sh.Ledger.AddPrefixesIn(ps, epoch, generation, sh.Clock.Now())
		return ok
	})
	sh.beginCopies()
	sh.touch()
	return left, ok
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
