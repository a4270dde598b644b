package remote

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/redis/rueidis"
)

// Loads often come in bursts: a class that is new, a key space that has ended. What
// they have loaded is stored together. One script stores those that replace nothing:
// calling a script costs a server twice as much as what it does for one key.

// scriptFills is scriptFill for several keys of a class that replace nothing: KEYS marks,
// then for each key its tombstone and its trace, then the keys themselves; ARGV until when
// (as in scriptDelete), how many bytes of a key are its class, ttl, then for each key its value
// and when it was missed. Returns a digit for each key, 1 if its value is stored, and
// nothing if it came too late.
//
// Most keys have no tombstone, no trace and no mark of their class. One question tells that of
// all of them. Where it does not, each key is looked at as scriptFill does it.
var scriptFills = newScript(`local M = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till, class, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if till > 0 and now > till then return '' end
` + luaMarked + `local function since(missed, key, ...)
  local m = marked(string.sub(key, class + 1), nil)
  if not m or m >= missed then return true end
  for _, name in ipairs({...}) do
    local v = redis.pcall('GET', name)
    if v then
      local t = type(v) == 'string' and tonumber(string.match(v, '^(%d+):'))
      if not t or t >= missed then return true end
    end
  end
  return false
end
local n, stored = (#KEYS - 1) / 3, {}
local free = redis.pcall('EXISTS', unpack(KEYS, 1, 2 * n + 1)) == 0
for i = 1, n do
  local key, a = KEYS[2 * n + 1 + i], 2 * i + 2
  local may = free or not since(tonumber(ARGV[a + 1]), key, KEYS[2 * i], KEYS[2 * i + 1])
  stored[i] = may and redis.call('SET', key, ARGV[a], 'PX', ttl, 'NX') and '1' or '0'
end
return table.concat(stored)`)

// Filled is what came of one of FillMany.
type Filled struct {
	Stored bool
	Err    error
}

// simple reports whether scriptFills can store it with others that live for ttl.
func (f *Fill) simple(ttl time.Duration) bool {
	return f.TTL == ttl && !f.Anchored && f.Replaces == "" && f.Over.Sum == "" && !f.Gone && !f.Brief
}

// FillMany is Fill for up to MaxBatch values of one class, in one pipeline. Those that
// replace nothing and live as long as the first are stored by one script.
func (n *Node) FillMany(ctx context.Context, fs []*Fill, limit time.Duration) []Filled {
	c, bounded, cancel := n.beginMany(ctx, "fill", len(fs), limit)
	defer cancel()
	if len(fs) > 1 {
		c.limit = 0
	} else {
		c.of = subject{fs[0].Key, fs[0].Marks}
	}
	filled, deadline, ttl := make([]Filled, len(fs)), n.deadline(limit), fs[0].TTL
	var rest []int
	simple := make([]*Fill, 0, len(fs))
	for _, f := range fs {
		if f.simple(ttl) {
			simple = append(simple, f)
		}
	}
	together := len(simple) > 0 && !n.ScriptsForbidden() && n.fillTogether(bounded, simple, deadline, fs, filled)
	for i, f := range fs {
		if !together || !f.simple(ttl) {
			rest = append(rest, i)
		}
	}
	n.fillEach(bounded, fs, rest, deadline, filled)
	if len(fs) == 1 {
		filled[0].Err = c.end(ctx, filled[0].Err)
		return filled
	}
	var worst error
	for i := range filled {
		filled[i].Err = n.tell(filled[i].Err, subject{fs[i].Key, fs[i].Marks})
		worst = n.worse(worst, filled[i].Err)
	}
	_ = c.end(ctx, worst)
	return filled
}

// fillTogether stores simple ones by one script. false: the server does not let us; they are to
// be sent one by one.
func (n *Node) fillTogether(ctx context.Context, simple []*Fill, deadline string, fs []*Fill, filled []Filled) bool {
	a := n.run(ctx, fillsStep(simple, deadline))
	text, err, ttl := "", a.err, simple[0].TTL
	if err == nil && !a.plain {
		text, err = a.ToString()
	}
	if k := KindOf(err); a.plain || k.Puzzling() || k == NoPerm || k == Logical {
		return false
	}
	if err == nil && text != "" && len(text) != len(simple) {
		err = errReply
	}
	at := 0
	for i, f := range fs {
		if f.simple(ttl) {
			filled[i] = Filled{Stored: err == nil && text != "" && text[at] == '1', Err: err}
			at++
		}
	}
	return true
}

func fillsStep(fs []*Fill, deadline string) step {
	keys, args := make([]string, 0, 1+3*len(fs)), make([]string, 0, 3+2*len(fs))
	keys = append(keys, fs[0].Marks)
	args = append(args, deadline, decimal(int64(len(fs[0].Key)-len(fs[0].Rest))), decimal(atLeastMS(fs[0].TTL).Milliseconds()))
	for _, f := range fs {
		keys = append(keys, f.Tomb, f.Trace)
		args = append(args, text(f.Data), decimal(f.MissedAt))
	}
	for _, f := range fs {
		keys = append(keys, f.Key)
	}
	return step{script: scriptFills, keys: keys, args: args, plain: func(n *Node) rueidis.Completed { return n.b().Ping().Build() }}
}

// fillEach stores some of them by a script each.
func (n *Node) fillEach(ctx context.Context, fs []*Fill, some []int, deadline string, filled []Filled) {
	if len(some) == 0 {
		return
	}
	steps := make([]step, len(some))
	for i, at := range some {
		steps[i] = fs[at].step(deadline)
	}
	for i, a := range n.runMany(ctx, steps) {
		f := fs[some[i]]
		stored, err := a.filled()
		filled[some[i]] = Filled{stored && !(a.plain && f.Over.Sum != ""), err}
	}
}

// Hold asks which keys, MaxBatch at most, hold just those values. false: another one, none, or nobody
// can say. Of a value no more is read than is to be compared.
func (n *Node) Hold(ctx context.Context, keys []string, values [][]byte, limit time.Duration) []bool {
	holds := make([]bool, len(keys))
	every := func([]byte) bool { return true }
	whole := func(v []byte) bool { return len(v) == 0 || len(v) >= span }
	if n.noRanges.holds() || !slices.ContainsFunc(values, func(v []byte) bool { return !whole(v) }) {
		n.holdEach(ctx, keys, values, limit, holds, every)
		return holds
	}
	c, bounded, cancel := n.beginMany(ctx, "mget", len(keys), limit)
	c.limit = 0
	cmds := make([]rueidis.Completed, 0, len(keys))
	index := make([]int, 0, len(keys))
	for i, v := range values {
		if !whole(v) {
			cmds, index = append(cmds, n.plain("GETRANGE", keys[i], "0", decimal(int64(len(v))))), append(index, i)
		}
	}
	var worst error
	for j, r := range n.cmd.DoMulti(bounded, cmds...) {
		got, err := r.AsBytes()
		if rangesForbidden(err) {
			n.noRanges.set()
			whole, err = every, nil
		}
		holds[index[j]] = err == nil && bytes.Equal(got, values[index[j]])
		worst = n.worse(worst, n.tell(err, subject{key: keys[index[j]]}))
	}
	cancel()
	_ = c.end(ctx, worst)
	n.holdEach(ctx, keys, values, limit, holds, whole)
	return holds
}

// holdEach asks for those values for which GETRANGE does not do.
func (n *Node) holdEach(ctx context.Context, keys []string, values [][]byte, limit time.Duration, holds []bool, which func([]byte) bool) {
	for i, v := range values {
		if which(v) {
			got, err := n.Get(ctx, keys[i], limit)
			holds[i] = err == nil && bytes.Equal(got.Data, v)
		}
	}
}
