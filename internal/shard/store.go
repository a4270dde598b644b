package shard

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/acl"
	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/counter"
	"github.com/evercache/evercache/internal/inflight"
	"github.com/evercache/evercache/internal/keylock"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/topology"
	"github.com/evercache/evercache/internal/watch"
)

// Store is all shards of a client, and what they share: one outbox and one journal, so
// that a write finds its master wherever its key belongs to by then, one lock for each
// key, and one state. In standalone and Sentinel mode it has one shard.
type Store struct {
	Config  Config
	Log     *slog.Logger // never waits
	process string       // names this process in Redis

	Clock *clock.Clock
	left  *remote.Left // connections that were given up
	cuts  acl.Cuts     // connections that ended at a question about rights

	one        *Shard // the shard of all keys; nil in Cluster mode
	nobody     *Shard // in Cluster mode: the shard of keys whose slot nobody owns. It has no master
	routes     topology.Table[Shard]
	complete   atomic.Bool  // every key has a shard
	incomplete atomic.Int64 // since when not, in the client's time
	moved      atomic.Int64 // when slots were seen to move last, in the client's time
	returned   atomic.Int64 // when something was last found to be sent again, likewise
	members    members      // Cluster mode

	clusterView atomic.Pointer[watch.ClusterView] // what is known of the Cluster

	reached atomic.Bool                // a master has been verified once
	View    atomic.Pointer[watch.View] // Sentinel mode: what is known of the set
	status  *status
	Redis   *redisStats
	sizes   remote.Sizes // what masters refuse for its size

	Outbox      *outbox.Box       // writes that no master has taken
	journal     *journaled        // nil: there is no file
	kept        map[string][]byte // in the journal by other packages, in an earlier process
	Locks       *keylock.Locks
	recovery    recoveryStats
	onHeartbeat listeners
	tombs       Tombs
	others      others

	copies  copyCounts // what replicas have answered
	heard   *heard
	Scripts *scripts
	classes sync.Map // by name

	replayed        atomic.Uint64
	expired         atomic.Uint64
	rejectedAt      atomic.Int64      // the last of them, Unix nanoseconds
	rejections      atomic.Uint64     // kept writes that a master will never take
	failovers       counter.Labelled  // ended ones by cause
	downtimeLengths counter.Histogram // of those

	life   context.Context // ends when the client has been closed, and has no values
	Ctx    context.Context // the same, for what the client does on its own
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup   // goroutines that live as long as the client
	tasks  inflight.Tracker // goroutines that end by themselves
}

// New makes a Store. Open lets it begin.
func New(o Config, clock *clock.Clock) *Store {
	st := &Store{
		Config:    o,
		Log:       o.Log,
		process:   o.Process,
		Clock:     clock,
		left:      new(remote.Left),
		status:    newStatus(o),
		Redis:     newRedisStats(o),
		Outbox:    outbox.New(o.OutboxEntries, o.OutboxBytes),
		kept:      map[string][]byte{},
		Locks:     keylock.New(),
		copies:    newCopyCounts(),
		heard:     newHeard(),
		Scripts:   newScripts(),
		failovers: counter.NewLabelled("failure", "planned", "manual"),
	}
	st.life, st.cancel = context.WithCancelCause(context.Background())
	st.Ctx = inBackground(st.life)
	st.members.all = map[uint32]*Shard{}
	if st.clustered() {
		st.nobody = newShard(st)
		none, _ := topology.New[Shard](nil, slot.Set{})
		st.routes.Set(none)
	} else {
		st.one = newShard(st)
		st.routes.Set(topology.Single(st.one))
		st.complete.Store(true)
	}
	clock.Late = func(now int64) {
		for _, sh := range st.shards() {
			sh.Feed.Doubt(now)
		}
	}
	return st
}

// Open takes up what an earlier process has left, and starts the goroutines.
func (st *Store) Open() (err error) {
	if st.journal, err = openJournal(st.Config.JournalDir, st); err != nil {
		st.cancel(err)
		return err
	}
	st.Goes(st.Clock.Run)
	st.Goes(st.status.deliver)
	if st.memoryOnly() {
		return nil
	}
	if st.clustered() {
		st.members.watch = st.newClusterWatch()
		st.Goes(st.followCluster)
		return nil
	}
	st.Goes(st.one.keepMaster)
	st.one.run(st.Goes)
	return nil
}

// Single is the shard of all keys: in standalone and Sentinel mode there is one.
func (st *Store) Single() *Shard { return st.one }

// of is the shard that a key belongs to. It is to be asked for once for each try: the
// next one may belong to another.
func (st *Store) of(full string) *Shard {
	if sh := st.routes.Get().Of(full); sh != nil {
		return sh
	}
	return st.nobody
}

// shards are those that own slots.
func (st *Store) shards() []*Shard { return st.routes.Get().Shards() }

// Goes starts a goroutine that lives until the client is closed.
func (st *Store) Goes(f func(context.Context)) {
	st.wg.Go(func() { f(st.Ctx) })
}

// Spawn starts a goroutine that ends by itself, unless the client is closed.
func (st *Store) Spawn(f func()) bool {
	if !st.tasks.Enter() {
		return false
	}
	go func() {
		defer st.tasks.Leave()
		f()
	}()
	return true
}

// Life ends with the client, and has no values.
func Life(st *Store) context.Context { return st.life }

// Run is Spawn for what is more than a function: it costs no closure.
func Run(st *Store, w interface{ Call() }) bool {
	if !st.tasks.Enter() {
		return false
	}
	go st.call(w)
	return true
}

func (st *Store) call(w interface{ Call() }) {
	defer st.tasks.Leave()
	w.Call()
}

// End ends all goroutines, and returns a channel that is closed when they have.
func (st *Store) End(cause error) <-chan struct{} {
	st.cancel(cause)
	gone := make(chan struct{})
	go func() {
		st.wg.Wait()
		<-st.tasks.Close()
		close(gone)
	}()
	return gone
}

// Closed reports whether Close has begun.
func (st *Store) Closed() bool { return st.State() == health.Closed }

// State is what can be done at this moment.
func (st *Store) State() health.State { return st.status.Get().State }

// WatchState is State, with a channel that is closed when it changes.
func (st *Store) WatchState() (health.State, <-chan struct{}) {
	s, changed := st.status.Watch()
	return s.State, changed
}

// BeginClose lets the state be Closed.
func (st *Store) BeginClose() { st.status.Apply(clientClosed, nil) }

// CloseJournal closes the file, when all that is written has been.
func (st *Store) CloseJournal(ctx context.Context) error { return st.journal.Close(ctx) }

// MemoryIsAll reports that there is no Redis that could know more.
func (st *Store) MemoryIsAll() bool {
	return st.memoryOnly() || st.Config.RedisOptional && !st.reached.Load()
}

func (st *Store) memoryOnly() bool { return st.Config.Mode == health.ModeMemoryOnly }

var ErrNotYet = errors.New("no Redis master has been reached yet")

// AwayCause is why there is no master.
func (st *Store) AwayCause() error {
	switch cause := st.status.Get().Cause; {
	case cause != nil:
		return cause
	case st.reached.Load():
		return watch.ErrNotConnected
	}
	return ErrNotYet
}

// coveredByPrefix reports whether a delete of the key's prefix waits.
func (st *Store) coveredByPrefix(full string) bool {
	if st.Outbox.Empty() {
		return false
	}
	return st.Outbox.Covered(full)
}

// everyMaster reports whether each shard has a master in use, and each slot a shard.
func (st *Store) everyMaster() bool {
	if st.uncovered() {
		return false
	}
	for _, sh := range st.shards() {
		if sh.Node.Load() == nil {
			return false
		}
	}
	return true
}
