package main

import (
	"math/bits"
	"time"
)

// steps is how many buckets there are between a power of two and the next: a
// quantile is right within 1/steps, which is 3 %.
const (
	stepBits = 5
	steps    = 1 << stepBits
)

// histogram counts durations in buckets that grow with them.
type histogram struct {
	counts [(64 - stepBits) * steps]uint64
	total  uint64
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// quantile is the smallest bucket's upper end below which a share q lies, 0
// when nothing was counted.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	want := max(1, uint64(q*float64(h.total)+0.5))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= want {
			return bucketEnd(i)
		}
	}
	return bucketEnd(len(h.counts) - 1)
}

func bucketOf(d time.Duration) int {
	n := uint64(max(0, d))
	if n < steps {
		return int(n)
	}
	shift := bits.Len64(n) - 1 - stepBits
	return shift*steps + int(n>>shift)
}

// bucketEnd is the largest duration of the bucket.
func bucketEnd(i int) time.Duration {
	if i < 2*steps {
		return time.Duration(i)
	}
	shift := i/steps - 1
	return time.Duration(uint64(i%steps+steps+1)<<shift - 1)
}
