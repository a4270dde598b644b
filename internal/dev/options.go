package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Mode is what is started.
type Mode string

// The modes.
const (
	Sentinel   Mode = "sentinel"   // a master, replicas, sentinels
	Cluster    Mode = "cluster"    // masters that share the slots, replicas of each
	Standalone Mode = "standalone" // one server
)

// defaultName is the name of a run that was given none.
const defaultName = "default"

// MasterName is the name under which the sentinels watch the master.
const MasterName = "mymaster"

// Times of a failover. They are short, so that a user sees one, and long enough for a laptop that is busy.
const (
	// DownAfter is how long a server may be silent before its sentinels hold it down.
	DownAfter = 1500 * time.Millisecond
	// NodeTimeout is the same in a Cluster.
	NodeTimeout = time.Second
)

// Options say what to run. Zero means the default.
type Options struct {
	Mode      Mode   // Sentinel
	Masters   int    // of a Cluster; 3
	Replicas  int    // 2 in a Sentinel set, 1 of each master of a Cluster
	Sentinels int    // 3
	Port      int    // of redis-1; the others follow, and the sentinels are 20000 above. 0: free ports
	Password  bool   // ask for one; it is made up, and lies in a file
	TLS       bool   // speak TLS only, with a certificate authority of its own
	Name      string // "default"
	Dir       string // where the files go and stay; "": a temporary directory, removed at the end
	EnvFile   string // where the environment is written too; "": nowhere

	Environ []string  // of the caller
	Stdin   io.Reader // orders, one a line; nil: none
	Stdout  io.Writer
	// Terminal shows the servers live and edits the orders; nil: plain lines.
	Terminal *Terminal

	// Serve starts a cache service on the set; nil: none. It returns when the service answers.
	Serve func(ctx context.Context, environ []string, log io.Writer) (Service, error)
}

// Service is a cache service that runs on the set.
type Service interface {
	URL() string
	// State is one line about how it is. It is asked often, and must not wait long.
	State(ctx context.Context) string
	// Ended is closed when it has ended, by itself or because its context did; Err says how.
	Ended() <-chan struct{}
	Err() error
}

// sentinelDistance is how far the sentinels' ports are above those of the nodes, as 26379 is above 6379.
const sentinelDistance = 20000

// Bounds: a mistake must not fill the machine with processes.
const (
	maxNodes     = 30
	maxSentinels = 9
	minPort      = 1024
	maxPort      = 65535 - sentinelDistance - maxNodes
)

func (o Options) withDefaults() Options {
	o.Mode = cmp.Or(o.Mode, Sentinel)
	o.Name = cmp.Or(o.Name, defaultName)
	switch o.Mode {
	case Sentinel:
		o.Masters, o.Replicas, o.Sentinels = cmp.Or(o.Masters, 1), cmp.Or(o.Replicas, 2), cmp.Or(o.Sentinels, 3)
	case Cluster:
		o.Masters, o.Replicas = cmp.Or(o.Masters, 3), cmp.Or(o.Replicas, 1)
	case Standalone:
		o.Masters = cmp.Or(o.Masters, 1)
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	return o
}

// nodes is how many there are, without sentinels.
func (o Options) nodes() int { return o.Masters * (1 + o.Replicas) }

// OptionsError is about options that cannot work: each fault is a line.
type OptionsError struct{ Err error }

func (e OptionsError) Error() string { return e.Err.Error() }
func (e OptionsError) Unwrap() error { return e.Err }

func (o Options) validate() error {
	var errs []error
	fault := func(wrong bool, format string, a ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	fault(o.Mode != Sentinel && o.Mode != Cluster && o.Mode != Standalone, "mode %.40q: want sentinel, cluster or standalone", string(o.Mode))
	fault(!isName(o.Name), "--name %.40q: want small letters, digits, - and _, at most %d", o.Name, maxName)
	fault(o.Mode != Cluster && o.Masters != 1, "--masters is for --cluster only")
	fault(o.Mode == Cluster && o.Masters < 3, "--masters %d: a Cluster needs at least 3 to agree on a failover", o.Masters)
	fault(o.Mode == Standalone && o.Replicas != 0, "--replicas is not for --standalone")
	fault(o.Mode != Sentinel && o.Sentinels != 0, "--sentinels is for a Sentinel set only")
	fault(o.Mode == Sentinel && (o.Sentinels < 3 || o.Sentinels > maxSentinels), "--sentinels %d: want 3 to %d", o.Sentinels, maxSentinels)
	fault(o.Replicas < 0 || o.nodes() > maxNodes, "--masters, --replicas: %d servers, want 1 to %d", o.nodes(), maxNodes)
	fault(o.Port != 0 && (o.Port < minPort || o.Port > maxPort), "--port %d: want %d to %d", o.Port, minPort, maxPort)
	if len(errs) > 0 {
		return OptionsError{errors.Join(errs...)}
	}
	return nil
}

// serviceLog is where a service logs, inside the directory of the run.
const serviceLog = "evercache.log"
