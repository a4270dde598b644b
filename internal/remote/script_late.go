package remote

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"
)

// A server that stalls comes to a command when its caller has given it up, and
// when others have written the key since. Most commands bring their own end: a
// script does nothing after its deadline. A small SET is sent as it is while all is
// well, for a script costs too much. What it does late is undone when it is put
// back: see luaReplay.

// ByScript is the size from which a Set is to be in time: such a value reaches a server in
// several parts. Redis reads 16 KiB of a connection and then serves the others, so
// that what others sent later is executed first.
const ByScript = 16 << 10

// InTime reports whether a Set of so many bytes is worth a script: large ones, and
// all while the node seems to stall, and for a while after an answer that did not
// come in time.
func (n *Node) InTime(bytes int) bool { return n.InTimeAt(bytes, time.Now()) }

// InTimeAt is InTime of a moment.
func (n *Node) InTimeAt(bytes int, now time.Time) bool {
	if bytes >= ByScript {
		return true
	}
	return n.cmd.conn.waits(now) > stalling || n.clock.clocks.uneasy(now)
}

// stalling is how long nothing comes from a node that seems to stall.
const stalling = 25 * time.Millisecond

// luaTrace leaves the trace of a brief write under a key. It never goes back in
// time, but for one that lies further ahead than a trace lives.
const luaTrace = `local function trace(key, at, who, life)
  local v = redis.pcall('GET', key)
  local t = type(v) == 'string' and tonumber(string.match(v, '^(%d+):'))
  if t and t >= at and t <= at + tonumber(life) then return end
  redis.call('SET', key, string.format('%.0f', at) .. ':' .. who, 'PX', life)
end
`

// scriptSet: KEYS key, and where to leave a trace; ARGV value, when it ends (0:
// never given), ttl, until when (0: ever), process, life of the trace. Returns 1 if
// it stored the value, -1 if it came too late. The trace is of when the value was
// sent: it must not look later than the value does by its end.
var scriptSet = newScript(luaTrace + `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(ARGV[4]) > 0 and now > tonumber(ARGV[4]) then return -1 end
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
  now = math.min(now, tonumber(ARGV[2]) - tonumber(ARGV[3]))
end
if KEYS[2] then trace(KEYS[2], now, ARGV[5], ARGV[6]) end
return 1`)

// scriptExpire: KEYS key, and where to leave a trace; ARGV ttl, until when (0: ever),
// process, life of the trace. Returns 1 if the key is there, 0 if not, -1 if it came
// too late. The trace is of a Touch: see touchedBy.
var scriptExpire = newScript(luaTrace + `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(ARGV[2]) > 0 and now > tonumber(ARGV[2]) then return -1 end
local there = redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', now + tonumber(ARGV[1])))
if there == 1 and KEYS[2] then trace(KEYS[2], now, ARGV[3], ARGV[4]) end
return there`)

// expireInTime is Expire by a script.
func (n *Node) expireInTime(ctx, bounded context.Context, c call, p Pair, limit time.Duration) (there bool, _ Span, _ error) {
	s := step{
		script: scriptExpire,
		keys:   []string{p.Key},
		args: []string{
			decimal(atLeastMS(p.TTL).Milliseconds()), n.deadline(limit), touchedBy + p.Process, decimal(TombstoneLife.Milliseconds()),
		},
		plain: func(n *Node) rueidis.Completed { return n.expire(p.Key, p.TTL) },
	}
	if p.Trace != "" {
		s.keys = append(s.keys, p.Trace)
	}
	a := n.run(bounded, s)
	k, err := int64(0), a.err
	if err == nil {
		k, err = a.AsInt64()
		err = inTime(k, err)
	}
	err = c.end(ctx, err)
	return k > 0, c.span(), err
}

// scriptTrace: KEYS where to leave a trace; ARGV when, process, its life.
var scriptTrace = newScript(luaTrace + `trace(KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3])
return 1`)

// LeaveTrace is for a brief write that was not made by Set, at a time of the
// server's.
func (n *Node) LeaveTrace(ctx context.Context, trace, process string, at int64, limit time.Duration) error {
	c, bounded, cancel := n.begin(ctx, "trace", limit)
	c.of.key = trace
	defer cancel()
	a := n.run(bounded, step{
		script: scriptTrace,
		keys:   []string{trace},
		args:   []string{decimal(at), process, decimal(TombstoneLife.Milliseconds())},
		plain:  func(n *Node) rueidis.Completed { return n.b().Ping().Build() },
	})
	return c.end(ctx, a.err)
}

// setInTime is Set by a script.
func (n *Node) setInTime(ctx, bounded context.Context, c call, p Pair, limit time.Duration) (Span, error) {
	err := c.end(ctx, n.run(bounded, n.setStep(p, limit)).inTime())
	return c.span(), err
}

// inTime is the error of a Set.
func (a answer) inTime() error {
	if a.err != nil || a.plain {
		return a.err
	}
	return inTime(a.AsInt64())
}

func (n *Node) setStep(p Pair, limit time.Duration) step {
	s := step{
		script: scriptSet,
		keys:   []string{p.Key},
		args: []string{
			text(p.Data), decimal(p.Ends), decimal(atLeastMS(p.TTL).Milliseconds()), n.deadline(limit),
			p.Process, decimal(TombstoneLife.Milliseconds()),
		},
		plain: func(n *Node) rueidis.Completed { return n.set(p).Pin() },
	}
	if p.Trace != "" {
		s.keys = append(s.keys, p.Trace)
	}
	return s
}

// inTime is the error of a script's answer.
func inTime(k int64, err error) error {
	if err == nil && k < 0 {
		return errLate
	}
	return err
}

// scriptUnlink: KEYS the keys; ARGV until when (0: ever). Returns how many it
// removed, -1 if it came too late: then others may have written them; and whether
// it had to use DEL.
var scriptUnlink = newScript(`local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(ARGV[1]) > 0 and now > tonumber(ARGV[1]) then return {-1, 0} end
local n, del = 0, 0
for i = 1, #KEYS do
  local k = redis.pcall('UNLINK', KEYS[i])
  if type(k) ~= 'number' then k, del = redis.call('DEL', KEYS[i]), 1 end
  n = n + k
end
return {n, del}`)

func (n *Node) unlinkInTime(bounded context.Context, keys []string, asking bool, limit time.Duration) (int64, error) {
	a := n.run(bounded, step{
		script: scriptUnlink,
		keys:   keys,
		args:   []string{n.deadline(limit)},
		plain:  func(n *Node) rueidis.Completed { return n.b().Unlink().Key(keys...).Build() },
		asking: asking,
	})
	return n.unlinked(bounded, a, keys, asking)
}

// unlinked is how many keys a step has removed.
func (n *Node) unlinked(bounded context.Context, a answer, keys []string, asking bool) (int64, error) {
	if kind := KindOf(a.err); kind == Lacks || kind == NoPerm {
		n.lacks.heard("UNLINK", a.err)
		return n.cmd.one(bounded, asking, n.b().Del().Key(keys...).Build()).AsInt64()
	}
	if a.err != nil {
		return 0, a.err
	}
	if a.plain {
		return a.AsInt64()
	}
	k, err := a.AsIntSlice()
	if err == nil && len(k) != 2 {
		err = errReply
	}
	if err != nil {
		return 0, err
	}
	if k[1] == 1 {
		n.lacks.heard("UNLINK", &Error{Kind: NoPerm, Op: "unlink", Err: errors.New("a script must not run it")})
	}
	return max(k[0], 0), inTime(k[0], nil)
}
