package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/redisproc"
)

// bed is how a set of processes on this machine is started.
type bed struct {
	appendOnly bool // a killed node comes back with its data
	patient    bool // the sentinels wait for at least patientDownAfter
	proxied    bool // the libraries reach everything through proxies
}

// patientDownAfter leaves a master time to restart: a sentinel's last answer may
// be a second old when the master is killed.
const patientDownAfter = 3 * time.Second

// then starts a set and lets the fault choose what happens to it.
func (b bed) then(harm func(*scene, *redisproc.Set)) func(context.Context, time.Duration) (*scene, error) {
	return func(ctx context.Context, downAfter time.Duration) (*scene, error) {
		if b.patient {
			downAfter = max(downAfter, patientDownAfter)
		}
		set, err := redisproc.StartSet(ctx, redisproc.SetOptions{
			Replicas: replicas, Sentinels: sentinels, DownAfter: downAfter, FailoverTimeout: failoverTimeout,
			Persistence: b.appendOnly, Config: []string{"repl-diskless-sync-delay 0"},
		})
		if err != nil {
			return nil, err
		}
		s := &scene{masterName: set.MasterName(), nodes: addrs(set.Nodes()), sentinels: addrs(set.Sentinels()), close: set.Close}
		if b.proxied {
			if s.lines, err = newLines(append(addrs(set.Nodes()), s.sentinels...)); err != nil {
				return nil, errors.Join(err, set.Close())
			}
			s.close = func() error { return errors.Join(s.lines.close(), set.Close()) }
		}
		harm(s, set)
		return s, nil
	}
}

func addrs(processes []*redisproc.Process) []string {
	var all []string
	for _, p := range processes {
		all = append(all, p.Addr())
	}
	return all
}

func killed(s *scene, set *redisproc.Set) {
	s.inject = func(context.Context) error { return set.Nodes()[0].Kill() }
}

func hung(s *scene, set *redisproc.Set) {
	s.inject = func(context.Context) error { return set.Nodes()[0].Pause() }
	s.heal = func(context.Context) error { return set.Nodes()[0].Resume() }
}

func planned(s *scene, set *redisproc.Set) { s.inject = set.Failover }

// cutOff ends the replicas' links before the master is killed.
func cutOff(s *scene, set *redisproc.Set) {
	master, replicas := set.Nodes()[0], set.Nodes()[1:]
	s.before = func(ctx context.Context) error { return unlink(ctx, master, replicas) }
	s.inject = func(ctx context.Context) error {
		if err := unlinked(ctx, replicas); err != nil {
			return err
		}
		return errors.Join(master.Kill(), setMasterAuth(ctx, replicas, ""))
	}
}

// stalled lets writes time out that the master executes when it goes on, and
// that no replica has when it is killed.
func stalled(s *scene, set *redisproc.Set) {
	cutOff(s, set)
	cut, master := s.before, set.Nodes()[0]
	s.before = func(ctx context.Context) error {
		if err := errors.Join(cut(ctx), master.Pause()); err != nil {
			return err
		}
		return errors.Join(machine.Pause(ctx, stall), master.Resume())
	}
}

// stall is longer than evercache waits for a write, and shorter than down-after.
const stall = 450 * time.Millisecond

// unlink ends the links of a master's replicas: one that logs in with a password
// to a master that has none is refused, again and again, and as fit to be
// promoted as ever.
func unlink(ctx context.Context, master *redisproc.Process, replicas []*redisproc.Process) error {
	if err := setMasterAuth(ctx, replicas, "wrong"); err != nil {
		return err
	}
	_, err := master.Do(ctx, "CLIENT", "KILL", "TYPE", "replica")
	return err
}

func setMasterAuth(ctx context.Context, nodes []*redisproc.Process, password string) error {
	var errs []error
	for _, n := range nodes {
		_, err := n.Do(ctx, "CONFIG", "SET", "masterauth", password)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// unlinked is an error if a replica has a link to its master.
func unlinked(ctx context.Context, nodes []*redisproc.Process) error {
	for _, n := range nodes {
		if reply := ask(ctx, n.Addr(), "ROLE"); len(reply) > 3 && reply[3] == any("connected") {
			return fmt.Errorf("the replication of %s was not cut", n.Addr())
		}
	}
	return nil
}

func blinking(s *scene, _ *redisproc.Set) {
	s.inject = func(context.Context) error { return s.lines.cut() }
	s.heal = func(context.Context) error { return s.lines.heal() }
}

func allKilled(s *scene, set *redisproc.Set) {
	s.inject = func(context.Context) error { return each(set.Nodes(), (*redisproc.Process).Kill) }
	s.heal = func(ctx context.Context) error {
		return each(set.Nodes(), func(p *redisproc.Process) error { return p.Start(ctx) })
	}
}

// each does something to all processes at the same time.
func each(processes []*redisproc.Process, do func(*redisproc.Process) error) error {
	errs := make([]error, len(processes))
	var wg sync.WaitGroup
	for i, p := range processes {
		wg.Go(func() { errs[i] = do(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// restarted comes back with what is on the disk: nothing, if nothing was saved.
func restarted(s *scene, set *redisproc.Set) {
	s.inject = func(context.Context) error { return set.Nodes()[0].Kill() }
	s.heal = set.Nodes()[0].Start
}

func restartedOlder(s *scene, set *redisproc.Set) {
	restarted(s, set)
	s.before = func(ctx context.Context) error {
		reply, err := set.Nodes()[0].Do(ctx, "SAVE")
		if text, _ := reply.(string); err == nil && !strings.EqualFold(text, "OK") {
			err = fmt.Errorf("SAVE answered %v", reply)
		}
		return err
	}
}
