// Package watch does the I/O of Sentinel mode: it listens to every sentinel and
// asks it, asks every node what it is, sends the barrier to the master, and
// carries out what the pure decisions of package sentinel say: which node gets
// the commands, and when none does.
//
// It does the same for a Redis Cluster with the decisions of package cluster ([Cluster]);
// nobody uses that yet.
//
// One goroutine, the supervisor, owns the decisions and the node; the others only
// observe. All of them end with the context that Run was given.
package watch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// Config says whom to watch.
type Config struct {
	Master    string            // the name under which the sentinels know it
	Sentinels []string          // host:port as configured
	Login     remote.Config     // how to reach a sentinel, but for its address
	Node      remote.Config     // how to reach a node, but for its address
	Map       map[string]string // announced address → one that can be dialled
	Heartbeat remote.Heartbeat
	// Rests reports that nobody uses the master, so that sentinels and nodes need be asked
	// less often; nil: somebody does.
	Rests    func() bool
	Observer remote.Observer
	Log      *slog.Logger
}

// Hooks are told what was decided, from one goroutine, in order.
type Hooks struct {
	Up     func(*remote.Node) // verified and decided: use it
	Down   func(cause error)  // do not use the node of the last Up for now
	Failed func(err error)    // an attempt to dial the master failed
	// Beat: a barrier was answered.
	Beat func(*remote.Node, Beat)
	News func(View)              // something of the view has changed
	Done func([]sentinel.Record) // episodes that ended
}

// Beat is what an answered barrier shows.
type Beat struct {
	N        uint64
	SentAt   time.Time
	Written  bool // its node has taken it
	Replicas int  // that hold it
	Confirms bool // no promotion can lose what was acknowledged before it was sent
	Alone    bool // when it was sent, its node was the only master
	// AloneAt is when it was the only one, where the replicas do not say so: none can be
	// promoted, or one that answers lacks the barrier. Zero: not known.
	AloneAt time.Time
}

// View is what is known of the set; it is never modified.
type View struct {
	Decision sentinel.Decision
	Reason   error // why no node is in use; nil: one is
	Status   sentinel.Status
	History  []sentinel.Record
	Events   map[string]uint64 // published messages by channel

	// Forbidden is what the nodes' ACL keeps from us: names of commands, and
	// "heartbeat key". Without the key or WAIT no barrier proves anything.
	Forbidden []string
	// Troubles is the last error of each sentinel whose last question was not
	// answered, or that cannot be listened to.
	Troubles map[sentinel.Addr]error
}

// What a sentinel's trouble may be besides a failed dial or login.
var (
	ErrUnknownMaster = errors.New("the sentinel knows no master of this name")
	ErrNotSentinel   = remote.ErrNotSentinel
)

// Reasons for which no node is in use.
var (
	ErrNoMaster     = errors.New("no master has been found yet")
	ErrNotConnected = errors.New("the master is known but there is no connection to it")
	ErrFenced       = errors.New("a failover is under way: no write is sent to the old master")
	ErrDemoted      = errors.New("the master says that it is a replica, and no sentinel names another one")
	ErrRival        = errors.New("a replica of the master says that it is a master, and no sentinel made it one")
	ErrLoading      = errors.New("the master was restarted and reads its data from disk")
	ErrSilent       = errors.New("the master does not answer, and no sentinel has begun a failover")
	ErrReturning    = errors.New("the master answers again; the sentinels are asked whether they replace it")
	ErrGivenUp      = errors.New("the master is gone and no failover is in sight")
)

// The questions' limits.
const (
	pollLimit  = 300 * time.Millisecond
	probeLimit = 150 * time.Millisecond
)

// Run watches until ctx ends, and returns when all its goroutines have.
func Run(ctx context.Context, c Config, h Hooks) {
	d := newSupervisor(c, h)
	d.run(ctx)
}

// dialable is the address to dial for an announced one.
func (c Config) dialable(a sentinel.Addr) string {
	if to, ok := c.Map[a.String()]; ok {
		return to
	}
	return a.String()
}
