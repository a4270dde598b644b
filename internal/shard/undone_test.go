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
	if found, more := sh.askUndone(t.Context()); found != 0 || !more || !sh.undone.Waits() {
		t.Errorf("%d found, more: %v, waits: %v", found, more, sh.undone.Waits())
	}
}
