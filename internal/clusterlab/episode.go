package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// scenario is what happens in an episode.
type scenario struct {
	name  string
	about string
	options
	play     func(*episode) error
	promoted []string // which nodes must be promoted, in this order; another course is not recorded
}

// options are what differs from three masters with a replica each.
type options struct {
	noReplicas bool
	replicas   int // default 1
	partial    bool
	persistent bool
	atomic     bool // only some servers can
	twice      bool // a second cluster of three masters, o0 to o2
}

const (
	nodeTimeout = time.Second
	before      = 1200 * time.Millisecond // recorded before the fault
	after       = 1500 * time.Millisecond // recorded after things are calm
	tooLong     = time.Minute             // for anything to happen
)

// episode is one run of a scenario.
type episode struct {
	scenario
	ctx     context.Context
	cluster *redisproc.Cluster
	other   *redisproc.Cluster
	rec     *recorder
	head    header
	zero    time.Time // the first action
	truth   truth

	strangers []string // nodes that no longer belong to the cluster
}

// play runs the scenario and records it.
func play(ctx context.Context, s scenario) (_ *episode, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	e := &episode{scenario: s, ctx: ctx}
	defer func() { err = errors.Join(err, e.close()) }()
	if err := e.start(); err != nil {
		return nil, err
	}
	e.rec = newRecorder(ctx, e.named(), e.head.shards())
	err = e.course()
	e.rec.stop()
	if err != nil {
		return nil, err
	}
	if e.truth, err = e.findTruth(); err != nil {
		return nil, err
	}
	return e, e.asExpected()
}

func (e *episode) close() error {
	var errs []error
	for _, c := range []*redisproc.Cluster{e.cluster, e.other} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// course is what is recorded.
func (e *episode) course() error {
	e.sleep(before)
	if err := e.play(e); err != nil {
		return err
	}
	e.sleep(after)
	return context.Cause(e.ctx)
}

func (e *episode) start() (err error) {
	o := redisproc.ClusterOptions{
		Replicas: max(e.replicas, 1), NodeTimeout: nodeTimeout, PartialCoverage: e.partial, Persistence: e.persistent,
	}
	if e.noReplicas {
		o.Replicas = 0
	}
	if e.cluster, err = redisproc.StartCluster(e.ctx, o); err != nil {
		return err
	}
	if e.twice {
		if e.other, err = redisproc.StartCluster(e.ctx, redisproc.ClusterOptions{NodeTimeout: nodeTimeout}); err != nil {
			return err
		}
	}
	e.head, err = e.describe()
	return err
}

// node is a node with its name.
type node struct {
	name string
	*redisproc.Process
}

func (e *episode) named() []node {
	var all []node
	for i, p := range e.cluster.Nodes() {
		all = append(all, node{fmt.Sprint("n", i), p})
	}
	if e.other != nil {
		for i, p := range e.other.Nodes() {
			all = append(all, node{fmt.Sprint("o", i), p})
		}
	}
	return all
}

// n is a node of the cluster by its number.
func (e *episode) n(i int) node { return e.named()[i] }

// did records an action that takes no time worth to speak of, and carries it out.
func (e *episode) did(a action, do func() error) error {
	e.note(a)
	if err := do(); err != nil {
		return fmt.Errorf("%s %s: %w", a.What, a.On, err)
	}
	return nil
}

// took is did for what takes its time: its end is recorded too.
func (e *episode) took(a action, do func() error) error {
	if err := e.did(a, do); err != nil {
		return err
	}
	a.Done = true
	e.note(a)
	return nil
}

func (e *episode) note(a action) {
	at := time.Now()
	if e.zero.IsZero() {
		e.zero = at
	}
	a.Src, a.Kind = "lab", "action"
	e.rec.add(at, &a)
}

func (e *episode) kill(n node) error { return e.did(action{What: "kill", On: n.name}, n.Kill) }

// restart starts a node that was killed, as the member it was and without data.
func (e *episode) restart(n node) error {
	return e.took(action{What: "restart", On: n.name, Text: "without data, as the same member"}, func() error {
		return n.Restart(e.ctx, redisproc.Empty)
	})
}

func (e *episode) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-e.ctx.Done():
	}
}

// waitMaster waits until another node than old owns slot, and a moment more.
func (e *episode) waitMaster(slot int, old node) (node, error) {
	ctx, cancel := context.WithTimeout(e.ctx, tooLong)
	defer cancel()
	p, err := e.cluster.WaitMaster(ctx, slot, old.Process)
	if err != nil {
		return node{}, err
	}
	i := slices.IndexFunc(e.named(), func(n node) bool { return n.Process == p })
	e.sleep(500 * time.Millisecond)
	return e.named()[i], nil
}

func (e *episode) waitHealthy() error {
	ctx, cancel := context.WithTimeout(e.ctx, tooLong)
	defer cancel()
	return e.cluster.WaitHealthy(ctx)
}

// asExpected: an episode in which a busy machine has made the cluster do something else is not worth keeping.
func (e *episode) asExpected() error {
	var got []string
	for _, m := range e.truth.Promoted {
		got = append(got, m.Node)
	}
	if len(got) != len(e.promoted) {
		return fmt.Errorf("promoted were %v, and %v was expected", got, e.promoted)
	}
	for i, names := range e.promoted {
		if !slices.Contains(strings.Split(names, "|"), got[i]) {
			return fmt.Errorf("promoted were %v, and %v was expected", got, e.promoted)
		}
	}
	return nil
}
