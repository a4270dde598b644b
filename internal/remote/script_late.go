package remote

import (
	"context"
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
func (n *Node) InTime(bytes int) bool {
	if bytes >= ByScript {
		return true
	}
	now := time.Now()
	return n.cmd.conn.waits(now) > stalling || n.clock.clocks.uneasy(now)
}

// stalling is how long nothing comes from a node that seems to stall.
const stalling = 25 * time.Millisecond

// scriptSet: KEYS key; ARGV value, when it ends (0: never given), ttl, until when
// (0: ever). Returns 1 if it stored the value, -1 if it came too late.
var scriptSet = newScript(`local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(ARGV[4]) > 0 and now > tonumber(ARGV[4]) then return -1 end
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
end
return 1`)

// setInTime is Set by a script.
func (n *Node) setInTime(ctx, bounded context.Context, c call, p Pair, limit time.Duration) (Span, error) {
	a := n.run(bounded, n.setStep(p, limit))
	err := a.err
	if err == nil && !a.plain {
		err = inTime(a.AsInt64())
	}
	err = c.end(ctx, err)
	return c.span(), err
}

func (n *Node) setStep(p Pair, limit time.Duration) step {
	return step{
		script: scriptSet,
		keys:   []string{p.Key},
		args:   []string{text(p.Data), decimal(p.Ends), decimal(atLeastMS(p.TTL).Milliseconds()), n.deadline(limit)},
		plain:  func(n *Node) rueidis.Completed { return n.set(p).Pin() },
	}
}

// inTime is the error of a script's answer.
func inTime(k int64, err error) error {
	if err == nil && k < 0 {
		return errLate
	}
	return err
}

// scriptUnlink: KEYS the keys; ARGV until when (0: ever). Returns how many it
// removed, -1 if it came too late: then others may have written them.
var scriptUnlink = newScript(`local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(ARGV[1]) > 0 and now > tonumber(ARGV[1]) then return -1 end
local n = 0
for i = 1, #KEYS do
  local k = redis.pcall('UNLINK', KEYS[i])
  if type(k) ~= 'number' then k = redis.call('DEL', KEYS[i]) end
  n = n + k
end
return n`)

func (n *Node) unlinkInTime(bounded context.Context, keys []string, limit time.Duration) (int64, error) {
	a := n.run(bounded, step{
		script: scriptUnlink,
		keys:   keys,
		args:   []string{n.deadline(limit)},
		plain:  func(n *Node) rueidis.Completed { return n.b().Unlink().Key(keys...).Build() },
	})
	if kind := KindOf(a.err); kind == Lacks || kind == NoPerm {
		n.lacks.heard("UNLINK", a.err)
		return n.cmd.Do(bounded, n.b().Del().Key(keys...).Build()).AsInt64()
	}
	if a.err != nil {
		return 0, a.err
	}
	k, err := a.AsInt64()
	return max(k, 0), inTime(k, err)
}
