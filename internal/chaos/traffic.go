package chaos

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// The spaces of keys beside KnownSpace.
const (
	ownSpace    = 'u' // each written once; the group is the writer
	sharedSpace = 's' // written and deleted by every process; the group is a time of the run
)

// era is how long keys of one group are written for the most part. Little
// happens to a key after its era, so the end of a run judges every moment of it.
const (
	era       = 400 * time.Millisecond
	sharedN   = 24 // shared keys of an era
	knownKeys = 40
)

// Traffic is the work of several processes on one class: keys of their own,
// keys that all of them overwrite and delete, and now and then a whole prefix.
type Traffic struct {
	Trace   *Trace
	Parties []Party
	Writers int           // of each process
	Readers int           // of each process
	Every   time.Duration // between the calls of one writer or reader; 4 ms
	Seed    uint64
	// NoPrefixes leaves the prefix deletes out.
	NoPrefixes bool
	// Brief: a third of what several processes write does not live long.
	Brief bool
	// Lives: every process but the first puts all values briefly.
	Lives bool
	// Repeats: half of what is put at shared keys has been put before.
	Repeats bool
	// Bursts: some shared keys are put several times at once by one process.
	Bursts bool
	// Prolongs: some shared keys are prolonged.
	Prolongs bool

	cancel context.CancelFunc
	ctx    context.Context
	wg     sync.WaitGroup
	own    []atomic.Uint32 // keys written so far, by writer
	landed atomic.Int64
	thief  thief

	repeated [2]Value
	turn     atomic.Uint32
}

// burstSize is how many writes of one key a burst makes at once.
const burstSize = 3

// Prepare writes the known keys through the first process and lets every process
// read them, so that all hold them in memory. On a busy machine a call may come too
// late: it is made again. Only the writes are part of the trace.
func (t *Traffic) Prepare(ctx context.Context) bool {
	t.begin()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tape, aside := t.Trace.Tape(0), NewTrace().Tape(0)
	for proc, p := range t.Parties {
		for n := range uint32(knownKeys) {
			k := Key{Space: KnownSpace, N: n}
			if proc == 0 && !again(ctx, func() bool { return t.call(ctx, p, tape, Put, k).Outcome >= AtMaster }) {
				return false
			}
			if !again(ctx, func() bool { return t.call(ctx, p, aside, Look, k).Outcome == Found }) {
				return false
			}
		}
	}
	return true
}

// again does it until it succeeds or ctx ends.
func again(ctx context.Context, do func() bool) bool {
	for !do() {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// begin measures from now on what the machine takes from everybody.
func (t *Traffic) begin() {
	if t.cancel == nil {
		t.ctx, t.cancel = context.WithCancel(context.Background())
		t.wg.Go(func() { t.thief.watch(t.ctx) })
	}
}

// Start begins the traffic; Stop ends it.
func (t *Traffic) Start() {
	t.Every = cmp.Or(t.Every, 4*time.Millisecond)
	t.begin()
	t.own = make([]atomic.Uint32, len(t.Parties)*t.Writers)
	if t.Repeats {
		t.repeated = [2]Value{t.Trace.NextValue(), t.Trace.NextValue()}
	}
	for proc, p := range t.Parties {
		for i := range t.Writers {
			writer := proc*t.Writers + i
			tapes := make([]*Tape, burstSize)
			for i := range tapes {
				tapes[i] = t.Trace.Tape(proc)
			}
			t.run(proc, writer, func(r *rand.Rand, tape *Tape) { t.write(p, tape, tapes, writer, r) })
		}
		for i := range t.Readers {
			t.run(proc, 1000+proc*t.Readers+i, func(r *rand.Rand, tape *Tape) { t.read(p, tape, r) })
		}
	}
}

// Stop ends the traffic and waits for the calls under way.
func (t *Traffic) Stop() {
	if t.cancel != nil {
		t.cancel()
		t.wg.Wait()
	}
}

// Stolen is the most by which a mere timer was late.
func (t *Traffic) Stolen() time.Duration { return t.thief.most() }

// Landed counts the writes that a master has taken.
func (t *Traffic) Landed() int64 { return t.landed.Load() }

func (t *Traffic) run(proc, stream int, act func(*rand.Rand, *Tape)) {
	random := rand.New(rand.NewPCG(t.Seed, uint64(stream)))
	tape := t.Trace.Tape(proc)
	t.wg.Go(func() {
		tick := time.NewTicker(t.Every)
		defer tick.Stop()
		for t.ctx.Err() == nil && !t.Trace.Full() {
			act(random, tape)
			select {
			case <-tick.C:
			case <-t.ctx.Done():
			}
		}
	})
}

// write is one turn of a writer.
func (t *Traffic) write(p Party, tape *Tape, tapes []*Tape, writer int, r *rand.Rand) {
	switch n := r.IntN(1000); {
	case n < 450:
		k := Key{Space: ownSpace, Group: uint16(writer), N: t.own[writer].Load()}
		t.act(p, tape, Put, k)
		t.own[writer].Add(1)
	case n < 520 && t.Bursts:
		t.burst(p, tape, tapes, t.shared(r, lately(r)))
	case n < 560 && t.Prolongs:
		t.act(p, tape, Prolong, t.shared(r, lately(r)))
	case n < 750:
		t.act(p, tape, t.put(n, writer), t.shared(r, lately(r)))
	case n < 850:
		t.act(p, tape, Remove, t.shared(r, lately(r)))
	case n < 900:
		t.act(p, tape, Remove, t.anyOwn(r))
	case n < 903 && !t.NoPrefixes:
		t.act(p, tape, RemovePrefix, t.shared(r, lately(r)).group())
	default:
		t.act(p, tape, Look, t.shared(r, lately(r)))
	}
}

// burst makes several writes of a key at once and reads which was the last.
func (t *Traffic) burst(p Party, tape *Tape, tapes []*Tape, k Key) {
	var wg sync.WaitGroup
	for _, own := range tapes {
		wg.Go(func() { t.act(p, own, Put, k) })
	}
	wg.Wait()
	t.act(p, tape, Look, k)
}

func (t *Traffic) put(n, writer int) Act {
	if t.Brief && n%3 == 0 || t.Lives && writer >= t.Writers {
		return PutBrief
	}
	return Put
}

// read is one turn of a reader.
func (t *Traffic) read(p Party, tape *Tape, r *rand.Rand) {
	if r.IntN(3) == 0 {
		t.act(p, tape, Look, Key{Space: KnownSpace, N: uint32(r.IntN(knownKeys))})
		return
	}
	t.act(p, tape, Look, t.shared(r, r.IntN(9)))
}

// lately is how many eras ago a writer looks back: mostly none, and now and then
// to before an outage.
func lately(r *rand.Rand) int {
	if r.IntN(12) == 0 {
		return r.IntN(20)
	}
	return r.IntN(3) * r.IntN(2)
}

// shared is a key of some eras ago.
func (t *Traffic) shared(r *rand.Rand, ago int) Key {
	now := int(time.Duration(t.Trace.Now()) / era)
	return Key{Space: sharedSpace, Group: uint16(max(0, now-ago)), N: uint32(r.IntN(sharedN))}
}

// anyOwn is a key that one of the writers wrote a short time ago.
func (t *Traffic) anyOwn(r *rand.Rand) Key {
	writer := r.IntN(len(t.own))
	n := t.own[writer].Load()
	return Key{Space: ownSpace, Group: uint16(writer), N: n - min(n, uint32(r.IntN(100)))}
}

func (t *Traffic) act(p Party, tape *Tape, act Act, k Key) {
	// A call under way is waited for: it does not end with the run.
	t.call(context.Background(), p, tape, act, k)
}

// call makes one call and records it.
func (t *Traffic) call(ctx context.Context, p Party, tape *Tape, act Act, k Key) Answer {
	v := Nothing
	if act.writes() {
		v = t.value(k)
	}
	return t.callWith(ctx, p, tape, act, k, v)
}

// value is one that is to be written to a key.
func (t *Traffic) value(k Key) Value {
	if n := t.turn.Add(1); t.repeated[0] != Nothing && k.Space == sharedSpace && n%2 == 0 {
		return t.repeated[n/2%2]
	}
	return t.Trace.NextValue()
}

// Call makes one call of a script's own through a process and records it. v is
// what to write, Nothing for a value that nobody has written.
func (t *Traffic) Call(proc int, tape *Tape, act Act, k Key, v Value) Answer {
	if act.writes() && v == Nothing {
		v = t.Trace.NextValue()
	}
	return t.callWith(context.Background(), t.Parties[proc], tape, act, k, v)
}

func (t *Traffic) callWith(ctx context.Context, p Party, tape *Tape, act Act, k Key, v Value) Answer {
	e := Event{Act: act, Key: k, Value: v, Start: t.Trace.Now()}
	name := k.String()
	if act == RemovePrefix {
		name = k.Prefix()
	}
	a := p.Do(ctx, act, name, e.Value)
	e.End, e.Outcome = t.Trace.Now(), a.Outcome
	if act == Look {
		e.Value, e.Source, e.Age, e.Fresh, e.Coherent = a.Value, a.Source, a.Age, a.Fresh, a.Coherent
	} else if a.Outcome >= AtMaster {
		t.landed.Add(1)
	}
	tape.Record(e)
	return a
}

// thief measures what the machine takes from everybody.
type thief struct {
	mu     sync.Mutex // guards stolen
	stolen time.Duration
}

func (t *thief) watch(ctx context.Context) {
	const nap = 20 * time.Millisecond
	for ctx.Err() == nil {
		start := time.Now()
		time.Sleep(nap)
		t.mu.Lock()
		t.stolen = max(t.stolen, time.Since(start)-nap)
		t.mu.Unlock()
	}
}

func (t *thief) most() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stolen
}
