package redisproc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func startCluster(t *testing.T, o ClusterOptions) *Cluster {
	t.Helper()
	needRedis(t)
	t.Parallel()
	began := time.Now()
	c, err := StartCluster(t.Context(), o)
	must(t, err)
	t.Logf("the cluster took %v to start", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range c.Nodes() {
				t.Logf("log of %s:\n%s", p.Addr(), p.tail(tailLines))
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestClusterLeavesNothingBehind(t *testing.T) {
	needRedis(t)
	t.Parallel()
	c, err := StartCluster(t.Context(), ClusterOptions{Masters: 1})
	must(t, err)
	p := c.Nodes()[0]
	done := p.Done()
	if c.Master(t.Context(), 1) != p || len(c.Masters(t.Context())) != 1 {
		t.Error("the only node is not the master of slot 1")
	}
	if err := c.StealSlot(t.Context(), p, 1); err == nil || !strings.Contains(err.Error(), "no other node owns it") {
		t.Errorf("StealSlot from nobody: %v", err)
	}
	must(t, c.Close())
	select {
	case <-done:
	default:
		t.Error("the process runs after Close")
	}
	if c.Master(t.Context(), 1) != nil {
		t.Error("a closed cluster has a master")
	}
	if _, err := c.WaitMaster(within(t, 50*time.Millisecond), 1, nil); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "dead or paused") {
		t.Errorf("WaitMaster: %v", err)
	}
	if err := c.WaitHealthy(within(t, 50*time.Millisecond)); err == nil || !strings.Contains(err.Error(), "no node owns slot 0") {
		t.Errorf("WaitHealthy: %v", err)
	}
	if _, err := c.Replicas(t.Context(), &Process{port: p.port}); err == nil {
		t.Error("replicas of a node that nobody knows")
	}
}

func TestAClusterThatCannotBeStartedLeavesNothing(t *testing.T) {
	needRedis(t)
	var addrs []string
	refused := errors.New("no proxy today")
	_, err := StartCluster(t.Context(), ClusterOptions{Masters: 1, Announce: func(addr string) (int, error) {
		addrs = append(addrs, addr)
		return 0, refused
	}})
	if !errors.Is(err, refused) || len(addrs) != 1 {
		t.Errorf("StartCluster: %v, asked for %v", err, addrs)
	}
}

func TestConnStaysOpenBetweenCommands(t *testing.T) {
	p := start(t, Options{Password: "secret"})
	c, err := p.Connect(t.Context())
	must(t, err)
	first, err := c.Do(t.Context(), "CLIENT", "ID")
	must(t, err)
	if second, err := c.Do(t.Context(), "CLIENT", "ID"); err != nil || first != second {
		t.Errorf("CLIENT ID = %v, then %v, %v: another connection", first, second, err)
	}
	if _, err := c.Do(t.Context(), "NOSUCH"); !unknownCommand(err) {
		t.Errorf("NOSUCH: %v", err)
	}
	if err := c.all(t.Context(), []string{"PING"}, []string{"INCR"}); err == nil || !strings.Contains(err.Error(), "INCR") {
		t.Errorf("a faulty second command: %v", err)
	}
	if _, err := c.Do(within(t, 50*time.Millisecond), "BLPOP", "nothing", "0"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command that does not end: %v", err)
	}
	must(t, c.Close())
	if _, err := c.Do(t.Context(), "PING"); err == nil {
		t.Error("a closed connection answers")
	}

	wrong := *p.withPassword("wrong")
	if _, err := wrong.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("with a wrong password: %v", err)
	}
}

// withPassword is another view of the process, only good for connecting.
func (p *Process) withPassword(password string) *Process {
	o := p.options
	o.AdminPassword = password
	return &Process{options: o, port: p.port}
}

func TestSlot(t *testing.T) {
	for key, want := range map[string]int{
		"123456789":               0x31c3, // the specification's own example
		"":                        0,
		"foo":                     12182,
		"{user1000}.following":    Slot("user1000"),
		"foo{}{bar}":              8363, // an empty tag counts for nothing
		"foo{{bar}}zap":           Slot("{bar"),
		"foo{bar}{zap}":           Slot("bar"),
		"open{only":               Slot("open{only"),
		"{" + Tag(16383) + "}xyz": 16383,
	} {
		if got := Slot(key); got != want {
			t.Errorf("Slot(%q) = %d, want %d", key, got, want)
		}
	}
	for slot := range Slots {
		if Slot(Tag(slot)) != slot {
			t.Fatalf("Tag(%d) = %q, which is of slot %d", slot, Tag(slot), Slot(Tag(slot)))
		}
	}
}

// A server's own opinion of the slot of a key.
func TestSlotIsTheServers(t *testing.T) {
	c := startCluster(t, ClusterOptions{Masters: 1})
	conn, err := c.Nodes()[0].Connect(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	for _, key := range []string{"", "foo", "foo{}{bar}", "foo{{bar}}zap", "foo{bar}{zap}", "}a{b}", "{a", "k\x00\xff{\x01}"} {
		if got, err := conn.Do(t.Context(), "CLUSTER", "KEYSLOT", key); err != nil || got != int64(Slot(key)) {
			t.Errorf("Slot(%q) = %d, the server says %v, %v", key, Slot(key), got, err)
		}
	}
}

func TestParseMembers(t *testing.T) {
	text := "aa 127.0.0.1:30001@31001,host myself,master - 0 1426238317239 7 connected 0-5 9 [93->-bb] [77-<-cc]\n" +
		"bb 127.0.0.1:30002@31002 slave,fail? aa 1 2 7 disconnected\n\n"
	got, err := parseMembers(text)
	must(t, err)
	if len(got) != 2 {
		t.Fatalf("%d members", len(got))
	}
	a, b := got[0], got[1]
	if a.id != "aa" || !a.is("myself") || !a.is("master") || a.master != "" || a.epoch != 7 || !a.linked ||
		!slices.Equal(a.slots, []SlotRange{{0, 5}, {9, 9}}) || len(a.moving) != 2 || !a.owns(9) || a.owns(6) {
		t.Errorf("first: %+v", a)
	}
	if b.id != "bb" || !b.is("fail?") || b.is("fail") || b.master != "aa" || b.linked || b.owns(0) {
		t.Errorf("second: %+v", b)
	}
	for _, bad := range []string{"aa b c", "aa 127.0.0.1:1@2 master - 0 0 x connected", "aa a:1@2 master - 0 0 1 connected 5-4", "aa a:1@2 master - 0 0 1 connected 16384"} {
		if _, err := parseMembers(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func FuzzParseMembers(f *testing.F) {
	f.Add("aa 127.0.0.1:30001@31001 myself,master - 0 1 7 connected 0-5 [93->-bb]\n")
	f.Add("\n \n")
	f.Fuzz(func(t *testing.T, text string) {
		v := parseView([]any{text, text, []any{"master", int64(0), []any{}}})
		if v.err == nil && !v.self.is("myself") {
			t.Error("a view of nobody")
		}
		_ = clusterView{v}.uncovered()
	})
}

// well is what two healthy nodes say: a master and its replica.
func well() clusterView {
	master := member{id: "aa", flags: []string{"master"}, epoch: 1, linked: true, slots: []SlotRange{{0, Slots - 1}}}
	replica := member{id: "bb", flags: []string{"slave"}, master: "aa", epoch: 1, linked: true}
	node := func(number int) *Process { return &Process{port: fakePort(number)} }
	return clusterView{
		{node: node(1), state: "ok", role: nodeView{master: true}, self: master, known: []member{master, replica}},
		{node: node(2), state: "ok", role: nodeView{linked: true}, self: replica, known: []member{master, replica}},
	}
}

type fakePort int

func (p fakePort) Number() int    { return int(p) }
func (p fakePort) Addr() string   { return fmt.Sprint("127.0.0.1:", int(p)) }
func (p fakePort) Release() error { return nil }

func TestFaultsOfACluster(t *testing.T) {
	if got := well().faults(); len(got) > 0 {
		t.Fatalf("healthy nodes have faults: %v", got)
	}
	for _, tt := range []struct {
		name, want string
		change     func(clusterView)
	}{
		{"a node is silent", "dead or paused", func(v clusterView) { v[1].err = errSilent }},
		{"the state", "cluster_state", func(v clusterView) { v[0].state = "fail" }},
		{"a replica out of sync", "not in sync", func(v clusterView) { v[1].role.linked = false }},
		{"a hole", "no node owns slot 100", func(v clusterView) { v[0].self.slots = []SlotRange{{0, 99}, {101, Slots - 1}} }},
		{"another role", "ROLE says master", func(v clusterView) { v[1].role.master = true }},
		{"unknown", "does not know node", func(v clusterView) { v[0].known = v[0].known[:1] }},
		{"suspected", "fail?", func(v clusterView) { v[0].known[1].flags = []string{"slave", "fail?"} }},
		{"no link", "linked: false", func(v clusterView) { v[0].known[1].linked = false }},
		{"another master", "which calls itself", func(v clusterView) { v[0].known[1].master = "cc" }},
		{"other slots", "all slots", func(v clusterView) { v[1].known[0].slots = []SlotRange{{0, 5}} }},
	} {
		v := well()
		for i := range v {
			v[i].known = slices.Clone(v[i].known)
		}
		tt.change(v)
		if got := strings.Join(v.faults(), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Of two that claim a slot the one with the higher epoch has it.
func TestOwnerIsWhoHasTheHighestEpoch(t *testing.T) {
	v := well()
	v[1].self = member{id: "bb", flags: []string{"master"}, epoch: 2, slots: []SlotRange{{5, 5}}}
	if got := v.owner(5); got == nil || got.self.id != "bb" {
		t.Errorf("owner of slot 5: %+v", got)
	}
	if got := v.owner(6); got == nil || got.self.id != "aa" {
		t.Errorf("owner of slot 6: %+v", got)
	}
	if !strings.Contains(v.summary(), "epoch 2") {
		t.Errorf("summary: %s", v.summary())
	}
}
