package dev

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// server is one process with the name that its user calls it by.
type server struct {
	name string
	kind redisproc.Kind
	*redisproc.Process
}

// servers are all processes of a run. They are made by startServers and ended by close.
type servers struct {
	options Options
	all     []server // the nodes, then the sentinels

	// What they are part of; the others are nil.
	set     *redisproc.Set
	cluster *redisproc.Cluster

	passwordFile string
	tls          *redisproc.TLS
}

// spawned is told of each process when it begins.
type spawned func(name string, pid int)

// nodeName and sentinelName count from one, as people do.
func nodeName(i int) string     { return fmt.Sprintf("redis-%d", i+1) }
func sentinelName(i int) string { return fmt.Sprintf("sentinel-%d", i+1) }

// startServers starts what the options say, in dir, and returns when a failover is possible.
func startServers(ctx context.Context, o Options, dir string, told spawned) (*servers, error) {
	s := &servers{options: o}
	password, err := s.secrets(dir)
	if err != nil {
		return nil, err
	}
	place := o.placement(dir, told)
	switch o.Mode {
	case Sentinel:
		err = s.startSet(ctx, place, password)
	case Cluster:
		err = s.startCluster(ctx, place, password)
	default:
		err = s.startOne(ctx, place, password)
	}
	if err != nil {
		return nil, explainStart(err)
	}
	return s, nil
}

// explainStart adds what to do about a port that is taken.
func explainStart(err error) error {
	if errors.Is(err, redisproc.ErrPort) {
		return fmt.Errorf("%w\nend what listens there, choose another --port, or leave it out: free ports are found", err)
	}
	return err
}

// certLife is longer than a set runs, and than what is told to end soon.
const certLife = 90 * 24 * time.Hour

// secrets makes what the servers ask for and speak.
func (s *servers) secrets(dir string) (password string, err error) {
	if s.options.TLS {
		if s.tls, err = redisproc.NewTLSFor(dir, certLife); err != nil {
			return "", err
		}
	}
	if !s.options.Password {
		return "", nil
	}
	s.passwordFile = filepath.Join(dir, "password")
	return writePassword(s.passwordFile)
}

// placement puts each server into a directory that bears its name.
func (o Options) placement(dir string, told spawned) redisproc.Placement {
	return func(k redisproc.Kind, i int) redisproc.Place {
		name, port := nodeName(i), o.Port+i
		if k == redisproc.Sentinel {
			name, port = sentinelName(i), o.Port+sentinelDistance+i
		}
		if o.Port == 0 {
			port = 0
		}
		return redisproc.Place{Dir: filepath.Join(dir, name), Port: port, Spawned: func(pid int) { told(name, pid) }}
	}
}

func (s *servers) startSet(ctx context.Context, place redisproc.Placement, password string) (err error) {
	s.set, err = redisproc.StartSet(ctx, redisproc.SetOptions{
		MasterName: MasterName, Replicas: s.options.Replicas, Sentinels: s.options.Sentinels,
		DownAfter: DownAfter, Fast: true, Persistence: true,
		Password: password, TLS: s.tls, Place: place,
	})
	if err == nil {
		s.name(s.set.Nodes(), s.set.Sentinels())
	}
	return err
}

func (s *servers) startCluster(ctx context.Context, place redisproc.Placement, password string) (err error) {
	s.cluster, err = redisproc.StartCluster(ctx, redisproc.ClusterOptions{
		Masters: s.options.Masters, Replicas: s.options.Replicas,
		NodeTimeout: NodeTimeout, Persistence: true,
		Password: password, TLS: s.tls, Place: place,
	})
	if err == nil {
		s.name(s.cluster.Nodes(), nil)
	}
	return err
}

func (s *servers) startOne(ctx context.Context, place redisproc.Placement, password string) error {
	p, err := redisproc.Start(ctx, redisproc.Options{
		Password: password, TLS: s.tls, Place: place(redisproc.Server, 0),
		Config: []string{"appendonly yes", "appendfsync everysec"},
	})
	if err == nil {
		s.name([]*redisproc.Process{p}, nil)
	}
	return err
}

func (s *servers) name(nodes, sentinels []*redisproc.Process) {
	for i, p := range nodes {
		s.all = append(s.all, server{nodeName(i), redisproc.Server, p})
	}
	for i, p := range sentinels {
		s.all = append(s.all, server{sentinelName(i), redisproc.Sentinel, p})
	}
}

// close ends every process.
func (s *servers) close() error {
	switch {
	case s.set != nil:
		return s.set.Close()
	case s.cluster != nil:
		return s.cluster.Close()
	}
	var errs []error
	for _, p := range s.all {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

func (s *servers) nodes() []server     { return s.kind(redisproc.Server) }
func (s *servers) sentinels() []server { return s.kind(redisproc.Sentinel) }

func (s *servers) kind(k redisproc.Kind) []server {
	return slices.DeleteFunc(slices.Clone(s.all), func(p server) bool { return p.kind != k })
}

// find is the servers that an order names, once each.
func (s *servers) find(names []string, now Snapshot) ([]server, error) {
	var found []server
	for _, name := range names {
		if name == "master" {
			if name = now.target(); name == "" {
				return nil, fmt.Errorf("there is no master at the moment, or more than one: name a server, of %s", s.names())
			}
		}
		i := slices.IndexFunc(s.all, func(p server) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no server %s; there are %s", name, s.names())
		}
		if !slices.ContainsFunc(found, func(p server) bool { return p.name == name }) {
			found = append(found, s.all[i])
		}
	}
	return found, nil
}

func (s *servers) names() string {
	var names []string
	for _, p := range s.all {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}
