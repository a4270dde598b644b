package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/censor"
)

// client is what is measured. Keys are unique, and each is written once.
type client interface {
	write(ctx context.Context, key string) (landed bool, err error)
	remove(ctx context.Context, key string) (landed bool, err error)
	// read says whether memory has answered. The error is errMissing where there is no such key.
	read(ctx context.Context, key string) (fromMemory bool, err error)
	// flush waits until nothing is kept that a master does not have.
	flush(ctx context.Context) error
	// full is a key as Redis has it.
	full(key string) string
	close()
}

var errMissing = errors.New("there is no such key")

// Op is a kind of call.
type Op uint8

// The kinds.
const (
	Read Op = iota
	Write
	Delete
)

// Result is how a call has ended.
type Result uint8

// The results.
const (
	Answered Result = iota // by a server: a write is acknowledged by a master
	Memory                 // from memory: a write is kept for the next master
	Missing                // a key that was written is not there
	Failed                 // an error
)

// Call is one call.
type Call struct {
	At, Took time.Duration // since the beginning of the traffic
	Op       Op
	Result   Result
}

// value is what is written.
const value = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// Each fifth key is for the deleters; the others are for the readers.
const deletable = 5

// keyState is what is known of a key.
type keyState uint8

const (
	unknown       keyState          = iota // not written, or nobody knows
	written                                // acknowledged
	deleting                               // a delete was tried
	deleted                                // acknowledged
	callTimeout   = 5 * time.Second        // of the caller; clients have shorter ones of their own
	recent        = 1000                   // keys that are read
	deleteAfter   = 50                     // keys between a write and its delete
	maxErrorShown = 200
)

// keys is what is known of all keys of one client.
type keys struct {
	mu     sync.Mutex
	state  []keyState // by number; guarded by mu, as all below
	most   int
	oldest int // the next to be deleted

	// What the masters hold of them, set by verify.
	compared     bool
	lost, undone int
}

func keyName(n int) string { return fmt.Sprint("k", n) }

// add is the number of the next key. Not ok: there are enough.
func (k *keys) add() (n int, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.state) >= k.most {
		return 0, false
	}
	k.state = append(k.state, unknown)
	return len(k.state) - 1, true
}

func (k *keys) set(n int, s keyState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state[n] = s
}

// readable is a key that was written lately and is deleted by nobody.
func (k *keys) readable() (n int, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for range 8 {
		if len(k.state) == 0 {
			break
		}
		n = len(k.state) - 1 - rand.IntN(min(recent, len(k.state)))
		if n%deletable != 0 && k.state[n] == written {
			return n, true
		}
	}
	return 0, false
}

// removable is the oldest key that is for the deleters.
func (k *keys) removable() (n int, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.oldest+deleteAfter < len(k.state) {
		n = k.oldest
		k.oldest += deletable
		if k.state[n] == written {
			k.state[n] = deleting
			return n, true
		}
	}
	return 0, false
}

// all are the keys in a state.
func (k *keys) all(s keyState) (names []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for n, is := range k.state {
		if is == s {
			names = append(names, keyName(n))
		}
	}
	return names
}

// load is the traffic of one client.
type load struct {
	client client
	keys   keys
	rate   int
	began  time.Time
	end    context.CancelFunc
	wg     sync.WaitGroup
	most   int // calls

	mu    sync.Mutex
	calls []Call // guarded by mu, as is first
	first string // error
}

func newLoad(c client, rate, most int) *load {
	return &load{client: c, rate: rate, most: most, keys: keys{most: most}}
}

// Of ten calls five read, four write and one deletes: as many as there are keys for.
const (
	readShare   = 0.5
	writeShare  = 0.42
	deleteShare = 0.08
)

// start begins the traffic. Each kind has callers of its own, so that calls that hang hold up no others.
func (l *load) start(began time.Time) {
	ctx, end := context.WithCancel(context.Background())
	l.began, l.end = began, end
	for _, kind := range []struct {
		share float64
		call  func(context.Context) (Call, error, bool)
	}{{readShare, l.read}, {writeShare, l.write}, {deleteShare, l.remove}} {
		rate := kind.share * float64(l.rate)
		callers := min(max(2, int(rate/25)), 64)
		every := time.Duration(float64(callers) / rate * float64(time.Second))
		for i := range callers {
			l.wg.Go(func() { l.caller(ctx, every, every*time.Duration(i)/time.Duration(callers), kind.call) })
		}
	}
}

// caller makes calls at a pace. Those that it was too late for are left out.
func (l *load) caller(ctx context.Context, every, first time.Duration, call func(context.Context) (Call, error, bool)) {
	for next := l.began.Add(first); pause(ctx, time.Until(next)) == nil; {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		at := time.Now()
		c, err, made := call(once)
		cancel()
		if made {
			c.At, c.Took = at.Sub(l.began), time.Since(at)
			l.note(c, err)
		}
		if next = next.Add(every); time.Since(next) > every {
			next = time.Now()
		}
	}
}

func (l *load) note(c Call, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) < l.most*2 {
		l.calls = append(l.calls, c)
	}
	if err != nil && l.first == "" {
		l.first = censor.Text(err.Error(), maxErrorShown)
	}
}

func (l *load) write(ctx context.Context) (Call, error, bool) {
	n, ok := l.keys.add()
	if !ok {
		return Call{}, nil, false
	}
	landed, err := l.client.write(ctx, keyName(n))
	if err == nil {
		l.keys.set(n, written)
	}
	return Call{Op: Write, Result: resultOf(!landed, err)}, err, true
}

func (l *load) remove(ctx context.Context) (Call, error, bool) {
	n, ok := l.keys.removable()
	if !ok {
		return Call{}, nil, false
	}
	landed, err := l.client.remove(ctx, keyName(n))
	if err == nil {
		l.keys.set(n, deleted)
	}
	return Call{Op: Delete, Result: resultOf(!landed, err)}, err, true
}

func (l *load) read(ctx context.Context) (Call, error, bool) {
	n, ok := l.keys.readable()
	if !ok {
		return Call{}, nil, false
	}
	memory, err := l.client.read(ctx, keyName(n))
	return Call{Op: Read, Result: resultOf(memory, err)}, err, true
}

func resultOf(memory bool, err error) Result {
	switch {
	case errors.Is(err, errMissing):
		return Missing
	case err != nil:
		return Failed
	case memory:
		return Memory
	}
	return Answered
}

// stop ends the traffic and waits for the calls that are under way: each has a deadline.
func (l *load) stop() {
	l.end()
	l.wg.Wait()
	slices.SortFunc(l.calls, func(a, b Call) int { return int(a.At - b.At) })
}
