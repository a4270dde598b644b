package outbox

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Ledger keeps the writes that a master has taken, until it is known that they
// survive it, and for a while longer. What survives a failover or a restart is
// the beginning of the master's stream of commands, and a barrier is a number
// written into that stream. Each record carries the number of the first barrier
// that was sent after its write was acknowledged: a master that holds a barrier
// of that number holds the write.
//
// A record is unconfirmed until Confirm, then in the ring, a bounded history for
// a server that comes back from an older state. Each key has one record, its
// newest. Touches of keys for which nothing is held are held too: a session
// that was prolonged just before its end must not end with the master.
//
// The epoch is which master's acknowledgements count. It rises with Uncover, and
// what was begun in an older epoch is refused from then on.
//
// In a Cluster each shard of it has a Ledger, and its slots come and go: see Take.
//
// It is safe for concurrent use. Every write of the application passes Add, so
// keys are spread over shards with a lock each. Lock order: moving, shedding or
// barriers, shards in order, prefixes. All of them come after that of a Box.
type Ledger struct {
	bounds LedgerBounds
	seed   maphash.Seed
	mirror Mirror // nil: nobody keeps a copy

	epoch atomic.Uint64 // changed under all locks
	next  atomic.Uint64 // number of the barrier to be sent next

	moving     sync.Mutex              // orders Take and Give
	generation atomic.Uint32           // how many Takes there were
	tenures    atomic.Pointer[tenures] // nil: no slot has ever left

	flushed atomic.Uint64 // the barrier up to which somebody has flushed the master; 0: none
	base    uint64        // of the first barrier of this epoch; changed under all locks

	records     atomic.Int64 // unconfirmed ones
	bytes       atomic.Int64 // theirs
	wishes      atomic.Int64 // unconfirmed prefixes
	ring        atomic.Int64 // records
	ringBytes   atomic.Int64
	dropped     atomic.Uint64
	droppedKeys atomic.Uint64
	ringDropped atomic.Uint64

	shedding sync.Mutex // one makes room at a time, or more would go than must
	barriers sync.Mutex // orders NextBarrier and Uncover
	shards   [ledgerShards]ledgerShard
	prefixes ledgerPrefixes
}

const ledgerShards = 32

// LedgerBounds is how much a Ledger keeps.
type LedgerBounds struct {
	Entries int   // unconfirmed records
	Bytes   int64 // theirs
	// RingBytes and RingAge bound the confirmed ones; the age counts from their
	// confirmation. Whatever is given as now is in nanoseconds.
	RingBytes int64
	RingAge   time.Duration
}

// NewLedger makes an empty Ledger in epoch 1, whose next barrier is number 1.
func NewLedger(b LedgerBounds) *Ledger {
	l := &Ledger{bounds: b, seed: maphash.MakeSeed(), base: 1}
	l.epoch.Store(1)
	l.next.Store(1)
	l.prefixes.all, l.prefixes.most = newPrefixIndex[heldPrefix](), maxPrefixes
	for i := range l.shards {
		l.shards[i].init(l)
	}
	return l
}

// Epoch is to be read before a command is sent to the master of the time, and
// given to Add with what it answered.
func (l *Ledger) Epoch() uint64 { return l.epoch.Load() }

func (l *Ledger) shard(key string) *ledgerShard {
	return &l.shards[maphash.String(l.seed, key)%ledgerShards]
}

// Add notes that the master of this epoch has taken r, in place of an older
// record of its key. The barrier with the number that it returns, and each
// later one, is sent after r was taken. ok is false, and nothing is kept, when
// the epoch is over: nobody knows whether the master that follows has r. Where
// slots move, AddIn is for it.
func (l *Ledger) Add(r Record, epoch uint64, now int64) (number uint64, ok bool) {
	return l.add(&r, epoch, 0, now)
}

// AddIn is Add of a command that was sent in this generation. ok is false too when
// the slot of r has left since: the master may have executed it before, and nobody
// knows whether it has gone with the slot.
func (l *Ledger) AddIn(r Record, epoch uint64, generation uint32, now int64) (number uint64, ok bool) {
	return l.add(&r, epoch, generation, now)
}

func (l *Ledger) add(r *Record, epoch uint64, generation uint32, now int64) (number uint64, ok bool) {
	s := l.shard(r.Key)
	s.mu.Lock()
	if l.epoch.Load() != epoch || l.left(r.Slot, generation) {
		s.mu.Unlock()
		return 0, false
	}
	number = l.next.Load() // under the lock: numbers rise along a shard's lists
	r.Verify = false       // this master may lose it
	s.add(r, number, now)
	s.expire(now, 2)
	s.mu.Unlock()
	if l.over() {
		l.shed()
	}
	return number, true
}

// Next is the number of the barrier that is sent next.
func (l *Ledger) Next() uint64 { return l.next.Load() }

// NextBarrier gives a barrier its number, right before it is sent to the master
// of this epoch. Numbers rise for the life of the Ledger, from 1. What was added
// before has this number at most, and what is added after has a higher one. ok
// is false when the epoch is over: a barrier on an older master would vouch for
// writes which that master has never seen.
func (l *Ledger) NextBarrier(epoch uint64) (n uint64, ok bool) {
	l.barriers.Lock()
	defer l.barriers.Unlock()
	if l.epoch.Load() != epoch {
		return 0, false
	}
	return l.next.Add(1) - 1, true
}

// Confirm notes that every server which may become master has barrier n: what
// it vouches for goes over to the ring. Numbers of an earlier epoch's barriers,
// and such as were never given, confirm nothing.
func (l *Ledger) Confirm(n uint64, now int64) {
	if n >= l.next.Load() {
		return
	}
	flushed := l.flushed.Load()
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		if n >= l.base {
			if n > flushed {
				s.flush(flushed)
			}
			s.confirm(n, now)
		}
		s.expire(now, -1)
		s.mu.Unlock()
	}
	if n > flushed {
		l.flushed.CompareAndSwap(flushed, 0)
	}
	l.confirmPrefixes(n, now)
	l.shrinkRing()
}

// Unconfirmed is how many records and prefixes no barrier has confirmed yet.
func (l *Ledger) Unconfirmed() int { return int(l.records.Load() + l.wishes.Load()) }

// Floor is the Floor of a newer write of the key, as far as it is known here.
func (l *Ledger) Floor(key string) int64 {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[key]; e != nil {
		return e.rec.floor()
	}
	return 0
}

// Follow lets r, a newer write of its key, know of the one that is held.
func (l *Ledger) Follow(r *Record) {
	s := l.shard(r.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[r.Key]; e != nil && e.rec.Since < r.Since {
		r.learn(&e.rec)
	}
}

// Forget drops the record of a key for which a newer write waits in a Box, and
// returns its Floor. A Box that may refuse the write is to be asked first, after
// Follow. It is not for a Touch: that one needs the Set whose end it moves.
func (l *Ledger) Forget(key string) (hi int64) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil {
		return 0
	}
	hi = e.rec.floor()
	s.drop(e)
	return hi
}

// Recall takes out the record of a key, to be put back: something may have undone
// it.
func (l *Ledger) Recall(key string) (Record, bool) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil || e.rec.Kind == Touch {
		return Record{}, false
	}
	r := e.rec
	s.drop(e)
	return r, true
}

// Uncover takes out what a master that holds barrier held (0: none) need not
// have, ordered by Since, and begins an epoch: from then on no Add, AddPrefix,
// NextBarrier or Confirm of an earlier one succeeds. A number that was never
// given is somebody else's, and means none.
func (l *Ledger) Uncover(held uint64) (records []Record, prefixes []Prefix) {
	l.barriers.Lock()
	defer l.barriers.Unlock()
	for i := range l.shards {
		l.shards[i].mu.Lock()
		defer l.shards[i].mu.Unlock()
	}
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()

	l.epoch.Add(1)
	l.flushed.Store(0) // the next master may not have been flushed
	l.base = l.next.Load()
	if held >= l.base {
		held = 0
	}
	for i := range l.shards {
		records = l.shards[i].uncover(held, records)
	}
	slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(a.Since, b.Since) })
	return records, l.uncoverPrefixes(held)
}

// Trim drops what has been in the ring for too long.
func (l *Ledger) Trim(now int64) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.expire(now, -1)
		s.mu.Unlock()
	}
	l.expirePrefixes(now)
}
