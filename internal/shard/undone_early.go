package shard

import (
	"github.com/evercache/evercache/internal/outbox"
)

// A late write may be announced before this process has noted its own: one goroutine
// reads announcements, another takes the answer. changedByOther finds nothing of ours
// then. So whoever notes a write looks whether something was announced meanwhile.

// undoneDoubted is how many keys may wait at which more are not asked for that nothing
// but a script of ours may have been announced for: every Delete is one. Those that
// others have certainly changed are not to wait behind them.
const undoneDoubted = 4 * undoneMost

// AddDoubt is Add for such a key.
func (u *undone) AddDoubt(key string) {
	u.mu.Lock()
	room := len(u.keys) < undoneDoubted
	u.mu.Unlock()
	if room {
		u.Add(key)
	}
}

// noted is called when a write of ours that was sent after m is in the ledger.
func (sh *Shard) noted(r *outbox.Record, m Mark, script bool) {
	switch {
	case r.Kind == outbox.Touch || sh.Undisturbed(m):
	case script:
		sh.undone.AddDoubt(r.Key)
	default:
		sh.undone.Add(r.Key)
	}
}

// earlyKeys are the keys under prefixes that are being deleted of which something was
// announced since that began.
type earlyKeys struct {
	covers func(key string) bool
	ask    func(key string)
	keys   map[string]bool
	bytes  int
}

// watch keeps such keys from now on, until done is called once or more. taken: the
// ledger has the prefixes. ask is what asks for a key then.
func (u *undone) watch(covers func(key string) bool, ask func(key string)) (done func(taken bool)) {
	e := &earlyKeys{covers: covers, ask: ask, keys: map[string]bool{}}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.early[e] = true
	u.watching.Store(int64(len(u.early)))
	return func(taken bool) { u.watched(e, taken) }
}

func (u *undone) watched(e *earlyKeys, taken bool) {
	u.mu.Lock()
	was := u.early[e]
	delete(u.early, e)
	u.watching.Store(int64(len(u.early)))
	u.mu.Unlock()
	if !was || !taken {
		return
	}
	for key := range e.keys {
		e.ask(key)
	}
}

// addEarly is called for what is announced: it must be quick.
func (u *undone) addEarly(key string) {
	if u.watching.Load() == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for e := range u.early {
		if len(e.keys) < undoneKept && e.bytes+len(key) <= undoneBytes && !e.keys[key] && e.covers(key) {
			e.keys[key] = true
			e.bytes += len(key)
		}
	}
}
