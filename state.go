package evercache

// State is what the client can do at this moment.
type State uint8

const (
	// Degraded: no usable master; memory answers.
	Degraded State = iota
	// Recovering: a master is back and the outbox is being replayed.
	Recovering
	// Connected: a verified master answers and nothing is left to replay.
	Connected
	// Closed: the client has been closed.
	Closed
)

func (s State) String() string { return name(int(s), "degraded", "recovering", "connected", "closed") }

// MarshalText writes the name, for JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// stateEvent is what can change the state.
type stateEvent uint8

const (
	masterVerified stateEvent = iota // a node has been dialled and verified
	masterLost                       // its connection broke or the breaker opened
	writesPending                    // the outbox holds a write although a master answers
	writesReplayed                   // the outbox is empty
	clientClosed
)

// next is the whole state machine: no clock, no lock, no I/O. An event that
// does not belong to the state changes nothing.
func (s State) next(ev stateEvent) State {
	switch {
	case s == Closed || ev == clientClosed:
		return Closed
	case ev == masterLost:
		return Degraded
	case ev == masterVerified && s == Degraded:
		return Recovering
	case ev == writesReplayed && s == Recovering:
		return Connected
	case ev == writesPending && s == Connected:
		return Recovering
	}
	return s
}
