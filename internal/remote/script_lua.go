package remote

// The scripts. All times are milliseconds of the server's clock; Lua counts in
// doubles, which are exact far beyond that, but writes them with 14 digits, so
// they are written by stamp. A script touches its KEYS and nothing else.
//
// A tombstone's value is "<time>:<process>": a delete by that process at that
// time. One without a process was left where a key was removed because the
// order of writes could not be told: nobody takes it for his own. Whatever else
// stands under a tombstone's key, another type included, means that something
// was deleted, and nobody knows when.

// The deletes of prefixes of a class leave their traces in one hash, the class's
// marks: from the prefix, without the class, to "<time>:<process>". A key that
// is not there has no tombstone of its own then.

// luaNow begins each script.
const luaNow = `local K, T, M = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function stamp(n) return string.format('%.0f', n) end
`

// luaTomb reads the tombstone: its time and process, 0 where there is none, nil
// where it makes no sense. A time further ahead than a tombstone lives makes
// none: no two servers' clocks are that far apart.
const luaTomb = `local function tomb(life)
  local v = redis.pcall('GET', T)
  if not v then return 0, '' end
  if type(v) ~= 'string' then return nil end
  local t, by = string.match(v, '^(%d+):(.*)$')
  t = tonumber(t)
  if t and t <= now + life then return t, by end
  return nil
end
`

// luaMarked is when the latest delete of a prefix of the key was made, by others
// than who, 0 for none; nil where a mark makes no sense. ARGV holds the key
// without its class.
const luaMarked = `local function marked(rest, who)
  local all = redis.pcall('HGETALL', M)
  if type(all) ~= 'table' or all.err then return nil end
  local latest = 0
  for i = 1, #all, 2 do
    if string.sub(rest, 1, #all[i]) == all[i] then
      local t, by = string.match(all[i + 1], '^(%d+):(.*)$')
      t = tonumber(t)
      if not t then return nil end
      if by ~= who and t > latest then latest = t end
    end
  end
  return latest
end
`

// scriptMark: KEYS the marks of a class; ARGV prefix without the class, process,
// life, time (0: now), how many there may be. Returns the time. Too many become
// one of the whole class, of nobody: every key may have been deleted then.
var scriptMark = newScript(`local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at, who, field = tonumber(ARGV[4]), ARGV[2], ARGV[1]
if at == 0 then at = now end
local type = redis.call('TYPE', KEYS[1])
if (type.ok or type) ~= 'hash' then redis.call('DEL', KEYS[1]) end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) and redis.call('HEXISTS', KEYS[1], field) == 0 then
  redis.call('DEL', KEYS[1])
  who, field, at = '', '', math.max(at, now)
end
local was = string.match(redis.call('HGET', KEYS[1], field) or '', '^(%d+):')
if not was or tonumber(was) < at then
  redis.call('HSET', KEYS[1], field, string.format('%.0f', at) .. ':' .. who)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return at`)

// luaEnds is when the key ends: -1 never, -2 it is not there. Redis 6.2 has no
// PEXPIRETIME, and an ACL may forbid it.
const luaEnds = `local function ends()
  local e = redis.pcall('PEXPIRETIME', K)
  if type(e) == 'number' then return e end
  e = redis.call('PTTL', K)
  if e < 0 then return e end
  return now + e
end
`

// scriptDelete: KEYS key, tombstone; ARGV process, life of the tombstone, until
// when (0: ever). Returns how many keys it removed and when. A server that hung
// comes to it when its caller has given up and others have written the key: then
// it does nothing and returns -1.
//
// A tombstone never goes back in time, as it would on a master whose clock is
// behind the one of the last: a fill or replay that the earlier one refused
// must stay refused. The key is deleted before the tombstone is written: a
// server out of memory refuses a script's first write if that takes memory, and
// takes all that follow.
var scriptDelete = newScript(luaNow + luaTomb + `if tonumber(ARGV[3]) > 0 and now > tonumber(ARGV[3]) then return {-1, now} end
local at = math.max(now, tomb(ARGV[2]) or 0)
local n = redis.call('DEL', K)
redis.call('SET', T, stamp(at) .. ':' .. ARGV[1], 'PX', ARGV[2])
return {n, now}`)

// scriptFill: KEYS key, tombstone, marks; ARGV value, ttl, when it was missed,
// whether to overwrite, the key without its class, until when (as in scriptDelete).
// Returns 1 if it stored the value.
//
// A value that was loaded before a delete must not be stored after it; with a
// tombstone that makes no sense nobody knows, and not to store is always safe.
// Overwriting is for a value that was there at the miss and of no use; one that
// was written since, with the same time to live, stays.
var scriptFill = newScript(luaNow + luaEnds + luaMarked + `local missed = tonumber(ARGV[3])
if tonumber(ARGV[6]) > 0 and now > tonumber(ARGV[6]) then return 0 end
local m = marked(ARGV[5], nil)
if not m or m >= missed then return 0 end
local v = redis.pcall('GET', T)
if v then
  local t = type(v) == 'string' and tonumber(string.match(v, '^(%d+):'))
  if not t or t >= missed then return 0 end
end
if ARGV[4] == '1' then
  local w = ends() - ARGV[2]
  if w > missed and w <= now + 1 then return 0 end
  redis.call('SET', K, ARGV[1], 'PX', ARGV[2])
  return 1
end
if redis.call('SET', K, ARGV[1], 'PX', ARGV[2], 'NX') then return 1 end
return 0`)

// luaReplay begins the scripts that put a write of ours back: KEYS key,
// tombstone, marks; ARGV lo, hi, ttl, certain, process, life of the tombstone,
// the key without its class. lo and hi are the times between which it was
// executed.
//
// A tombstone of another process that is later than hi wins, and so does its
// delete of a prefix. What is there then was written later still, or the one who
// deletes the prefix has not come to it yet: an older value than ours is removed
// for him, or we would read what we have overwritten. Our own are ignored: our
// writes of a key have an order, and what is put back is the last.
//
// bury removes the key because nobody can tell whether what is there, or what
// was deleted, came before our write or after. From then on nothing that was
// written before the latest of them, by anybody, may be put back: it may be
// older than what was removed. So it leaves a tombstone of nobody, of that time,
// or of now where it is not known.
const luaReplay = luaNow + luaTomb + luaEnds + luaMarked + `local lo, hi, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local life = tonumber(ARGV[6])
local t, by = tomb(life)
local foreign = t and t > 0 and by ~= ARGV[5]
if foreign and t > hi then return 0 end
local m = marked(ARGV[7], ARGV[5])
local e = ends()
local w = nil
if ARGV[4] == '1' and e >= 0 and e - ttl <= now + 1 then w = e - ttl end
if m and m > hi then
  if w and w <= hi then redis.call('DEL', K) end
  return 0
end
local newer = w and w > hi + 1
local function prior(there, sums)
  return sums ~= '' and type(there) == 'string' and string.find(sums, redis.sha1hex(there), 1, true)
end
local function mark(at, who)
  redis.call('DEL', K)
  if not t or t < at then redis.call('SET', T, stamp(at) .. ':' .. who, 'PX', life) end
end
local function bury()
  local at = math.max(hi, t and t + 1 or now, m or now)
  if e ~= -2 then at = math.max(at, w or now) end
  mark(at, '')
end
`

// scriptRestore puts a Set back: ARGV goes on with when it ends, the upper end
// of our write of the key before this one (0: none), and the value. Returns a
// Result.
//
// w is when the value that is there was written, if that was with the same ttl:
// it ends so much later. It is not known where the writes of the class differ
// in their ttl (certain is 0), where the key has no end, and where it ends
// later than anything with this ttl could. Then, and where w is too near to our
// own times, the order cannot be told.
//
//   - The same value: whoever wrote it. It must not end before ours would.
//   - A value that an earlier write of ours, which was not answered, may have put
//     there only now: it is older than ours.
//   - w after hi: it is newer than ours, and stays.
//   - w before lo, or not after floor: it is older, ours replaces it. Up to
//     floor it is what we replaced already, or somebody wrote it while our write
//     was under way: then either order is one that the callers can have seen.
//   - A delete by another between lo and hi: the order cannot be told. A key
//     that is there was written after its tombstone, so an older w is wrong.
//   - Nothing is there: our value is put back, as far as it has not ended.
var scriptRestore = newScript(luaReplay + `local till, floor, value = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local blurred = not t or (foreign and t >= lo) or not m or (m > 0 and m >= lo)
local there = e ~= -2 and redis.pcall('GET', K)
if prior(there, ARGV[11]) then w, newer = lo - 1, false end
if e ~= -2 and there == value then
  if e >= 0 and till > e then redis.call('PEXPIREAT', K, ARGV[8]) end
  return 1
end
if newer then return 0 end
if blurred or (e ~= -2 and not (w and w <= math.max(lo - 1, floor))) then
  bury()
  return 2
end
if till > now then
  redis.call('SET', K, value, 'PXAT', ARGV[8])
elseif e ~= -2 then
  redis.call('DEL', K)
end
return 1`)

// scriptInvalidate puts a Delete back, and any write of which only the key is
// left. Returns a Result.
//
// It leaves a tombstone of hi, or an older write of another process would be
// put back where nothing is; and of nobody and now, where it cannot tell
// whether it removed something newer.
var scriptInvalidate = newScript(luaReplay + `if ARGV[8] ~= '' and e ~= -2 and prior(redis.pcall('GET', K), ARGV[8]) then w, newer = lo - 1, false end
if newer then return 0 end
if e == -2 or (w and w < lo) then mark(hi, ARGV[5]) else bury() end
return 1`)

// scriptTouch puts back that a key lives longer: KEYS key; ARGV when it ends. It
// never shortens a life.
var scriptTouch = newScript(luaNow + luaEnds + `local e = ends()
if e >= 0 and tonumber(ARGV[1]) > e then redis.call('PEXPIREAT', K, ARGV[1]) end
return 1`)
