package remote

import (
	"cmp"
	"context"
	"crypto/rand"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// dataset is what a node held at the last barrier that it took. Whoever puts
// another dataset in its place (SWAPDB, a reload from an older file) announces no
// key of it.
type dataset struct {
	barrier uint64 // 0: none was taken yet
	marker  string // "": none, or the ACL forbids to ask
}

// fate is what has become of a dataset.
type fate uint8

const (
	same fate = iota
	older
	another
)

// became judges by what the node holds right before the next barrier. Numbers only
// rise. A key that is gone alone was evicted or deleted by hand.
func (d dataset) became(now dataset) fate {
	switch {
	case d.barrier == 0 || now.barrier >= d.barrier:
		return same
	case now.barrier > 0:
		return older
	case d.marker != "" && now.marker == d.marker:
		return same
	}
	return another
}

// held is what a node answered to a glimpse of a heartbeat's key and of the
// marker; not ok: nobody can tell. unmarked: it has no marker.
func (n *Node) held(ctx context.Context, name string, key, marker rueidis.RedisResult) (now dataset, unmarked, ok bool) {
	text, err := n.beat.glanced(ctx, name, key)
	if err != nil && !IsNil(err) {
		return now, false, false
	}
	if now.barrier, err = strconv.ParseUint(strings.TrimSpace(text), 10, 64); err != nil && text != "" {
		return now, false, false // somebody has overwritten it
	}
	now.marker, err = n.beat.glanced(ctx, cmp.Or(n.heartbeat.Marker, name), marker)
	return now, IsNil(err), true
}

// holdsAtFirst takes what a node that is dialled answered to the same two glimpses.
func (n *Node) holdsAtFirst(ctx context.Context, held *Held, key, marker rueidis.RedisResult) error {
	text, err := n.beat.glanced(ctx, n.heartbeat.Key, key)
	if held.BarrierUnknown, err = hidden(err); err != nil {
		return err
	}
	if held.Barrier, err = strconv.ParseUint(strings.TrimSpace(text), 10, 64); err != nil {
		held.BarrierUnknown = held.BarrierUnknown || text != ""
	}
	held.BarrierUnknown = held.BarrierUnknown || held.Fresh && held.Barrier == 0
	if held.DatasetUnknown = n.heartbeat.Marker == ""; held.DatasetUnknown {
		return nil
	}
	held.Dataset, err = n.beat.glanced(ctx, n.heartbeat.Marker, marker)
	held.DatasetUnknown, err = hidden(err)
	return err
}

// hidden sorts the error of a glimpse: that there is nothing is none, and of what is
// forbidden, or not ours, nobody can tell.
func hidden(err error) (unknown bool, _ error) {
	switch k := KindOf(err); k {
	case OK, Nil:
		return false, nil
	case NoPerm, Logical:
		return true, nil
	}
	return false, err
}

// compareDataset tells the book when the dataset is not that of the barrier before b.
func (n *Node) compareDataset(ctx context.Context, b *Barrier, key, marker rueidis.RedisResult) {
	now, unmarked, ok := n.held(ctx, b.Key, key, marker)
	if !ok {
		n.holdsOf, n.holds.barrier = b.Key, b.N
		return
	}
	if b.Key == n.holdsOf && n.holds.became(now) != same {
		n.heartbeat.Book.Replaced(n, now.barrier)
	}
	if unmarked {
		now.marker = n.mark(ctx)
	}
	n.holdsOf, n.holds = b.Key, dataset{b.N, now.marker}
	n.marked(now.marker)
}

// mark marks the node's dataset unless another process has done so meanwhile, and
// returns the marker that is there; "": nobody can tell.
func (n *Node) mark(ctx context.Context) string {
	if n.heartbeat.Marker == "" {
		return ""
	}
	r := n.beat.DoMulti(ctx,
		n.beat.B().Set().Key(n.heartbeat.Marker).Value(rand.Text()).Nx().Build(),
		n.beat.glimpse(n.heartbeat.Marker))
	marker, _ := n.beat.glanced(ctx, n.heartbeat.Marker, r[1])
	return marker
}

// marked tells the book the marker, if it is known.
func (n *Node) marked(marker string) {
	if marker != "" && n.heartbeat.Marker != "" {
		n.heartbeat.Book.Marked(n, marker)
	}
}
