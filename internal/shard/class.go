package shard

import (
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// Class is a class of keys as far as its master is concerned: how its keys are named
// there, how long they live, and who is to be told of what others change.
type Class struct {
	sh       *Shard
	Prefix   string        // of its keys in Redis
	ttl      time.Duration // of most of its keys
	limit    time.Duration // of one write
	listener Listener
	Tracked  atomic.Bool // the feed announces the class
	lived    lives
}

// Listener is the memory over a class. It is never called under a mutex of the shard;
// Discard is called while the locks of keys that are sent are held.
// Keys are those in Redis.
type Listener interface {
	// Changed says that somebody else has changed a key. It must be quick.
	Changed(key string, deleted bool)
	// SomeDeleted says that somebody else has deleted a prefix of the class.
	SomeDeleted()
	// Discard says that Redis does not hold what was written here.
	Discard(key string)
	// Flushed says that everything is gone.
	Flushed()
	// Flush says that Redis does not hold what was written under some prefixes.
	Flush(under func(key string) bool)
}

// NewClass makes a class; the feed announces it once it is subscribed.
func (sh *Shard) NewClass(name string, ttl, limit time.Duration, l Listener) *Class {
	return &Class{sh: sh, Prefix: sh.Config.KeyPrefix + name + ":", ttl: ttl, limit: limit, listener: l}
}

// Tomb is the key of a key's tombstone.
func (k *Class) Tomb(full string) string { return remote.TombstoneKey(k.sh.Config.KeyPrefix, full) }

// Marks is where deletes of prefixes of the class are noted.
func (k *Class) Marks() string { return remote.MarksKey(k.sh.Config.KeyPrefix, k.Prefix) }

// Mark is to be taken before Redis is asked or written.
func (k *Class) Mark(full string) Mark {
	f := k.sh.Feed
	// The cover first: another master may be reached between the two, which announces
	// the class later, or not at all.
	m := Mark{epoch: f.Cover(), tracked: k.Tracked.Load(), slot: f.slot(full)}
	m.seq = f.seqs[m.slot].Load()
	return m
}

// Unsubscribe lets a class go, unless writes wait for a master.
func (sh *Shard) Unsubscribe(name string) bool {
	if !sh.Outbox.Empty() {
		return false
	}
	if k := sh.classNamed(name); k != nil {
		sh.classes.Delete(name)
		k.Tracked.Store(false)
	}
	return true
}
