// Package keylock lets one write of a key be under way at a time.
package keylock

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/evercache/evercache/internal/deadline"
)

// Locks let one write of a key be under way at a time, so that what memory
// holds and what Redis holds were written in the same order. A lock exists
// while somebody holds or awaits it, and is used again for another key.
type Locks struct {
	seed   maphash.Seed
	shards [64]part
}

type part struct {
	mu    sync.Mutex // guards what follows, and the locks' fields
	held  map[string]*Held
	spare []*Held
}

type Held struct {
	key     string
	shard   *part
	waiters int           // to whom it was not handed on yet
	free    chan struct{} // hands it on; made for the first who waits
}

// maxSpare bounds the locks that a shard keeps for their next use.
const maxSpare = 64

func New() *Locks {
	l := &Locks{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].held = map[string]*Held{}
	}
	return l
}

// Lock waits for the key's lock as long as the write has patience.
func (l *Locks) Lock(p *deadline.Budget, key string) (*Held, error) {
	n, ours := l.enter(key)
	if ours {
		return n, nil
	}
	return n, n.await(p.Bounded())
}

// TryLock takes the key's lock if it is free; nil: it is not.
func (l *Locks) TryLock(key string) *Held {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[key] != nil {
		return nil
	}
	return s.make(key)
}

// enter takes the lock, or a place among those who wait for it.
func (l *Locks) enter(key string) (n *Held, ours bool) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n = s.held[key]; n == nil {
		return s.make(key), true
	}
	if n.free == nil {
		n.free = make(chan struct{}, 1)
	}
	n.waiters++
	return n, false
}

// make makes a lock that is held; the caller holds mu.
func (s *part) make(key string) *Held {
	var n *Held
	if last := len(s.spare) - 1; last >= 0 {
		n, s.spare = s.spare[last], s.spare[:last]
	} else {
		n = &Held{shard: s}
	}
	n.key = key
	s.held[key] = n
	return n
}

// await waits for the lock to be handed on.
func (n *Held) await(ctx context.Context) error {
	select {
	case <-n.free:
		return nil
	case <-ctx.Done():
	}
	n.shard.mu.Lock()
	defer n.shard.mu.Unlock()
	select {
	case <-n.free: // it was handed on meanwhile
		n.handOn()
	default:
		n.waiters--
	}
	return context.Cause(ctx)
}

// Unlock hands the lock on.
func (l *Locks) Unlock(n *Held) {
	n.shard.mu.Lock()
	defer n.shard.mu.Unlock()
	n.handOn()
}

// handOn gives the lock to one of those who wait, or ends it; the caller holds
// mu.
func (n *Held) handOn() {
	if n.waiters > 0 {
		n.waiters--
		n.free <- struct{}{}
		return
	}
	s := n.shard
	delete(s.held, n.key)
	if n.key = ""; len(s.spare) < maxSpare {
		s.spare = append(s.spare, n)
	}
}

func (l *Locks) shard(key string) *part {
	return &l.shards[maphash.String(l.seed, key)%uint64(len(l.shards))]
}

// inUse counts the keys that are locked.
func (l *Locks) inUse() (n int) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.held)
		s.mu.Unlock()
	}
	return n
}
