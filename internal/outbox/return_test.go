package outbox

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatAMasterLacksWaitsAgain(t *testing.T) {
	a, b := at(1, set("a", "1")), at(2, set("b", "2"))
	early, late := Prefix{Text: "c:", Since: 0}, Prefix{Text: "c:", Since: 5}
	newer := at(9, set("x", "9"))
	tests := []struct {
		name     string
		entries  int
		bytes    int64
		pending  []Record
		prefix   *Prefix // pending, put before these
		records  []Record
		prefixes []Prefix
		want     []string // what waits, prefixes carried out first
	}{
		{"nothing", 9, 999, nil, nil, nil, nil, []string{}},
		{"before what waits, in order", 9, 9999, []Record{newer}, nil, []Record{b, a}, nil, []string{"set a=1 until 1000", "set b=2 until 1000", "set x=9 until 1000"}},
		{"but a newer write of its key stays", 9, 9999, []Record{at(9, set("a", "9"))}, nil, []Record{a, b}, nil, []string{"set b=2 until 1000", "set a=9 until 1000"}},
		{"and a newer delete", 9, 9999, []Record{at(9, del("a"))}, nil, []Record{a}, nil, []string{"delete a"}},
		{"an older write does not", 9, 9999, []Record{at(0, set("a", "0")), newer}, nil, []Record{a}, nil, []string{"set a=1 until 1000", "set x=9 until 1000"}},
		{"a touch that waits gets its set", 9, 9999, []Record{touch("a"), newer}, nil, []Record{a}, nil, []string{"set a=1 until 2000", "set x=9 until 1000"}},
		{"also one that lets it end sooner", 9, 9999, []Record{sooner("a")}, nil, []Record{a}, nil, []string{"set a=1 until 500"}},
		{"a touch that waits is newer than one that was returned", 9, 9999, []Record{at(13, sooner("a"))}, nil, []Record{touch("a")}, nil, []string{"touch a until 500"}},
		{"and none of a deleted key", 9, 9999, []Record{touch("a")}, nil, []Record{at(1, del("a"))}, nil, []string{"delete a"}},
		{"a touch alone", 9, 9999, []Record{newer}, nil, []Record{touch("a")}, nil, []string{"touch a until 2000", "set x=9 until 1000"}},
		{"a touch that was returned leaves a newer set", 9, 9999, []Record{at(20, set("a", "1"))}, nil, []Record{touch("a")}, nil, []string{"set a=1 until 1000"}},
		{"what a later prefix deletes is dropped", 9, 9999, nil, &late, []Record{a}, nil, []string{"delete c:*"}},
		{"what is newer than the prefix waits for it", 9, 9999, nil, &early, []Record{a}, nil, []string{"delete c:*", "set a=1 until 1000"}},
		{"a touch under any is dropped", 9, 9999, nil, &early, []Record{touch("a")}, nil, []string{"delete c:*"}},
		{"a returned prefix leaves what is newer", 9, 9999, []Record{newer}, nil, nil, []Prefix{late}, []string{"delete c:*", "set x=9 until 1000"}},
		{"and drops what is not", 9, 9999, []Record{at(3, set("y", "3")), newer}, nil, []Record{a}, []Prefix{late}, []string{"delete c:*", "set x=9 until 1000"}},
		{"a value without room", 9, roomFor(newer, b, del("a")), []Record{newer}, nil, []Record{a, b}, nil, []string{"invalidate a", "set b=2 until 1000", "set x=9 until 1000"}},
		{"a key without room: its class, but not what is newer", 2, 9999, []Record{newer}, nil, []Record{a, b}, nil, []string{"delete c:*", "set b=2 until 1000", "set x=9 until 1000"}},
		{"a set without room for a touch that waits", 9, roomFor(touch("a")), []Record{touch("a")}, nil, []Record{a}, nil, []string{"invalidate a"}},
		{"a touch without room", 1, 9999, []Record{newer}, nil, []Record{touch("a")}, nil, []string{"set x=9 until 1000"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			box := New(tt.entries, tt.bytes)
			if tt.prefix != nil {
				if err := box.PutPrefix(*tt.prefix); err != nil {
					t.Fatal(err)
				}
			}
			put(t, box, tt.pending...)
			box.Return(tt.records, tt.prefixes)
			got := []string{}
			for _, p := range box.Prefixes() {
				got = append(got, "delete "+p.Text+"*")
				box.DonePrefix(p.Seq)
			}
			if diff := cmp.Diff(tt.want, append(got, waiting(box)...)); diff != "" {
				t.Errorf("what waits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestANewerWriteThatWaitsKnowsWhenTheOthersWere(t *testing.T) {
	box := New(9, 9999)
	put(t, box, at(10, set("a", "1")), at(20, set("a", "2")))
	if r, _ := box.Find("c:a"); r.Floor != 10 {
		t.Errorf("after Put: Floor = %d, want 10", r.Floor)
	}
	late := at(5, set("a", "late"))
	late.Hi = 12
	box.Taken(late)
	if r, _ := box.Find("c:a"); r.Floor != 12 {
		t.Errorf("after Taken: Floor = %d, want 12", r.Floor)
	}
	box.Return([]Record{at(15, set("a", "x"))}, nil)
	if r, _ := box.Find("c:a"); r.Floor != 15 {
		t.Errorf("after Return: Floor = %d, want 15", r.Floor)
	}
	box.Return([]Record{at(20, set("a", "2"))}, nil)
	if r, _ := box.Find("c:a"); r.Floor != 15 {
		t.Errorf("after Return of itself: Floor = %d, want 15", r.Floor)
	}
}

// Its replay to the master that is gone may be answered late.
func TestALateDoneDoesNotForgetWhatWasReturned(t *testing.T) {
	box := New(9, 9999)
	put(t, box, set("a", "1"))
	putPrefix(t, box, "d:")
	sent, prefix := box.Oldest(1, nil)[0], box.Prefixes()[0]
	box.Return([]Record{sent}, []Prefix{prefix})
	box.Done(sent.Key, sent.Seq)
	box.DonePrefix(prefix.Seq)
	if diff := cmp.Diff([]string{"delete d:*", "set a=1 until 1000"}, waiting(box)); diff != "" {
		t.Error(diff)
	}
}

func TestReturnRefusesNothingWherePrefixesAreFull(t *testing.T) {
	const most = 2000
	box := New(most, 1<<30)
	box.most = most
	for i := range most {
		putPrefix(t, box, fmt.Sprintf("x:%06d:", i))
	}
	put(t, box, at(99, Record{Key: "x:000000", Class: "x:", Value: []byte("newer")}))
	ps := []Prefix{{Text: "x:000000z", Since: 5}, {Text: "x:zz", Since: 6}}
	box.Return(nil, ps)
	if n := len(box.Prefixes()); n > most || n < joinedTo(most) {
		t.Errorf("%d prefixes wait", n)
	}
	for _, key := range []string{"x:000000zzz", "x:zz1", "x:000000:1", "x:000512:1"} {
		if !box.Covered(key) {
			t.Errorf("nothing deletes %s", key)
		}
	}
	for _, p := range box.Prefixes() {
		if !strings.HasPrefix(p.Text, "x:") {
			t.Errorf("%q would delete what is of no class here", p.Text)
		}
		box.DonePrefix(p.Seq)
	}
	if diff := cmp.Diff("newer", string(box.Oldest(1, nil)[0].Value)); diff != "" {
		t.Error(diff)
	}
	if err := box.PutPrefix(Prefix{Text: "y:"}); err != nil {
		t.Error(err)
	}
}
