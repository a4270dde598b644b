package shard

import "github.com/evercache/evercache/health"

// stateEvent is what can change the state.
type stateEvent uint8

const (
	masterVerified stateEvent = iota // a node has been dialled and verified
	masterLost                       // its connection broke or the breaker opened
	writesPending                    // the outbox holds a write although a master answers
	writesReplayed                   // the outbox is empty
	clientClosed
)

// nextState is the whole state machine: no clock, no lock, no I/O. An event that
// does not belong to the state changes nothing.
func nextState(s health.State, ev stateEvent) health.State {
	switch {
	case s == health.Closed || ev == clientClosed:
		return health.Closed
	case ev == masterLost:
		return health.Degraded
	case ev == masterVerified && s == health.Degraded:
		return health.Recovering
	case ev == writesReplayed && s == health.Recovering:
		return health.Connected
	case ev == writesPending && s == health.Connected:
		return health.Recovering
	}
	return s
}
