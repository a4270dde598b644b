package remote

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/slot"
)

// testAnchor is the anchor that beds on a Cluster use: its slot is not that of their keys.
const testAnchor = Anchor(77)

// sameAtAnAnchor begins the names of tests that run others on a Cluster.
const sameAtAnAnchor = "TestScriptsDecideTheSameAtAnAnchor/"

// shared is the bed of TestScriptsDecideTheSameAtAnAnchor, whose tests run one by one.
var shared *bed

func atAnchor(t *testing.T) bool { return strings.HasPrefix(t.Name(), sameAtAnAnchor) }

// anchoredBed is a bed on a Cluster of one node.
func anchoredBed(t *testing.T) *bed {
	t.Helper()
	p := startCluster(t, redisproc.ClusterOptions{Masters: 1, NodeTimeout: 30 * time.Second}).Nodes()[0]
	return bedOn(t, p, dialCluster(t, p, 0, Config{}, observer(func(string, time.Duration, Kind) {}))).noted()
}

func (b *bed) anchor(c *Cond, key string) {
	if b.n.clustered() {
		c.AtAnchor("app:", key, testAnchor, true)
	}
}

func (b *bed) anchorFill(f *Fill) {
	if b.n.clustered() {
		f.Anchored, f.Marks, f.Trace = true, MarksAt("app:", f.Key, testAnchor), TraceKey("app:", f.Key)
	}
}

func (b *bed) marksOf(key string) string {
	if b.n.clustered() {
		return MarksAt("app:", key, testAnchor)
	}
	return MarksKey("app:", key)
}

func (b *bed) livesOf(key string) string {
	if b.n.clustered() {
		return LivesAt("app:", key, testAnchor)
	}
	return LivesKey("app:", key)
}

func TestScriptsDecideTheSameAtAnAnchor(t *testing.T) {
	t.Parallel()
	shared = anchoredBed(t)
	for name, test := range map[string]func(*testing.T){
		"restore": TestRestore, "invalidate": TestInvalidate, "retime": TestRetime,
		"shorter life": TestAShorterLifeMakesNoValueLookOlder, "trace of a touch": TestATouchLeavesATrace,
		"older": TestAnOlderWriteIsNotPutBackOverANewerOne, "repeated": TestAReplayMayBeRepeated,
		"fill": TestFillYieldsToWhatHappenedSinceTheMiss, "load": TestALoadThatBeganBeforeADeleteIsNotStored,
		"certain": TestOlderTellsOnlyWhatIsCertain,
		"prefix":  TestADeleteOfAPrefixKeepsWhatWasWrittenBeforeFromComingBack, "deleted prefix": TestWhatADeletedPrefixLeavesIsNotReadAgain,
	} {
		t.Run(name, test)
	}
}

// Outside of a Cluster scripts are told nothing else than they always were.
func TestOutsideOfAClusterAllKeysOfAScriptAreDeclared(t *testing.T) {
	c := CondOf("app:", "app:c:k", "me")
	r := Replay{Kind: Restore, Key: "app:c:k", Data: []byte("v"), Cond: c}
	f := Fill{Pair: Pair{Key: "app:c:k", TTL: time.Hour}, Tomb: c.Tomb, Marks: c.Marks, Trace: c.Trace, Rest: c.Rest}
	for what, tt := range map[string]struct {
		step step
		keys []string
		args int
		text *lua
	}{
		"replay": {r.step(), []string{"app:c:k", "app:~d:{app:c:k}", "app:~p:c", "app:~t:c", "app:~s:{app:c:k}"}, 13, scriptRestore},
		"fill":   {f.step("0"), []string{"app:c:k", "app:~d:{app:c:k}", "app:~p:c", "app:~s:{app:c:k}"}, 9, scriptFill},
	} {
		if !slices.Equal(tt.step.keys, tt.keys) || len(tt.step.args) != tt.args || tt.step.script != tt.text || strings.Contains(tt.text.text, "ARGV[#ARGV") {
			t.Errorf("%s: keys %q and %d arguments", what, tt.step.keys, len(tt.step.args))
		}
	}
}

func TestAnAnchorIsOneThatTheNodeHasAndKeeps(t *testing.T) {
	half, none := slot.SetOf(slot.Range{First: 0, Last: 8191}), &slot.Set{}
	for _, tt := range []struct {
		owned, moving *slot.Set
		near          uint16
		want          Anchor
		ok            bool
	}{
		{half, none, 0, 0, true},
		{half, none, 63, 0, true},
		{half, none, 64, 1, true},
		{half, none, 8191, 127, true},
		{half, none, 16383, 0, true},
		{half, none, 9000, 0, true},
		{half, slot.SetOf(slot.Range{First: 64, Last: 64}), 70, 2, true},
		{half, slot.SetOf(slot.Range{First: 65, Last: 127}), 70, 1, true},
		{half, slot.SetOf(slot.Range{First: 8128, Last: 8191}), 8191, 0, true},
		{half, half, 5, 0, false},
		{none, none, 5, 0, false},
		{slot.SetOf(slot.Range{First: 1, Last: 63}), none, 5, 0, false}, // no anchor among them
	} {
		if got, ok := AnchorFor(tt.owned, tt.moving, tt.near); got != tt.want || ok != tt.ok {
			t.Errorf("of %v, while %v move, near %d: %d, %v; want %d, %v", tt.owned, tt.moving, tt.near, got, ok, tt.want, tt.ok)
		}
	}
	if got := AnchorsIn(half); len(got) != 128 || got[0] != 0 || got[127] != 127 {
		t.Errorf("anchors of a half: %v", got)
	}
	if got := AnchorsIn(slot.SetOf(slot.Range{First: 0, Last: slot.Count - 1})); len(got) != 256 {
		t.Errorf("there are %d anchors", len(got))
	}
}

func TestTheKeysOfAnAnchorAreInItsSlot(t *testing.T) {
	for i := range anchors {
		a := Anchor(i)
		marks, lives := MarksAt("app:", "app:c:k", a), LivesAt("app:", "app:c:k", a)
		if slot.Of(marks) != a.Slot() || slot.Of(lives) != a.Slot() || a.Slot() != uint16(64*i) {
			t.Errorf("anchor %d: %q is in slot %d, %q in %d", a, marks, slot.Of(marks), lives, slot.Of(lives))
		}
		if !strings.HasPrefix(marks, MarksKey("app:", "")) || !strings.HasPrefix(lives, LivesKey("app:", "")) {
			t.Errorf("anchor %d: %q and %q", a, marks, lives) // the feed and the ACL go by the beginning
		}
		if class, ok := ClassOfMarks("app:", marks); class != "c" || !ok {
			t.Errorf("%q is of class %q", marks, class)
		}
	}
	for key, want := range map[string]string{"app:~p:c": "c", "app:~p:": "", "app:~p:{1}": "", "app:~p:{1c": "", "app:~d:c": "", "": ""} {
		if class, ok := ClassOfMarks("app:", key); class != want && ok || ok != (want != "") {
			t.Errorf("%q is of class %q, %v", key, class, ok)
		}
	}
}

// marksAt leaves a mark of everything of class c at all anchors of a node.
func (p *pair) marksAt(n *Node, all []Anchor) Marked {
	p.Helper()
	m := PrefixMark{Process: "other"}
	got, err := n.MarkEach(p.Context(), m.AtAnchors("app:", "app:c:", all), false, long)
	if err != nil || len(got.Errs) != len(all) {
		p.Fatalf("%d answers, %v", len(got.Errs), err)
	}
	return got
}

// The trace of a delete of a prefix is at all anchors of a node, whichever a script is
// given. What another node has by now does not keep it from the others.
func TestADeleteOfAPrefixIsKnownAtEveryAnchor(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	owned := slot.SetOf(slot.Range{First: 0, Last: 8191})
	all := append(AnchorsIn(owned), Anchor(200))
	longest, errs, err := p.from.NoteLives(t.Context(), Life{TTL: time.Hour}.AtAnchors("app:", "app:c:", all), false, long)
	if err != nil || longest != time.Hour {
		t.Fatal(longest, err)
	}
	got := p.marksAt(p.from, all)
	for i, a := range all {
		want, at, there := OK, p.source, int64(2)
		if i == 128 {
			want, at, there = Moved, p.sink, 0
		}
		if got := ask(t, at, "EXISTS", MarksAt("app:", "app:c:", a), LivesAt("app:", "app:c:", a)); got != there {
			t.Errorf("anchor %d: %v of its keys", a, got)
		}
		wantKind(t, got.Errs[i], want)
		wantKind(t, errs[i], want)
	}
	if r, _ := RedirectOf(got.Errs[128]); r.Slot != 200*64 || r.Addr != p.sink.Addr() {
		t.Errorf("another node's anchor: %+v", r)
	}
	if got.Low == 0 || got.High < got.Low {
		t.Errorf("from %d to %d", got.Low, got.High)
	}
	for s := uint16(0); s < 8192; s += 511 {
		key := in(s, "k")
		a, _ := AnchorFor(owned, &slot.Set{}, s)
		if stored, err := p.from.Fill(t.Context(), fillAt(key, a, got.Low-1), long); stored || err != nil {
			t.Errorf("slot %d, anchor %d: loaded before: %v, %v", s, a, stored, err)
		}
		c := condAt(key, a, got.Low-100)
		out, err := p.from.Replay(t.Context(), []Replay{{Kind: Restore, Key: key, Data: []byte("old"), Cond: c}}, long)
		if err != nil || out[0].Err != nil || out[0].Result != Superseded || ask(t, p.source, "EXISTS", key) != int64(0) {
			t.Errorf("slot %d, anchor %d: written before: %v, %v", s, a, out, err)
		}
		c = condAt(key, a, got.High+1)
		out, err = p.from.Replay(t.Context(), []Replay{{Kind: Restore, Key: key, Data: []byte("new"), Cond: c}}, long)
		if err != nil || out[0].Err != nil || out[0].Result != Done || ask(t, p.source, "GET", key) != "new" {
			t.Errorf("slot %d, anchor %d: written after: %v, %v", s, a, out, err)
		}
		ages, err := p.from.Older(t.Context(), []Replay{{Key: key, Cond: condAt(key, a, got.High+hour)}}, 2*time.Hour, long)
		if err != nil || ages[0] != CertainlyOlder {
			t.Errorf("slot %d, anchor %d: older than a write of an hour later: %v, %v", s, a, ages, err)
		}
	}
}

func fillAt(key string, a Anchor, missed int64) Fill {
	return Fill{
		Pair: Pair{Key: key, Data: []byte("loaded"), TTL: time.Hour}, Tomb: TombstoneKey("app:", key), Trace: TraceKey("app:", key),
		Rest: RestOf("app:", key), MissedAt: missed, Anchored: true, Marks: MarksAt("app:", key, a),
	}
}

func condAt(key string, a Anchor, at int64) Cond {
	c := CondOf("app:", key, "me")
	c.AtAnchor("app:", key, a, true)
	c.Lo, c.Hi, c.Ends = at, at, at+hour
	return c
}

// An anchor that the node does not have, or that is on its way, says nothing about the
// key: nothing is changed, and another anchor will do.
func TestAnAnchorThatIsNotThereChangesNothing(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	key := in(5, "k")
	now := time.Now().UnixMilli()
	p.begin(64)
	for what, a := range map[string]Anchor{"another node's": 200, "on its way": 1} {
		want := Redirect{Kind: TryAgain, Slot: int(a.Slot()), Anchor: true}
		ask(t, p.source, "SET", key, "theirs", "PX", "600000")
		for _, kind := range []ReplayKind{Restore, Invalidate, Retime} {
			out, err := p.from.Replay(t.Context(), []Replay{{Kind: kind, Key: key, Data: []byte("ours"), Cond: condAt(key, a, now)}}, long)
			if err != nil {
				t.Errorf("%s: the pipeline failed: %v", what, err)
			}
			p.wantRedirect(what, out[0].Err, want)
		}
		f := fillAt(key, a, now)
		f.Replaces = Sum([]byte("theirs"))
		_, err := p.from.Fill(t.Context(), f, long)
		p.wantRedirect(what, err, want)
		ages, err := p.from.Older(t.Context(), []Replay{{Key: key, Cond: condAt(key, a, now)}}, time.Minute, long)
		if err != nil || ages[0] != Unanswered {
			t.Errorf("%s: %v, %v", what, ages, err)
		}
		if told := p.seen.take(); len(told) != 1 || told[0] != want {
			t.Errorf("%s: told %+v", what, told)
		}
		if v, tomb := ask(t, p.source, "GET", key), ask(t, p.source, "EXISTS", TombstoneKey("app:", key)); v != "theirs" || tomb != int64(0) {
			t.Errorf("%s: %v is there, and %v tombstones", what, v, tomb)
		}
	}
	// With its keys still there an anchor that is on its way serves.
	p.marksAt(p.from, []Anchor{2})
	if stored, err := p.from.Fill(t.Context(), fillAt(in(6, "k"), 2, now+hour), long); !stored || err != nil {
		t.Error(stored, err)
	}
}

// An ACL that names what keys begin with is enough for keys that are not declared. One
// that leaves the marks out forbids the script, as it does where they are declared.
func TestAnACLOfPrefixesAllowsAnchors(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	p.marksAt(p.from, []Anchor{3})
	now := time.Now().UnixMilli() + hour
	for user, tt := range map[string]struct {
		keys      []string
		forbidden bool
	}{
		"all":     {[]string{"~app:*"}, false},
		"nomarks": {[]string{"~app:c:*", "~app:~d:*", "~app:~s:*"}, true},
	} {
		ask(t, p.source, append([]string{"ACL", "SETUSER", user, "on", ">one", "&*", "+@all", "~~b:*", "~~dataset*"}, tt.keys...)...)
		n := p.dial(p.source, 0, Config{Username: user, Password: "one"})
		stored, err := n.Fill(t.Context(), fillAt(in(5, user), 3, now), long)
		if err != nil || !stored || (n.Forbidden() != nil) != tt.forbidden || n.ScriptsForbidden() {
			t.Errorf("%s: stored %v, %v; forbidden: %v", user, stored, err, n.Forbidden())
		}
	}
}

// A node without an anchor cannot tell what others have deleted: what is put back there
// is a delete that nobody takes for his own.
func TestWithoutAnAnchorAWriteIsPutBackAsADelete(t *testing.T) {
	t.Parallel()
	b := anchoredBed(t)
	for _, kind := range []ReplayKind{Restore, Invalidate, Retime} {
		b := b.fresh(t)
		b.put(b.key, "theirs", b.now+hour)
		b.put(b.tomb, decimal(b.now+5000)+":other", b.now+life)
		c := b.cond()
		c.AtAnchor("app:", b.key, 0, false)
		got := b.replay(Replay{Kind: kind, Key: b.key, Data: []byte("ours"), Cond: c})
		if kind == Retime {
			if got != Done || b.get(b.key) != "theirs" || b.ends(b.key) != b.now+hour {
				t.Errorf("a Touch: %v, %q ends %d", got, b.get(b.key), b.ends(b.key)-b.now)
			}
			continue
		}
		if got != Unknown || b.get(b.key) != "" {
			t.Errorf("kind %d: %v, %q is there", kind, got, b.get(b.key))
		}
		b.wantTomb("", b.now+5001, b.now+5001) // it does not go back in time
	}
}
