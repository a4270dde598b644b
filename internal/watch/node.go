package watch

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// dialed is the end of a dial.
type dialed struct {
	node       *remote.Node
	err        error
	generation uint64
}

// syncNode keeps a connection to the decided master, in use or not: while it is
// fenced the barrier goes on, since its answer is what may lift the fence.
func (d *supervisor) syncNode() {
	if d.node != nil && d.generation != d.now.Generation {
		d.drop(d.reason())
	}
	switch writes := d.now.Writes(); {
	case d.node == nil:
		d.dial()
	case writes && !d.up:
		d.up = true
		d.hooks.Up(d.node)
	case !writes && d.up:
		d.up = false
		d.hooks.Down(d.reason())
	}
	if d.now.Stage == sentinel.Clear {
		d.beat.set(beatIdle)
	} else {
		d.beat.set(beatFast)
	}
}

// drop gives the node up.
func (d *supervisor) drop(cause error) {
	if d.node == nil {
		return
	}
	if d.up {
		d.up = false
		d.hooks.Down(cause)
	}
	d.endBarrier()
	d.wg.Go(d.node.Abandon) // aside: closing a dead connection may take a second
	d.node = nil
}

// dial connects to the decided master aside, one attempt at a time. An attempt
// at a master of before is given up: it may hang, and the new one is there.
func (d *supervisor) dial() {
	if d.dialing != nil && d.dialFor != d.now.Generation {
		d.dialing()
		d.dialing = nil
	}
	if d.now.Master.IsZero() || d.dialing != nil || time.Now().Before(d.retryAt) {
		return
	}
	ctx, cancel := context.WithCancel(d.ctx)
	c, generation := d.c.Node.After(d.lastEnd), d.now.Generation
	c.Addr = d.c.dialable(d.now.Master)
	d.dialing, d.dialFor = cancel, generation
	heartbeat := d.c.Heartbeat.After(d.lastEnd)
	d.wg.Go(func() {
		n, err := remote.Dial(ctx, c, heartbeat, d.c.Observer)
		select {
		case d.dialed <- dialed{n, err, generation}:
		case <-d.ctx.Done():
			if n != nil {
				n.Abandon()
			}
		}
	})
}

// arrived takes a dialled node into use, or another turn.
func (d *supervisor) arrived(r dialed) {
	if r.generation != d.dialFor || d.dialing == nil {
		if r.node != nil { // of a dial that was given up
			d.wg.Go(r.node.Abandon)
		}
		return
	}
	d.dialing()
	d.dialing = nil
	if d.lastEnd = r.err; r.err != nil {
		d.hooks.Failed(r.err)
		d.retryDelay = min(max(2*d.retryDelay, retryFirst), retryMost)
		d.retryAt = time.Now().Add(d.retryDelay/2 + rand.N(d.retryDelay/2))
		if k := remote.KindOf(r.err); k == remote.ReadOnly || k == remote.MasterDown {
			d.observe(sentinel.Refused{Node: d.now.Master, At: time.Now()})
		}
	} else {
		d.take(r.node, r.generation)
	}
	d.observe(sentinel.Tick{At: time.Now()})
}

// take makes the node ours and begins its barrier.
func (d *supervisor) take(n *remote.Node, generation uint64) {
	d.node, d.generation = n, generation
	d.retryAt, d.retryDelay = time.Time{}, 0
	ctx, cancel := context.WithCancel(d.ctx)
	d.endBarrier = cancel
	d.askAll() // a fence is lifted by what the sentinels answer after the master's return
	addr := d.now.Master
	d.wg.Go(func() { d.barriers(ctx, addr, n) })
}

// barriers sends the heartbeat until ctx ends.
func (d *supervisor) barriers(ctx context.Context, addr sentinel.Addr, n *remote.Node) {
	for d.c.Heartbeat.Wait(ctx, time.Now(), d.beat.current, d.beat.kick) == nil {
		b, err := n.Barrier(ctx, d.beat.replicas())
		if ctx.Err() != nil {
			return
		}
		if n.HeldUp(err, b.SentAt) {
			continue // our own bytes are on the way and make progress, or we were busy
		}
		o := sentinel.Barrier{Node: addr, N: b.N, Written: b.Written, SentAt: b.SentAt, At: time.Now(), Late: b.Late, Fault: fault(err), Acked: b.Acked}
		if err == nil {
			o.By = holders(b)
			o.Fault = d.unproven(n, b)
		}
		d.report(o)
	}
}

// unproven says whether an answered barrier proves less than it should, and
// keeps why where that is the ACL.
func (d *supervisor) unproven(n *remote.Node, b remote.Barrier) sentinel.Fault {
	switch {
	case n.HeartbeatForbidden(): // it was not written
		d.missing.add(heartbeatKey)
	case b.Proof != nil:
		d.missing.note(b.Proof)
	default:
		return sentinel.FaultNone
	}
	return sentinel.FaultUnproven
}

// beaten hands on what a barrier has shown, once the machine has seen it.
func (d *supervisor) beaten(b sentinel.Barrier) {
	if b.Fault != sentinel.FaultNone && b.Fault != sentinel.FaultUnproven || b.Node != d.now.Master || d.node == nil || !d.up {
		return
	}
	d.hooks.Beat(d.node, shown(b, d.now))
}

// shown is what an answered barrier proves. It confirms what was written before it
// was sent when every replica that could be promoted has it: none of them had
// been promoted then, so the master was the only one as well. In a minority the
// replicas that are out of sight are the ones that do not have it.
//
// A replica that lacks it and answers may be a former master that has come back, which
// the sentinels make a replica only after some 10 s, or one that copies the data. It
// could be promoted, so nothing is confirmed, and an alarm cannot end. But until then a
// majority of the sentinels says who the only master was.
func shown(b sentinel.Barrier, now sentinel.Decision) Beat {
	lacks := func(a sentinel.Addr) bool { return !slices.Contains(b.By, a) }
	away := func(a sentinel.Addr) bool { return lacks(a) && !slices.Contains(now.InSight, a) }
	all := !slices.ContainsFunc(now.Promotable, lacks)
	proves := b.Fault == sentinel.FaultNone && now.Confirmed && now.Writes()
	clear := now.BarriersConfirm()
	beat := Beat{N: b.N, SentAt: b.SentAt, Written: b.Written, Replicas: len(b.By), Confirms: proves && all && clear}
	switch {
	case !proves || all && !clear:
	case all && len(now.Promotable) > 0:
		beat.Alone = true
	case now.NamedAt.IsZero():
	case all:
		beat.AloneAt = now.NamedAt.Add(-hearsay)
	case b.By != nil && !slices.ContainsFunc(now.Promotable, away):
		beat.AloneAt = now.NamedAt.Add(-hearsayBeside)
	}
	return beat
}

const (
	// hearsay is how long a sentinel may not have heard yet of the master that another
	// one has made: they tell each other every two seconds. Where no replica can be
	// promoted that one sees, the sentinels' word is all there is.
	hearsay = 2 * time.Second
	// hearsayBeside is the same beside nodes that could be promoted: there is more
	// that may have happened, and whoever can use it has time.
	hearsayBeside = 3 * time.Second
)

// holders are the replicas that have the barrier: their offset has reached the
// one that the master had right after the write. nil: INFO does not tell.
func holders(b remote.Barrier) []sentinel.Addr {
	wrote, err := sentinel.ParseReplication(b.Wrote)
	if err != nil {
		return nil
	}
	after, err := sentinel.ParseReplication(b.Info)
	if err != nil {
		return nil
	}
	by := []sentinel.Addr{} // not nil: it was told
	for _, r := range after.Replicas {
		if r.Online && r.Offset >= wrote.Offset {
			by = append(by, r.Addr)
		}
	}
	return by
}

// fault says what an error proves about whom we asked.
func fault(err error) sentinel.Fault {
	switch k := remote.KindOf(err); k {
	case remote.OK, remote.Nil:
		return sentinel.FaultNone
	case remote.Timeout:
		return sentinel.FaultTimeout
	case remote.Conn, remote.TLS, remote.MaxClients:
		return sentinel.FaultClosed
	case remote.ReadOnly:
		return sentinel.FaultReadOnly
	case remote.MasterDown:
		return sentinel.FaultMasterDown
	case remote.Loading:
		return sentinel.FaultLoading
	case remote.NoReplicas:
		return sentinel.FaultNoReplicas
	}
	return sentinel.FaultOther
}
