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
	Beat   func(*Node)       // a heartbeat was answered
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
		n, err := Dial(ctx, c, h.After(last), obs)
		last = err
		if err == nil {
			began := time.Now()
			hooks.Up(n)
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
	tick := time.NewTicker(n.heartbeat.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-n.Opened():
			return n.OpenErr()
		case <-tick.C:
			if err := beatTwice(ctx, n); err != nil {
				return wrap("heartbeat", err)
			}
			hooks.Beat(n)
		}
	}
}

// beatTwice gives a node that missed one beat a second chance at once.
func beatTwice(ctx context.Context, n *Node) error {
	_, err := n.timedBeat(ctx)
	if KindOf(err) == Timeout {
		_, err = n.timedBeat(ctx)
	}
	if KindOf(err).Refused() {
		return nil // it answers; that it takes no writes is noted
	}
	return err
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
