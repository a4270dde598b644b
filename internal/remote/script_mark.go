package remote

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// The deletes of prefixes of a class leave their traces in one hash, the class's
// marks: from the prefix, without the class, to "<time>:<process>". A key that
// is not there has no tombstone of its own then.

// luaMarked is when the latest delete of a prefix of the key was made, by others
// than who, 0 for none; nil where a mark makes no sense. rest is the key without
// its class. It asks for each beginning of rest, so the number of marks costs
// nothing here. An ACL may allow HGET and not HMGET.
const luaMarked = `local function marked(rest, who)
  local n = redis.pcall('HLEN', M)
  if type(n) ~= 'number' then return nil end
  local latest = 0
  for first = 0, n > 0 and #rest or -1, 500 do
    local cuts = {}
    for i = first, math.min(first + 499, #rest) do cuts[#cuts + 1] = string.sub(rest, 1, i) end
    local found = redis.pcall('HMGET', M, unpack(cuts))
    if type(found) ~= 'table' then return nil end
    if found.err then
      found = {}
      for i = 1, #cuts do found[i] = redis.pcall('HGET', M, cuts[i]) end
    end
    for i = 1, #cuts do
      if type(found[i]) == 'table' then return nil end
      if found[i] then
        local t, by = string.match(found[i], '^(%d+):(.*)$')
        t = tonumber(t)
        if not t then return nil end
        if by ~= who and t > latest then latest = t end
      end
    end
  end
  return latest
end
`

// scriptMark: KEYS the marks of a class; ARGV prefix without the class, process,
// life, time (0: now), how many there may be, until when (as in scriptDelete),
// how many bytes they may have. Returns the time.
//
// Where there are too many, it looks at some that it picks at random. It drops
// those that say nothing: the older ones than marks live, and those that the mark
// of the whole class says already. Where these are few, the oldest ones become one
// with the mark of the whole class. That one has the time of the youngest of them,
// never the time of the call: what was written since then is certain. It is of
// their process where they have the same, and else of nobody.
//
// A mark of the whole class may be such a one. So an older delete of the whole
// class by another process makes it one of nobody.
//
// Where an ACL forbids HDEL or HRANDFIELD they all become one of nobody for the
// whole class: to read them all would take seconds.
var scriptMark = newScript(`local M, field, who, life = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local at, most, bytes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(ARGV[6]) > 0 and now > tonumber(ARGV[6]) then return -1 end
if at == 0 then at = now end
local kind = redis.call('TYPE', M)
if (kind.ok or kind) ~= 'hash' then redis.call('DEL', M) end
local function read(v)
  local t, by = string.match(v or '0:', '^(%d+):(.*)$')
  if t then return tonumber(t), by end
  return now, ''
end
local function write(field, at, who) redis.call('HSET', M, field, string.format('%.0f', at) .. ':' .. who) end
local function collapse()
  redis.call('DEL', M)
  write('', math.max(at, now), '')
end
local function join(at, who)
  local v = redis.call('HGET', M, '')
  local t, by = read(v)
  if v and by ~= who then who = '' end
  write('', math.max(t, at), who)
end
local function shrink(n)
  local all, sum, marks, gone = redis.pcall('HRANDFIELD', M, 256, 'WITHVALUES'), 0, {}, {}
  if type(all) ~= 'table' or all.err then return n >= most and collapse() end
  local class, whose = read(redis.call('HGET', M, ''))
  for i = 1, #all, 2 do
    sum = sum + #all[i] + #all[i + 1]
    local t, by = read(all[i + 1])
    local whole = all[i] == ''
    if not whole and (t + life < now or t <= class and (whose == '' or whose == by)) then
      gone[#gone + 1] = all[i]
    elseif not whole then
      marks[#marks + 1] = {all[i], t, by}
    end
  end
  if n < most and sum / #all * 2 * n < bytes then return end
  table.sort(marks, function(a, b) return a[2] < b[2] end)
  local joined, few = nil, #all / 16
  for i = 1, #marks do
    if #gone >= few then break end
    gone[#gone + 1] = marks[i][1]
    joined = {marks[i][2], (not joined or joined[2] == marks[i][3]) and marks[i][3] or ''}
  end
  if joined then join(joined[1], joined[2]) end
  if #gone > 0 and type(redis.pcall('HDEL', M, unpack(gone))) ~= 'number' then collapse() end
end
local n = redis.call('HLEN', M)
if (n >= most or n % 16 == 0 and n * 1024 >= bytes) and redis.call('HEXISTS', M, field) == 0 then shrink(n) end
local v = redis.call('HGET', M, field)
local was, by = string.match(v or '', '^(%d+):(.*)$')
if not was or tonumber(was) < at then
  write(field, at, who)
elseif field == '' and by ~= who then
  write(field, tonumber(was), '')
end
redis.call('PEXPIRE', M, life)
return at`)

// PrefixMark is the trace of a delete of a prefix.
type PrefixMark struct {
	Marks   string // of the class
	Rest    string // the prefix without the class
	Process string
	At      int64 // by the server's clock in milliseconds; 0: now
}

// What is dated now must be executed in time: a server that comes to it late would
// date it later than what others have written since.
func (m PrefixMark) deadline(n *Node, limit time.Duration) string {
	if m.At != 0 {
		return "0"
	}
	return n.deadline(limit)
}

// maxMarks and maxMarkBytes bound the marks of a class.
const (
	maxMarks     = 1 << 16
	maxMarkBytes = 8 << 20
)

func (m PrefixMark) step(n *Node, limit time.Duration) step {
	return step{
		script: scriptMark,
		keys:   []string{m.Marks},
		args: []string{
			m.Rest, m.Process, decimal(TombstoneLife.Milliseconds()), decimal(m.At),
			decimal(maxMarks), m.deadline(n, limit), decimal(maxMarkBytes),
		},
		plain: func(n *Node) rueidis.Completed { return n.b().Ping().Build() },
	}
}

// MarkPrefix leaves the trace of a delete of a prefix, before its keys are
// deleted: loads and writes of before are not put where nothing is any more. at
// is when, by the server's clock in milliseconds, and 0 where scripts are
// forbidden: then there is no trace.
func (n *Node) MarkPrefix(ctx context.Context, m PrefixMark, limit time.Duration) (at int64, err error) {
	c, bounded, cancel := n.begin(ctx, "delete", limit)
	defer cancel()
	at, err = n.run(bounded, m.step(n, limit)).marked()
	return at, c.end(ctx, err)
}

// MarkPrefixes is MarkPrefix for up to MaxBatch prefixes in one pipeline. An error
// means that some may have no mark.
func (n *Node) MarkPrefixes(ctx context.Context, ms []PrefixMark, limit time.Duration) error {
	c, bounded, cancel := n.begin(ctx, "delete", limit)
	c.limit = 0
	defer cancel()
	steps := make([]step, len(ms))
	for i := range ms {
		steps[i] = ms[i].step(n, limit)
	}
	var worst error
	for _, a := range n.runMany(bounded, steps) {
		if _, err := a.marked(); err != nil && (worst == nil || !hurts(worst)) {
			worst = err
		}
	}
	return c.end(ctx, worst)
}

func (a answer) marked() (at int64, _ error) {
	if a.err != nil || a.plain {
		return 0, a.err
	}
	at, err := a.AsInt64()
	return max(at, 0), inTime(at, err)
}
