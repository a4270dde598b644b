package shard

import (
	"cmp"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/counter"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/watch"
)

// clusterHealth is nil outside Cluster mode. The failovers are not in it: only who asks
// for the whole of Health needs them.
func (st *Store) clusterHealth() *health.Cluster {
	if st.Config.Mode != health.ModeCluster {
		return nil
	}
	return clusterShown(st.clusterView.Load(), st.Config.ClusterNodes, st.Config.AddressMap, st.used())
}

// used are the shards whose master is in use at this moment: a view is a little older.
func (st *Store) used() map[uint32]bool {
	st.members.mu.Lock()
	defer st.members.mu.Unlock()
	used := map[uint32]bool{}
	for number, sh := range st.members.all {
		used[number] = sh.Node.Load() != nil
	}
	return used
}

// clusterSeen is what findings need beside that.
func (st *Store) clusterSeen() findings.Cluster {
	if st.Config.Mode != health.ModeCluster {
		return findings.Cluster{}
	}
	return findings.Cluster{Notes: clusterNotes(st.clusterView.Load()), Clocks: clocksDiffer(st.serverClocks(time.Now()))}
}

// maxUnreachable bounds the nodes that are shown because they do not answer.
const maxUnreachable = 64

// clusterShown is a view as it is shown; nil: nothing was seen yet.
func clusterShown(v *watch.ClusterView, seeds []string, addressMap map[string]string, used map[uint32]bool) *health.Cluster {
	h := &health.Cluster{Configured: seeds, Unowned: slot.Count}
	if v == nil {
		return h
	}
	d := v.Decision
	h.Unowned, h.Moving = d.Unowned.Len(), d.Moving.Len()
	h.Owned = slot.Count - h.Unowned
	h.Confirmed, h.Cause = d.Confirmed, v.Reason
	h.FailoverCount, h.Forbidden = v.Failovers, v.Forbidden
	for _, sh := range d.Shards {
		h.Shards = append(h.Shards, shardShown(sh, used[sh.Number], v.Reasons[sh.Number]))
	}
	for _, a := range nodesOf(d, seeds, addressMap, v.Troubles) {
		h.Known++
		err := v.Troubles[a]
		switch {
		case err == nil:
			h.Reachable++
		case len(h.Unreachable) < maxUnreachable:
			h.Unreachable = append(h.Unreachable, health.ClusterNode{Addr: a.String(), Err: err, Code: findings.ClusterCode(NodeReason(err))})
		}
	}
	return h
}

func shardShown(sh cluster.Shard, used bool, cause error) health.ClusterShard {
	h := health.ClusterShard{
		Number: sh.Number, Master: sh.Master.Addr.String(), NodeID: sh.Master.ID.String(), Slots: sh.Slots.Len(), Ranges: sh.Slots.String(),
		Epoch: sh.Epoch, InUse: used, Stage: sh.Stage.String(), Since: sh.Since,
	}
	if !used {
		if cause == nil {
			cause = watch.ErrNotConnected
		}
		h.Cause, h.Code = cause, findings.ClusterCode(NodeReason(cause))
	}
	for _, r := range sh.Promotable {
		h.Replicas = append(h.Replicas, r.Addr.String())
	}
	return h
}

// nodesOf are the nodes that are asked, by address. When shards are known, a seed that
// leads to one of them under another name or address is not counted twice. A name that
// leads nowhere is counted.
func nodesOf(d cluster.Decision, seeds []string, addressMap map[string]string, troubles map[cluster.Addr]error) (nodes []cluster.Addr) {
	known := map[cluster.Addr]bool{}
	for _, sh := range d.Shards {
		known[sh.Master.Addr] = true
		for _, r := range sh.Promotable {
			known[r.Addr] = true
		}
	}
	dialled := map[string]bool{}
	for _, to := range addressMap {
		dialled[to] = true
	}
	for _, ask := range d.Asks {
		text := ask.Addr.String()
		alias := len(d.Shards) > 0 && !known[ask.Addr] && slices.Contains(seeds, text) &&
			(dialled[text] || net.ParseIP(ask.Addr.Host) == nil && !unresolved(troubles[ask.Addr]))
		if !alias {
			nodes = append(nodes, ask.Addr)
		}
	}
	slices.SortFunc(nodes, func(a, b cluster.Addr) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(nodes)
}

// noteCodes are what notes of the decision are reported as.
var noteCodes = map[cluster.Code]string{
	cluster.CodeUnowned:     health.CodeClusterSlotUncovered,
	cluster.CodeMoving:      health.CodeClusterSlotMoving,
	cluster.CodeDown:        health.CodeClusterDown,
	cluster.CodeNoReplica:   health.CodeClusterNoReplica,
	cluster.CodeDisagree:    health.CodeClusterNodesDisagree,
	cluster.CodeStranger:    health.CodeClusterStranger,
	cluster.CodeTwoClusters: health.CodeClusterTwoClusters,
	cluster.CodeReplaced:    health.CodeClusterReplaced,
	cluster.CodeRival:       health.CodeClusterRival,
}

func clusterNotes(v *watch.ClusterView) (notes []findings.ClusterNote) {
	if v == nil {
		return nil
	}
	for _, f := range v.Decision.Findings {
		n := findings.ClusterNote{Code: noteCodes[f.Code], Shard: f.Shard, ID: f.Node.ID.String(), Slots: f.Slots, First: f.First, Since: f.Since}
		if !f.Node.Addr.IsZero() {
			n.Node = f.Node.Addr.String()
		}
		notes = append(notes, n)
	}
	return notes
}

// clusterEnded tells of the failovers among episodes that have ended.
func (st *Store) clusterEnded(records []cluster.Record) {
	for _, r := range records {
		if r.Failover() {
			f := st.clusterFailover(r)
			st.failovers.Add(f.Cause)
			st.downtimeLengths.ObserveIn(counter.DowntimeBounds, f.Blackout)
			st.status.failedOver(f)
			st.Log.LogAttrs(st.Ctx, slog.LevelWarn, "failover", slog.String("event", "failover"), slog.Uint64("shard", uint64(f.Shard)),
				slog.String("from", f.From), slog.String("to", f.To), slog.String("cause", f.Cause), slog.Int64("epoch", f.Epoch),
				slog.Float64("blackout_s", f.Blackout.Seconds()), slog.Uint64("replayed", f.Replayed))
		}
	}
}

// clusterFailovers are those that are remembered, oldest first.
func (st *Store) clusterFailovers() (all []health.Failover) {
	v := st.clusterView.Load()
	if v == nil {
		return nil
	}
	for _, r := range v.History {
		if r.Failover() {
			all = append(all, st.clusterFailover(r))
		}
	}
	return all
}

// clusterFailover is the record of an ended failover with what callers saw of it, where
// its shard still is.
func (st *Store) clusterFailover(r cluster.Record) health.Failover {
	f := failoverOf(r)
	if sh := st.members.get(r.Shard); sh != nil {
		to := cmp.Or(st.Config.AddressMap[f.To], f.To)
		if took, replayed := sh.downtimes.of(to, f.At, st.replayed.Load()); took > 0 {
			f.Blackout, f.Replayed = took, replayed
		}
	}
	return f
}

// failoverOf is the record of an ended failover as it is shown.
func failoverOf(r cluster.Record) health.Failover {
	f := health.Failover{
		At: r.Promoted, Shard: r.Shard, From: r.From.Addr.String(), To: r.To.Addr.String(), Cause: r.Cause.String(), Epoch: r.Epoch,
		Blackout: r.Blocked, SDown: r.Suspected, ODown: r.Failed, Promoted: r.Promoted, Confirmed: r.Ended,
	}
	if f.At.IsZero() {
		f.At = r.Opened
	}
	return f
}

// serverClock is how far the clock of a master is ahead of ours.
type serverClock struct {
	addr      string
	low, high time.Duration
}

// serverClocks are those of the masters in use, as far as they have told their time.
func (st *Store) serverClocks(now time.Time) (all []serverClock) {
	for _, sh := range st.shards() {
		n := sh.Node.Load()
		if n == nil {
			continue
		}
		if low, high, ok := n.ClockAhead(now); ok {
			all = append(all, serverClock{n.Addr, low, high})
		}
	}
	return all
}

// clocksApart is how far the clocks of two masters must be apart to be told. NTP keeps
// them within some milliseconds; of a key that moves, writes within the difference
// cannot be put in order.
const clocksApart = 50 * time.Millisecond

// clocksDiffer finds the two clocks that are apart most, by as much as is certain; nil:
// none are.
func clocksDiffer(all []serverClock) *findings.ClocksDiffer {
	if len(all) < 2 {
		return nil
	}
	behind, ahead := all[0], all[0]
	for _, c := range all {
		if c.high < behind.high {
			behind = c
		}
		if c.low > ahead.low {
			ahead = c
		}
	}
	by := ahead.low - behind.high
	if by < clocksApart {
		return nil
	}
	return &findings.ClocksDiffer{Behind: behind.addr, Ahead: ahead.addr, By: by}
}
