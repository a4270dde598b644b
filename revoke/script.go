package revoke

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

// script is one that Redis may have already.
type script struct{ text, sum string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text, hex.EncodeToString(sum[:])}
}

// The keys are the set, the stream and the numbers, in this order. Each script
// is one step: nobody sees a set, a stream and numbers that do not fit.

// lastNumber begins the scripts that need to know the last number of the stream.
// What is not ours under the key of the numbers goes, and they begin again: at the
// microsecond, where no reader has been, so that each of them reads the whole set.
// Something is owed when there may be entries that the stream was not told of.
const lastNumber = `
local function integer(s) return s == '0' or string.match(s, '^%-?[1-9]%d*$') and #s <= 16 end
local function last()
  local n = redis.pcall('HMGET', KEYS[3], 'seq', 'count', 'owed')
  if not n.err and n[1] and integer(n[1]) and (not n[2] or integer(n[2])) then
    local seq = tonumber(n[1])
    if seq >= 0 and seq < 2^53 then return seq, n[3] == '1' end
  end
  redis.call('DEL', KEYS[3])
  local t = redis.pcall('TIME')
  local seq = t.err and string.match(redis.call('INFO', 'server'), 'server_time_usec:(%d+)') or t[1] .. string.format('%06d', t[2])
  redis.call('HSET', KEYS[3], 'seq', seq, 'owed', 1)
  return tonumber(seq), true
end`

// mergeSubjects is for add. The score of a subject holds its expiry and the part of
// a second of its cut-off: of two, the later of each counts, and not the higher score.
// A member that another takes the place of goes if that one lives as long at least.
const mergeSubjects = `
local function parts(score)
  local exp = math.ceil(score)
  local part = score - math.floor(score)
  if part == 0 then part = 1 end
  return exp, part
end
local function merged(n)
  local out = {}
  for i = 3, 2 + n, 2 do
    local score, member = ARGV[i], ARGV[i + 1]
    if string.sub(member, 1, 1) == 's' then
      local was = redis.call('ZSCORE', KEYS[1], member)
      if was and tonumber(was) ~= tonumber(score) and tonumber(was) < 2^53 then
        local exp, part = parts(tonumber(score))
        local exp2, part2 = parts(tonumber(was))
        local score2 = math.max(exp, exp2) - 1 + math.max(part, part2)
        score = string.format('%.17g', score2)
      end
    end
    out[#out + 1] = score
    out[#out + 1] = member
  end
  return out
end
local function drop(n)
  local ends, gone, added = {}, {}, {}
  for i = 3, 2 + n, 2 do
    local subject = string.sub(ARGV[i + 1], 1, 17)
    added[ARGV[i + 1]] = true
    ends[subject] = math.max(ends[subject] or 0, math.ceil(tonumber(ARGV[i])))
  end
  for i = 3 + n, #ARGV do
    local was = redis.call('ZSCORE', KEYS[1], ARGV[i])
    if was and not added[ARGV[i]] and math.ceil(tonumber(was)) <= (ends[string.sub(ARGV[i], 1, 17)] or 0) then gone[#gone + 1] = ARGV[i] end
  end
  if #gone == 0 then return 0 end
  return redis.call('ZREM', KEYS[1], unpack(gone))
end`

// addBody is that of add.
const addBody = `
local seq, owed = last()
local n = tonumber(ARGV[2])
local before = redis.call('ZCARD', KEYS[1])
local changed = redis.call('ZADD', KEYS[1], 'GT', 'CH', unpack(merged(n)))
changed = changed + drop(n)
if changed == 0 and not owed then return 0 end
redis.call('HINCRBY', KEYS[3], 'count', redis.call('ZCARD', KEYS[1]) - before)
redis.call('HINCRBY', KEYS[3], 'seq', 1)
local function tell()
  return redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'n', string.format('%.0f', seq + 1), unpack(ARGV, 3, 2 + n))
end
local told = tell()
if type(told) == 'table' then
  redis.call('DEL', KEYS[2])
  told = tell()
end
if type(told) == 'table' then
  redis.call('HSET', KEYS[3], 'owed', 1)
  return told
end
if owed then redis.call('HSET', KEYS[3], 'owed', 0) end
return changed`

var (
	// add: the stream's length, how many of the scores and members that follow to
	// add; the rest are members to drop. What changes nothing leaves no trace. A
	// stream that takes nothing (it is none, or has no ids left) begins again. Where
	// that does not help either, readers find a gap, and the next attempt that there
	// is something owed: it must not be acknowledged because the set has it already.
	addScript = newScript(lastNumber + mergeSubjects + addBody)

	// compare is add for a set that is complete as far as can be seen; -1: it is not.
	// The last argument is the number up to which the stream was read. -2: something is
	// missing, but by the stream there is news that may explain it. Else how many were
	// missing, and how many were put back: of a subject also one with less of it, since
	// two processes that cut it off at the same time may leave that.
	compareScript = newScript(lastNumber + mergeSubjects + `
if #redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf', 'LIMIT', 0, 1) == 0 then return {-1, 0} end
local is = redis.pcall('HMGET', KEYS[3], 'count', 'seq')
if is.err or tonumber(is[1] or '') ~= redis.call('ZCARD', KEYS[1]) then return {-1, 0} end
local missing, less = 0, 0
for i = 3, #ARGV - 1, 2 do
  local was, score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i + 1]) or ''), tonumber(ARGV[i])
  if not was then
    missing = missing + 1
  elseif string.sub(ARGV[i + 1], 1, 1) ~= 's' then
    if was < score then missing = missing + 1 end
  elseif was < 2^53 then
    local exp, part = parts(score)
    local exp2, part2 = parts(was)
    if exp2 < exp or part2 < part then less = less + 1 end
  end
end
if missing + less == 0 then return {0, 0} end
if is[2] ~= table.remove(ARGV) then return {-2, 0} end
local function add()` + addBody + `
end
local changed = add()
if type(changed) == 'table' then return changed end
return {missing, changed}`)

	// look at what tells whether the set is complete. Numbers that are not ours are none.
	// The peers are told to who says which state of them it knows, if that is not this, and
	// its own member: without that the set is another one.
	lookScript = newScript(`
local n = redis.pcall('HMGET', KEYS[3], 'seq', 'count', 'here')
if n.err then n = {false, false, false} end
local state, peers = false, false
if ARGV[1] then state = (n[3] or '') .. (redis.call('ZSCORE', KEYS[1], ARGV[2]) and ':in' or ':out') end
if ARGV[1] and ARGV[1] ~= state then
  peers = redis.call('ZRANGEBYSCORE', KEYS[1], '(` + peerBase + `', '` + peerLast + `', 'LIMIT', 0, 1000)
end
return {redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf', 'LIMIT', 0, 16), redis.call('ZCARD', KEYS[1]), n[1], n[2],
  redis.call('ZRANGEBYSCORE', KEYS[1], '` + claimScore + `', '` + claimScore + `', 'LIMIT', 0, 64),
  state, peers}`)

	// where the stream ends, and the number that belongs there. What is no stream goes.
	whereScript = newScript(lastNumber + `
local seq = last()
local is = redis.call('TYPE', KEYS[2]).ok
if is ~= 'stream' and is ~= 'none' then redis.call('DEL', KEYS[2]) end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return {newest[1] and newest[1][1] or '0-0', string.format('%.0f', seq)}`)

	// claim: the claim, and one that it takes the place of.
	claimScript = newScript(lastNumber + `
last()
local more = -redis.call('ZREM', KEYS[1], ARGV[2])
more = more + redis.call('ZADD', KEYS[1], '` + claimScore + `', ARGV[1])
if more ~= 0 then redis.call('HINCRBY', KEYS[3], 'count', more) end
return 1`)

	// done: a claim, and what it becomes, if it is still there. 0 = it is not.
	doneScript = newScript(`
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZADD', KEYS[1], '` + claimScore + `', ARGV[2])
return 1`)

	// mark: the marker, the print it must not disagree with, the claim that must
	// be there (or nothing), the number that the stream is at, and members that go: peers
	// that are not waited for any more. 0 = not marked.
	markScript = newScript(lastNumber + `
if ARGV[3] ~= '' and not redis.call('ZSCORE', KEYS[1], ARGV[3]) then return 0 end
for _, m in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf')) do
  if string.sub(m, 1, 2) == 'm:' and string.sub(m, 1, #ARGV[2]) ~= ARGV[2] then return 0 end
end
local seq = math.max(last(), tonumber(ARGV[4]))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '` + claimScore + `', '` + claimScore + `')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(` + peerLast + `', '+inf')
for i = 5, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
redis.call('ZADD', KEYS[1], '+inf', ARGV[1])
redis.call('HSET', KEYS[3], 'seq', string.format('%.0f', seq), 'count', redis.call('ZCARD', KEYS[1]))
return 1`)

	// prune: how many seconds after its expiry an entry goes, what the process's
	// clock says, the slowest time that it knows of, and how many go at most. No clock
	// is known to be right: each process leaves how far its own is behind the server's,
	// and the furthest of the last hour counts, of a day at most. It answers how many
	// went, and how far the slowest is ahead of ours.
	pruneScript = newScript(`
local time = redis.pcall('TIME')
local now = tonumber(time[1] or string.match(redis.call('INFO', 'server'), 'server_time_usec:(%d+)%d%d%d%d%d%d'))
local ours = math.max(-86400, math.min(0, tonumber(ARGV[2]) - now))
local n = redis.pcall('HMGET', KEYS[3], 'behind', 'behindAt')
if n.err then return {0, 0} end
local behind, at = tonumber(n[1] or ''), tonumber(n[2] or '')
local age = at and math.abs(now - at)
if not behind or not at or not (behind <= 0 and behind >= -86400) or not (age <= 3600) or ours < behind or ours == behind and age > 600 then
  behind = ours
  redis.call('HSET', KEYS[3], 'behind', string.format('%.0f', behind), 'behindAt', string.format('%.0f', now))
end
local most, peers = tonumber(ARGV[4]), behind + now - tonumber(ARGV[2])
if most == 0 then return {0, peers} end
local last = math.min(now + behind, tonumber(ARGV[3])) - tonumber(ARGV[1])
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', last), 'LIMIT', 0, most)
if #old > 0 then
  redis.call('HINCRBY', KEYS[3], 'count', -redis.call('ZREM', KEYS[1], unpack(old)))
end
return {#old, peers}`)
)

// keys are those of a list in Redis. They share a hash tag, and begin as no
// class of a Cache can.
type keys struct{ set, stream, numbers string }

func newKeys(prefix, namespace string) keys {
	p := prefix + "~r:{" + namespace + "}:"
	return keys{set: p + "set", stream: p + "stream", numbers: p + "n"}
}

func (k keys) command(s script, whole bool, args ...string) []string {
	first := []string{"EVALSHA", s.sum}
	if whole {
		first = []string{"EVAL", s.text}
	}
	return append(append(first, "3", k.set, k.stream, k.numbers), args...)
}

// asker is a connection.
type asker func(ctx context.Context, limit time.Duration, commands ...[]string) ([]kit.Reply, error)

// run runs a script, and returns its answer.
func (k keys) run(ctx context.Context, ask asker, limit time.Duration, s script, args ...string) (any, error) {
	for _, whole := range []bool{false, true} {
		replies, err := ask(ctx, limit, k.command(s, whole, args...))
		err = firstError(replies, err, 1)
		if err == nil {
			return replies[0].Value, nil
		}
		if whole || !noScript(err) {
			return nil, err
		}
	}
	return nil, errReply
}

func noScript(err error) bool { return strings.Contains(err.Error(), "NOSCRIPT") || noHash(err) }

// noHash reports that the server has no EVALSHA.
func noHash(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "unknown command") && strings.Contains(text, "evalsha")
}

const (
	// streamLength is what the stream keeps, about. Who is further behind reads the
	// whole set.
	streamLength = 10_000
	// batchEntries bounds what one script adds.
	batchEntries = 256
)

// addArgs are the arguments of add.
func addArgs(es []entry, drop []string) []string {
	args := make([]string, 0, 2+2*len(es)+len(drop))
	args = append(args, strconv.Itoa(streamLength), strconv.Itoa(2*len(es)))
	for _, e := range es {
		args = append(args, e.score(), e.member())
	}
	return append(args, drop...)
}
