package shard

// keysOf are those of several keys that belong to one shard.
type keysOf struct {
	shard *Shard
	all   bool // all of them
	of    []*Shard
}

// has reports whether the key at a place is one of them.
func (p keysOf) has(i int) bool { return p.all || p.of[i] == p.shard }

// byShard sorts keys by their shards.
func (st *Store) byShard(full []string) []keysOf {
	if len(st.shards()) == 1 && st.one != nil {
		return []keysOf{{shard: st.one, all: true}}
	}
	of, seen := make([]*Shard, len(full)), map[*Shard]bool{}
	var parts []keysOf
	for i, key := range full {
		if of[i] = st.of(key); !seen[of[i]] {
			seen[of[i]] = true
			parts = append(parts, keysOf{shard: of[i], of: of})
		}
	}
	if len(parts) == 1 {
		parts[0].all = true
	}
	return parts
}

// Apart sorts writes by the shards of their keys. Those of a shard stay in their order.
func Apart[T any](st *Store, all []T, key func(T) string) (parts [][]T) {
	if st.one != nil {
		return [][]T{all}
	}
	place := map[*Shard]int{}
	for _, w := range all {
		sh := st.of(key(w))
		i, met := place[sh]
		if !met {
			i = len(parts)
			place[sh], parts = i, append(parts, nil)
		}
		parts[i] = append(parts[i], w)
	}
	return parts
}
