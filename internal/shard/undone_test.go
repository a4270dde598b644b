package shard

import (
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/evercache/evercache/internal/clock"
)

func TestUndoneAsksRarelyWhereThereIsAlwaysMore(t *testing.T) {
	t.Parallel()
	u := newUndone()
	for i := range 2 * undoneKept {
		u.Add(strconv.Itoa(i))
	}
	pause, rounds := UndoneEach, 0
	for more := true; more; rounds++ {
		var keys []question
		if keys, more = u.take(); len(keys) > undoneMost {
			t.Fatalf("%d keys in one round", len(keys))
		}
		if more {
			pause = undoneAfter(pause, true)
		}
	}
	if rounds < undoneKept/undoneMost || rounds > undoneKept/undoneMost+1 {
		t.Errorf("%d rounds", rounds)
	}
	if pause != undoneRare {
		t.Errorf("a pause of %v", pause)
	}
	if pause = undoneAfter(pause, false); pause != UndoneEach {
		t.Errorf("a pause of %v after a round that found something", pause)
	}
}

func TestUndoneKeepsNoMoreKeysAndBytesThanItMay(t *testing.T) {
	u := newUndone()
	for i := range 100 {
		u.Add(strings.Repeat("k", 64<<10) + strconv.Itoa(i))
	}
	if u.bytes > undoneBytes || len(u.keys) != undoneBytes/(64<<10+2) {
		t.Errorf("%d keys of %d bytes wait", len(u.keys), u.bytes)
	}
	for more := true; more; {
		_, more = u.take()
	}
	if u.bytes != 0 || u.Waits() {
		t.Errorf("%d bytes are left", u.bytes)
	}
}

// A key without an answer is asked for again, so often, and a new announcement of it
// begins anew.
func TestUndoneAsksAgainSoOften(t *testing.T) {
	u := newUndone()
	u.Add("k")
	for range undoneTries - 1 {
		qs, _ := u.take()
		if given := u.again(qs); len(given) > 0 {
			t.Fatalf("%v is given up", given)
		}
	}
	qs, _ := u.take()
	if len(qs) != 1 {
		t.Fatalf("%v is asked for", qs)
	}
	u.Add("k")
	if given := u.again(qs); len(given) != 1 {
		t.Errorf("%v are given up", given)
	}
	if qs, _ = u.take(); len(qs) != 1 || qs[0].tries != 0 {
		t.Errorf("%v is asked for", qs)
	}
}

// Without a master nothing is taken off the list.
func TestWhatMayBeUndoneWaitsForAMaster(t *testing.T) {
	sh := New(Config{Log: slog.New(slog.DiscardHandler)}, clock.New()).one
	t.Cleanup(func() { sh.cancel(nil) })
	sh.undone.Add("c:k")
	if found, more := sh.askUndone(t.Context()); found != 0 || !more || !sh.undone.Waits() || sh.undone.Left() != 1 {
		t.Errorf("%d found, more: %v, waits: %v, left: %d", found, more, sh.undone.Waits(), sh.undone.Left())
	}
}

// What is asked for at this moment is still to be dealt with, and so is what is on its
// way back.
func TestUndoneTellsWhatIsLeft(t *testing.T) {
	u := newUndone()
	u.Add("a")
	u.Add("b")
	qs, _ := u.take()
	if n := u.Left(); n != 2 {
		t.Errorf("%d are left while two are asked for", n)
	}
	u.again(qs[:1])
	u.busy(-len(qs))
	if n := u.Left(); n != 1 {
		t.Errorf("%d are left, and one had no answer", n)
	}
}

// What a script of ours alone may have been announced for does not fill the list.
func TestDoubtsLeaveRoomForWhatOthersHaveChanged(t *testing.T) {
	u := newUndone()
	for i := range undoneKept {
		u.AddDoubt(strconv.Itoa(i))
	}
	if n := len(u.keys); n != undoneDoubted {
		t.Errorf("%d keys wait, want %d", n, undoneDoubted)
	}
	u.Add("changed")
	if n := len(u.keys); n != undoneDoubted+1 {
		t.Errorf("a key that another has changed does not wait")
	}
}

// Of a prefix that is being deleted the keys are asked for that were announced since
// that began, when the ledger has it, and within the bounds of the list.
func TestWhatIsAnnouncedUnderAPrefixWaitsForItsDelete(t *testing.T) {
	u := newUndone()
	covers := func(key string) bool { return strings.HasPrefix(key, "p") }
	failed, done := u.watch(covers, u.Add), u.watch(covers, u.Add)
	u.addEarly("p1")
	u.addEarly("other")
	for i := range 100 {
		u.addEarly("p" + strings.Repeat("k", 64<<10) + strconv.Itoa(i))
	}
	if u.Waits() {
		t.Error("a key waits before its prefix is deleted")
	}
	failed(false)
	failed(true)
	if u.Waits() {
		t.Error("a key waits under a prefix that was not deleted")
	}
	done(true)
	done(true)
	if _, is := u.keys["p1"]; !is || u.bytes > undoneBytes || u.watching.Load() != 0 {
		t.Errorf("%d keys of %d bytes wait, %d prefixes are watched", len(u.keys), u.bytes, u.watching.Load())
	}
	u.addEarly("p2")
	if _, is := u.keys["p2"]; is || u.keys["other"] != 0 {
		t.Error("what no delete covers waits")
	}
}
