package outbox

import (
	"fmt"
	"slices"
	"testing"
)

func TestRecentAreWritesSinceThenWhateverIsKnownOfThem(t *testing.T) {
	l := NewLedger(roomy)
	add(t, l, at(1, set("old", "1")), at(10, set("confirmed", "1")))
	l.Confirm(barrier(t, l), 12)
	add(t, l, at(11, set("new", "1")), at(12, del("gone")), at(13, touch("touched")))
	got := l.Recent(10, 9)
	slices.Sort(got)
	if want := "[c:confirmed c:gone c:new]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if got := l.Recent(0, 2); len(got) != 2 {
		t.Errorf("%v, want two", got)
	}
}
