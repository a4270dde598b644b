package flight

import "context"

// Flight is one read or load of a key.
type Flight[R, D any] struct {
	Data D // of the one who leads, and of whoever goes on for him
	Task Task

	key        keyOf
	stripe     *stripe[R, D]
	done       chan struct{} // made for the first who waits; closed when settled
	settled    bool          // result, err and abandoned are final
	offered    bool          // result may be had until then
	superseded bool
	overtaken  bool // somebody else's write was announced before the store's answer was there
	loading    bool // the store has said that it has no value
	disturbed  bool // somebody else's write was announced since
	abandoned  bool // the one who led gave up on his own account
	result     R
	err        error
	fill       *Flight[R, D] // an earlier one of the key whose value is on its way too
}

// Key is what is read or loaded.
func (f *Flight[R, D]) Key() string { return f.key.key }

// Result is what the flight was settled with, or what is offered meanwhile, for those who
// have waited for it.
func (f *Flight[R, D]) Result() (R, error) {
	f.stripe.mu.Lock()
	defer f.stripe.mu.Unlock()
	return f.result, f.err
}

// Abandoned reports that there is no result: who has waited tries again.
func (f *Flight[R, D]) Abandoned() bool {
	f.stripe.mu.Lock()
	defer f.stripe.mu.Unlock()
	return f.abandoned
}

// Offer lets those who wait go on with r, and those who join later. The flight goes on for
// a better result. false: it has one already.
func (f *Flight[R, D]) Offer(r R) bool {
	f.stripe.mu.Lock()
	defer f.stripe.mu.Unlock()
	if f.settled || f.offered {
		return false
	}
	f.offered, f.result = true, r
	if f.done != nil {
		close(f.done)
	}
	return true
}

// Withdraw ends an offer: who joins from here on waits for the result. Those who have
// waited already go on with it.
func (f *Flight[R, D]) Withdraw() {
	f.stripe.mu.Lock()
	defer f.stripe.mu.Unlock()
	if f.offered && !f.settled {
		f.offered, f.done = false, nil
	}
}

// Ended is the result of a flight that is settled; ok is false before, and where it was
// given up.
func (f *Flight[R, D]) Ended() (r R, err error, ok bool) {
	f.stripe.mu.Lock()
	defer f.stripe.mu.Unlock()
	return f.result, f.err, f.settled && !f.abandoned
}

// Settled reports whether the flight has its result, or was given up.
func (f *Flight[R, D]) Settled() bool {
	f.stripe.mu.Lock()
	defer f.stripe.mu.Unlock()
	return f.settled
}

// Keep runs put unless the key was written since the flight began, or the
// flight was settled without it. No write of the key can come between the
// check and the put.
func (f *Flight[R, D]) Keep(put func()) {
	f.stripe.mu.Lock()
	defer f.stripe.mu.Unlock()
	if !f.superseded && !f.overtaken && !f.settled {
		put()
	}
}

// KeepSeen is Keep, and tells put whether somebody else may have written the key meanwhile.
func (f *Flight[R, D]) KeepSeen(put func(disturbed bool)) {
	f.Keep(func() { put(f.disturbed) })
}

// KeepUndisturbed is Keep for what nobody else may have written since either.
func (f *Flight[R, D]) KeepUndisturbed(put func()) {
	f.Keep(func() {
		if !f.disturbed {
			put()
		}
	})
}

// Superseded reports whether the key was written since the flight began.
func (f *Flight[R, D]) Superseded() bool {
	f.stripe.mu.Lock()
	defer f.stripe.mu.Unlock()
	return f.superseded
}

// Settle gives the flight its result, takes it off the table and lets those
// who wait go on. The first result stands; false: there was one already.
func (f *Flight[R, D]) Settle(r R, err error) bool {
	return f.end(func() { f.result, f.err = r, err })
}

// SettleToFill is settle for a flight whose value is still to be written to
// the store. Until Filled is called a write of the key supersedes it.
func (f *Flight[R, D]) SettleToFill(r R) bool {
	return f.end(func() {
		f.result = r
		f.fill, f.stripe.fills[f.key.key] = f.stripe.fills[f.key.key], f
	})
}

// Filled ends what SettleToFill began.
func (f *Flight[R, D]) Filled() {
	s, key := f.stripe, f.key.key
	s.mu.Lock()
	defer s.mu.Unlock()
	switch last := s.fills[key]; {
	case last != f:
		for ; last != nil; last = last.fill {
			if last.fill == f {
				last.fill = f.fill
			}
		}
	case f.fill != nil:
		s.fills[key] = f.fill
	default:
		delete(s.fills, key)
	}
	f.fill = nil
}

// Abandon ends the flight without a result: those who wait try again.
func (f *Flight[R, D]) Abandon() {
	f.end(func() { f.abandoned = true })
}

func (f *Flight[R, D]) end(set func()) bool {
	s := f.stripe
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.settled {
		return false
	}
	f.settled = true
	set()
	if s.flights[f.key] == f {
		delete(s.flights, f.key)
	}
	if f.done != nil && !f.offered {
		close(f.done)
	}
	return true
}

// BeginLoad notes that the flight has come to its load. What overtook it may have
// been the end of the key's life, so others join it again. false: another flight
// has taken off meanwhile, and may load too.
func (f *Flight[R, D]) BeginLoad() bool {
	s := f.stripe
	s.mu.Lock()
	defer s.mu.Unlock()
	f.loading = true
	switch {
	case f.superseded || !f.overtaken:
		return true
	case s.flights[f.key] != nil:
		return false
	}
	s.flights[f.key], f.overtaken, f.disturbed = f, false, true
	return true
}

// Disturbed reports whether somebody else has written the key, or may have,
// since the store said that it has no value.
func (f *Flight[R, D]) Disturbed() bool {
	f.stripe.mu.Lock()
	defer f.stripe.mu.Unlock()
	return f.disturbed
}

// Exchange runs put unless the key was written here since the flight began. It
// is for one that is settled.
func (f *Flight[R, D]) Exchange(put func()) {
	f.stripe.mu.Lock()
	defer f.stripe.mu.Unlock()
	if !f.superseded {
		put()
	}
}

// Wait waits, under the waiter's own context, for the flight or for what it offers.
func (f *Flight[R, D]) Wait(ctx context.Context) error {
	f.stripe.mu.Lock()
	settled := f.settled || f.offered
	if !settled && f.done == nil {
		f.done = make(chan struct{})
	}
	done := f.done
	f.stripe.mu.Unlock()
	if settled {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
