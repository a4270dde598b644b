package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Load is a steady traffic: writers that each write a key of their own, never
// twice, and readers that read known keys. A caller that is kept waiting misses
// its turns; it does not catch up.
type Load struct {
	Store   Store
	Writers int
	Readers int
	Every   time.Duration // between the calls of one writer or reader; 5 ms
	Timeout time.Duration // each call's context; 0: it has no deadline
	Prefix  string        // of the keys written; they must not exist yet
	Known   []string      // the keys to read, written by Seed
}

// Seed writes the known keys and reads each once, so that a cache holds them.
func (l Load) Seed(ctx context.Context) error {
	for _, key := range l.Known {
		if ack, err := l.Store.Set(ctx, key, valueOf(key)); err != nil || ack != Landed {
			return fmt.Errorf("chaos: a known key was not written to a master (ack %d): %w", ack, errors.Join(err))
		}
		if _, err := l.Store.Get(ctx, key); err != nil {
			return fmt.Errorf("chaos: a known key cannot be read: %w", err)
		}
	}
	return nil
}

func valueOf(key string) string { return "value of " + key }

// Run is a Load under way.
type Run struct {
	History *History
	Began   time.Time

	load   Load
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ended  time.Time

	mu     sync.Mutex // guards stolen
	stolen time.Duration
}

// Start begins the traffic; Stop ends it.
func (l Load) Start() *Run {
	l.Every = cmp.Or(l.Every, 5*time.Millisecond)
	r := &Run{History: new(History), Began: time.Now(), load: l}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for i := range l.Writers {
		r.wg.Go(func() { r.write(fmt.Sprintf("%s%d-", l.Prefix, i)) })
	}
	for i := range l.Readers {
		r.wg.Go(func() { r.read(i) })
	}
	r.wg.Go(r.measureTheft)
	return r
}

// Stop ends the traffic and waits for the calls under way.
func (r *Run) Stop() {
	r.cancel()
	r.wg.Wait()
	if r.ended.IsZero() {
		r.ended = time.Now()
	}
}

// Stolen is the most by which a mere timer was late: what the machine, and not
// the store, made a caller wait.
func (r *Run) Stolen() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stolen
}

// each calls act at every turn until the run is stopped.
func (r *Run) each(act func(n int)) {
	tick := time.NewTicker(r.load.Every)
	defer tick.Stop()
	for n := 0; r.ctx.Err() == nil; n++ {
		act(n)
		select {
		case <-tick.C:
		case <-r.ctx.Done():
		}
	}
}

func (r *Run) write(prefix string) {
	r.each(func(n int) {
		c := Call{Op: Write, Key: fmt.Sprintf("%s%d", prefix, n), Start: time.Now()}
		c.Value = valueOf(c.Key)
		ctx, cancel := r.bounded()
		defer cancel()
		c.Ack, c.Err = r.load.Store.Set(ctx, c.Key, c.Value)
		c.End = time.Now()
		r.History.Record(c)
	})
}

func (r *Run) read(first int) {
	if len(r.load.Known) == 0 {
		return
	}
	r.each(func(n int) {
		c := Call{Op: Read, Key: r.load.Known[(first+n)%len(r.load.Known)], Start: time.Now()}
		ctx, cancel := r.bounded()
		defer cancel()
		c.Value, c.Err = r.load.Store.Get(ctx, c.Key)
		c.End = time.Now()
		c.Wrong = c.Err == nil && c.Value != valueOf(c.Key)
		r.History.Record(c)
	})
}

// bounded does not end with the run: a call under way is waited for.
func (r *Run) bounded() (context.Context, context.CancelFunc) {
	if r.load.Timeout > 0 {
		return context.WithTimeout(context.Background(), r.load.Timeout)
	}
	return context.Background(), func() {}
}

func (r *Run) measureTheft() {
	const nap = 20 * time.Millisecond
	for r.ctx.Err() == nil {
		start := time.Now()
		time.Sleep(nap)
		late := time.Since(start) - nap
		r.mu.Lock()
		r.stolen = max(r.stolen, late)
		r.mu.Unlock()
	}
}
