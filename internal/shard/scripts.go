package shard

import (
	"sync"
	"sync/atomic"

	"github.com/evercache/evercache/internal/remote"
)

// scripts are the keys that a script of ours is writing at this moment. What a
// script writes is announced to the one who ran it too, and cannot be told from
// another's write of the same moment: memory keeps its entry, for an outage that
// may follow, but asks Redis before it serves it.
type scripts struct {
	Count atomic.Int64

	mu   sync.Mutex // guards keys
	keys map[string]int
}

func newScripts() *scripts { return &scripts{keys: map[string]int{}} }

// Enter is to be called before the script is sent, and leave when a command that
// was sent after its answer has been answered too.
func (s *scripts) Enter(keys ...string) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		s.keys[key]++
	}
	s.Count.Store(int64(len(s.keys)))
	return func() { s.leave(keys) }
}

func (s *scripts) leave(keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		s.leaveLocked(key)
	}
	s.Count.Store(int64(len(s.keys)))
}

// enterOne and leaveOne are Enter and leave for one key.
func (s *scripts) enterOne(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[key]++
	s.Count.Store(int64(len(s.keys)))
}

func (s *scripts) leaveOne(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaveLocked(key)
	s.Count.Store(int64(len(s.keys)))
}

// leaveLocked is called with mu held.
func (s *scripts) leaveLocked(key string) {
	if s.keys[key]--; s.keys[key] == 0 {
		delete(s.keys, key)
	}
}

func (s *scripts) Writes(key string) bool {
	if s.Count.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[key] > 0
}

// scripted is to be called before a Set is sent, and what it returns after the
// answer. One that is to be in time is a script, which is announced to us too: see
// scripts.
func (st *Store) scripted(node *remote.Node, key string, inTime bool) (leave func()) {
	if !inTime {
		return func() {}
	}
	return st.scriptedAll(node, key)
}

// scriptedAll is scripted for several that are.
func (st *Store) scriptedAll(node *remote.Node, keys ...string) (leave func()) {
	if len(keys) == 0 {
		return func() {}
	}
	done := st.Scripts.Enter(keys...)
	return func() {
		behind := func() {
			_ = node.PingFeed(st.Ctx, st.Config.ReadTimeout) // behind the announcements
			done()
		}
		if !st.Spawn(behind) {
			done()
		}
	}
}
