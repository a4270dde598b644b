package evercache

// mostFills is how many loaded values are on their way to Redis at a time: a batch
// has as many as keys. More would wait for each other, and look like a server that
// is slow.
const mostFills = 128

// fills are the turns of those that store a loaded value.
type fills chan struct{}

func newFills() fills { return make(fills, mostFills) }

// enter waits for a turn. It comes soon: whoever has one gives up when Redis does
// not answer in time.
func (f fills) enter() (leave func()) {
	f <- struct{}{}
	return func() { <-f }
}
