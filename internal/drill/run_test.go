package drill

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

func TestMain(m *testing.M) { testbed.Main(m, 4) }

const patience = 30 * time.Second

// stage is a set, and what is known of it.
type stage struct {
	*testing.T
	Options
}

func onSet(t *testing.T, o evercache.Options) *stage {
	t.Helper()
	target := survey.TargetOf(o)
	target.Timeout = 6 * time.Second
	s := &stage{t, Options{Redis: o, For: 5 * time.Second, Rate: 200, Compare: true}}
	testbed.Until(t, patience, func() bool {
		s.Survey = survey.Take(t.Context(), target)
		return len(disagreement(s.Survey, s.Survey)) == 0
	}, func() string { return join(disagreement(s.Survey, s.Survey)) })
	s.Tell = func(text string) { t.Log(text) }
	return s
}

func inSentinelSet(t *testing.T, opts ...redistest.Option) (*stage, *redistest.Sentinel) {
	t.Helper()
	set := redistest.StartSentinel(t, append(opts, redistest.WithDownAfter(1500*time.Millisecond))...)
	return onSet(t, evercache.Options{Sentinels: set.Addrs(), MasterName: set.MasterName()}), set
}

func (s *stage) run() Report {
	s.Helper()
	r, err := Run(s.Context(), "test", s.Options)
	if err != nil {
		s.Fatal(err)
	}
	s.Log(r.Text())
	return r
}

// lossless fails the test unless evercache has kept its promises.
func (s *stage) lossless(r Report) {
	s.Helper()
	c := r.Clients[0]
	if r.Outcome != Passed || c.FailedReads+c.MissingReads+c.FailedWrites+c.FailedDels != 0 || *c.Lost != 0 || *c.Undone != 0 {
		s.Errorf("evercache: %+v", r)
	}
	if c.Reads < 50 || c.Writes < 50 || c.Deletes < 5 || r.KeysRemoved == 0 {
		s.Errorf("%d reads, %d writes, %d deletes, %d keys", c.Reads, c.Writes, c.Deletes, r.KeysRemoved)
	}
}

// swept fails the test if keys of the drill are left.
func swept(t *testing.T, masters ...*redistest.Server) {
	t.Helper()
	for _, m := range masters {
		if left := fmt.Sprint(m.Do("KEYS", "drill:*")); left != "[]" {
			t.Errorf("left at %s: %s", m.Addr(), left)
		}
	}
}

func TestAKilledMasterUnderADrill(t *testing.T) {
	t.Parallel()
	s, set := inSentinelSet(t)
	s.Trigger, s.Gates, s.For = Kill, Gates{Gap: patience}, 10*time.Second
	s.Pull = func(context.Context) (string, error) { return set.KillMaster().Addr() + " was killed", nil }
	r := s.run()
	s.lossless(r)
	if c := r.Clients[1]; c.FailedReads == 0 || c.FailedWrites == 0 {
		t.Errorf("the plain client felt nothing: %+v", c)
	}
	m := r.Servers
	for name, at := range map[string]*float64{"suspected": m.SuspectedMS, "agreed": m.AgreedMS, "promoted": m.PromotedMS, "switched": m.SwitchedMS, "converged": m.ConvergedMS, "landing": r.Clients[0].FirstWriteMS} {
		if at == nil || *at <= 0 {
			t.Errorf("%s is not known: %+v", name, m)
		}
	}
	if c := r.Clients[0]; c.KeptWrites == 0 || c.MemoryReads == 0 || len(r.Events) == 0 || r.LostBytes == nil {
		t.Errorf("%+v", r)
	}
	swept(t, set.Master())
}

// A plain SENTINEL FAILOVER loses what a plain client writes: the comparison has to find that.
func TestAPlannedFailoverUnderADrill(t *testing.T) {
	t.Parallel()
	s, set := inSentinelSet(t)
	s.Trigger = Failover
	s.Pull = PlannedFailover(survey.TargetOf(s.Redis), s.Survey)
	r := s.run()
	s.lossless(r)
	if c := r.Clients[1]; *c.Lost == 0 || *c.Undone == 0 || r.LostBytes == nil || *r.LostBytes == 0 {
		t.Errorf("nothing of the plain client was lost: %+v", r)
	}
	swept(t, set.Master())
}

func TestADrillInACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	s := onSet(t, evercache.Options{ClusterNodes: c.Addrs()})
	s.Trigger = Failover
	s.Pull = PlannedFailover(survey.TargetOf(s.Redis), s.Survey)
	r := s.run()
	s.lossless(r)
	if r.Servers.PromotedMS == nil || r.Servers.ConvergedMS == nil || *r.Clients[1].Lost != 0 {
		t.Errorf("%+v", r)
	}
	old := c.Masters()[0]
	s = onSet(t, s.Redis)
	s.Trigger = Kill
	s.Pull = func(context.Context) (string, error) { old.Kill(); return "killed", nil }
	s.lossless(s.run())
	swept(t, c.Masters()...)
}

func TestALoadTestOfOneServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := onSet(t, evercache.Options{Addr: server.Addr(), KeyPrefix: "mine:"})
	s.Trigger, s.For = None, 2*time.Second
	r := s.run()
	s.lossless(r)
	if r.TriggerMS != nil || r.Clients[0].Read.P50MS > r.Clients[0].Read.MaxMS || r.Clients[0].HitRatio == 0 || *r.Clients[1].Lost != 0 {
		t.Errorf("%+v", r)
	}
	if left := fmt.Sprint(server.Do("KEYS", "mine:drill:*")); left != "[]" {
		t.Errorf("left: %s", left)
	}
}

// Somebody else deletes what was acknowledged: that is found, and the gate is missed.
func TestALossIsFound(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := onSet(t, evercache.Options{Addr: server.Addr()})
	s.Trigger, s.For, s.Compare = Hook, 2*time.Second, false
	s.Pull = func(context.Context) (string, error) {
		server.Do("EVAL", "for _, k in ipairs(redis.call('KEYS', 'drill:*')) do redis.call('DEL', k) end", "0")
		return "deleted", nil
	}
	if r := s.run(); r.Outcome != Missed || *r.Clients[0].Lost == 0 {
		t.Errorf("%+v", r)
	}
}

func TestADrillThatIsInterruptedCleansUp(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := onSet(t, evercache.Options{Addr: server.Addr()})
	s.Trigger, s.For = None, time.Hour
	s.Rate = 50
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var done sync.WaitGroup
	done.Go(func() {
		testbed.Until(t, patience, func() bool { return fmt.Sprint(server.Do("KEYS", "drill:test:k*")) != "[]" }, func() string { return "no key" })
		cancel()
	})
	r, err := Run(ctx, "test", s.Options)
	done.Wait()
	if err != nil || r.Outcome != Missed || !strings.Contains(fmt.Sprint(r.Faults), "ended early") || r.KeysRemoved == 0 {
		t.Errorf("%v: %+v", err, r)
	}
	swept(t, server)
}

func TestADrillWithoutAMasterIsNotBegun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := onSet(t, evercache.Options{Addr: server.Addr()})
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := Run(ctx, "test", s.Options); err == nil || !strings.Contains(err.Error(), "not connected") {
		t.Error(err)
	}
}

func TestAHookThatFailsIsAFault(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := onSet(t, evercache.Options{Addr: server.Addr()})
	s.Trigger, s.For = Hook, time.Second
	s.Pull = func(context.Context) (string, error) { return "", context.DeadlineExceeded }
	if r := s.run(); r.Outcome != Missed || len(r.Faults) != 1 || r.Mode != health.ModeStandalone.String() {
		t.Errorf("%+v", r)
	}
	swept(t, server)
}
