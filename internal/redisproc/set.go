package redisproc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Set is a master, its replicas and its sentinels. Which node is the master changes; the nodes and
// sentinels are those it was started with, dead or alive. It owns them all: Close ends them.
type Set struct {
	options   SetOptions
	nodes     []*Process
	sentinels []*Process
}

// StartSet starts a set and returns when a failover is possible, as WaitHealthy says it.
func StartSet(ctx context.Context, o SetOptions) (*Set, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("start a sentinel set: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	s := &Set{options: o}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start a sentinel set: %w", err), s.Close())
	}
	return s, nil
}

// start goes from the master outwards, each circle when the one before is well: a replica that finds
// nobody to talk to, and a sentinel that finds a replica out of sync, look again only after a second.
func (s *Set) start(ctx context.Context) error {
	var err error
	if s.nodes, err = startAll(ctx, 1, func(int) Options { return s.options.node(0, "") }); err != nil {
		return err
	}
	master := s.nodes[0].Addr()
	replicas, err := startAll(ctx, s.options.Replicas, func(i int) Options { return s.options.node(i+1, master) })
	s.nodes = append(s.nodes, replicas...)
	if err != nil {
		return err
	}
	if err := s.waitNodes(ctx, master); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(master)
	if err != nil {
		return err
	}
	sentinel := func(i int) Options { return s.options.sentinel(i, host, port) }
	if s.sentinels, err = startAll(ctx, s.options.Sentinels, sentinel); err != nil {
		return err
	}
	return s.settle(ctx)
}

// settle waits until the set is healthy. Meanwhile the sentinels are in a hurry to find each other
// but not to fail over: a machine busy with starting all this would look like a dead master.
func (s *Set) settle(ctx context.Context) error {
	if err := errors.Join(s.setPeriods(ctx, startPeriods), s.setDownAfter(ctx, startDownAfter)); err != nil {
		return err
	}
	if err := s.WaitHealthy(ctx); err != nil {
		return err
	}
	if err := errors.Join(s.setDownAfter(ctx, s.options.DownAfter), s.SetFast(ctx, s.options.Fast)); err != nil {
		return err
	}
	return s.WaitHealthy(ctx)
}

// startAll starts n processes at once. What was started is returned also with an error.
func startAll(ctx context.Context, n int, options func(i int) Options) ([]*Process, error) {
	processes, errs := make([]*Process, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { processes[i], errs[i] = Start(ctx, options(i)) })
	}
	wg.Wait()
	started := slices.DeleteFunc(processes, func(p *Process) bool { return p == nil })
	return started, errors.Join(errs...)
}

// MasterName is the name under which the sentinels know the set.
func (s *Set) MasterName() string { return s.options.MasterName }

// Nodes are the data nodes; the first was the first master.
func (s *Set) Nodes() []*Process { return slices.Clone(s.nodes) }

// Sentinels are the sentinels.
func (s *Set) Sentinels() []*Process { return slices.Clone(s.sentinels) }

// Node is the data node with this address, or nil.
func (s *Set) Node(addr string) *Process {
	for _, n := range s.nodes {
		if n.Addr() == addr {
			return n
		}
	}
	return nil
}

// Failover asks a sentinel for a planned failover and returns when it has begun. It is refused
// while another one is under way and when no replica is fit to become master.
func (s *Set) Failover(ctx context.Context) error {
	var errs []error
	for _, p := range s.sentinels {
		_, err := p.Do(ctx, "SENTINEL", "FAILOVER", s.options.MasterName)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		if _, refused := errors.AsType[ReplyError](err); refused {
			break // the others would say the same, or worse, begin
		}
	}
	return fmt.Errorf("failover of %s: %w", s.options.MasterName, errors.Join(errs...))
}

// Close ends every process, sentinels first, lest they begin a failover.
func (s *Set) Close() error {
	return errors.Join(closeAll(s.sentinels), closeAll(s.nodes))
}

func closeAll(processes []*Process) error {
	errs := make([]error, len(processes))
	var wg sync.WaitGroup
	for i, p := range processes {
		wg.Go(func() { errs[i] = p.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// pause waits for d, or returns early with the reason ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
