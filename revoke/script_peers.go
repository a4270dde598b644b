package revoke

// peersHere begins the scripts about the processes of a list: each has one member in
// the set, whose score is when it was last heard of, by the server's clock.
const peersHere = `
local base, most = ` + peerBase + `, 1000
local function now()
  local t = redis.pcall('TIME')
  return tonumber(t[1] or string.match(redis.call('INFO', 'server'), 'server_time_usec:(%d+)%d%d%d%d%d%d'))
end
local function score(at) return string.format('%.0f', base + at) end
local function here() return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. score(0), '` + peerLast + `', 'LIMIT', 0, most) end
local function nameOf(m) return string.match(m, '^p:w:([^:]+):') end
local function changed(before)
  redis.call('HINCRBY', KEYS[3], 'count', redis.call('ZCARD', KEYS[1]) - before)
  redis.call('HSET', KEYS[3], 'here', ARGV[1])
end
local function forget(time, after)
  for _, m in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. score(time + after), '` + peerLast + `', 'LIMIT', 0, most)) do
    redis.call('ZADD', KEYS[1], score(time), m)
  end
  return redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. score(0), '(' .. score(time - after))
end`

var (
	// join: the new name of the state of the peers, the print that markers must not
	// disagree with, the process, its member, the life of the dataset, for how many seconds
	// a process is not heard of before it goes, and the processes that this one knows of.
	// Unless this process is found as it was in this life, they are entered as away where
	// they are missing, and count as heard of now where the set is not marked for this life:
	// another server's clock says nothing of them.
	// With the member "" it only renews its own, or enters the process as one that writes.
	joinScript = newScript(lastNumber + peersHere + `
local settled = false
for _, m in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf')) do
  if string.sub(m, 1, 2) == 'm:' and string.sub(m, 1, #ARGV[2]) ~= ARGV[2] then return 0 end
  if ARGV[5] ~= '' and m == ARGV[2] .. ARGV[5] then settled = true end
end
last()
local before, time, found, stayed, ours = redis.call('ZCARD', KEYS[1]), now(), {}, false, {}
local at = score(time)
for _, m in ipairs(here()) do
  local name = nameOf(m)
  if name == ARGV[3] then ours[#ours + 1] = m elseif name then found[name] = m end
  if ARGV[5] ~= '' and m == 'p:w:' .. ARGV[3] .. ':' .. ARGV[5] then stayed = true end
end
if ARGV[4] == '' and #ours > 0 then
  for _, m in ipairs(ours) do redis.call('ZADD', KEYS[1], at, m) end
  return 1
end
if #ours > 0 then redis.call('ZREM', KEYS[1], unpack(ours)) end
redis.call('ZADD', KEYS[1], at, ARGV[4] ~= '' and ARGV[4] or 'p:w:' .. ARGV[3] .. ':-writes')
for i = 7, #ARGV do
  local member = found[ARGV[i]]
  if not stayed and not member then redis.call('ZADD', KEYS[1], at, 'p:w:' .. ARGV[i] .. ':-') end
  if not settled and member then redis.call('ZADD', KEYS[1], at, member) end
end
forget(time, ARGV[6])
changed(before)
return 1`)

	// arrive: the new name of the state, the member of join, and what takes its place: this
	// process has put back all that it has. 0 = the set was emptied since.
	arriveScript = newScript(peersHere + `
local before = redis.call('ZCARD', KEYS[1])
if redis.call('ZREM', KEYS[1], ARGV[2]) == 0 then return 0 end
redis.call('ZADD', KEYS[1], score(now()), ARGV[3])
changed(before)
return 1`)

	// renew: the new name of the state, the process, and for how many seconds a process
	// is not heard of before it goes. A clock that was set back keeps nobody for ever.
	renewScript = newScript(peersHere + `
local before, time = redis.call('ZCARD', KEYS[1]), now()
for _, m in ipairs(here()) do
  if nameOf(m) == ARGV[2] then redis.call('ZADD', KEYS[1], score(time), m) end
end
if forget(time, ARGV[3]) > 0 then changed(before) end
return 1`)

	// depart: the new name of the state, and the process that ends.
	departScript = newScript(peersHere + `
local before, n = redis.call('ZCARD', KEYS[1]), 0
for _, m in ipairs(here()) do
  if nameOf(m) == ARGV[2] then n = n + redis.call('ZREM', KEYS[1], m) end
end
if n > 0 then changed(before) end
return n`)
)
