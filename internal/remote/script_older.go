package remote

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// scriptOlder only reads. KEYS key, lives (the others are luaNow's); ARGV from, how
// much older at most, our own ends. Returns 1 if what is there was certainly written
// before from, by another process, and by no more than that.
//
// A life that nobody noted, or a key without an end leave it open: 0. An end that a
// Touch gave is as good as one of a write: what had it was there before ours.
var scriptOlder = newScript(luaNow + luaEnds + luaWritten + `local from = tonumber(ARGV[1])
local e = ends()
if known(e, ARGV[3]) then return 0 end
local _, high, given = written(e, 0)
if given and high < from and given >= from - tonumber(ARGV[2]) then return 1 end
return 0`)

// Older tells which of the keys hold a value of another process that is certainly
// older than our write, by at most by. It changes nothing. Where scripts are
// forbidden nobody can tell.
func (n *Node) Older(ctx context.Context, rs []Replay, by, limit time.Duration) ([]bool, error) {
	c, bounded, cancel := n.begin(ctx, "older", limit)
	defer cancel()
	steps := make([]step, len(rs))
	for i := range rs {
		r := &rs[i]
		steps[i] = step{
			script: scriptOlder,
			keys:   []string{r.Key, r.Tomb, r.Marks, r.Lives},
			args:   []string{decimal(r.from()), decimal(by.Milliseconds()), ranges(r.Own)},
			plain:  func(n *Node) rueidis.Completed { return n.b().Ping().Build() },
		}
	}
	older := make([]bool, len(rs))
	var worst error
	for i, a := range n.runMany(bounded, steps) {
		err := a.err
		if err == nil && !a.plain {
			var k int64
			k, err = a.AsInt64()
			older[i] = err == nil && k == 1
		}
		if err != nil && (worst == nil || !hurts(worst)) {
			worst = err
		}
	}
	return older, c.end(ctx, worst)
}
