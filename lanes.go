package evercache

import (
	"context"
	"hash/maphash"
	"sync"
)

// lanes let one write of a key be under way at a time, so that what memory
// holds and what Redis holds were written in the same order. A lane exists
// while somebody holds or awaits it.
type lanes struct {
	seed   maphash.Seed
	shards [64]struct {
		mu    sync.Mutex // guards lanes
		lanes map[string]*lane
	}
}

type lane struct {
	free  chan struct{} // holds one token while nobody writes
	users int           // holders and waiters; guarded by the shard's mu
}

func newLanes() *lanes {
	l := &lanes{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].lanes = map[string]*lane{}
	}
	return l
}

// lock waits for the key's lane until ctx ends.
func (l *lanes) lock(ctx context.Context, key string) error {
	n := l.enter(key)
	select {
	case <-n.free:
		return nil
	default:
	}
	select {
	case <-n.free:
		return nil
	case <-ctx.Done():
		l.leave(key)
		return context.Cause(ctx)
	}
}

// tryLock takes the key's lane if it is free.
func (l *lanes) tryLock(key string) bool {
	n := l.enter(key)
	select {
	case <-n.free:
		return true
	default:
		l.leave(key)
		return false
	}
}

func (l *lanes) unlock(key string) {
	s := &l.shards[l.shard(key)]
	s.mu.Lock()
	s.lanes[key].free <- struct{}{}
	s.mu.Unlock()
	l.leave(key)
}

func (l *lanes) enter(key string) *lane {
	s := &l.shards[l.shard(key)]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.lanes[key]
	if n == nil {
		n = &lane{free: make(chan struct{}, 1)}
		n.free <- struct{}{}
		s.lanes[key] = n
	}
	n.users++
	return n
}

func (l *lanes) leave(key string) {
	s := &l.shards[l.shard(key)]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.lanes[key]
	if n.users--; n.users == 0 {
		delete(s.lanes, key)
	}
}

func (l *lanes) shard(key string) uint64 {
	return maphash.String(l.seed, key) % uint64(len(l.shards))
}
