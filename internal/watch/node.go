package watch

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// newSeat is the seat of the one master.
func (d *supervisor) newSeat() seat {
	return seat{
		crew: &d.crew, dialed: d.dialed, beat: newInterval(beatIdle),
		hooks: seatHooks{
			up: func(n *remote.Node) { d.hooks.Up(n) }, down: func(err error) { d.hooks.Down(err) },
			failed: func(err error) { d.hooks.Failed(err) }, plan: d.plan,
		},
	}
}

// syncNode has the seat follow what is decided.
func (d *supervisor) syncNode() {
	d.seat.follow(order{
		known: !d.now.Master.IsZero(), generation: d.now.Generation, writes: d.now.Writes(), each: beatEach(d.now.Stage == sentinel.Clear, beatIdle), reason: d.reason,
	})
}

// plan is how to reach the decided master.
func (d *supervisor) plan() plan {
	addr := d.now.Master
	c, heartbeat := d.c.Node.After(d.seat.lastEnd), d.c.Heartbeat.After(d.seat.lastEnd)
	c.Addr = d.c.dialable(addr)
	return plan{
		dial:  func(ctx context.Context) (*remote.Node, error) { return remote.Dial(ctx, c, heartbeat, d.c.Observer) },
		beats: func(ctx context.Context, n *remote.Node) { d.barriers(ctx, addr, n) },
	}
}

// arrived takes the end of a dial.
func (d *supervisor) arrived(r dialed) {
	if !d.seat.arrived(r) {
		return
	}
	if r.err == nil {
		d.askAll() // a fence is lifted by what the sentinels answer after the master's return
	} else if k := remote.KindOf(r.err); k == remote.ReadOnly || k == remote.MasterDown {
		d.observe(sentinel.Refused{Node: d.now.Master, At: time.Now()})
	}
	d.observe(sentinel.Tick{At: time.Now()})
}

// barriers sends the heartbeat until ctx ends.
func (d *supervisor) barriers(ctx context.Context, addr sentinel.Addr, n *remote.Node) {
	for d.c.Heartbeat.Wait(ctx, time.Now(), d.seat.beat.current, d.seat.beat.kick) == nil {
		b, err := n.Barrier(ctx, d.seat.beat.replicas())
		if ctx.Err() != nil {
			return
		}
		if n.HeldUp(err, b.SentAt) {
			continue // our own bytes are on the way and make progress, or we were busy
		}
		o := sentinel.Barrier{Node: addr, N: b.N, Written: b.Written, SentAt: b.SentAt, At: time.Now(), Late: b.Late, Fault: fault(err), Acked: b.Acked}
		if err == nil {
			o.By, o.Attached = holders(b), attached(b)
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
	if b.Fault != sentinel.FaultNone && b.Fault != sentinel.FaultUnproven || b.Node != d.now.Master || d.seat.node == nil || !d.seat.up {
		return
	}
	d.hooks.Beat(d.seat.node, shown(b, d.now))
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
	strange := func(a sentinel.Addr) bool { return !slices.Contains(now.Probes, a) }
	known := len(b.Attached) > sentinel.MaxListed || !slices.ContainsFunc(b.Attached, strange) // else the sentinels may know a replica before us
	proves := b.Fault == sentinel.FaultNone && now.Confirmed && now.Writes() && known
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

// holders are the replicas that have the barrier: all that are online where WAIT has
// counted so many, else those whose offset has reached the one that the master had right
// after the write, or at least has at the end. nil: INFO does not tell.
func holders(b remote.Barrier) []sentinel.Addr {
	after, err := sentinel.ParseReplication(b.Info)
	if err != nil {
		return nil
	}
	wrote := after
	if b.Wrote != "" {
		if wrote, err = sentinel.ParseReplication(b.Wrote); err != nil {
			return nil
		}
	}
	by := []sentinel.Addr{} // not nil: it was told
	for _, r := range after.Replicas {
		if r.Online && (b.All || r.Offset >= wrote.Offset) {
			by = append(by, r.Addr)
		}
	}
	return by
}

// attached are all replicas that the master names.
func attached(b remote.Barrier) (all []sentinel.Addr) {
	info, err := sentinel.ParseReplication(b.Info)
	if err != nil {
		return nil
	}
	for _, r := range info.Replicas {
		all = append(all, r.Addr)
	}
	return all
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

// broken gives a node up whose circuit has opened, and says what that shows.
// Answers that came late show little: a fork or a large command holds a master
// up for as long as a read waits. So they are a slow barrier, upon which every
// node is asked what it is; a master that hangs fails that, and cannot be
// dialled again either.
func (d *supervisor) broken() {
	err, addr, now, wrote := d.seat.node.OpenErr(), d.now.Master, time.Now(), d.now.Writes()
	d.seat.drop(err)
	switch k := remote.KindOf(err); {
	case k == remote.ReadOnly || k == remote.MasterDown:
		d.observe(sentinel.Refused{Node: addr, At: now})
	case k != remote.Timeout && errors.As(err, new(*remote.Error)):
		d.observe(sentinel.ConnLost{Node: addr, At: now})
	case wrote:
		d.observe(sentinel.Barrier{Node: addr, SentAt: now.Add(-slowAnswer), At: now})
	default:
		d.observe(sentinel.Barrier{Node: addr, SentAt: now, At: now, Fault: sentinel.FaultTimeout})
	}
}

// slowAnswer is slow whatever the rules of the machine say.
const slowAnswer = time.Second
