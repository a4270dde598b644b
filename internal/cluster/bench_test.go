package cluster

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// What one answer costs in a steady Cluster: it comes each second from each node.
func BenchmarkObserve(b *testing.B) {
	for name, masters := range map[string]int{"6 nodes": 3, "100 nodes": 50} {
		b.Run(name, func(b *testing.B) {
			w := newWide(b, masters)
			views := make([]View, 0, len(w.nodes))
			for _, n := range w.nodes {
				views = append(views, n.view(w))
			}
			i := 0
			next := func() {
				w.now = w.now.Add(time.Millisecond)
				v := views[i%len(views)]
				v.SentAt, v.At = w.now, w.now
				w.d = w.m.Observe(v)
				i++
			}
			for range 2 * len(views) {
				next()
			}
			if len(w.d.Shards) != masters {
				b.Fatalf("%d shards", len(w.d.Shards))
			}
			b.ReportAllocs()
			for b.Loop() {
				next()
			}
		})
	}
}

// newWide is a Cluster of many nodes, all of which know each other, and a machine.
func newWide(t testing.TB, masters int) *world {
	w := &world{t: t, now: epoch0}
	for i := range 2 * masters {
		n := w.add("n", i)
		n.id = ID{'n', byte(i), byte(i >> 8)}
		n.line.ID, n.line.Epoch = n.id, int64(i%masters+1)
		if i < masters {
			n.slots.AddRange(slot.Range{First: uint16(i * slot.Count / masters), Last: uint16((i+1)*slot.Count/masters - 1)})
		} else {
			n.line.Flags, n.line.Master = FlagReplica, w.nodes[i-masters].id
		}
	}
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			if a != b {
				a.table[b.id] = known{line: b.line, slots: b.slots}
			}
		}
	}
	w.m = New([]Addr{w.nodes[0].addr}, Rules{})
	return w
}
