package redisproc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ClusterOptions say what Redis Cluster to start. Zero means the default.
type ClusterOptions struct {
	Masters  int // 3
	Replicas int // of each master; 0

	// NodeTimeout is how long a node may be silent before another suspects it (default 1 s). A failover
	// begins one to two seconds later.
	NodeTimeout time.Duration

	// PartialCoverage lets the nodes serve the slots that have an owner while others have none.
	PartialCoverage bool

	// Hostnames are announced as the endpoints that clients shall use, in the order of the nodes; when
	// there are fewer names than nodes they begin again. They need Redis 7.
	Hostnames []string

	// Announce is asked, for each node's host:port, at which port of 127.0.0.1 others shall reach it:
	// clients and the node's replicas. The bus is not asked for.
	Announce func(addr string) (port int, err error)

	Password string // of the nodes' default user
	Users    []User

	TLS               *TLS // for clients, replication and the bus
	RequireClientCert bool

	// Persistence makes the nodes keep an append-only file, so that a killed node comes back with
	// its data. What a node knows of the cluster it always keeps.
	Persistence bool

	Config []string // further lines for the nodes

	// Env is added to the environment of the i-th node.
	Env func(i int) []string

	Place Placement // of the nodes; nil: anywhere

	StartTimeout time.Duration // 60 s for the whole cluster
}

func (o ClusterOptions) withDefaults() ClusterOptions {
	o.Masters = cmp.Or(o.Masters, 3)
	o.NodeTimeout = cmp.Or(o.NodeTimeout, time.Second)
	o.StartTimeout = cmp.Or(o.StartTimeout, time.Minute)
	return o
}

// maxNodes keeps a mistake from filling the machine with processes.
const maxNodes = 30

func (o ClusterOptions) validate() error {
	var errs []error
	if o.Masters < 1 {
		errs = append(errs, fmt.Errorf("option Masters: %d, want at least 1", o.Masters))
	}
	if o.Replicas < 0 {
		errs = append(errs, fmt.Errorf("option Replicas: %d, want at least 0", o.Replicas))
	}
	if n := o.nodes(); n > maxNodes {
		errs = append(errs, fmt.Errorf("options Masters, Replicas: %d nodes, at most %d", n, maxNodes))
	}
	if o.NodeTimeout < time.Millisecond {
		errs = append(errs, errors.New("option NodeTimeout: at least a millisecond"))
	}
	for i, h := range o.Hostnames {
		if h == "" || strings.ContainsAny(h, " \t\r\n\"'\\,") {
			errs = append(errs, fmt.Errorf("option Hostnames[%d]: a name is one word", i))
		}
	}
	return errors.Join(errs...)
}

func (o ClusterOptions) nodes() int { return o.Masters * (1 + o.Replicas) }

// nodesFile is where a node keeps what it knows of the cluster, its own id first of all. It is beside the
// data directory, so that Restart(Empty) takes the data and leaves the identity.
const nodesFile = "nodes.conf"

// node is the options of the i-th node.
func (o ClusterOptions) node(i int) Options {
	var c conf
	c.line("cluster-enabled", "yes")
	c.line("cluster-config-file", "../"+nodesFile)
	c.line("cluster-node-timeout", millis(o.NodeTimeout))
	c.line("cluster-require-full-coverage", yesNo(!o.PartialCoverage))
	if o.TLS != nil {
		c.line("tls-cluster", "yes")
	}
	if len(o.Hostnames) > 0 {
		c.line("cluster-announce-hostname", o.Hostnames[i%len(o.Hostnames)])
		c.line("cluster-preferred-endpoint-type", "hostname")
	}
	if o.Persistence {
		c.line("appendonly", "yes")
		c.line("appendfsync", "everysec")
	} else {
		c.line("rdb-del-sync-files", "yes") // else a killed replica comes back with its first sync
	}
	place := o.Place.at(Server, i)
	var env []string
	if o.Env != nil {
		env = o.Env(i)
	}
	return Options{
		Password: o.Password, Users: o.Users, TLS: o.TLS, RequireClientCert: o.RequireClientCert,
		Config: slices.Concat(strings.Split(strings.TrimSuffix(c.text.String(), "\n"), "\n"), o.Config),
		Env:    env, Place: place, reserve: place.reserveNode,
	}
}

// announce tells a node under which port others shall find it, and has it remember that.
func (o ClusterOptions) announce(ctx context.Context, p *Process) error {
	if o.Announce == nil {
		return nil
	}
	port, err := o.Announce(p.Addr())
	if err != nil {
		return err
	}
	name := "cluster-announce-port"
	if o.TLS != nil {
		name = "cluster-announce-tls-port"
	}
	for _, command := range [][]string{
		{"CONFIG", "SET", "cluster-announce-ip", "127.0.0.1"},
		{"CONFIG", "SET", "cluster-announce-bus-port", fmt.Sprint(p.Port() + busDistance)},
		{"CONFIG", "SET", name, fmt.Sprint(port)},
		{"CONFIG", "REWRITE"},
	} {
		if _, err := p.Do(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}
