package revoke

import (
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
)

// memo remembers the keys of ids that were checked lately: to look one up costs a tenth
// of the SHA-256 that makes it. A key follows from the id and a secret that never
// changes, and a place has the whole id beside the key: so nothing that is found here can
// be old, or of another id. Whether a key is revoked is looked up each time.
//
// A look-up takes no lock and waits for nobody. Ids that nobody has checked before push out
// those of others, which costs these the SHA-256 again.
type memo struct {
	seed   maphash.Seed
	places atomic.Pointer[[]memoPlace] // a power of two of them; nil: none yet
	lost   atomic.Int64                // ids pushed out since places were made
}

const (
	fewestPlaces = 64
	mostPlaces   = 1 << 13 // 512 KiB
	memoIDWords  = 5
	memoIDBytes  = 8 * memoIDWords // a longer id is not remembered; a UUID has 36
)

// memoPlace is a line of the processor's cache. It is read while another goroutine may
// write it: state is another one afterwards, and is of no id meanwhile.
type memoPlace struct {
	state atomic.Uint64 // see writing
	a, b  atomic.Uint64 // the key
	id    [memoIDWords]atomic.Uint64
}

// A state has the kind and the length of the id in its lowest two bytes; 0: there is
// none. Above them it counts how often the place was begun to be written, and was written.
const (
	whatBits = 1<<16 - 1
	writing  = 1 << 16 // it is being written while this bit is set
)

func newMemo() memo { return memo{seed: maphash.MakeSeed()} }

// whatOf is never 0: a kind is a letter.
func whatOf(kind byte, id string) uint64 { return uint64(kind)<<8 | uint64(len(id)) }

func (m *memo) at(id string) uint64 { return maphash.String(m.seed, id) }

// key is what h makes of an id.
func (m *memo) key(h hasher, kind byte, id string) key {
	if len(id) > memoIDBytes {
		return h.key(kind, id)
	}
	at := m.at(id)
	places := m.places.Load()
	if places != nil {
		one, other := twoOf(*places, at)
		if k, ok := one.find(kind, id); ok {
			return k
		}
		if k, ok := other.find(kind, id); ok {
			return k
		}
	}
	k := h.key(kind, id)
	m.keep(places, at, kind, id, k)
	return k
}

// twoOf are the places where an id may be.
func twoOf(places []memoPlace, at uint64) (one, other *memoPlace) {
	i := at & uint64(len(places)-1)
	return &places[i], &places[i^1]
}

// find returns the key of an id if this place has it.
func (p *memoPlace) find(kind byte, id string) (k key, ok bool) {
	state := p.state.Load()
	if state&whatBits != whatOf(kind, id) {
		return k, false
	}
	i, rest := 0, id
	for ; len(rest) >= 8; i, rest = i+1, rest[8:] {
		if p.id[i].Load() != word(rest) {
			return k, false
		}
	}
	if len(rest) > 0 && p.id[i].Load() != lastWord(rest) {
		return k, false
	}
	k = keyOf(p.a.Load(), p.b.Load())
	return k, p.state.Load() == state
}

// set gives the place to an id. It does nothing while another goroutine does so.
func (p *memoPlace) set(kind byte, id string, k key) {
	state := p.state.Load()
	begun := state&^whatBits + writing
	if state&writing != 0 || !p.state.CompareAndSwap(state, begun) {
		return
	}
	i, rest := 0, id
	for ; len(rest) >= 8; i, rest = i+1, rest[8:] {
		p.id[i].Store(word(rest))
	}
	if len(rest) > 0 {
		p.id[i].Store(lastWord(rest))
	}
	a, b := k.words()
	p.a.Store(a)
	p.b.Store(b)
	p.state.Store(begun + writing + whatOf(kind, id))
}

// keep remembers a key. at is the hash of its id.
func (m *memo) keep(places *[]memoPlace, at uint64, kind byte, id string, k key) {
	if places == nil || int(m.lost.Load()) > len(*places)/2 && len(*places) < mostPlaces {
		places = m.grow(places)
	}
	p, other := twoOf(*places, at)
	switch {
	case p.state.Load() == 0:
	case other.state.Load() == 0:
		p = other
	default:
		if p.state.Load() > other.state.Load() { // the one that changes less often
			p = other
		}
		if len(*places) < mostPlaces {
			m.lost.Add(1)
		} else if rand.Uint32()%4 != 0 {
			return // of many that are asked for once, few need to be remembered
		}
	}
	p.set(kind, id, k)
}

// grow makes more places, which are empty, and returns those that are in use then.
func (m *memo) grow(was *[]memoPlace) *[]memoPlace {
	n := fewestPlaces
	if was != nil {
		n = 2 * len(*was)
	}
	more := make([]memoPlace, n)
	if m.places.CompareAndSwap(was, &more) {
		m.lost.Store(0)
	}
	return m.places.Load()
}

// word is the first eight bytes of a text.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// lastWord is that of a text that has fewer.
func lastWord(s string) (w uint64) {
	for i := range len(s) {
		w |= uint64(s[i]) << (8 * i)
	}
	return w
}
