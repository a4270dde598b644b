package shard

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/evercache/evercache/internal/keylock"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
)

// Drain sends what waits, a pipeline at a time, oldest first; a record under a
// prefix that is still to be deleted waits for that. Reads of these keys are
// answered from the outbox until they are sent, so it can go on while callers
// are served. What the master refuses holds up nothing else; the error is about
// what is left.
func (sh *Shard) Drain(ctx context.Context, node *remote.Node) error {
	sh.batches.begin()
	d := &drainage{shard: sh, node: node, refused: map[string]uint64{}, sweeps: map[string]*sweep{}, failed: map[uint64]bool{}, doubted: map[string]bool{}}
	defer d.logEvicted()
	defer d.leaveSweeps()
	node.Sharpen(ctx) // records are dated by its clock
	for ctx.Err() == nil && sh.Node.Load() == node {
		if sh.awaitsAnchor(sh.slots.Load()) {
			return errAwaitsAnchor
		}
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
	shard *Shard
	node  *remote.Node

	sweeps      map[string]*sweep // by group: see waiting
	apart       bool              // each class has a sweep of its own
	failed      map[uint64]bool   // prefixes that the master refuses to delete
	refused     map[string]uint64 // records that it refuses, by key
	deletesOnly bool              // it is out of memory: deletes it takes
	left        error             // why something is left
	lies        *slotsOf          // in Cluster mode: the slots of the shard; nil elsewhere
	generation  uint32            // of the ledger, before anything of the pipeline is sent
	known       Evictions         // what the node has evicted
	asked       time.Time         // when it said that
	doubted     map[string]bool   // records of the pipeline that are deletes, since traces may have been evicted
	evicted     int               // all of the pass
}

// wants reports whether to try a record in this pass.
func (d *drainage) wants(r *outbox.Record) bool {
	if d.lies != nil && (!d.lies.owned.Has(r.Slot) || d.lies.moving.Has(r.Slot)) {
		return false // it is another's, or waits until the slot has moved
	}
	if seq, no := d.refused[r.Key]; no && seq == r.Seq {
		return false
	}
	if d.shard.batches.suspects(r) {
		return false
	}
	return !d.deletesOnly || r.Kind == outbox.Delete || r.Kind == outbox.Invalidate
}

var errAwaitsAnchor = errors.New("the master has got its first slots: what waits for them is sent when it has some more, or in ten seconds")

// records sends one pipeline, of so many bytes as the connection has carried so far,
// each record under its key's lock: a direct write
// of the same key must not be under way. Keys that are being written are left
// to it. sent: there may be more.
func (d *drainage) records(ctx context.Context) (sent bool, _ error) {
	b := &d.shard.batches
	d.lies, d.generation = d.shard.slots.Load(), d.shard.Ledger.Generation()
	d.node.Settle(ctx) // what nobody waited for may be on its way still
	rs := b.cut(d.shard.Outbox.Oldest(b.most(), d.wants))
	if len(rs) == 0 {
		if rs = d.suspect(); len(rs) == 0 {
			return false, nil
		}
	}
	clear(d.doubted)
	if err := d.lookForEvictions(ctx); err != nil {
		return false, err
	}
	var held []outbox.Record
	var ws []remote.Replay
	var locks []*keylock.Held
	defer func() {
		for _, l := range locks {
			d.shard.Locks.Unlock(l)
		}
	}()
	for _, r := range rs {
		l := d.shard.Locks.TryLock(r.Key)
		if l == nil {
			continue
		}
		locks = append(locks, l)
		r, ok := d.shard.Outbox.Ready(r.Key) // it may have been replaced or sent meanwhile
		if !ok {
			continue
		}
		d.doubt(&r)
		blur, kin := d.date(&r)
		if err := d.noteLife(ctx, &r, blur); err != nil {
			if !d.refuses(r, err) {
				return false, err
			}
			continue
		}
		w := d.shard.ReplayOf(r)
		w.Kin, w.KinSums = remote.Range{From: kin.Ends.From, To: kin.Ends.To}, kin.Sums
		r.SendAgain(outbox.End{From: w.Ends, To: w.Ends})
		held = append(held, r)
		ws = append(ws, w)
	}
	if len(ws) == 0 {
		_ = remote.Pause(ctx, time.Millisecond)
		return true, nil
	}
	keys, bytes := make([]string, len(ws)), int64(0)
	for i := range ws {
		keys[i] = ws[i].Key
		bytes += int64(len(ws[i].Data))
	}
	defer d.shard.Scripts.Enter(keys...)()
	began := time.Now()
	outcomes := d.send(ctx, ws, d.node.Allowance(bytes, d.shard.Config.WriteTimeout))
	err := d.proved(ctx, held, ws, outcomes)
	b.went(held, time.Since(began), err)
	_ = d.node.PingFeed(ctx, d.shard.Config.ReadTimeout) // behind what was announced of them
	return true, err
}

// send sends them, a large one over a connection of its own.
func (d *drainage) send(ctx context.Context, ws []remote.Replay, limit time.Duration) []remote.Outcome {
	if len(ws) == 1 && len(ws[0].Data) >= remote.LargeWrite {
		o, _ := d.node.ReplayLarge(ctx, ws[0], limit)
		return []remote.Outcome{o}
	}
	outcomes, _ := d.node.Replay(ctx, ws, limit)
	return outcomes
}

// suspect is a record that a connection broke on, when nothing else is left, or
// none. One that broke it too often is given up.
func (d *drainage) suspect() []outbox.Record {
	mine := func(r *outbox.Record) bool {
		return d.shard.batches.suspects(r) && (d.lies == nil || d.lies.owned.Has(r.Slot))
	}
	for _, r := range d.shard.Outbox.Oldest(maxSuspects, mine) {
		if seq, no := d.refused[r.Key]; no && seq == r.Seq || d.deletesOnly {
			continue
		}
		if d.shard.batches.hopeless(&r) {
			d.shard.rejected(r, errBreaks)
			continue
		}
		return []outbox.Record{r}
	}
	return nil
}

var errBreaks = errors.New("the connection ends whenever it is sent")

// date gives a record its time on a master's clock, where it has none: it was
// never sent. That is the clock of the time when it was made, and blur is how well
// it is known. One that was sent had its life noted then.
//
// One whose slot has moved gets the times of this master's clock: see outbox.Record.To.
func (d *drainage) date(r *outbox.Record) (blur int64, kin outbox.Kin) {
	lo, hi := d.made(r.Since)
	if r.Hi == 0 {
		blur = hi - lo
	}
	mine := d.shard.clock
	if r.Moved == nil && r.By != nil && r.By != mine { // it was kept only after the move
		r.Moved = r.By.Read()
	}
	switch m := r.Moved; {
	case m != nil && m.By != mine:
		low, high := d.node.ServerTime(d.shard.Clock.Moment(m.At))
		kin = r.To(mine, low, high, migrated.Milliseconds(), outbox.End{From: lo, To: hi})
	case r.Hi == 0:
		r.Lo, r.Hi = lo, hi
	}
	r.Moved, r.By = nil, mine
	r.Hi = max(r.Hi, r.Floor) // it follows our own earlier write, which may have landed late
	return blur, kin
}

// made is when something was made, by the clock of the master of that time.
func (d *drainage) made(since int64) (lo, hi int64) {
	at := d.shard.Clock.Moment(since)
	low, high := d.node.ServerTime(at)
	jumped := d.shard.clocks.Since(at)
	return low - jumped.High.Milliseconds(), high - jumped.Low.Milliseconds()
}

// noteLife lets the master know how long the record is to live: others have to
// tell from its end when it was written.
func (d *drainage) noteLife(ctx context.Context, r *outbox.Record, blur int64) error {
	k := d.shard.ClassOf(r.Key)
	if k == nil || r.Kind != outbox.Set && r.Kind != outbox.Touch || r.TTL <= 0 {
		return nil
	}
	return k.NoteLife(ctx, d.shard, d.node, r.TTL, r.Touched(), blur)
}

// widen says how much wider the times of what was made then are by the clocks of
// others: servers' clocks may have jumped since.
func (sh *Shard) widen(cond *remote.Cond, since int64) {
	jumped := sh.clocks.Since(sh.Clock.Moment(since))
	cond.From = cond.Lo + jumped.Fell.Milliseconds()
	cond.To = cond.Hi + (jumped.Rose + jumped.Before).Milliseconds()
}

// ReplayOf is how a record is put back: unless another process has written the
// key since. What has expired meanwhile, is to be loaded anew, or is older than
// tombstones live, is deleted, or an old value would come back. A Touch only moves
// an end, into the past too.
func (sh *Shard) ReplayOf(r outbox.Record) remote.Replay {
	w := remote.Replay{Kind: remote.Restore, Key: r.Key, Data: r.Value, Cond: sh.condOf(&r)}
	// Its end tells others when it was written at the earliest: see remote.Life.
	w.Ends = r.Lo + time.Duration(r.Ends-r.Since).Milliseconds()
	if k := sh.ClassOf(r.Key); k != nil {
		w.Brief = k.brief(r.TTL)
	}
	now := sh.Clock.Now()
	ended := r.Ends-now < int64(time.Millisecond)
	switch {
	case r.Kind == outbox.Touch:
		w.Kind = remote.Retime
	case r.Kind != outbox.Set, r.Invalidate, now-r.Since > int64(remote.TombstoneLife):
		w.Kind = remote.Invalidate
	case ended:
		w.Kind = remote.Invalidate
		sh.expired.Add(1)
	}
	return w
}

// condNow is where what is noted of a key is found. In a Cluster what is noted of its
// class is at an anchor.
func (sh *Shard) condNow(full string) remote.Cond {
	cond := remote.CondOf(sh.Config.KeyPrefix, full, sh.process)
	if lies := sh.slots.Load(); lies != nil {
		anchor, ok := lies.anchor(slot.Of(full))
		cond.AtAnchor(sh.Config.KeyPrefix, full, anchor, ok)
	}
	return cond
}

// condOf is what is known of a record for its order among those of others.
func (sh *Shard) condOf(r *outbox.Record) remote.Cond {
	cond := sh.condNow(r.Key)
	cond.Lo, cond.Hi, cond.Floor = r.Lo, r.Hi, r.Floor
	for _, e := range r.Earlier() {
		cond.Own = append(cond.Own, remote.Range{From: e.From, To: e.To})
	}
	if r.Sent != (outbox.End{}) {
		cond.Sent = []remote.Range{{From: r.Sent.From, To: r.Sent.To}}
	}
	sh.widen(&cond, r.Since)
	if r.Apart != (outbox.End{}) {
		cond.Apart = remote.Range{From: min(cond.From, r.Apart.From), To: max(cond.To, r.Apart.To)}
	}
	if r.Carried {
		cond.To += migrated.Milliseconds()
	}
	return cond
}

// conclude takes out of the outbox what the master has taken.
func (d *drainage) conclude(rs []outbox.Record, outcomes []remote.Outcome) error {
	var outage error
	for i, r := range rs {
		switch k := remote.KindOf(outcomes[i].Err); {
		case k == remote.OK || k == remote.Nil:
			d.done(r, outcomes[i].Result)
		case k == remote.Logical:
			d.shard.rejected(r, outcomes[i].Err)
		case k == remote.NoPerm && r.Ends < d.shard.Clock.Now():
			d.shard.Outbox.Done(r.Key, r.Seq) // it would be gone, and what is there is not ours
			d.shard.journal.Done(recordKey(r.Key), r.Since)
		case !d.refuses(r, outcomes[i].Err):
			outage = outcomes[i].Err
		}
	}
	return outage
}

// refuses notes that the master does not take a record in this pass. false: err is
// about the master.
func (d *drainage) refuses(r outbox.Record, err error) bool {
	k := remote.KindOf(err)
	if k.Unserved() && d.lies != nil { // its slot moves: it is tried again when that has moved
		d.refused[r.Key], d.left = r.Seq, err
		return true
	}
	if k != remote.NoPerm && k != remote.OOM && !k.Puzzling() {
		return false
	}
	d.refused[r.Key], d.left = r.Seq, err
	d.deletesOnly = d.deletesOnly || k == remote.OOM
	return true
}

// done takes out a record that the master has taken, or has something better
// than. What memory holds of the latter is not what Redis holds.
//
// What was superseded is held as a delete of its key. It is newer than other writes of
// the key, whose owners put them back if the master loses its data. What superseded it may
// then have no owner: it was a tombstone of nobody, or its owner has ended.
func (d *drainage) done(r outbox.Record, result remote.Result) {
	sh := d.shard
	switch result {
	case remote.Superseded:
		sh.recovery.superseded.Add(1)
	case remote.Unknown:
		sh.recovery.invalidated.Add(1)
	default:
		d.countDoubted(r.Key)
	}
	if result != remote.Done && r.Kind != outbox.Touch {
		r.Kind, r.Value = outbox.Invalidate, nil
	}
	if result == remote.Superseded && r.Kind == outbox.Touch {
		sh.journal.Done(recordKey(r.Key), r.Since)
	} else if _, ok := sh.taken(r, d.node, d.generation); !ok {
		return // it waits for the next master
	} else if r.Kind != outbox.Touch {
		sh.undone.AddDoubt(r.Key)
	}
	sh.Outbox.Done(r.Key, r.Seq)
	sh.replayed.Add(1)
	if result != remote.Superseded && (r.Kind == outbox.Delete || r.Kind == outbox.Invalidate) {
		sh.tombs.Left(len(remote.TombstoneKey(sh.Config.KeyPrefix, r.Key)), sh.Clock.Now())
	}
	if k := sh.ClassOf(r.Key); k != nil && (result != remote.Done || r.Kind != outbox.Set || r.Invalidate) {
		k.listener.Discard(r.Key)
	}
}

// rejected is a kept write that the master will never take, such as a value
// over its limit: the key is deleted there instead, and it is told.
func (st *Store) rejected(r outbox.Record, err error) {
	st.rejectedAt.Store(time.Now().UnixNano())
	if st.rejections.Add(1) == 1 {
		st.Log.LogAttrs(st.Ctx, slog.LevelError, "redis rejects a kept write: its key is deleted instead",
			slog.String("event", "write.rejected"), slog.String("error", err.Error()))
	}
	st.Outbox.Done(r.Key, r.Seq)
	if r.Kind == outbox.Set {
		r.Kind, r.Value = outbox.Invalidate, nil
		_ = st.Outbox.Put(r)
		st.journal.record(r, st)
		return
	}
	st.journal.Done(recordKey(r.Key), r.Since)
}
