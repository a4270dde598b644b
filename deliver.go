package evercache

import (
	"errors"
	"fmt"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// deliver sends the write to the master, or to the next one. The caller holds the
// key's lane.
func (c *Cache[V]) deliver(p *deadline.Budget, node *remote.Node, w *write) (Receipt, error) {
	return c.delivered(p, w, c.keys.deliver(p, node, &w.outgoing))
}

// delivered concludes a write by the master's answer; the caller holds the lane.
func (c *Cache[V]) delivered(p *deadline.Budget, w *write, s sending) (Receipt, error) {
	switch k := remote.KindOf(s.err); {
	case s.err == nil && !s.found:
		c.missing(w)
		return Receipt{}, ErrNotFound
	case s.err == nil:
		number, ok := c.landed(w, s)
		if !ok {
			w.rec.Lo, w.rec.Hi = s.executed()
			return c.undelivered(p.Ctx, w, errChanged)
		}
		return c.replicated(p, w, s.node, number), nil
	case k == remote.Logical:
		c.supersede(w, func() { c.drop(c.bare(w.rec.Key)) })
		return Receipt{}, rejection(s.err)
	}
	if !s.unsent {
		w.rec.Lo, w.rec.Hi = s.executed() // if it was
		w.rec.Late = w.rec.Late || mayLand(remote.KindOf(s.err))
	}
	return c.undelivered(p.Ctx, w, s.err)
}

// rejection is the error of a write that no server like this will ever take.
func rejection(err error) error {
	if errors.Is(err, remote.ErrTooLarge) {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	return fmt.Errorf("evercache: %w", err)
}

// mayLand reports whether a write that failed so may have been carried out, or
// may be later: nobody answered, or nobody knows what the answer means.
func mayLand(k remote.Kind) bool {
	return k.Outage() && !k.Refused() || k == remote.UnknownReply
}

var errChanged = errors.New("the master that took it is not the master any more")

// landed notes that the master has taken w, in the ledger, in the outbox and in
// memory. A newer write of the key, which got no turn in its lane, stays. It
// returns the number of the barrier that will cover w; ok is false when the
// master was given up meanwhile: the next one may not have w.
func (c *Cache[V]) landed(w *write, s sending) (number uint64, ok bool) {
	w.rec.Lo, w.rec.Hi = s.executed()
	c.supersede(w, func() {
		c.recall(&w.rec)
		if number, ok = c.client.shard.taken(w.rec, s.node); !ok {
			return
		}
		if !c.client.shard.outbox.Empty() {
			c.client.shard.outbox.Taken(w.rec)
			if r, waits := c.client.shard.outbox.Find(w.rec.Key); waits && r.Kind != outbox.Touch {
				return
			}
		}
		c.remembered(w, s.mark)
	})
	return number, ok
}

// remembered changes memory. When somebody else's write was announced since w
// was sent, it may have come after w: then Redis is asked again.
func (c *Cache[V]) remembered(w *write, m mark) {
	undisturbed := c.client.shard.feed.undisturbed(m)
	if w.item != nil {
		w.item.End = local.End(w.rec.Sent)
	}
	switch {
	case w.item != nil && undisturbed && !w.inTime:
		w.item.Epoch = m.epoch
	case w.item != nil:
		w.item.AskAfter, w.item.TrustUntil = 0, 0
	case w.rec.Kind == outbox.Touch && !undisturbed && !w.inTime && !c.shortens(w):
		return
	}
	c.applied(w)
}

// missing concludes a Touch of a key that Redis does not have.
func (c *Cache[V]) missing(w *write) {
	c.supersede(w, func() {
		c.client.shard.outbox.Taken(w.rec)
		if r, waits := c.client.shard.outbox.Find(w.rec.Key); !waits || r.Kind == outbox.Touch {
			c.drop(c.bare(w.rec.Key))
		}
	})
}

// replicated is the receipt of a write that the master has taken. Where more is
// asked it waits for the barrier that covers the write.
func (c *Cache[V]) replicated(p *deadline.Budget, w *write, node *remote.Node, number uint64) Receipt {
	r := Receipt{Durability: Master}
	if w.min.Durability < Replicated {
		return r
	}
	if n := c.client.shard.barriers.await(p.Bounded(), node, number, max(1, w.min.Replicas)); n > 0 {
		r = Receipt{Durability: Replicated, Replicas: n}
	}
	return r
}
