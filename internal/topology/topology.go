// Package topology says to which shard a key belongs. There is one in standalone and
// Sentinel mode; a Cluster has many, and they change.
package topology

import (
	"fmt"
	"sync/atomic"

	"github.com/evercache/evercache/internal/slot"
)

// Routes says which shard each key belongs to. It is never modified: another one
// takes its place as a whole. S is what a shard is to its user.
type Routes[S any] struct {
	single *S   // not nil: all keys belong to it, and no slot is computed
	shards []*S // without the nil of nobody
	of     [slot.Count]uint16
	moving slot.Set
}

// Single are the routes to one shard for all keys.
func Single[S any](s *S) *Routes[S] {
	if s == nil {
		panic("topology: no shard")
	}
	return &Routes[S]{single: s, shards: []*S{s}}
}

// nobody is the place of a slot without an owner.
const nobody = 0

// Owner is a shard and its slots.
type Owner[S any] struct {
	Shard *S
	Slots *slot.Set
}

// New are the routes of a Cluster. Slots in moving are given away or awaited by
// some node. A slot with two owners is an error.
func New[S any](owners []Owner[S], moving slot.Set) (*Routes[S], error) {
	r := &Routes[S]{moving: moving}
	if len(owners) > slot.Count {
		return nil, fmt.Errorf("topology: %d shards", len(owners))
	}
	for i, o := range owners {
		if o.Shard == nil || o.Slots == nil {
			return nil, fmt.Errorf("topology: owner %d has no shard or no slots", i)
		}
		r.shards = append(r.shards, o.Shard)
		for s := range o.Slots.All() {
			if r.of[s] != nobody {
				return nil, fmt.Errorf("topology: slot %d has two owners", s)
			}
			r.of[s] = uint16(i + 1)
		}
	}
	return r, nil
}

// Of is the shard that a key belongs to; nil: its slot has no owner.
func (r *Routes[S]) Of(key string) *S {
	if r.single != nil {
		return r.single
	}
	return r.OfSlot(slot.Of(key))
}

// OfSlot is the shard that a slot belongs to; nil: it has no owner.
func (r *Routes[S]) OfSlot(s uint16) *S {
	if r.single != nil {
		return r.single
	}
	if i := r.of[s]; i != nobody {
		return r.shards[i-1]
	}
	return nil
}

// Moves reports whether any slot is given away or awaited.
func (r *Routes[S]) Moves() bool { return r.single == nil && !r.moving.Empty() }

// Moving reports whether some node gives the slot of a key away, or awaits it.
func (r *Routes[S]) Moving(key string) bool {
	return r.single == nil && r.moving.Has(slot.Of(key))
}

// Shards are all shards that own slots. The list must not be changed.
func (r *Routes[S]) Shards() []*S { return r.shards }

// Table holds the routes in use. Readers take no lock.
type Table[S any] struct{ now atomic.Pointer[Routes[S]] }

// Set puts other routes into use.
func (t *Table[S]) Set(r *Routes[S]) { t.now.Store(r) }

// Get is the routes in use; nil before the first Set.
func (t *Table[S]) Get() *Routes[S] { return t.now.Load() }
