package remote

// The scripts that put a write of ours back: they decide which of two writes, of two
// processes, came last.

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
