package outbox

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatWasFlushedLeavesItsKeyOnceTheFlushIsConfirmed(t *testing.T) {
	l := NewLedger(roomy)
	add(t, l, at(1, set("ring", "1")))
	l.Confirm(barrier(t, l), 2)
	add(t, l, at(3, set("before", "1")), at(4, touch("touched")), at(5, del("gone")))
	flushed := barrier(t, l)
	add(t, l, at(6, set("after", "1")))
	l.Flushed(flushed)
	values := func() map[string]Kind {
		got := map[string]Kind{}
		for _, key := range []string{"ring", "before", "touched", "gone", "after"} {
			if r, ok := l.Record(class + key); ok {
				got[key] = r.Kind
			}
		}
		return got
	}
	l.Confirm(flushed, 7) // it does not prove that the flush is anywhere else
	if diff := cmp.Diff(map[string]Kind{"ring": Set, "before": Set, "touched": Touch, "gone": Delete, "after": Set}, values()); diff != "" {
		t.Errorf("before the flush is confirmed: %s", diff)
	}
	l.Confirm(barrier(t, l), 8)
	if diff := cmp.Diff(map[string]Kind{"ring": Invalidate, "before": Invalidate, "gone": Delete, "after": Set}, values()); diff != "" {
		t.Errorf("after it: %s", diff)
	}
	for _, e := range []string{"ring", "before", "gone", "after"} {
		l.Forget(class + e)
	}
	if d := l.Depth(); d.Bytes != 0 || d.RingBytes != 0 || d.Ring != 0 || d.Unconfirmed != 0 {
		t.Errorf("the sums are wrong: %+v", d)
	}
}

func TestAFlushThatTheNextMasterMayNotHaveSeenTakesNothing(t *testing.T) {
	l := NewLedger(roomy)
	add(t, l, at(1, set("a", "1")))
	n := barrier(t, l)
	l.Confirm(n, 2)
	l.Flushed(n)
	l.Uncover(n)
	l.Confirm(barrier(t, l), 3)
	if r, _ := l.Record(class + "a"); r.Kind != Set {
		t.Errorf("%+v is kept", r)
	}
}
