package evercache

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// drain sends what waits, a pipeline at a time, oldest first; a record under a
// prefix that is still to be deleted waits for that. Reads of these keys are
// answered from the outbox until they are sent, so it can go on while callers
// are served. What the master refuses holds up nothing else; the error is about
// what is left.
func (c *Client) drain(ctx context.Context, node *remote.Node) error {
	d := &drainage{client: c, node: node, refused: map[string]uint64{}, sweeps: map[string]*sweep{}, failed: map[uint64]bool{}}
	for ctx.Err() == nil && c.node.Load() == node {
		more, err := d.prefixes(ctx)
		if err != nil {
			return err
		}
		sent, err := d.records(ctx)
		if err != nil {
			return err
		}
		if !more && !sent {
			return d.left
		}
	}
	return errInterrupted
}

var errInterrupted = errors.New("the replay was interrupted")

// drainage is one pass over the outbox.
type drainage struct {
	client *Client
	node   *remote.Node

	sweeps      map[string]*sweep // by class
	failed      map[uint64]bool   // prefixes that the master refuses to delete
	refused     map[string]uint64 // records that it refuses, by key
	deletesOnly bool              // it is out of memory: deletes it takes
	left        error             // why something is left
}

// wants reports whether to try a record in this pass.
func (d *drainage) wants(r *outbox.Record) bool {
	if seq, no := d.refused[r.Key]; no && seq == r.Seq {
		return false
	}
	return !d.deletesOnly || r.Kind == outbox.Delete || r.Kind == outbox.Invalidate
}

// records sends one pipeline, each record under its key's lane: a direct write
// of the same key must not be under way. Keys that are being written are left
// to it. sent: there may be more.
func (d *drainage) records(ctx context.Context) (sent bool, _ error) {
	rs := d.client.outbox.Oldest(remote.MaxBatch, d.wants)
	if len(rs) == 0 {
		return false, nil
	}
	var held []outbox.Record
	var ws []remote.Replay
	var lanes []*lane
	defer func() {
		for _, l := range lanes {
			d.client.lanes.unlock(l)
		}
	}()
	for _, r := range rs {
		l := d.client.lanes.tryLock(r.Key)
		if l == nil {
			continue
		}
		lanes = append(lanes, l)
		r, ok := d.client.outbox.Ready(r.Key) // it may have been replaced or sent meanwhile
		if !ok {
			continue
		}
		if d.noteLife(ctx, &r) != nil {
			continue
		}
		d.date(&r)
		w := d.client.replayOf(r)
		r.SendAgain(outbox.End{From: w.Ends, To: w.Ends})
		held = append(held, r)
		ws = append(ws, w)
	}
	if len(ws) == 0 {
		_ = remote.Pause(ctx, time.Millisecond)
		return true, nil
	}
	keys := make([]string, len(ws))
	for i := range ws {
		keys[i] = ws[i].Key
	}
	defer d.client.scripts.enter(keys...)()
	outcomes, _ := d.node.Replay(ctx, ws, d.client.opts.WriteTimeout)
	err := d.conclude(held, outcomes)
	_ = d.node.PingFeed(ctx, d.client.opts.ReadTimeout) // behind what was announced of them
	return true, err
}

// date gives a record its time on a master's clock, where it has none: it was
// never sent. That is the clock of the time when it was made.
func (d *drainage) date(r *outbox.Record) {
	if r.Hi == 0 {
		at := d.client.clock.moment(r.Since)
		low, high := d.node.ServerTime(at)
		jumped := d.client.clocks.Since(at)
		r.Lo, r.Hi = low-jumped.High.Milliseconds(), high-jumped.Low.Milliseconds()
	}
	r.Hi = max(r.Hi, r.Floor) // it follows our own earlier write, which may have landed late
}

// noteLife lets the master know how long the record is to live: others have to
// tell from its end when it was written.
func (d *drainage) noteLife(ctx context.Context, r *outbox.Record) error {
	s := d.client.subscriberOf(r.Key)
	if s == nil || r.Kind != outbox.Set && r.Kind != outbox.Touch || r.TTL <= 0 {
		return nil
	}
	return s.noteLife(ctx, d.node, r.TTL, r.Kind == outbox.Touch)
}

// widen says how much wider the times of what was made then are by the clocks of
// others: servers' clocks may have jumped since.
func (c *Client) widen(cond *remote.Cond, since int64) {
	jumped := c.clocks.Since(c.clock.moment(since))
	cond.From = cond.Lo + jumped.Fell.Milliseconds()
	cond.To = cond.Hi + (jumped.Rose + jumped.Before).Milliseconds()
}

// replayOf is how a record is put back: unless another process has written the
// key since. What has expired meanwhile, is to be loaded anew, or is older than
// tombstones live, is deleted, or an old value would come back.
func (c *Client) replayOf(r outbox.Record) remote.Replay {
	w := remote.Replay{Kind: remote.Restore, Key: r.Key, Data: r.Value, Cond: remote.CondOf(c.opts.KeyPrefix, r.Key, c.process)}
	w.Lo, w.Hi, w.Floor, w.Late = r.Lo, r.Hi, r.Floor, r.Late
	w.Ends = r.Hi + time.Duration(r.Ends-r.Since).Milliseconds()
	for _, e := range r.Known() {
		w.Own = append(w.Own, remote.Range{From: e.From, To: e.To})
	}
	c.widen(&w.Cond, r.Since)
	now := c.clock.precise()
	ended := r.Ends-now < int64(time.Millisecond)
	switch {
	case r.Kind == outbox.Touch && !ended:
		w.Kind = remote.Prolong
	case r.Kind != outbox.Set, r.Invalidate, now-r.Since > int64(remote.TombstoneLife):
		w.Kind = remote.Invalidate
	case ended:
		w.Kind = remote.Invalidate
		c.expired.Add(1)
	}
	return w
}

// conclude takes out of the outbox what the master has taken.
func (d *drainage) conclude(rs []outbox.Record, outcomes []remote.Outcome) error {
	var outage error
	for i, r := range rs {
		switch k := remote.KindOf(outcomes[i].Err); {
		case k == remote.OK || k == remote.Nil:
			d.done(r, outcomes[i].Result)
		case k == remote.Logical:
			d.client.rejected(r, outcomes[i].Err)
		case k == remote.NoPerm && r.Ends < d.client.clock.precise():
			d.client.outbox.Done(r.Key, r.Seq) // it would be gone, and what is there is not ours
			d.client.journal.done(recordKey(r.Key))
		case k == remote.NoPerm || k == remote.OOM:
			d.refused[r.Key], d.left = r.Seq, outcomes[i].Err
			d.deletesOnly = d.deletesOnly || k == remote.OOM
		default:
			outage = outcomes[i].Err
		}
	}
	return outage
}

// done takes out a record that the master has taken, or has something better
// than. What memory holds of the latter is not what Redis holds.
func (d *drainage) done(r outbox.Record, result remote.Result) {
	c := d.client
	switch result {
	case remote.Superseded:
		c.recovery.superseded.Add(1)
	case remote.Unknown:
		c.recovery.invalidated.Add(1)
		r.Kind, r.Value = outbox.Invalidate, nil
	}
	if result == remote.Superseded {
		c.journal.done(recordKey(r.Key))
	} else if _, ok := c.taken(r, d.node); !ok {
		return // it waits for the next master
	}
	c.outbox.Done(r.Key, r.Seq)
	c.replayed.Add(1)
	if s := c.subscriberOf(r.Key); s != nil && (result != remote.Done || r.Kind != outbox.Set || r.Invalidate) {
		s.discard(r.Key)
	}
}

// rejected is a kept write that the master will never take, such as a value
// over its limit: the key is deleted there instead, and it is told.
func (c *Client) rejected(r outbox.Record, err error) {
	if c.rejections.Add(1) == 1 {
		c.log.LogAttrs(c.ctx, slog.LevelError, "redis rejects a kept write: its key is deleted instead",
			slog.String("event", "write.rejected"), slog.String("error", err.Error()))
	}
	c.outbox.Done(r.Key, r.Seq)
	if r.Kind == outbox.Set {
		r.Kind, r.Value = outbox.Invalidate, nil
		_ = c.outbox.Put(r)
	}
}
