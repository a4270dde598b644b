package shard

import (
	"context"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/remote"
)

// elsewhere goes on with a read that a node of a Cluster did not serve: at the node that
// gets the slot, or at its new owner, as soon as that is known. limit is of the whole.
func (k *Class) elsewhere(ctx context.Context, sh *Shard, node *remote.Node, full string, refused error, asked Asked, limit time.Duration) Answer {
	ctx, left := deadline.Remainder(ctx, limit, time.Since(asked.At))
	switch remote.KindOf(refused) {
	case remote.Ask:
		target := k.st.awaits(node, refused)
		if target == nil {
			break
		}
		v, err := target.GetAsking(ctx, full, left)
		a := k.answered(target, v, err, asked)
		a.Apart, a.End = true, End{}
		return a
	case remote.Moved:
		bounded, cancel := context.WithTimeout(ctx, left)
		defer cancel()
		next, other := k.st.awaitMaster(bounded, full, node)
		if other == nil || next == sh {
			break
		}
		again := next.askedNow(other)
		ctx, left = deadline.Remainder(ctx, left, time.Since(asked.At))
		v, err := other.Get(ctx, full, left)
		a := k.answered(other, v, err, again)
		a.Apart = true // the caller's mark is of the master before
		return a
	}
	return k.answered(node, remote.Value{}, refused, asked)
}

// ownerDue is for how long a read waits for the owner of a slot that has none: the one
// before says that it has given the slot away, and the next one is asked.
const ownerDue = time.Second

// ownerIsDue reports whether sh has no slots, and whoever owns them is about to be known.
func (st *Store) ownerIsDue(sh *Shard) bool {
	since := st.incomplete.Load()
	return sh == st.nobody && since != 0 && time.Duration(st.Clock.Now()-since) < ownerDue
}

// awaits is the node that an answer of another names; nil: it names none, or one that is
// not in use.
func (st *Store) awaits(node *remote.Node, refused error) *remote.Node {
	r, ok := remote.RedirectOf(refused)
	if !ok || r.Addr == "" {
		return nil
	}
	to := r.Addr
	if mapped, ok := st.Config.AddressMap[to]; ok {
		to = mapped
	}
	for _, sh := range st.shards() {
		if n := sh.Node.Load(); n != nil && n != node && n.Addr == to {
			return n
		}
	}
	return nil
}
