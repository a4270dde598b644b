package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/chaos"
)

// rates are calls a second.
type rates struct{ writes, deletes, reads float64 }

// traffic is an open loop: every call begins at its turn in a goroutine of its
// own, however many others are waiting, as requests from outside do. A closed
// loop would ask a blocked client less often, and so flatter it.
type traffic struct {
	client    client
	rates     rates
	prefix    string
	layout    *layout
	known     []string
	deletable deletable

	history *chaos.History // reads and writes
	deletes *chaos.History // as writes; the value is what the key had held

	began, ended time.Time
	cancel       context.CancelFunc
	loops        sync.WaitGroup
	calls        sync.WaitGroup
	underWay     atomic.Int64
}

const (
	knownKeys = 20
	// maxUnderWay bounds the calls of one library; one more fails.
	maxUnderWay = 10_000
	// longest is more than the traffic of any fault.
	longest = 30 * time.Second
)

func newTraffic(c client, class string, r rates, l *layout) *traffic {
	t := &traffic{client: c, rates: r, prefix: class + ":w-", layout: l, history: new(chaos.History), deletes: new(chaos.History)}
	for i := range knownKeys {
		t.known = append(t.known, l.key(class+":known-", i))
	}
	for i := range int(r.deletes * longest.Seconds() / 2) {
		t.deletable.old = append(t.deletable.old, l.key(class+":delete-", i))
	}
	return t
}

func valueOf(key string) string { return "value of " + key }

// land writes a key until a master has it: a busy machine delays one write or another.
func (t *traffic) land(ctx context.Context, key string) error {
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		ack, err := t.client.Set(bounded, key, valueOf(key))
		switch {
		case err == nil && ack == chaos.Landed:
			return nil
		case bounded.Err() != nil && err == nil:
			return fmt.Errorf("no master has taken it in 5 s: %w", context.Cause(bounded))
		case bounded.Err() != nil:
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// seed writes the keys that will be read and deleted, and reads each of the
// former once.
func (t *traffic) seed(ctx context.Context) error {
	for _, keys := range [][]string{t.known, t.deletable.old} {
		for _, key := range keys {
			if err := t.land(ctx, key); err != nil {
				return fmt.Errorf("write a known key: %w", err)
			}
		}
	}
	for _, key := range t.known {
		if _, err := t.client.Get(ctx, key); err != nil {
			return fmt.Errorf("read a known key: %w", err)
		}
	}
	return nil
}

// start begins the calls; stop ends them.
func (t *traffic) start() {
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel, t.began = cancel, time.Now()
	t.loops.Go(func() { t.loop(ctx, t.rates.writes, t.write) })
	t.loops.Go(func() { t.loop(ctx, t.rates.deletes, t.remove) })
	t.loops.Go(func() { t.loop(ctx, t.rates.reads, t.read) })
}

// stop begins no further call, waits for those under way up to the limit, and
// returns how many are blocked even then.
func (t *traffic) stop(limit time.Duration) (blocked int) {
	t.cancel()
	t.loops.Wait()
	t.ended = time.Now()
	if within(limit, t.calls.Wait) {
		return 0
	}
	return int(t.underWay.Load())
}

// loop begins each call when it is due. A late timer does not lower the rate.
func (t *traffic) loop(ctx context.Context, perSecond float64, call func(n int)) {
	if perSecond == 0 {
		return
	}
	for n := 0; ; n++ {
		if machine.Pause(ctx, time.Until(due(t.began, perSecond, n))) != nil {
			return
		}
		if t.underWay.Add(1) > maxUnderWay {
			t.underWay.Add(-1)
			now := time.Now()
			t.history.Record(chaos.Call{Op: chaos.Write, Key: "-", Ack: chaos.Failed, Err: errBacklog, Start: now, End: now})
			continue
		}
		t.calls.Go(func() {
			defer t.underWay.Add(-1)
			call(n)
		})
	}
}

var errBacklog = errors.New("too many calls are blocked")

// due is when the n-th call begins.
func due(began time.Time, perSecond float64, n int) time.Time {
	return began.Add(time.Duration(float64(n) / perSecond * float64(time.Second)))
}

func (t *traffic) write(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	c := chaos.Call{Op: chaos.Write, Key: t.layout.key(t.prefix, n), Start: time.Now()}
	c.Value = valueOf(c.Key)
	c.Ack, c.Err = t.client.Set(ctx, c.Key, c.Value)
	c.End = time.Now()
	t.history.Record(c)
	if c.Ack.Acknowledged() {
		t.deletable.add(c.Key)
	}
}

// remove deletes a key whose write was acknowledged: none can come later.
func (t *traffic) remove(n int) {
	key := t.deletable.take(n)
	if key == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	c := chaos.Call{Op: chaos.Write, Key: key, Value: valueOf(key), Start: time.Now()}
	c.Ack, c.Err = t.client.Delete(ctx, key)
	c.End = time.Now()
	t.deletes.Record(c)
}

func (t *traffic) read(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	c := chaos.Call{Op: chaos.Read, Key: t.known[n%len(t.known)], Start: time.Now()}
	c.Value, c.Err = t.client.Get(ctx, c.Key)
	c.End = time.Now()
	c.Wrong = c.Err == nil && c.Value != valueOf(c.Key)
	t.history.Record(c)
}
