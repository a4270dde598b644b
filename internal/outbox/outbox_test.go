package outbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const class = "c:"

func set(key, value string) Record {
	return Record{Kind: Set, Key: class + key, Class: class, Value: []byte(value), Ends: 1000, Since: 10}
}

func del(key string) Record {
	return Record{Kind: Delete, Key: class + key, Class: class, Since: 11}
}

func touch(key string) Record {
	return Record{Kind: Touch, Key: class + key, Class: class, Ends: 2000, Since: 12}
}

// sooner is a touch that shortens the life of what set writes.
func sooner(key string) Record {
	r := touch(key)
	r.Ends = 500
	return r
}

// roomFor is the bytes that these records take.
func roomFor(rs ...Record) (n int64) {
	for _, r := range rs {
		n += r.cost()
	}
	return n
}

// put puts records and fails the test when one is refused.
func put(t *testing.T, b *Box, rs ...Record) {
	t.Helper()
	for _, r := range rs {
		if err := b.Put(r); err != nil {
			t.Fatalf("Put %s: %v", say(r), err)
		}
	}
}

func putPrefix(t *testing.T, b *Box, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := b.PutPrefix(Prefix{Text: text, Since: 13}); err != nil {
			t.Fatalf("PutPrefix %s: %v", text, err)
		}
	}
}

// say writes a record as: set a=1 until 1000.
func say(r Record) string {
	key := strings.TrimPrefix(r.Key, class)
	switch r.Kind {
	case Delete:
		return "delete " + key
	case Invalidate:
		return "invalidate " + key
	case Touch:
		return fmt.Sprintf("touch %s until %d", key, r.Ends)
	}
	s := fmt.Sprintf("set %s=%s until %d", key, r.Value, r.Ends)
	if r.Invalidate {
		s += " invalidating"
	}
	return s
}

// waiting lists what waits in the order in which it is to be sent.
func waiting(b *Box) []string {
	all := []string{}
	for _, p := range b.Prefixes() {
		all = append(all, "delete "+p.Text+"*")
	}
	for _, r := range b.Oldest(1<<20, nil) {
		all = append(all, say(r))
	}
	return all
}

func TestTheNewestWriteOfAKeyWaits(t *testing.T) {
	invalidating := set("a", "1")
	invalidating.Invalidate = true
	tests := []struct {
		name string
		in   []Record
		want []string
	}{
		{"nothing", nil, []string{}},
		{"in the order they were made", []Record{set("a", "1"), set("b", "2"), del("c")}, []string{"set a=1 until 1000", "set b=2 until 1000", "delete c"}},
		{"a newer one takes its own place in the order", []Record{set("a", "1"), set("b", "2"), set("a", "3")}, []string{"set b=2 until 1000", "set a=3 until 1000"}},
		{"a delete in place of a set", []Record{set("a", "1"), del("a")}, []string{"delete a"}},
		{"a set in place of a delete", []Record{del("a"), set("a", "1")}, []string{"set a=1 until 1000"}},
		{"a touch alone", []Record{touch("a")}, []string{"touch a until 2000"}},
		{"a touch prolongs the set that waits", []Record{set("a", "1"), touch("a")}, []string{"set a=1 until 2000"}},
		{"or lets it end sooner", []Record{set("a", "1"), sooner("a")}, []string{"set a=1 until 500"}},
		{"the last touch counts", []Record{set("a", "1"), touch("a"), sooner("a")}, []string{"set a=1 until 500"}},
		{"alone too", []Record{touch("a"), sooner("a")}, []string{"touch a until 500"}},
		{"and keeps what its class wants", []Record{invalidating, touch("a")}, []string{"set a=1 until 2000 invalidating"}},
		{"a set in place of a touch", []Record{touch("a"), set("a", "1")}, []string{"set a=1 until 1000"}},
		{"a touch of what is to be deleted changes nothing", []Record{del("a"), touch("a")}, []string{"delete a"}},
		{"nor does it move it to the end", []Record{del("a"), set("b", "1"), touch("a")}, []string{"delete a", "set b=1 until 1000"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := New(100, 1<<20)
			for i := range tt.in {
				tt.in[i].Since = int64(10 + i)
			}
			put(t, b, tt.in...)
			if diff := cmp.Diff(tt.want, waiting(b)); diff != "" {
				t.Errorf("what waits (-want +got):\n%s", diff)
			}
		})
	}
}

// A merged Touch writes no value: how old the value is, and which of two
// writes is newer, goes by the Set.
func TestATouchDoesNotMakeAValueYounger(t *testing.T) {
	b := New(100, 1<<20)
	put(t, b, set("a", "1"), touch("a"))
	if r, _ := b.Find(class + "a"); r.Since != set("a", "1").Since {
		t.Errorf("Since = %d, want that of the Set", r.Since)
	}
}

// Its end does not tell any more when it was written.
func TestATouchedSetIsKnownAsTouched(t *testing.T) {
	a := set("a", "1")
	a.TTL = time.Duration(a.Ends - a.Since)
	if a.Touched() {
		t.Error("it is called touched")
	}
	for _, end := range []Record{touch("a"), sooner("a")} {
		end.TTL = time.Duration(end.Ends - end.Since)
		b := New(100, 1<<20)
		put(t, b, a, end)
		if r, _ := b.Find(class + "a"); !r.Touched() || !end.Touched() || r.TTL != end.TTL || !r.Mixed {
			t.Errorf("%+v is not called touched", r)
		}
	}
}

// A Touch that was given up only now leaves the end of a newer Set.
func TestAnOlderTouchLeavesANewerSet(t *testing.T) {
	b := New(100, 1<<20)
	put(t, b, at(20, set("a", "1")), sooner("a"))
	if diff := cmp.Diff([]string{"set a=1 until 1000"}, waiting(b)); diff != "" {
		t.Errorf("what waits (-want +got):\n%s", diff)
	}
}

func TestAPrefixCoversWhatWasWrittenBeforeIt(t *testing.T) {
	b := New(100, 1<<20)
	put(t, b, set("ab1", "old"), set("b", "kept"), touch("ab2"))
	putPrefix(t, b, class+"ab")
	put(t, b, at(20, set("ab3", "later")))
	if diff := cmp.Diff([]string{"delete c:ab*", "set b=kept until 1000"}, waiting(b)); diff != "" {
		t.Errorf("what may be sent at this moment (-want +got):\n%s", diff)
	}
	for key, want := range map[string]string{
		"ab1": "delete ab1", "ab2": "delete ab2", "abc": "delete abc", "ab3": "set ab3=later until 1000", "b": "set b=kept until 1000",
	} {
		if r, ok := b.Find(class + key); !ok || say(r) != want {
			t.Errorf("Find(%s) = %q, %v, want %q", key, say(r), ok, want)
		}
	}
	if r, ok := b.Find(class + "x"); ok {
		t.Errorf("Find of what nobody wrote = %q", say(r))
	}
	for key, want := range map[string]bool{"ab": true, "ab3": true, "a": false, "b": false} {
		if got := b.Covered(class + key); got != want {
			t.Errorf("Covered(%s) = %v", key, got)
		}
	}
}

func TestATouchUnderAPrefixLeavesTheKeyDeleted(t *testing.T) {
	b := New(100, 1<<20)
	putPrefix(t, b, class)
	put(t, b, touch("a"))
	if r, ok := b.Find(class + "a"); !ok || r.Kind != Delete {
		t.Errorf("Find = %q, %v, want a delete", say(r), ok)
	}
	b.DonePrefix(b.Prefixes()[0].Seq)
	if !b.Empty() {
		t.Errorf("left over: %v", waiting(b))
	}
}

// Or the prefix's delete would take away what was written after it.
func TestWhatIsUnderAPrefixIsNotSentBeforeThePrefixIsDone(t *testing.T) {
	b := New(100, 1<<20)
	put(t, b, set("b", "1"))
	putPrefix(t, b, class+"a")
	put(t, b, at(20, set("a1", "2")))
	if rs := b.Oldest(10, nil); len(rs) != 1 || rs[0].Key != class+"b" {
		t.Errorf("Oldest gives %v", rs)
	}
	if r, ok := b.Ready(class + "a1"); ok {
		t.Errorf("Ready gives %q", say(r))
	}
	b.DonePrefix(b.Prefixes()[0].Seq)
	if diff := cmp.Diff([]string{"set b=1 until 1000", "set a1=2 until 1000"}, waiting(b)); diff != "" {
		t.Errorf("after the prefix (-want +got):\n%s", diff)
	}
	if r, ok := b.Ready(class + "a1"); !ok || string(r.Value) != "2" {
		t.Errorf("Ready = %q, %v", say(r), ok)
	}
}

func TestPrefixesThatOthersCoverAreDropped(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want []string
	}{
		{"side by side", []string{"c:a", "c:b"}, []string{"c:a", "c:b"}},
		{"the same again", []string{"c:a", "c:a"}, []string{"c:a"}},
		{"a shorter one covers the longer", []string{"c:ab", "d:", "c:a"}, []string{"d:", "c:a"}},
		// the shorter one may be under way already, and past those keys
		{"a longer one after a shorter stays", []string{"c:a", "c:ab"}, []string{"c:a", "c:ab"}},
		{"the empty one covers all", []string{"c:a", "d:", ""}, []string{""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := New(100, 1<<20)
			putPrefix(t, b, tt.in...)
			got := []string{}
			for _, p := range b.Prefixes() {
				got = append(got, p.Text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("prefixes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPrefixMadeAgainWhileItIsCarriedOutStays(t *testing.T) {
	b := New(100, 1<<20)
	putPrefix(t, b, "c:a")
	underWay := b.Prefixes()[0].Seq
	putPrefix(t, b, "c:a")
	b.DonePrefix(underWay)
	if len(b.Prefixes()) != 1 || b.Empty() {
		t.Error("the second delete is forgotten")
	}
}

func TestDoneForgetsOnlyWhatWasSent(t *testing.T) {
	b := New(100, 1<<20)
	put(t, b, set("a", "1"))
	sent := b.Oldest(1, nil)[0]
	put(t, b, set("a", "2"))
	b.Done(sent.Key, sent.Seq)
	if diff := cmp.Diff([]string{"set a=2 until 1000"}, waiting(b)); diff != "" {
		t.Errorf("the newer one is forgotten (-want +got):\n%s", diff)
	}
	sent = b.Oldest(1, nil)[0]
	put(t, b, touch("a")) // a merged touch is a newer write too
	b.Done(sent.Key, sent.Seq)
	if b.Empty() {
		t.Error("the touched one is forgotten")
	}
	b.Done(class+"none", ^uint64(0))
	sent = b.Oldest(1, nil)[0]
	b.Done(sent.Key, sent.Seq)
	if !b.Empty() {
		t.Errorf("left over: %v", waiting(b))
	}
}

// A write that got no turn in its lane is put here without it, perhaps while
// an older one is on its way to the master.
func TestAWriteThatTheMasterTookClearsOnlyOlderOnes(t *testing.T) {
	at := func(since int64, r Record) Record { r.Since = since; return r }
	tests := []struct {
		name  string
		waits []Record
		taken Record
		want  []string
	}{
		{"nothing waits", nil, set("a", "1"), []string{}},
		{"an older set", []Record{at(1, set("a", "1"))}, at(2, set("a", "2")), []string{}},
		{"an older delete", []Record{at(1, del("a"))}, at(2, set("a", "2")), []string{}},
		{"a newer set", []Record{at(3, set("a", "3"))}, at(2, set("a", "2")), []string{"set a=3 until 1000"}},
		{"a newer delete", []Record{at(3, del("a"))}, at(2, set("a", "2")), []string{"delete a"}},
		{"an older set that was touched since", []Record{at(1, set("a", "1")), at(3, touch("a"))}, at(2, set("a", "2")), []string{}},
		{"another key", []Record{at(1, set("b", "1"))}, at(2, set("a", "2")), []string{"set b=1 until 1000"}},
		{"a touch takes no set's place", []Record{at(1, set("a", "1"))}, at(2, touch("a")), []string{"set a=1 until 1000"}},
		{"nor a delete's", []Record{at(1, del("a"))}, at(2, touch("a")), []string{"delete a"}},
		{"but an older touch's", []Record{at(1, touch("a"))}, at(2, touch("a")), []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := New(100, 1<<20)
			put(t, b, tt.waits...)
			b.Taken(tt.taken)
			if diff := cmp.Diff(tt.want, waiting(b)); diff != "" {
				t.Errorf("what waits (-want +got):\n%s", diff)
			}
			if b.Empty() != (len(tt.want) == 0) {
				t.Errorf("Empty = %v", b.Empty())
			}
		})
	}
}

func TestWhatDoesNotFitIsInvalidated(t *testing.T) {
	tests := []struct {
		name       string
		entries    int
		bytes      int64
		in         []Record
		want       []string
		overflowed uint64
	}{
		{"a value over the bound in bytes", 10, roomFor(del("a")), []Record{set("a", "1")}, []string{"invalidate a"}, 1},
		{"a value exactly at it", 10, roomFor(set("a", "1")), []Record{set("a", "1")}, []string{"set a=1 until 1000"}, 0},
		{
			"a second value", 10, roomFor(set("a", "1"), del("b")),
			[]Record{set("a", "1"), set("b", "2")},
			[]string{"set a=1 until 1000", "invalidate b"},
			1,
		},
		{
			"a value that grows invalidates its older self", 10, roomFor(set("a", "1")),
			[]Record{set("a", "1"), set("a", "22")},
			[]string{"invalidate a"},
			1,
		},
		{
			"a smaller value in place of a larger", 1, roomFor(set("a", "22")),
			[]Record{set("a", "22"), set("a", "1")},
			[]string{"set a=1 until 1000"},
			0,
		},
		{
			"a touch keeps the set that fills the box", 1, roomFor(set("a", "1")),
			[]Record{set("a", "1"), touch("a")},
			[]string{"set a=1 until 2000"},
			0,
		},
		{"one key too many: its class", 1, 1 << 20, []Record{set("a", "1"), set("b", "2")}, []string{"delete c:*"}, 2},
		{"a delete too many: its class", 1, 1 << 20, []Record{del("a"), del("b")}, []string{"delete c:*"}, 1},
		{"a touch of what is invalidated changes nothing", 10, roomFor(del("a")), []Record{set("a", "1"), touch("a")}, []string{"invalidate a"}, 1},
		{"no room for a key at all", 10, 0, []Record{set("a", "1")}, []string{"delete c:*"}, 1},
		{
			"what was acknowledged before and goes with the class is counted", 3, 1 << 20,
			[]Record{set("a", "1"), set("b", "2"), del("x"), set("d", "3")},
			[]string{"delete c:*"},
			3,
		},
		// the key then ends when it would have: nothing has to be deleted for that
		{"a touch that does not fit is left out", 1, 1 << 20, []Record{set("a", "1"), touch("b")}, []string{"set a=1 until 1000"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := New(tt.entries, tt.bytes)
			put(t, b, tt.in...)
			if diff := cmp.Diff(tt.want, waiting(b)); diff != "" {
				t.Errorf("what waits (-want +got):\n%s", diff)
			}
			if got := b.Depth().Overflowed; got != tt.overflowed {
				t.Errorf("Overflowed = %d, want %d", got, tt.overflowed)
			}
		})
	}
}

func TestAnotherClassDoesNotPayForAnOverflow(t *testing.T) {
	b := New(2, 1<<20)
	put(t, b, Record{Key: "other:a", Class: "other:", Value: []byte("1"), Since: 1}, set("a", "1"), set("b", "2"))
	if r, ok := b.Find("other:a"); !ok || r.Kind != Set {
		t.Errorf("other:a = %q, %v", say(r), ok)
	}
	if r, ok := b.Find(class + "a"); !ok || r.Kind != Delete {
		t.Errorf("a = %q, %v, want it under the delete of its class", say(r), ok)
	}
}

func TestPrefixesInABoxAreBoundedInBytes(t *testing.T) {
	b := New(100, 1<<20)
	long := strings.Repeat("x", 1000)
	err, kept := error(nil), 0
	for i := 0; err == nil && i < 1000; i++ {
		err = b.PutPrefix(Prefix{Text: fmt.Sprintf("c:%04d", i) + long, Since: 1})
		kept = i
	}
	if !errors.Is(err, ErrFull) || kept < 100 || b.Depth().Bytes > maxPrefixBytes(1<<20) {
		t.Errorf("%v after %d, %+v", err, kept, b.Depth())
	}
	putPrefix(t, b, "c:") // it makes room
	b.Return(nil, func() (ps []Prefix) {
		for i := range 1000 {
			ps = append(ps, Prefix{Text: fmt.Sprintf("d:%04d", i) + long, Since: 1})
		}
		return ps
	}())
	if d := b.Depth(); d.Bytes > maxPrefixBytes(1<<20) || !b.Covered("d:0000"+long) || !b.Covered("d:0999"+long) {
		t.Errorf("%+v", d)
	}
}

func TestFullOfPrefixesIsTold(t *testing.T) {
	const most = 2000
	b := New(1, 1<<30)
	b.most = most
	for i := range most {
		putPrefix(t, b, fmt.Sprintf("p%06d:", i))
	}
	put(t, b, set("a", "1"))
	before := b.Depth()
	if err := b.PutPrefix(Prefix{Text: "one more", Since: 1}); !errors.Is(err, ErrFull) {
		t.Errorf("PutPrefix = %v, want ErrFull", err)
	}
	if err := b.Put(set("b", "2")); !errors.Is(err, ErrFull) {
		t.Errorf("Put = %v, want ErrFull", err)
	}
	if diff := cmp.Diff(before, b.Depth()); diff != "" {
		t.Errorf("a write that was refused left something behind:\n%s", diff)
	}
	putPrefix(t, b, "p000001:") // takes the place of itself
	put(t, b, set("a", "2"), del("a"))
	putPrefix(t, b, "p") // and this one makes room
	put(t, b, set("b", "2"))
	if n := len(b.Prefixes()); n != 2 {
		t.Errorf("%d prefixes wait, want p* and the class's", n)
	}
}

func TestDepthTellsWhatWaits(t *testing.T) {
	b := New(10, 1<<20)
	if diff := cmp.Diff(Depth{}, b.Depth()); diff != "" || !b.Empty() {
		t.Errorf("of an empty box: %s", diff)
	}
	a, c := set("a", "1"), set("b", "22")
	a.Since, c.Since = 70, 80
	put(t, b, a, c)
	if err := b.PutPrefix(Prefix{Text: "x:", Since: 60}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Depth{Entries: 3, Bytes: roomFor(a, c) + prefixCost("x:"), Oldest: 60}, b.Depth()); diff != "" || b.Empty() {
		t.Errorf("of two records and a prefix: %s", diff)
	}
	b.DonePrefix(b.Prefixes()[0].Seq)
	if d := b.Depth(); d.Oldest != 70 || d.Entries != 2 {
		t.Errorf("without the prefix: %+v", d)
	}
}

func TestWhatIsHandedOutIsACopy(t *testing.T) {
	b := New(10, 1<<20)
	put(t, b, set("a", "1"))
	putPrefix(t, b, "x:", "y:")
	b.Oldest(1, nil)[0].Key = "changed"
	b.Prefixes()[1].Text = "changed"
	b.DonePrefix(b.Prefixes()[0].Seq)
	if diff := cmp.Diff([]string{"delete y:*", "set a=1 until 1000"}, waiting(b)); diff != "" {
		t.Errorf("what waits (-want +got):\n%s", diff)
	}
}

func TestWritersAndReplayerShareABox(t *testing.T) {
	const writers, each = 4, 500
	b := New(50, 1<<20)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("%d-%d", w, i%20)
				switch i % 4 {
				case 0:
					_ = b.Put(del(key))
				case 1:
					_ = b.Put(touch(key))
				case 2:
					_ = b.Put(set(key, "v"))
				case 3:
					b.Taken(set(key, "v"))
				}
				b.Find(class + key)
				b.Covered(class + key)
			}
		})
	}
	stop := make(chan struct{})
	var replayer sync.WaitGroup
	replayer.Go(func() {
		for !closed(stop) || !b.Empty() {
			drain(b, 7, func(Prefix) {}, func(Record) {})
			if d := b.Depth(); d.Bytes < 0 || d.Entries > 50+maxPrefixes {
				t.Errorf("depth %+v", d)
			}
		}
	})
	wg.Wait()
	close(stop)
	replayer.Wait()
	if d := b.Depth(); d.Entries != 0 || d.Bytes != 0 {
		t.Errorf("after the replay: %+v", d)
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// drain is one round of a replayer: prefixes, then up to n records.
func drain(b *Box, n int, prefix func(Prefix), record func(Record)) {
	for _, p := range b.Prefixes() {
		prefix(p)
		b.DonePrefix(p.Seq)
	}
	for _, r := range slices.Clone(b.Oldest(n, nil)) {
		if r, ok := b.Ready(r.Key); ok {
			record(r)
			b.Done(r.Key, r.Seq)
		}
	}
}
