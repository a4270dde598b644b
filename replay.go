package evercache

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// replayJitter spreads the replays of many processes when a master returns.
const replayJitter = 20 * time.Millisecond

// wakeReplay asks the replayer to look at the outbox.
func (c *Client) wakeReplay() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// keptWrite notes that the outbox has got a write, and asks for its replay.
func (c *Client) keptWrite(cause error) {
	if c.node.Load() != nil {
		c.status.apply(writesPending, cause)
	}
	c.wakeReplay()
}

// replay sends what the outbox holds whenever there is a master, until ctx ends.
func (c *Client) replay(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		node := c.node.Load()
		if node == nil {
			continue
		}
		if !c.outbox.Empty() {
			sleep(ctx, rand.N(replayJitter))
		}
		switch err := c.drain(ctx, node); {
		case c.node.Load() != node:
		case err != nil:
			c.status.blame(err)
		default:
			c.status.replayed(c.outbox.Empty)
		}
	}
}

// drain sends prefixes first (what waits under them is newer), then records,
// oldest first, a pipeline at a time. Reads of these keys are answered from the
// outbox until they are sent, so it can go on while callers are served.
func (c *Client) drain(ctx context.Context, node *remote.Node) error {
	for ctx.Err() == nil && c.node.Load() == node {
		if err := c.drainPrefixes(ctx, node); err != nil {
			return err
		}
		rs := c.outbox.Oldest(remote.MaxBatch)
		if len(rs) == 0 {
			return nil
		}
		if err := c.send(ctx, node, rs); err != nil {
			return err
		}
	}
	return errInterrupted
}

func (c *Client) drainPrefixes(ctx context.Context, node *remote.Node) error {
	for _, p := range c.outbox.Prefixes() {
		ctx, cancel := context.WithTimeout(ctx, prefixTimeout)
		_, err := node.DeletePrefix(ctx, p.Text, c.opts.WriteTimeout)
		cancel()
		if err != nil {
			return err
		}
		c.outbox.DonePrefix(p.Seq)
		c.replayed.Add(1)
	}
	return nil
}

var errInterrupted = errors.New("the replay was interrupted")

// send replays some records, each under its key's lane: a direct write of the
// same key must not be under way. Keys that are being written are left to it.
func (c *Client) send(ctx context.Context, node *remote.Node, rs []outbox.Record) error {
	var held []outbox.Record
	var ws []remote.Write
	defer func() {
		for _, r := range held {
			c.lanes.unlock(r.Key)
		}
	}()
	for _, r := range rs {
		if !c.lanes.tryLock(r.Key) {
			continue
		}
		r, ok := c.outbox.Ready(r.Key) // it may have been replaced or sent meanwhile
		if !ok {
			c.lanes.unlock(r.Key)
			continue
		}
		held = append(held, r)
		ws = append(ws, c.replayOf(r))
	}
	if len(ws) == 0 {
		sleep(ctx, time.Millisecond)
		return nil
	}
	errs, _ := node.WriteMany(ctx, ws, c.opts.WriteTimeout)
	return c.sent(held, errs)
}

// replayOf is how a record is put back: what has expired meanwhile, or is to be
// loaded anew, is deleted, or the old value would come back.
func (c *Client) replayOf(r outbox.Record) remote.Write {
	left := time.Duration(r.Ends - c.clock.precise())
	w := remote.Write{Pair: remote.Pair{Key: r.Key, Data: r.Value, TTL: left}}
	switch {
	case r.Kind == outbox.Delete, r.Invalidate && r.Kind == outbox.Set:
		w.Kind = remote.WriteDelete
	case left < time.Millisecond:
		w.Kind = remote.WriteDelete
		c.expired.Add(1)
	case r.Kind == outbox.Touch:
		w.Kind = remote.WriteExpire
	}
	return w
}

// sent takes what Redis has accepted out of the outbox.
func (c *Client) sent(rs []outbox.Record, errs []error) error {
	var worst error
	for i, r := range rs {
		switch k := remote.KindOf(errs[i]); k {
		case remote.OK, remote.Nil, remote.Logical: // a command that is wrong will not get right
			c.outbox.Done(r.Key, r.Seq)
			c.replayed.Add(1)
		default:
			worst = errs[i]
		}
	}
	return worst
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
