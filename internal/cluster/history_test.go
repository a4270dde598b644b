package cluster

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// records plays a recording and returns the episodes of the shard of slot 0 that ended.
func records(t *testing.T, name string) (*story, []Record) {
	t.Helper()
	s := replay(t, loadRecording(t, filepath.Join("testdata", "episodes", name)), "n0", "n1", "n2")
	var all []Record
	for _, r := range s.m.History() {
		if r.Shard == s.shardOf(0) {
			all = append(all, r)
		}
	}
	return s, all
}

// shardOf is the number of the shard that had a slot at the start.
func (s *story) shardOf(n uint16) uint32 {
	for _, m := range s.moments {
		if sh, ok := m.d.Owner(n); ok {
			return sh.Number
		}
	}
	return 0
}

// TestAnEpisodeIsRemembered compares with the truth of the recordings: why it was, who
// followed whom, and in which order what was seen.
func TestAnEpisodeIsRemembered(t *testing.T) {
	for name, want := range map[string]struct {
		cause  Cause
		to     string
		failed bool // most of the masters held it down, and that was seen
	}{
		"redis-7.0.15/kill.jsonl":          {CauseFailure, "n3", true},
		"redis-7.0.15/stop.jsonl":          {CauseFailure, "n3", true},
		"redis-7.0.15/planned.jsonl":       {CausePlanned, "n3", false},
		"redis-7.0.15/takeover.jsonl":      {CausePlanned, "n3", false},
		"redis-7.0.15/stop-brief.jsonl":    {CauseAlarm, "n0", false},
		"redis-7.0.15/restart-quick.jsonl": {CauseRestart, "n0", false},
		"valkey-9.1.2/kill.jsonl":          {CauseFailure, "n3", true},
		"valkey-9.1.2/planned.jsonl":       {CausePlanned, "n3", false},
	} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			t.Parallel()
			s, all := records(t, name)
			if len(all) == 0 {
				t.Fatal("nothing is remembered")
			}
			r := all[0]
			if r.Cause != want.cause || s.r.name[r.From.Addr] != "n0" || s.r.name[r.To.Addr] != want.to || r.Failed.IsZero() == want.failed {
				t.Errorf("remembered %+v", r)
			}
			if r.Ended.Before(r.Opened) || r.Failover() == r.Promoted.IsZero() {
				t.Errorf("times %+v", r)
			}
			if !want.failed {
				return
			}
			promoted := at(s.r.truth.Promoted[0].T)
			if late := r.Promoted.Sub(promoted); late < 0 || late > 250*time.Millisecond {
				t.Errorf("promoted %v after it was", late)
			}
			if r.Suspected.After(r.Failed) || r.Failed.After(r.Promoted) || r.Blocked < 500*time.Millisecond {
				t.Errorf("in the order %+v", r)
			}
		})
	}
}

func TestAFreshClusterHasNoHistory(t *testing.T) {
	if _, all := records(t, "redis-7.0.15/fresh-idle.jsonl"); len(all) != 0 {
		t.Errorf("remembered %+v", all)
	}
}

// TestAlarmsAreForgottenFirst: what changed outlives what did not.
func TestAlarmsAreForgottenFirst(t *testing.T) {
	var a archive
	a.add(Record{Cause: CauseFailure})
	for range 2 * maxHistory {
		a.add(Record{Cause: CauseAlarm})
	}
	if len(a.records) != maxHistory || a.records[0].Cause != CauseFailure || a.failovers != 1 || a.lastID != 2*maxHistory+1 {
		t.Errorf("%d records, the first %+v", len(a.records), a.records[0])
	}
}

func TestABarrierIsHeldByWhoMayBePromoted(t *testing.T) {
	w := newWorld(t, 3, 1)
	n0, n3 := w.node("n0"), w.node("n3")
	b := Barrier{Node: n0.id, SentAt: w.now, At: w.now, By: []Addr{n3.addr}}
	if !w.m.Holds(b) {
		t.Error("the replica has it, and that does not count")
	}
	for name, change := range map[string]func(*Barrier){
		"nobody has it":                  func(b *Barrier) { b.By = []Addr{} },
		"another has it":                 func(b *Barrier) { b.By = []Addr{w.node("n4").addr} },
		"it was not answered":            func(b *Barrier) { b.Fault = FaultSilent },
		"its node is no master":          func(b *Barrier) { b.Node = n3.id },
		"it was sent to a master before": func(b *Barrier) { b.SentAt = epoch0.Add(-time.Second) },
	} {
		other := b
		change(&other)
		if w.m.Holds(other) {
			t.Errorf("%s, and it counts", name)
		}
	}
}

// TestSeedsChangeWithTheirName: what answered at an address that is no seed any more
// has no voice.
func TestSeedsChangeWithTheirName(t *testing.T) {
	w := newCluster(t, "n", 3, 1)
	begin(t, w, "n0")
	w.m.SetSeeds([]Addr{w.node("n1").addr, w.node("n1").addr, {}})
	w.feed(Tick{w.now})
	if w.asks(w.node("n0").addr) != 0 || w.asks(w.node("n1").addr) == 0 || len(w.m.seeds) != 1 {
		t.Fatalf("asked: %v", w.d.Asks)
	}
	w.hear("n0")
	if len(w.d.Shards) != 0 {
		t.Fatalf("decided by what is no seed: %s", w.text())
	}
	w.hear("n1")
	w.hearAll()
	w.wantSlot("n0", 0)
}

// TestAReplicaIsKnownByThePortOfItsProcess: behind a proxy it announces another port than
// the one under which its master sees it.
func TestAReplicaIsKnownByThePortOfItsProcess(t *testing.T) {
	w := newWorld(t, 3, 1)
	n3 := w.node("n3")
	v := n3.view(w)
	v.Says.Port = 6379
	w.feed(v)
	seen := Addr{Host: n3.addr.Host, Port: 6379}
	b := Barrier{Node: w.node("n0").id, SentAt: w.now, At: w.now, By: []Addr{seen}}
	if !w.m.Holds(b) {
		t.Errorf("%s is not taken for %s", seen, n3.addr)
	}
	b.By = []Addr{{Host: "10.9.9.9", Port: 6379}}
	if w.m.Holds(b) {
		t.Error("another host with this port is taken for it")
	}
}
