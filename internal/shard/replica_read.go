package shard

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
)

// ReadReplicas lets replicas answer reads of the class, with what is at most so old. It
// is to be called before the class is used.
func (k *Class) ReadReplicas(most time.Duration) { k.most = int64(most) }

// replicaShare is the part of what a read's caller has left that a replica is given. The
// master gets the rest.
const replicaShare = 4

// replicaLimit is for how long a replica is waited for.
func replicaLimit(ctx context.Context, limit time.Duration) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end))
	}
	return limit / replicaShare
}

// fromReplica asks a replica first. What is left of the limit is for the master.
func (k *Class) fromReplica(ctx context.Context, sh *Shard, node *remote.Node, full string, limit time.Duration) (a Answer, ok bool, _ context.Context, left time.Duration) {
	if k.most == 0 || sh.replicas == nil {
		return Answer{}, false, ctx, limit
	}
	began := time.Now()
	as := k.askReplica(ctx, sh, node, []string{full}, replicaLimit(ctx, limit), k.most)
	if as != nil && as[0].Replica {
		return as[0], true, ctx, limit
	}
	ctx, left = deadline.Remainder(ctx, limit, time.Since(began))
	return Answer{}, false, ctx, left
}

// manyFromReplica is fromReplica for the keys of one shard. What a replica has answered is
// in as; the others, with their indexes, are for the master.
func (k *Class) manyFromReplica(ctx context.Context, sh *Shard, node *remote.Node, full []string, index []int, limit time.Duration, as []Answer) ([]string, []int, context.Context, time.Duration) {
	if k.most == 0 || sh.replicas == nil || len(full) == 0 {
		return full, index, ctx, limit
	}
	began := time.Now()
	found := k.askReplica(ctx, sh, node, full, replicaLimit(ctx, limit), k.most)
	ctx, limit = deadline.Remainder(ctx, limit, time.Since(began))
	if found == nil {
		return full, index, ctx, limit
	}
	var rest []string
	var at []int
	for j, i := range index {
		if found[j].Replica {
			as[i] = found[j]
		} else {
			rest, at = append(rest, full[j]), append(at, i)
		}
	}
	return rest, at, ctx, limit
}

// ReadCopy asks a replica while there is no master: what it has is as old as it is. Not
// ok: none has the key, or what it has is older than what is known of it.
func (k *Class) ReadCopy(ctx context.Context, full string, limit time.Duration) (a Answer, ok bool) {
	sh := k.st.of(full)
	node := sh.latest.Load()
	if k.most == 0 || sh.replicas == nil || node == nil || k.st.Waits(full) {
		return Answer{}, false
	}
	as := k.askReplica(ctx, sh, node, []string{full}, replicaLimit(ctx, limit), 0)
	if as == nil || !as[0].Replica {
		return Answer{}, false
	}
	as[0].Away = true
	return as[0], true
}

// askReplica asks one replica for keys, MaxBatch at most. Of the answers those count that
// are of a Replica; for the others the master is to be asked. nil: none was asked, or it
// gave no answer.
func (k *Class) askReplica(ctx context.Context, sh *Shard, node *remote.Node, full []string, limit time.Duration, most int64) []Answer {
	r, counts := sh.replicas, &k.st.copies
	sh.wantCopies(sh.Clock.Now())
	if !sh.settledKeys(full) {
		counts.refuse(moving, len(full))
		return nil
	}
	_, _, dated := node.ClockAhead(time.Now())
	if !dated {
		counts.refuse(string(noClock), len(full))
		return nil
	}
	one, conn := r.pick(sh.Clock.Now(), sh.Config.Zone)
	if one == nil {
		counts.refuse(noReplica, len(full))
		return nil
	}
	one.busy.Add(1)
	copies, err := conn.Read(ctx, node.BarrierKey(), full, limit)
	one.busy.Add(-1)
	if err != nil {
		k.replicaFailed(ctx, sh, one, err, len(full))
		return nil
	}
	as := make([]Answer, len(full))
	for i, c := range copies {
		as[i] = sh.judged(one, node, full[i], c, most)
	}
	return as
}

// replicaFailed draws what follows from a question without an answer.
func (k *Class) replicaFailed(ctx context.Context, sh *Shard, one *replica, err error, keys int) {
	kind := remote.KindOf(err)
	if kind == remote.Canceled || errors.Is(ctx.Err(), context.Canceled) {
		return // its caller has left
	}
	if kind == remote.Crowded {
		k.st.copies.refuse(noReplica, keys)
		return
	}
	v := verdictOf(kind)
	one.counts.refuse(err.Error(), keys)
	one.rest.after(v, sh.Clock.Now())
	k.st.copies.refuse(string(v), keys)
}

func verdictOf(k remote.Kind) verdict {
	switch k {
	case remote.Nil:
		return missing
	case remote.NoPerm:
		return forbidden
	case remote.Logical:
		return useless
	}
	return failed
}

// judged is a copy as an answer, if it may be served.
func (sh *Shard) judged(one *replica, node *remote.Node, full string, c remote.Copy, most int64) Answer {
	a, v := sh.understood(node, full, c, most)
	one.rest.after(v, sh.Clock.Now())
	if v == serves {
		one.counts.answered.Add(1)
		sh.copies.answered.Add(1)
		return a
	}
	if v.tells() {
		one.counts.refuse(verdictTexts[v], 1)
	}
	sh.copies.refuse(string(v), 1)
	return Answer{}
}

// tells reports whether a verdict is about the replica rather than about one key.
func (v verdict) tells() bool {
	switch v {
	case older, stranger, lagging, failed, forbidden:
		return true
	}
	return false
}

func (sh *Shard) understood(node *remote.Node, full string, c remote.Copy, most int64) (Answer, verdict) {
	r := sh.replicas
	h := held{n: c.Barrier, sent: r.sent.of(c.Barrier)}
	what := known{changed: r.changed.of(full), floor: r.floor.Load(), next: sh.Ledger.Next(), now: sh.Clock.Now(), most: most}
	if r.doubts.all.Load() != 0 {
		what.floor = math.MaxUint64
	}
	v := what.judge(h)
	switch {
	case v != serves:
		return Answer{}, v
	case c.Err != nil:
		return Answer{}, verdictOf(remote.KindOf(c.Err))
	case c.Long:
		return Answer{}, long
	}
	a := Answer{Found: true, Data: c.Data, Left: -1, Replica: true, Sent: h.sent}
	if c.Ends != 0 {
		_, high := node.ServerTime(time.Now())
		if c.Ends <= high {
			return Answer{}, over
		}
		a.Left = time.Duration(min(c.Ends-high, MaxTTL.Milliseconds())) * time.Millisecond
		a.End = End{From: c.Ends, To: c.Ends}
	}
	return a, serves
}

// settledKeys reports whether the shard has the slots of all keys for itself. Where slots
// have come to it, what it holds of them may be behind any barrier of before.
func (sh *Shard) settledKeys(full []string) bool {
	lies := sh.slots.Load()
	if lies == nil {
		return !sh.clustered()
	}
	if was := sh.replicas.slots.Load(); was != lies {
		came := lies.owned
		if was != nil {
			came.RemoveSet(&was.owned)
		}
		if !came.Empty() {
			sh.beginCopies()
		}
		sh.replicas.slots.Store(lies)
	}
	for _, key := range full {
		if s := slot.Of(key); lies.moving.Has(s) || !lies.owned.Has(s) {
			return false
		}
	}
	return true
}

// pick chooses whom to ask; nil: there is nobody.
func (r *replicas) pick(now int64, zone string) (*replica, *remote.Replica) {
	var room [maxReplicas]candidate
	var conns [maxReplicas]*remote.Replica
	all, cs := r.list(), room[:0]
	for i, one := range all {
		c := one.conn.Load()
		if c == nil || c.Broken() || !one.rest.over(now) {
			continue
		}
		conns[i] = c
		cs = append(cs, candidate{i, zone != "" && c.Zone == zone, int(one.busy.Load())})
	}
	i := choose(cs, r.turn.Add(1))
	if i < 0 {
		return nil, nil
	}
	return all[i], conns[i]
}
