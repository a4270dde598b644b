package shard

import (
	"context"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// MaxBatch is how many keys are asked for, or written, in one pipeline.
const MaxBatch = remote.MaxBatch

// Answer is what is known of a key beyond memory.
type Answer struct {
	Found bool          // it has a value
	Data  []byte        // the value; must not be modified
	Left  time.Duration // that it has to live in Redis; negative: the key has no end
	End   End           // when the key ends by the master's clock; zero: not known well

	Waits   bool  // a write that waits for a master has answered
	Deleted bool  // that write is a delete: nobody else needs to be asked
	Since   int64 // of that write, and when its value ends, in the client's time
	Ends    int64

	// Lost: Redis has no value, may have lost data of late, and knows of no delete.
	Lost bool

	// Useless is the sum of what Redis holds and cannot be a value. TooLong: because
	// of its size; it was not read.
	Useless string
	TooLong bool

	Same bool // it is what memory holds: see Held

	Replica bool  // a replica has answered, and not the master
	Sent    int64 // of a replica: when it was sure to have everything, in the client's time

	Asked Asked // the master; zero: there was none
	Fixed bool  // the master runs no scripts, so nothing replaces this and nothing newer
	Apart bool  // its slot moves, and not the master has answered: nothing covers that
	Away  bool  // there is no master, and there should be one
	Err   error // why there is no answer
}

// Asked is when a master was asked, at the earliest and by its own clock: a load
// that follows is older than what was deleted since, on whatever master.
type Asked struct {
	At    time.Time
	low   int64
	shard *Shard
}

func (sh *Shard) askedNow(node *remote.Node) Asked {
	at := time.Now()
	low, _ := node.ServerTime(at)
	return Asked{at, low, sh}
}

// by is when it was by the clock of the master that follows, at the earliest.
func (a Asked) by(clocks *remote.Clocks) (low int64, ok bool) {
	return a.low + clocks.Since(a.At).Fell.Milliseconds(), !a.At.IsZero()
}

// Read asks who knows better than memory: a write that waits in the outbox, else
// the master. Found is false without an error: the key is not there. h is what memory
// holds of the key; nil: nothing that stands.
func (k *Class) Read(ctx context.Context, full string, h *Held, limit time.Duration) Answer {
	if h != nil {
		return k.readHeld(ctx, full, h, limit)
	}
	sh := k.st.of(full)
	node := sh.Node.Load()
	if a, ok := k.waiting(sh, node, full); ok {
		return a
	}
	if node != nil {
		var a Answer
		var ok bool
		if a, ok, ctx, limit = k.fromReplica(ctx, sh, node, full, limit); ok {
			return a
		}
	}
	return k.readMaster(ctx, sh, node, full, limit)
}

// ReadMaster is Read of the master, whatever the class is allowed.
func (k *Class) ReadMaster(ctx context.Context, full string, limit time.Duration) Answer {
	sh := k.st.of(full)
	node := sh.Node.Load()
	if a, ok := k.waiting(sh, node, full); ok {
		return a
	}
	return k.readMaster(ctx, sh, node, full, limit)
}

func (k *Class) readMaster(ctx context.Context, sh *Shard, node *remote.Node, full string, limit time.Duration) Answer {
	if node == nil {
		if a, ok := k.unowned(ctx, sh, full, limit); ok {
			return a
		}
		return k.nobody()
	}
	asked := sh.askedNow(node)
	v, err := node.GetAt(ctx, full, asked.At, limit)
	if k.st.clustered() && remote.KindOf(err).Unserved() {
		return k.elsewhere(ctx, node, full, err, asked, limit)
	}
	return k.answered(node, v, err, asked)
}

// ReadMany is Read for up to MaxBatch keys, in one pipeline for each shard. Several go
// side by side.
func (k *Class) ReadMany(ctx context.Context, full []string, limit time.Duration) []Answer {
	as := make([]Answer, len(full))
	var wg sync.WaitGroup
	for _, part := range k.st.byShard(full) {
		if part.all {
			k.readMany(ctx, part, full, limit, as)
			continue
		}
		wg.Go(func() { k.readMany(ctx, part, full, limit, as) })
	}
	wg.Wait()
	return as
}

// readMany answers for the keys of one shard.
func (k *Class) readMany(ctx context.Context, part keysOf, full []string, limit time.Duration, as []Answer) {
	node := part.shard.Node.Load()
	ask, index := make([]string, 0, len(full)), make([]int, 0, len(full))
	for i, key := range full {
		switch {
		case !part.has(i):
		case node == nil || k.st.Waits(key):
			as[i] = k.Read(ctx, key, nil, limit)
		default:
			ask, index = append(ask, key), append(index, i)
		}
	}
	ask, index, ctx, limit = k.manyFromReplica(ctx, part.shard, node, ask, index, limit, as)
	if len(ask) == 0 {
		return
	}
	asked := part.shard.askedNow(node)
	found, _ := node.GetMany(ctx, ask, limit)
	answered := time.Now()
	for j, i := range index {
		if k.st.clustered() && remote.KindOf(found[j].Err).Unserved() {
			as[i] = k.elsewhere(ctx, node, full[i], found[j].Err, asked, limit)
			continue
		}
		v := found[j].Value
		v.At = answered
		as[i] = k.answered(node, v, found[j].Err, asked)
	}
}

// Missing reports that the master has said that there is no value.
func (a *Answer) Missing() bool {
	return !a.Found && !a.Waits && a.Err == nil && a.Useless == "" && !a.Asked.At.IsZero() && !a.Replica
}

// AskDeleted asks which of the keys, MaxBatch at most, somebody has deleted of late.
// The others are lost: to be asked where the keys' master may have lost data.
func (k *Class) AskDeleted(ctx context.Context, full []string, as []*Answer, limit time.Duration) {
	for _, part := range k.st.byShard(full) {
		var ask []string
		var of []*Answer
		for i, key := range full {
			if part.has(i) {
				ask, of = append(ask, key), append(of, as[i])
			}
		}
		began := time.Now()
		deleted, err := k.deletedAt(ctx, part.shard, ask, limit)
		limit = max(limit-time.Since(began), time.Millisecond)
		for i, a := range of {
			a.Err, a.Lost = err, err == nil && !deleted[i]
		}
	}
}

func (k *Class) deletedAt(ctx context.Context, sh *Shard, keys []string, limit time.Duration) ([]bool, error) {
	node := sh.Node.Load()
	if node == nil {
		return nil, k.st.AwayCause()
	}
	traces := make([]remote.Cond, len(keys))
	for i, key := range keys {
		traces[i] = sh.condNow(key)
	}
	return node.Deleted(ctx, keys, traces, limit)
}

// waiting is the answer of a write that waits for a master.
func (k *Class) waiting(sh *Shard, node *remote.Node, full string) (a Answer, ok bool) {
	r, ok := k.st.Find(full)
	if !ok || r.Kind == outbox.Touch {
		return Answer{}, false
	}
	a = Answer{Waits: true, Deleted: r.Kind == outbox.Delete, Away: node == nil && !k.st.MemoryIsAll()}
	if now := k.st.Clock.Now(); r.Kind == outbox.Set && now < r.Ends {
		a.Found, a.Data, a.Since, a.Ends = true, r.Value, r.Since, r.Ends
	}
	if node != nil {
		a.Asked = sh.askedNow(node)
	}
	return a, true
}

// nobody is the answer without a master.
func (k *Class) nobody() Answer {
	if k.st.MemoryIsAll() {
		return Answer{}
	}
	return Answer{Away: true, Err: k.st.AwayCause()}
}

// answered is what a master has said.
func (k *Class) answered(node *remote.Node, v remote.Value, err error, asked Asked) Answer {
	switch kind := remote.KindOf(err); {
	case kind == remote.Nil:
		return Answer{Asked: asked}
	case kind == remote.Oversize: // of no use to anybody with our limit
		return Answer{Asked: asked, Useless: remote.TooLong(k.st.Config.MaxValueBytes), TooLong: true}
	case kind == remote.Logical: // another type is stored there: nothing of ours
		return Answer{Asked: asked, Useless: remote.OtherType}
	case err != nil:
		return Answer{Err: err}
	}
	return Answer{Asked: asked, Found: true, Data: v.Data, Left: v.TTL, End: endOf(node, v, asked), Fixed: node.ScriptsForbidden()}
}

// maxEndWidth is how exactly, in milliseconds, the end of a value must be known for
// it to be known again by that.
const maxEndWidth = 20

// endOf is when a value ends that was read from a node, by its clock.
func endOf(node *remote.Node, v remote.Value, asked Asked) End {
	if v.TTL < 0 {
		return End{}
	}
	answered := v.At
	if answered.IsZero() {
		answered = time.Now()
	}
	_, high := node.ServerTime(answered)
	if high-asked.low > maxEndWidth { // another's write may end within it too
		return End{}
	}
	left := v.TTL.Milliseconds()
	return End{From: asked.low + left, To: high + left + 1}
}

// Sum is by what a value that does not decode is known again: see Filling.
func Sum(data []byte) string { return remote.Sum(data) }

// Canceled reports whether a question ended since its caller left.
func Canceled(err error) bool { return remote.KindOf(err) == remote.Canceled }
