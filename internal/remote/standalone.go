package remote

import (
	"context"
	"math/rand/v2"
	"time"
)

// Hooks are told what the keeper of a node sees, from one goroutine, in order.
type Hooks struct {
	Up     func(*Node)       // verified: use it
	Down   func(cause error) // the node of the last Up is given up
	Failed func(err error)   // an attempt to dial failed
	// Beat: a heartbeat was answered.
	Beat func(*Node, Barrier)
}

const (
	firstDelay = 20 * time.Millisecond
	maxDelay   = time.Second
	// steady is how long a node must have served for the delay to start again
	// from the first: one that always breaks at once must not be dialled at once.
	steady = 5 * time.Second
)

// KeepStandalone keeps a verified node of one address at hand until ctx ends:
// it dials aside, watches the heartbeat and the breaker, gives a bad node up,
// and dials again with growing, jittered delays.
func KeepStandalone(ctx context.Context, c Config, h Heartbeat, obs Observer, hooks Hooks) {
	delay, last := firstDelay, error(nil)
	for ctx.Err() == nil {
		n, err := Dial(ctx, c.After(last), h.After(last), obs)
		last = err
		if err == nil {
			began := time.Now()
			hooks.Up(n)
			hooks.Beat(n, n.first)
			cause := watch(ctx, n, hooks)
			last = cause
			hooks.Down(cause)
			n.Abandon()
			if time.Since(began) > steady {
				delay = firstDelay
			}
		} else if ctx.Err() == nil {
			hooks.Failed(err)
		}
		if Pause(ctx, jitter(delay)) != nil {
			return
		}
		delay = min(2*delay, maxDelay)
	}
}

// watch beats until the node is to be given up, and says why.
func watch(ctx context.Context, n *Node, hooks Hooks) error {
	replicas := 0
	for {
		every := func() time.Duration { return n.heartbeat.Every }
		if err := n.heartbeat.Wait(ctx, time.Now(), every, n.Opened()); err != nil {
			return err
		}
		select {
		case <-n.Opened():
			return n.OpenErr()
		default:
		}
		b, err := beatTwice(ctx, n, replicas)
		if n.HeldUp(err, b.SentAt) {
			continue // our own bytes are on the way and make progress, or we were busy
		}
		if err != nil {
			return err
		}
		replicas = len(onlineIn(b.Info))
		hooks.Beat(n, b)
	}
}

// Wait waits for the turn of the next heartbeat, or until wake gives or ctx
// ends. It comes after every, or earlier where Pace wants it.
func (h Heartbeat) Wait(ctx context.Context, last time.Time, every func() time.Duration, wake <-chan struct{}) error {
	for {
		d := every()
		if h.Pace != nil {
			d = min(d, h.Pace())
		}
		t := time.NewTimer(time.Until(last.Add(d)))
		select {
		case <-t.C:
			return nil
		case <-wake:
			t.Stop()
			return nil
		case <-h.Kick:
			t.Stop()
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// beatTwice gives a node that missed one beat a second chance at once.
func beatTwice(ctx context.Context, n *Node, replicas int) (Barrier, error) {
	b, err := n.Barrier(ctx, replicas)
	if KindOf(err) == Timeout {
		b, err = n.Barrier(ctx, replicas)
	}
	if k := KindOf(err); k.Refused() && !k.Puzzling() {
		return b, nil // it answers; that it takes no writes is noted
	}
	return b, err
}

func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// Pause waits for d, or returns early with the reason ctx ended.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
