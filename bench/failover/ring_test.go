package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/testbed"
)

func TestEveryOtherKeyIsOfTheShardThatFails(t *testing.T) {
	l := &layout{struck: []redisproc.SlotRange{{First: 10, Last: 11}, {First: 20, Last: 20}}, others: []redisproc.SlotRange{{First: 100, Last: 9999}}}
	slots := map[int]bool{}
	for n := range 60 {
		key := l.key("c:w-", n)
		slot := redisproc.Slot(key)
		slots[slot] = true
		if l.strikes(key) != (n%2 == 0) || l.strikes(key) != slices.Contains([]int{10, 11, 20}, slot) || !strings.HasPrefix(key, "c:w-") {
			t.Errorf("%d: %s in slot %d", n, key, slot)
		}
		if key != l.key("c:w-", n) {
			t.Errorf("%d: not the same key again", n)
		}
	}
	if !slots[10] || !slots[11] || !slots[20] || len(slots) != 33 {
		t.Errorf("keys in %d slots, want 33, all three of the shard that fails among them", len(slots))
	}
	var none *layout
	if none.key("c:w-", 7) != "c:w-7" || !none.strikes("x") {
		t.Error("a set has no slots")
	}
}

// slotsOf is what CLUSTER SLOTS answers where half of the slots are of one node.
func slotsOf(half string) []any {
	node := func(port string) any { return []any{"127.0.0.1", port, "id", []any{}} }
	return []any{
		[]any{int64(0), int64(8191), node("1"), node("3")},
		[]any{int64(8192), int64(16383), node(half)},
	}
}

func TestNodesAgreeWhenAllThatAnswerServeAndNameOwnersThatAnswer(t *testing.T) {
	says := func(port, half, info string) nodeSays {
		return nodeSaysOf("127.0.0.1:"+port, []any{slotsOf(half), info})
	}
	const ok, fail = "cluster_state:ok\r\nx:1", "cluster_state:fail\r\n"
	silent := nodeSays{addr: "127.0.0.1:4"}
	for _, tt := range []struct {
		name string
		all  []nodeSays
		want bool
	}{
		{"all well", []nodeSays{says("1", "2", ok), says("2", "2", ok)}, true},
		{"a node that owns nothing is silent", []nodeSays{says("1", "2", ok), silent, says("2", "2", ok)}, true},
		{"an owner is silent", []nodeSays{says("1", "2", ok), silent}, false},
		{"two owners of a slot", []nodeSays{says("1", "2", ok), says("2", "1", ok)}, false},
		{"one refuses", []nodeSays{says("1", "2", ok), says("2", "2", fail)}, false},
		{"nobody answers", []nodeSays{silent}, false},
		{"an error", []nodeSays{nodeSaysOf("127.0.0.1:1", []any{redisproc.ReplyError("ERR no"), ok})}, false},
		{"a slot without an owner", []nodeSays{nodeSaysOf("127.0.0.1:1", []any{slotsOf("1")[:1], ok})}, false},
	} {
		got := agreed(tt.all)
		if (got != nil) != tt.want {
			t.Errorf("%s: agreed %v, want %v", tt.name, got != nil, tt.want)
		}
		if got != nil && (got.holder()("{"+redisproc.Tag(8191)+"}") != "127.0.0.1:1" || got.holder()("{"+redisproc.Tag(8192)+"}") != "127.0.0.1:2") {
			t.Errorf("%s: held by %s and %s", tt.name, got[8191], got[8192])
		}
	}
	for name, list := range map[string][]any{
		"no list":      {"x"},
		"cut short":    {[]any{int64(0), int64(1)}},
		"out of range": {[]any{int64(0), int64(16384), []any{"h", int64(1)}}},
		"negative":     {[]any{int64(-1), int64(1), []any{"h", int64(1)}}},
		"no node":      {[]any{int64(0), int64(1), []any{}}},
	} {
		if got := ownersIn(list); got != nil {
			t.Errorf("%s: read as owners", name)
		}
	}
}

func TestAShardThatFailsIsToldFromTheOthers(t *testing.T) {
	read := func(key string, end int, err error) chaos.Call {
		return chaos.Call{Op: chaos.Read, Key: key, Start: at(end - 1), End: at(end), Err: err}
	}
	down := errors.New("CLUSTERDOWN")
	calls := []chaos.Call{
		write("s1", 0, 10, chaos.Landed), write("s2", 800, 900, chaos.Landed),
		write("o1", 0, 20, chaos.Landed), write("o2", 0, 120, chaos.Kept), write("o3", 100, 300, chaos.Failed),
		write("o4", 100, 420, chaos.Landed), write("o5", 900, 950, chaos.Kept), write("o6", 600, 700, chaos.Kept),
		write("o7", 540, 550, chaos.Landed),
		read("o", 100, nil), read("o", 400, down), read("o", 450, errNotThere), read("o", 700, down), read("o", 920, nil), read("s", 500, nil),
	}
	f := chaos.Facts{Began: at(0), Ended: at(1000), Fault: at(100), Promoted: at(500)}
	s := newSample("x", record{calls: calls, struck: func(key string) bool { return key[0] == 's' }}, f)
	if s.GapMS != 890 || s.HeldGapMS != 890 || *s.LandingMS != 400 || s.OthersSilentMS != 470 || s.OthersGapMS != 450 || s.Writes != 9 {
		t.Errorf("gap %v, %v, landing %v, others silent %v, their gap %v, %d writes; want 890 twice, 400, 470, 450, 9", s.GapMS, s.HeldGapMS, *s.LandingMS, s.OthersSilentMS, s.OthersGapMS, s.Writes)
	}
	for i, c := range calls { // without reads writes alone tell
		if c.Op == chaos.Read {
			calls[i].Err = nil
		}
	}
	calls = append(calls, read("o", 250, nil), read("o", 600, nil))
	if s := newSample("x", record{calls: calls, struck: func(key string) bool { return key[0] == 's' }}, f); s.OthersSilentMS != 300 {
		t.Errorf("others silent %v, want 300: from write to write", s.OthersSilentMS)
	}
}

func TestEachKeyIsAskedOfItsOwnMaster(t *testing.T) {
	asked := map[string]bool{}
	h := holder(func(key string) string { asked[key] = true; return "" })
	calls := []chaos.Call{write("a", 0, 1, chaos.Landed), {Op: chaos.Read, Key: "r"}}
	if _, err := h.unheld(t.Context(), calls); err == nil || !asked["a"] || asked["r"] {
		t.Errorf("asked for %v, error %v", asked, err)
	}
}

func TestAClusterHasFaultsAndLibrariesOfItsOwn(t *testing.T) {
	o, err := parse([]string{"-cluster", "-repeat", "1", "-window", "1m"})
	if err != nil || len(o.faults) != len(clusterFaults) || len(o.libraries) != len(clusterLibraries) || o.patience != 2*time.Second {
		t.Errorf("%+v, %v", o, err)
	}
	for i, f := range o.faults {
		if !f.shard || f.window != time.Minute || clusterFaults[i].window == time.Minute {
			t.Errorf("%s: of a shard %v, window %v, in the table %v", f.name, f.shard, f.window, clusterFaults[i].window)
		}
		if heads := f.columns(); !strings.Contains(heads[len(heads)-2].head, "other shards") {
			t.Errorf("%s has no column of the other shards", f.name)
		}
	}
	for args, want := range map[string]string{
		"-cluster -faults kill,side": `no fault "side"`, "-faults takeover": `no fault "takeover"`, "-faults kill,kill": "twice",
		"-cluster -node-timeout 1m": "-node-timeout", "-window 1h": "-window",
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	e := environment{Cluster: true, Patience: "2s"}
	if text := e.markdown(); !strings.Contains(text, "cluster-node-timeout 2s") || strings.Contains(text, "sentinel") {
		t.Error(text)
	}
}

// TestAnEpisodeOnARealCluster takes the fault that is over soonest, with one library of each kind.
func TestAnEpisodeOnARealCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a Redis Cluster")
	}
	testbed.NeedRedis(t)
	o, err := parse([]string{"-cluster", "-faults", "planned", "-repeat", "1", "-node-timeout", "5s", "-only", "^(evercache|go-redis|rueidis)$"})
	if err != nil {
		t.Fatal(err)
	}
	o.faults[0].window = time.Second
	r := report{among: o.faults}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := o.liveThrough(ctx, &r); err != nil {
		t.Fatal(err)
	}
	e := r.Episodes[0]
	if e.PromotedMS == nil || e.Promotions != 1 || len(e.Samples) != 3 {
		t.Fatalf("%+v", e)
	}
	for _, s := range e.Samples {
		if s.Writes < 150 || s.Landed < s.Writes/2 || s.Reads < 75 || s.lost() > s.Writes/10 || s.OthersSilentMS == 0 || s.OthersGapMS == 0 || s.GapMS == 0 {
			t.Errorf("%+v", s)
		}
	}
	if ever := e.Samples[0]; ever.lost()+ever.Resurrected > 0 {
		t.Errorf("evercache: %+v", ever)
	}
}
