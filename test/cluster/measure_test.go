package cluster_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// gaps tells for how long no write landed, of the shard that had the slots and of the
// others; a figure of a machine that is busy. promoted, where it is not zero, is when
// another node said that it is the master of the shard.
func (d *drill) gaps(slots []redistest.SlotRange, promoted time.Time) {
	d.Helper()
	ours := func(k chaos.Key) bool {
		s := redistest.Slot(class + ":" + k.String())
		return slices.ContainsFunc(slots, func(r redistest.SlotRange) bool { return r.First <= s && s <= r.Last })
	}
	var own, others []int64
	for _, e := range d.trace.Events() {
		switch {
		case e.Act == chaos.Look || e.Outcome < chaos.AtMaster || e.Outcome > chaos.AtReplicas:
		case ours(e.Key):
			own = append(own, e.End)
		default:
			others = append(others, e.End)
		}
	}
	said := "not seen"
	if !promoted.IsZero() {
		at := int64(promoted.Sub(d.trace.Began))
		slices.Sort(own)
		if i, _ := slices.BinarySearchFunc(own, at, cmp.Compare); i < len(own) {
			said = time.Duration(own[i] - at).Round(time.Millisecond).String()
		}
	}
	d.Logf("GAP of the shard %v, of the others %v; first write after the promotion %s", longest(own), longest(others), said)
}

// longest is the longest time between two of the moments.
func longest(moments []int64) time.Duration {
	slices.Sort(moments)
	var most int64
	for i := 1; i < len(moments); i++ {
		most = max(most, moments[i]-moments[i-1])
	}
	return time.Duration(most).Round(time.Millisecond)
}

// promotion watches the replicas of a master; the function tells when one of them said
// first that it is one itself.
func (d *drill) promotion(old *redistest.Server) (at func() time.Time) {
	d.Helper()
	var nodes []chaos.Node
	for _, n := range d.cluster.ReplicasOf(old) {
		nodes = append(nodes, chaos.Node{Addr: n.Addr()})
	}
	began, truth := time.Now(), chaos.Watch(nodes...)
	d.Cleanup(truth.Stop)
	return func() time.Time {
		r, _ := truth.Promoted(began, "", "")
		return r.At
	}
}
