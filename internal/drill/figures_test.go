package drill

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

const second = time.Second

// calls are writes that a master took, at a pace, from one moment to another.
func landed(from, to time.Duration) (all []Call) {
	for at := from; at <= to; at += second / 10 {
		all = append(all, Call{At: at, Took: time.Millisecond, Op: Write})
	}
	return all
}

func TestFigures(t *testing.T) {
	all := slices.Concat(landed(0, 2*second), []Call{
		{At: 3 * second, Took: 250 * time.Millisecond, Op: Write, Result: Memory},
		{At: 3 * second, Took: time.Second, Op: Write, Result: Failed},
		{At: 3 * second, Op: Delete, Result: Failed},
		{At: 3 * second, Op: Delete, Result: Answered, Took: 2 * second},
		{At: 3 * second, Op: Read, Result: Answered, Took: time.Millisecond},
		{At: 3 * second, Op: Read, Result: Memory},
		{At: 3 * second, Op: Read, Result: Memory},
		{At: 3 * second, Op: Read, Result: Missing},
		{At: 3 * second, Op: Read, Result: Failed},
	}, landed(6*second, 10*second))
	c := count("x", all, 2*second, 10*second)
	got := fmt.Sprint(c.Reads, c.FailedReads, c.MissingReads, c.MemoryReads, c.HitRatio, c.Writes, c.FailedWrites, c.KeptWrites, c.Deletes, c.FailedDels, c.GapMS, c.AckGapMS, *c.FirstWriteMS, c.Read.MaxMS, c.Write.MaxMS)
	if want := "5 1 1 2 0.667 64 1 1 2 1 2999 1750 3000 1 2000"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	sum := Bucket{}
	for _, b := range c.Series {
		sum.Reads, sum.FailedReads, sum.MemoryReads = sum.Reads+b.Reads, sum.FailedReads+b.FailedReads, sum.MemoryReads+b.MemoryReads
		sum.Landed, sum.Kept, sum.Failed = sum.Landed+b.Landed, sum.Kept+b.Kept, sum.Failed+b.Failed
	}
	if want := (Bucket{Reads: 5, FailedReads: 2, MemoryReads: 2, Landed: 63, Kept: 1, Failed: 2}); sum != want {
		t.Errorf("%+v, want %+v", sum, want)
	}
}

// Writes that stop for good are a gap too, and it has no end.
func TestAGapThatDoesNotEnd(t *testing.T) {
	c := count("x", landed(0, 2*second), second, 10*second)
	if c.GapMS != 7999 || c.FirstWriteMS != nil {
		t.Errorf("gap %v, ended %v", c.GapMS, c.FirstWriteMS)
	}
	if c := count("x", nil, second, 10*second); c.GapMS != 10000 || len(c.Series) != buckets {
		t.Errorf("without a call: %+v", c)
	}
	if c := count("x", landed(0, 10*second), second, 10*second); c.FirstWriteMS != nil && *c.FirstWriteMS > 200 {
		t.Errorf("without a gap: %v", *c.FirstWriteMS)
	}
}

func TestGates(t *testing.T) {
	well := Client{Reads: 10, Writes: 10, Lost: new(0), Undone: new(0), GapMS: 2000}
	strict := Gates{ReadErrors: 0, WriteErrors: 0, Lost: 0, Gap: 3 * second}
	for name, c := range map[string]struct {
		gates  Gates
		change func(*Client)
		missed string
	}{
		"well":             {strict, func(*Client) {}, ""},
		"a failed read":    {strict, func(c *Client) { c.FailedReads = 1 }, "read errors"},
		"a missing read":   {strict, func(c *Client) { c.MissingReads = 1 }, "read errors"},
		"a failed write":   {strict, func(c *Client) { c.FailedWrites = 1 }, "write errors"},
		"a failed delete":  {strict, func(c *Client) { c.FailedDels = 1 }, "write errors"},
		"allowed":          {Gates{ReadErrors: 1, WriteErrors: 2, Lost: 0}, func(c *Client) { c.FailedReads, c.FailedWrites, c.FailedDels = 1, 1, 1 }, ""},
		"off":              {Gates{ReadErrors: Off, WriteErrors: Off, Lost: Off}, func(c *Client) { c.FailedReads, c.Lost, c.GapMS = 9, nil, 9e9 }, ""},
		"a lost write":     {strict, func(c *Client) { c.Lost = new(1) }, "lost"},
		"an undone delete": {strict, func(c *Client) { c.Undone = new(1) }, "lost"},
		"not compared":     {strict, func(c *Client) { c.Lost = nil }, "lost"},
		"a long gap":       {strict, func(c *Client) { c.GapMS = 3001 }, "gap"},
		"no traffic":       {strict, func(c *Client) { c.Writes = 0 }, "traffic"},
	} {
		client := well
		c.change(&client)
		var missed strings.Builder
		gates := c.gates.judge(client)
		for _, g := range gates {
			if !g.OK {
				missed.WriteString(g.Name)
			}
		}
		if want := map[bool]string{true: Passed, false: Missed}[c.missed == ""]; missed.String() != c.missed || outcome(gates, nil) != want {
			t.Errorf("%s: missed %q, %s; want %q", name, missed.String(), outcome(gates, nil), c.missed)
		}
	}
	if outcome(nil, []string{"a fault"}) != Missed {
		t.Error("a drill with a fault has passed")
	}
}

func TestKeysAreReadAndDeletedByTurns(t *testing.T) {
	k := keys{most: 200}
	if _, ok := k.readable(); ok {
		t.Error("a key before there is one")
	}
	for range 200 {
		n, ok := k.add()
		if !ok {
			t.Fatal("no room")
		}
		if n != 10 && n != 11 {
			k.set(n, written)
		}
	}
	if _, ok := k.add(); ok {
		t.Error("more keys than there is room for")
	}
	for range 1000 {
		if n, ok := k.readable(); ok && (n%deletable == 0 || n == 11) {
			t.Fatalf("key %d is read", n)
		}
	}
	var removed []int
	for {
		n, ok := k.removable()
		if !ok {
			break
		}
		removed = append(removed, n)
	}
	if len(removed) != 29 || slices.Contains(removed, 10) || slices.Max(removed) != 145 || len(k.all(deleting)) != 29 || len(k.all(unknown)) != 2 {
		t.Errorf("removed %v", removed)
	}
}

func TestLostBytes(t *testing.T) {
	for name, c := range map[string]struct {
		old, next sight
		want      int64
		known     bool
	}{
		"all was sent":         {sight{replID: "x", offset: 100}, sight{secondID: "x", second: 101}, 0, true},
		"some was not":         {sight{replID: "x", offset: 130}, sight{secondID: "x", second: 101}, 30, true},
		"seen before the rest": {sight{replID: "x", offset: 90}, sight{secondID: "x", second: 101}, 0, true},
		"another history":      {sight{replID: "y", offset: 130}, sight{secondID: "x", second: 101}, 0, false},
		"no promotion":         {sight{replID: "x", offset: 130}, sight{}, 0, false},
		"no second offset":     {sight{replID: "x", offset: 130}, sight{secondID: "x", second: -1}, 0, false},
	} {
		w := witness{last: map[string]sight{"old": c.old}, old: "old", next: c.next}
		if n, ok := w.lostBytes(); n != c.want || ok != c.known {
			t.Errorf("%s: %d %v, want %d %v", name, n, ok, c.want, c.known)
		}
	}
	if _, ok := (&witness{}).lostBytes(); ok {
		t.Error("known of nobody")
	}
}

func FuzzParseSight(f *testing.F) {
	f.Add("role:master\r\nmaster_replid:x\r\nmaster_replid2:0\r\nmaster_repl_offset:5\r\nsecond_repl_offset:-1\r\n")
	f.Add("role:slave\nmaster_repl_offset:5\n")
	f.Add("role:sentinel\nmaster_repl_offset:-5\n")
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := parseSight(text); ok && s.offset < 0 || !ok && s != (sight{}) {
			t.Errorf("%+v %v", s, ok)
		}
	})
}

func TestWhatKeepsServersFromAgreeing(t *testing.T) {
	named := func(addr, master string) survey.Sentinel {
		return survey.Sentinel{Server: survey.Server{Addr: addr, Latency: 1}, Named: master, Master: survey.Fields{"flags": "master"}}
	}
	node := func(addr, role, master string) survey.Node {
		return survey.Node{Server: survey.Server{Addr: addr, Latency: 1}, Role: survey.Role{Name: role, Master: master, Link: "connected"}}
	}
	set := func(master string, nodes ...survey.Node) *survey.Survey {
		return &survey.Survey{Mode: health.ModeSentinel, Nodes: nodes, Sentinels: []survey.Sentinel{named("s1", master), named("s2", master), named("s3", master)}}
	}
	before := set("a", node("a", "master", ""), node("b", "replica", "a"), node("c", "replica", "a"))
	after := func(change func(*survey.Survey)) *survey.Survey {
		s := set("b", node("a", "replica", "b"), node("b", "master", ""), node("c", "replica", "b"))
		change(s)
		return s
	}
	for name, c := range map[string]struct {
		s    *survey.Survey
		want int
	}{
		"all is well":                {after(func(*survey.Survey) {}), 0},
		"nothing has changed":        {before, 0},
		"the old master is away":     {after(func(s *survey.Survey) { s.Nodes[0].Fault = &survey.Fault{} }), 0},
		"a replica is away":          {after(func(s *survey.Survey) { s.Nodes[2].Fault = &survey.Fault{} }), 1},
		"the old master is master":   {after(func(s *survey.Survey) { s.Nodes[0].Role.Name = "master" }), 1},
		"a replica follows another":  {after(func(s *survey.Survey) { s.Nodes[2].Role.Master = "a" }), 1},
		"a replica is not in sync":   {after(func(s *survey.Survey) { s.Nodes[2].Role.Link = "sync" }), 1},
		"a sentinel names another":   {after(func(s *survey.Survey) { s.Sentinels[0].Named = "a" }), 1},
		"a sentinel is not done yet": {after(func(s *survey.Survey) { s.Sentinels[0].Master["flags"] = "master,failover_in_progress" }), 1},
		"no majority":                {after(func(s *survey.Survey) { s.Sentinels[0].Named, s.Sentinels[1].Named = "a", "c" }), 1},
	} {
		if got := disagreement(before, c.s); len(got) != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	cluster := &survey.Survey{Mode: health.ModeCluster, Nodes: []survey.Node{node("a", "master", ""), node("b", "replica", "a")}}
	cluster.Nodes[0].Cluster = &survey.ClusterView{Info: survey.Fields{"cluster_state": "fail"}}
	if got := disagreement(cluster, cluster); len(got) != 1 {
		t.Errorf("a Cluster that is down: %q", got)
	}
	cluster.Nodes[0].Cluster.Info["cluster_state"] = "ok"
	if got := disagreement(cluster, cluster); len(got) != 0 {
		t.Errorf("a Cluster: %q", got)
	}
}

func TestWhatCanBeBroken(t *testing.T) {
	for _, c := range []struct {
		trigger string
		mode    health.Mode
		ok      bool
	}{
		{Failover, health.ModeSentinel, true},
		{Kill, health.ModeCluster, true},
		{None, health.ModeStandalone, true},
		{Hook, health.ModeStandalone, true},
		{Failover, health.ModeStandalone, false},
		{Kill, health.ModeStandalone, false},
		{Stop, health.ModeStandalone, false},
		{None, health.ModeMemoryOnly, false},
	} {
		if err := Breakable(c.trigger, c.mode); (err == nil) != c.ok {
			t.Errorf("%s in mode %s: %v", c.trigger, c.mode, err)
		}
	}
}
