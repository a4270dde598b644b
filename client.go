package evercache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/logqueue"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/watch"
)

// Client is the connection to Redis, the memory and the outbox that the Caches
// of an application share. While Redis answers, it is asked and written; while
// it does not, memory answers and writes are kept. Make one with Open, close
// it with Close. It is safe for concurrent use.
type Client struct {
	opts      Options // without its passwords
	passwords passwords
	log       *slog.Logger      // never waits: see logs
	logs      *logqueue.Handler // what log puts its lines into
	ownLogs   bool              // logs is nobody else's
	process   string            // names this process in Redis
	keyFiles  keyFiles

	clock     *coarseClock
	clocks    *remote.Clocks // the servers'
	left      *remote.Left   // connections that were given up
	memory    *local.Store   // shared by classes without a bound of their own
	evictions local.Evictions
	tombs     tombs
	outbox    *outbox.Box    // writes that no master has taken
	ledger    *outbox.Ledger // those that one has, for as long as it could lose them
	lanes     *lanes
	fills     fills
	prefixing chan struct{} // held by a DeletePrefix that goes over the keyspace
	feed      *feed
	scripts   *scripts
	undone    *undone
	flushes   flushes
	cycles    cycles
	journal   *journaled // nil: there is no file
	kit       *inside
	barriers  *barriers
	// subscribers are the Caches by class.
	subscribers sync.Map
	listeningMu sync.Mutex // guards listening
	listening   listening
	node        atomic.Pointer[remote.Node] // the verified master, or nil
	// nodeChanged is closed and replaced whenever node changes.
	nodeChanged   atomic.Pointer[chan struct{}]
	reached       atomic.Bool // a master has been verified once
	blackouts     *blackouts
	failovers     labelled                   // ended ones by cause
	blackoutTimes histogram                  // of those
	view          atomic.Pointer[watch.View] // Sentinel mode: what is known of the set
	status        *status
	wake          chan struct{} // the replayer's

	requests       *requests
	durations      [opCount]histogram
	loads          loadStats
	redis          *redisStats
	decodeFailures atomic.Uint64
	encodeFailures atomic.Uint64
	replayed       atomic.Uint64
	expired        atomic.Uint64
	sizes          remote.Sizes  // what masters refuse for its size
	batches        batches       // of the replay, whose goroutine alone uses it
	rejectedAt     atomic.Int64  // the last of them, Unix nanoseconds
	rejections     atomic.Uint64 // kept writes that a master will never take
	recovery       recoveryStats
	evicting       evicting

	mu        sync.Mutex // guards what follows
	classes   map[string]bool
	lastClass uint32         // the number of the class that was made last
	stores    []*local.Store // every L1, the shared one first

	ctx     context.Context // ends when the client has been closed
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup // goroutines that live as long as the client
	loaders gate           // loads under way
	writers gate           // writes under way
	closing sync.Once
	done    chan struct{} // closed when Shutdown has ended
	err     error         // its result; final once done is closed
}

// Open makes a Client. It returns at once and never waits for Redis: until a
// master has been verified memory answers (see WaitConnected). ctx bounds the
// opening only. The error lists every fault of the options.
func Open(ctx context.Context, o Options) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("evercache: wrong options:\n%w", err)
	}
	c := newClient(o)
	var err error
	if c.journal, err = openJournal(o.JournalDir, c); err != nil {
		c.cancel(err)
		c.memory.Close()
		return nil, err
	}
	c.goes(c.clock.run)
	c.goes(c.status.deliver)
	if !o.MemoryOnly {
		c.goes(c.keepMaster)
		if c.keyFiles.any() {
			c.goes(c.keyFiles.watch)
		}
		c.goes(c.replay)
		c.goes(c.watchOwn)
		c.goes(c.watchEvictions)
		c.goes(c.announce)
	}
	return c, nil
}

func newClient(o Options) *Client {
	passwords := passwordsOf(&o)
	logs, own := queued(o.Logger.Handler())
	o.Logger = slog.New(censor.Handler(logs))
	c := &Client{
		opts:      o,
		passwords: passwords,
		keyFiles:  newKeyFiles(o),
		log:       o.Logger,
		logs:      logs,
		ownLogs:   own,
		process:   rand.Text()[:12],
		clock:     newCoarseClock(),
		clocks:    new(remote.Clocks),
		left:      new(remote.Left),
		outbox:    outbox.New(o.OutboxEntries, o.OutboxBytes),
		ledger:    outbox.NewLedger(outbox.LedgerBounds{Entries: o.OutboxEntries, Bytes: o.OutboxBytes, RingBytes: o.RingBytes, RingAge: off(o.RingAge)}),
		lanes:     newLanes(),
		fills:     newFills(),
		prefixing: make(chan struct{}, mostPrefixes),
		feed:      newFeed(),
		scripts:   newScripts(),
		undone:    newUndone(),
		barriers:  newBarriers(),
		status:    newStatus(o.Events, o.Logger),
		wake:      make(chan struct{}, 1),
		requests:  new(requests),
		loads:     loadStats{results: newLabelled("ok", "not_found", "error", "panic", "timeout")},
		redis:     newRedisStats(),
		classes:   map[string]bool{},
		done:      make(chan struct{}),
		blackouts: newBlackouts(),
		failovers: newLabelled("failure", "planned", "manual"),
	}
	c.clock.late = c.feed.doubt
	c.kit = newInside(c)
	changed := make(chan struct{})
	c.nodeChanged.Store(&changed)
	c.memory = local.New(local.Bound{Bytes: o.MemoryBytes}, c.clock, &c.evictions)
	c.stores = []*local.Store{c.memory}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// passwords are kept in a function: fmt, which cannot call the methods of what
// is in unexported fields, would print them with the Client.
type passwords func() (redis, sentinel Secret)

// passwordsOf takes the passwords out of the options.
func passwordsOf(o *Options) passwords {
	redis, sentinel := o.Password, o.SentinelPassword
	o.Password, o.SentinelPassword = "", ""
	return func() (Secret, Secret) { return redis, sentinel }
}

// goes starts a goroutine that lives until the client is closed; nothing else
// does, but spawn.
func (c *Client) goes(f func(context.Context)) {
	c.wg.Go(func() { f(c.ctx) })
}

// spawn starts the goroutine of a load unless the client is closed.
func (c *Client) spawn(f func()) bool {
	if !c.loaders.enter() {
		return false
	}
	go func() {
		defer c.loaders.leave()
		f()
	}()
	return true
}

// register gives a class its number and its memory.
func (c *Client) register(class string, p Policy) (uint32, *local.Store, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed() {
		return 0, nil, ErrClosed
	}
	if c.classes[class] {
		return 0, nil, fmt.Errorf("evercache: class %s has a Cache already", class)
	}
	c.classes[class] = true
	c.lastClass++
	store := c.memory
	if p.MaxEntries > 0 || p.MaxBytes > 0 {
		store = local.New(local.Bound{Entries: p.MaxEntries, Bytes: p.MaxBytes}, c.clock, &c.evictions)
		c.stores = append(c.stores, store)
	}
	return c.lastClass, store, nil
}

// release takes a class off the books, unless its writes may wait for a master.
func (c *Client) release(class string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.classes[class] || !c.outbox.Empty() {
		return false
	}
	delete(c.classes, class)
	c.subscribers.Delete(class)
	return true
}

// State tells what the client can do at this moment.
func (c *Client) State() State { return c.status.get().state }

// WaitConnected waits until the state is Connected, or for ctx. A MemoryOnly
// client has nothing to wait for.
func (c *Client) WaitConnected(ctx context.Context) error {
	if c.opts.MemoryOnly {
		return nil
	}
	for {
		s, changed := c.status.watch()
		switch s.state {
		case Connected:
			return nil
		case Closed:
			return ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("evercache: not connected: %w: %w", context.Cause(ctx), c.awayCause())
		}
	}
}

// closed reports whether Close has begun.
func (c *Client) closed() bool { return c.status.get().state == Closed }

// memoryIsAll reports that there is no Redis that could know more.
func (c *Client) memoryIsAll() bool {
	return c.opts.MemoryOnly || c.opts.RedisOptional && !c.reached.Load()
}

// cause is why Redis is not used, or nil while it is.
func (c *Client) cause() error {
	if c.opts.MemoryOnly || c.node.Load() != nil {
		return nil
	}
	return c.status.get().cause
}

var errNotYet = errors.New("no Redis master has been reached yet")

// awayCause is why there is no master.
func (c *Client) awayCause() error {
	if cause := c.status.get().cause; cause != nil {
		return cause
	}
	return errNotYet
}

// awayCauseIf is the cause of a receipt below Master, if there is one.
func (c *Client) awayCauseIf(r Receipt) error {
	if r.Durability >= Master {
		return nil
	}
	return c.cause()
}

// waits reports whether the outbox speaks of a key.
func (c *Client) waits(full string) bool {
	if c.outbox.Empty() {
		return false
	}
	_, ok := c.outbox.Find(full)
	return ok
}

// coveredByPrefix reports whether a delete of the key's prefix waits.
func (c *Client) coveredByPrefix(full string) bool {
	if c.outbox.Empty() {
		return false
	}
	return c.outbox.Covered(full)
}

// Close ends the client: it refuses new calls, sends what the outbox holds if
// a master can be had within Options.CloseTimeout, waits until no failover can
// lose what the master has taken (a second at most, while there is a master), and
// for its goroutines. An *UnsavedError counts the writes that are lost (none where
// memory was all there was). Every Close returns the same.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), c.opts.CloseTimeout)
	defer cancel()
	return c.Shutdown(ctx)
}

// Shutdown is Close under the caller's own bound.
func (c *Client) Shutdown(ctx context.Context) error {
	c.closing.Do(func() {
		c.err = c.shutdown(ctx)
		close(c.done)
	})
	<-c.done
	return c.err
}

func (c *Client) shutdown(ctx context.Context) error {
	c.status.apply(clientClosed, nil)
	waitFor(ctx, c.writers.close()) // what they still acknowledge must be in the outbox
	memoryIsAll := c.memoryIsAll()
	if !memoryIsAll {
		c.flush(ctx)
	}
	unsaved := c.unsaved()
	c.cancel(ErrClosed)
	gone := make(chan struct{})
	go func() {
		c.wg.Wait()
		<-c.loaders.close()
		close(gone)
	}()
	ended := waitFor(ctx, gone)
	c.mu.Lock()
	for _, s := range c.stores {
		s.Close()
	}
	c.mu.Unlock()
	var errs []error
	if unsaved != nil && !memoryIsAll {
		errs = append(errs, unsaved)
	}
	if err := c.journal.close(ctx); err != nil {
		errs = append(errs, err)
	}
	if !ended {
		errs = append(errs, fmt.Errorf("evercache: closed with work still under way: %w", context.Cause(ctx)))
	}
	if err := c.flushLogs(ctx); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// unsaved counts what would be lost if the process ended now; nil: nothing.
func (c *Client) unsaved() error {
	var e UnsavedError
	if !c.journal.safe() {
		e.Writes = c.outbox.Depth().Entries
	}
	if c.node.Load() == nil && !c.journal.safe() {
		e.AtRisk = c.ledger.Unconfirmed()
	}
	if e == (UnsavedError{}) {
		return nil
	}
	return &e
}

// confirmPatience is how long Close waits for replicas that do not keep up.
const confirmPatience = time.Second

// safe reports whether Close has nothing to wait for.
func (c *Client) safe(since time.Time) bool {
	there := c.node.Load() != nil
	if !c.outbox.Empty() && (there || !c.journal.safe()) {
		return false
	}
	return c.ledger.Unconfirmed() == 0 || there && time.Since(since) > confirmPatience
}

// flush waits until the process can end, or for most of what ctx leaves: the
// goroutines want some of it.
func (c *Client) flush(ctx context.Context) {
	began := time.Now()
	if c.safe(began) {
		return
	}
	if n := c.outbox.Depth().Entries; n > 0 || c.node.Load() == nil {
		c.log.LogAttrs(ctx, slog.LevelInfo, "waiting for a Redis that takes the kept writes",
			slog.String("event", "close.waiting"), slog.Int("writes", n), slog.Int("unconfirmed", c.ledger.Unconfirmed()))
	}
	c.barriers.waiting.Add(1) // they come quicker then
	defer c.barriers.waiting.Add(-1)
	c.barriers.hurry()
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, left-min(left/5, 500*time.Millisecond))
		defer cancel()
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !c.safe(began) {
		c.wakeReplay()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func waitFor(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}
