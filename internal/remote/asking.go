package remote

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// A slot of a Cluster that moves is at two nodes: what has moved already is at its
// next one, which serves it only behind ASKING. Reads follow an ASK, and so do the
// two halves of a delete, which may be repeated. No other write of a value does: if
// the source fails over in the middle of the move, two nodes take writes of one key.

// GetAsking is Get on the node that an Ask names. Nothing that it answers is
// coherent: the slot has two nodes.
func (n *Node) GetAsking(ctx context.Context, key string, limit time.Duration) (Value, error) {
	return n.get(ctx, key, time.Now(), limit, true)
}

// sendAsking sends commands together, each of them behind an ASKING if it asks for that.
// The answer to an ASKING that is refused is that of its command.
func (w *wire) sendAsking(ctx context.Context, asks func(i int) bool, cmds []rueidis.Completed) []rueidis.RedisResult {
	all := make([]rueidis.Completed, 0, 2*len(cmds))
	for i, cmd := range cmds {
		if asks(i) {
			all = append(all, w.B().Arbitrary("ASKING").Build())
		}
		all = append(all, cmd)
	}
	replies, at := w.DoMulti(ctx, all...), 0
	answers := make([]rueidis.RedisResult, len(cmds))
	for i := range cmds {
		var refused error
		if asks(i) {
			refused, at = replies[at].Error(), at+1
		}
		answers[i], at = replies[at], at+1
		if refused != nil {
			answers[i] = rueidis.NewErrorResult(refused)
		}
	}
	return answers
}

// send is DoMulti, each command behind an ASKING where that is wanted.
func (w *wire) send(ctx context.Context, asking bool, cmds ...rueidis.Completed) []rueidis.RedisResult {
	if !asking {
		return w.DoMulti(ctx, cmds...)
	}
	return w.sendAsking(ctx, func(int) bool { return true }, cmds)
}

// one is shared in the same way.
func (w *wire) one(ctx context.Context, asking bool, cmd rueidis.Completed) rueidis.RedisResult {
	if !asking {
		return w.shared(ctx, cmd)
	}
	return w.send(ctx, true, cmd)[0]
}

// pair is sharedPair in the same way.
func (w *wire) pair(ctx context.Context, asking bool, a, b rueidis.Completed) (of, and rueidis.RedisResult) {
	if !asking {
		return w.sharedPair(ctx, a, b)
	}
	rs := w.send(ctx, true, a, b)
	return rs[0], rs[1]
}

// steps sends the commands of some of the steps.
func (w *wire) steps(ctx context.Context, steps []step, todo []int, cmds []rueidis.Completed) []rueidis.RedisResult {
	asks := func(i int) bool { return steps[todo[i]].asking }
	for i := range todo {
		if asks(i) {
			return w.sendAsking(ctx, asks, cmds)
		}
	}
	return w.DoMulti(ctx, cmds...)
}

// scriptTomb is the first half of scriptDelete: KEYS tombstone; ARGV process, life of
// the tombstone, until when (0: ever). Returns when, -1 if it came too late.
var scriptTomb = newScript(luaNow + luaTomb + `if tonumber(ARGV[3]) > 0 and now > tonumber(ARGV[3]) then return -1 end
local at = math.max(now, tomb(ARGV[2], K) or 0)
redis.call('SET', K, stamp(at) .. ':' .. ARGV[1], 'PX', ARGV[2])
return now`)

// DeleteMoving is Delete of a key whose slot moves, where Delete cannot be carried
// out: it needs key and tombstone at one node. First the tombstone is left, then the
// key is removed, each where it is: at source, which owns the slot, or, where that says
// so, at target, which may be nil. A fill between the two sees the tombstone. It may be
// repeated; after an error of which nobody knows more, either half may be done.
//
// at is by the clock of the node that has the tombstone.
func DeleteMoving(ctx context.Context, source, target *Node, d Del, limit time.Duration) (removed bool, at int64, err error) {
	at, err = source.leaveTombstone(ctx, d, false, limit)
	if KindOf(err) == Ask && target != nil {
		at, err = target.leaveTombstone(ctx, d, true, limit)
	}
	if err != nil {
		return false, 0, err
	}
	removed, err = source.remove(ctx, d.Key, false, limit)
	if KindOf(err) == Ask && target != nil {
		removed, err = target.remove(ctx, d.Key, true, limit)
	}
	return removed, at, err
}

func (n *Node) leaveTombstone(ctx context.Context, d Del, asking bool, limit time.Duration) (at int64, err error) {
	c, bounded, cancel := n.begin(ctx, "delete", limit)
	c.of.key = d.Tomb
	defer cancel()
	at, err = n.run(bounded, d.tombStep(n.deadline(limit), asking)).marked()
	return at, c.end(ctx, err)
}

func (d Del) tombStep(deadline string, asking bool) step {
	return step{
		script: scriptTomb,
		keys:   []string{d.Tomb},
		args:   []string{d.Process, decimal(TombstoneLife.Milliseconds()), deadline},
		plain:  func(n *Node) rueidis.Completed { return n.b().Ping().Build() },
		asking: asking,
	}
}

func (n *Node) remove(ctx context.Context, key string, asking bool, limit time.Duration) (removed bool, err error) {
	c, bounded, cancel := n.begin(ctx, "delete", limit)
	c.of.key = key
	defer cancel()
	k, err := n.unlinkInTime(bounded, []string{key}, asking, limit)
	return k > 0, c.end(ctx, err)
}
