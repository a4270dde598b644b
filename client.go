package evercache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/counter"
	"github.com/evercache/evercache/internal/errsummary"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/flight"
	"github.com/evercache/evercache/internal/inflight"
	"github.com/evercache/evercache/internal/kit"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/logqueue"
	"github.com/evercache/evercache/internal/shard"
)

// Client is the connection to Redis, the memory and the outbox that the Caches
// of an application share. While Redis answers, it is asked and written; while
// it does not, memory answers and writes are kept. Make one with Open, close
// it with Close. It is safe for concurrent use.
type Client struct {
	store    *shard.Store // the masters, and what is owed to them
	opts     Options      // without its passwords
	keyFiles keyFiles
	logs     *logqueue.Handler // what log puts its lines into
	ownLogs  bool              // logs is nobody else's

	memory    *local.Store // shared by classes without a bound of their own
	evictions local.Evictions
	fills     fills
	queued    fillRoom      // of loaded values
	prefixing chan struct{} // held by a DeletePrefix that goes over the keyspace
	waits     flight.Waits

	requests       *requests
	durations      [opCount]counter.Histogram
	loads          loadStats
	callFailures   *errsummary.Summary
	loadFailures   *errsummary.Summary
	decodeFailures atomic.Uint64
	inspected      atomic.Uint64
	inspectedWrong atomic.Uint64
	encodeFailures atomic.Uint64

	mu        sync.Mutex       // guards what follows
	named     map[string]class // by name
	lastClass uint32           // the number of the class that was made last
	stores    []*local.Store   // every L1, the shared one first

	writers inflight.Tracker // writes under way
	closing sync.Once
	done    chan struct{} // closed when Shutdown has ended
	err     error         // its result; final once done is closed
}

func init() {
	kit.Of = func(client any) kit.Kit { return client.(*Client).store.Kit() }
}

// Open makes a Client. It returns at once and never waits for Redis: until a
// master has been verified memory answers (see WaitConnected). ctx bounds the
// opening only. The error lists every fault of the options.
func Open(ctx context.Context, o Options) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	ambiguous := o.ambiguous()
	o = o.withDefaults()
	if err := errors.Join(ambiguous, o.validate()); err != nil {
		return nil, fmt.Errorf("evercache: wrong options:\n%w", err)
	}
	c := newClient(o)
	if err := c.store.Open(); err != nil {
		c.memory.Close()
		return nil, err
	}
	if !o.MemoryOnly {
		if c.keyFiles.any() {
			c.store.Goes(c.keyFiles.watch)
		}
		c.store.Goes(c.announce)
	}
	return c, nil
}

func newClient(o Options) *Client {
	secrets := passwordsOf(&o)
	logs, own := queued(o.Logger.Handler())
	o.Logger = slog.New(censor.Handler(logs))
	files, clock := newKeyFiles(o), clock.New()
	failed := newCallFailures(o.Logger)
	config := o.shardConfig(secrets, files, rand.Text()[:12])
	config.CallFailures = failed
	c := &Client{
		store:        shard.New(config, clock),
		opts:         o,
		keyFiles:     files,
		logs:         logs,
		ownLogs:      own,
		fills:        newFills(),
		prefixing:    make(chan struct{}, mostPrefixes),
		requests:     new(requests),
		loads:        loadStats{results: counter.NewLabelled("ok", "not_found", "error", "panic", "timeout")},
		callFailures: failed,
		loadFailures: newLoadFailures(o.Logger),
		named:        map[string]class{},
		done:         make(chan struct{}),
	}
	c.memory = local.New(local.Bound{Bytes: o.MemoryBytes}, clock, &c.evictions)
	c.stores = []*local.Store{c.memory}
	return c
}

// passwords are kept in a function: fmt, which cannot call the methods of what
// is in unexported fields, would print them with the Client.
type passwords func() (redis, sentinel string)

// passwordsOf takes the passwords out of the options.
func passwordsOf(o *Options) passwords {
	redis, sentinel := o.Password, o.SentinelPassword
	o.Password, o.SentinelPassword = "", ""
	return func() (string, string) { return redis.Reveal(), sentinel.Reveal() }
}

// class is a Cache, whatever the type of its values.
type class interface{ known() findings.Class }

// register gives a class its number and its memory.
func (c *Client) register(name string, k class, p Policy) (uint32, *local.Store, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store.Closed() {
		return 0, nil, ErrClosed
	}
	if c.named[name] != nil {
		return 0, nil, fmt.Errorf("evercache: class %s has a Cache already", name)
	}
	c.named[name] = k
	c.lastClass++
	store := c.memory
	if p.MaxEntries > 0 || p.MaxBytes > 0 {
		store = local.New(local.Bound{Entries: p.MaxEntries, Bytes: p.MaxBytes}, c.store.Clock, &c.evictions)
		c.stores = append(c.stores, store)
	}
	return c.lastClass, store, nil
}

// release takes a class off the books, unless its writes may wait for a master.
func (c *Client) release(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.named[name] == nil || !c.store.Unsubscribe(name) {
		return false
	}
	delete(c.named, name)
	return true
}

// State tells what the client can do at this moment.
func (c *Client) State() health.State { return c.store.State() }

// WaitConnected waits until the state is Connected, or for ctx. A MemoryOnly
// client has nothing to wait for.
func (c *Client) WaitConnected(ctx context.Context) error {
	if c.opts.MemoryOnly {
		return nil
	}
	for {
		s, changed := c.store.WatchState()
		switch s {
		case health.Connected:
			return nil
		case health.Closed:
			return ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("evercache: not connected: %w: %w", context.Cause(ctx), c.store.AwayCause())
		}
	}
}

// Close ends the client: it refuses new calls, sends what the outbox holds if
// a master can be had within Options.CloseTimeout, waits until no failover can
// lose what the master has taken (a second at most, while there is a master), and
// for its goroutines. An *UnsavedError counts the writes that are lost (none where
// memory was all there was). Other errors say that the journal could not be closed, that
// work was still under way (a loader that does not heed its context), or that log lines
// were lost; several are joined. Every Close returns the same.
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
	c.store.BeginClose()
	waitFor(ctx, c.writers.Close()) // what they still acknowledge must be in the outbox
	memoryIsAll := c.store.MemoryIsAll()
	if !memoryIsAll {
		c.store.Flush(ctx)
	}
	unsaved := new(UnsavedError)
	unsaved.Writes, unsaved.AtRisk = c.store.Unsaved()
	ended := waitFor(ctx, c.store.End(ErrClosed))
	c.mu.Lock()
	for _, s := range c.stores {
		s.Close()
	}
	c.mu.Unlock()
	var errs []error
	if *unsaved != (UnsavedError{}) && !memoryIsAll {
		errs = append(errs, unsaved)
	}
	if err := c.store.CloseJournal(ctx); err != nil {
		errs = append(errs, err)
	}
	if !ended {
		errs = append(errs, fmt.Errorf("evercache: closed with work still under way: %w", context.Cause(ctx)))
	}
	c.callFailures.Close()
	c.loadFailures.Close()
	if err := c.flushLogs(ctx); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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
