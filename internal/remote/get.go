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
	return n.get(ctx, key, time.Now(), limit, false)
}

// GetAt is Get that begins now.
func (n *Node) GetAt(ctx context.Context, key string, now time.Time, limit time.Duration) (Value, error) {
	return n.get(ctx, key, now, limit, false)
}

func (n *Node) get(ctx context.Context, key string, now time.Time, limit time.Duration, asking bool) (Value, error) {
	c, bounded, cancel := n.beginAt(ctx, "get", 1, now, limit)
	c.of.key = key
	defer cancel()
	v, whole, err := n.readPart(bounded, key, asking)
	err = c.end(ctx, err)
	if err == nil && !whole {
		return n.getLarge(ctx, bounded, key, asking)
	}
	v.At = c.span().Answered
	return v, err
}

// GetData is GetAt without how long the key has to live. whole is false where
// that is not all that Get would say: there is no value, or an empty or a large one, or the
// ACL forbids to read it like this.
func (n *Node) GetData(ctx context.Context, key string, now time.Time, limit time.Duration) (data []byte, whole bool, _ error) {
	if n.noRanges.holds() {
		return nil, false, nil
	}
	c, bounded, cancel := n.beginAt(ctx, "get", 1, now, limit)
	c.of.key = key
	defer cancel()
	data, err := n.cmd.shared(bounded, n.part(key)).AsBytes()
	if rangesForbidden(err) {
		n.noRanges.set()
		err = errNil
	}
	if err = c.end(ctx, err); IsNil(err) {
		err = nil
	}
	return data, err == nil && len(data) > 0 && len(data) < span, err
}

// getLarge is not judged: it says nothing about the other connections.
func (n *Node) getLarge(ctx, bounded context.Context, key string, asking bool) (Value, error) {
	start, seen := time.Now(), n.observe(ctx, "get_large", 1)
	v, err := n.bulk.get(bounded, key, asking)
	k := KindOf(err)
	if k == Timeout && ctx.Err() != nil {
		k = Canceled
	}
	took, said := time.Since(start), err
	n.obs.Command("get_large", took, k)
	if err != nil && k != Nil {
		err = &Error{Kind: k, Op: "get", Err: n.tell(err, subject{key: key})}
	}
	seen.end(took, k, said, err)
	return v, err
}

// readPart reads up to span bytes; whole: there are no more.
func (n *Node) readPart(ctx context.Context, key string, asking bool) (v Value, whole bool, err error) {
	if n.noRanges.holds() {
		return n.readSmall(ctx, key, asking)
	}
	got, pttl := n.cmd.pair(ctx, asking, n.part(key), n.plain("PTTL", key))
	v, err = value(got, pttl)
	switch {
	case rangesForbidden(got.Error()):
		n.noRanges.set()
		return n.readSmall(ctx, key, asking)
	case err == nil && len(v.Data) == 0: // empty, or not there yet when the first of the two was answered
		v, err = n.readAll(ctx, key, asking)
	case err == nil:
		n.noRanges.lift()
	}
	return v, len(v.Data) != span, err
}

var spanEnd = decimal(span - 1)

// plain is a command as it stands. The builder of rueidis would find out the slot of each
// key, which is of no use on one connection.
func (n *Node) plain(words ...string) rueidis.Completed { return n.b().Arbitrary(words...).Build() }

func (n *Node) part(key string) rueidis.Completed {
	return n.plain("GETRANGE", key, "0", spanEnd)
}

// readSmall is readPart without GETRANGE. Where the size may not be asked either,
// the value comes whole, and a longer one than Config.MaxValue ends the connection.
func (n *Node) readSmall(ctx context.Context, key string, asking bool) (v Value, whole bool, err error) {
	size, err := n.cmd.send(ctx, asking, n.strlen(key))[0].AsInt64()
	switch k := KindOf(err); {
	case k == NoPerm || k == Lacks:
	case err != nil:
		return Value{}, true, err
	case size > span:
		return Value{}, false, nil
	}
	v, err = n.readAll(ctx, key, asking)
	return v, true, err
}

func (n *Node) strlen(key string) rueidis.Completed { return n.b().Strlen().Key(key).Build() }

func (n *Node) readAll(ctx context.Context, key string, asking bool) (Value, error) {
	return value(n.cmd.pair(ctx, asking, n.b().Get().Key(key).Build(), n.b().Pttl().Key(key).Build()))
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
// or empty, one by one after it; the error is about the whole of it: of a Cluster each
// key has an answer of its own.
func (n *Node) GetMany(ctx context.Context, keys []string, limit time.Duration) ([]Found, error) {
	c, bounded, cancel := n.beginMany(ctx, "mget", len(keys), limit)
	c.limit = 0
	defer cancel()
	ranges := !n.noRanges.holds()
	var long []bool
	if !ranges {
		long = n.long(bounded, keys)
	}
	cmds := make([]rueidis.Completed, 0, 2*len(keys))
	for i, k := range keys {
		switch {
		case ranges:
			cmds = append(cmds, n.part(k))
		case long[i]:
			cmds = append(cmds, n.strlen(k)) // read below
		default:
			cmds = append(cmds, n.b().Get().Key(k).Build())
		}
		cmds = append(cmds, n.b().Pttl().Key(k).Build())
	}
	replies := n.cmd.DoMulti(bounded, cmds...)
	found := make([]Found, len(keys))
	var rest []int
	var worst error
	for i := range keys {
		v, err := value(replies[2*i], replies[2*i+1])
		if !ranges && long[i] || ranges && (err == nil && (len(v.Data) == 0 || len(v.Data) == span) || rangesForbidden(replies[2*i].Error())) {
			rest = append(rest, i)
			continue
		}
		found[i] = Found{Value: v, Err: n.tell(err, subject{key: keys[i]})}
		if KindOf(err).Outage() || KindOf(err) == Canceled {
			worst = n.worse(worst, err)
		}
	}
	err := c.end(ctx, worst)
	for _, i := range rest {
		found[i].Value, found[i].Err = n.Get(bounded, keys[i], limit)
	}
	return found, err
}

// long tells which of the values are longer than span, as far as it may be asked.
func (n *Node) long(ctx context.Context, keys []string) []bool {
	cmds := make([]rueidis.Completed, len(keys))
	for i, k := range keys {
		cmds[i] = n.strlen(k)
	}
	long := make([]bool, len(keys))
	for i, r := range n.cmd.DoMulti(ctx, cmds...) {
		size, err := r.AsInt64()
		long[i] = err == nil && size > span
	}
	return long
}

// glance reads the beginning of a key that has a few bytes where nobody but us has
// written it. "" is no value.
func (w *wire) glance(ctx context.Context, key string) (string, error) {
	r := w.Do(ctx, w.glimpse(key))
	return w.glanced(ctx, key, r)
}

func (w *wire) glimpse(key string) rueidis.Completed {
	return w.B().Getrange().Key(key).Start(0).End(glimpse - 1).Build()
}

const glimpse = 256

// glanced is what glimpse was answered with, or GET where that is forbidden.
func (w *wire) glanced(ctx context.Context, key string, r rueidis.RedisResult) (string, error) {
	if rangesForbidden(r.Error()) {
		r = w.Do(ctx, w.B().Get().Key(key).Build())
	}
	s, err := r.ToString()
	switch {
	case err != nil:
		return "", err // of an error reply it would be the text
	case s == "":
		return "", errNil
	}
	return s, nil
}
