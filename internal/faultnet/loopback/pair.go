package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// Pair is two ports, the second a fixed distance above the first: a node of a Redis Cluster listens on
// its port and on its port + 10000. Number and Addr are the first's.
type Pair struct {
	*Port
	second *Port
}

// ReservePair picks two free ports at random, distance apart. Where both fit below the ephemeral range,
// both are.
func ReservePair(distance int) (*Pair, error) {
	from, to := pairSpan(distance, ephemeral)
	if to <= from {
		return nil, fmt.Errorf("no two ports on %s are %d apart", host, distance)
	}
	var last error
	for range maxTries {
		p, err := claimPair(from+rand.IntN(to-from), distance)
		if err == nil {
			return p, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no two free ports on %s, %d apart, in %d tries between %d and %d: %w", host, distance, maxTries, from, to, last)
}

// pairSpan is where the first port is taken from: [from, to).
// Where the kernel's range leaves too little room, the second port may be within it.
func pairSpan(distance int, ephemeral func() (low, high int)) (from, to int) {
	from, to = span(ephemeral())
	if to-distance-from < enough {
		to = min(to+distance, highest+1)
	}
	return from, to - distance
}

// ClaimPair is ReservePair for a first port of the caller's choice.
func ClaimPair(number, distance int) (*Pair, error) { return claimPair(number, distance) }

func claimPair(number, distance int) (*Pair, error) {
	first, err := claim(number)
	if err != nil {
		return nil, err
	}
	second, err := claim(number + distance)
	if err != nil {
		return nil, errors.Join(err, first.Release())
	}
	return &Pair{first, second}, nil
}

// Second is the second port.
func (p *Pair) Second() int { return p.second.Number() }

// Release gives both ports back. Releasing twice does nothing.
func (p *Pair) Release() error { return errors.Join(p.Port.Release(), p.second.Release()) }
