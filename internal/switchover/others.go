package switchover

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// coordinated lets the servers of a Sentinel set do it by themselves.
func (r *run) coordinated(ctx context.Context) error {
	old, replicas := node(r.Target, r.plan.master), r.servers()
	defer closeAll(append(replicas, old))
	if err := r.tidy(ctx, old, r.plan.nodes); err != nil {
		return err
	}
	back, err := r.prefer(ctx, old, replicas)
	defer back()
	if err != nil {
		return err
	}
	leader, err := r.order(ctx, "SENTINEL", "FAILOVER", r.plan.MasterName, "COORDINATED")
	if err != nil {
		return err
	}
	defer leader.close()
	return r.watch(context.WithoutCancel(ctx))
}

// cluster tells the replica to take over. Its master holds writes back until it has them all.
func (r *run) cluster(ctx context.Context) error {
	replica := node(r.Target, r.plan.replicas[0])
	defer replica.close()
	denied, err := replica.mayNot(ctx, []string{"CLUSTER", "FAILOVER"}, []string{"ROLE"})
	if err != nil {
		return err
	}
	if len(denied) > 0 {
		return fmt.Errorf("%s: the ACL forbids %s; allow them to our user, or use another one", replica.addr, strings.Join(denied, ", "))
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r.ordered = time.Now()
	if _, err := replica.do(ctx, "CLUSTER", "FAILOVER"); err != nil {
		return err
	}
	r.step("%s was told to take over from %s", replica.addr, r.plan.From)
	return r.watch(context.WithoutCancel(ctx))
}

// watch waits until one of the replicas is master, where the servers hold writes back by themselves.
func (r *run) watch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pauseMost)
	defer cancel()
	replicas := r.servers()
	defer closeAll(replicas)
	for {
		for _, s := range replicas {
			if is, err := s.isMaster(ctx); err == nil && is {
				r.promoted(s.addr)
				return nil
			}
		}
		if err := pause(ctx, look); err != nil {
			r.report.State = fmt.Sprintf("%s is the master and takes writes; no replica has taken over within %v, and the servers lose nothing by themselves", r.plan.From, pauseMost)
			return errNotPromoted
		}
	}
}

func closeAll(all []*server) {
	for _, s := range all {
		s.close()
	}
}

func (r *run) servers() (all []*server) {
	for _, n := range r.plan.replicas {
		all = append(all, node(r.Target, n))
	}
	return all
}
