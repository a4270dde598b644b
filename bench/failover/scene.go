package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/evercache/evercache/bench/machine"
)

const (
	replicas        = 2
	sentinels       = 3
	failoverTimeout = 10 * time.Second
)

// scene is a healthy set or Cluster and what will happen to it.
type scene struct {
	masterName string
	nodes      []string // of the set, or of the shard that fails; the first is the master
	sentinels  []string
	lines      lines // nil: the libraries reach it directly
	ring       *ring // nil: it is a set

	before func(ctx context.Context) error // nil: nothing goes before
	inject func(ctx context.Context) error
	heal   func(ctx context.Context) error // nil: nothing is healed
	close  func() error
}

// seenFrom is where the libraries of a repetition find the set. Peers listen to
// the sentinel that they reach first, and whether that is the one that leads the
// failover costs them a second: it is another one in every repetition.
func (s *scene) seenFrom(repetition int) place {
	if s.ring != nil {
		return s.ring.seenFrom(repetition)
	}
	i := repetition % len(s.sentinels)
	p := place{masterName: s.masterName, detours: s.lines.detours()}
	for _, addr := range slices.Concat(s.sentinels[i:], s.sentinels[:i]) {
		p.sentinels = append(p.sentinels, p.dialled(addr))
	}
	return p
}

// view is who names whom at one moment.
type view struct {
	named []string // by each sentinel; "" where it does not answer
	roles []role   // of each node
}

// role is a node's answer to ROLE; nothing is set where there is none.
type role struct {
	addr   string
	master bool
	of     string // a replica's master
}

// settled is the master that a majority of the sentinels and every node that
// answers agree on, or "".
func (v view) settled() string {
	master := v.majority()
	said := false
	for _, r := range v.roles {
		switch {
		case !r.master && r.of == "":
		case r.master && r.addr == master:
			said = true
		case r.of != master:
			return ""
		}
	}
	if !said {
		return ""
	}
	return master
}

// majority is the address that more than half of the sentinels name, or "".
func (v view) majority() string {
	votes := map[string]int{}
	for _, addr := range v.named {
		if votes[addr]++; addr != "" && votes[addr] > len(v.named)/2 {
			return addr
		}
	}
	return ""
}

const calmTimeout = 25 * time.Second

// calm waits until everybody agrees on who holds which key: the final master.
// With an error it is the one that the majority names.
func (s *scene) calm(ctx context.Context) (holder, error) {
	ctx, cancel := context.WithTimeout(ctx, calmTimeout)
	defer cancel()
	if s.ring != nil {
		return s.ring.calm(ctx)
	}
	final, err := s.calmSet(ctx)
	if final == "" {
		return nil, errors.Join(err, errNoMaster)
	}
	return func(string) string { return final }, err
}

// holder tells which node holds a key in the end.
type holder func(key string) string

func (s *scene) calmSet(ctx context.Context) (string, error) {
	last := ""
	for {
		v := s.look(ctx)
		if m := v.settled(); m != "" {
			return m, nil
		}
		if m := v.majority(); m != "" {
			last = m
		}
		if err := machine.Pause(ctx, 100*time.Millisecond); err != nil {
			return last, fmt.Errorf("the set did not agree on a master: %w", err)
		}
	}
}

func (s *scene) look(ctx context.Context) view {
	v := view{make([]string, len(s.sentinels)), make([]role, len(s.nodes))}
	var wg sync.WaitGroup
	for i, addr := range s.sentinels {
		wg.Go(func() {
			v.named[i] = joined(ask(ctx, addr, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.masterName), 0)
		})
	}
	for i, addr := range s.nodes {
		wg.Go(func() { v.roles[i] = roleOf(addr, ask(ctx, addr, "ROLE")) })
	}
	wg.Wait()
	return v
}

// roleOf reads ROLE: ["master", …] or ["slave", ip, port, …].
func roleOf(addr string, reply []any) role {
	r := role{addr: addr}
	if len(reply) > 0 {
		r.master = reply[0] == any("master")
	}
	if !r.master {
		r.of = joined(reply, 1)
	}
	return r
}

// joined is host:port of the two elements from i, or "".
func joined(list []any, i int) string {
	if len(list) < i+2 {
		return ""
	}
	return net.JoinHostPort(fmt.Sprint(list[i]), fmt.Sprint(list[i+1]))
}

const askTimeout = 300 * time.Millisecond

// ask is the list that a process answers within askTimeout, or nil.
func ask(ctx context.Context, addr string, command ...any) []any {
	c := redis.NewClient(&redis.Options{
		Addr: addr, PoolSize: 1, MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true,
	})
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	list, err := c.Do(ctx, command...).Slice()
	if err != nil {
		return nil
	}
	return list
}

var errNoMaster = errors.New("no sentinel names a master at the end")
