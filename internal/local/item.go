package local

import (
	"sync/atomic"
	"unsafe"

	"github.com/evercache/evercache/internal/cover"
)

// Item is what a Store holds of a key. What a hit looks at comes last: it has the value
// behind it, and so lies in as few lines of the processor's cache as it can. An Item
// is not modified once it is in a Store.
type Item struct {
	Written int64 // when the value was written or loaded
	End     End   // when its key ends in Redis
	// Times of the Store's clock: served without asking Redis until TrustUntil
	// while it is covered, else until AskAfter, as fresh until FreshUntil,
	// worth keeping until KeepUntil.
	KeepUntil, AskAfter, FreshUntil, TrustUntil int64
	// Cover vouches for it; nil: none does.
	Cover   *cover.Cover
	class   uint32
	place   atomic.Uint32 // in its class's list, from 1; 0: it is in no Store
	key     string
	Size    uint32 // what the value takes in memory, in bytes; the highest bit: see Alone
	Absent  bool   // there is no value, and that is known
	Newer   Newer  // what Redis may hold in its place
	Refresh uint16 // the share of its life after which it is due, in 65536ths; 0: never
	holder  holder // of its value; nil: it has none
}

// valued is an Item with its value. They are one object, so that a hit has both with one
// look at memory.
type valued[V any] struct {
	Item
	value V
}

// holder is a valued.
type holder interface {
	another() (copied holder, of *Item)
}

func (v *valued[V]) another() (holder, *Item) {
	a := &valued[V]{value: v.value}
	return a, &a.Item
}

// NewItem is an item with a value.
func NewItem[V any](value V) *Item {
	v := &valued[V]{value: value}
	v.holder = v
	return &v.Item
}

// Value is the value of an item; the zero value if it has none of this type.
func Value[V any](it *Item) (value V) {
	if v, ok := it.holder.(*valued[V]); ok {
		return v.value
	}
	return value
}

// At is where the value of an item is that NewItem has made of one of this type.
func At[V any](it *Item) *V { return &it.holder.(*valued[V]).value }

// Bytes is the size of an item without a value, and BytesWith that of one with a value.
const Bytes = int(unsafe.Sizeof(Item{}))

func BytesWith[V any]() int { return int(unsafe.Sizeof(valued[V]{})) }

// Copy is the same item for another place: it is in no Store.
func (it *Item) Copy() *Item {
	var h holder
	c := new(Item)
	if it.holder != nil {
		h, c = it.holder.another()
	}
	c.holder, c.Cover, c.TrustUntil = h, it.Cover, it.TrustUntil
	c.Size, c.Absent, c.Newer, c.Refresh = it.Size, it.Absent, it.Newer, it.Refresh
	c.FreshUntil, c.AskAfter, c.KeepUntil = it.FreshUntil, it.AskAfter, it.KeepUntil
	c.Written, c.End = it.Written, it.End
	return c
}

// is reports whether k is the item's own key.
func (it *Item) is(k Key) bool { return it.key == k.Key && it.class == k.Class }

// listed reports whether a Store holds the item, or is about to.
func (it *Item) listed() bool { return it.place.Load() != 0 }

// Newer says whether a key has a newer value than an Item, or had one.
type Newer uint8

const (
	NoNewer    Newer = iota // none is known of
	MaybeNewer              // what was announced may be our own write, or hide that of another process
	HasNewer                // somebody else has written the key since, or Redis has lost it
)

// alone is a bit that no size has: an Item is as small as it can be.
const alone = 1 << 31

// KeepAlone says of an item that is not in a Store that Redis cannot hold its value.
func (it *Item) KeepAlone() { it.Size |= alone }

// Alone reports whether Redis cannot hold the value.
func (it *Item) Alone() bool { return it.Size&alone != 0 }

// Due reports whether an item is to be loaded again, since it will end soon.
func (it *Item) Due(now int64) bool {
	return it.Refresh != 0 && now-it.Written >= (it.FreshUntil-it.Written)>>16*int64(it.Refresh)
}

// DueAt makes an item that is not in a Store due at a moment of its life; one that is
// outside of its life: never.
func (it *Item) DueAt(at int64) {
	it.Refresh = 0
	if life := it.FreshUntil - it.Written; life > 1<<16 && at > it.Written && at < it.FreshUntil {
		it.Refresh = uint16(max(1, (at-it.Written)/(life>>16)))
	}
}

// End is when a key ends by its server's clock, in milliseconds, as between the two;
// zero: unknown.
type End struct{ From, To int64 }

// Fresh reports whether the item is within its TTL; a nil one is not.
func (it *Item) Fresh(now int64) bool { return it != nil && now < it.FreshUntil }

// Stale reports whether there is a value that may be served past its TTL.
func (it *Item) Stale(now int64) bool { return it != nil && !it.Absent && now < it.KeepUntil }
