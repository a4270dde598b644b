package remote

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// scriptTakeBack: KEYS key; ARGV the sum of what was stored, between when it ends.
// Returns 1 if it was there, and removes it. Another value stays, and the same one with
// another end: somebody else has written it.
var scriptTakeBack = newScript(luaNow + luaEnds + `local there, e = redis.pcall('GET', K), ends()
if type(there) ~= 'string' or redis.sha1hex(there) ~= ARGV[1] then return 0 end
if e < tonumber(ARGV[2]) or e > tonumber(ARGV[3]) then return 0 end
return redis.call('DEL', K)`)

// TakeBack removes what a Fill has stored between two times of the server's, in milliseconds.
// Where scripts are forbidden it removes the key.
func (n *Node) TakeBack(ctx context.Context, p Pair, lo, hi int64, limit time.Duration) error {
	c, bounded, cancel := n.begin(ctx, "fill", limit)
	c.of.key = p.Key
	defer cancel()
	life := atLeastMS(p.TTL).Milliseconds()
	a := n.run(bounded, step{
		script: scriptTakeBack,
		keys:   []string{p.Key},
		args:   []string{Sum(p.Data), decimal(lo + life), decimal(hi + life)},
		plain:  func(n *Node) rueidis.Completed { return n.b().Del().Key(p.Key).Build() },
	})
	return c.end(ctx, a.err)
}
