package outbox

import "testing"

// A Touch gives a value an end that tells when it was touched. The owner's next write is newer
// than that, however badly the clock is known; the value itself is not.
func TestTheWriteAfterATouchIsNewerThanIt(t *testing.T) {
	set := &Record{Kind: Set, Key: "k", Since: 1, Ends: 101, TTL: 100, Lo: 10, Hi: 12}
	touch := &Record{Kind: Touch, Key: "k", Since: 2, Ends: 1002, TTL: 1000, Lo: 50, Hi: 55}
	set.follow(touch)
	if set.floor() != 55 || set.Floor != 0 || set.Hi != 12 {
		t.Errorf("the value that was touched: %+v", set)
	}
	next := &Record{Kind: Set, Key: "k", Since: 3, Ends: 103, TTL: 100, Lo: 40, Hi: 60}
	next.learn(set)
	if next.Floor != 55 {
		t.Errorf("the write after it: Floor %d, want 55", next.Floor)
	}
	again := *set
	set.follow(&again)
	if set.floor() != 55 {
		t.Errorf("the same write once more: %+v", set)
	}
	before := &Record{Kind: Touch, Key: "k", Since: 5, TTL: 1000, Lo: 70, Hi: 75}
	late := &Record{Kind: Set, Key: "k", Since: 4, TTL: 100, Lo: 60, Hi: 62}
	before.follow(late) // the Touch came first here, and was made last
	if before.Kind != Set || before.floor() != 75 || before.Hi != 62 {
		t.Errorf("a Touch and what it touched: %+v", before)
	}
	other := &Record{Kind: Touch, Key: "k", Since: 9, Lo: 900, Hi: 905, By: new(Clock)}
	set.follow(other)
	if set.floor() != 55 {
		t.Errorf("a Touch by another clock: %+v", set)
	}
}
