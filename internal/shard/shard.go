// Package shard is one Redis master at a time, and everything that is owed to it:
// reads and writes in bytes, what waits for it (outbox, journal), what it has taken and
// could still lose (ledger, barriers), what it announces (feed), and how it is found.
// It knows no types, policies or memory: those are the client's, which is told of what
// others change by a Listener.
//
// Open without a master, every call goes on: what cannot be sent waits.
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
	"github.com/evercache/evercache/internal/watch"
)

// Shard is one master at a time and all that is owed to it: what waits for it,
// what it has taken and could still lose, what it announces, and how far that can
// be relied on. It knows bytes, masters and durability; types, policies, memory and
// loads are the Client's.
type Shard struct {
	Config  Config
	Log     *slog.Logger // never waits
	process string       // names this process in Redis

	Clock  *clock.Clock
	clocks *remote.Clocks // the servers'
	left   *remote.Left   // connections that were given up
	cuts   acl.Cuts       // connections that ended at a question about rights

	// The master.
	Node        atomic.Pointer[remote.Node] // the verified master, or nil
	nodeChanged atomic.Pointer[chan struct{}]
	reached     atomic.Bool                // a master has been verified once
	View        atomic.Pointer[watch.View] // Sentinel mode: what is known of the set
	status      *status
	downtimes   *downtimes
	Redis       *redisStats
	sizes       remote.Sizes // what masters refuse for its size
	Evicting    evicting

	// What is owed to it.
	Outbox      *outbox.Box       // writes that no master has taken
	Ledger      *outbox.Ledger    // those that one has, for as long as it could lose them
	journal     *journaled        // nil: there is no file
	kept        map[string][]byte // in the journal by other packages, in an earlier process
	Locks       *keylock.Locks
	Barriers    *barriers
	onHeartbeat listeners
	wake        chan struct{} // the replayer's
	batches     batches       // of the replay, whose goroutine alone uses it
	recovery    recoveryStats
	tombs       Tombs
	undone      *undone
	flushes     flushes
	others      others

	// What others change.
	Feed        *feed
	Scripts     *scripts
	classes     sync.Map   // by name
	listeningMu sync.Mutex // guards listening
	Listening   listening

	replayed        atomic.Uint64
	expired         atomic.Uint64
	rejectedAt      atomic.Int64      // the last of them, Unix nanoseconds
	rejections      atomic.Uint64     // kept writes that a master will never take
	failovers       counter.Labelled  // ended ones by cause
	downtimeLengths counter.Histogram // of those

	Ctx    context.Context // ends when the client has been closed
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup   // goroutines that live as long as the client
	tasks  inflight.Tracker // goroutines that end by themselves
}

func New(o Config, clock *clock.Clock) *Shard {
	sh := &Shard{
		Config:    o,
		Log:       o.Log,
		process:   o.Process,
		Clock:     clock,
		clocks:    new(remote.Clocks),
		left:      new(remote.Left),
		status:    newStatus(o),
		downtimes: newDowntimes(),
		Redis:     newRedisStats(),
		Outbox:    outbox.New(o.OutboxEntries, o.OutboxBytes),
		Ledger:    outbox.NewLedger(outbox.LedgerBounds{Entries: o.OutboxEntries, Bytes: o.OutboxBytes, RingBytes: o.RingBytes, RingAge: o.RingAge}),
		kept:      map[string][]byte{},
		Locks:     keylock.New(),
		Barriers:  newBarriers(),
		wake:      make(chan struct{}, 1),
		undone:    newUndone(),
		Feed:      NewFeed(),
		Scripts:   newScripts(),
		failovers: counter.NewLabelled("failure", "planned", "manual"),
	}
	changed := make(chan struct{})
	sh.nodeChanged.Store(&changed)
	clock.Late = sh.Feed.Doubt
	sh.Ctx, sh.cancel = context.WithCancelCause(context.Background())
	return sh
}

// Open takes up what an earlier process has left, and starts the goroutines.
func (sh *Shard) Open() (err error) {
	if sh.journal, err = openJournal(sh.Config.JournalDir, sh); err != nil {
		sh.cancel(err)
		return err
	}
	sh.Goes(sh.Clock.Run)
	sh.Goes(sh.status.deliver)
	if sh.memoryOnly() {
		return nil
	}
	sh.Goes(sh.keepMaster)
	sh.Goes(sh.replay)
	sh.Goes(sh.watchOwn)
	sh.Goes(sh.watchEvictions)
	return nil
}

// Goes starts a goroutine that lives until the client is closed.
func (sh *Shard) Goes(f func(context.Context)) {
	sh.wg.Go(func() { f(sh.Ctx) })
}

// Spawn starts a goroutine that ends by itself, unless the client is closed.
func (sh *Shard) Spawn(f func()) bool {
	if !sh.tasks.Enter() {
		return false
	}
	go func() {
		defer sh.tasks.Leave()
		f()
	}()
	return true
}

// End ends all goroutines, and returns a channel that is closed when they have.
func (sh *Shard) End(cause error) <-chan struct{} {
	sh.cancel(cause)
	gone := make(chan struct{})
	go func() {
		sh.wg.Wait()
		<-sh.tasks.Close()
		close(gone)
	}()
	return gone
}

// Closed reports whether Close has begun.
func (sh *Shard) Closed() bool { return sh.State() == health.Closed }

// Connected reports whether a master is in use.
func (sh *Shard) Connected() bool { return sh.Node.Load() != nil }

// Undisturbed reports that nobody else's write of the key was announced since the mark.
func (sh *Shard) Undisturbed(m Mark) bool { return sh.Feed.Undisturbed(m) }

// State is what can be done at this moment.
func (sh *Shard) State() health.State { return sh.status.Get().State }

// WatchState is State, with a channel that is closed when it changes.
func (sh *Shard) WatchState() (health.State, <-chan struct{}) {
	s, changed := sh.status.Watch()
	return s.State, changed
}

// BeginClose lets the state be Closed.
func (sh *Shard) BeginClose() { sh.status.Apply(clientClosed, nil) }

// CloseJournal closes the file, when all that is written has been.
func (sh *Shard) CloseJournal(ctx context.Context) error { return sh.journal.Close(ctx) }

// MemoryIsAll reports that there is no Redis that could know more.
func (sh *Shard) MemoryIsAll() bool {
	return sh.memoryOnly() || sh.Config.RedisOptional && !sh.reached.Load()
}

func (sh *Shard) memoryOnly() bool { return sh.Config.Mode == health.ModeMemoryOnly }

// Cause is why Redis is not used, or nil while it is.
func (sh *Shard) Cause() error {
	if sh.memoryOnly() || sh.Node.Load() != nil {
		return nil
	}
	return sh.status.Get().Cause
}

var ErrNotYet = errors.New("no Redis master has been reached yet")

// AwayCause is why there is no master.
func (sh *Shard) AwayCause() error {
	if cause := sh.status.Get().Cause; cause != nil {
		return cause
	}
	return ErrNotYet
}

// coveredByPrefix reports whether a delete of the key's prefix waits.
func (sh *Shard) coveredByPrefix(full string) bool {
	if sh.Outbox.Empty() {
		return false
	}
	return sh.Outbox.Covered(full)
}
