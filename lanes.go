package evercache

import (
	"context"
	"hash/maphash"
	"sync"
)

// lanes let one write of a key be under way at a time, so that what memory
// holds and what Redis holds were written in the same order. A lane exists
// while somebody holds or awaits it, and is used again for another key.
type lanes struct {
	seed   maphash.Seed
	shards [64]laneShard
}

type laneShard struct {
	mu    sync.Mutex // guards what follows, and the lanes' fields
	lanes map[string]*lane
	spare []*lane
}

type lane struct {
	key     string
	shard   *laneShard
	waiters int           // to whom it was not handed on yet
	free    chan struct{} // hands it on; made for the first who waits
}

// maxSpare bounds the lanes that a shard keeps for their next use.
const maxSpare = 64

func newLanes() *lanes {
	l := &lanes{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].lanes = map[string]*lane{}
	}
	return l
}

// lock waits for the key's lane as long as the write has patience.
func (l *lanes) lock(p *patience, key string) (*lane, error) {
	n, ours := l.enter(key)
	if ours {
		return n, nil
	}
	return n, n.await(p.bounded())
}

// tryLock takes the key's lane if it is free; nil: it is not.
func (l *lanes) tryLock(key string) *lane {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lanes[key] != nil {
		return nil
	}
	return s.make(key)
}

// enter takes the lane, or a place among those who wait for it.
func (l *lanes) enter(key string) (n *lane, ours bool) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n = s.lanes[key]; n == nil {
		return s.make(key), true
	}
	if n.free == nil {
		n.free = make(chan struct{}, 1)
	}
	n.waiters++
	return n, false
}

// make makes a lane that is held; the caller holds mu.
func (s *laneShard) make(key string) *lane {
	n := &lane{shard: s}
	if last := len(s.spare) - 1; last >= 0 {
		n, s.spare = s.spare[last], s.spare[:last]
	}
	n.key = key
	s.lanes[key] = n
	return n
}

// await waits for the lane to be handed on.
func (n *lane) await(ctx context.Context) error {
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

// unlock hands the lane on.
func (l *lanes) unlock(n *lane) {
	n.shard.mu.Lock()
	defer n.shard.mu.Unlock()
	n.handOn()
}

// handOn gives the lane to one of those who wait, or ends it; the caller holds
// mu.
func (n *lane) handOn() {
	if n.waiters > 0 {
		n.waiters--
		n.free <- struct{}{}
		return
	}
	s := n.shard
	delete(s.lanes, n.key)
	if n.key = ""; len(s.spare) < maxSpare {
		s.spare = append(s.spare, n)
	}
}

func (l *lanes) shard(key string) *laneShard {
	return &l.shards[maphash.String(l.seed, key)%uint64(len(l.shards))]
}
