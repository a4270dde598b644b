package remote

import (
	"crypto/sha1"
	"encoding/hex"
	"testing"
)

// TestWhatHasMovedIsKnownByItself: MIGRATE gives a key the rest of its life, however long it
// was on its way. An earlier value of ours, with an end that fits, is older than our write.
func TestWhatHasMovedIsKnownByItself(t *testing.T) {
	b := startBed(t)
	const kept = "kept"
	sum := sumOf("other")
	kin := func(from, to int64, sums ...string) func(*Cond) {
		return func(c *Cond) {
			c.Kin, c.KinSums = Range{c.Lo - lo + from + hour, c.Lo - lo + to + hour}, sums
		}
	}
	const long = hi + 700 // it seems to be written later than ours: it was on its way for 700 ms
	for _, tt := range []struct {
		name  string
		scene scene
		want  Result
		value string
	}{
		{"ours of before", scene{value: kept, written: long, adjust: kin(lo-1, long+1, sumOf(kept))}, Done, "ours"},
		{"ours of before, among others", scene{value: kept, written: long, adjust: kin(lo-1, long+1, sum, sumOf(kept))}, Done, "ours"},
		{"ours of before, no life is noted", scene{value: kept, written: long, lives: "none", adjust: kin(lo-1, long+1, sumOf(kept))}, Done, "ours"},
		{"ours of before, in the same millisecond", scene{value: kept, written: lo, adjust: func(c *Cond) { kin(lo-1, long, sumOf(kept))(c); sent(lo)(c) }}, Done, "ours"},
		{"another value", scene{value: kept, written: long, adjust: kin(lo-1, long+1, sum)}, Superseded, kept},
		{"the same bytes, later than they can have come", scene{value: kept, written: long, adjust: kin(lo-1, long-1, sumOf(kept))}, Superseded, kept},
		{"a hash", scene{value: "hash", written: long, adjust: kin(lo-1, long+1, sumOf(kept))}, Superseded, "another type"},
		{"nothing is there", scene{adjust: kin(lo-1, long, sumOf(kept))}, Done, "ours"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := b.fresh(t)
			got := tt.scene.play(b, Replay{Kind: Restore, Key: b.key, Data: []byte("ours"), Cond: b.cond()})
			if got != tt.want || b.get(b.key) != tt.value {
				t.Errorf("%v, and %q is there; want %v and %q", got, b.get(b.key), tt.want, tt.value)
			}
		})
	}
}

func sumOf(value string) string {
	sum := sha1.Sum([]byte(value))
	return hex.EncodeToString(sum[:])
}

// TestADeleteKeepsItsTimeWhereItMoves: it may be by the clock of the master before, and what
// a value's end tells is by that of this one.
func TestADeleteKeepsItsTimeWhereItMoves(t *testing.T) {
	b := startBed(t)
	const kept = "kept"
	apart := func(from, to int64) func(*Cond) {
		return func(c *Cond) { c.Apart = Range{c.Lo + from, c.Hi + to} }
	}
	for _, tt := range []struct {
		name  string
		scene scene
		want  Result
		value string
	}{
		{"deleted before, by either clock", scene{tomb: "other", deleted: lo - 301, adjust: apart(-300, 0)}, Done, "ours"},
		{"deleted after, by the other clock", scene{tomb: "other", deleted: lo - 300, adjust: apart(-300, 0)}, Unknown, ""},
		{"deleted before or after", scene{tomb: "other", deleted: hi + 300, adjust: apart(0, 300)}, Unknown, ""},
		{"deleted after, by either clock", scene{tomb: "other", deleted: hi + 301, adjust: apart(0, 300)}, Superseded, ""},
		{"an older value", scene{value: kept, written: lo - 1, adjust: apart(-300, 0)}, Done, "ours"},
		{"a newer value", scene{value: kept, written: hi + 2, adjust: apart(0, 300)}, Superseded, kept},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := b.fresh(t)
			got := tt.scene.play(b, Replay{Kind: Restore, Key: b.key, Data: []byte("ours"), Cond: b.cond()})
			if got != tt.want || b.get(b.key) != tt.value {
				t.Errorf("%v, and %q is there; want %v and %q", got, b.get(b.key), tt.want, tt.value)
			}
		})
	}
}

func TestWhichServersMoveSlotsByKey(t *testing.T) {
	for _, tt := range []struct {
		server Server
		want   bool
	}{
		{Server{Name: "redis", Version: "7.0.15"}, true},
		{Server{Name: "redis", Version: "8.2.1"}, true},
		{Server{Name: "redis", Version: "8.4.0"}, false},
		{Server{Name: "valkey", Version: "7.2.4"}, false},
		{Server{Name: "redis"}, false},
		{Server{Version: "6.2.0"}, true},
	} {
		if got := tt.server.MovesByKey(); got != tt.want {
			t.Errorf("%+v: %v", tt.server, got)
		}
	}
}
