package shard

import (
	"sync"

	"github.com/evercache/evercache/internal/outbox"
)

// holders says which shards of a Cluster hold the delete of a prefix: the file has one
// entry for all of them, which goes with the last.
type holders struct {
	mu sync.Mutex // guards by
	by map[string]map[uint32]bool
}

func (h *holders) add(text string, shard uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by == nil {
		h.by = map[string]map[uint32]bool{}
	}
	if h.by[text] == nil {
		h.by[text] = map[uint32]bool{}
	}
	h.by[text][shard] = true
}

// remove reports whether no shard holds it any more.
func (h *holders) remove(text string, shard uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.by[text]
	if delete(of, shard); len(of) > 0 {
		return false
	}
	delete(h.by, text)
	return true
}

// leave is for a shard that is no more. What it held waits in the outbox.
func (h *holders) leave(shard uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for text, of := range h.by {
		if delete(of, shard); len(of) == 0 {
			delete(h.by, text)
		}
	}
}

// ledgerOfMany is the file as the ledger of one of several shards sees it.
type ledgerOfMany struct {
	mirrored
	prefixes *holders
	shard    uint32
}

func (m ledgerOfMany) TakenPrefix(p *outbox.Prefix, number uint64) {
	m.prefixes.add(p.Text, m.shard)
	m.mirrored.TakenPrefix(p, number)
}

func (m ledgerOfMany) LeftPrefix(text string, at int64) {
	if m.prefixes.remove(text, m.shard) {
		m.mirrored.LeftPrefix(text, at)
	}
}
