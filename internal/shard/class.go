package shard

import (
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// Class is a class of keys as far as its master is concerned: how its keys are named
// there, how long they live, and who is to be told of what others change.
type Class struct {
	st       *Store
	Prefix   string        // of its keys in Redis
	marks    string        // where deletes of its prefixes are noted
	ttl      time.Duration // of most of its keys
	limit    time.Duration // of one write
	listener Listener
	most     int64        // how old an answer of a replica may be; 0: none is asked
	longest  atomic.Int64 // life that anybody has noted, as it was known last
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
func (st *Store) NewClass(name string, ttl, limit time.Duration, l Listener) *Class {
	prefix := st.Config.KeyPrefix + name + ":"
	return &Class{st: st, Prefix: prefix, marks: remote.MarksKey(st.Config.KeyPrefix, prefix), ttl: ttl, limit: limit, listener: l}
}

// Tomb is the key of a key's tombstone.
func (k *Class) Tomb(full string) string { return remote.TombstoneKey(k.st.Config.KeyPrefix, full) }

// Marks is where deletes of prefixes of the class are noted.
func (k *Class) Marks() string { return k.marks }

// Mark is to be taken before Redis is asked or written.
func (k *Class) Mark(full string) Mark { return k.mark(k.st.of(full), full) }

func (k *Class) mark(sh *Shard, full string) Mark {
	sh.touch()
	// The cover first: another master may be reached between the two, which announces
	// the class later, or not at all.
	m := Mark{feed: sh.Feed, epoch: sh.Feed.Cover(), tracked: sh.hears.class(k), place: sh.heard.place(full)}
	m.seq = sh.heard.seqs[m.place].Load()
	return m
}

// at is the shard of a key that is given without its prefix.
func (k *Class) at(key string) *Shard {
	if k.st.one != nil {
		return k.st.one
	}
	return k.st.of(k.Prefix + key)
}

// Connected reports whether the master of a key is in use. This and the following take
// the key without the prefix of the class.
func (k *Class) Connected(key string) bool { return k.at(key).Node.Load() != nil }

// Cause is why the master of a key is not in use, or nil while it is.
func (k *Class) Cause(key string) error { return k.at(key).cause() }

// Settling reports whether an announcement of the key may be of a write that was sent
// again. Then it need not be news, and Redis may fail once more before it is read. moving:
// slots of the Cluster move, or have of late. Then it may be of a key that its master has
// given away, and the new one may have got the slot without the key. may: they may have
// begun to, since this is a Cluster.
func (k *Class) Settling(key string, now int64) (settling, moving, may bool) {
	return k.at(key).settling(now), k.st.slotsMove(now), k.st.clustered()
}

// Bereft reports whether the key's master has just lost its data: that it has no value
// does not mean that somebody deleted it.
func (k *Class) Bereft(key string) bool { return k.at(key).bereft() }

// Unsubscribe lets a class go, unless writes wait for a master.
func (st *Store) Unsubscribe(name string) bool {
	if !st.Outbox.Empty() {
		return false
	}
	if k := st.classNamed(name); k != nil {
		st.classes.Delete(name)
		for _, sh := range st.shards() {
			sh.hears.set(k, false)
			sh.lived.Delete(k)
		}
	}
	return true
}
