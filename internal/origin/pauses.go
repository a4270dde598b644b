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
	// kept is for how long after its pause a key is remembered that nobody has loaded.
	kept = 30 * time.Second
)

// Pauses remembers the keys whose loads have failed, not more than a few thousand of them
// and a few megabytes. It is safe for concurrent use.
type Pauses struct {
	first time.Duration // 0: there are none

	n     atomic.Int64 // of keys: mostly there are none, and no lock is needed to know it
	mu    sync.Mutex   // guards the rest
	keys  map[string]failed
	notes notes
	bytes int
}

type failed struct {
	failures int
	first    int64 // when they began
	last     int64 // when the last one was
	own      bool  // others have succeeded between two of them
	until    int64
	err      *noted
	bytes    int
}

// NewPauses makes Pauses that begin with the one given; not a positive one: none. Of an
// error whose text only is remembered errors.Is finds the known ones.
func NewPauses(first time.Duration, known ...error) *Pauses {
	return &Pauses{first: first, keys: map[string]failed{}, notes: newNotes(known)}
}

// Refusal says why a key is not loaded.
type Refusal struct {
	Err      error // the last one
	Failures int   // in a row; also of a key that may be loaded again
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
	defer p.tidy(now)
	switch {
	case !ok:
		return Refusal{}, false
	case now >= f.until:
		return Refusal{Failures: f.failures}, false
	}
	return Refusal{f.err.err(), f.failures, time.Duration(f.until - now)}, true
}

// Own reports whether a key that fails once more does so by itself: others have succeeded
// with loads that began after it had failed before. up is when the last of these began
// (Circuit.Up).
func (p *Pauses) Own(key string, up int64) bool {
	if p.n.Load() == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.keys[key]
	return ok && (f.own || f.last < up)
}

// Failed notes that the load of a key has failed. It returns when the next may run.
func (p *Pauses) Failed(key string, err error, up, now int64) (until int64) {
	if p.first <= 0 {
		return now
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f, again := p.keys[key]
	if !again {
		f.first = now
	}
	f.own = f.own || again && f.last < up
	n, size := p.notes.note(err) // before the one that the key has is dropped: it may be the same
	p.forget(key)
	f.err = n
	f.failures++
	f.last = now
	f.until, f.bytes = now+int64(pause(p.first, f.failures, rand.Float64())), len(key)+size
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
		if old := now-f.until > int64(kept); old || full {
			p.forget(key)
		}
	}
}

// tidy forgets those of some keys that nobody has loaded for long; the caller holds mu.
func (p *Pauses) tidy(now int64) {
	n := 0
	for key, f := range p.keys {
		if n++; n > looked {
			break
		}
		if now-f.until > int64(kept) {
			p.forget(key)
		}
	}
	p.n.Store(int64(len(p.keys)))
}

// forget removes a key that may be there; the caller holds mu.
func (p *Pauses) forget(key string) {
	f := p.keys[key]
	p.bytes -= f.bytes
	p.notes.drop(f.err)
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

// Back ends the pauses of an origin that has failed since then and is back. Keys that fail
// by themselves go on resting, and how often a key has failed is remembered until its load
// succeeds.
func (p *Pauses) Back(since, now int64) {
	p.end(now, func(f failed) bool { return !f.own && f.first >= since-int64(lately) })
}

// EndAll ends all pauses. How often a key has failed is remembered until its load succeeds.
func (p *Pauses) EndAll(now int64) {
	p.end(now, func(failed) bool { return true })
}

func (p *Pauses) end(now int64, which func(failed) bool) {
	if p.n.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, f := range p.keys {
		if which(f) {
			f.until = min(f.until, now)
			p.keys[key] = f
		}
	}
}

// Len is how many keys are remembered.
func (p *Pauses) Len() int { return int(p.n.Load()) }
