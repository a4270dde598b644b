package chaos

import "context"

// Party is one process' cache as callers drive it, from many goroutines. A key
// is a name without the class. For a RemovePrefix it is the prefix.
type Party interface {
	Do(ctx context.Context, act Act, key string, v Value) Answer
}

// Answer is what a Party says to a call.
type Answer struct {
	Outcome  Outcome
	Value    Value  // of a Look that Found
	Source   Source // of a Look that Found
	Age      int32  // milliseconds, of a Look that Found
	Fresh    bool
	Coherent bool
	Fallback bool // memory, in place of a Redis that did not answer
}
