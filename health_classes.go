package evercache

import (
	"cmp"
	"slices"

	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/keyfiles"
)

// known is what is known of the files.
func (k keyFiles) known() (all []findings.KeyFiles) {
	for _, s := range []struct {
		source *keyfiles.Source
		whose  string
	}{{k.redis, "for Redis"}, {k.sentinels, "for the sentinels"}} {
		if s.source == nil {
			continue
		}
		at, _ := s.source.Expires()
		all = append(all, findings.KeyFiles{Whose: s.whose, Fault: s.source.Fault(), Expires: at})
	}
	return all
}

// valueFaults are what is wrong with the values of each class, by its name.
func (c *Client) valueFaults() (all []findings.Class) {
	c.shard.everyClass(func(k *class) {
		if l, ok := k.listener.(interface{ values() findings.Class }); ok {
			all = append(all, l.values())
		}
	})
	slices.SortFunc(all, func(a, b findings.Class) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
