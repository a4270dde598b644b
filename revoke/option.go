package revoke

import (
	"fmt"

	"github.com/evercache/evercache"
)

// Option changes one call of Revoke or RevokeIssuedBefore.
type Option func(*evercache.Receipt)

// MinDurability asks for this in place of what the policy asks: the call returns
// a *evercache.DurabilityError when the revocation is stored less safely. It is in
// force either way. evercache.Replicated asks for one replica: see MinReplicas.
func MinDurability(d evercache.Durability) Option {
	return func(asked *evercache.Receipt) { *asked = evercache.Receipt{Durability: d} }
}

// MinReplicas is MinDurability for the master and so many replicas.
func MinReplicas(n int) Option {
	return func(asked *evercache.Receipt) {
		*asked = evercache.Receipt{Durability: evercache.Replicated, Replicas: n}
	}
}

// ErrDurability means that MinDurability or MinReplicas asks for what does not
// exist. Nothing was revoked.
var ErrDurability = evercache.ErrDurability

// asked is what a call has to reach.
func (p *Policy) asked(opts []Option) (evercache.Receipt, error) {
	a := evercache.Receipt{Durability: p.Durability, Replicas: p.Replicas}
	for _, o := range opts {
		o(&a)
	}
	switch {
	case a.Durability > evercache.Replicated:
		return a, fmt.Errorf("%w: %d; ask for evercache.Memory, Journaled, Master or Replicated", ErrDurability, a.Durability)
	case a.Replicas < 0, a.Replicas > 0 && a.Durability != evercache.Replicated:
		return a, fmt.Errorf("%w: %s with %d replicas; ask for 1 or more replicas, with evercache.Replicated", ErrDurability, a.Durability, a.Replicas)
	case a.Durability == evercache.Replicated:
		a.Replicas = max(1, a.Replicas)
	}
	return a, nil
}
