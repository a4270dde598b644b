package dev

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// orderTimeout bounds an order.
const orderTimeout = 30 * time.Second

// carryOut does what an order says to the servers, and says what was done. Each name of several is
// tried, whatever became of the others.
func (s *servers) carryOut(ctx context.Context, c Command, now Snapshot) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	if c.Verb == verbFailover {
		return s.failover(ctx, c.Targets, now)
	}
	targets, err := s.find(c.Targets, now)
	if err != nil {
		return "", err
	}
	if c.Verb == verbStart && len(c.Targets) == 0 {
		targets = s.resting()
		if len(targets) == 0 {
			return "all servers run", nil
		}
	}
	var said []string
	var errs []error
	for _, p := range targets {
		text, err := s.one(ctx, c.Verb, p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		said = append(said, text)
	}
	return strings.Join(said, "\n"), errors.Join(errs...)
}

// resting are the servers that are dead or stopped: nodes first, so that the sentinels find them.
func (s *servers) resting() []server {
	var all []server
	for _, p := range s.all {
		if lives(p) != runs {
			all = append(all, p)
		}
	}
	return all
}

// one does a thing to one server.
func (s *servers) one(ctx context.Context, verb string, p server) (string, error) {
	life := lives(p)
	switch verb {
	case verbKill:
		if life == dead {
			return "", fmt.Errorf("%s is dead already", p.name)
		}
		return p.name + " was killed", p.Kill()
	case verbStop:
		if life != runs {
			return "", fmt.Errorf("%s is %s already", p.name, life)
		}
		return p.name + " is stopped; 'start " + p.name + "' lets it go on", p.Pause()
	case verbRestartEmpty:
		if err := p.Restart(ctx, redisproc.Empty); err != nil {
			return "", err
		}
		return p.name + " was started without data", s.started(ctx, p)
	}
	return s.start(ctx, p, life)
}

func (s *servers) start(ctx context.Context, p server, was life) (string, error) {
	switch was {
	case runs:
		return "", fmt.Errorf("%s runs already", p.name)
	case stopped:
		return p.name + " goes on", p.Resume()
	}
	if err := p.Start(ctx); err != nil {
		return "", err
	}
	return p.name + " was started", s.started(ctx, p)
}

// started: a sentinel forgets its short periods when it ends.
func (s *servers) started(ctx context.Context, p server) error {
	if p.kind != redisproc.Sentinel {
		return nil
	}
	return s.set.SetFast(ctx, true)
}

// failover begins a planned failover.
func (s *servers) failover(ctx context.Context, targets []string, now Snapshot) (string, error) {
	switch s.options.Mode {
	case Standalone:
		return "", errors.New("one server has nobody to fail over to: start a set without --standalone")
	case Sentinel:
		if len(targets) > 0 && targets[0] != "master" {
			return "", errors.New("the sentinels choose the replica: leave the name out")
		}
		if err := s.set.Failover(ctx); err != nil {
			return "", err
		}
		return "a failover has begun", nil
	}
	replica, err := s.successor(targets, now)
	if err != nil {
		return "", err
	}
	if err := s.cluster.Failover(ctx, replica.Process, redisproc.Planned); err != nil {
		return "", err
	}
	return "a failover to " + replica.name + " has begun", nil
}

// successor is the replica of a Cluster that is to become master: the one named, one of the master
// named, or one of the first master.
func (s *servers) successor(targets []string, now Snapshot) (server, error) {
	if len(targets) == 0 {
		targets = []string{"master"}
	}
	found, err := s.find(targets, now)
	if err != nil {
		return server{}, err
	}
	n, _ := now.node(found[0].name)
	if !n.Master {
		return found[0], nil
	}
	replica := now.replicaOf(n.Name)
	if replica == "" {
		return server{}, fmt.Errorf("%s has no replica in sync", n.Name)
	}
	found, err = s.find([]string{replica}, now)
	if err != nil {
		return server{}, err
	}
	return found[0], nil
}
