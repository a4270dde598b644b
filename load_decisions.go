package evercache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/local"
)

// Load is one run of a loader: what it may know and decide beside the value. LoadOf gives
// it to the loader. Decisions are of one key, and count when the loader has returned the
// key's value.
//
//	func load(ctx context.Context, key string) (Token, error) {
//		l := evercache.LoadOf[Token](ctx)
//		old, _ := l.Previous(key)
//		token, err := fetch(ctx, key, old.ETag)
//		if errors.Is(err, errSame) {
//			return Token{}, evercache.ErrNotModified
//		}
//		l.SetTTL(key, token.ExpiresIn)
//		return token, err
//	}
type Load[V any] struct {
	cache *Cache[V] // nil: of no load

	mu      sync.Mutex // guards what follows
	decided map[string]decision
	held    map[string]*local.Item // what Previous has shown
}

// decision is what a loader has said about a key.
type decision struct {
	ttl         time.Duration // 0: that of the class
	brief       bool          // the ttl is too short for anybody
	noStore     bool
	notModified bool
}

type loadKey struct{}

// LoadOf gives a loader its Load. With any other context, or another type of value than
// that of the class, it returns one that knows nothing, and whose decisions count for
// nothing. A loader of loaders keeps it working by passing its context on.
func LoadOf[V any](ctx context.Context) *Load[V] {
	if l, ok := ctx.Value(loadKey{}).(*Load[V]); ok {
		return l
	}
	return new(Load[V])
}

// Previous is the value that this process still has of a key, fresh or stale. What says
// which version it is (an ETag, a time) belongs into the value. ok is false where memory
// has none: a value that has ended is kept only with Policy.Stale, and one that has not is
// loaded only with RefreshAhead.
func (l *Load[V]) Previous(key string) (v V, ok bool) {
	it := l.previous(key)
	if it == nil {
		return v, false
	}
	return l.cache.own(valueOf[V](it)), true
}

func (l *Load[V]) previous(key string) *local.Item {
	if l.cache == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if it := l.held[key]; it != nil {
		return it
	}
	it := l.cache.peek(key)
	if it == nil || it.Absent {
		return nil
	}
	if l.held == nil {
		l.held = map[string]*local.Item{}
	}
	l.held[key] = it
	return it
}

// SetTTL lets the value live for d, in memory and in Redis, in place of the class's TTL.
// More than MaxTTL counts as MaxTTL; less than a millisecond is NoStore.
//
// Lives of their own cost something when writes are sent again after a failover: which of
// two was written first is told by when they end. In a class with lives from a second
// to an hour that is not known for an hour, and a key for which it is not known is deleted.
func (l *Load[V]) SetTTL(key string, d time.Duration) {
	l.decide(key, func(o *decision) {
		o.ttl, o.brief = min(d, MaxTTL), d < time.Millisecond
	})
}

// NoStore keeps the value nowhere: those who wait for it get it. An entry that is there
// stays for the rest of its life if it is fresh, and goes if it is stale. A SetTTL, before
// or after it, changes nothing of that.
func (l *Load[V]) NoStore(key string) {
	l.decide(key, func(o *decision) { o.noStore = true })
}

// NotModified says that the value is the one that Previous gave: it is kept for another
// TTL. A Loader may return ErrNotModified instead. A ManyLoader may leave such a key out of
// its answer. Where Previous gives none, the load has failed.
func (l *Load[V]) NotModified(key string) {
	l.decide(key, func(o *decision) { o.notModified = true })
}

func (l *Load[V]) decide(key string, change func(*decision)) {
	if l.cache == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.decided == nil {
		l.decided = map[string]decision{}
	}
	o := l.decided[key]
	change(&o)
	l.decided[key] = o
}

func (l *Load[V]) decision(key string) decision {
	if l == nil {
		return decision{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.decided[key]
	d.noStore = d.noStore || d.brief
	return d
}

// result is what a loader has answered for a key, with what it has said beside that.
func (l *Load[V]) result(key string, v V, err error) (V, error) {
	same := errors.Is(err, ErrNotModified)
	if !same && !(l.decision(key).notModified && (err == nil || errors.Is(err, ErrNotFound))) {
		return v, err
	}
	it := l.previous(key)
	if it == nil {
		return v, fmt.Errorf("evercache: the loader says that the value of the key has not changed, but it was given none (Load.Previous says so): %w", ErrNotModified)
	}
	return valueOf[V](it), nil
}
