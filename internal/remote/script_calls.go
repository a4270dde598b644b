package remote

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"time"

	"github.com/redis/rueidis"
)

// TombstoneLife is how long the trace of a delete is kept. What is older than
// that cannot be put back: nobody knows what was deleted since.
const TombstoneLife = 10 * time.Minute

// Del is a delete that leaves a tombstone.
type Del struct {
	Key, Tomb string
	Process   string // who deletes; not empty, and without a zero byte
}

// Delete removes a key and leaves its tombstone; removed: it was there, and at:
// when, by the server's clock in milliseconds. Where scripts are forbidden it
// leaves none and at is 0.
func (n *Node) Delete(ctx context.Context, d Del, limit time.Duration) (removed bool, at int64, err error) {
	c, bounded, cancel := n.begin(ctx, "delete", limit)
	c.of.key = d.Key
	defer cancel()
	a, ok := n.deleteAtOnce(bounded, d, c.start, limit)
	if !ok {
		a = n.run(bounded, step{
			script: scriptDelete,
			keys:   []string{d.Key, d.Tomb},
			args:   []string{d.Process, tombstoneLife, n.deadline(limit)},
			plain:  func(n *Node) rueidis.Completed { return n.b().Del().Key(d.Key).Build() },
		})
	}
	removed, at, err = a.deleted()
	return removed, at, c.end(ctx, err)
}

var tombstoneLife = decimal(TombstoneLife.Milliseconds())

// deleteAtOnce is the step of a Delete as nearly every server takes it, without what is
// needed to send it otherwise; ok is false where it is to be sent otherwise.
func (n *Node) deleteAtOnce(ctx context.Context, d Del, now time.Time, limit time.Duration) (a answer, ok bool) {
	s := step{script: scriptDelete}
	if n.choose(&s); s.how != byHash {
		return answer{}, false
	}
	r := n.cmd.shared(ctx, n.plain("EVALSHA", scriptDelete.sha, "2", d.Key, d.Tomb, d.Process, tombstoneLife, n.deadlineAt(now, limit)))
	err := r.Error()
	switch {
	case err == nil:
		n.noScripts.lift()
	case refusalOf(err) != notRefused:
		return answer{}, false
	}
	return answer{RedisResult: r, err: scriptError(err)}, true
}

func (a answer) deleted() (removed bool, at int64, _ error) {
	if a.err != nil {
		return false, 0, a.err
	}
	if a.plain {
		k, err := a.AsInt64()
		return k > 0, 0, err
	}
	k, err := a.AsInt64()
	if err == nil && k < 0 {
		err = errLate
	}
	if err != nil {
		return false, 0, err
	}
	return k&1 == 1, k >> 1, nil
}

// deadline is until when, by the server's clock, a script may be executed for
// somebody to be told: later it does nothing. 0: whenever.
func (n *Node) deadline(limit time.Duration) string { return n.deadlineAt(time.Now(), limit) }

// deadlineAt is deadline of what began now.
func (n *Node) deadlineAt(now time.Time, limit time.Duration) string {
	if n.clock.ahead.Load() == nil {
		return "0"
	}
	_, ms := n.ServerTime(now.Add(limit + limit/sharing + lateMargin))
	return decimal(ms)
}

// lateMargin is how much later than given up a script may be executed: no two
// clocks agree.
const lateMargin = 50 * time.Millisecond

// errLate is the answer that nobody waits for any more.
var errLate = &Error{Kind: Timeout, Op: "delete", Err: errors.New("the server executed it too late")}

// errReply is what no server answers that ran our script.
var errReply = &Error{Kind: Other, Op: "script", Err: errors.New("unexpected reply")}

// Fill is a loaded value.
type Fill struct {
	Pair
	Tomb, Marks string // Marks are of its class
	Anchored    bool   // Marks are at an anchor: see MarksAt
	Trace       string // see TraceKey
	Rest        string // the key without its class
	// MissedAt is when the load began or before, by the server's clock in
	// milliseconds: a delete since then is a reason not to store the value.
	MissedAt int64
	// Replaces is the Sum of a value that was there at the miss and is of no use,
	// or OtherType, or TooLong; "": nothing was there. What was written since stays.
	Replaces string
	// Over is a value that was there and is replaced, or deleted where the value is Gone.
	Over Replaced
	Gone bool
	// Brief: the value may have ended when an older one that lives longer is put back. Process
	// is in its trace then.
	Brief   bool
	Process string
}

// Replaced is a value, known by its Sum, with between Least and Most milliseconds to live:
// the same value that was written since has more. Negative: it has no end.
type Replaced struct {
	Sum         string
	Least, Most int64
}

// traced is who leaves a trace of the value; "": nobody.
func (f *Fill) traced() string {
	if f.Brief {
		return f.Process
	}
	return ""
}

// replaces is an argument of scriptFill.
func (f *Fill) replaces() string {
	if f.Over.Sum == "" {
		return f.Replaces
	}
	return "seen:" + f.Over.Sum + ":" + decimal(f.Over.Least) + ":" + decimal(f.Over.Most)
}

// Fill stores a loaded value unless the key was written or deleted since it was
// missed, or since what it replaces was seen. Where scripts are forbidden, deletes are not noticed.
func (n *Node) Fill(ctx context.Context, f Fill, limit time.Duration) (stored bool, err error) {
	res := n.FillMany(ctx, []*Fill{&f}, limit)[0]
	return res.Stored, res.Err
}

func (f *Fill) step(deadline string) step {
	s := step{
		script: scriptFill,
		keys:   []string{f.Key, f.Tomb, f.Marks, f.Trace},
		args:   []string{text(f.Data), decimal(atLeastMS(f.TTL).Milliseconds()), decimal(f.MissedAt), f.replaces(), f.Rest, deadline, flag(f.Gone), f.traced(), decimal(TombstoneLife.Milliseconds())},
		plain:  f.plain,
	}
	if f.Anchored {
		return s.anchored([]string{f.Key, f.Tomb, f.Trace}, []string{f.Marks})
	}
	return s
}

func (f Fill) plain(n *Node) rueidis.Completed {
	if f.Over.Sum != "" { // no command replaces that and nothing newer
		return n.b().Exists().Key(f.Key).Build()
	}
	set := n.b().Set().Key(f.Key).Value(text(f.Data))
	if f.Replaces != "" {
		return set.Px(atLeastMS(f.TTL)).Build()
	}
	return set.Nx().Px(atLeastMS(f.TTL)).Build()
}

func (a answer) filled() (bool, error) {
	if a.plain {
		if IsNil(a.err) {
			return false, nil
		}
		return a.err == nil, a.err
	}
	if a.err != nil {
		return false, a.err
	}
	k, err := a.AsInt64()
	return k == 1, err
}

// OtherType is the Sum of what is no string.
const OtherType = "type"

// TooLong is the Sum of a value that is longer than most bytes.
func TooLong(most int64) string { return "long:" + decimal(most) }

// Sum is how a value is known again.
func Sum(value []byte) string {
	sum := sha1.Sum(value)
	return hex.EncodeToString(sum[:])
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
