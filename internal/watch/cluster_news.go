package watch

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
)

// tell hands on what has changed.
func (d *Cluster) tell(was cluster.Decision) {
	changed := d.changed(was)
	for _, one := range changed[:min(len(changed), maxLines)] {
		d.log(one)
	}
	if len(changed) > maxLines {
		d.c.Log.LogAttrs(d.ctx, slog.LevelWarn, "cluster: many shards at once", slog.String("event", "cluster.decision"), slog.Int("shards", len(changed)))
	}
	if len(changed)+len(d.now.Finished) > 0 || time.Since(d.viewAt) >= viewEach {
		d.news()
	}
	if len(d.now.Finished) > 0 {
		d.hooks.Ended(d.now.Finished)
	}
}

// maxLines bounds the lines of one decision in the log.
const maxLines = 8

// change is what became of a shard.
type change struct{ was, now cluster.Shard }

// changed are the shards whose stage or master is another. Both lists are by number.
func (d *Cluster) changed(was cluster.Decision) (all []change) {
	i := 0
	for _, now := range d.now.Shards {
		for i < len(was.Shards) && was.Shards[i].Number < now.Number {
			i++
		}
		var before cluster.Shard
		if i < len(was.Shards) && was.Shards[i].Number == now.Number {
			before = was.Shards[i]
		}
		if before.Stage != now.Stage || before.Generation != now.Generation || before.Master != now.Master {
			all = append(all, change{before, now})
		}
	}
	return all
}

func (d *Cluster) log(c change) {
	level := slog.LevelInfo
	if c.now.Stage >= cluster.Blocked && c.was.Stage < cluster.Blocked {
		level = slog.LevelWarn
	}
	d.c.Log.LogAttrs(d.ctx, level, "cluster: shard "+c.now.Stage.String(),
		slog.String("event", "cluster.decision"), slog.Uint64("shard", uint64(c.now.Number)),
		slog.String("stage", c.now.Stage.String()), slog.String("was", c.was.Stage.String()), slog.String("trouble", c.now.Trouble.String()),
		slog.String("addr", c.now.Master.Addr.String()), slog.Int64("epoch", c.now.Epoch), slog.Int("slots", c.now.Slots.Len()))
}

func (d *Cluster) news() {
	d.viewAt = time.Now()
	v := ClusterView{
		Decision: d.now, Reasons: map[uint32]error{}, History: d.machine.History(), Failovers: d.machine.Failovers(),
		Forbidden: d.missing.list(), Troubles: d.troubles.of(slices.Collect(maps.Keys(d.askers))),
	}
	for _, st := range d.seats {
		if !st.up {
			v.Reasons[st.number] = st.reason()
		}
	}
	if len(d.now.Shards) == 0 {
		v.Reason = d.unfound(v.Troubles)
	}
	d.seeking.Store(len(v.Reasons) == len(d.seats))
	d.hooks.News(v)
}

// unfound says why no Cluster has been found: what an operator has to mend first.
func (d *Cluster) unfound(troubles map[cluster.Addr]error) error {
	if err := d.complaints.last(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoCluster, err)
	}
	for _, f := range d.now.Findings {
		if f.Code == cluster.CodeTwoClusters {
			return fmt.Errorf("%w: the seeds lead to several", ErrNoCluster)
		}
	}
	as := slices.SortedFunc(maps.Keys(troubles), func(a, b cluster.Addr) int { return strings.Compare(a.String(), b.String()) })
	for _, a := range as {
		return fmt.Errorf("%w: %s: %w", ErrNoCluster, a, troubles[a])
	}
	return ErrNoCluster
}

// reason is why the shard has no node in use.
func (st *shardSeat) reason() error {
	switch sh := &st.shard; {
	case sh.Stage == cluster.Degraded && sh.Trouble == cluster.TroubleSilent:
		return ErrLongSilence
	case sh.Writes() && st.lastEnd != nil:
		return fmt.Errorf("%w: %w", ErrNotConnected, st.lastEnd)
	case sh.Writes():
		return ErrNotConnected
	}
	if err := blocked[st.shard.Trouble]; err != nil {
		return err
	}
	return ErrNoAnswer
}

// isTryAgain reports whether a node has only some of a command's keys of a moving slot.
func isTryAgain(err error) bool {
	code, _, _ := strings.Cut(remote.ReplyIn(err), " ")
	return code == "TRYAGAIN"
}
