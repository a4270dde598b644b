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
}

// mark marks the node's dataset, and returns the marker; "": it is known the next time.
func (n *Node) mark(ctx context.Context) string {
	if n.heartbeat.Marker == "" {
		return ""
	}
	marker := rand.Text()
	if n.beat.Do(ctx, n.beat.B().Set().Key(n.heartbeat.Marker).Value(marker).Nx().Build()).Error() != nil {
		return "" // another process was first
	}
	return marker
}
