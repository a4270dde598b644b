package revoke

import (
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// entry is one revocation: of an id, or of a subject's tokens that were issued
// at the cut-off or before (see cutoffAt). Seconds are Unix seconds.
type entry struct {
	key     key
	subject bool
	exp     uint32
	cut     uint64
}

// merge takes the later of each.
func (e entry) merge(o entry) entry {
	e.exp, e.cut = max(e.exp, o.exp), max(e.cut, o.cut)
	return e
}

// covers reports whether o adds nothing to e.
func (e entry) covers(o entry) bool { return e.exp >= o.exp && e.cut >= o.cut }

const shardCount = 256

// set is the whole live set. Nothing leaves it but by expiry.
type set struct {
	bound int64
	seed  maphash.Seed // chooses the shard of a key, and its place there
	count atomic.Int64
	// subjects: there were some. Most lists never have any, and need not look.
	subjects atomic.Bool
	shards   [shardCount]shard
}

type shard struct {
	ids      atomic.Pointer[table] // changed under mu, read at any time
	mu       sync.RWMutex          // guards what follows
	subjects map[key]heldSubject
	_        [24]byte // a cache line each
}

// held is an id: when it expires, and the last reading of Redis that had it so.
type held struct{ exp, seen uint32 }

// heldSubject has what the reading had as well: it may come in pieces.
type heldSubject struct {
	cut, seenCut       uint64
	exp, seen, seenExp uint32
}

func newSet(bound int) *set {
	s := &set{bound: int64(bound), seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].ids.Store(tableOf(0, s.seed))
		s.shards[i].subjects = map[key]heldSubject{}
	}
	return s
}

func (s *set) shard(k key) *shard { return s.shardOf(maphash.Bytes(s.seed, k[:])) }

func (s *set) shardOf(h uint64) *shard { return &s.shards[h>>40%shardCount] }

func (s *set) hasID(k key) bool {
	h := maphash.Bytes(s.seed, k[:])
	return s.shardOf(h).ids.Load().hasHashed(k, h)
}

// cutoff is that of the subject's tokens.
func (s *set) cutoff(k key) (cut uint64, ok bool) {
	sh := s.shard(k)
	sh.mu.RLock()
	h, ok := sh.subjects[k]
	sh.mu.RUnlock()
	return h.cut, ok
}

// add merges e in and returns what is held then, and what was before (exp 0 for
// nothing). reading is the number of the reading of Redis that has shown e, or 0.
// ok is false when there is no room.
func (s *set) add(e entry, reading uint32) (is, was entry, ok bool) {
	e.exp = max(e.exp, gone+1) // what Redis holds may be anything
	sh := s.shard(e.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	is, was = e, entry{key: e.key, subject: e.subject}
	if e.subject {
		h, found := sh.subjects[e.key]
		if !found && !s.grow() {
			return is, was, false
		}
		was.exp, was.cut = h.exp, h.cut
		is = e.merge(was)
		s.subjects.Store(true)
		if h.exp, h.cut = is.exp, is.cut; reading != 0 {
			h.saw(e, reading)
		}
		sh.subjects[e.key] = h
		return is, was, true
	}
	h := sh.ids.Load().get(e.key)
	if h.exp == 0 && !s.grow() {
		return is, was, false
	}
	was.exp = h.exp
	if reading != 0 && e.exp >= h.exp {
		h.seen = reading
	}
	if reading == 0 && e.exp > h.exp {
		h.seen = 0 // not with this life
	}
	h.exp = max(h.exp, e.exp)
	is.exp = h.exp
	sh.put(e.key, h)
	return is, was, true
}

// put enters an id; the caller holds mu.
func (sh *shard) put(k key, h held) {
	t := sh.ids.Load()
	if t.full() {
		t = t.again()
	}
	t.set(k, h)
	sh.ids.Store(t)
}

func (h *heldSubject) saw(e entry, reading uint32) {
	if h.seen != reading {
		h.seen, h.seenExp, h.seenCut = reading, 0, 0
	}
	h.seenExp, h.seenCut = max(h.seenExp, e.exp), max(h.seenCut, e.cut)
}

func (s *set) grow() bool {
	if s.count.Add(1) > s.bound {
		s.count.Add(-1)
		return false
	}
	return true
}

// sweep drops what expired before that second.
func (s *set) sweep(before uint32) (dropped int) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		n := sh.sweep(before)
		sh.mu.Unlock()
		s.count.Add(int64(-n))
		dropped += n
	}
	return dropped
}

// sweep: the caller holds mu.
func (sh *shard) sweep(before uint32) (dropped int) {
	t := sh.ids.Load()
	dropped = t.expire(before)
	if dropped > 0 && 8*t.live < len(t.slots) && len(t.slots) > smallest {
		sh.ids.Store(t.again()) // give the memory back
	}
	for k, h := range sh.subjects {
		if h.exp < before {
			delete(sh.subjects, k)
			dropped++
		}
	}
	return dropped
}

// unseen yields what that reading did not show, or less of it, without holding a
// lock meanwhile.
func (s *set) unseen(reading uint32) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for i := range s.shards {
			for _, e := range s.shards[i].unseen(reading) {
				if !yield(e) {
					return
				}
			}
		}
	}
}

func (sh *shard) unseen(reading uint32) (es []entry) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for k, h := range sh.ids.Load().all() {
		if h.seen != reading {
			es = append(es, entry{key: k, exp: h.exp})
		}
	}
	for k, h := range sh.subjects {
		if h.seen != reading || h.seenExp < h.exp || h.seenCut < h.cut {
			es = append(es, entry{key: k, subject: true, exp: h.exp, cut: h.cut})
		}
	}
	return es
}

// seen yields what some reading has shown, without holding a lock meanwhile.
func (s *set) seen() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		first := rand.N(shardCount) // processes that started together do not go in step
		for i := range s.shards {
			for _, e := range s.shards[(first+i)%shardCount].wasSeen() {
				if !yield(e) {
					return
				}
			}
		}
	}
}

func (sh *shard) wasSeen() (es []entry) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for k, h := range sh.ids.Load().all() {
		if h.seen != 0 {
			es = append(es, entry{key: k, exp: h.exp})
		}
	}
	for k, h := range sh.subjects {
		if h.whole() {
			es = append(es, entry{key: k, subject: true, exp: h.exp, cut: h.cut})
		}
	}
	return es
}

// whole reports whether some reading has shown all of it.
func (h heldSubject) whole() bool { return h.seen != 0 && h.seenExp >= h.exp && h.seenCut >= h.cut }

// again are the entries as they are held now, if some reading has shown them so, but
// for those that expire before that second.
func (s *set) again(es []entry, before uint32) []entry {
	kept := es[:0]
	for _, e := range es {
		sh := s.shard(e.key)
		sh.mu.RLock()
		ok := false
		if e.subject {
			h := sh.subjects[e.key]
			e.exp, e.cut, ok = h.exp, h.cut, h.whole()
		} else {
			h := sh.ids.Load().get(e.key)
			e.exp, ok = h.exp, h.seen != 0
		}
		sh.mu.RUnlock()
		if ok && e.exp >= before {
			kept = append(kept, e)
		}
	}
	return kept
}
