package evercache

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/local"
)

// happened counts what should not happen, and when it did last.
type happened struct {
	n    atomic.Uint64
	last atomic.Int64 // Unix nanoseconds
}

func (h *happened) note() (first bool) {
	h.last.Store(time.Now().UnixNano())
	return h.n.Add(1) == 1
}

func (h *happened) count() findings.Count {
	c := findings.Count{N: h.n.Load()}
	if c.N > 0 {
		c.Last = time.Unix(0, h.last.Load())
	}
	return c
}

// unread is what is known of the values in Redis that a class cannot decode.
type unread struct {
	happened
	again       happened // they were there again after this process had overwritten them
	overwritten keySet
}

// undecodable notes a value that the class cannot decode.
func (c *Cache[V]) undecodable(ctx context.Context) {
	c.client.decodeFailures.Add(1)
	if c.unread.note() {
		c.client.store.Log.LogAttrs(ctx, slog.LevelWarn, "a stored value cannot be decoded",
			slog.String("event", "value.undecodable"), slog.String("class", c.class))
	}
}

// unencodable notes a value that the class cannot encode.
func (c *Cache[V]) unencodable(ctx context.Context) {
	c.client.encodeFailures.Add(1)
	if c.unstored.note() {
		c.client.store.Log.LogAttrs(ctx, slog.LevelWarn, "a value cannot be encoded",
			slog.String("event", "value.unencodable"), slog.String("class", c.class))
	}
}

// encoded is a loaded value as Redis is to hold it. One that it cannot hold is counted.
func (c *Cache[V]) encoded(ctx context.Context, v V) ([]byte, error) {
	data, err := c.codec.Encode(v)
	if err != nil {
		c.unencodable(ctx)
		return nil, err
	}
	if err := c.client.fits(data); err != nil {
		c.client.encodeFailures.Add(1)
		c.tooLong.note()
		return nil, err
	}
	return data, nil
}

// errAlone is the cause of what memory answers with a value that Redis cannot hold.
var errAlone = errors.New("evercache: the value is in the memory of this process only, since it cannot be stored in Redis")

var errUnkept = errors.New("evercache: the value is too large for the memory of its class, and nothing else can hold it: each read loads it")

// unkept counts a loaded value that is too large for memory where memory is all there is
// for it.
func (c *Cache[V]) unkept(key string, it *local.Item, alone bool) error {
	if !alone || c.l1.Fits(local.Key{Class: c.id, Key: key}, it) {
		return nil
	}
	c.tooLarge.note()
	return errUnkept
}

// yields reports whether a value that does not decode is to be left in Redis. This
// process overwrites such a value once for each key. If another is there then,
// somebody goes on writing them who cannot read ours, and would overwrite that, and so
// on: each read would be a load.
func (c *Cache[V]) yields(key, junk string) bool {
	if junk == "" || !c.unread.overwritten.has(key) {
		return false
	}
	c.unread.again.note()
	return true
}

// keySet is a set of keys of bounded size: it may say of a key that it is in it
// without that, more often the more there are (of 100 000 keys three in a hundred, of
// 500 000 four in ten). A key that was added is in it for good.
type keySet struct {
	bits atomic.Pointer[keyBits] // made with the first key
}

type keyBits struct {
	seed maphash.Seed
	of   [1 << 14]atomic.Uint64 // 128 KiB
}

// places are the two bits of a key.
func (b *keyBits) places(key string) (first, second uint64) {
	h := maphash.String(b.seed, key)
	return h, h >> 32
}

func (b *keyBits) word(place uint64) (word *atomic.Uint64, bit uint64) {
	return &b.of[place/64%uint64(len(b.of))], 1 << (place % 64)
}

func (b *keyBits) has(place uint64) bool {
	word, bit := b.word(place)
	return word.Load()&bit != 0
}

func (b *keyBits) set(place uint64) {
	word, bit := b.word(place)
	word.Or(bit)
}

func (s *keySet) has(key string) bool {
	b := s.bits.Load()
	if b == nil {
		return false
	}
	first, second := b.places(key)
	return b.has(first) && b.has(second)
}

func (s *keySet) add(key string) {
	b := s.bits.Load()
	if b == nil {
		s.bits.CompareAndSwap(nil, &keyBits{seed: maphash.MakeSeed()})
		b = s.bits.Load()
	}
	first, second := b.places(key)
	b.set(first)
	b.set(second)
}

func (c *Cache[V]) known() findings.Class {
	return findings.Class{
		Name: c.class, Unread: c.unread.count(), Again: c.unread.again.count(), Lost: c.unstored.count(),
		Wrong: c.wrong.count(), TooLong: c.tooLong.count(), TooLarge: c.tooLarge.count(),
		Origin: c.guard.known(time.Now(), c.client.store.Clock.Now(), c.policy.RefreshAhead != 0),
	}
}
