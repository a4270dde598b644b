package remote

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/breaker"
)

// ErrTwoServers means that connections to one address reach different servers:
// what is proved over one of them says nothing about what is written over the
// other.
var ErrTwoServers = errors.New("connections to this address reach different servers")

// twins is what a node knows of whether its connections reach one server.
type twins struct {
	beaten  atomic.Pointer[written] // the last barrier that was written; nil: none was
	looked  time.Time               // of the caller of Barrier
	absent  int                     // looks in a row that found no barrier at all; of the same
	apartAt atomic.Int64            // when another connection was found to be at another server; Unix nanoseconds
}

// written is a barrier under its key.
type written struct {
	key string
	n   uint64
}

// sight is what a look over another connection shows.
type sight uint8

const (
	unsure sight = iota
	together
	apart
)

// seenBarrier judges what another connection finds under the heartbeat's key, after
// barrier want was written: numbers only rise, and ours are under no other key.
func seenBarrier(text string, err error, want uint64) sight {
	if err != nil || want == 0 {
		return unsure
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	switch {
	case err != nil:
		return unsure // somebody has overwritten it
	case n >= want:
		return together
	}
	return apart
}

// look compares what another connection reaches with the server of the heartbeat.
// absent: it has no barrier, and nobody tells which server it is.
func (n *Node) look(ctx context.Context, other *wire) (s sight, absent bool, _ error) {
	last := n.twins.beaten.Load()
	if last == nil {
		last = &written{key: n.beatsUnder()}
	}
	want := last.n
	text, missing := other.glance(ctx, last.key)
	err := missing
	if IsNil(err) {
		err = nil
	}
	if _, ok := errors.AsType[*rueidis.RedisError](err); err != nil && !ok {
		return unsure, false, err
	}
	if s = seenBarrier(text, missing, want); s != unsure {
		return s, false, nil
	}
	theirs, err := runOf(ctx, other)
	if err != nil {
		return unsure, false, err
	}
	ours, err := runOf(ctx, n.beat)
	switch {
	case err != nil:
		return unsure, false, err
	case ours == "" || theirs == "":
		return unsure, want > 0 && IsNil(missing), nil
	case ours == theirs:
		return together, false, nil
	}
	return apart, false, nil
}

// runOf names the process at the other end; "": it does not tell.
func runOf(ctx context.Context, w *wire) (string, error) {
	text, err := w.Do(ctx, w.B().Info().Section("server").Build()).ToString()
	if _, ok := errors.AsType[*rueidis.RedisError](err); err != nil && !ok {
		return "", err
	}
	return infoField(text, "run_id"), nil
}

func errApart() error { return &Error{Kind: Other, Op: "compare connections", Err: ErrTwoServers} }

// compare finds out whether both connections reach one server, and that server a
// master. It follows the first barrier of a dial.
func (n *Node) compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.heartbeat.Timeout)
	defer cancel()
	if role, err := roleOf(n.cmd.Do(ctx, n.b().Role().Build())); err == nil && role != "master" {
		return errApart() // the other one is
	}
	s, absent, err := n.look(ctx, n.cmd)
	switch {
	case err != nil:
		return wrap("compare connections", err)
	case s == apart || absent:
		return errApart()
	}
	return nil
}

const (
	lookEach  = 2 * time.Second
	lookLimit = 100 * time.Millisecond
	lookMost  = 3 // in a row without a barrier
)

// lookAgain compares now and then: a proxy that knows Redis can send the commands
// of a living connection elsewhere. The caller is Barrier's. A connection that is
// busy is looked at the next time.
func (n *Node) lookAgain(ctx context.Context) error {
	if n.twins.beaten.Load() == nil || time.Since(n.twins.looked) < lookEach {
		return nil
	}
	n.twins.looked = time.Now()
	ctx, cancel := context.WithTimeout(ctx, min(lookLimit, n.heartbeat.Timeout))
	defer cancel()
	s, absent, err := n.look(ctx, n.cmd)
	switch {
	case err != nil || s == together || s == unsure && !absent:
		n.twins.absent = 0
		return nil
	case absent:
		if n.twins.absent++; n.twins.absent < lookMost {
			n.twins.looked = time.Time{} // after the next barrier
			return nil
		}
	}
	err = errApart()
	n.fails(err)
	for range breaker.Default.Failures {
		n.breaker.Record(breaker.Broken, 0, 0)
	}
	return err
}

// Beside is how to make another connection to the same server.
func (n *Node) Beside(c Config) Config {
	c.At = n.at
	return c
}

// Meets is nil unless l reaches another server than the node.
func (n *Node) Meets(ctx context.Context, l *Link) error {
	ctx, cancel := context.WithTimeout(ctx, n.heartbeat.Timeout)
	defer cancel()
	s, absent, err := n.look(ctx, l.wire)
	switch {
	case err != nil:
		return wrap("compare connections", err)
	case s == apart || absent:
		n.twins.apartAt.Store(time.Now().UnixNano())
		return errApart()
	}
	return nil
}

// Apart reports whether another connection to the address has reached another
// server within the last minute.
func (n *Node) Apart() bool { return time.Since(time.Unix(0, n.twins.apartAt.Load())) < time.Minute }
