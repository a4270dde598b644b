package remote

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Get reads a key and how long it has to live. A missing key is IsNil. Of the
// value not more than span comes over the connection that all share; a larger
// one is read over another.
func (n *Node) Get(ctx context.Context, key string, limit time.Duration) (Value, error) {
	c, bounded, cancel := n.begin(ctx, "get", limit)
	defer cancel()
	v, whole, err := n.readPart(bounded, key)
	err = c.end(ctx, err)
	if err == nil && !whole {
		return n.getLarge(ctx, bounded, key)
	}
	return v, err
}

// getLarge is not judged: it says nothing about the other connections.
func (n *Node) getLarge(ctx, bounded context.Context, key string) (Value, error) {
	start := time.Now()
	v, err := n.bulk.get(bounded, key)
	k := KindOf(err)
	if k == Timeout && ctx.Err() != nil {
		k = Canceled
	}
	n.obs.Command("get_large", time.Since(start), k)
	if err != nil && k != Nil {
		err = &Error{Kind: k, Op: "get", Err: err}
	}
	return v, err
}

// readPart reads up to span bytes; whole: there are no more.
func (n *Node) readPart(ctx context.Context, key string) (v Value, whole bool, err error) {
	if n.noRanges.holds() {
		v, err = n.readAll(ctx, key)
		return v, true, err
	}
	r := n.cmd.DoMulti(ctx, n.part(key), n.b().Pttl().Key(key).Build())
	v, err = value(r[0], r[1])
	switch {
	case rangesForbidden(r[0].Error()):
		n.noRanges.set()
		v, err = n.readAll(ctx, key)
	case err == nil && len(v.Data) == 0: // empty, or not there yet when the first of the two was answered
		v, err = n.readAll(ctx, key)
	case err == nil:
		n.noRanges.lift()
	}
	return v, len(v.Data) != span, err
}

func (n *Node) part(key string) rueidis.Completed {
	return n.b().Getrange().Key(key).Start(0).End(span - 1).Build()
}

func (n *Node) readAll(ctx context.Context, key string) (Value, error) {
	r := n.cmd.DoMulti(ctx, n.b().Get().Key(key).Build(), n.b().Pttl().Key(key).Build())
	return value(r[0], r[1])
}

// rangesForbidden: the ACL forbids GETRANGE, or the server has it not. Whether
// the key is forbidden GET finds out.
func rangesForbidden(err error) bool {
	re, ok := errors.AsType[*rueidis.RedisError](err)
	return ok && (kindOfReply(re.Error()) == NoPerm || strings.HasPrefix(strings.TrimPrefix(re.Error(), "ERR "), "unknown command"))
}

// Found is one answer of GetMany.
type Found struct {
	Value
	Err error // IsNil: no such key
}

// GetMany reads up to MaxBatch keys in one pipeline, and those that are large,
// or empty, one by one after it; the error is about the whole of it.
func (n *Node) GetMany(ctx context.Context, keys []string, limit time.Duration) ([]Found, error) {
	c, bounded, cancel := n.begin(ctx, "mget", limit)
	c.limit = 0
	defer cancel()
	ranges := !n.noRanges.holds()
	cmds := make([]rueidis.Completed, 0, 2*len(keys))
	for _, k := range keys {
		get := n.b().Get().Key(k).Build
		if ranges {
			cmds = append(cmds, n.part(k))
		} else {
			cmds = append(cmds, get())
		}
		cmds = append(cmds, n.b().Pttl().Key(k).Build())
	}
	replies := n.cmd.DoMulti(bounded, cmds...)
	found := make([]Found, len(keys))
	var rest []int
	var worst error
	for i := range keys {
		v, err := value(replies[2*i], replies[2*i+1])
		found[i] = Found{Value: v, Err: tellable(err)}
		if ranges && (err == nil && (len(v.Data) == 0 || len(v.Data) == span) || rangesForbidden(replies[2*i].Error())) {
			rest = append(rest, i)
			continue
		}
		if KindOf(err).Outage() || KindOf(err) == Canceled {
			worst = err
		}
	}
	err := c.end(ctx, worst)
	for _, i := range rest {
		found[i].Value, found[i].Err = n.Get(bounded, keys[i], limit)
	}
	return found, err
}
