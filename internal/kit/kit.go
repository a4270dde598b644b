// Package kit is what a client gives to the packages of this module that build
// on it, beside what applications may use. It has types only, so that neither
// side imports the other's.
package kit

import (
	"context"
	"log/slog"
	"time"

	"github.com/evercache/evercache/health"
)

// Of returns the Kit of an *evercache.Client, which sets it.
var Of func(client any) Kit

// Kit is the inside of a client.
type Kit interface {
	// At is the inside as far as the master of a key is concerned. Without it that is the
	// one master that there is outside of Cluster mode.
	At(key string) Kit
	// Master returns the verified master that writes may be sent to, or nil, and
	// a channel that is closed when that changes.
	Master() (Master, <-chan struct{})
	// Lease is the send time of the last barrier that proved our master to be the
	// only one; zero: there is none. It is of the real, monotonic clock.
	Lease() time.Time
	// OnBeat calls f after each answered barrier, until stop is called. f must be
	// quick and not call stop.
	OnBeat(f func(Beat)) (stop func())
	// AwaitBarrier waits until m has answered a barrier that is sent from now on
	// and that many replicas hold, or until ctx ends; it returns how many hold it.
	AwaitBarrier(ctx context.Context, m Master, replicas int) int

	// Keep puts an entry into the journal, in place of an older one of its key,
	// and returns when it is on the disk; ok is false without a journal. Forget
	// takes it out. Kept returns what an earlier process has kept under keys that
	// begin with prefix.
	Keep(ctx context.Context, key string, payload []byte) (ok bool, err error)
	Forget(key string)
	Kept(prefix string) map[string][]byte

	// KeyPrefix stands before every key in Redis. MemoryOnly: there is no Redis.
	KeyPrefix() string
	MemoryOnly() bool
	Process() string // names this process
	WriteTimeout() time.Duration
	ReadTimeout() time.Duration
	CloseTimeout() time.Duration
	Log() *slog.Logger

	// Unasked is of how many keys it is not known yet whether a late write of another
	// process has undone one of ours: Redis is still to be asked.
	Unasked() int

	// Go runs f on a goroutine that the client waits for when it is closed; the
	// context ends then. false: it is closed already.
	Go(f func(context.Context)) bool
	// AddFindings adds to what the client's Health tells, until stop is called.
	AddFindings(f func() []health.Finding) (stop func())
}

// Beat is an answered barrier.
type Beat struct {
	SentAt   time.Time
	Confirms bool // no promotion can lose what was acknowledged before it was sent
	Alone    bool // its master was the only one when it was sent
}

// Master is one connection to a verified master. It never comes back once it is
// given up.
type Master interface {
	Addr() string
	// Do sends commands in one pipeline on the connection of all writes, in
	// order and with nothing between them, so that MULTI and EXEC work. The error
	// is about the connection or a timeout; error replies are in the Replies.
	Do(ctx context.Context, limit time.Duration, commands ...[]string) ([]Reply, error)
	// Dial makes a connection of its own to the same server, for commands that block.
	Dial(ctx context.Context) (Link, error)
	// ServerTime is a moment on the server's clock, in milliseconds, between low and high.
	ServerTime(at time.Time) (low, high int64)
	// ClockAhead is how far the server's clock is ahead of what our wall clock shows
	// right now, between low and high; not ok: the server has never told its time.
	ClockAhead(wall time.Time) (low, high time.Duration, ok bool)
}

// Link is a connection for commands that block.
type Link interface {
	Ask(ctx context.Context, limit time.Duration, commands ...[]string) ([]Reply, error)
	Close()
}

// Reply is one answer: Value is a string, an int64, nil or a list of them.
type Reply struct {
	Value any
	Err   error
}
