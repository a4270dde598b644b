package remote

import (
	"cmp"
	"context"
	"time"

	"github.com/redis/rueidis"
)

// scriptDeleted only reads. KEYS key, tombstone, marks; ARGV the key without its class.
// Returns 1 if there is a trace of a delete of the key or of a prefix of it. One that
// makes no sense is a trace too: see script_lua.go.
var scriptDeleted = newScript(`local T, M = KEYS[2], KEYS[3]
` + luaMarked + `if redis.pcall('GET', T) or marked(ARGV[1], nil) ~= 0 then return 1 end
return 0`)

// Deleted tells which of the keys, MaxBatch at most, somebody has deleted in the last
// ten minutes. traces say where what tells that is found. Where scripts or the traces are
// forbidden nobody is known to have deleted anything; what a node of a Cluster cannot look
// at counts as deleted.
func (n *Node) Deleted(ctx context.Context, keys []string, traces []Cond, limit time.Duration) ([]bool, error) {
	c, bounded, cancel := n.beginMany(ctx, "deleted", len(keys), limit)
	defer cancel()
	steps := make([]step, len(keys))
	for i, key := range keys {
		t := &traces[i]
		steps[i] = step{
			script: scriptDeleted,
			keys:   []string{key, t.Tomb, t.Marks},
			args:   []string{t.Rest},
			plain:  func(n *Node) rueidis.Completed { return n.b().Ping().Build() },
		}
		if t.Anchored {
			steps[i] = steps[i].anchored([]string{key, t.Tomb}, []string{cmp.Or(t.Marks, t.Tomb)})
		}
	}
	deleted := make([]bool, len(keys))
	var worst error
	for i, a := range n.runMany(bounded, steps) {
		found := int64(0)
		err := a.err
		if err == nil && !a.plain {
			found, err = a.AsInt64()
		}
		deleted[i] = found != 0 || traces[i].Anchored && traces[i].Marks == ""
		if err = n.tell(err, subject{keys[i], traces[i].Marks}); KindOf(err).Unserved() && n.clustered() {
			deleted[i] = true
			continue
		}
		if err != nil && hurts(err) {
			worst = err
		}
	}
	return deleted, c.end(ctx, worst)
}
