package remote

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/redis/rueidis"
)

// Left are the connections that a process has given up, for commands and for
// heartbeats. What was sent
// over one may still be on its way, or in the server's buffers: it must not be
// executed after what is sent over the next. So the next dial has the server close
// them. Where it must not (ACL: +client|kill +client|id), or a proxy hides them,
// what arrives late is undone only while it is waited for: see luaReplay.
type Left struct {
	mu  sync.Mutex // guards all
	all []leftOne
}

// leftOne is known to its server by the id, which counts from 1 in each run.
type leftOne struct {
	run string
	id  int64
}

// maxLeft bounds them; the oldest are forgotten.
const maxLeft = 32

func (l *Left) add(one leftOne) {
	if l == nil || one.run == "" || one.id == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, one)
	l.all = l.all[max(0, len(l.all)-maxLeft):]
}

// take removes and returns those of a run.
func (l *Left) take(run string) (of []leftOne) {
	if l == nil || run == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(one leftOne) bool {
		if one.run == run {
			of = append(of, one)
		}
		return one.run == run
	})
	return of
}

// closeLeft has the server close what this process has left there. An error reply
// is none: the connection is gone, or it is not ours to close.
func (n *Node) closeLeft(ctx context.Context) {
	n.ids = nil
	for _, w := range []*wire{n.cmd, n.beat} {
		id, _ := w.Do(ctx, w.B().Arbitrary("CLIENT", "ID").Build()).AsInt64()
		n.ids = append(n.ids, leftOne{n.server.run, id})
	}
	left := slices.DeleteFunc(n.heartbeat.Left.take(n.server.run), func(one leftOne) bool { return slices.Contains(n.ids, one) })
	kills := make([]rueidis.Completed, len(left))
	for i, one := range left {
		kills[i] = n.beat.B().Arbitrary("CLIENT", "KILL", "ID", strconv.FormatInt(one.id, 10)).Build()
	}
	if len(kills) == 0 {
		return
	}
	for i, r := range n.beat.DoMulti(ctx, kills...) {
		if r.NonRedisError() != nil { // the next dial tries again
			n.heartbeat.Left.add(left[i])
		}
	}
}
