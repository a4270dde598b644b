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
	d := &drainage{client: c, node: node, refused: map[string]uint64{}, cursors: map[uint64]uint64{}, failed: map[uint64]bool{}}
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

	cursors     map[uint64]uint64 // how far each prefix has come
	failed      map[uint64]bool   // prefixes that the master refuses to delete
	refused     map[string]uint64 // records that it refuses, by key
	deletesOnly bool              // it is out of memory: deletes it takes
	left        error             // why something is left
}

// prefixSteps is how many steps of a prefix are taken before records have a
// turn again: to go over a large keyspace takes minutes.
const prefixSteps = 50

// prefixes goes some way with each prefix; more: there is more to go.
func (d *drainage) prefixes(ctx context.Context) (more bool, _ error) {
	for _, p := range d.client.outbox.Prefixes() {
		if d.failed[p.Seq] {
			continue
		}
		done, err := d.prefix(ctx, p)
		switch k := remote.KindOf(err); {
		case done:
			d.client.outbox.DonePrefix(p.Seq)
			d.client.replayed.Add(1)
		case k == remote.Logical || k.Refused():
			d.failed[p.Seq], d.left = true, err
		case err != nil:
			return false, err
		default:
			more = true
		}
	}
	return more, nil
}

func (d *drainage) prefix(ctx context.Context, p outbox.Prefix) (done bool, err error) {
	for range prefixSteps {
		_, next, err := d.node.DeletePrefixFrom(ctx, p.Text, d.cursors[p.Seq], d.client.opts.WriteTimeout)
		if err != nil || next == 0 {
			return err == nil, err
		}
		d.cursors[p.Seq] = next
	}
	return false, nil
}

// wants reports whether to try a record in this pass.
func (d *drainage) wants(r *outbox.Record) bool {
	if seq, no := d.refused[r.Key]; no && seq == r.Seq {
		return false
	}
	return !d.deletesOnly || r.Kind == outbox.Delete
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
	var ws []remote.Write
	defer func() {
		for _, r := range held {
			d.client.lanes.unlock(r.Key)
		}
	}()
	for _, r := range rs {
		if !d.client.lanes.tryLock(r.Key) {
			continue
		}
		r, ok := d.client.outbox.Ready(r.Key) // it may have been replaced or sent meanwhile
		if !ok {
			d.client.lanes.unlock(r.Key)
			continue
		}
		held = append(held, r)
		ws = append(ws, d.client.replayOf(r))
	}
	if len(ws) == 0 {
		_ = remote.Pause(ctx, time.Millisecond)
		return true, nil
	}
	errs, _ := d.node.WriteMany(ctx, ws, d.client.opts.WriteTimeout)
	return true, d.conclude(held, errs)
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

// conclude takes out of the outbox what the master has taken.
func (d *drainage) conclude(rs []outbox.Record, errs []error) error {
	var outage error
	for i, r := range rs {
		switch k := remote.KindOf(errs[i]); {
		case k == remote.OK || k == remote.Nil:
			d.client.outbox.Done(r.Key, r.Seq)
			d.client.replayed.Add(1)
		case k == remote.Logical:
			d.client.rejected(r, errs[i])
		case k == remote.NoPerm && r.Ends < d.client.clock.precise():
			d.client.outbox.Done(r.Key, r.Seq) // it would be gone, and what is there is not ours
		case k == remote.NoPerm || k == remote.OOM:
			d.refused[r.Key], d.left = r.Seq, errs[i]
			d.deletesOnly = d.deletesOnly || k == remote.OOM
		default:
			outage = errs[i]
		}
	}
	return outage
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
		_ = c.outbox.Put(outbox.Record{Kind: outbox.Delete, Key: r.Key, Class: r.Class, Since: r.Since, Ends: r.Ends})
	}
}
