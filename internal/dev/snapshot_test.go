package dev

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wellSet is a set in which all is well.
func wellSet() Snapshot {
	watcher := func(i int) Watcher {
		return Watcher{Name: sentinelName(i), Addr: "127.0.0.1:2637" + string(rune('9'-i)), Pid: 200 + i, Life: runs, Names: "redis-1", Epoch: 3, Knows: 2}
	}
	return Snapshot{
		Mode: Sentinel,
		Nodes: []Node{
			{Name: "redis-1", Addr: "127.0.0.1:6379", Pid: 100, Life: runs, Master: true, Lag: -1, Keys: 12},
			{Name: "redis-2", Addr: "127.0.0.1:6380", Pid: 101, Life: runs, Of: "redis-1", LinkUp: true, Keys: 12},
			{Name: "redis-3", Addr: "127.0.0.1:6381", Pid: 102, Life: runs, Of: "redis-1", LinkUp: true, Lag: 5000, Keys: 11},
		},
		Sentinels: []Watcher{watcher(0), watcher(1), watcher(2)},
	}
}

// wellCluster is a Cluster in which all is well.
func wellCluster() Snapshot {
	s := Snapshot{Mode: Cluster}
	for i, slots := range []int{5461, 5462, 5461} {
		s.Nodes = append(s.Nodes, Node{Name: nodeName(i), Addr: "127.0.0.1:700" + string(rune('0'+i)), Pid: 100 + i, Life: runs, Master: true, Lag: -1, Slots: slots, State: "ok"})
	}
	for i := range 3 {
		s.Nodes = append(s.Nodes, Node{Name: nodeName(3 + i), Addr: "127.0.0.1:700" + string(rune('3'+i)), Pid: 103 + i, Life: runs, Of: nodeName(i), LinkUp: true, State: "ok"})
	}
	return s
}

func wellOne() Snapshot {
	return Snapshot{Mode: Standalone, Nodes: []Node{{Name: "redis-1", Addr: "127.0.0.1:6379", Pid: 100, Life: runs, Master: true, Lag: -1, Keys: 1}}}
}

// with is s after a change.
func with(s Snapshot, change func(*Snapshot)) Snapshot {
	s.Nodes, s.Sentinels = slices.Clone(s.Nodes), slices.Clone(s.Sentinels)
	change(&s)
	return s
}

// gone is a dead process, of which nothing is known.
func gone(s *Snapshot, i int) {
	s.Nodes[i] = Node{Name: s.Nodes[i].Name, Addr: s.Nodes[i].Addr, Life: dead, Lag: -1}
}

// duringFailover: the master is dead, a replica promoted, one sentinel knows it.
func duringFailover() Snapshot {
	return with(wellSet(), func(s *Snapshot) {
		gone(s, 0)
		s.Nodes[1] = Node{Name: "redis-2", Addr: "127.0.0.1:6380", Pid: 101, Life: runs, Master: true, Lag: -1, Keys: 12}
		s.Nodes[2].LinkUp, s.Nodes[2].Lag = false, -1
		s.Sentinels[0].Names, s.Sentinels[0].Epoch = "redis-2", 4
		s.Sentinels[1].Down, s.Sentinels[1].ODown, s.Sentinels[1].Leads = true, true, true
		s.Sentinels[2].Down = true
	})
}

func TestFaults(t *testing.T) {
	set := func(change func(*Snapshot)) Snapshot { return with(wellSet(), change) }
	shards := func(change func(*Snapshot)) Snapshot { return with(wellCluster(), change) }
	tests := []struct {
		name string
		s    Snapshot
		want []string
	}{
		{"a well set", wellSet(), nil},
		{"a well Cluster", wellCluster(), nil},
		{"one server", wellOne(), nil},
		{"one server, dead", with(wellOne(), func(s *Snapshot) { gone(s, 0) }), []string{"no master answers", "redis-1 is dead"}},
		{"the master is dead", set(func(s *Snapshot) { gone(s, 0) }), []string{"no master answers", "redis-1 is dead"}},
		{"the master is stopped", set(func(s *Snapshot) { s.Nodes[0].Life = stopped }), []string{"no master answers", "redis-1 is stopped"}},
		{"a replica is silent", set(func(s *Snapshot) { s.Nodes[1].Silent = true }), []string{"redis-2 does not answer"}},
		{"a replica has no link", set(func(s *Snapshot) { s.Nodes[1].LinkUp = false }), []string{"redis-2 is not in sync with redis-1"}},
		{"a replica follows another", set(func(s *Snapshot) { s.Nodes[1].Of = "redis-3" }), []string{"redis-2 follows redis-3"}},
		{"two masters", set(func(s *Snapshot) { s.Nodes[2].Master = true }), []string{"redis-3 says that it is a master too"}},
		{"a sentinel is dead", set(func(s *Snapshot) { s.Sentinels[0].Life = dead }), []string{"sentinel-1 is dead"}},
		{"a sentinel is silent", set(func(s *Snapshot) { s.Sentinels[0].Silent = true }), []string{"sentinel-1 does not answer"}},
		{"a sentinel names another", set(func(s *Snapshot) { s.Sentinels[2].Names = "redis-2" }), []string{"sentinel-3 names redis-2"}},
		{"a sentinel holds it down", set(func(s *Snapshot) { s.Sentinels[2].Down = true }), []string{"sentinel-3 holds redis-1 down"}},
		{"a failover is led", set(func(s *Snapshot) { s.Sentinels[2].Leads = true }), []string{"sentinel-3 leads a failover"}},
		{"a sentinel does not know the others", set(func(s *Snapshot) { s.Sentinels[1].Knows = 1 }), []string{"sentinel-2 knows 1 other sentinels"}},
		{"no majority", set(func(s *Snapshot) {
			s.Sentinels[0].Names, s.Sentinels[1].Life = "redis-2", dead
		}), []string{
			"no master answers", "redis-1 says that it is a master too", "redis-2 follows redis-1", "redis-3 follows redis-1",
			"sentinel-1 names redis-2", "sentinel-2 is dead", "sentinel-3 names redis-1",
		}},
		{"a master of a Cluster is dead", shards(func(s *Snapshot) { gone(s, 1) }), []string{"redis-2 is dead", "5462 slots have no master"}},
		{"a Cluster is down", shards(func(s *Snapshot) { s.Nodes[0].State = "fail" }), []string{"redis-1 says that the Cluster is down"}},
		{"a replica of a Cluster has no link", shards(func(s *Snapshot) { s.Nodes[5].LinkUp = false }), []string{"redis-6 is not in sync with redis-3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.s.faults()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheMasterIsTheOneThatCounts(t *testing.T) {
	tests := []struct {
		name, want string
		s          Snapshot
	}{
		{"a set", "redis-1", wellSet()},
		{"dead, and the sentinels still name it", "redis-1", with(wellSet(), func(s *Snapshot) { gone(s, 0) })},
		{"most name another", "redis-2", with(wellSet(), func(s *Snapshot) { s.Sentinels[0].Names, s.Sentinels[1].Names = "redis-2", "redis-2" })},
		{"no majority", "", with(wellSet(), func(s *Snapshot) { s.Sentinels[0].Life, s.Sentinels[1].Life = dead, dead })},
		{"the first of a Cluster", "redis-1", wellCluster()},
		{"the first that lives", "redis-2", with(wellCluster(), func(s *Snapshot) { gone(s, 0) })},
		{"one without slots does not count", "redis-2", with(wellCluster(), func(s *Snapshot) { s.Nodes[0].Slots = 0 })},
		{"one server", "redis-1", wellOne()},
		{"one server, dead", "redis-1", with(wellOne(), func(s *Snapshot) { gone(s, 0) })},
	}
	for _, tt := range tests {
		if got := tt.s.master(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestChangesAreToldInPlainWords(t *testing.T) {
	killed := with(wellSet(), func(s *Snapshot) { gone(s, 0) })
	held := with(killed, func(s *Snapshot) { s.Sentinels[1].Down, s.Sentinels[2].Down = true, true })
	over := with(duringFailover(), func(s *Snapshot) {
		for i := range s.Sentinels {
			s.Sentinels[i] = Watcher{Name: sentinelName(i), Life: runs, Names: "redis-2", Knows: 2}
		}
		s.Nodes[2].Of, s.Nodes[2].LinkUp = "redis-2", true
	})
	back := with(over, func(s *Snapshot) { s.Nodes[0].Life, s.Nodes[0].Master = runs, true })
	tests := []struct {
		name          string
		before, after Snapshot
		want          []string
	}{
		{"nothing", wellSet(), wellSet(), nil},
		{"lag and keys are no news", wellSet(), with(wellSet(), func(s *Snapshot) { s.Nodes[1].Lag, s.Nodes[0].Keys = 9, 99 }), nil},
		{"killed", wellSet(), killed, []string{"redis-1 is dead"}},
		{"held down", killed, held, []string{"2 of 3 sentinels hold the master down"}},
		{"promoted", held, duringFailover(), []string{"sentinel-2 leads a failover", "redis-2 is master", "1 of 3 sentinels names redis-2 as master"}},
		{"agreed", duringFailover(), over, []string{"redis-3 follows redis-2", "3 of 3 sentinels name redis-2 as master"}},
		{"the old master comes back", over, back, []string{"redis-1 runs", "redis-1 is master"}},
		{"and is told to follow", back, with(back, func(s *Snapshot) { s.Nodes[0].Master, s.Nodes[0].Of = false, "redis-2" }), []string{"redis-1 follows redis-2"}},
		{"a false alarm", with(wellSet(), func(s *Snapshot) { s.Sentinels[0].Down = true }), wellSet(), []string{"no sentinel holds the master down any more"}},
		{"stopped", wellSet(), with(wellSet(), func(s *Snapshot) { s.Sentinels[0].Life = stopped }), []string{"sentinel-1 is stopped: it answers nothing"}},
		{"silent", wellSet(), with(wellSet(), func(s *Snapshot) { s.Nodes[2].Silent = true }), []string{"redis-3 does not answer"}},
		{"not silent", with(wellSet(), func(s *Snapshot) { s.Nodes[2].Silent = true }), wellSet(), []string{"redis-3 answers again"}},
		{"a link comes up", with(wellSet(), func(s *Snapshot) { s.Nodes[2].LinkUp = false }), wellSet(), []string{"redis-3 is in sync with redis-1"}},
		{
			"a Cluster goes down", wellCluster(),
			with(wellCluster(), func(s *Snapshot) { gone(s, 0); s.Nodes[1].State, s.Nodes[2].State = "fail", "fail" }),
			[]string{"redis-1 is dead", "2 of 6 servers say cluster_state:fail"},
		},
		{
			"a replica of a Cluster takes over", with(wellCluster(), func(s *Snapshot) { gone(s, 0) }),
			with(wellCluster(), func(s *Snapshot) { gone(s, 0); s.Nodes[3].Master, s.Nodes[3].Slots = true, 5461 }),
			[]string{"redis-4 is master"},
		},
		{"slots move", wellCluster(), with(wellCluster(), func(s *Snapshot) { s.Nodes[0].Slots = 5460 }), []string{"redis-1 serves 5460 slots"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, changes(tt.before, tt.after)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheSuccessorInACluster(t *testing.T) {
	s := &servers{}
	for i := range 6 {
		s.all = append(s.all, server{name: nodeName(i)})
	}
	for target, want := range map[string]string{"": "redis-4", "master": "redis-4", "redis-2": "redis-5", "redis-6": "redis-6"} {
		var targets []string
		if target != "" {
			targets = []string{target}
		}
		got, err := s.successor(targets, wellCluster())
		if err != nil || got.name != want {
			t.Errorf("failover %s: %s, %v; want %s", target, got.name, err, want)
		}
	}
	if _, err := s.successor([]string{"redis-9"}, wellCluster()); err == nil {
		t.Error("a server that is not there was found")
	}
	if _, err := s.successor(nil, with(wellCluster(), func(s *Snapshot) { gone(s, 3) })); err == nil {
		t.Error("a dead replica was chosen")
	}
}

// The master can be killed by that name after the sentinels, whose majority would have named it.
func TestAnOrderForTheMasterNeedsNoSentinels(t *testing.T) {
	t.Parallel()
	blind := with(wellSet(), func(s *Snapshot) {
		for i := range 2 {
			s.Sentinels[i] = Watcher{Name: s.Sentinels[i].Name, Addr: s.Sentinels[i].Addr, Life: dead}
		}
	})
	for name, c := range map[string]struct {
		now  Snapshot
		want string
	}{
		"well":                       {wellSet(), "redis-1"},
		"one sentinel is left":       {blind, "redis-1"},
		"the old one, by the voters": {with(wellSet(), func(s *Snapshot) { gone(s, 0) }), "redis-1"},
		"nobody is master":           {with(blind, func(s *Snapshot) { gone(s, 0) }), ""},
		"two are":                    {with(blind, func(s *Snapshot) { s.Nodes[1].Master = true }), ""},
		"one of two is silent": {with(blind, func(s *Snapshot) {
			s.Nodes[1].Master, s.Nodes[0].Silent = true, true
		}), "redis-2"},
		"Cluster": {wellCluster(), "redis-1"},
		"Cluster without any": {with(wellCluster(), func(s *Snapshot) {
			for i := range 3 {
				gone(s, i)
			}
		}), ""},
	} {
		if got := c.now.target(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
