package remote

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/slot"
)

// ReplayKind is how a write of ours is put back.
type ReplayKind uint8

const (
	Restore    ReplayKind = iota // a Set: Data, to live until Ends
	Invalidate                   // a Delete, and anything of which only the key is left
	Retime                       // an Expire: the key is to end at Ends
)

// Cond is what is known of a write that is put back: other processes may have
// written the key since. Times are the server's, in milliseconds. From of 0 means
// Lo: no clock has jumped.
type Cond struct {
	Tomb    string // of the key
	Marks   string // of its class
	Lives   string // of its class
	Trace   string // of the key
	Rest    string // the key without its class
	Process string // ours; not empty, and without a zero byte
	Ends    int64  // when the value expires; not for Invalidate
	Lo, Hi  int64  // the write was executed between the two
	// From and To are Lo and Hi, widened by how servers' clocks have jumped.
	From, To int64
	Floor    int64 // Hi of our write of the key before this one, 0: none
	// Own are ends of values that are known to be older than this write: those of our
	// own earlier ones, and what this process knew to be there.
	Own []Range
	// Sent are ends that it was sent with itself, which a server may give it late. Another
	// value with such an end is another process': it was written in the same millisecond.
	Sent []Range
	// Apart are the times by which others may have dated their deletes, where its slot
	// has moved here from another clock; zero: From and To.
	Apart Range
	// Kin and KinSums tell of values that are older than this write, and have moved here
	// with the slot: such a value ends in Kin, and its SHA-1 is one of KinSums.
	Kin     Range
	KinSums []string
	// Brief: the value lives shorter than others of its class; not for Invalidate.
	Brief bool
	// Anchored: Marks and Lives are at an anchor of a Cluster, or "" where the node has
	// none. Then a write is put back as a delete: see AtAnchor.
	Anchored bool
}

// Range is between two times of the server, in milliseconds.
type Range struct{ From, To int64 }

// CondOf is what goes with a key.
func CondOf(prefix, key, process string) Cond {
	return Cond{
		Tomb: TombstoneKey(prefix, key), Marks: MarksKey(prefix, key), Lives: LivesKey(prefix, key),
		Trace: TraceKey(prefix, key), Rest: RestOf(prefix, key), Process: process,
	}
}

// Replay is a write of ours that is put back.
type Replay struct {
	Kind ReplayKind
	Key  string
	Data []byte
	Cond
}

// Result is what became of a write that was put back.
type Result uint8

const (
	// Superseded: somebody has written or deleted the key since, and that stays.
	Superseded Result = iota
	// Done: the key holds it, or it would not be there any more.
	Done
	// Unknown: it could not be told whether somebody has written or deleted the
	// key since, so nothing is there now.
	Unknown
)

// Outcome is how a write was put back.
type Outcome struct {
	Err    error
	Result Result
}

// Replay puts up to MaxBatch writes back in one pipeline, each of a key of its
// own, unless another process has written or deleted the key since; the error
// is about the whole of it. It may be repeated. Where scripts are forbidden
// nothing is asked: the writes are simply made.
func (n *Node) Replay(ctx context.Context, rs []Replay, limit time.Duration) ([]Outcome, error) {
	c, bounded, cancel := n.begin(ctx, "replay", limit)
	c.limit = 0
	defer cancel()
	steps := make([]step, len(rs))
	for i := range rs {
		steps[i] = rs[i].step()
	}
	outcomes := make([]Outcome, len(rs))
	var worst error
	for i, a := range n.runMany(bounded, steps) {
		outcomes[i] = a.outcome()
		outcomes[i].Err = n.tell(outcomes[i].Err, rs[i].subject())
		worst = n.worse(worst, outcomes[i].Err)
	}
	return outcomes, c.end(ctx, worst)
}

// hurts: err is about the node, and not about one key or kind of command.
func hurts(err error) bool { return KindOf(err).Outage() && !KindOf(err).Refused() }

func (r *Replay) subject() subject { return subject{r.Key, r.Marks} }

func (r *Replay) step() step {
	s := step{keys: []string{r.Key, r.Tomb, r.Marks, r.Lives, r.Trace}, plain: r.plain}
	switch r.Kind {
	case Retime:
		s.script, s.args = scriptTouch, append(r.args(), decimal(r.Ends), flag(r.Brief))
	case Invalidate:
		s.script, s.args = scriptInvalidate, r.args()
	default:
		s.script, s.args = scriptRestore, append(r.args(), decimal(r.Ends), decimal(r.Floor), text(r.Data), flag(r.Brief))
	}
	switch {
	case !r.Anchored:
		return s
	case r.Marks == "":
		return r.unanchored(s)
	}
	return s.anchored([]string{r.Key, r.Tomb, r.Trace}, []string{r.Marks, r.Lives})
}

func (c *Cond) args() []string {
	args := make([]string, 0, 15)
	return append(args,
		decimal(c.Lo), decimal(c.Hi), decimal(c.from()), decimal(max(c.To, c.Hi)),
		c.Process, decimal(TombstoneLife.Milliseconds()), c.Rest, c.known(), c.moved())
}

// moved is Apart, Kin and KinSums; "": nothing has moved.
func (c *Cond) moved() string {
	if c.Apart == (Range{}) && len(c.KinSums) == 0 {
		return ""
	}
	return strings.Join(append([]string{decimal(c.Apart.From), decimal(c.Apart.To), decimal(c.Kin.From), decimal(c.Kin.To)}, c.KinSums...), " ")
}

// known are the ends of Own, and behind a bar those of Sent.
func (c *Cond) known() string { return ranges(c.Own) + "|" + ranges(c.Sent) }

func (c *Cond) from() int64 {
	if c.From == 0 {
		return c.Lo
	}
	return min(c.From, c.Lo)
}

func ranges(rs []Range) string {
	var b strings.Builder
	for _, r := range rs {
		if r.To > 0 && r.From >= 0 {
			b.WriteString(decimal(r.From) + "-" + decimal(r.To) + " ")
		}
	}
	return b.String()
}

// plain puts it back whatever is there. Redis removes a key whose end is past.
func (r *Replay) plain(n *Node) rueidis.Completed {
	ends := max(r.Ends, 1)
	switch r.Kind {
	case Retime:
		return n.b().Pexpireat().Key(r.Key).MillisecondsTimestamp(ends).Build()
	case Invalidate:
		return n.b().Del().Key(r.Key).Build()
	}
	if n.lacks.noPxat.Load() {
		now, _ := n.ServerTime(time.Now())
		return n.b().Set().Key(r.Key).Value(text(r.Data)).Px(atLeastMS(time.Duration(ends-now) * time.Millisecond)).Build()
	}
	return n.b().Set().Key(r.Key).Value(text(r.Data)).PxatMillisecondsTimestamp(ends).Build()
}

func (a answer) outcome() Outcome {
	if a.err != nil || a.plain {
		return Outcome{Err: a.err, Result: Done}
	}
	k, err := a.AsInt64()
	r, ok := resultOf(k)
	if err == nil && !ok {
		err = errReply
	}
	return Outcome{Err: err, Result: r}
}

func resultOf(k int64) (Result, bool) {
	if k < int64(Superseded) || k > int64(Unknown) {
		return Unknown, false
	}
	return Result(k), true
}

// PrefixReplay is the delete of one prefix or several that is put back: Cond tells
// when it was made. What goes with a key is each key's own.
type PrefixReplay struct {
	KeyPrefix string // before every key: what tombstones begin with
	Prefix    string // begins with KeyPrefix
	// Of, where not nil, says when a key was deleted, in place of Cond; ok is false
	// for a key that is not to be looked at.
	Of func(key string) (c Cond, ok bool)
	// Refused, where not nil, is told which keys the server does not delete; the
	// others are.
	Refused func(key string, err error)
	// Anchor, where not nil, is an anchor of the node: see AnchorFor. It is a Cluster.
	Anchor func(near uint16) (Anchor, bool)
	Cond
}

// InvalidatePrefixFrom is DeletePrefixFrom for a delete that is put back: keys
// that another process has written since survive, and are counted.
func (n *Node) InvalidatePrefixFrom(ctx context.Context, p PrefixReplay, cursor uint64, limit time.Duration) (survived int, next uint64, err error) {
	keys, next, err := n.scan(ctx, cursor, GlobEscape(p.Prefix)+"*", limit)
	if err != nil {
		return 0, next, err
	}
	for rs := range slices.Chunk(p.each(keys), MaxBatch) {
		outcomes, _ := n.Replay(ctx, rs, limit)
		for i, o := range outcomes {
			switch k := KindOf(o.Err); {
			case o.Err == nil && o.Result == Superseded:
				survived++
			case o.Err != nil && p.Refused != nil && (k == Logical || k.Refused() || n.clustered() && (k == Moved || k == Ask)):
				p.Refused(rs[i].Key, o.Err)
			case o.Err != nil:
				return survived, next, o.Err
			}
		}
	}
	return survived, next, nil
}

// each leaves out what is not a value but our own book-keeping.
func (p *PrefixReplay) each(keys []string) []Replay {
	rs := make([]Replay, 0, len(keys))
	for _, key := range keys {
		when, ok := p.Cond, true
		if strings.HasPrefix(key, p.KeyPrefix+"~") {
			continue
		}
		if p.Of != nil {
			when, ok = p.Of(key)
		}
		if !ok {
			continue
		}
		r := Replay{Kind: Invalidate, Key: key, Cond: CondOf(p.KeyPrefix, key, p.Process)}
		r.Lo, r.Hi, r.From, r.To = when.Lo, when.Hi, when.From, when.To
		if p.Anchor != nil {
			a, ok := p.Anchor(slot.Of(key))
			r.AtAnchor(p.KeyPrefix, key, a, ok)
		}
		rs = append(rs, r)
	}
	return rs
}
