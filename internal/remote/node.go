// Package remote is L2: one verified Redis node, the commands a cache sends to
// it, and the loop that keeps one at hand.
package remote

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/acl"
	"github.com/evercache/evercache/internal/breaker"
	"github.com/evercache/evercache/trace"
)

// Observer is told of every command, for metrics. Its methods must be quick.
type Observer interface {
	Command(name string, took time.Duration, k Kind)
}

// Node is one verified master over two connections: one for all commands, so
// that writes keep their order, and one for the heartbeat, so that it is not
// held up by a large reply. A Node that was given up never comes back; its
// owner dials another.
type Node struct {
	Addr string
	ID   string // of a Cluster node; "" elsewhere
	// Epoch is its owner's: in which the writes that it takes count.
	Epoch atomic.Uint64

	at        string // where it was dialled, when Addr is a name
	db        int
	cmd, beat *wire
	bulk, out *bulk // for large values: to read, and to put back
	feed      feed  // over cmd
	breaker   *breaker.Breaker
	obs       Observer
	heartbeat Heartbeat
	beatKey   atomic.Pointer[string] // in place of heartbeat.Key; nil: that
	clock     serverClock
	first     Barrier  // the last of its dial
	holds     dataset  // of the caller of Barrier
	holdsOf   string   // the key of that barrier
	online    []string // the replicas at the last barrier, likewise
	apart     bool     // WAIT does not tell which of them have the next one

	deadlines deadlines
	refused   atomic.Pointer[Kind] // why it takes no writes now; nil: it does
	lastBeat  atomic.Pointer[beaten]
	last      atomic.Pointer[error] // the last failure that counted against it
	rights    rights
	forbidden atomic.Pointer[forbidden]
	noBeat    ban // the heartbeat's key: PING instead
	noScripts ban // plain commands instead
	noLives   ban // the lives of classes
	noRanges  ban // GET instead of GETRANGE
	oversize  atomic.Pointer[forbidden]

	server Server    // of its dial
	ids    []leftOne // of its connections
	lacks  lacks
	twins  twins
}

// Heartbeat is what the node is asked at a steady pace.
type Heartbeat struct {
	Key    string // written at each beat, so that a node that takes no writes is noticed; see SetHeartbeatKey
	Fresh  bool   // no barrier is known to be under Key: that there is none shows nothing
	Marker string // the key that tells one dataset from another; "": none does
	// Earlier, where not nil, names such keys of processes that are gone.
	Earlier func() []string
	Book    Book          // nil: the node numbers them itself
	Clocks  *Clocks       // of the process; nil: none
	Left    *Left         // of the process; nil: none
	Cuts    *acl.Cuts     // at questions about rights, of the process; nil: nothing is remembered
	TTL     time.Duration // of Key
	Every   time.Duration // at the latest
	Timeout time.Duration
	// Pace, where not nil, is how long to wait after the last one at this
	// moment; Kick says that it has changed.
	Pace func() time.Duration
	Kick <-chan struct{}
	// Behind, where not nil, is what to ask behind a barrier on its connection, or nothing.
	Behind func() [][]string
	// Slow is how long an answer may take on the way in, 0: as long as Timeout.
	// A node that was given up for slowness must have become quick again.
	Slow time.Duration
}

// Dial connects to the node, logs in, and checks that it is a master which
// answers and that it takes writes. It takes at most twice the dial timeout.
func Dial(ctx context.Context, c Config, h Heartbeat, obs Observer) (*Node, error) {
	c.watched, c.Cluster = true, c.Cluster || c.NodeID != ""
	cmd, err := dialWire(ctx, c)
	if err != nil {
		return nil, err
	}
	track := c.Track
	c.Track = nil
	c.At = cmd.at() // a name with several addresses is one server
	short := c
	short.MaxValue, short.shape = maxWord-1, questions // it carries no values
	beat, err := dialWire(ctx, short)
	if err != nil {
		cmd.abandon()
		return nil, err
	}
	n := &Node{Addr: c.Addr, ID: c.NodeID, at: c.At, db: c.DB, cmd: cmd, beat: beat, breaker: breaker.New(breaker.Default), obs: obs, heartbeat: h}
	n.clock.clocks = h.Clocks
	n.rights.dialed(time.Now())
	n.bulk, n.out = newBulk(n, c), newBulk(n, c)
	if h.Book == nil {
		n.heartbeat.Book = new(lone)
	}
	err = n.verify(ctx)
	if err == nil {
		err = n.track(ctx, track)
	}
	if err != nil {
		n.Abandon()
		return nil, err
	}
	return n, nil
}

// verify asks what the node is and holds, beats, and takes the time that takes.
func (n *Node) verify(ctx context.Context) error {
	if err := n.find(ctx); err != nil {
		return err
	}
	if err := n.takeStock(ctx); err != nil {
		return err
	}
	var slow error
	for range 3 { // one slow answer may be an accident, three are not
		b, err := n.Barrier(ctx, 0)
		if k := KindOf(err); err != nil && (!k.Refused() || k.Puzzling()) {
			return wrap("first heartbeat", err)
		}
		n.first = b
		took := time.Since(b.SentAt) - b.Late
		if n.heartbeat.Slow == 0 || took <= n.heartbeat.Slow {
			return n.compare(ctx)
		}
		slow = &Error{Kind: Timeout, Op: "first heartbeat", Err: fmt.Errorf("%w: %v, wanted %v", ErrSlow, took.Round(time.Millisecond), n.heartbeat.Slow)}
	}
	return slow
}

// ErrSlow means that a node answers, but too slowly to be of use.
var ErrSlow = errors.New("it answers too slowly")

// Refused says why the node takes no writes at this moment, or OK.
func (n *Node) Refused() Kind {
	if k := n.refused.Load(); k != nil {
		return *k
	}
	return OK
}

// HeartbeatForbidden reports whether the ACL forbids the heartbeat's key.
func (n *Node) HeartbeatForbidden() bool { return n.noBeat.known() }

// Is reports whether the node is the one at an address, where it was dialled by name too.
func (n *Node) Is(addr string) bool { return addr == n.Addr || addr == n.at }

// Opened is closed when the node should be given up.
func (n *Node) Opened() <-chan struct{} { return n.breaker.Opened() }

// WasSlow reports whether a node was given up for slowness, by its OpenError.
func WasSlow(err error) bool {
	open, ok := errors.AsType[*OpenError](err)
	return ok && open.Cause == breaker.Slow || errors.Is(err, ErrSlow)
}

// After is the heartbeat to verify the next node with, when the last one ended
// with err.
func (h Heartbeat) After(err error) Heartbeat {
	if !WasSlow(err) {
		h.Slow = 0
	}
	return h
}

// OpenError says why it should be given up.
type OpenError struct {
	Cause breaker.Cause
	Last  error // the last failure; may be nil
}

func (e *OpenError) Error() string {
	if e.Last == nil {
		return fmt.Sprintf("circuit opened: %s", e.Cause)
	}
	return fmt.Sprintf("circuit opened: %s: %v", e.Cause, e.Last)
}

func (e *OpenError) Unwrap() error { return e.Last }

// OpenErr is why the node should be given up.
func (n *Node) OpenErr() error {
	e := &OpenError{Cause: n.breaker.Cause()}
	if last := n.last.Load(); last != nil {
		e.Last = *last
	}
	return e
}

// Abandon gives both connections up at once. Calls under way fail.
func (n *Node) Abandon() {
	for _, one := range n.ids {
		n.heartbeat.Left.add(one)
	}
	n.bulk.abandon()
	n.out.abandon()
	n.cmd.abandon()
	n.beat.abandon()
}

// call is one command or batch under way.
type call struct {
	node  *Node
	name  string
	start time.Time
	limit time.Duration // how long it was given; beyond half of it is slow, 0: not judged
	big   int64         // large replies before it
	asked uint64        // commands before it
	done  uint64        // those of them that had been answered
	took  time.Duration // once it has ended
	of    subject
	told  observed
}

// Span is when a command was sent, or shortly before, and when its answer was
// there, or shortly after.
type Span struct{ Sent, Answered time.Time }

func (c *call) span() Span { return Span{c.start, c.start.Add(c.took)} }

// begin starts a call; its context is to be given to the command, and cancel to
// be called after it.
func (n *Node) begin(ctx context.Context, name string, limit time.Duration) (call, context.Context, context.CancelFunc) {
	return n.beginMany(ctx, name, 1, limit)
}

// beginMany is begin of a pipeline for so many keys.
func (n *Node) beginMany(ctx context.Context, name string, keys int, limit time.Duration) (call, context.Context, context.CancelFunc) {
	return n.beginAt(ctx, name, keys, time.Now(), limit)
}

// beginAt is beginMany of what begins now.
func (n *Node) beginAt(ctx context.Context, name string, keys int, now time.Time, limit time.Duration) (call, context.Context, context.CancelFunc) {
	c := call{
		node: n, name: name, start: now, limit: limit,
		big: n.cmd.load.big.Load(), asked: n.cmd.conn.asked.Load(), done: n.cmd.conn.answered.Load(),
	}
	c.told = n.observe(ctx, name, keys)
	bounded, cancel := n.deadlines.bound(ctx, c.start, limit)
	return c, bounded, cancel
}

func (n *Node) observe(ctx context.Context, name string, keys int) observed {
	return observe(ctx, n.obs, trace.Call{Name: name, Addr: n.Addr, DB: n.db, Keys: keys})
}

// end records how it went, for metrics and the breaker. caller is the context
// that the caller gave, without our own deadline.
func (c *call) end(caller context.Context, err error) error {
	c.took = time.Since(c.start)
	k := KindOf(err)
	if (k == Timeout || k == Canceled) && caller.Err() != nil && (c.limit == 0 || c.took < c.limit/2) {
		k = Canceled // the caller's patience says nothing about the node
	}
	c.node.obs.Command(c.name, c.took, k)
	said := err
	if err != nil && k != Nil {
		err = &Error{Kind: k, Op: c.name, Err: c.node.tell(err, c.of)}
	}
	c.told.end(c.took, k, said, err)
	if k == Timeout {
		c.node.clock.clocks.noAnswer(time.Now()) // it may be executed yet
	}
	limit, ok := c.judgedBy(caller, k)
	if c.limit = limit; !ok || k == Crowded || c.late(k) && c.excused(k) {
		return err
	}
	c.node.judge(k, c.took, c.limit/2, err)
	return err
}

// excused reports whether it took its time for a reason that is our own.
func (c *call) excused(k Kind) bool {
	return c.queued() || k != Timeout && paced(c.took, c.node.cmd.conn.answered.Load()-c.done, c.node.lastBeat.Load(), time.Now()) || c.node.cmd.ourTime(waited{took: c.took, limit: c.limit, answered: k != Timeout}, c.asked)
}

// late reports whether its time would count against the node.
func (c *call) late(k Kind) bool {
	return k == Timeout || (k == OK || k == Nil) && c.limit > 0 && c.took > c.limit/2
}

// queued reports whether the call may have waited for our own bytes, on the way
// there or back.
func (c *call) queued() bool {
	return c.node.heldUp(c.start) || c.node.cmd.load.big.Load()-c.big >= large
}

// judge tells the breaker how a call went.
func (n *Node) judge(k Kind, took, slowAfter time.Duration, err error) {
	outcome := breaker.OK
	switch {
	case k == Canceled:
		return
	case k.Unserved() && n.clustered(): // it is well; where the slot is, others find out
	case k.Puzzling(): // these are about one key or command
		n.puzzles(k, err)
	case k == NoPerm:
		n.forbids(err)
	case k.Refused():
		n.refuses(k)
	case k.Outage():
		n.fails(err)
		outcome = breaker.Broken
		if k == Timeout {
			outcome = breaker.Timeout
		}
	}
	n.breaker.Record(outcome, took, slowAfter)
}

// refuses and fails keep what they are given: apart from judge, whose arguments
// would be allocated for every call otherwise.
func (n *Node) refuses(k Kind)  { n.refused.Store(&k) }
func (n *Node) fails(err error) { n.last.Store(&err) }

// forbidden is the last thing that the ACL forbade.
type forbidden struct {
	err error
	at  time.Time
}

func (n *Node) forbids(err error) { n.forbidden.Store(&forbidden{err, time.Now()}) }

// Forbidden is what the ACL has forbidden in the last minute, or nil.
func (n *Node) Forbidden() error {
	if f := n.forbidden.Load(); f != nil && time.Since(f.at) < time.Minute {
		return f.err
	}
	return nil
}

func (n *Node) b() rueidis.Builder { return n.cmd.B() }
