package shard

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/watch"
)

func TestWhatAReplicaMayAnswer(t *testing.T) {
	const ms = int64(time.Millisecond)
	base := known{next: 10, floor: 5, now: 2000 * ms, most: 1000 * ms}
	with := func(f func(*known)) known {
		k := base
		f(&k)
		return k
	}
	for _, tt := range []struct {
		name string
		k    known
		h    held
		want verdict
	}{
		{"a fresh barrier", base, held{9, 1999 * ms}, serves},
		{"the oldest of this master", base, held{5, 1500 * ms}, serves},
		{"one of the master before", base, held{4, 1999 * ms}, older},
		{"none", base, held{}, older},
		{"none, and none was ever sent", known{next: 1, now: 1}, held{}, older},
		{"one that was never sent", base, held{10, 1999 * ms}, stranger},
		{"one beyond all", base, held{1 << 63, 1999 * ms}, stranger},
		{"one as old as may be", base, held{9, 1000 * ms}, serves},
		{"an older one", base, held{9, 1000*ms - 1}, lagging},
		{"one that nobody remembers", base, held{9, 0}, lagging},
		{"an older one in an outage", with(func(k *known) { k.most = 0 }), held{9, 1}, serves},
		{"one that nobody remembers in an outage", with(func(k *known) { k.most = 0 }), held{9, 0}, lagging},
		{"one of the master before in an outage", with(func(k *known) { k.most = 0 }), held{4, 1}, older},
		{"sent after our write", with(func(k *known) { k.changed = changeAt(8, true) }), held{8, 1999 * ms}, serves},
		{"sent before our write", with(func(k *known) { k.changed = changeAt(9, true) }), held{8, 1999 * ms}, ownNewer},
		{"sent after an announcement was heard", with(func(k *known) { k.changed = changeAt(8, false) }), held{8, 1999 * ms}, serves},
		{"sent before that", with(func(k *known) { k.changed = changeAt(9, false) }), held{8, 1999 * ms}, newer},
		{"sent before that, in an outage", with(func(k *known) { k.changed, k.most = changeAt(9, false), 0 }), held{8, 1}, newer},
		{"while a write of ours may land", with(func(k *known) { k.changed = unsure }), held{9, 1999 * ms}, ownNewer},
	} {
		if got := tt.k.judge(tt.h); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestTheReplicaInOurZoneWithTheFewestQuestionsIsAsked(t *testing.T) {
	for _, tt := range []struct {
		name string
		cs   []candidate
		want []int // one of them, in turn
	}{
		{"nobody", nil, []int{-1}},
		{"one", []candidate{{index: 3, busy: 9}}, []int{3}},
		{"the idle one", []candidate{{0, false, 2}, {1, false, 1}}, []int{1}},
		{"ours, however busy", []candidate{{0, false, 0}, {1, true, 9}}, []int{1}},
		{"the idle one of ours", []candidate{{0, true, 3}, {1, false, 0}, {2, true, 1}}, []int{2}},
		{"equals in turn", []candidate{{0, true, 1}, {1, true, 1}, {2, false, 0}, {3, true, 1}}, []int{0, 1, 3}},
	} {
		var got []int
		for turn := range uint64(len(tt.want)) {
			got = append(got, choose(tt.cs, turn))
		}
		if slices.Sort(got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// bare is a shard that nobody runs.
func bare(st *Store) *Shard {
	st.Config.ReplicaReads = true
	return newShard(st)
}

func next(t *testing.T, sh *Shard, n int) {
	t.Helper()
	for range n {
		if _, ok := sh.Ledger.NextBarrier(1); !ok {
			t.Fatal("no barrier")
		}
	}
}

// TestOnlyBarriersOfTheFeedsEpochCount: what has changed before it was not announced.
func TestOnlyBarriersOfTheFeedsEpochCount(t *testing.T) {
	sh := bare(&Store{})
	for name, f := range map[string]func(){
		"a master is reached": func() { sh.Feed.Begin(true, nil) },
		"a silence":           sh.Feed.Silent,
		"a flush":             sh.Feed.flushed,
		"slots have left":     sh.Feed.parted,
	} {
		next(t, sh, 3)
		cover := sh.Feed.Cover()
		f()
		if got, want := sh.replicas.floor.Load(), sh.Ledger.Next(); got != want || sh.Feed.Cover() == cover {
			t.Errorf("%s: barriers count from %d, want %d", name, got, want)
		}
	}
	next(t, sh, 3)
	was := sh.replicas.floor.Load()
	if sh.Feed.end(); sh.replicas.floor.Load() != was {
		t.Error("without a master no barrier counts: nobody answers in an outage")
	}
}

func TestSlotsThatComeToAShardBeginAnew(t *testing.T) {
	sh := bare(&Store{})
	sh.Config.Mode = health.ModeCluster
	here, elsewhere := slot.Of("a"), slot.Of("b")
	var none slot.Set
	own := func(slots ...uint16) *slotsOf {
		s := &slotsOf{}
		for _, n := range slots {
			s.owned.Add(n)
		}
		return s
	}
	if sh.settledKeys([]string{"a"}) {
		t.Error("a shard that owns nothing has the key")
	}
	steps := []struct {
		name  string
		lies  *slotsOf
		keys  []string
		has   bool
		begin bool
	}{
		{"the first slot", own(here), []string{"a"}, true, true},
		{"a key of another slot", own(here), []string{"a", "b"}, false, false},
		{"one more slot", own(here, elsewhere), []string{"a", "b"}, true, true},
		{"it leaves", own(here), []string{"a"}, true, false},
		{"it comes back", own(here, elsewhere), []string{"b"}, true, true},
	}
	for _, tt := range steps {
		next(t, sh, 2)
		was := sh.replicas.floor.Load()
		sh.slots.Store(tt.lies)
		if got := sh.settledKeys(tt.keys); got != tt.has {
			t.Errorf("%s: %v", tt.name, got)
		}
		if begun := sh.replicas.floor.Load() == sh.Ledger.Next() && sh.Ledger.Next() > was; begun != tt.begin {
			t.Errorf("%s: begun anew %v, want %v", tt.name, begun, tt.begin)
		}
	}
	moves := own(here)
	moves.moving = none
	moves.moving.Add(here)
	sh.slots.Store(moves)
	if sh.settledKeys([]string{"a"}) {
		t.Error("a slot that moves is read from replicas")
	}
}

// TestAWriteWithoutAnAnswerIsInDoubt until something behind it has been answered.
func TestAWriteWithoutAnAnswerIsInDoubt(t *testing.T) {
	sh := bare(&Store{})
	sh.Feed.Begin(true, nil)
	next(t, sh, 4)
	sh.wrote("k", 3)
	sh.mayLand("k", remote.Canceled)
	sh.wrote("k", 4) // beside it
	if sh.replicas.changed.of("k") != unsure {
		t.Error("a write that may land is not in doubt")
	}
	for _, kind := range []remote.Kind{remote.Canceled, remote.Timeout, remote.Conn} {
		s, r := Sent{shard: sh, node: &remote.Node{}, Err: &remote.Error{Kind: kind}, found: true}, Record{Key: string(kind)}
		if s.conclude(&r); sh.replicas.changed.of(r.Key) != unsure {
			t.Errorf("%s: the write is not in doubt", kind)
		}
	}
	places, all := sh.replicas.doubts.take()
	next(t, sh, 2)
	sh.settleDoubts(places, all)
	if c := sh.replicas.changed.of("k"); c.number() != sh.Ledger.Next() || !c.own() {
		t.Errorf("settled: %d, want %d", c.number(), sh.Ledger.Next())
	}
	for i := range maxDoubts + 1 {
		sh.mayLand(fmt.Sprint(i), remote.Timeout)
	}
	places, all = sh.replicas.doubts.take()
	if len(places) != maxDoubts || all == 0 || sh.replicas.doubts.all.Load() != all {
		t.Errorf("%d doubts, too many: %d", len(places), all)
	}
	sh.settleDoubts(places, all)
	if sh.replicas.doubts.all.Load() != 0 || sh.replicas.floor.Load() != sh.Ledger.Next() {
		t.Error("too many doubts are not settled by barriers that come after them")
	}
}

func TestALaterChangeStands(t *testing.T) {
	sh := bare(&Store{})
	sh.wrote("k", 7)
	sh.wrote("k", 5)
	if c := sh.replicas.changed.of("k"); c.number() != 7 || !c.own() {
		t.Errorf("%d, own %v", c.number(), c.own())
	}
	next(t, sh, 8)
	sh.changedElsewhere("k")
	if c := sh.replicas.changed.of("k"); c.number() != 9 || c.own() {
		t.Errorf("%d, own %v", c.number(), c.own())
	}
}

func TestTheLastBarriersAreRemembered(t *testing.T) {
	var s sentBarriers
	for n := range uint64(3000) {
		s.note(n+1, int64(n)+100)
	}
	for n, want := range map[uint64]int64{3000: 3099, 1977: 2076, 1976: 0, 1: 0, 3001: 0, 0: 0, 1 << 63: 0} {
		if got := s.of(n); got != want {
			t.Errorf("barrier %d: %d, want %d", n, got, want)
		}
	}
}

func TestAReplicaOfNoUseRests(t *testing.T) {
	var r rest
	now := int64(1)
	if !r.over(now) {
		t.Fatal("it rests from the beginning")
	}
	for _, want := range []int64{restFirst, 2 * restFirst, 4 * restFirst} {
		r.after(lagging, now)
		r.after(lagging, now) // asked together
		if r.over(now+want-1) || !r.over(now+want) {
			t.Errorf("it does not rest for %v", time.Duration(want))
		}
		now += want
	}
	for range 20 {
		r.after(failed, now)
		now = r.until.Load()
	}
	if r.step.Load() != restMost {
		t.Errorf("it rests for %v", time.Duration(r.step.Load()))
	}
	r.after(newer, now)
	if !r.over(now) {
		t.Error("it rests since one key has changed")
	}
	r.after(serves, now)
	if r.after(failed, now); r.until.Load() != now+restFirst {
		t.Error("an answer of use is not counted")
	}
}

func TestAReplicaThatIsRefusedNearlyAlwaysIsTold(t *testing.T) {
	for _, tt := range []struct {
		answered, refused uint64
		want              bool
	}{{0, 0, false}, {0, usefulLeast - 1, false}, {0, usefulLeast, true}, {9, 100, true}, {10, 100, false}, {1000, 100, false}} {
		if got := isUseless(tt.answered, tt.refused); got != tt.want {
			t.Errorf("%d answered, %d refused: %v", tt.answered, tt.refused, got)
		}
	}
}

func TestReplicasOfTheMasterAreKnownFromTheWatch(t *testing.T) {
	addr := func(port uint16) sentinel.Addr { return sentinel.Addr{Host: "10.0.0.1", Port: port} }
	replica := func(port uint16, f func(*sentinel.NodeStatus)) sentinel.NodeStatus {
		n := sentinel.NodeStatus{Addr: addr(port), Role: sentinel.RoleReplica, Reachable: true, Follows: addr(1)}
		if f != nil {
			f(&n)
		}
		return n
	}
	v := &watch.View{Decision: sentinel.Decision{Master: addr(1)}, Status: sentinel.Status{Nodes: []sentinel.NodeStatus{
		{Addr: addr(1), Role: sentinel.RoleMaster, Reachable: true},
		replica(2, nil),
		replica(3, func(n *sentinel.NodeStatus) { n.Role = sentinel.RoleMaster }),
		replica(4, func(n *sentinel.NodeStatus) { n.Reachable = false }),
		replica(5, func(n *sentinel.NodeStatus) { n.Follows = addr(9) }),
		replica(6, func(n *sentinel.NodeStatus) { n.Follows, n.Promotable = addr(9), true }), // by another name
	}}}
	if got, want := fmt.Sprint(sentinelReplicas(v)), "[{10.0.0.1:2 } {10.0.0.1:6 }]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	v.Decision.Master = sentinel.Addr{}
	if got := sentinelReplicas(v); got != nil || sentinelReplicas(nil) != nil {
		t.Errorf("without a master: %v", got)
	}
	c := &watch.ClusterView{Decision: cluster.Decision{Shards: []cluster.Shard{{Number: 3, Promotable: []cluster.Node{{Addr: cluster.Addr{Host: "h", Port: 1}}}}}}}
	if got := clusterReplicas(c, 3); len(got) != 1 || got[0].addr != "h:1" || clusterReplicas(c, 4) != nil || clusterReplicas(nil, 3) != nil {
		t.Errorf("%v", got)
	}
}

// A write that comes into doubt while others are settled is behind the question that
// settles them.
func TestADoubtThatComesWhileOthersAreSettledStays(t *testing.T) {
	d, place := new(doubts), new(atomic.Uint64)
	d.add(place)
	d.addAll()
	places, all := d.take()
	d.add(place)
	d.addAll()
	d.settle(places, all, changeAt(7, true))
	if place.Load() != uint64(unsure) || d.all.Load() == 0 {
		t.Errorf("settled: %d, %d", place.Load(), d.all.Load())
	}
	places, all = d.take()
	d.settle(places, all, changeAt(8, true))
	if place.Load() != uint64(changeAt(8, true)) || d.all.Load() != 0 {
		t.Errorf("not settled: %d, %d", place.Load(), d.all.Load())
	}
}
