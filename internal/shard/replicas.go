package shard

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/watch"
)

// replicas are those of a shard's master, to be read from, and what their answers are
// judged by.
type replicas struct {
	all   atomic.Pointer[[]*replica] // those that the watch knows; never modified
	asked atomic.Int64               // when a read last wanted one, in the client's time
	turn  atomic.Uint64

	changed *changes
	doubts  doubts
	floor   atomic.Uint64 // of the first barrier that counts
	sent    sentBarriers
	slots   atomic.Pointer[slotsOf] // for which floor holds
}

// replica is one of them.
type replica struct {
	replicaNode

	conn   atomic.Pointer[remote.Replica] // nil: there is none
	busy   atomic.Int32                   // questions under way
	rest   rest
	counts replicaCounts

	// Of the keeper's goroutine.
	retryAt time.Time
	delay   time.Duration

	mu      sync.Mutex // guards what follows
	dialing bool
	gone    bool
	err     error // of the last dial
}

// replicaNode is where a replica is.
type replicaNode struct {
	addr string // to be dialled
	id   string // in a Cluster
}

// maxReplicas bounds those of a shard.
const maxReplicas = 16

// newReplicas is nil where replicas are not to be read from.
func newReplicas(on bool) *replicas {
	if !on {
		return nil
	}
	return &replicas{changed: newChanges()}
}

func (r *replicas) list() []*replica {
	if all := r.all.Load(); all != nil {
		return *all
	}
	return nil
}

// beginCopies says that only barriers count that are sent from now on.
func (sh *Shard) beginCopies() {
	if r := sh.replicas; r != nil {
		raiseTo(&r.floor, sh.Ledger.Next())
	}
}

func raiseTo(n *atomic.Uint64, to uint64) {
	for {
		was := n.Load()
		if was >= to || n.CompareAndSwap(was, to) {
			return
		}
	}
}

// wrote notes an own write of a key that a master has taken. number is that of the
// barrier that covers it.
func (sh *Shard) wrote(key string, number uint64) {
	if r := sh.replicas; r != nil {
		raise(r.changed.place(key), changeAt(number, true))
	}
}

// changedElsewhere notes an announcement. It is to be called before memory is told.
func (sh *Shard) changedElsewhere(key string) {
	if r := sh.replicas; r != nil {
		raise(r.changed.place(key), changeAt(sh.Ledger.Next(), false))
	}
}

// mayLand notes an own write of a key that has failed, but may land at any time: also one
// that its caller did not wait for.
func (sh *Shard) mayLand(key string, k remote.Kind) {
	if r := sh.replicas; r != nil && (k.MayLand() || k == remote.Canceled) && sh.Feed.state().on {
		r.doubts.add(r.changed.place(key))
	}
}

// prefixMayLand is mayLand for the delete of a prefix.
func (sh *Shard) prefixMayLand() {
	if r := sh.replicas; r != nil && sh.Feed.state().on {
		r.doubts.addAll()
	}
}

// prefixSent notes the delete of a prefix: what it has deleted is not announced to us.
func (st *Store) prefixSent(err error) {
	for _, sh := range st.shards() {
		sh.beginCopies()
		if err != nil {
			sh.prefixMayLand()
		}
	}
}

// settleDoubts is called when the master has answered what was sent behind the writes
// that were taken from the doubts: they have landed, or never will.
func (sh *Shard) settleDoubts(places []*atomic.Uint64, all uint64) {
	if all != 0 {
		sh.beginCopies()
	}
	// What was noted beside them is at most as late.
	sh.replicas.doubts.settle(places, all, changeAt(sh.Ledger.Next(), true))
}

// askFeed asks the feed's connection, and settles the doubts of before where it answers.
func (sh *Shard) askFeed(ctx context.Context, n *remote.Node) error {
	r := sh.replicas
	if r == nil {
		return n.PingFeed(ctx, HearEach)
	}
	places, all := r.doubts.take()
	err := n.PingFeed(ctx, HearEach)
	if err != nil {
		r.doubts.giveBack(places)
		return err
	}
	sh.settleDoubts(places, all)
	return nil
}

// copiesWanted reports whether reads have lately asked for replicas.
func (sh *Shard) copiesWanted() bool {
	r := sh.replicas
	return r != nil && sh.Clock.Now()-r.asked.Load() < int64(copiesWantedFor)
}

// copiesWantedFor is how long after a read barriers are sent at the pace that reads need.
const copiesWantedFor = 2 * time.Second

// wantCopies notes that a read asks for a replica.
func (sh *Shard) wantCopies(now int64) {
	r := sh.replicas
	was := r.asked.Load()
	if now-was > int64(100*time.Millisecond) {
		r.asked.Store(now)
	}
	if now-was >= int64(copiesWantedFor) {
		sh.Barriers.hurry()
	}
}

// keepEach is how often the keeper looks.
const keepEach = 100 * time.Millisecond

// keepReplicas keeps a connection to each replica until ctx ends.
func (sh *Shard) keepReplicas(ctx context.Context) {
	defer func() {
		for _, one := range sh.replicas.list() {
			one.leave()
		}
	}()
	for {
		sh.syncReplicas(ctx, time.Now())
		if remote.Pause(ctx, keepEach) != nil {
			return
		}
	}
}

// syncReplicas lets the replicas be those that the watch knows.
func (sh *Shard) syncReplicas(ctx context.Context, now time.Time) {
	was, nodes := sh.replicas.list(), sh.replicaNodes()
	all := make([]*replica, 0, len(nodes))
	for _, n := range nodes {
		i := slices.IndexFunc(was, func(one *replica) bool { return one.replicaNode == n })
		if i >= 0 {
			all = append(all, was[i])
		} else {
			all = append(all, &replica{replicaNode: n})
		}
	}
	if !slices.Equal(all, was) {
		sh.replicas.all.Store(&all)
		for _, one := range was {
			if !slices.Contains(all, one) {
				sh.wg.Go(one.leave) // aside: see keepReplica
			}
		}
	}
	for _, one := range all {
		sh.keepReplica(ctx, one, now)
		one.counts.look(now)
	}
}

// replicaNodes are the replicas of the shard's master, by address.
func (sh *Shard) replicaNodes() (nodes []replicaNode) {
	if sh.clustered() {
		nodes = clusterReplicas(sh.clusterView.Load(), sh.number)
	} else {
		nodes = sentinelReplicas(sh.View.Load())
	}
	for i := range nodes {
		nodes[i].addr = cmp.Or(sh.Config.AddressMap[nodes[i].addr], nodes[i].addr)
	}
	slices.SortFunc(nodes, func(a, b replicaNode) int { return strings.Compare(a.addr+a.id, b.addr+b.id) })
	nodes = slices.Compact(nodes)
	return nodes[:min(len(nodes), maxReplicas)]
}

// sentinelReplicas are the nodes that say that they follow the master. A node that has
// been promoted says something else.
func sentinelReplicas(v *watch.View) (nodes []replicaNode) {
	if v == nil || v.Decision.Master.IsZero() {
		return nil
	}
	for _, n := range v.Status.Nodes {
		if n.Role == sentinel.RoleReplica && n.Reachable && (n.Promotable || n.Follows == v.Decision.Master) {
			nodes = append(nodes, replicaNode{addr: n.Addr.String()})
		}
	}
	return nodes
}

func clusterReplicas(v *watch.ClusterView, number uint32) (nodes []replicaNode) {
	if v == nil {
		return nil
	}
	i := slices.IndexFunc(v.Decision.Shards, func(s cluster.Shard) bool { return s.Number == number })
	if i < 0 {
		return nil
	}
	for _, n := range v.Decision.Shards[i].Promotable {
		nodes = append(nodes, replicaNode{n.Addr.String(), n.ID.String()})
	}
	return nodes
}

// silentFor is how long a replica may leave a question without an answer until its
// connection is given up.
const silentFor = time.Second

// The pace of dials of one replica.
const (
	redialFirst = 100 * time.Millisecond
	redialMost  = 5 * time.Second
)

// keepReplica dials a replica that has no connection of use.
func (sh *Shard) keepReplica(ctx context.Context, one *replica, now time.Time) {
	if c := one.conn.Load(); c != nil {
		if !c.Broken() && c.Silent(now) < silentFor {
			one.delay = 0
			return
		}
		one.conn.Store(nil)
		sh.wg.Go(c.Close) // aside: closing a dead connection may take a second
		one.retryAt = now
	}
	if now.Before(one.retryAt) || !one.begin() {
		return
	}
	one.delay = min(max(2*one.delay, redialFirst), redialMost)
	one.retryAt = now.Add(one.delay/2 + rand.N(one.delay/2))
	sh.wg.Go(func() {
		c, err := remote.DialReplica(ctx, sh.replicaConfig(one.replicaNode), sh.Config.DialTimeout, sh.Redis)
		one.arrived(c, err)
	})
}

func (sh *Shard) replicaConfig(n replicaNode) remote.Config {
	c := sh.NodeConfig(n.addr)
	c.Track = nil
	if sh.clustered() {
		c.NodeID, c.Cluster, c.DB = n.id, true, 0
	}
	return c
}

// begin reports whether a dial may begin.
func (one *replica) begin() bool {
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.dialing || one.gone {
		return false
	}
	one.dialing = true
	return true
}

// arrived takes the end of a dial.
func (one *replica) arrived(c *remote.Replica, err error) {
	one.mu.Lock()
	one.dialing, one.err = false, err
	gone := one.gone
	if err == nil && !gone {
		one.conn.Store(c)
	}
	one.mu.Unlock()
	if err == nil && gone {
		c.Close()
	}
}

// leave ends it.
func (one *replica) leave() {
	one.mu.Lock()
	one.gone = true
	c := one.conn.Swap(nil)
	one.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

func (one *replica) dialError() error {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.err
}

// rest is for how long a replica is not asked, since its answers were of no use.
type rest struct {
	until atomic.Int64
	step  atomic.Int64
}

const (
	restFirst = int64(20 * time.Millisecond)
	restMost  = int64(2 * time.Second)
)

// after notes what an answer was worth.
func (r *rest) after(v verdict, now int64) {
	switch v {
	case serves:
		r.step.Store(0)
	case older, stranger, lagging, failed, forbidden:
		until := r.until.Load()
		if now < until { // of those that were asked together one counts
			return
		}
		step := min(max(2*r.step.Load(), restFirst), restMost)
		if v == older { // the next barrier ends that, such as after our own delete of a prefix
			step = restFirst
		}
		if r.until.CompareAndSwap(until, now+step) {
			r.step.Store(step)
		}
	}
}

func (r *rest) over(now int64) bool { return now >= r.until.Load() }
