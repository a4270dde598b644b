package shard

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/evercache/evercache/internal/cover"
)

// heard counts announcements by hash of the key, whatever master they came from: a key
// may have another one by then.
type heard struct {
	seed      maphash.Seed
	seqs      [4096]atomic.Uint64
	announced atomic.Uint64
}

func newHeard() *heard { return &heard{seed: maphash.MakeSeed()} }

func (h *heard) place(key string) uint32 {
	return uint32(maphash.String(h.seed, key) % uint64(len(h.seqs)))
}

// announce notes an announcement for a key.
func (h *heard) announce(key string) {
	h.announced.Add(1)
	h.seqs[h.place(key)].Add(1)
}

// Undisturbed reports that nobody else's write of the key, or of one that shares its
// place, was announced since the mark.
func (st *Store) Undisturbed(m Mark) bool { return st.heard.seqs[m.place].Load() == m.seq }

// Mark is where the feed stood when something was asked or sent: what comes of
// it is covered by the feed from then on.
type Mark struct {
	feed    *feed
	epoch   *cover.Cover
	tracked bool // the feed announces the class
	place   uint32
	seq     uint64
}

// Cover is what covers what comes of it; nil: nothing does.
func (m Mark) Cover() *cover.Cover {
	if !m.tracked {
		return nil
	}
	return m.epoch
}

// Alone reports whether Redis itself is believed: the master that was asked was the only
// one.
func (m Mark) Alone(now int64) bool { return m.feed.Alone(now) }

// Over reports whether the epoch has ended: another master may be in use.
func (m Mark) Over() bool { return m.epoch.Over() }

// hearing are the classes whose changes a master announces. Readers take no lock.
type hearing struct {
	now atomic.Pointer[map[*Class]bool]
	mu  sync.Mutex // held while now is replaced
}

// class reports whether a class is among them.
func (h *hearing) class(k *Class) bool {
	all := h.now.Load()
	return all != nil && (*all)[k]
}

func (h *hearing) set(k *Class, on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := map[*Class]bool{}
	if all := h.now.Load(); all != nil {
		maps.Copy(next, *all)
	}
	if delete(next, k); on {
		next[k] = true
	}
	h.now.Store(&next)
}

func (h *hearing) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now.Store(nil)
}
