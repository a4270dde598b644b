package drill

import (
	"context"
	"errors"
	"fmt"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// PlannedFailover is the trigger that lets a replica take over from a master that lives.
func PlannedFailover(t survey.Target, s *survey.Survey) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if s.Mode == health.ModeCluster {
			return clusterFailover(ctx, t, s)
		}
		return sentinelFailover(ctx, t, s)
	}
}

// sentinelFailover tells the first sentinel that takes the order. One that answers nothing may have taken it: no other is
// told then.
func sentinelFailover(ctx context.Context, t survey.Target, s *survey.Survey) (string, error) {
	var errs []error
	for _, w := range s.Sentinels {
		link, err := t.ConnectSentinel(ctx, w)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r, err := link.Ask(ctx, plainTimeout, []string{"SENTINEL", "FAILOVER", s.MasterName})
		link.Close()
		if err == nil {
			err = r[0].Err
		}
		return "SENTINEL FAILOVER to " + w.Addr, err
	}
	return "", errors.Join(errs...)
}

// clusterFailover tells the first replica that is in sync.
func clusterFailover(ctx context.Context, t survey.Target, s *survey.Survey) (string, error) {
	for _, n := range s.Nodes {
		if n.Fault != nil || !n.Role.Linked() {
			continue
		}
		link, err := t.ConnectNode(ctx, n)
		if err != nil {
			return "", err
		}
		defer link.Close()
		r, err := link.Ask(ctx, plainTimeout, []string{"CLUSTER", "FAILOVER"})
		if err == nil {
			err = r[0].Err
		}
		return fmt.Sprintf("CLUSTER FAILOVER to %s, a replica of %s", n.Addr, n.Role.Master), err
	}
	return "", errors.New("no replica is in sync")
}
