package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/redisproc"
)

const (
	clusterMasters = 3
	clusterNodes   = 2 * clusterMasters // each has a replica
	// patientNodeTimeout leaves a master time to restart before it is missed.
	patientNodeTimeout = 5 * time.Second
)

// ring is a Redis Cluster and how the keys of an episode lie there.
type ring struct {
	cluster *redisproc.Cluster
	layout  layout
}

// shard is the i-th of a fresh Cluster: its master and its replica.
func (r *ring) shard(i int) (master, replica *redisproc.Process) {
	nodes := r.cluster.Nodes()
	return nodes[i], nodes[clusterMasters+i]
}

// share are the slots that the i-th shard begins with.
func share(i int) redisproc.SlotRange {
	return redisproc.SlotRange{First: redisproc.Slots * i / clusterMasters, Last: redisproc.Slots*(i+1)/clusterMasters - 1}
}

// circle is how a Cluster is started.
type circle struct {
	patient bool // its nodes wait for at least patientNodeTimeout
}

// then starts a Cluster and lets the fault choose what happens to it.
func (c circle) then(harm func(*scene, *ring)) func(context.Context, time.Duration) (*scene, error) {
	return func(ctx context.Context, nodeTimeout time.Duration) (*scene, error) {
		if c.patient {
			nodeTimeout = max(nodeTimeout, patientNodeTimeout)
		}
		cluster, err := redisproc.StartCluster(ctx, redisproc.ClusterOptions{
			Masters: clusterMasters, Replicas: 1, NodeTimeout: nodeTimeout, Config: []string{"repl-diskless-sync-delay 0"},
		})
		if err != nil {
			return nil, err
		}
		s := &scene{ring: &ring{cluster: cluster}, close: cluster.Close}
		harm(s, s.ring)
		return s, nil
	}
}

// strikes says that the fault is one of the whole first shard, and returns its nodes.
func (r *ring) strikes(s *scene) (master, replica *redisproc.Process) {
	master, replica = r.shard(0)
	s.nodes = []string{master.Addr(), replica.Addr()}
	r.layout = layout{struck: []redisproc.SlotRange{share(0)}, others: []redisproc.SlotRange{share(1), share(2)}}
	return master, replica
}

func masterKilled(s *scene, r *ring) {
	master, _ := r.strikes(s)
	s.inject = func(context.Context) error { return master.Kill() }
}

func masterHung(s *scene, r *ring) {
	master, _ := r.strikes(s)
	s.inject = func(context.Context) error { return master.Pause() }
	s.heal = func(context.Context) error { return master.Resume() }
}

// handedOver makes the replica the master while the old one lives.
func handedOver(how redisproc.Handover) func(*scene, *ring) {
	return func(s *scene, r *ring) {
		_, replica := r.strikes(s)
		s.inject = func(ctx context.Context) error { return r.cluster.Failover(ctx, replica, how) }
	}
}

// backEmpty: the master is back when it serves. A master that has restarted refuses
// everything for two seconds, and its replica takes over that it holds nothing.
func backEmpty(s *scene, r *ring) {
	master, _ := r.strikes(s)
	s.inject = func(context.Context) error { return master.Kill() }
	s.heal = func(ctx context.Context) error {
		if err := master.Restart(ctx, redisproc.Empty); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, calmTimeout)
		defer cancel()
		return until(ctx, func() bool { return lookAt(ctx, master).ok })
	}
}

// moved are the slots that are given away, all of the first shard's.
var moved = redisproc.SlotRange{First: 1000, Last: 1099}

// targetLost moves slots to the second shard while its replica does not hear of
// them, and kills its master.
func targetLost(s *scene, r *ring) {
	source, _ := r.shard(0)
	target, replica := r.shard(1)
	deaf := []*redisproc.Process{replica}
	s.nodes = []string{target.Addr(), replica.Addr()}
	first := share(0)
	r.layout = layout{struck: []redisproc.SlotRange{moved}, others: []redisproc.SlotRange{
		{First: first.First, Last: moved.First - 1}, {First: moved.Last + 1, Last: first.Last}, share(2),
	}}
	s.before = func(ctx context.Context) error {
		if err := unlink(ctx, target, deaf); err != nil {
			return err
		}
		return r.cluster.Reshard(ctx, source, target, moved, redisproc.Done)
	}
	s.inject = func(ctx context.Context) error {
		if err := unlinked(ctx, deaf); err != nil {
			return err
		}
		return errors.Join(target.Kill(), setMasterAuth(ctx, deaf, ""))
	}
}

// seenFrom is where the libraries of a repetition find the Cluster. Another node
// is the first one in every repetition.
func (r *ring) seenFrom(repetition int) place {
	all := addrs(r.cluster.Nodes())
	i := repetition % len(all)
	return place{cluster: slices.Concat(all[i:], all[:i]), layout: &r.layout}
}

// calm waits until every node that answers serves, and all name the same owners.
// With an error they are what one node says.
func (r *ring) calm(ctx context.Context) (holder, error) {
	for {
		all := r.look(ctx)
		if owners := agreed(all); owners != nil {
			return owners.holder(), nil
		}
		err := machine.Pause(ctx, 100*time.Millisecond)
		if err == nil {
			continue
		}
		err = fmt.Errorf("the nodes of the Cluster do not agree: %w", err)
		if i := slices.IndexFunc(all, func(n nodeSays) bool { return n.ok && n.owners != nil }); i >= 0 {
			return all[i].owners.holder(), err
		}
		return nil, err
	}
}

// look asks all nodes at the same time.
func (r *ring) look(ctx context.Context) []nodeSays {
	nodes := r.cluster.Nodes()
	all := make([]nodeSays, len(nodes))
	var wg sync.WaitGroup
	for i, p := range nodes {
		wg.Go(func() { all[i] = lookAt(ctx, p) })
	}
	wg.Wait()
	return all
}

func lookAt(ctx context.Context, p *redisproc.Process) nodeSays {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	replies, err := p.Pipeline(ctx, []string{"CLUSTER", "SLOTS"}, []string{"CLUSTER", "INFO"})
	if err != nil {
		return nodeSays{addr: p.Addr()}
	}
	return nodeSaysOf(p.Addr(), replies)
}
