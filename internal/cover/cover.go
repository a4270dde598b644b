// Package cover is what vouches for entries of memory: the invalidation stream of one
// master, from its begin to its end, and its lease. An entry refers to the Cover under which it
// was read or written. While the lease of that Cover lasts, every change that was made
// elsewhere has been announced.
package cover

import (
	"math"
	"sync/atomic"
)

// Cover vouches until its lease ends, or until it ends itself: announcements may have
// been missed then, and another Cover takes its place. It never vouches again after
// that, whoever still renews its lease. A nil Cover vouches for nothing and is not over.
//
// Both are one word, so nobody sees an ended Cover with a lease.
type Cover struct {
	until atomic.Int64
	used  atomic.Bool // it has vouched since Used was asked last
	_     [52]byte    // a line of the processor's cache: every hit reads it, and hardly anybody writes beside it
}

// ended is no lease: it lies before every moment.
const ended = math.MinInt64

// Covers reports whether the lease lasts at a moment, and notes that somebody relies on
// that. The note is written once only until it is taken: many hits share the line.
func (c *Cover) Covers(now int64) bool {
	if !c.Lasts(now) {
		return false
	}
	if !c.used.Load() {
		c.used.Store(true)
	}
	return true
}

// Lasts is Covers for those who do not rely on it.
func (c *Cover) Lasts(now int64) bool { return c != nil && now < c.until.Load() }

// Used reports whether it has vouched since it was asked last.
func (c *Cover) Used() bool { return c.used.Load() && c.used.Swap(false) }

// Over reports whether the Cover has ended: what it covered may have been changed since.
func (c *Cover) Over() bool { return c != nil && c.until.Load() == ended }

// Renew says when the lease ends; 0: there is none. An ended Cover stays ended.
func (c *Cover) Renew(until int64) {
	for {
		was := c.until.Load()
		if was == ended || c.until.CompareAndSwap(was, until) {
			return
		}
	}
}

// End ends the Cover.
func (c *Cover) End() { c.until.Store(ended) }
