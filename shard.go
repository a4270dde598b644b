package evercache

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/counter"
	"github.com/evercache/evercache/internal/inflight"
	"github.com/evercache/evercache/internal/keylock"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/watch"
)

// shard is one master at a time and all that is owed to it: what waits for it,
// what it has taken and could still lose, what it announces, and how far that can
// be relied on. It knows bytes, masters and durability; types, policies, memory and
// loads are the Client's.
type shard struct {
	opts    shardConfig
	log     *slog.Logger // never waits
	process string       // names this process in Redis

	clock  *clock.Clock
	clocks *remote.Clocks // the servers'
	left   *remote.Left   // connections that were given up

	// The master.
	node        atomic.Pointer[remote.Node] // the verified master, or nil
	nodeChanged atomic.Pointer[chan struct{}]
	reached     atomic.Bool                // a master has been verified once
	view        atomic.Pointer[watch.View] // Sentinel mode: what is known of the set
	status      *status
	blackouts   *blackouts
	redis       *redisStats
	sizes       remote.Sizes // what masters refuse for its size
	evicting    evicting

	// What is owed to it.
	outbox   *outbox.Box       // writes that no master has taken
	ledger   *outbox.Ledger    // those that one has, for as long as it could lose them
	journal  *journaled        // nil: there is no file
	kept     map[string][]byte // in the journal by other packages, in an earlier process
	lanes    *keylock.Locks
	barriers *barriers
	beats    beats
	wake     chan struct{} // the replayer's
	batches  batches       // of the replay, whose goroutine alone uses it
	recovery recoveryStats
	tombs    tombs
	undone   *undone
	flushes  flushes

	// What others change.
	feed        *feed
	scripts     *scripts
	classes     sync.Map   // by name
	listeningMu sync.Mutex // guards listening
	listening   listening

	replayed      atomic.Uint64
	expired       atomic.Uint64
	rejectedAt    atomic.Int64      // the last of them, Unix nanoseconds
	rejections    atomic.Uint64     // kept writes that a master will never take
	failovers     counter.Labelled  // ended ones by cause
	blackoutTimes counter.Histogram // of those

	ctx    context.Context // ends when the client has been closed
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup   // goroutines that live as long as the client
	tasks  inflight.Tracker // goroutines that end by themselves
}

func newShard(o shardConfig, clock *clock.Clock) *shard {
	sh := &shard{
		opts:      o,
		log:       o.Log,
		process:   o.Process,
		clock:     clock,
		clocks:    new(remote.Clocks),
		left:      new(remote.Left),
		status:    newStatus(o),
		blackouts: newBlackouts(),
		redis:     newRedisStats(),
		outbox:    outbox.New(o.OutboxEntries, o.OutboxBytes),
		ledger:    outbox.NewLedger(outbox.LedgerBounds{Entries: o.OutboxEntries, Bytes: o.OutboxBytes, RingBytes: o.RingBytes, RingAge: o.RingAge}),
		kept:      map[string][]byte{},
		lanes:     keylock.New(),
		barriers:  newBarriers(),
		wake:      make(chan struct{}, 1),
		undone:    newUndone(),
		feed:      newFeed(),
		scripts:   newScripts(),
		failovers: counter.NewLabelled("failure", "planned", "manual"),
	}
	changed := make(chan struct{})
	sh.nodeChanged.Store(&changed)
	sh.ctx, sh.cancel = context.WithCancelCause(context.Background())
	return sh
}

// open takes up what an earlier process has left, and starts the goroutines.
func (sh *shard) open() (err error) {
	if sh.journal, err = openJournal(sh.opts.JournalDir, sh); err != nil {
		return err
	}
	sh.goes(sh.clock.Run)
	sh.goes(sh.status.deliver)
	if sh.opts.Mode == health.ModeMemoryOnly {
		return nil
	}
	sh.goes(sh.keepMaster)
	sh.goes(sh.replay)
	sh.goes(sh.watchOwn)
	sh.goes(sh.watchEvictions)
	return nil
}

// goes starts a goroutine that lives until the client is closed; nothing else
// does, but spawn.
func (sh *shard) goes(f func(context.Context)) {
	sh.wg.Go(func() { f(sh.ctx) })
}

// spawn starts a goroutine that ends by itself, unless the client is closed.
func (sh *shard) spawn(f func()) bool {
	if !sh.tasks.Enter() {
		return false
	}
	go func() {
		defer sh.tasks.Leave()
		f()
	}()
	return true
}

// end ends all goroutines, and returns a channel that is closed when they have.
func (sh *shard) end(cause error) <-chan struct{} {
	sh.cancel(cause)
	gone := make(chan struct{})
	go func() {
		sh.wg.Wait()
		<-sh.tasks.Close()
		close(gone)
	}()
	return gone
}

// closed reports whether Close has begun.
func (sh *shard) closed() bool { return sh.status.get().state == health.Closed }

// memoryIsAll reports that there is no Redis that could know more.
func (sh *shard) memoryIsAll() bool {
	return sh.opts.Mode == health.ModeMemoryOnly || sh.opts.RedisOptional && !sh.reached.Load()
}

// cause is why Redis is not used, or nil while it is.
func (sh *shard) cause() error {
	if sh.opts.Mode == health.ModeMemoryOnly || sh.node.Load() != nil {
		return nil
	}
	return sh.status.get().cause
}

var errNotYet = errors.New("no Redis master has been reached yet")

// awayCause is why there is no master.
func (sh *shard) awayCause() error {
	if cause := sh.status.get().cause; cause != nil {
		return cause
	}
	return errNotYet
}

// waits reports whether the outbox speaks of a key.
func (sh *shard) waits(full string) bool {
	if sh.outbox.Empty() {
		return false
	}
	_, ok := sh.outbox.Find(full)
	return ok
}

// coveredByPrefix reports whether a delete of the key's prefix waits.
func (sh *shard) coveredByPrefix(full string) bool {
	if sh.outbox.Empty() {
		return false
	}
	return sh.outbox.Covered(full)
}

// beats are those who hear of each barrier that the master answers.
type beats struct {
	mu   sync.Mutex // guards what follows
	next int
	all  map[int]func(watch.Beat)
}

func (b *beats) add(f func(watch.Beat)) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[int]func(watch.Beat){}
	}
	b.next++
	id := b.next
	b.all[id] = f
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.all, id)
	}
}

func (b *beats) tell(beat watch.Beat) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.all {
		f(beat)
	}
}
