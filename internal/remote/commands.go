package remote

import (
	"context"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Value is what a node holds under a key.
type Value struct {
	Data []byte        // must not be modified
	TTL  time.Duration // left to live; negative: the key has no end
	At   time.Time     // when the answer was there, or shortly after; zero: not known
}

// CommandNames are the names under which commands are counted.
var CommandNames = []string{"get", "get_large", "mget", "set", "set_nx", "pexpire", "batch", "scan", "unlink", "heartbeat", "delete", "fill", "replay", "life", "info", "raw", "replica_get"}

// MaxBatch is how many keys go into one pipeline.
const MaxBatch = 128

// value puts the replies of GET and PTTL together. The key may have ended
// between the two: then it is missing.
func value(get, pttl rueidis.RedisResult) (Value, error) {
	data, err := get.AsBytes()
	if err != nil {
		return Value{}, err
	}
	ms, err := pttl.AsInt64()
	switch {
	case KindOf(err) == Lacks || KindOf(err) == NoPerm: // the value may be read
		return Value{Data: data, TTL: -1}, nil
	case err != nil:
		return Value{}, err
	case ms == -2 || ms == 0:
		return Value{}, errNil
	case ms < 0:
		return Value{Data: data, TTL: -1}, nil
	}
	return Value{Data: data, TTL: time.Duration(ms) * time.Millisecond}, nil
}

// Pair is a key with what to write under it.
type Pair struct {
	Key  string
	Data []byte
	TTL  time.Duration
	Ends int64 // when it ends: see EndOf; 0: TTL after the server executes it
	// InTime: nothing is to be written once the caller has given up; see
	// Node.InTime. For Set and Expire only.
	InTime bool
	// Trace is where to leave when it was written, and Process who: see TraceKey.
	// "": nowhere. It goes with InTime.
	Trace, Process string
	At             time.Time // of a Set: when it begins; zero: now
}

// Set writes a key for ttl.
func (n *Node) Set(ctx context.Context, p Pair, limit time.Duration) (Span, error) {
	if p.At.IsZero() {
		p.At = time.Now()
	}
	c, bounded, cancel := n.beginAt(ctx, "set", 1, p.At, limit)
	c.of.key = p.Key
	defer cancel()
	if p.InTime {
		return n.setInTime(ctx, bounded, c, p, limit)
	}
	err := c.end(ctx, n.cmd.shared(bounded, n.set(p)).Error())
	return c.span(), err
}

// SetAbsent writes a key for ttl only if it is not there; false: it was.
func (n *Node) SetAbsent(ctx context.Context, p Pair, limit time.Duration) (stored bool, _ Span, _ error) {
	c, bounded, cancel := n.begin(ctx, "set_nx", limit)
	c.of.key = p.Key
	defer cancel()
	set, cmd := n.b().Set().Key(p.Key).Value(text(p.Data)).Nx(), rueidis.Completed{}
	if p.Ends != 0 {
		cmd = set.PxatMillisecondsTimestamp(p.Ends).Build()
	} else {
		cmd = set.Px(atLeastMS(p.TTL)).Build()
	}
	if len(p.Data) >= large {
		cmd = cmd.Pin()
	}
	err := n.cmd.shared(bounded, cmd).Error()
	stored = err == nil
	if IsNil(err) {
		err = nil
	}
	err = c.end(ctx, err)
	return stored, c.span(), err
}

// Expire lets a key live for p.TTL from now, longer or shorter than it would have;
// false: it is not there.
func (n *Node) Expire(ctx context.Context, p Pair, limit time.Duration) (there bool, _ Span, _ error) {
	c, bounded, cancel := n.begin(ctx, "pexpire", limit)
	c.of.key = p.Key
	defer cancel()
	if p.InTime {
		return n.expireInTime(ctx, bounded, c, p, limit)
	}
	k, err := n.cmd.shared(bounded, n.expire(p.Key, p.TTL)).AsInt64()
	err = c.end(ctx, err)
	return k > 0, c.span(), err
}

// WriteKind is what one Write does.
type WriteKind uint8

const (
	WriteSet WriteKind = iota
	WriteDelete
	WriteExpire
)

// Write is one of a batch.
type Write struct {
	Kind WriteKind
	Pair
}

// WriteMany sends up to MaxBatch writes, and returns how each went; the second error is
// about the whole of it. Those that are plain commands go in one pipeline, in order; then
// those that are to be in time, in another.
func (n *Node) WriteMany(ctx context.Context, ws []Write, limit time.Duration) ([]error, error) {
	c, bounded, cancel := n.beginMany(ctx, "batch", len(ws), limit)
	c.limit = 0
	defer cancel()
	errs := make([]error, len(ws))
	steps := n.stepsInTime(ws, limit) // their deadline runs from here
	if len(steps) == 0 {
		n.writePlain(bounded, ws, errs)
	} else {
		n.writeApart(bounded, ws, steps, errs)
	}
	var worst error
	for i := range errs {
		errs[i] = n.tell(errs[i], subject{key: ws[i].Key})
		worst = n.worse(worst, errs[i])
	}
	return errs, c.end(ctx, worst)
}

func (n *Node) writePlain(ctx context.Context, ws []Write, errs []error) {
	cmds, refusable, ends := make([]rueidis.Completed, len(ws)), false, endText{}
	for i := range ws {
		cmds[i] = n.write(&ws[i], &ends)
		refusable = refusable || len(ws[i].Data) >= large
	}
	if refusable {
		for i := range cmds {
			cmds[i] = cmds[i].Pin()
		}
	}
	for i, r := range n.cmd.DoMulti(ctx, cmds...) {
		errs[i] = r.Error()
	}
}

// stepsInTime are those of the writes that are to be in time.
func (n *Node) stepsInTime(ws []Write, limit time.Duration) (steps []step) {
	for i := range ws {
		if ws[i].InTime {
			steps = append(steps, n.setStep(ws[i].Pair, limit))
		}
	}
	return steps
}

// writeApart writes what is to be in time by steps, and the rest before.
func (n *Node) writeApart(ctx context.Context, ws []Write, steps []step, errs []error) {
	plain := make([]Write, 0, len(ws)-len(steps))
	for i := range ws {
		if !ws[i].InTime {
			plain = append(plain, ws[i])
		}
	}
	of := make([]error, len(plain))
	n.writePlain(ctx, plain, of)
	answers := n.runMany(ctx, steps)
	for i := range ws {
		if !ws[i].InTime {
			errs[i], of = of[0], of[1:]
			continue
		}
		errs[i], answers = answers[0].inTime(), answers[1:]
	}
}

// write is a command of a batch. If one of its values is large, all are to be pinned: rueidis
// takes a command back for others once it is answered, and a server that refuses a
// value for its size answers before all of the batch has been written.
func (n *Node) write(w *Write, ends *endText) rueidis.Completed {
	switch {
	case w.Kind == WriteDelete:
		return n.b().Del().Key(w.Key).Build()
	case w.Kind == WriteExpire:
		return n.expire(w.Key, w.TTL)
	case w.Ends != 0:
		return n.plain("SET", w.Key, text(w.Data), "PXAT", ends.of(w.Ends))
	}
	return n.set(w.Pair)
}

// endText is an end as it is sent. Most keys of a batch have the same.
type endText struct {
	ends int64
	text string
}

func (e *endText) of(ends int64) string {
	if e.text == "" || e.ends != ends {
		e.ends, e.text = ends, decimal(ends)
	}
	return e.text
}

// large is the size from which a single value is pinned too.
const large = 64 << 10

func (n *Node) set(p Pair) rueidis.Completed {
	unit, life := "PXAT", p.Ends
	if life == 0 {
		unit, life = "PX", atLeastMS(p.TTL).Milliseconds()
	}
	cmd := n.plain("SET", p.Key, text(p.Data), unit, decimal(life))
	if len(p.Data) >= large {
		return cmd.Pin()
	}
	return cmd
}

func (n *Node) expire(key string, ttl time.Duration) rueidis.Completed {
	if n.Lacks("PEXPIRE") && n.clock.ahead.Load() != nil {
		now, _ := n.ServerTime(time.Now())
		return n.b().Pexpireat().Key(key).MillisecondsTimestamp(now + atLeastMS(ttl).Milliseconds()).Build()
	}
	return n.b().Pexpire().Key(key).Milliseconds(atLeastMS(ttl).Milliseconds()).Build()
}

// atLeastMS keeps a TTL that Redis takes: it counts in milliseconds, from 1.
func atLeastMS(d time.Duration) time.Duration { return max(d, time.Millisecond) }

func text(b []byte) string { return rueidis.BinaryString(b) }

// DeletePrefix removes every key that begins with prefix, a step at a time
// with SCAN (never KEYS), so the server is not held up. limit bounds each step,
// ctx the whole; how many were removed is right also when it fails in between.
// A key that is written meanwhile may survive or not.
func (n *Node) DeletePrefix(ctx context.Context, prefix string, limit time.Duration) (int, error) {
	removed, cursor := 0, uint64(0)
	for {
		k, next, err := n.DeletePrefixFrom(ctx, prefix, cursor, limit)
		removed += k
		if err != nil || next == 0 {
			return removed, err
		}
		cursor = next
	}
}

// DeletePrefixFrom is one step of DeletePrefix; next is 0 after the last.
func (n *Node) DeletePrefixFrom(ctx context.Context, prefix string, cursor uint64, limit time.Duration) (removed int, next uint64, err error) {
	keys, next, err := n.scan(ctx, cursor, GlobEscape(prefix)+"*", limit)
	if err != nil || len(keys) == 0 {
		return 0, next, err
	}
	removed, err = n.unlink(ctx, keys, limit)
	return removed, next, err
}

func (n *Node) scan(ctx context.Context, cursor uint64, pattern string, limit time.Duration) ([]string, uint64, error) {
	c, bounded, cancel := n.begin(ctx, "scan", limit)
	defer cancel()
	e, err := n.cmd.Do(bounded, n.b().Scan().Cursor(cursor).Match(pattern).Count(1000).Build()).AsScanEntry()
	if KindOf(err) != UnknownReply { // which may not last
		n.lacks.heard("SCAN", err)
	}
	return e.Elements, e.Cursor, c.end(ctx, err)
}

func (n *Node) unlink(ctx context.Context, keys []string, limit time.Duration) (int, error) {
	if n.clustered() {
		return n.unlinkEach(ctx, keys, limit)
	}
	c, bounded, cancel := n.begin(ctx, "unlink", limit)
	defer cancel()
	k, err := n.unlinkInTime(bounded, keys, false, limit)
	return int(k), c.end(ctx, err)
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// GlobEscape makes a prefix match itself and nothing else in a SCAN pattern.
func GlobEscape(s string) string { return globEscaper.Replace(s) }
