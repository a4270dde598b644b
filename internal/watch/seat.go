package watch

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// crew is the goroutines of a supervisor: all end with ctx.
type crew struct {
	ctx context.Context // Run's
	wg  sync.WaitGroup
}

// seat keeps a connection to one master, in use or not: while no write may be sent the
// heartbeat goes on, since its answer is what may end that. Who the master is, is
// decided elsewhere. Its owner is the supervisor, whose goroutine calls it.
type seat struct {
	crew   *crew
	hooks  seatHooks
	dialed chan<- dialed // to the owner, who calls arrived

	node       *remote.Node // dialled for generation; nil: none
	generation uint64
	endBarrier context.CancelFunc
	beat       *interval
	up         bool               // the node is in use
	dialing    context.CancelFunc // ends the dial under way; nil: none
	dialFor    uint64             // its generation
	lastEnd    error              // of the last node or dial
	retryAt    time.Time
	retryDelay time.Duration
}

// seatHooks is what a seat asks of its owner, and tells him.
type seatHooks struct {
	up   func(*remote.Node)
	down func(cause error)
	// failed: an attempt to dial did.
	failed func(error)
	// plan says how to reach the master that is decided on.
	plan func() plan
}

// plan is how to reach a master. Its functions are called aside: they must not touch
// what the owner of the seat has.
type plan struct {
	key   string // of the heartbeat; Cluster mode only
	dial  func(context.Context) (*remote.Node, error)
	beats func(context.Context, *remote.Node) // sends the heartbeat until ctx ends
}

// order is what is decided of the master of a seat.
type order struct {
	known      bool          // who it is
	generation uint64        // another one: what was dialled before is of no use
	writes     bool          // it may be used
	each       time.Duration // of the heartbeat
	reason     func() error
}

// dialed is the end of a dial.
type dialed struct {
	node       *remote.Node
	err        error
	generation uint64
	seat       *seat
	plan       plan
}

// part gives up a node that was dialled for another generation.
func (s *seat) part(o order) {
	if s.node != nil && s.generation != o.generation {
		s.drop(o.reason())
	}
}

// follow carries an order out.
func (s *seat) follow(o order) {
	s.part(o)
	switch {
	case s.node == nil:
		s.connect(o)
	case o.writes && !s.up:
		s.up = true
		s.hooks.up(s.node)
	case !o.writes && s.up:
		s.up = false
		s.hooks.down(o.reason())
	}
	s.beat.set(o.each)
}

// beatEach is how often a heartbeat is sent where idle is enough while nothing is the
// matter.
func beatEach(calm bool, idle time.Duration) time.Duration {
	if calm {
		return idle
	}
	return min(idle, beatFast)
}

// drop gives the node up.
func (s *seat) drop(cause error) {
	if s.node == nil {
		return
	}
	if s.up {
		s.up = false
		s.hooks.down(cause)
	}
	s.endBarrier()
	s.crew.wg.Go(s.node.Abandon) // aside: closing a dead connection may take a second
	s.node = nil
}

// giveUp ends the dial under way: it may hang.
func (s *seat) giveUp() {
	if s.dialing != nil {
		s.dialing()
		s.dialing = nil
	}
}

// connect dials the master aside, one attempt at a time. An attempt at a master of
// before is given up, since the new one is there.
func (s *seat) connect(o order) {
	if s.dialFor != o.generation {
		s.giveUp()
	}
	if !o.known || s.dialing != nil || time.Now().Before(s.retryAt) {
		return
	}
	ctx, cancel := context.WithCancel(s.crew.ctx)
	s.dialing, s.dialFor = cancel, o.generation
	generation, p := o.generation, s.hooks.plan()
	s.crew.wg.Go(func() {
		n, err := p.dial(ctx)
		select {
		case s.dialed <- dialed{n, err, generation, s, p}:
		case <-s.crew.ctx.Done():
			if n != nil {
				n.Abandon()
			}
		}
	})
}

// arrived takes a dialled node into use, or another turn. It reports whether the dial
// counts: it does not when it was given up.
func (s *seat) arrived(r dialed) bool {
	if r.generation != s.dialFor || s.dialing == nil {
		if r.node != nil {
			s.crew.wg.Go(r.node.Abandon)
		}
		return false
	}
	s.giveUp()
	if s.lastEnd = r.err; r.err != nil {
		s.hooks.failed(r.err)
		s.retryDelay = min(max(2*s.retryDelay, retryFirst), retryMost)
		s.retryAt = time.Now().Add(s.retryDelay/2 + rand.N(s.retryDelay/2))
		return true
	}
	s.node, s.generation = r.node, r.generation
	s.retryNow()
	ctx, cancel := context.WithCancel(s.crew.ctx)
	s.endBarrier = cancel
	s.crew.wg.Go(func() { r.plan.beats(ctx, r.node) })
	return true
}

// retryNow lets the next dial begin at once.
func (s *seat) retryNow() { s.retryAt, s.retryDelay = time.Time{}, 0 }

// opened is closed when the node's circuit opens.
func (s *seat) opened() <-chan struct{} {
	if s.node == nil {
		return nil
	}
	return s.node.Opened()
}
