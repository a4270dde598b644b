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
var (
	// add: the stream's length, how many of the scores and members that follow to
	// add; the rest are members to drop. What changes nothing leaves no trace.
	addScript = newScript(`
local n = tonumber(ARGV[2])
local before = redis.call('ZCARD', KEYS[1])
local changed = redis.call('ZADD', KEYS[1], 'GT', 'CH', unpack(ARGV, 3, 2 + n))
if #ARGV > 2 + n then
  changed = changed + redis.call('ZREM', KEYS[1], unpack(ARGV, 3 + n))
end
if changed == 0 then return 0 end
redis.call('HINCRBY', KEYS[3], 'count', redis.call('ZCARD', KEYS[1]) - before)
local seq = redis.call('HINCRBY', KEYS[3], 'seq', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'n', seq, unpack(ARGV, 3, 2 + n))
return changed`)

	// look at what tells whether the set is complete.
	lookScript = newScript(`
local n = redis.call('HMGET', KEYS[3], 'seq', 'count')
return {redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf', 'LIMIT', 0, 16), redis.call('ZCARD', KEYS[1]), n[1], n[2],
  redis.call('ZRANGEBYSCORE', KEYS[1], '` + claimScore + `', '` + claimScore + `', 'LIMIT', 0, 64)}`)

	// where the stream ends, and the number that belongs there.
	whereScript = newScript(`
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return {last[1] and last[1][1] or '0-0', redis.call('HGET', KEYS[3], 'seq')}`)

	// claim: the claim.
	claimScript = newScript(`
if redis.call('ZADD', KEYS[1], '` + claimScore + `', ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[3], 'count', 1)
end
return 1`)

	// mark: the marker, the print it must not disagree with, the claim that must
	// be there (or nothing), the number that the stream is at. 0 = not marked.
	markScript = newScript(`
if ARGV[3] ~= '' and not redis.call('ZSCORE', KEYS[1], ARGV[3]) then return 0 end
for _, m in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf')) do
  if string.sub(m, 1, 2) == 'm:' and string.sub(m, 1, #ARGV[2]) ~= ARGV[2] then return 0 end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '` + claimScore + `', '+inf')
redis.call('ZADD', KEYS[1], '+inf', ARGV[1])
local n = redis.call('HMGET', KEYS[3], 'seq', 'count')
local seq = math.max(tonumber(n[1] or '0') or 0, tonumber(ARGV[4]))
redis.call('HSET', KEYS[3], 'seq', string.format('%.0f', seq), 'count', redis.call('ZCARD', KEYS[1]))
return 1`)

	// prune: how many seconds after its expiry an entry goes. Some at a time.
	pruneScript = newScript(`
local last = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[1])
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', last), 'LIMIT', 0, 1000)
if #old > 0 then
  redis.call('HINCRBY', KEYS[3], 'count', -redis.call('ZREM', KEYS[1], unpack(old)))
end
return #old`)
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

func noScript(err error) bool { return strings.Contains(err.Error(), "NOSCRIPT") }

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
