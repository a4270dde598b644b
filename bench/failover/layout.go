package main

import (
	"fmt"
	"slices"

	"github.com/evercache/evercache/internal/redisproc"
)

// layout lays every other key into the slots that the fault strikes, and the
// rest into those of shards that it does not. nil: there are no slots.
type layout struct {
	struck, others []redisproc.SlotRange
}

// key is the n-th key of a kind. Its slot is chosen by n alone: it is the same
// for every library.
func (l *layout) key(kind string, n int) string {
	if l == nil {
		return fmt.Sprint(kind, n)
	}
	side := l.struck
	if n%2 == 1 {
		side = l.others
	}
	return fmt.Sprintf("%s%d{%s}", kind, n, redisproc.Tag(nth(side, scattered(n/2))))
}

// strikes reports whether a key is in a slot that the fault strikes.
func (l *layout) strikes(key string) bool {
	if l == nil {
		return true
	}
	slot := redisproc.Slot(key)
	return slices.ContainsFunc(l.struck, func(r redisproc.SlotRange) bool { return r.First <= slot && slot <= r.Last })
}

// scattered makes numbers that follow each other lie far apart.
func scattered(n int) int { return n * 7919 }

// nth is a slot of the ranges, which begin again after the last.
func nth(of []redisproc.SlotRange, n int) int {
	n %= sizeOf(of)
	for _, r := range of {
		if size := r.Last - r.First + 1; n >= size {
			n -= size
			continue
		}
		return r.First + n
	}
	panic("no slot")
}

func sizeOf(of []redisproc.SlotRange) (n int) {
	for _, r := range of {
		n += r.Last - r.First + 1
	}
	return n
}
