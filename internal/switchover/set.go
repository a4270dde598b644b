package switchover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/survey"
)

// set carries out the plan of a Sentinel set.
func (r *run) set(ctx context.Context) error {
	old := node(r.Target, r.plan.master)
	defer old.close()
	var replicas []*server
	for _, n := range r.plan.replicas {
		s := node(r.Target, n)
		defer s.close()
		replicas = append(replicas, s)
	}
	if err := r.ready(ctx, old, replicas); err != nil {
		return err
	}
	if err := r.tidy(ctx, old, r.plan.nodes); err != nil {
		return err
	}
	back, err := r.prefer(ctx, old, replicas)
	defer back()
	if err != nil {
		return err
	}
	defer r.unpause(ctx, old) // whatever comes
	if err := r.pause(ctx, old); err != nil {
		return err
	}
	if err := r.level(ctx, old, replicas); err != nil {
		return err
	}
	leader, err := r.order(ctx, "SENTINEL", "FAILOVER", r.plan.MasterName)
	if err != nil {
		return err
	}
	defer leader.close()
	ctx = context.WithoutCancel(ctx)
	next, err := r.await(ctx, old, leader, replicas)
	if err != nil {
		return err
	}
	r.promoted(next)
	return r.demote(ctx, old, next)
}

// ready asks everything that can be asked before anything is done.
func (r *run) ready(ctx context.Context, old *server, replicas []*server) error {
	denied, err := old.mayNot(ctx,
		[]string{"CLIENT", "PAUSE", "1", "WRITE"}, []string{"CLIENT", "UNPAUSE"}, []string{"CLIENT", "KILL", "TYPE", "normal"},
		[]string{"REPLICAOF", "NO", "ONE"}, []string{"INFO", "replication"}, []string{"ROLE"})
	if err != nil {
		return err
	}
	if len(denied) > 0 {
		return fmt.Errorf("%s: the ACL forbids %s; allow them to our user, or use another one", old.addr, strings.Join(denied, ", "))
	}
	for _, s := range replicas {
		if _, err := s.replication(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prefer lets the sentinels choose the replica that was named. back undoes that.
func (r *run) prefer(ctx context.Context, old *server, replicas []*server) (back func(), err error) {
	if r.plan.priority == 0 {
		return func() {}, nil
	}
	i := slices.IndexFunc(replicas, func(s *server) bool { return s.addr == r.plan.To })
	chosen := replicas[i]
	back = func() {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpMost)
		defer cancel()
		if _, err := chosen.do(undo, "CONFIG", "SET", "replica-priority", strconv.FormatInt(r.plan.restore, 10)); err != nil {
			r.step("set replica-priority of %s back to %d by hand: %v", chosen.addr, r.plan.restore, err)
			return
		}
		r.step("%s has replica-priority %d again", chosen.addr, r.plan.restore)
		master := old
		if i := slices.IndexFunc(replicas, func(s *server) bool { return s.addr == r.report.Promoted }); i >= 0 {
			master = replicas[i]
		}
		r.forget(undo, master)
	}
	r.note(ctx, old)
	r.step("%s gets replica-priority %d, until all sentinels prefer it", chosen.addr, r.plan.priority)
	if _, err := chosen.do(ctx, "CONFIG", "SET", "replica-priority", strconv.FormatInt(r.plan.priority, 10)); err != nil {
		if chosen.link != nil { // it has answered, and refused
			back = func() {}
		}
		return back, err
	}
	return back, r.preferred(ctx)
}

// preferred waits until each sentinel has heard of the priority: they ask every ten seconds.
func (r *run) preferred(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	for {
		s := survey.Take(ctx, r.Target)
		knows := 0
		for _, w := range s.Sentinels {
			if slices.ContainsFunc(w.Replicas, func(f survey.Fields) bool {
				n := s.Node(f.Addr())
				return n != nil && n.Addr == r.plan.To && f["slave-priority"] == strconv.FormatInt(r.plan.priority, 10)
			}) {
				knows++
			}
		}
		if knows > 0 && knows >= len(r.plan.sentinels) {
			return nil
		}
		if err := pause(ctx, lookAll); err != nil {
			return fmt.Errorf("%d of %d sentinels have heard of the priority of %s: %w", knows, len(r.plan.sentinels), r.plan.To, err)
		}
	}
}

// pause holds writes back on the master.
func (r *run) pause(ctx context.Context, old *server) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	began := time.Now()
	// Whoever gives up waiting for the answer does not know whether it is paused. So it counts as paused.
	r.paused, r.renewed = began, began
	if _, err := old.do(ctx, "CLIENT", "PAUSE", strconv.FormatInt(pauseFor.Milliseconds(), 10), "WRITE"); err != nil {
		return err
	}
	r.step("%s holds writes back", old.addr)
	return nil
}

// renew makes the pause longer, once a second. That it fails is told once.
func (r *run) renew(ctx context.Context, old *server) {
	if time.Since(r.renewed) < renewEvery {
		return
	}
	r.renewed = time.Now()
	_, err := old.do(ctx, "CLIENT", "PAUSE", strconv.FormatInt(pauseFor.Milliseconds(), 10), "WRITE")
	if err != nil && !r.unrenewed {
		r.step("the pause of %s could not be renewed: %v", old.addr, err)
	}
	r.unrenewed = err != nil
}

// unpause ends the pause, once.
func (r *run) unpause(ctx context.Context, old *server) {
	if r.paused.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpMost)
	defer cancel()
	_, err := old.do(ctx, "CLIENT", "UNPAUSE")
	if err != nil {
		_, err = old.do(ctx, "CLIENT", "UNPAUSE") // on another connection
	}
	held := time.Since(r.paused)
	r.paused = time.Time{}
	if r.gone {
		return
	}
	r.report.PauseMS = new(millis(held))
	if err != nil {
		r.step("the pause could not be ended, and ends by itself within %v: %v", pauseFor, err)
		return
	}
	r.step("%s holds writes back no more", old.addr)
}

// level waits until every replica that may be promoted has all that the master has.
func (r *run) level(ctx context.Context, old *server, replicas []*server) error {
	ctx, cancel := context.WithTimeout(ctx, levelMost)
	defer cancel()
	master, err := old.replication(ctx)
	if err != nil {
		return err
	}
	if master.role != "master" {
		return fmt.Errorf("%s is no master any more", old.addr)
	}
	for _, s := range replicas {
		for {
			has, err := s.replication(ctx)
			if err == nil && has.level(master) {
				break
			}
			if ctx.Err() != nil || pause(ctx, look) != nil {
				return fmt.Errorf("%s does not have all writes of the master within %v: offset %d of %d", s.addr, levelMost, has.offset, master.offset)
			}
		}
	}
	r.step("all replicas have all writes (offset %d)", master.offset)
	return nil
}

// order tells a sentinel to begin. A further one is told only when the one before cannot have heard it.
func (r *run) order(ctx context.Context, words ...string) (*server, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	var errs []error
	for _, w := range r.plan.sentinels {
		s := sentinel(r.Target, w)
		if _, err := s.do(ctx, "PING"); err != nil {
			errs = append(errs, err)
			continue
		}
		r.ordered = time.Now()
		if _, err := s.do(ctx, words...); err != nil {
			defer s.close()
			if s.link != nil { // it has answered, and refused
				return nil, err
			}
			r.step("%v: it may have begun all the same", err)
		} else {
			r.step("sentinel %s was told to promote a replica", s.addr)
		}
		return s, nil
	}
	return nil, errors.Join(errs...)
}

// await waits until a replica is master. The pause is renewed meanwhile: writes that the old master took now would be
// lost.
func (r *run) await(ctx context.Context, old, leader *server, replicas []*server) (string, error) {
	ctx, cancel := context.WithDeadline(ctx, r.paused.Add(pauseMost))
	defer cancel()
	asked := time.Now()
	for {
		for _, s := range replicas {
			if is, err := s.isMaster(ctx); err == nil && is {
				return s.addr, nil
			}
			r.renew(ctx, old) // one that hangs takes its time
		}
		if time.Since(asked) > renewEvery {
			asked = time.Now()
			if ended, err := r.ended(ctx, leader); err == nil && ended && r.stillReplicas(ctx, replicas) {
				r.report.State = fmt.Sprintf("the sentinels gave the failover up: %s is the master and takes writes; nothing was lost", old.addr)
				return "", errNotPromoted
			}
		}
		if err := pause(ctx, look); err != nil {
			r.report.State = fmt.Sprintf("%s is the master and takes writes. The failover may still be under way: what is written until it ends may be lost. Look at evercache status", old.addr)
			return "", errNotPromoted
		}
	}
}

// stillReplicas reports whether every replica says that it is one: the failover may have ended well just now.
func (r *run) stillReplicas(ctx context.Context, replicas []*server) bool {
	for _, s := range replicas {
		if is, err := s.isMaster(ctx); err != nil || is {
			return false
		}
	}
	return true
}

// ended reports whether the leader has no failover under way any more.
func (r *run) ended(ctx context.Context, leader *server) (bool, error) {
	reply, err := leader.do(ctx, "SENTINEL", "MASTER", r.plan.MasterName)
	if err != nil {
		return false, err
	}
	return !strings.Contains(fmt.Sprint(reply.Value), "failover_in_progress"), nil
}
