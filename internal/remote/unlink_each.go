package remote

import (
	"context"
	"slices"
	"time"

	"github.com/redis/rueidis"
)

// unlinkEach is unlink on a node of a Cluster, where keys of several slots cannot be
// removed by one command. A key that is here while its slot is still on its way here is
// removed too: SCAN finds it. A key that has left with its slot is no error: who gets a
// slot looks for keys anew. One that left while its slot still moves is an Ask, after all
// others were removed.
func (n *Node) unlinkEach(ctx context.Context, keys []string, limit time.Duration) (removed int, _ error) {
	c, bounded, cancel := n.begin(ctx, "unlink", limit)
	c.limit = 0
	defer cancel()
	var worst, unserved error
	for some := range slices.Chunk(keys, MaxBatch) {
		k, errs := n.unlinkSome(bounded, some, limit)
		removed += k
		for _, err := range errs {
			worst = n.worse(worst, err)
			if k := KindOf(err); k.Unserved() && k != Moved {
				unserved = err
			}
		}
	}
	if err := c.end(ctx, worst); err != nil {
		return removed, err
	}
	return removed, unserved
}

// unlinkSome removes keys in one pipeline, and in another one those that may be on
// their way here.
func (n *Node) unlinkSome(ctx context.Context, keys []string, limit time.Duration) (removed int, errs []error) {
	errs, until := make([]error, len(keys)), n.deadline(limit)
	send := func(some []int, asking bool) (moved []int) {
		steps := make([]step, len(some))
		for i, at := range some {
			key := keys[at : at+1 : at+1]
			steps[i] = step{
				script: scriptUnlink, keys: key, args: []string{until},
				plain:  func(n *Node) rueidis.Completed { return n.b().Unlink().Key(key...).Build() },
				asking: asking,
			}
		}
		for i, a := range n.runMany(ctx, steps) {
			k, err := n.unlinked(ctx, a, steps[i].keys, asking)
			removed += int(k)
			if errs[some[i]] = err; KindOf(err) == Moved {
				moved = append(moved, some[i])
			}
		}
		return moved
	}
	all := make([]int, len(keys))
	for i := range all {
		all[i] = i
	}
	if moved := send(all, false); len(moved) > 0 {
		send(moved, true)
	}
	for i := range errs {
		errs[i] = n.tell(errs[i], subject{key: keys[i]})
	}
	return removed, errs
}
