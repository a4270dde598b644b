package cluster_test

import (
	"hash/fnv"
	"time"

	"github.com/evercache/evercache/redistest"
)

// crowd puts the keys of a drill into few slots, eight of each range: those that move are
// busy.
func crowd(ranges ...redistest.SlotRange) func(*drill) {
	var tags []string
	for _, r := range ranges {
		for i := range 8 {
			tags = append(tags, redistest.KeyIn(r.First+(r.Last-r.First)*i/8, ""))
		}
	}
	return func(d *drill) {
		d.tags = tags
		d.rules.Ambiguity += onItsWay
	}
}

// onItsWay is for how long a key may be on its way to another master, as the product has it:
// it seems to have been written so much later. Where two processes have written it in that
// time nothing may be there in the end; an older value never: docs/guide/cluster.md, Limits.
const onItsWay = 50 * time.Millisecond

// named is a key with its tag, behind it: it is under the same prefixes.
func named(tags []string, key string) string {
	if len(tags) == 0 {
		return key
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return key + tags[h.Sum32()%uint32(len(tags))]
}
