package watch

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
)

// ClusterConfig says which Cluster to watch.
type ClusterConfig struct {
	// Seeds are host:port as configured. One name alone may have many addresses: each
	// is a seed then, and it is looked up again while no node can be used.
	Seeds     []string
	Node      remote.Config                 // how to reach a node, but for its address and id
	Map       map[string]string             // announced address → one that can be dialled
	Heartbeat func(uint32) remote.Heartbeat // of a shard, but for its key
	Track     func(uint32) *remote.Tracking // of a shard; nil: Node.Track
	KeyPrefix string
	Process   string // names this process in the keys of its heartbeats
	Rules     cluster.Rules
	Rests     func() bool // nobody uses any master; nil: somebody does
	Observer  remote.Observer
	Log       *slog.Logger
}

// ClusterHooks are told what was decided, from one goroutine, in order.
type ClusterHooks struct {
	// Decided: owners, masters, doubts or moving slots have changed. It comes before Up
	// and Down that follow from it: what a shard owes goes along with slots (Changes)
	// before any node is used for them.
	Decided func(cluster.Decision)
	Up      func(shard uint32, n *remote.Node) // verified and decided: use it
	Down    func(shard uint32, cause error)    // do not use the node of the shard's last Up for now
	Failed  func(err error)                    // an attempt to dial a master failed
	Beat    func(shard uint32, n *remote.Node, b Beat)
	News    func(ClusterView) // something of the view has changed
	Ended   func([]cluster.Record)
}

// ClusterView is what is known of the Cluster; it is never modified.
type ClusterView struct {
	Decision  cluster.Decision
	Reason    error            // why nothing is known of any shard; nil: something is
	Reasons   map[uint32]error // why shards have no node in use; others have one
	History   []cluster.Record
	Failovers int

	// Forbidden is what the nodes' ACL keeps from us: names of commands, and
	// "heartbeat key".
	Forbidden []string
	// Troubles is the last error of each node whose last question was not answered.
	Troubles map[cluster.Addr]error
}

// Reasons for which no node of a shard is in use.
var (
	ErrNoCluster   = errors.New("no Redis Cluster has been found yet")
	ErrNotCluster  = errors.New("the server is not in cluster mode")
	ErrNoSlots     = errors.New("the shard has no slots any more")
	ErrDown        = errors.New("the master is well, but refuses every command: the Cluster is down for it")
	ErrElsewhere   = errors.New("another node answers at the master's address")
	ErrFailed      = errors.New("most of the masters hold the master failed: a replica is to take over")
	ErrTakenOver   = errors.New("a replica says that it has taken over, and the other masters do not say so yet")
	ErrReplicaNow  = errors.New("the master says that it is a replica now")
	ErrNoAnswer    = errors.New("the master does not answer")
	ErrLongSilence = errors.New("the master does not answer, and nobody has taken over")
)

// blocked are the reasons for which a known master gets no writes.
var blocked = map[cluster.Trouble]error{
	cluster.TroubleSilent:    ErrNoAnswer,
	cluster.TroubleLoading:   ErrLoading,
	cluster.TroubleElsewhere: ErrElsewhere,
	cluster.TroubleDemoted:   ErrReplicaNow,
	cluster.TroubleDown:      ErrDown,
	cluster.TroubleFailed:    ErrFailed,
	cluster.TroubleRival:     ErrTakenOver,
}

// Cluster watches a Redis Cluster: it asks every node, carries out what the pure
// decisions of package cluster say, and keeps one seat for each shard.
type Cluster struct {
	crew

	c       ClusterConfig
	hooks   ClusterHooks
	machine *cluster.Machine
	now     cluster.Decision

	in       chan func() // what others want the supervisor to do
	dialed   chan dialed
	refusals *refusals

	askers  map[cluster.Addr]*worker
	seats   map[uint32]*shardSeat
	heardAt time.Time // when a node answered last
	tenures uint64    // of heartbeat keys
	cost    cost
	rests   bool // nobody uses any master, as of the last look

	named   string                  // the single name that the seeds come from; "": none does
	seeds   map[cluster.Addr]string // its addresses, where there are several
	seeking atomic.Bool             // no node can be used: the name may lead elsewhere now
	lookup  func(ctx context.Context, name string) ([]string, error)

	viewAt     time.Time
	complaints complaints
	troubles   troubles
	missing    missing
}

// NewCluster returns what Run runs.
func NewCluster(c ClusterConfig, h ClusterHooks) *Cluster {
	d := &Cluster{
		c: c, hooks: h,
		in:       make(chan func(), inbox),
		dialed:   make(chan dialed),
		refusals: newRefusals(),
		askers:   map[cluster.Addr]*worker{},
		seats:    map[uint32]*shardSeat{},
		named:    singleName(c.Seeds),
		lookup:   lookup,
	}
	d.seeking.Store(true)
	d.machine = cluster.New(addrsOf(c.Seeds), c.Rules)
	return d
}

// Run watches until ctx ends, and returns when all its goroutines have.
func (d *Cluster) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	d.ctx = ctx
	if d.named != "" {
		d.wg.Go(d.resolve)
	}
	d.wg.Go(d.passRefusals)
	tick := time.NewTicker(tickEach)
	defer tick.Stop()
	d.observe(cluster.Tick{At: time.Now()})
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case f := <-d.in:
			f()
		case r := <-d.dialed:
			d.arrived(r)
		case <-tick.C:
			d.observe(cluster.Tick{At: time.Now()})
			tick.Reset(d.tickInterval())
		}
	}
	for _, st := range d.seats {
		st.giveUp()
		st.drop(context.Cause(ctx))
	}
	cancel()
	d.drain()
}

func (d *Cluster) tickInterval() time.Duration {
	if len(d.now.Shards) == 0 {
		return tickEach
	}
	for _, st := range d.seats {
		if st.node == nil || st.shard.Stage != cluster.Healthy {
			return tickEach
		}
	}
	return tickIdle
}

// drain waits for the goroutines, taking what they still want to hand in.
func (d *Cluster) drain() {
	gone := make(chan struct{})
	go func() {
		d.wg.Wait()
		close(gone)
	}()
	for {
		select {
		case <-d.in:
		case r := <-d.dialed:
			if r.node != nil {
				r.node.Abandon()
			}
		case <-gone:
			return
		}
	}
}

// report has the supervisor do something. Whoever calls waits while it is busy.
func (d *Cluster) report(f func()) {
	select {
	case d.in <- f:
	case <-d.ctx.Done():
	}
}

func (d *Cluster) observe(o cluster.Observation) {
	was := d.now
	d.now = d.machine.Observe(o)
	d.syncAskers(was, d.look())
	if routed(was, d.now) {
		d.hooks.Decided(d.now)
	}
	d.syncSeats()
	d.tell(was)
}

// look sees whether anybody uses a master, and reports whether that has changed.
func (d *Cluster) look() (changed bool) {
	was := d.rests
	d.rests = d.c.Rests != nil && d.c.Rests()
	return d.rests != was
}

// routed reports whether something has changed that commands depend on.
func routed(was, now cluster.Decision) bool {
	return was.Routes != now.Routes || was.Moving != now.Moving || len(now.Changes)+len(now.Promoted)+len(now.Returned) > 0
}

// viewed takes the answer of a node.
func (d *Cluster) viewed(v cluster.View) {
	if v.Fault == cluster.FaultNone {
		d.noteGap(v.At)
	}
	began := time.Now()
	d.observe(v)
	d.cost.took(time.Since(began))
}
