package daemon

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache"
)

// cache is what a class offers to the handlers; *evercache.Cache[[]byte] is one.
type cache interface {
	Lookup(ctx context.Context, key string) (evercache.Entry[[]byte], error)
	Set(ctx context.Context, key string, v []byte, o ...evercache.WriteOption) (evercache.Receipt, error)
	Delete(ctx context.Context, key string, o ...evercache.WriteOption) (evercache.Receipt, error)
	DeletePrefix(ctx context.Context, prefix string) (int, evercache.Receipt, error)
	Inspect(ctx context.Context, most int) (evercache.Inspection, error)
	Release() bool
}

// How long a class must not have been used before it can make room for another.
// One that was written holds values for the next outage.
const (
	readUnused    = 10 * time.Second
	writtenUnused = time.Minute
)

// classes are the caches of this process, made when they are first named.
//
// A read or a delete must look into Redis even where nothing was ever written
// here: another process, or this one before a restart, may have written. So it
// makes the class too, but counts against a bound of its own: whoever reads
// invented class names uses up the reading of unknown classes and nothing else,
// and a class that was written is turned away only when it has not been used for a
// while. Where there are as many as there may be, the class that has not been used
// for longest makes room: it loses what memory holds of it, and Redis keeps the rest.
type classes struct {
	limit int // of each of the two kinds
	now   func() time.Time
	open  func(class string) (cache, error)

	mu      sync.RWMutex // guards what is below
	byName  map[string]*class
	written int // classes with a PUT
}

type class struct {
	cache
	written bool
	used    atomic.Int64 // when, in nanoseconds
}

func newClasses(limit int, open func(class string) (cache, error)) *classes {
	return &classes{limit: limit, now: time.Now, open: open, byName: make(map[string]*class)}
}

// forReading returns the cache of a class for a call that creates no value.
func (cs *classes) forReading(name string) (cache, *apiError) {
	cs.mu.RLock()
	c := cs.byName[name]
	cs.mu.RUnlock()
	if c != nil {
		c.used.Store(cs.now().UnixNano())
		return c, nil
	}
	return cs.find(name, false)
}

// forWriting returns the cache of a class for a PUT.
func (cs *classes) forWriting(name string) (cache, *apiError) {
	cs.mu.RLock()
	c := cs.byName[name]
	known := c != nil && c.written
	cs.mu.RUnlock()
	if known {
		c.used.Store(cs.now().UnixNano())
		return c, nil
	}
	return cs.find(name, true)
}

// find makes the class, or counts it as written, within the bounds.
func (cs *classes) find(name string, write bool) (cache, *apiError) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.byName[name]
	if c == nil || write && !c.written {
		if cs.fullLocked(write) && !cs.letGoLocked(write) {
			return nil, errTooManyClasses(cs.limit)
		}
	}
	if c == nil {
		opened, err := cs.open(name)
		if err != nil {
			return nil, failed(err)
		}
		c = &class{cache: opened}
		cs.byName[name] = c
	}
	c.used.Store(cs.now().UnixNano())
	if write && !c.written {
		c.written = true
		cs.written++
	}
	return c, nil
}

// letGoLocked lets the class of a kind go that has not been used for longest, if
// that is long enough.
func (cs *classes) letGoLocked(written bool) bool {
	unused := readUnused
	if written {
		unused = writtenUnused
	}
	oldest, since := "", cs.now().Add(-unused).UnixNano()
	for name, c := range cs.byName {
		if used := c.used.Load(); c.written == written && used <= since {
			oldest, since = name, used
		}
	}
	if oldest == "" || !cs.byName[oldest].Release() {
		return false
	}
	delete(cs.byName, oldest)
	if written {
		cs.written--
	}
	return true
}

func (cs *classes) fullLocked(write bool) bool {
	if write {
		return cs.written >= cs.limit
	}
	return len(cs.byName)-cs.written >= cs.limit
}

// all are the classes that there are, by name.
func (cs *classes) all() map[string]cache {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	all := make(map[string]cache, len(cs.byName))
	for name, c := range cs.byName {
		all[name] = c.cache
	}
	return all
}
