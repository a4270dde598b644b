package faultnet

import "time"

// Direction is one of the two ways through a Proxy.
type Direction int

const (
	ToTarget Direction = iota // what clients send
	ToClient                  // what the target answers
)

// String names the direction in messages.
func (d Direction) String() string {
	if d == ToTarget {
		return "to target"
	}
	return "to client"
}

// faults is what is wrong with the network at one instant; the zero value is a healthy one.
type faults struct {
	latency   [2]time.Duration
	blackhole bool
	half      [2]bool
}

// silent says whether nothing may pass in direction d.
func (f faults) silent(d Direction) bool { return f.blackhole || f.half[d] }

// due is when bytes that arrive at now may leave. It never comes before prev, the due time of the
// bytes ahead of them: a latency that is lowered must not reorder a stream.
func (f faults) due(d Direction, now, prev time.Time) time.Time {
	t := now.Add(f.latency[d])
	if t.Before(prev) {
		return prev
	}
	return t
}
