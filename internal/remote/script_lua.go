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

// The marks of deletes of prefixes are in script_mark.go, the scripts that put a write
// back in script_order.go.

// luaNow begins each script.
const luaNow = `local K, T, M = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function stamp(n) return string.format('%.0f', n) end
`

// luaTomb reads the tombstone: its time and process, 0 where there is none, nil
// where it makes no sense. A time further ahead than a tombstone lives makes
// none: no two servers' clocks are that far apart.
const luaTomb = `local function tomb(life, key)
  local v = redis.pcall('GET', key or T)
  if not v then return 0, '' end
  if type(v) ~= 'string' then return nil end
  local t, by = string.match(v, '^(%d+):(.*)$')
  t = tonumber(t)
  if t and t <= now + life then return t, by end
  return nil
end
`

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
// when (0: ever). Returns twice the time, and one more if it removed the key. A server
// that hung comes to it when its caller has given up and others have written the key:
// then it does nothing and returns -1.
//
// A tombstone never goes back in time, as it would on a master whose clock is
// behind the one of the last: a fill or replay that the earlier one refused
// must stay refused. The key is deleted before the tombstone is written: a
// server out of memory refuses a script's first write if that takes memory, and
// takes all that follow.
//
// It is the one that runs most often, so it does without functions of its own. SET tells
// what was there, where the server knows that (since 6.2), the ACL lets us read, and it is
// a string. Lua writes a time, of 13 digits, whole.
var scriptDelete = newScript(`local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = tonumber(ARGV[3])
if till > 0 and now > till then return -1 end
local n = redis.call('DEL', KEYS[1])
local v = redis.pcall('SET', KEYS[2], now .. ':' .. ARGV[1], 'PX', ARGV[2], 'GET')
if v then
  local again = type(v) ~= 'string'
  if again then v = redis.pcall('GET', KEYS[2]) end
  local at, t = now, type(v) == 'string' and tonumber((string.match(v, '^(%d+):.*$')))
  if t and t > now and t <= now + ARGV[2] then at, again = t, true end
  if again then redis.call('SET', KEYS[2], string.format('%.0f', at) .. ':' .. ARGV[1], 'PX', ARGV[2]) end
end
return 2 * now + n`)

// scriptFill: KEYS key, tombstone, marks, trace; ARGV value, ttl, when it was missed, the
// sum of what it replaces, the key without its class, until when (as in scriptDelete), whether
// to delete what it replaces, who leaves a trace ("": nobody) and how long that lives.
// Returns 1 if it stored the value, or deleted it.
//
// A value that was loaded before a delete must not be stored after it; with a
// tombstone that makes no sense nobody knows, and not to store is always safe.
// What it replaces was there at the miss and of no use: a value with that sum, or,
// of "type", one of another type, or, of "long:n", one of more bytes. Anything else was written since, and stays.
// "seen:sum:least:most" is a value that is good, and has between least and most
// milliseconds to live: with more it was written again, with less as well. Where it is gone
// before it can have ended, somebody has deleted it, with a plain DEL for example.
var scriptFill = newScript(luaNow + luaMarked + luaTrace + `local missed = tonumber(ARGV[3])
if tonumber(ARGV[6]) > 0 and now > tonumber(ARGV[6]) then return 0 end
local m = marked(ARGV[5], nil)
if not m or m >= missed then return 0 end
for _, key in ipairs({T, KEYS[4]}) do
  local v = redis.pcall('GET', key)
  if v then
    local t = type(v) == 'string' and tonumber(string.match(v, '^(%d+):'))
    if not t or t >= missed then return 0 end
  end
end
local function stored()
  if ARGV[8] ~= '' then trace(KEYS[4], now, ARGV[8], ARGV[9]) end
  return 1
end
local seen, least, longest = string.match(ARGV[4], '^seen:(%x+):(-?%d+):(-?%d+)$')
if seen then
  local there, left = redis.pcall('GET', K), redis.call('PTTL', K)
  if there and (type(there) ~= 'string' or redis.sha1hex(there) ~= seen or left < tonumber(least) or left > tonumber(longest)) then return 0 end
  if ARGV[7] == '1' then
    redis.call('DEL', K)
    return 1
  end
  if not there and tonumber(least) ~= 0 then return 0 end
  redis.call('SET', K, ARGV[1], 'PX', ARGV[2])
  return stored()
end
local most = tonumber(string.match(ARGV[4], '^long:(%d+)$'))
if most then
  local size = redis.pcall('STRLEN', K)
  if type(size) == 'number' and size > most then redis.call('DEL', K) end
elseif ARGV[4] ~= '' then
  local there = redis.pcall('GET', K)
  local same = ARGV[4] == 'type' and type(there) == 'table' or type(there) == 'string' and redis.sha1hex(there) == ARGV[4]
  if there and not same then return 0 end
  redis.call('SET', K, ARGV[1], 'PX', ARGV[2])
  return stored()
end
if redis.call('SET', K, ARGV[1], 'PX', ARGV[2], 'NX') then return stored() end
return 0`)
