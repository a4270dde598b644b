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

// The marks of deletes of prefixes are in script_mark.go.

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

// luaReplay begins the scripts that put a write of ours back: KEYS key,
// tombstone, marks, lives, trace; ARGV lo, hi, from, to, process, life of the
// tombstone, the key without its class, our own ends (see Cond.known), what has moved
// (see Cond.moved). lo and hi are the times between which it was executed. from and
// to are the same, widened by how servers' clocks have jumped: what others wrote
// may be dated by another clock.
//
// low and high are between when the value that is there was written: its end less
// the lives of its class. They are not known where a life is not, where the key
// has no end, and where it ends later than anything of its class could. One of our
// own ends means that it is ours, and older than what is put back. So does, without
// an own end, a value that another process read to us before: see Record.Prev. kin is one
// of ours too: it has moved, and its end with it.
//
// early and late are from and to, or further apart where the slot has moved: a delete has
// kept its time, which is of another clock.
//
// A trace of a brief write stands for the tombstone where it is later: what was
// written then has ended since, or will have. One of a Touch only where nothing is
// there: what it touched may be older than ours.
//
// An end that a Touch gave tells when the value was written at the latest, whether
// it is a longer life or a shorter one: its life is noted, and end less life is when
// it was touched. It does not tell when at the earliest.
//
// A tombstone of another process that is later than to wins, and so does its
// delete of a prefix. What is there then was written later still, or a server that
// hung has executed it late, or the one who deletes the prefix has not come to it
// yet: what is older than the delete is removed. Our own are ignored: our writes of
// a key have an order, and what is put back is the last.
//
// bury removes the key because nobody can tell whether what is there, or what
// was deleted, came before our write or after. From then on nothing that was
// written before the latest of them, by anybody, may be put back: it may be
// older than what was removed. So it leaves a tombstone of nobody, of that time,
// or of now where it is not known.
const luaReplay = luaNow + luaTomb + luaEnds + luaMarked + luaWritten + `local lo, hi = tonumber(ARGV[1]), tonumber(ARGV[2])
local from, to, life = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local t, by = tomb(life)
local e = ends()
local brief, whose = tomb(life, KEYS[5])
if brief and string.sub(whose, 1, 1) == '` + touchedBy + `' then
  whose = string.sub(whose, 2)
  if e ~= -2 then brief = 0 end
end
if not brief or (t and brief > t) then t, by = brief, whose end
local foreign = t and t > 0 and by ~= ARGV[5]
local m = marked(ARGV[7], ARGV[5])
local apartFrom, apartTo, kinFrom, kinTo, sums = string.match(ARGV[9], '^(%d+) (%d+) (%d+) (%d+)(.*)$')
local kin = false
if sums and sums ~= '' and e >= tonumber(kinFrom) and e <= tonumber(kinTo) then
  local there = redis.pcall('GET', K)
  kin = type(there) == 'string' and string.find(sums, redis.sha1hex(there), 1, true) ~= nil
end
local own = kin or (e >= 0 and known(e, ARGV[8]))
local low, high, given = written(e, lo - from)
local touched = low == 0 and given ~= 0
if low and low > now + 1 then from, to = lo, hi end
local early, late = from, to
if apartFrom and apartFrom ~= '0' then early, late = math.min(from, tonumber(apartFrom)), math.max(to, tonumber(apartTo)) end
local firstly, lastly = low, high
if own then
  low, high = 0, math.min(from, high or from) - 1
end
local gone = math.max(foreign and t > late and t or 0, m and m > late and m or 0)
if gone > 0 then
  if e ~= -2 and high and (high <= to or (foreign and t > late and high < t)) then redis.call('DEL', K) end
  return 0
end
local newer = low and low > to + 1
local function mark(at, who)
  redis.call('DEL', K)
  if not t or t < at then redis.call('SET', T, stamp(at) .. ':' .. who, 'PX', life) end
end
local function bury()
  local at = math.max(hi, t and t + 1 or now, m or now)
  if e ~= -2 then at = math.max(at, high and math.min(high, now) or now) end
  mark(at, '')
end
`

// luaWritten: known is whether an end is one of a list of "from-to". written is
// between when a key that ends at e was written, by the lives of its class, and when
// that end was given at the earliest, by a write or a Touch; fell is how far the
// server's clock may have been set back since.
const luaWritten = `local function known(e, list)
  for a, b in string.gmatch(list, '(%d+)-(%d+)') do
    if e >= tonumber(a) and e <= tonumber(b) then return true end
  end
  return false
end
local function written(e, fell)
  if e < 0 then return nil end
  local all = redis.pcall('HGETALL', KEYS[4])
  if type(all) ~= 'table' or all.err then return nil end
  local low, high, touched
  for i = 1, #all, 2 do
    local till, slack = string.match(all[i + 1], '^(%d+):(%d+)$')
    if not till then return nil end
    if tonumber(till) >= now then
      local ttl = tonumber(all[i])
      if all[i] == '~' then
        touched = true
      elseif not ttl then
        return nil
      elseif e - ttl <= now + 1 + fell then
        low, high = math.min(low or e, e - ttl), math.max(high or 0, e - ttl + tonumber(slack))
      end
    end
  end
  local given = low
  if low and touched then low = 0 end
  return low, high, given
end
`

// touchedBy stands before the process in the trace of a Touch.
const touchedBy = "~"

// scriptRestore puts a Set back: ARGV goes on with when it ends, the upper end
// of our write of the key before this one (0: none), the value, and whether it
// lives briefly. Returns a Result.
//
//   - The same value: whoever wrote it. It ends when ours does where it is older, or ours.
//     Otherwise it must not end before ours would, unless somebody may have touched it since.
//   - Another value with an end that ours was sent with: it is not ours, but another
//     process' of the same millisecond. What its end tells counts.
//   - low after to: it is newer than ours, and stays.
//   - high before from, or not after floor: it is older, ours replaces it. Up to
//     floor it is what we replaced already, or somebody wrote it while our write
//     was under way: then either order is one that the callers can have seen.
//   - A delete by another between from and to: the order cannot be told. A key
//     that is there was written after its tombstone, so an older one is wrong.
//   - Nothing is there: our value is put back, as far as it has not ended.
var scriptRestore = newScript(luaTrace + luaReplay + `local till, floor, value = tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12]
local blurred = not t or (foreign and t >= early) or not m or (m > 0 and m >= early)
if e ~= -2 and redis.pcall('GET', K) == value then
  local older = high and high < from
  if e >= 0 and e ~= till and (older or till > e and not touched) then redis.call('PEXPIREAT', K, ARGV[10]) end
  if ARGV[13] == '1' then trace(KEYS[5], lo, ARGV[5], life) end
  return 1
end
if own and not kin and not known(e, string.match(ARGV[8], '^[^|]*')) then
  high, newer = lastly, firstly and firstly > to + 1
end
if newer then return 0 end
if blurred or (e ~= -2 and not (high and high <= math.max(from - 1, floor))) then
  bury()
  return 2
end
if till > now then
  redis.call('SET', K, value, 'PXAT', ARGV[10])
elseif e ~= -2 then
  redis.call('DEL', K)
end
if ARGV[13] == '1' then trace(KEYS[5], lo, ARGV[5], life) end
return 1`)

// scriptInvalidate puts a Delete back, and any write of which only the key is
// left. Returns a Result.
//
// It leaves a tombstone of hi, or an older write of another process would be
// put back where nothing is; and of nobody and now, where it cannot tell
// whether it removed something newer.
var scriptInvalidate = newScript(luaReplay + `if newer then return 0 end
if e == -2 or (high and high < from) then mark(hi, ARGV[5]) else bury() end
return 1`)

// scriptTouch puts a Touch back: KEYS and ARGV as of luaReplay, then when the key is
// to end, and whether that is a brief life. Returns a Result. Whoever gave the key an
// end last, by a write or a Touch, decides when it ends.
//
//   - The end that is there was given before ours, or is one of our own: ours
//     replaces it, whether it is later or sooner.
//   - It was given after ours: it stays.
//   - Nobody knows: it stays. What another process wrote after ours must neither end
//     too early nor live on.
var scriptTouch = newScript(luaNow + luaEnds + luaWritten + luaTrace + `local lo, hi = tonumber(ARGV[1]), tonumber(ARGV[2])
local from, to, till = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[10])
local e = ends()
if e < 0 or e == till then return 1 end
local _, high, given = written(e, lo - from)
if given and given > now + 1 then from, to = lo, hi end
local older = known(e, ARGV[8]) or (high and high < from)
if not older and given and given > to + 1 then return 0 end
if older then
  redis.call('PEXPIREAT', K, ARGV[10])
  if ARGV[11] == '1' then trace(KEYS[5], hi, '` + touchedBy + `' .. ARGV[5], ARGV[6]) end
end
return 1`)
