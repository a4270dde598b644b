package shard

import (
	"context"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/remote"
)

// mostHops bounds the nodes that a read asks one after the other: while a slot changes
// hands, the old owner and the new one may name each other for a moment.
const mostHops = 5

// elsewhere goes on with a read that a node of a Cluster did not serve: at the node that
// it names, and at last at the owner of the slot, as soon as that is known. What such a
// node says is not coherent: whether the slot is its own is not known yet. limit is of the
// whole.
func (k *Class) elsewhere(ctx context.Context, node *remote.Node, full string, refused error, asked Asked, limit time.Duration) Answer {
	ctx, left := deadline.Remainder(ctx, limit, time.Since(asked.At))
	until := time.Now().Add(left)
	for range mostHops {
		sh, next := k.st.named(node, refused)
		if next == nil {
			break
		}
		if remote.KindOf(refused) == remote.Moved {
			asked = sh.askedNow(next)
		}
		v, err := k.ask(ctx, next, full, remote.KindOf(refused) == remote.Ask, time.Until(until))
		if !remote.KindOf(err).Unserved() {
			return k.apart(next, v, err, asked)
		}
		node, refused = next, err
	}
	if remote.KindOf(refused) != remote.Moved {
		return k.answered(node, remote.Value{}, refused, asked, time.Now())
	}
	bounded, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	sh, owner := k.st.awaitMaster(bounded, full, node)
	if owner == nil {
		return k.answered(node, remote.Value{}, refused, asked, time.Now())
	}
	asked = sh.askedNow(owner)
	v, err := k.ask(ctx, owner, full, false, time.Until(until))
	return k.apart(owner, v, err, asked)
}

func (k *Class) ask(ctx context.Context, node *remote.Node, full string, asking bool, limit time.Duration) (remote.Value, error) {
	limit = max(limit, time.Millisecond)
	if asking {
		return node.GetAsking(ctx, full, limit)
	}
	return node.Get(ctx, full, limit)
}

// apart is what a node has said that was not asked first: the caller's mark is of another.
func (k *Class) apart(node *remote.Node, v remote.Value, err error, asked Asked) Answer {
	a := k.answered(node, v, err, asked, time.Now())
	a.Apart, a.End = true, End{}
	return a
}

// unowned is a read of a key whose slot nobody owns, as far as is known: whoever gives it
// away and whoever gets it are asked at different times. Any node of the Cluster knows
// more, or will in a moment.
func (k *Class) unowned(ctx context.Context, of *Shard, full string, limit time.Duration) (a Answer, ok bool) {
	if of != k.st.nobody {
		return Answer{}, false
	}
	for _, sh := range k.st.shards() {
		node := sh.Node.Load()
		if node == nil {
			continue
		}
		asked := sh.askedNow(node)
		v, err := node.Get(ctx, full, limit)
		if remote.KindOf(err).Unserved() {
			return k.elsewhere(ctx, node, full, err, asked, limit), true
		}
		return k.apart(node, v, err, asked), true
	}
	return Answer{}, false
}

// named is the master in use that an answer of another names; nil: it names none, or one
// that is not in use.
func (st *Store) named(node *remote.Node, refused error) (*Shard, *remote.Node) {
	r, ok := remote.RedirectOf(refused)
	if !ok || r.Addr == "" {
		return nil, nil
	}
	to := r.Addr
	if mapped, ok := st.Config.AddressMap[to]; ok {
		to = mapped
	}
	for _, sh := range st.shards() {
		if n := sh.Node.Load(); n != nil && n != node && n.Is(to) {
			return sh, n
		}
	}
	return nil, nil
}

// awaits is the node that an Ask names.
func (st *Store) awaits(node *remote.Node, refused error) *remote.Node {
	_, n := st.named(node, refused)
	return n
}
