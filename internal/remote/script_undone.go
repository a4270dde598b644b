package remote

import (
	"cmp"
	"context"
	"time"

	"github.com/redis/rueidis"
)

// scriptOlder only reads. KEYS key, lives (the others are luaNow's); ARGV from, how
// much older at most, the ends that our write was sent with. Returns 1 if what is there was
// certainly written before from, and by no more than that.
//
// What has one of those ends is our write. The end of an earlier write of ours proves
// nothing: another process may have written in the same millisecond, and an earlier write of
// ours may have been executed late as well.
//
// A life that nobody noted, or a key without an end leave it open: 0. An end that a
// Touch gave is as good as one of a write: what had it was there before ours.
var scriptOlder = newScript(luaNow + luaEnds + luaWritten + `local from = tonumber(ARGV[1])
local e = ends()
if known(e, ARGV[3]) then return 0 end
local _, high, given = written(e, 0)
if given and high < from and given >= from - tonumber(ARGV[2]) then return 1 end
return 0`)

// Age is what a node says of the age of a value.
type Age uint8

const (
	Unanswered Age = iota // the node did not answer, or not as a master that can: ask again
	NotOlder              // or nobody can tell
	CertainlyOlder
)

// Older tells which of the keys hold a value of another process that is certainly
// older than our write, by at most by. It changes nothing. Where scripts are
// forbidden nobody can tell. The error is the worst one of the Unanswered, and of those
// that nobody can tell for what the node says of the command.
func (n *Node) Older(ctx context.Context, rs []Replay, by, limit time.Duration) ([]Age, error) {
	c, bounded, cancel := n.begin(ctx, "older", limit)
	defer cancel()
	steps := make([]step, len(rs))
	for i := range rs {
		r := &rs[i]
		steps[i] = step{
			script: scriptOlder,
			keys:   []string{r.Key, r.Tomb, r.Marks, r.Lives},
			args:   []string{decimal(r.from()), decimal(by.Milliseconds()), ranges(r.Sent)},
			plain:  func(n *Node) rueidis.Completed { return n.b().Ping().Build() },
		}
		if r.Anchored {
			steps[i] = steps[i].anchored([]string{r.Key}, []string{cmp.Or(r.Lives, r.Key)})
		}
	}
	ages := make([]Age, len(rs))
	var worst error
	for i, a := range n.runMany(bounded, steps) {
		var err error
		if ages[i], err = a.age(); err != nil {
			if KindOf(err).Unserved() && n.clustered() {
				ages[i] = Unanswered
			}
			worst = n.worse(worst, n.tell(err, rs[i].subject()))
		}
	}
	return ages, c.end(ctx, worst)
}

func (a answer) age() (Age, error) {
	if a.err != nil {
		return ageAfter(KindOf(a.err)), a.err
	}
	if a.plain {
		return NotOlder, nil
	}
	k, err := a.AsInt64()
	if err == nil && k == 1 {
		return CertainlyOlder, nil
	}
	return NotOlder, err
}

// ageAfter is what an error leaves: what is about the command or the key will be the
// same the next time.
func ageAfter(k Kind) Age {
	if k == NoPerm || k == Logical || k.Puzzling() {
		return NotOlder
	}
	return Unanswered
}
