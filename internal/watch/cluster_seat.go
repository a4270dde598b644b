package watch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
)

// shardSeat is the seat of a shard's master.
type shardSeat struct {
	seat

	number uint32
	shard  cluster.Shard // as it was decided last
	tag    tag
	gap    gap
}

// syncSeats has a seat for each shard follow what is decided of it.
func (d *Cluster) syncSeats() {
	idle := min(beatIdle, d.now.NodeTimeout/3) // without one for half of that a shard is suspect
	for i := range d.now.Shards {
		sh := d.now.Shards[i]
		st := d.seats[sh.Number]
		if st == nil {
			st = d.newShardSeat(sh.Number)
			d.seats[sh.Number] = st
		}
		if st.shard.Generation != sh.Generation || sh.Writes() && !st.shard.Writes() {
			st.retryNow() // what the last dials met is over
		}
		st.shard = sh
		o := order{
			known: true, generation: sh.Generation, writes: sh.Writes(), each: beatEach(sh.Stage == cluster.Healthy, idle),
			reason: st.reason,
		}
		st.part(o) // before the tag: the last beat of this node is not to be found under a new one
		d.checkTag(st, slices.Contains(d.now.Returned, sh.Number))
		st.beat.want(len(sh.Promotable))
		st.follow(o)
	}
	if len(d.seats) > len(d.now.Shards) {
		maps.DeleteFunc(d.seats, func(number uint32, st *shardSeat) bool { return d.vacate(st) })
	}
}

// vacate ends the seat of a shard that is no more.
func (d *Cluster) vacate(st *shardSeat) bool {
	if slices.ContainsFunc(d.now.Shards, func(sh cluster.Shard) bool { return sh.Number == st.number }) {
		return false
	}
	st.giveUp()
	st.drop(ErrNoSlots)
	return true
}

func (d *Cluster) newShardSeat(number uint32) *shardSeat {
	st := &shardSeat{number: number}
	st.seat = seat{
		crew: &d.crew, dialed: d.dialed, beat: newInterval(beatIdle),
		hooks: seatHooks{
			up:     func(n *remote.Node) { d.hooks.Up(number, n) },
			down:   func(cause error) { d.hooks.Down(number, cause) },
			failed: func(err error) { d.hooks.Failed(err) },
			plan:   func() plan { return d.plan(st) },
		},
	}
	return st
}

// plan is how to reach the master of a seat.
func (d *Cluster) plan(st *shardSeat) plan {
	if st.tag.void { // what is found under it may have been carried there
		d.retag(st, &slot.Set{})
	}
	c := d.aim(d.c.Node.After(st.lastEnd), st.shard.Master.Addr)
	c.NodeID, c.Cluster = st.shard.Master.ID.String(), true
	if d.c.Track != nil {
		c.Track = d.c.Track(st.number)
	}
	own := &ownWord{}
	h := d.c.Heartbeat(st.number).After(st.lastEnd)
	h.Key, h.Fresh, h.Marker, h.Behind = st.tag.key, !st.tag.proven, "", own.questions
	return plan{
		key:   h.Key,
		dial:  func(ctx context.Context) (*remote.Node, error) { return remote.Dial(ctx, c, h, d.c.Observer) },
		beats: func(ctx context.Context, n *remote.Node) { d.beats(ctx, st, n, h, own) },
	}
}

// arrived takes the end of a dial.
func (d *Cluster) arrived(r dialed) {
	st := d.seatOf(r.seat)
	if st == nil {
		r.seat.arrived(r) // its shard is gone
		return
	}
	if r.node != nil && r.plan.key != st.tag.key && r.seat.dialing != nil {
		st.giveUp() // what was found under its key may have been carried there meanwhile
	}
	if st.seat.arrived(r) && r.err != nil {
		d.notReached(st, r)
	}
	d.observe(cluster.Tick{At: time.Now()})
}

func (d *Cluster) seatOf(s *seat) *shardSeat {
	for _, st := range d.seats {
		if &st.seat == s {
			return st
		}
	}
	return nil
}

// notReached draws what follows from a dial that has failed.
func (d *Cluster) notReached(st *shardSeat, r dialed) {
	master, now := st.shard.Master, time.Now()
	switch f := clusterFault(r.err); {
	case redirected(r.err) && d.displaced(st, r.plan.key):
		st.retryNow()
	case f == cluster.FaultDemoted || f == cluster.FaultDown:
		d.observe(cluster.Refused{Node: master.ID, SentAt: now, At: now, Fault: f, Slot: noSlot})
	case errors.Is(r.err, remote.ErrOtherNode):
		d.askNow(master.Addr)
	}
}

// redirected reports whether a node has refused a key since it does not own its slot, or
// gives that away.
func redirected(err error) bool {
	_, bad := cluster.ParseRedirect(remote.ReplyIn(err), cluster.Addr{})
	return bad == nil || isTryAgain(err)
}

// ownWord is a master's own word of its slots, asked behind its barriers.
type ownWord struct{ asked time.Time }

// ownWordEach is how often it is asked for. A proof of what is coherent needs it.
const ownWordEach = 400 * time.Millisecond

func (w *ownWord) questions() [][]string {
	now := time.Now()
	if now.Sub(w.asked) < ownWordEach {
		return nil
	}
	w.asked = now
	return [][]string{{"CLUSTER", "NODES"}, {"CLUSTER", "INFO"}}
}

// beats sends the heartbeat until ctx ends, and tells when the node's circuit opens.
func (d *Cluster) beats(ctx context.Context, st *shardSeat, n *remote.Node, h remote.Heartbeat, own *ownWord) {
	d.wg.Go(func() {
		select {
		case <-n.Opened():
			d.report(func() { d.broken(st, n) })
		case <-ctx.Done():
		}
	})
	pace := st.beat // the rest of the seat is its owner's
	own.asked = time.Time{}
	for h.Wait(ctx, time.Now(), pace.current, pace.kick) == nil {
		b, err := n.Barrier(ctx, pace.replicas())
		if ctx.Err() != nil {
			return
		}
		if n.HeldUp(err, b.SentAt) {
			continue // our own bytes are on the way and make progress, or we were busy
		}
		one := beat{Barrier: b, err: err, at: time.Now()}
		if one.says = d.own(n, b); err == nil {
			one.by, one.proven = holders(b), d.proven(n, b)
		}
		d.report(func() { d.beaten(st, n, one) })
	}
}

// beat is a barrier that was sent.
type beat struct {
	remote.Barrier

	err    error
	at     time.Time
	by     []cluster.Addr // the replicas that hold it; nil: it is not known
	proven bool           // it was written, WAIT and INFO have told
	says   *cluster.Answer
}

// proven reports whether an answered barrier proves what it should, and keeps why not.
func (d *Cluster) proven(n *remote.Node, b remote.Barrier) bool {
	switch {
	case n.HeartbeatForbidden(): // it was not written
		d.missing.add(heartbeatKey)
	case b.Proof != nil:
		d.missing.note(b.Proof)
	default:
		return true
	}
	return false
}

// own is the node's word of itself that was asked for behind a barrier; nil: none was,
// or it makes no sense.
func (d *Cluster) own(n *remote.Node, b remote.Barrier) *cluster.Answer {
	if len(b.Behind) < 2 {
		return nil
	}
	a, err := says(b.Behind[0], b.Behind[1], remote.Reply{Value: b.Info}, remote.Reply{}, process{run: n.Run()}, 0, &d.missing)
	if err != nil {
		return nil
	}
	return &a
}

// beaten takes an answered barrier, or that there was no answer.
func (d *Cluster) beaten(st *shardSeat, n *remote.Node, b beat) {
	if st.node != n {
		return
	}
	master := st.shard.Master
	o := cluster.Barrier{Node: master.ID, SentAt: b.SentAt, At: b.at, Late: b.Late, Fault: clusterFault(b.err), Acked: b.Acked, By: b.by}
	if !redirected(b.err) {
		d.observe(o)
	}
	if b.says != nil {
		d.viewed(cluster.View{Node: master.Addr, SentAt: b.SentAt, At: b.at, Says: *b.says})
	}
	if redirected(b.err) {
		if o, ok := refusedBy(n, b.SentAt, b.err); ok {
			d.refused([]cluster.Refused{o})
		}
		if st.node == n {
			d.displaced(st, b.Key)
		}
		return
	}
	if b.err == nil && st.node == n && st.up {
		d.hooks.Beat(st.number, n, d.shown(st, b, o))
	}
}

// shown is what an answered barrier proves. It confirms what was written before it was
// sent when every replica that may be promoted has it: none of them had been promoted
// then. The node was the only master as well if it said itself, behind the barrier, that
// it owns the slots that we know as its own: slots can be taken from it without a
// promotion, and the higher epoch tells it so.
func (d *Cluster) shown(st *shardSeat, b beat, o cluster.Barrier) Beat {
	out := Beat{N: b.N, SentAt: b.SentAt, Written: b.Written, Replicas: len(b.by)}
	if !b.proven || st.shard.Stage != cluster.Healthy || !d.machine.Holds(o) {
		return out
	}
	out.Confirms = true
	out.Alone = b.says != nil && b.says.OK && owns(b.says.Slots, st.shard.Slots)
	if b.Key == st.tag.key && !st.tag.void {
		st.tag.proven = true
		if b.SentAt.After(st.gap.at) {
			st.gap = gap{}
		}
	}
	return out
}

// owns reports whether a node says that it has all slots of a shard.
func owns(says, slots *slot.Set) bool {
	more := *slots
	more.RemoveSet(says)
	return more.Empty()
}

// broken gives a node up whose circuit has opened, and says what that shows: see
// supervisor.broken.
func (d *Cluster) broken(st *shardSeat, n *remote.Node) {
	if st.node != n {
		return
	}
	err, id, now, wrote := n.OpenErr(), st.shard.Master.ID, time.Now(), st.shard.Writes()
	st.drop(err)
	st.lastEnd = err
	switch k := remote.KindOf(err); {
	case k == remote.ReadOnly || k == remote.MasterDown:
		d.observe(cluster.Refused{Node: id, SentAt: now, At: now, Fault: cluster.FaultDemoted, Slot: noSlot})
	case k != remote.Timeout && errors.As(err, new(*remote.Error)):
		d.observe(cluster.ConnLost{Node: id, At: now})
	case wrote:
		d.observe(cluster.Barrier{Node: id, SentAt: now.Add(-slowAnswer), At: now})
	default:
		d.observe(cluster.Barrier{Node: id, SentAt: now, At: now, Fault: cluster.FaultSilent})
	}
}
