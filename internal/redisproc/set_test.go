package redisproc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// failoverPatience covers a split vote, after which Sentinel tries again only after twice the
// failover timeout of ten seconds.
const failoverPatience = time.Minute

// startSet is patient with the nodes, so that a busy machine does not cause failovers that the test
// did not.
func startSet(t *testing.T, o SetOptions) *Set {
	t.Helper()
	o.DownAfter = cmp.Or(o.DownAfter, 2*time.Second)
	needRedis(t)
	t.Parallel() // these tests mostly wait
	began := time.Now()
	s, err := StartSet(t.Context(), o)
	must(t, err)
	t.Logf("the set took %v to start", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range append(s.Nodes(), s.Sentinels()...) {
				t.Logf("log of %s %s:\n%s", p.options.Kind, p.Addr(), p.tail(tailLines))
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func waitMaster(t *testing.T, s *Set, not *Process) *Process {
	t.Helper()
	began := time.Now()
	master, err := s.WaitMaster(within(t, failoverPatience), not.Addr())
	must(t, err)
	t.Logf("another master after %v", time.Since(began).Round(time.Millisecond))
	return master
}

func waitHealthy(t *testing.T, s *Set) {
	t.Helper()
	began := time.Now()
	must(t, s.WaitHealthy(within(t, failoverPatience)))
	t.Logf("healthy after %v", time.Since(began).Round(time.Millisecond))
}

func masterOf(t *testing.T, s *Set) *Process {
	t.Helper()
	m := s.Master(t.Context())
	if m == nil {
		t.Fatal("no master")
	}
	return m
}

func TestSetIsReadyForAFailoverWhenStarted(t *testing.T) {
	s := startSet(t, SetOptions{})
	if n, m := len(s.Nodes()), len(s.Sentinels()); n != 3 || m != 3 {
		t.Errorf("%d nodes and %d sentinels, want 3 and 3", n, m)
	}
	master := masterOf(t, s)
	if master != s.Nodes()[0] {
		t.Errorf("master = %s, want the first node %s", master.Addr(), s.Nodes()[0].Addr())
	}
	for _, p := range s.Sentinels() {
		reply := fmt.Sprint(ask(t, p, "SENTINEL", "CKQUORUM", s.MasterName()))
		if !strings.HasPrefix(reply, "OK 3 usable Sentinels") {
			t.Errorf("CKQUORUM at %s: %s", p.Addr(), reply)
		}
	}
	must(t, s.Failover(t.Context()))
	waitMaster(t, s, master)
}

func TestSetHasRealTimingAfterTheStartUnlessFast(t *testing.T) {
	tests := []struct {
		name string
		fast bool
		want periods
	}{
		{"real", false, realPeriods},
		{"fast", true, fastPeriods},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := startSet(t, SetOptions{Fast: tt.fast, DownAfter: 2500 * time.Millisecond, FailoverTimeout: 5 * time.Second})
			for _, p := range s.Sentinels() {
				master := fields(ask(t, p, "SENTINEL", "MASTER", s.MasterName()))
				if master["down-after-milliseconds"] != "2500" || master["failover-timeout"] != "5000" || master["quorum"] != "2" {
					t.Errorf("SENTINEL MASTER = %v", master)
				}
				debug, err := p.Do(t.Context(), "SENTINEL", "DEBUG")
				if _, unknown := errors.AsType[ReplyError](err); unknown {
					t.Skip("this Redis has no SENTINEL DEBUG")
				}
				must(t, err)
				got := fields(debug)
				if got["INFO-PERIOD"] != millis(tt.want.info) || got["PUBLISH-PERIOD"] != millis(tt.want.publish) ||
					got["ASK-PERIOD"] != millis(tt.want.ask) || got["PING-PERIOD"] != millis(tt.want.ping) {
					t.Errorf("periods = %v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestPlannedFailoverThereAndBack(t *testing.T) {
	s := startSet(t, SetOptions{Replicas: 1, Fast: true})
	first := masterOf(t, s)
	must(t, s.Failover(t.Context()))
	waitMaster(t, s, first)
	if err := s.Failover(t.Context()); err != nil && !strings.Contains(err.Error(), "INPROG") && !strings.Contains(err.Error(), "NOGOODSLAVE") {
		t.Errorf("a second failover at once = %v, want success or a reason", err)
	}
	waitHealthy(t, s)
	second := masterOf(t, s)
	must(t, s.Failover(t.Context()))
	waitMaster(t, s, second)
}

func TestPersistentNodeComesBackWithItsData(t *testing.T) {
	s := startSet(t, SetOptions{Replicas: 1, Sentinels: 1, Persistence: true})
	replica := s.Nodes()[1]
	ask(t, masterOf(t, s), "SET", "k", "v")
	eventually(t, "the key at the replica", func() bool { return ask(t, replica, "GET", "k") == "v" })
	must(t, replica.Kill())
	must(t, replica.Restart(t.Context(), KeepData))
	if got := ask(t, replica, "GET", "k"); got != "v" {
		t.Errorf("GET = %v, want v", got)
	}
	waitHealthy(t, s)
}

func TestSetWithPasswordsUsersAndTLS(t *testing.T) {
	s := startSet(t, SetOptions{
		MasterName: "shop-1", Replicas: 1,
		Password: `node "pw"`, SentinelPassword: "sentinel pw", TLS: newTLS(t), RequireClientCert: true,
		Users:          []User{{"app", "x", []string{"~*", "+@all"}}},
		Config:         []string{"maxmemory 64mb"},
		SentinelConfig: []string{"sentinel parallel-syncs shop-1 2"},
	})
	old := masterOf(t, s)
	if got := fields(ask(t, old, "CONFIG", "GET", "maxmemory"))["maxmemory"]; got != "67108864" {
		t.Errorf("maxmemory = %s", got)
	}
	for _, p := range s.Sentinels() {
		if got := fields(ask(t, p, "SENTINEL", "MASTER", "shop-1"))["parallel-syncs"]; got != "2" {
			t.Errorf("parallel-syncs = %s", got)
		}
		if strings.Contains(p.Log(), `node "pw"`) {
			t.Error("a sentinel's log shows the nodes' password")
		}
	}
	must(t, old.Kill())
	waitMaster(t, s, old)
}

func TestSentinelThatReturnsIsFoundAgain(t *testing.T) {
	for _, data := range []Data{KeepData, Empty} {
		t.Run(fmt.Sprint("data ", data), func(t *testing.T) {
			s := startSet(t, SetOptions{Replicas: 1, Fast: true})
			p := s.Sentinels()[0]
			must(t, p.Kill())
			must(t, p.Restart(t.Context(), data))
			must(t, s.SetFast(t.Context(), true))
			if data == Empty {
				return // it has another id; the others remember the old one for good
			}
			waitHealthy(t, s)
		})
	}
}

func TestWaitsEndWithTheirContextAndSayWhatTheySaw(t *testing.T) {
	s := startSet(t, SetOptions{Replicas: 1, Sentinels: 1})
	master := masterOf(t, s)
	_, err := s.WaitMaster(within(t, time.Second), master.Addr())
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "names "+master.Addr()) {
		t.Errorf("WaitMaster = %v", err)
	}
	for _, p := range s.Sentinels() {
		must(t, p.Kill())
	}
	if got := s.Master(t.Context()); got != nil {
		t.Errorf("Master without sentinels = %s, want none", got.Addr())
	}
	if err := s.Failover(t.Context()); err == nil {
		t.Error("Failover without sentinels = nil")
	}
	must(t, s.Nodes()[1].Kill())
	if err := s.WaitHealthy(within(t, time.Second)); err == nil || !strings.Contains(err.Error(), s.Nodes()[1].Addr()) {
		t.Errorf("WaitHealthy with a dead node = %v, want an error that names %s", err, s.Nodes()[1].Addr())
	}
	if s.Node(master.Addr()) != master || s.Node("127.0.0.1:1") != nil {
		t.Error("Node does not find by address")
	}
}

func TestSetThatCannotStartLeavesNothing(t *testing.T) {
	needRedis(t)
	_, err := StartSet(t.Context(), SetOptions{SentinelConfig: []string{"no-such-directive x"}, Password: "hush"})
	if _, ok := errors.AsType[*StartError](err); !ok {
		t.Errorf("StartSet = %v, want a StartError", err)
	}
	if err != nil && strings.Contains(err.Error(), "hush") {
		t.Errorf("the error shows the password: %v", err)
	}
	if _, err := StartSet(t.Context(), SetOptions{Quorum: 9}); err == nil {
		t.Error("StartSet with a quorum of 9 = nil")
	}
}
