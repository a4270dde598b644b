package shard

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/topology"
	"github.com/evercache/evercache/internal/watch"
)

// members are the shards of a Cluster, by number. The watcher's goroutine alone changes
// them.
type members struct {
	watch    *watch.Cluster
	prefixes holders  // for the journal
	moving   slot.Set // as it was decided last
	went     slot.Set // those of them that have another owner by now

	mu  sync.Mutex // guards all
	all map[uint32]*Shard
}

// with calls f with a shard, unless it is gone.
func (m *members) with(number uint32, f func(*Shard)) {
	if sh := m.get(number); sh != nil {
		f(sh)
	}
}

func (m *members) get(number uint32) *Shard {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[number]
}

func (st *Store) clustered() bool { return st.Config.Mode == health.ModeCluster }

// followCluster keeps the shards of a Cluster, their masters and the routes to them until
// ctx ends.
func (st *Store) followCluster(ctx context.Context) { st.members.watch.Run(ctx) }

func (st *Store) newClusterWatch() *watch.Cluster {
	node := st.nobody.NodeConfig("")
	node.Track, node.DB = nil, 0
	return watch.NewCluster(watch.ClusterConfig{
		Seeds:     st.Config.ClusterNodes,
		Node:      node,
		Map:       st.Config.AddressMap,
		Heartbeat: func(number uint32) remote.Heartbeat { return st.members.get(number).Heartbeat() },
		Track:     func(number uint32) *remote.Tracking { return st.members.get(number).tracking() },
		KeyPrefix: st.Config.KeyPrefix,
		Process:   st.process,
		Rests:     st.rest,
		Observer:  clusterObserver{st.Redis, st},
		Log:       st.Log,
	}, watch.ClusterHooks{
		Decided: st.decided,
		Up:      func(number uint32, n *remote.Node) { st.members.with(number, func(sh *Shard) { sh.masterUp(n) }) },
		Down:    func(number uint32, cause error) { st.members.with(number, func(sh *Shard) { sh.masterDown(cause) }) },
		Failed:  st.countDialError,
		Beat: func(number uint32, n *remote.Node, b watch.Beat) {
			st.members.with(number, func(sh *Shard) { sh.heartbeatAnswered(n, b) })
		},
		News:  st.clusterChanged,
		Ended: st.clusterEnded,
	})
}

// clusterObserver also hears what nodes do not serve.
type clusterObserver struct {
	*redisStats
	st *Store
}

// Redirected is called on the goroutines of callers. Whoever decides where slots are asks
// the node at once.
func (o clusterObserver) Redirected(n *remote.Node, r remote.Redirect) {
	if !r.Anchor {
		o.st.members.watch.Redirected(n, r)
	}
}

// decided carries out what has changed of slots and their owners, before any node is used
// for them. The order matters. What a shard owes of slots that it has lost is taken out
// of its ledger first, so that no late answer adds to it; it is in the outbox before the
// slots are another's, or an older value would be read there.
func (st *Store) decided(d cluster.Decision) {
	st.admit(d.Shards)
	for i := range d.Changes {
		st.move(&d.Changes[i])
	}
	st.settle(&d)
	for _, number := range d.Returned {
		if sh := st.members.get(number); sh != nil {
			sh.recallAll()
		}
	}
	st.route(&d)
	st.dismiss(d.Shards)
	st.wakeReplays()
}

// admit makes the shards that are new.
func (st *Store) admit(shards []cluster.Shard) {
	st.members.mu.Lock()
	defer st.members.mu.Unlock()
	for i := range shards {
		number := shards[i].Number
		if st.members.all[number] != nil {
			continue
		}
		sh := newShard(st)
		sh.number = number
		sh.life, sh.end = context.WithCancel(st.Ctx)
		st.members.all[number] = sh
		if st.journal != nil {
			sh.Ledger.Mirror(ledgerOfMany{mirrored{st.journal}, &st.members.prefixes, number})
		}
		sh.run(func(f func(context.Context)) { st.wg.Go(func() { f(sh.life) }) })
	}
}

// move has slots change their owner.
func (st *Store) move(c *cluster.Change) {
	from, to := st.members.get(c.From), st.members.get(c.To)
	var void func(*outbox.Record) bool
	if to != nil {
		defer to.Ledger.Give(c.Slots)
		void = to.Ledger.Overtakes
	}
	if from == nil {
		return // what waited for an owner waits in the outbox
	}
	rs, ps := from.Ledger.Take(c.Slots, st.Clock.Now())
	m := from.movedClock()
	if m != nil && !m.ByKey {
		unseen := *c.Slots
		unseen.RemoveSet(&st.members.moving)
		m.ByKey = unseen.Empty() // nodes said that they give them away: slots that move as a whole are not named
	}
	for i := range rs {
		from.departs(&rs[i], m)
	}
	for i := range ps {
		ps[i].Lo, ps[i].Hi = 0, 0 // dated by our own clock
	}
	st.Outbox.Carry(c.Slots, m, st.Clock.Now())
	st.Outbox.ReturnTo(rs, ps, void)
	st.returned.Store(st.Clock.Now())
	st.journal.waitAgain(rs, ps)
	st.journal.dropped(st, rs)
	from.Feed.parted()
	if len(rs)+len(ps) > 0 {
		st.Log.LogAttrs(st.Ctx, slog.LevelInfo, "slots have another master: what could still be lost of them is sent there",
			slog.String("event", "replay.moved"), slog.Int("slots", c.Slots.Len()), slog.Int("writes", len(rs)), slog.Int("prefixes", len(ps)))
	}
}

// settle sends again what shards have taken of slots that were to move and stay, where the
// move was given up or the master has failed. Keys that had gone to the other master are out
// of reach there.
func (st *Store) settle(d *cluster.Decision) {
	m := &st.members
	if d.Moving != m.moving || len(d.Changes) > 0 {
		st.moved.Store(st.Clock.Now())
	}
	for i := range d.Changes {
		m.went.AddSet(d.Changes[i].Slots)
	}
	stay := m.moving
	stay.RemoveSet(&d.Moving)
	stay.RemoveSet(&m.went)
	m.moving = d.Moving
	m.went.Keep(&d.Moving)
	for i := range d.Shards {
		sh, again := &d.Shards[i], stay
		if slices.ContainsFunc(d.Promoted, func(p cluster.Promotion) bool { return p.Shard == sh.Number }) {
			again.AddSet(&d.Moving)
		}
		if again.Keep(sh.Slots); !again.Empty() {
			st.move(&cluster.Change{From: sh.Number, To: sh.Number, Slots: &again})
		}
	}
}

// departs fits a record for another master.
func (sh *Shard) departs(r *outbox.Record, m *outbox.Moved) {
	r.Carry(m)
	if sh.Evicting.Known().Doubts(r.Evictions) {
		r.Evictions = evictionsUnknown
	} else {
		r.Evictions = 0
	}
}

// evictionsUnknown is no generation of any server.
const evictionsUnknown = 1 << 63

// movedClock is what the master's clock shows now; nil: it had none.
func (sh *Shard) movedClock() *outbox.Moved {
	n := sh.latest.Load()
	if n == nil {
		return nil
	}
	at := time.Now()
	low, high := n.ServerTime(at)
	return &outbox.Moved{By: sh.clock, At: sh.Clock.At(at), Low: low, High: high, ByKey: n.Server().MovesByKey()}
}

// recallAll sends again all that the master could have lost: its slots may have gone away
// and come back.
func (sh *Shard) recallAll() {
	taken := sh.takeBack(0)
	if n := sh.Node.Load(); n != nil {
		n.Epoch.Store(sh.Ledger.Epoch())
		sh.countLost(n, taken)
	}
	sh.Feed.parted()
	if taken > 0 {
		sh.keptWrite(errReturned)
	}
}

// route publishes the routes, and wakes who waits for the master of a key.
func (st *Store) route(d *cluster.Decision) {
	moving := d.Moving
	moving.AddSet(&d.Doubted)
	var owners []topology.Owner[Shard]
	for i := range d.Shards {
		sh := st.members.get(d.Shards[i].Number)
		sh.slots.Store(newSlotsOf(d.Shards[i].Slots, &moving, sh.slots.Load()))
		owners = append(owners, topology.Owner[Shard]{Shard: sh, Slots: d.Shards[i].Slots})
	}
	routes, err := topology.New(owners, moving)
	if err != nil { // the machine gives each slot to one shard
		st.Log.LogAttrs(st.Ctx, slog.LevelError, "the owners of slots make no sense", slog.String("event", "cluster.routes"), slog.String("error", err.Error()))
		return
	}
	was := st.routes.Get()
	complete := d.Unowned.Empty() && len(owners) > 0
	if !complete && st.complete.Load() {
		st.incomplete.Store(st.Clock.Now())
		time.AfterFunc(unownedFor, st.missSlots)
	}
	st.complete.Store(complete)
	st.routes.Set(routes)
	for _, sh := range was.Shards() {
		sh.stir()
	}
	st.nobody.stir()
	if len(owners) > 0 {
		st.settleUnasked()
	}
	if st.everyMaster() {
		st.status.Apply(masterVerified, nil)
	}
}

// unownedFor is for how long slots may have no owner before that is an outage. A slot that
// moves has none between the word of the node that gives it away and that of the one that
// gets it.
const unownedFor = time.Second

// uncovered reports whether slots have no owner, and have had none for a while.
func (st *Store) uncovered() bool {
	if st.complete.Load() {
		return false
	}
	since := st.incomplete.Load()
	return since == 0 || time.Duration(st.Clock.Now()-since) >= unownedFor
}

// missSlots says that slots are without an owner, once they have been so for long enough:
// they may have had one meanwhile, and the client's clock may be behind that of the timer.
func (st *Store) missSlots() {
	switch {
	case st.complete.Load() || st.Closed():
	case st.uncovered():
		st.status.Apply(masterLost, errUnowned)
	default:
		time.AfterFunc(unownedFor/10, st.missSlots)
	}
}

var (
	errUnowned  = errors.New("some slots of the Cluster have no owner")
	errReturned = errors.New("slots of the master may have gone away and come back")
)

// clusterChanged keeps what is known of the Cluster.
func (st *Store) clusterChanged(v watch.ClusterView) {
	st.clusterView.Store(&v)
	if v.Reason != nil {
		st.blame(v.Reason)
	}
}

// slotsMove reports whether slots of the Cluster move, or have of late.
func (st *Store) slotsMove(now int64) bool {
	at := st.moved.Load()
	return at != 0 && now-at < SettlingTime || st.routes.Get().Moves()
}

// awaitsAnchor reports whether the shard has no anchor yet and slots still come to it: each
// 64th is one. Until then nobody can tell what came before a write that is sent again and
// what after, so all of them wait.
func (sh *Shard) awaitsAnchor(lies *slotsOf) bool {
	if lies == nil {
		return false
	}
	_, ok := lies.anchor(0)
	at := sh.moved.Load()
	return !ok && at != 0 && sh.Clock.Now()-at < SettlingTime
}

// slotOf is the slot of a key in a Cluster, 0 elsewhere.
func (st *Store) slotOf(full string) uint16 {
	if !st.clustered() {
		return 0
	}
	return slot.Of(full)
}

// nothingWaits reports whether no write waits that no master is known to have.
func (st *Store) nothingWaits() bool {
	if st.Outbox.Empty() {
		return true
	}
	d := st.Outbox.Depth()
	return d.Entries == d.Verify
}

// dismiss ends the shards that have no slots any more.
func (st *Store) dismiss(shards []cluster.Shard) {
	stay := map[uint32]bool{}
	for i := range shards {
		stay[shards[i].Number] = true
	}
	st.members.mu.Lock()
	var gone []*Shard
	for number, sh := range st.members.all {
		if !stay[number] {
			gone = append(gone, sh)
			delete(st.members.all, number)
		}
	}
	st.members.mu.Unlock()
	for _, sh := range gone {
		sh.Publish(nil)
		sh.Unlisten()
		st.members.prefixes.leave(sh.number)
		sh.end()
	}
}

// slotsOf are the slots of a shard; it is never modified.
type slotsOf struct {
	owned   slot.Set
	moving  slot.Set   // of the whole Cluster: given away, awaited, or doubted
	anchors *anchorsOf // the same as long as they are
}

// anchorsOf are where a shard notes what concerns a class. A slot that comes or goes
// is mostly none of them: what was noted is noted then.
type anchorsOf struct{ all []remote.Anchor }

func newSlotsOf(owned, moving *slot.Set, was *slotsOf) *slotsOf {
	s := &slotsOf{owned: *owned, moving: *moving, anchors: &anchorsOf{remote.AnchorsIn(owned)}}
	if was != nil && slices.Equal(was.anchors.all, s.anchors.all) {
		s.anchors = was.anchors
	}
	return s
}

// parted reports whether a key belongs to another shard, or to none.
func (sh *Shard) parted(full string) bool {
	lies := sh.slots.Load()
	return lies != nil && !lies.owned.Has(slot.Of(full))
}

// anchorsIn are the shard's anchors in some slots; nil: in all.
func (s *slotsOf) anchorsIn(slots *slot.Set) []remote.Anchor {
	if slots == nil {
		return s.anchors.all
	}
	both := s.owned
	both.Keep(slots)
	return remote.AnchorsIn(&both)
}

// settled are the slots that the shard has for itself.
func (s *slotsOf) settled() *slot.Set {
	own := s.owned
	own.RemoveSet(&s.moving)
	return &own
}

// anchor is where a script on a key finds what is noted for its class.
func (s *slotsOf) anchor(near uint16) (remote.Anchor, bool) {
	return remote.AnchorFor(&s.owned, &s.moving, near)
}

// stir wakes who waits for the shard's master: it, or the routes, are others.
func (sh *Shard) stir() {
	changed := make(chan struct{})
	close(*sh.nodeChanged.Swap(&changed))
}
