package journal

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// item is where the newest record of a key is.
type item struct {
	seq  uint64 // the newest number given to the key; the record may be an older one
	off  int64  // nowhere: in no file
	size int64
}

const nowhere = -1

// index knows what is live.
type index struct {
	items map[string]item
	bytes int64 // of all items
}

func (x *index) put(key string, it item) {
	x.bytes += it.size - x.items[key].size
	x.items[key] = it
}

// remove forgets the key unless it has something newer than seq.
func (x *index) remove(key string, seq uint64) (it item, removed bool) {
	it, had := x.items[key]
	if !had || it.seq > seq {
		return item{}, false
	}
	x.bytes -= it.size
	delete(x.items, key)
	return it, true
}

// keyed is one line of the index.
type keyed struct {
	key string
	item
}

// list returns the items in the order of their numbers.
func (x *index) list() []keyed {
	all := make([]keyed, 0, len(x.items))
	for key, it := range x.items {
		all = append(all, keyed{key, it})
	}
	slices.SortFunc(all, func(a, b keyed) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

// readRaw reads the record of k as it is in the file, with its head checked. It
// fails for every record that is not, byte for byte, one of this key.
func readRaw(f io.ReaderAt, seed uint32, k keyed) ([]byte, head, error) {
	return readRawInto(nil, f, seed, k)
}

// readRawInto is readRaw in the room of buf, where that is enough.
func readRawInto(buf []byte, f io.ReaderAt, seed uint32, k keyed) ([]byte, head, error) {
	if f == nil || k.off < headerLen {
		return nil, head{}, errHead
	}
	if int64(cap(buf)) < k.size {
		buf = make([]byte, k.size)
	}
	raw := buf[:k.size]
	if _, err := f.ReadAt(raw, k.off); err != nil {
		return nil, head{}, fmt.Errorf("read a record back: %w", err)
	}
	h, ok := parseHead(raw[:recordLen], seed)
	if !ok || h.size() != k.size || h.typ != typeEntry || h.seq > k.seq || string(raw[recordLen:recordLen+h.key]) != k.key {
		return nil, head{}, errHead
	}
	if bodySum(seed, Entry{Key: k.key, Payload: raw[recordLen+h.key:]}) != h.body {
		return nil, head{}, errBody
	}
	return raw, h, nil
}
