// Package origin decides when loaders are not run: the origin of a class, a database or
// another service, is not asked again at once after a load has failed. [Pauses] are those
// of single keys. A [Circuit] is that of a class whose loads fail for most keys. Neither
// has a clock or a goroutine: whoever asks says what time it is.
package origin

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// growth is how often a pause doubles.
	growth = 5
	// longest bounds a pause.
	longest = time.Minute
)

// pause is how long nobody is asked after so many failures in a row: it doubles with each,
// and is up to a quarter shorter at random (by chance, between 0 and 1), so that many do
// not come at the same moment.
func pause(first time.Duration, failures int, chance float64) time.Duration {
	d := first << max(0, min(failures-1, growth))
	d = min(d, max(first, longest))
	return d - time.Duration(float64(d)/4*chance)
}

const (
	// maxFailed bounds the keys whose failures are remembered, and maxBytes them and the
	// texts of their errors.
	maxFailed = 4096
	maxBytes  = 4 << 20
)

// Pauses remembers the keys whose loads have failed, not more than a few thousand of them
// and a few megabytes. It is safe for concurrent use.
type Pauses struct {
	first time.Duration // 0: there are none

	n     atomic.Int64 // of keys: mostly there are none, and no lock is needed to know it
	mu    sync.Mutex   // guards the rest
	keys  map[string]failed
	bytes int
}

type failed struct {
	failures int
	until    int64
	err      error
	bytes    int
}

// NewPauses makes Pauses that begin with the one given; not a positive one: none.
func NewPauses(first time.Duration) *Pauses {
	return &Pauses{first: first, keys: map[string]failed{}}
}

// Refusal says why a key is not loaded.
type Refusal struct {
	Err      error // the last one
	Failures int   // in a row
	For      time.Duration
}

// Refuse reports whether a key is not to be loaded now, and why.
func (p *Pauses) Refuse(key string, now int64) (Refusal, bool) {
	if p.n.Load() == 0 {
		return Refusal{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.keys[key]
	if !ok || now >= f.until {
		return Refusal{}, false
	}
	return Refusal{f.err, f.failures, time.Duration(f.until - now)}, true
}

// Failed notes that the load of a key has failed. It returns when the next may run.
func (p *Pauses) Failed(key string, err error, now int64) (until int64) {
	if p.first <= 0 {
		return now
	}
	err, size := brief(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.keys[key]
	p.forget(key)
	f.failures++
	f.err, f.until, f.bytes = err, now+int64(pause(p.first, f.failures, rand.Float64())), len(key)+size
	p.makeRoom(f.bytes, now)
	p.keys[key] = f
	p.bytes += f.bytes
	p.n.Store(int64(len(p.keys)))
	return f.until
}

// looked is how many keys are looked at for whether they can be forgotten, each time.
const looked = 8

// makeRoom forgets keys that nobody has loaded for long after their pause, and any
// where that is not enough for one of so many bytes; the caller holds mu.
func (p *Pauses) makeRoom(bytes int, now int64) {
	n := 0
	for key, f := range p.keys {
		full := len(p.keys) >= maxFailed || p.bytes+bytes > maxBytes
		if n++; n > looked && !full {
			return
		}
		if old := now-f.until > int64(pause(p.first, f.failures+1, 0)); old || full {
			p.forget(key)
		}
	}
}

// forget removes a key that may be there; the caller holds mu.
func (p *Pauses) forget(key string) {
	p.bytes -= p.keys[key].bytes
	delete(p.keys, key)
}

// Forget ends the pause of a key: it has a value, or is another one now.
func (p *Pauses) Forget(key string) {
	if p.n.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(key)
	p.n.Store(int64(len(p.keys)))
}

// ForgetAll ends the pauses of the keys that under reports.
func (p *Pauses) ForgetAll(under func(key string) bool) {
	if p.n.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.keys {
		if under(key) {
			p.forget(key)
		}
	}
	p.n.Store(int64(len(p.keys)))
}

// Len is how many keys are remembered.
func (p *Pauses) Len() int { return int(p.n.Load()) }
