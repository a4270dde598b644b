package outbox

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What got its turn before a prefix was deleted, and is kept only after that, is void:
// what others wrote between the two would stand, were the key left to it.
func TestWhatIsKeptAfterALaterPrefixIsVoid(t *testing.T) {
	for name, r := range map[string]Record{"set": set("ab", "v"), "delete": del("ab"), "invalidate": {Kind: Invalidate, Key: class + "ab", Class: class}} {
		b := New(100, 1<<20)
		put(t, b, at(5, set("b", "kept")))
		putPrefix(t, b, class+"a") // at 13
		if overtaken, err := b.Keep(at(7, r)); !overtaken || err != nil {
			t.Errorf("%s: overtaken: %v, %v", name, overtaken, err)
		}
		if overtaken, err := b.Keep(at(20, set("ac", "later"))); overtaken || err != nil {
			t.Errorf("a later one: overtaken: %v, %v", overtaken, err)
		}
		b.DonePrefix(b.Prefixes()[0].Seq)
		if diff := cmp.Diff([]string{"set b=kept until 1000", "set ac=later until 1000"}, waiting(b)); diff != "" {
			t.Errorf("after a %s (-want +got):\n%s", name, diff)
		}
		if n := b.Depth().Overflowed; n != 0 {
			t.Errorf("%d values had no room", n)
		}
	}
}

// Under a prefix that was made of several nobody asked for its delete, perhaps.
func TestAValueThatIsVoidForWantOfRoomForPrefixesIsCounted(t *testing.T) {
	b := New(100, 1<<20)
	b.Return(nil, []Prefix{{Text: class + "a", Since: 13, Joined: true}})
	if overtaken, err := b.Keep(at(7, set("ab", "v"))); !overtaken || err != nil {
		t.Errorf("overtaken: %v, %v", overtaken, err)
	}
	if n := b.Depth().Overflowed; n != 1 {
		t.Errorf("%d values had no room, want 1", n)
	}
}

func TestKeepTellsWhatIsOvertakenByItsKey(t *testing.T) {
	b := New(100, 1<<20)
	put(t, b, at(20, set("a", "later")))
	for _, tt := range []struct {
		r    Record
		want bool
	}{{at(7, set("a", "v")), true}, {at(7, touch("a")), true}, {at(21, set("a", "v")), false}, {at(22, touch("a")), false}, {at(7, set("b", "v")), false}} {
		if overtaken, err := b.Keep(tt.r); overtaken != tt.want || err != nil {
			t.Errorf("%s: overtaken: %v, %v", say(tt.r), overtaken, err)
		}
	}
}

// A prefix takes the place of all that waits under it, also of what got its turn later,
// and of a later prefix: what others wrote before those has to go too.
func TestAPrefixIsAsNewAsWhatItReplaces(t *testing.T) {
	for name, keep := range map[string]func(*Box) error{
		"a record": func(b *Box) error { return b.Put(at(20, del("ab"))) },
		"a prefix": func(b *Box) error { return b.PutPrefix(Prefix{Text: class + "ab", Since: 20}) },
	} {
		b := New(100, 1<<20)
		if err := errors.Join(keep(b), b.PutPrefix(Prefix{Text: class + "a", Since: 13, Lo: 13, Hi: 13})); err != nil {
			t.Fatal(err)
		}
		p := b.Prefixes()[0]
		p.Seq = 0
		if diff := cmp.Diff(Prefix{Text: class + "a", Since: 20}, p); diff != "" {
			t.Errorf("in the place of %s (-want +got):\n%s", name, diff)
		}
	}
	// Where the key of a record has no room, its class takes the place of everything.
	b := New(1, 1<<20)
	put(t, b, at(20, set("a", "later")), at(7, set("b", "v")))
	if p := b.Prefixes()[0]; p.Text != class || p.Since != 20 {
		t.Errorf("the class is deleted as of %+v", p)
	}
}

// What its caller asked for is deleted by the other one, which was begun no earlier.
func TestAPrefixThatGetsItsTurnAfterALaterShorterOneIsNotKept(t *testing.T) {
	for name, tt := range map[string]struct {
		shorter, longer Prefix
		newer           bool // a record waits that got its turn after both
		want            int
	}{
		"earlier":                   {Prefix{Text: class, Since: 9}, Prefix{Text: class + "a", Since: 5}, false, 1},
		"later":                     {Prefix{Text: class, Since: 5}, Prefix{Text: class + "a", Since: 9}, false, 2},
		"it drops what is newer":    {Prefix{Text: class, Since: 9}, Prefix{Text: class + "a", Since: 5}, true, 2},
		"the shorter one is joined": {Prefix{Text: class, Since: 9, Joined: true}, Prefix{Text: class + "a", Since: 5}, false, 2},
	} {
		b, copied := New(100, 1<<20), copyOf{}
		b.Mirror(copied)
		b.Return(nil, []Prefix{tt.shorter})
		if tt.newer {
			put(t, b, at(20, set("ab", "v")))
		}
		if err := b.PutPrefix(tt.longer); err != nil {
			t.Error(err)
		}
		if got := b.Prefixes(); len(got) != tt.want || len(copied) != tt.want {
			t.Errorf("%s: %+v wait, the copy has %v", name, got, copied)
		}
	}
}

// copyOf is a Mirror of the prefixes in a Box.
type copyOf map[string]int64

func (c copyOf) Waits(p *Prefix)                 { c[p.Text] = p.Since }
func (c copyOf) LeftPrefix(text string, _ int64) { delete(c, text) }
func (copyOf) Shrunk(*Record)                    {}
func (copyOf) Taken(*Record, uint64)             {}
func (copyOf) TakenPrefix(*Prefix, uint64)       {}
func (copyOf) Left(string, int64)                {}
