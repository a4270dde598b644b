package remote

import (
	"context"
	"math"
	"time"

	"github.com/redis/rueidis"
)

// When a key ends tells when it was written, for whoever knows how long it was to
// live. So every process notes in Redis, before it writes a key of a class with a
// time to live, that the class has it: in one hash for each class, its lives,
// from the time to live in milliseconds to "<until>:<slack>". Until is when the
// last key that was written so has ended, by the server's clock. Slack is how much
// later than its end tells a key may have been written: the writer knows the
// server's clock only so well.
//
// Two more fields: "~" says that a key's end was moved by a Touch, so it does not
// tell when it was written at the earliest, "*" that there were too many to note,
// so nothing can be told.

// Life is a time to live that a class is written with.
type Life struct {
	Lives string // the key of the class's lives
	TTL   time.Duration
	Slack int64 // in milliseconds
	Touch bool  // it is one that a Touch gives
}

// LivesKey is where the lives of a key's class are kept.
func LivesKey(prefix, key string) string { return prefix + "~t:" + classOf(prefix, key) }

const (
	// maxLives bounds the fields of a class's lives.
	maxLives = 32
	// livesMargin is how much longer than need be a life is noted: servers' clocks
	// differ, and it is noted anew in good time.
	livesMargin = 30 * time.Minute
)

// Holds is how long from now a noted life need not be noted again.
func (l Life) Holds() time.Duration { return l.TTL + livesMargin/2 }

// scriptLife: KEYS the lives of a class; ARGV ttl, how long to note it, slack, how
// many there may be, whether a Touch gives it. What others have noted stays where it is
// more.
var scriptLife = newScript(`local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = now + tonumber(ARGV[2])
local function stamp(n) return string.format('%.0f', n) end
local kind = redis.call('TYPE', KEYS[1])
if (kind.ok or kind) ~= 'hash' then redis.call('DEL', KEYS[1]) end
local function note(field, slack)
  local was, by = string.match(redis.call('HGET', KEYS[1], field) or '', '^(%d+):(%d+)$')
  redis.call('HSET', KEYS[1], field, stamp(math.max(till, tonumber(was) or 0)) .. ':' .. stamp(math.max(slack, tonumber(by) or 0)))
end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local was = tonumber(string.match(all[i + 1], '^(%d+):'))
    if not was or was < now then redis.pcall('HDEL', KEYS[1], all[i]) end
  end
end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  note('*', 0)
else
  note(ARGV[1], tonumber(ARGV[3]))
end
if ARGV[5] == '1' then note('~', 0) end
local longest, all = tonumber(ARGV[1]), redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local till, ttl = tonumber(string.match(all[i + 1], '^(%d+):')), tonumber(all[i])
  if till and ttl and till >= now then longest = math.max(longest, ttl) end
end
return longest`)

// NoteLife notes a life, and tells the longest that is noted. Where the ACL forbids that, or scripts, it is no error:
// what is put back there is put back without a condition, or not at all.
func (n *Node) NoteLife(ctx context.Context, l Life, limit time.Duration) (longest time.Duration, _ error) {
	if n.noLives.holds() {
		return l.TTL, nil
	}
	c, bounded, cancel := n.begin(ctx, "life", limit)
	c.of.key = l.Lives
	defer cancel()
	longest, err := n.noted(n.run(bounded, l.step()), l)
	return longest, c.end(ctx, err)
}

func (l Life) step() step {
	return step{
		script: scriptLife,
		keys:   []string{l.Lives},
		args: []string{
			decimal(atLeastMS(l.TTL).Milliseconds()), decimal((l.TTL + livesMargin).Milliseconds()), decimal(l.Slack),
			decimal(maxLives), flag(l.Touch),
		},
		plain: func(n *Node) rueidis.Completed { return n.b().Ping().Build() },
	}
}

// noted is what a node has answered to a life: the longest that it knows of.
func (n *Node) noted(a answer, l Life) (longest time.Duration, _ error) {
	if KindOf(a.err) == NoPerm {
		n.noLives.set()
		a.err, a.plain = nil, true
	}
	longest = l.TTL
	if a.err == nil && !a.plain {
		ms, _ := a.AsInt64()
		longest = max(longest, time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond)))*time.Millisecond)
	}
	return longest, a.err
}
