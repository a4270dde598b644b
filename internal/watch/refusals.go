package watch

import (
	"sync"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
)

// refusals are what nodes have refused and the supervisor has not heard of yet, one for
// each node, kind and slot. Thousands of callers may be refused at once: each only
// leaves a note.
type refusals struct {
	mu   sync.Mutex // guards seen
	seen map[refusal]cluster.Refused
	more chan struct{} // there are some
}

type refusal struct {
	node  cluster.ID
	fault cluster.Fault
	slot  uint16
}

const (
	maxRefusals  = 1024 // that wait; more are left out, and the node is asked all the same
	refusalsEach = 5 * time.Millisecond
	refusalsMost = 64 // at once
)

func newRefusals() *refusals {
	return &refusals{seen: map[refusal]cluster.Refused{}, more: make(chan struct{}, 1)}
}

func (r *refusals) add(o cluster.Refused) {
	key := refusal{o.Node, o.Fault, o.Slot}
	r.mu.Lock()
	if was, before := r.seen[key]; before && was.SentAt.After(o.SentAt) {
		o.SentAt = was.SentAt
		r.seen[key] = o
	} else if before || len(r.seen) < maxRefusals {
		r.seen[key] = o
	}
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// take removes and returns some.
func (r *refusals) take() (some []cluster.Refused, left bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, o := range r.seen {
		if len(some) == refusalsMost {
			return some, true
		}
		some = append(some, o)
		delete(r.seen, key)
	}
	return some, false
}

// noSlot is not the slot of any key.
const noSlot = slot.Count

// Refused tells that a node refused a command that was sent at a time: MOVED, ASK,
// READONLY, CLUSTERDOWN and the like are taken, others left out. Any goroutine may call
// it; it never waits.
func (d *Cluster) Refused(n *remote.Node, sent time.Time, err error) {
	if o, ok := refusedBy(n, sent, err); ok {
		d.refusals.add(o)
	}
}

// refusedBy reads an error reply.
func refusedBy(n *remote.Node, sent time.Time, err error) (o cluster.Refused, ok bool) {
	id, bad := cluster.ParseID(n.ID)
	if bad != nil {
		return o, false
	}
	o, ok = refusalIn(remote.ReplyIn(err), addrOf(n))
	o.Node, o.SentAt, o.At = id, sent, time.Now()
	return o, ok
}

// refusalIn reads the text of an error reply. ASK becomes a FaultOther: the node is asked
// at once, nothing else follows from it.
func refusalIn(text string, from cluster.Addr) (o cluster.Refused, ok bool) {
	o.Slot = noSlot
	if r, bad := cluster.ParseRedirect(text, from); bad == nil {
		o.Slot, o.To, o.Fault = r.Slot, r.Addr, cluster.FaultMoved
		if r.Ask {
			o.Fault = cluster.FaultOther
		}
		return o, true
	}
	o.Fault = cluster.ReplyFault(text)
	return o, o.Fault == cluster.FaultDemoted || o.Fault == cluster.FaultDown
}

// addrOf is where a node was dialled; zero: no address.
func addrOf(n *remote.Node) cluster.Addr {
	if a := addrsOf([]string{n.Addr}); len(a) == 1 {
		return a[0]
	}
	return cluster.Addr{}
}

// passRefusals hands them to the supervisor, some milliseconds apart.
func (d *Cluster) passRefusals() {
	for {
		select {
		case <-d.refusals.more:
		case <-d.ctx.Done():
			return
		}
		some, left := d.refusals.take()
		d.report(func() { d.refused(some) })
		if left {
			select {
			case d.refusals.more <- struct{}{}:
			default:
			}
		}
		if remote.Pause(d.ctx, refusalsEach) != nil {
			return
		}
	}
}

func (d *Cluster) refused(some []cluster.Refused) {
	for _, o := range some {
		if o.Fault != cluster.FaultOther {
			d.observe(o)
			continue
		}
		for _, st := range d.seats {
			if st.shard.Master.ID == o.Node {
				d.askNow(st.shard.Master.Addr)
			}
		}
	}
}
