package local

import (
	"math/bits"
	"sync/atomic"
)

// front finds items that are read often, in fewer steps than otter's own table: a bucket
// refers to the item, where otter's refers to a node that refers to the item. It has
// room for most of them, and forgets as it likes.
type front struct {
	buckets []bucket // a power of two
}

// ways is how many items a bucket has room for: it fills a line of the processor's cache.
const ways = 7

// bucket has a tag for each item, a byte that other keys seldom have. Tags are hints:
// that an item is the one is found out from the item.
type bucket struct {
	tags  atomic.Uint64
	items [ways]atomic.Pointer[Item]
}

// perBucket is for how many entries of the Store there is a bucket, at most.
const perBucket = 5

// fewestBuckets is of a Store that holds next to nothing.
const fewestBuckets = 16

func newFront(entries int64) *front {
	n := int64(fewestBuckets)
	for n*perBucket < entries {
		n *= 2
	}
	return &front{make([]bucket, n)}
}

// suits reports whether there are as many buckets as so many entries need, or a few more
// after many have gone: one for each entry, since the bound counts less than half of that.
func (f *front) suits(entries int64) bool {
	n := int64(len(f.buckets))
	return entries <= n*perBucket && (entries >= n || n == fewestBuckets)
}

func (f *front) of(h uint64) *bucket { return &f.buckets[h&uint64(len(f.buckets)-1)] }

// Each byte of a tag's word.
const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// tagOf is never 0, which is the tag of a place that was never taken.
func tagOf(h uint64) uint64 { return h>>48&0xff | 0x80 }

// find returns the item that is in force under a key, if it is here.
func (f *front) find(h uint64, k Key) *Item {
	b := f.of(h)
	differ := b.tags.Load() ^ tagOf(h)*lows
	for same := (differ - lows) &^ differ & highs; same != 0; same &= same - 1 {
		i := bits.TrailingZeros64(same) / 8
		if i >= ways {
			break
		}
		if it := b.items[i].Load(); it != nil && it.is(k) && it.listed() {
			return it
		}
	}
	return nil
}

// keep gives an item a place in its bucket. In a full one it takes that of another only if
// the dice say so: of eight that are read often seven can be here, and they need not take
// turns.
func (f *front) keep(h uint64, it *Item, dice uint64) {
	b, free := f.of(h), -1
	for i := range b.items {
		switch b.items[i].Load() {
		case it:
			b.tag(i, tagOf(h)) // two who took the place at once may have left the tag of the other
			return
		case nil:
			free = i
		}
	}
	if free < 0 {
		if dice&7 != 0 {
			return
		}
		free = int(dice>>3) % ways
	}
	b.items[free].Store(it)
	b.tag(free, tagOf(h))
	if !it.listed() { // it went before it was stored: nobody else will take it out
		b.items[free].CompareAndSwap(it, nil)
	}
}

func (b *bucket) tag(i int, tag uint64) {
	for {
		was := b.tags.Load()
		is := was&^(0xff<<(8*i)) | tag<<(8*i)
		if is == was || b.tags.CompareAndSwap(was, is) {
			return
		}
	}
}

// drop takes an item out that is not listed any more.
func (f *front) drop(h uint64, it *Item) {
	b := f.of(h)
	for i := range b.items {
		if b.items[i].Load() == it {
			b.items[i].CompareAndSwap(it, nil)
		}
	}
}
