package remote

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// Our write was executed from 1000 to 990 ms before now, with an hour to live.
const (
	lo, hi = -1000, -990
	ours   = hour - 995 // when what it wrote ends
)

func (b *bed) cond() Cond {
	c := CondOf("app:", b.key, "me")
	b.anchor(&c, b.key)
	c.Ends, c.Lo, c.Hi = b.now+ours, b.now+lo, b.now+hi
	return c
}

func (b *bed) replay(r Replay) Result {
	b.Helper()
	outcomes, err := b.n.Replay(b.Context(), []Replay{r}, long)
	if err != nil || len(outcomes) != 1 || outcomes[0].Err != nil {
		b.Fatal(outcomes, err)
	}
	return outcomes[0].Result
}

// scene is what a replay finds; times are relative to now.
type scene struct {
	value   string // under the key; "" nothing, "hash" a hash
	written int64  // when, with an hour to live
	endless bool   // it has no end
	tomb    string // "" none, "garbage", "hash", or a process
	deleted int64
	adjust  func(*Cond)
	mixed   bool   // its class has keys that live for half an hour as well
	slack   int64  // of its class
	lives   string // a field that makes no sense, or "none": nothing is noted
	longer  bool   // its class has keys that live for four hours as well
}

func (s scene) play(b *bed, r Replay) Result {
	b.Helper()
	s.prepare(b, r)
	if s.adjust != nil {
		s.adjust(&r.Cond)
	}
	return b.replay(r)
}

func (s scene) prepare(b *bed, r Replay) {
	b.Helper()
	switch {
	case s.value == "hash":
		ask(b.T, b.p, "HSET", b.key, "f", "v")
		ask(b.T, b.p, "PEXPIREAT", b.key, decimal(b.now+s.written+hour))
	case s.value != "" && s.endless:
		b.put(b.key, s.value, 0)
	case s.value != "":
		b.put(b.key, s.value, b.now+s.written+hour)
	}
	switch s.tomb {
	case "":
	case "garbage":
		b.put(b.tomb, "12x:y", 0)
	case "hash":
		ask(b.T, b.p, "HSET", b.tomb, "f", "v")
	case "nobody":
		b.put(b.tomb, decimal(b.now+s.deleted)+":", b.now+life)
	default:
		b.put(b.tomb, decimal(b.now+s.deleted)+":"+s.tomb, b.now+life)
	}
	if s.slack != 0 {
		b.lives(r.Lives, decimal(hour), s.slack)
	}
	switch s.lives {
	case "":
	case "none":
		ask(b.T, b.p, "DEL", r.Lives)
	default:
		ask(b.T, b.p, "HSET", r.Lives, s.lives, "x")
	}
	if s.longer {
		b.lives(r.Lives, decimal(4*hour), 0)
	}
	if s.mixed {
		b.lives(r.Lives, decimal(hour/2), 0)
		b.lives(r.Lives, "~", 0)
	}
}

// knows: a value that was written then is known to be older.
func knows(written int64) func(*Cond) {
	return func(c *Cond) {
		ends := c.Lo - lo + written + hour
		c.Own = append(c.Own, Range{ends, ends})
	}
}

// sent: ours was sent with the end of a value that is written then.
func sent(written int64) func(*Cond) {
	return func(c *Cond) {
		ends := c.Lo - lo + written + hour
		c.Sent = append(c.Sent, Range{ends, ends})
	}
}

// jumped: servers' clocks have jumped since our write.
func jumped(fell, rose int64) func(*Cond) {
	return func(c *Cond) { c.From, c.To = c.Lo+fell, c.Hi+rose }
}

// ahead: our write was executed by a clock that was ahead of what it is now.
func ahead(by, fell int64) func(*Cond) {
	return func(c *Cond) {
		c.Lo, c.Hi, c.Ends = c.Lo+by-lo, c.Hi+by-lo, c.Ends+by-lo
		jumped(fell, 0)(c)
	}
}

// wantBuried: nothing is there, and nothing that was written by now may be put
// back.
func (b *bed) wantBuried() {
	b.Helper()
	if v := b.get(b.key); v != "" {
		b.Errorf("%q is there", v)
	}
	b.wantTomb("", b.now+hi, b.time()) // of the latest of what cannot be told apart
}

func TestRestore(t *testing.T) {
	b := startBed(t)
	const kept = "kept"
	for _, tt := range []struct {
		name  string
		scene scene
		want  Result
		value string // under the key afterwards
		ends  int64  // relative to now; 0: as it was
	}{
		{"nothing is there", scene{}, Done, "ours", ours},
		{"nothing is there, whatever its ttl", scene{mixed: true}, Done, "ours", ours},
		{"ours has ended", scene{adjust: func(c *Cond) { c.Ends = c.Hi }}, Done, "", 0},

		{"deleted by another since", scene{tomb: "other", deleted: hi + 1}, Superseded, "", 0},
		{"deleted by nobody since", scene{tomb: "nobody", deleted: hi + 1}, Superseded, "", 0},
		{"deleted by another in between, first ms", scene{tomb: "other", deleted: lo}, Unknown, "", 0},
		{"deleted by another in between, last ms", scene{tomb: "other", deleted: hi}, Unknown, "", 0},
		{"deleted by nobody in between", scene{tomb: "nobody", deleted: hi}, Unknown, "", 0},
		{"deleted by another before", scene{tomb: "other", deleted: lo - 1}, Done, "ours", ours},
		{"deleted by us before", scene{tomb: "me", deleted: lo - 1}, Done, "ours", ours},
		{"deleted by us, as it seems in between", scene{tomb: "me", deleted: lo + 1}, Done, "ours", ours},
		{"deleted by us, as it seems since", scene{tomb: "me", deleted: hi + 5}, Done, "ours", ours},
		{"a tombstone of garbage", scene{tomb: "garbage"}, Unknown, "", 0},
		{"a tombstone from no clock", scene{tomb: "other", deleted: 2 * life}, Unknown, "", 0},
		{"a tombstone of another type", scene{tomb: "hash"}, Unknown, "", 0},

		{"an older value", scene{value: kept, written: lo - 1}, Done, "ours", ours},
		{"an older value, after a delete before it", scene{value: kept, written: lo - 1, tomb: "other", deleted: lo - 2}, Done, "ours", ours},
		{"an older value that ours has outlived", scene{value: kept, written: lo - 1, adjust: func(c *Cond) { c.Ends = c.Hi }}, Done, "", 0},
		{"a value at the same time, first ms", scene{value: kept, written: lo}, Unknown, "", 0},
		{"a value at the same time, last ms", scene{value: kept, written: hi + 1}, Unknown, "", 0},
		{"a newer value", scene{value: kept, written: hi + 2}, Superseded, kept, 0},
		{"a newer value, written this ms", scene{value: kept, written: 0}, Superseded, kept, 0},
		{"a newer value, after a delete in between", scene{value: kept, written: hi + 2, tomb: "other", deleted: hi}, Superseded, kept, 0},
		{"a newer value, beside a tombstone of garbage", scene{value: kept, written: hi + 2, tomb: "garbage"}, Superseded, kept, 0},
		{"an older value, beside a tombstone of garbage", scene{value: kept, written: lo - 1, tomb: "garbage"}, Unknown, "", 0},
		{"an older value, as it seems, after a delete in between", scene{value: kept, written: lo - 1, tomb: "other", deleted: lo}, Unknown, "", 0},
		{"a value that ends later than any with this ttl", scene{value: kept, written: hour}, Unknown, "", 0},
		{"a value without end", scene{value: kept, endless: true}, Unknown, "", 0},
		{"an older value, ttls differ", scene{value: kept, written: lo - 1, mixed: true}, Done, "ours", ours},
		{"an older value, ttls differ, and it may be newer by one", scene{value: kept, written: -hour / 2, mixed: true}, Unknown, "", 0},
		{"a newer value, ttls differ", scene{value: kept, written: hi + 2, mixed: true}, Unknown, "", 0},

		{"an older value of a writer that knew the time badly", scene{value: kept, written: lo - 21, slack: 20}, Done, "ours", ours},
		{"a value of a writer that knew the time badly", scene{value: kept, written: lo - 20, slack: 20}, Unknown, "", 0},
		{"a newer value of a writer that knew the time badly", scene{value: kept, written: hi + 2, slack: 20}, Superseded, kept, 0},
		{"an older value, no life is noted", scene{value: kept, written: lo - 1, lives: "none"}, Unknown, "", 0},
		{"an older value, a life is garbage", scene{value: kept, written: lo - 1, lives: "60000"}, Unknown, "", 0},
		{"an older value, too many lives to note", scene{value: kept, written: lo - 1, lives: "*"}, Unknown, "", 0},
		{"a known value, no life is noted", scene{value: kept, written: lo - 1, lives: "none", adjust: knows(lo - 1)}, Done, "ours", ours},
		{"another's value with the end that ours was sent with", scene{value: kept, written: lo, adjust: sent(lo)}, Unknown, "", 0},
		{"our earlier value of the same millisecond", scene{value: kept, written: lo, adjust: func(c *Cond) { sent(lo)(c); knows(lo)(c) }}, Done, "ours", ours},
		{"our value with the end that it was sent with", scene{value: "ours", written: lo, adjust: sent(lo)}, Done, "ours", ours},
		{"a known value, by a clock that was set back", scene{value: kept, written: hi + 300, adjust: knows(hi + 300)}, Done, "ours", ours},

		{"an older value, the clock was set back since", scene{value: kept, written: lo - 101, adjust: jumped(-100, 0)}, Done, "ours", ours},
		{"one that looks older, the clock was set back since", scene{value: kept, written: lo - 100, adjust: jumped(-100, 0)}, Unknown, "", 0},
		{"a newer value, the clock was set ahead since", scene{value: kept, written: hi + 102, adjust: jumped(0, 100)}, Superseded, kept, 0},
		{"one that looks newer, the clock was set ahead since", scene{value: kept, written: hi + 101, adjust: jumped(0, 100)}, Unknown, "", 0},
		{"one of before the clock was set back, older", scene{value: kept, written: 2000, adjust: ahead(3000, -5000)}, Done, "ours", 0},
		{"one of before the clock was set back, newer", scene{value: kept, written: 4000, adjust: ahead(3000, -5000)}, Superseded, kept, 0},
		{"one that looks older, deleted since by a clock that was set back", scene{tomb: "other", deleted: lo - 100, adjust: jumped(-100, 0)}, Unknown, "", 0},
		{"our late value, deleted since", scene{value: "ours", written: lo, tomb: "other", deleted: hi + 5, adjust: knows(lo)}, Superseded, "", 0},
		{"another's late value, deleted since", scene{value: kept, written: lo, tomb: "other", deleted: hi + 5}, Superseded, "", 0},
		{"a value after the delete", scene{value: kept, written: hi + 5, tomb: "other", deleted: hi + 5}, Superseded, kept, 0},

		{"what we replaced", scene{value: kept, written: lo + 5, adjust: func(c *Cond) { c.Floor = c.Lo + 5 }}, Done, "ours", ours},
		{"later than what we replaced", scene{value: kept, written: lo + 6, adjust: func(c *Cond) { c.Floor = c.Lo + 5 }}, Unknown, "", 0},
		{"older than what we replaced long ago", scene{value: kept, written: lo - 1, adjust: func(c *Cond) { c.Floor = c.Lo - 500 }}, Done, "ours", ours},

		{"the same value, ending earlier", scene{value: "ours", written: lo - 500}, Done, "ours", ours},
		{"the same value, ending at the same time", scene{value: "ours", written: ours - hour}, Done, "ours", ours},
		{"the same value, at the same time", scene{value: "ours", written: lo}, Done, "ours", ours},
		{"the same value, ending a little later", scene{value: "ours", written: hi}, Done, "ours", hi + hour},
		{"the same value, newer", scene{value: "ours", written: hi + 2}, Done, "ours", 0},
		{"the same value without end", scene{value: "ours", endless: true}, Done, "ours", 0},
		{"the same value, touched before", scene{value: "ours", written: lo - 1 - hour/2, mixed: true}, Done, "ours", ours},
		{"the same value, perhaps touched since", scene{value: "ours", written: -hour / 2, mixed: true}, Done, "ours", hour / 2},
		{"the same value, older, with a longer life", scene{value: "ours", written: lo - 1 + 3*hour, longer: true}, Done, "ours", ours},
		{"the same value, of our time, with a longer life", scene{value: "ours", written: lo + 3*hour, longer: true}, Done, "ours", 0},
		{"the same value, newer, with a longer life", scene{value: "ours", written: hi + 2 + 3*hour, longer: true}, Done, "ours", 0},
		{"the same value, older, prolonged before ours", scene{value: "ours", written: lo - 1 + 3*hour, longer: true, mixed: true}, Done, "ours", ours},
		{"the same value, perhaps prolonged since", scene{value: "ours", written: lo + 3*hour, longer: true, mixed: true}, Done, "ours", 0},
		{"the same value, known, and ours was touched", scene{value: "ours", written: lo, adjust: func(c *Cond) { knows(lo)(c); c.Ends -= hour / 2 }}, Done, "ours", ours - hour/2},
		{"the same value, after a delete in between", scene{value: "ours", written: lo, tomb: "other", deleted: lo}, Done, "ours", ours},
		{"the same value, deleted since", scene{value: "ours", written: hi + 1, tomb: "other", deleted: hi + 1}, Superseded, "ours", 0},

		{"an older hash", scene{value: "hash", written: lo - 1}, Done, "ours", ours},
		{"a newer hash", scene{value: "hash", written: hi + 2}, Superseded, "another type", 0},
		{"a hash, nobody knows since when", scene{value: "hash", written: hi}, Unknown, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := b.fresh(t)
			got := tt.scene.play(b, Replay{Kind: Restore, Key: b.key, Data: []byte("ours"), Cond: b.cond()})
			if got != tt.want || b.get(b.key) != tt.value {
				t.Errorf("%v, and %q is there; want %v and %q", got, b.get(b.key), tt.want, tt.value)
			}
			if got == Unknown {
				b.wantBuried()
				return
			}
			if tt.ends != 0 && b.ends(b.key) != b.now+tt.ends {
				t.Errorf("it ends %d ms from now, want %d", b.ends(b.key)-b.now, tt.ends)
			}
			if tt.scene.tomb == "" {
				b.wantNoTomb()
			}
			b.wantSettled(tt.scene)
		})
	}
}

// wantSettled: what a replay has left is not called older than ours. Otherwise ours would be
// put back again and again.
func (b *bed) wantSettled(s scene) {
	b.Helper()
	r := Replay{Key: b.key, Cond: b.cond()}
	if s.adjust != nil {
		s.adjust(&r.Cond)
	}
	r.Sent = append(r.Sent, Range{r.Ends, r.Ends})
	if ages, err := b.n.Older(b.Context(), []Replay{r}, 30*time.Second, long); err != nil || ages[0] != NotOlder {
		b.Errorf("what is left is called older still: %v, %v", ages, err)
	}
}

func TestInvalidate(t *testing.T) {
	b := startBed(t)
	const kept = "kept"
	type trace uint8
	const (
		asItWas trace = iota
		ofHi          // by us
		ofNow         // by nobody
	)
	for _, tt := range []struct {
		name  string
		scene scene
		want  Result
		value string
		trace trace
	}{
		{"nothing is there", scene{}, Done, "", ofHi},
		{"deleted by another since", scene{tomb: "other", deleted: hi + 1}, Superseded, "", asItWas},
		{"deleted by another since, and written again", scene{value: kept, written: hi + 1, tomb: "other", deleted: hi + 1}, Superseded, kept, asItWas},
		{"deleted by nobody since", scene{tomb: "nobody", deleted: hi + 1}, Superseded, "", asItWas},
		{"deleted by another in between", scene{tomb: "other", deleted: hi - 1}, Done, "", ofHi},
		{"deleted by another in the last ms", scene{tomb: "other", deleted: hi}, Done, "", asItWas},
		{"deleted by another before", scene{tomb: "other", deleted: lo - 1}, Done, "", ofHi},
		{"deleted by us since", scene{tomb: "me", deleted: hi + 1}, Done, "", asItWas},
		{"a tombstone of garbage", scene{tomb: "garbage"}, Done, "", ofHi},
		{"a tombstone of another type", scene{tomb: "hash"}, Done, "", ofHi},
		{"an older value", scene{value: kept, written: lo - 1}, Done, "", ofHi},
		{"an older value, beside a tombstone of garbage", scene{value: kept, written: lo - 1, tomb: "garbage"}, Done, "", ofHi},
		{"a value at the same time, first ms", scene{value: kept, written: lo}, Done, "", ofNow},
		{"a value at the same time, last ms", scene{value: kept, written: hi + 1}, Done, "", ofNow},
		{"a value after a delete in the last ms", scene{value: kept, written: hi, tomb: "other", deleted: hi}, Done, "", ofNow},
		{"a newer value", scene{value: kept, written: hi + 2}, Superseded, kept, asItWas},
		{"a value that ends later than any with this ttl", scene{value: kept, written: hour}, Done, "", ofNow},
		{"a value without end", scene{value: kept, endless: true}, Done, "", ofNow},
		{"a newer value, ttls differ", scene{value: kept, written: hi + 2, mixed: true}, Done, "", ofNow},
		{"an older hash", scene{value: "hash", written: lo - 1}, Done, "", ofHi},
		{"a newer hash", scene{value: "hash", written: hi + 2}, Superseded, "another type", asItWas},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := b.fresh(t)
			got := tt.scene.play(b, Replay{Kind: Invalidate, Key: b.key, Cond: b.cond()})
			if got != tt.want || b.get(b.key) != tt.value {
				t.Errorf("%v, and %q is there; want %v and %q", got, b.get(b.key), tt.want, tt.value)
			}
			switch {
			case tt.trace == ofHi:
				b.wantTomb("me", b.now+hi, b.now+hi)
			case tt.trace == ofNow:
				b.wantTomb("", b.now+hi, b.time())
			case tt.scene.tomb == "":
				b.wantNoTomb()
			default:
				b.wantTomb(strings.TrimPrefix(tt.scene.tomb, "nobody"), b.now+tt.scene.deleted, b.now+tt.scene.deleted)
			}
			b.wantSettled(tt.scene)
		})
	}
}

// Our Touch was executed from 1000 to 990 ms before now.
func TestRetime(t *testing.T) {
	b := startBed(t)
	const minute = hour / 60
	for _, tt := range []struct {
		name  string
		scene scene // written: when the end was given, for an hour
		until int64 // relative to now
		want  Result
		ends  int64 // relative to now; 0: as it was, -1: it is gone
	}{
		{"nothing is there", scene{}, hour, Done, 0},
		{"given before, ours is later", scene{value: "v", written: lo - 1}, 2 * hour, Done, 2 * hour},
		{"given before, ours is sooner", scene{value: "v", written: lo - 1}, minute, Done, minute},
		{"given before, ours is over", scene{value: "v", written: lo - 1}, -1, Done, -1},
		{"given at the same time, ours is later", scene{value: "v", written: lo}, 2 * hour, Done, 0},
		{"given at the same time, ours is sooner", scene{value: "v", written: hi}, minute, Done, 0},
		{"given since, ours is later", scene{value: "v", written: hi + 2}, 2 * hour, Superseded, 0},
		{"given since, ours is sooner", scene{value: "v", written: hi + 2}, minute, Superseded, 0},
		{"given since, ours is over", scene{value: "v", written: hi + 2}, -1, Superseded, 0},
		{"ttls differ, given before", scene{value: "v", written: lo - 1, mixed: true}, minute, Done, minute},
		{"ttls differ, given since for an hour or before for less", scene{value: "v", written: -hour/2 - 1, mixed: true}, minute, Done, 0},
		{"ttls differ, given since for less or before for an hour", scene{value: "v", written: hi + 2 - hour/2, mixed: true}, 2 * hour, Done, 0},
		{"no life is noted, ours is later", scene{value: "v", written: lo - 1, lives: "none"}, 2 * hour, Done, 0},
		{"no life is noted, ours is sooner", scene{value: "v", written: lo - 1, lives: "none"}, minute, Done, 0},
		{"no life is noted, and its end is known", scene{value: "v", written: lo - 1, lives: "none", adjust: knows(lo - 1)}, minute, Done, minute},
		{"the clock was set back since, and it looks older", scene{value: "v", written: lo - 100, adjust: jumped(-100, 0)}, minute, Done, 0},
		{"the clock was set ahead since, and it looks newer", scene{value: "v", written: hi + 101, adjust: jumped(0, 100)}, minute, Done, 0},
		{"without end", scene{value: "v", endless: true}, minute, Done, 0},
		{"a hash", scene{value: "hash", written: lo - 1}, minute, Done, minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := b.fresh(t)
			was := b.now + tt.scene.written + hour
			switch {
			case tt.ends > 0:
				was = b.now + tt.ends
			case tt.scene.value == "" || tt.ends < 0:
				was = -2
			case tt.scene.endless:
				was = -1
			}
			r := Replay{Kind: Retime, Key: b.key, Cond: b.cond()}
			r.Ends = b.now + tt.until
			if got := tt.scene.play(b, r); got != tt.want || b.ends(b.key) != was {
				t.Errorf("%v, it ends at %d (%d ms from now), want %v and %d", got, b.ends(b.key), b.ends(b.key)-b.now, tt.want, was)
			}
		})
	}
}

// A value that was touched to a shorter life after ours was written, or after it was
// itself written after ours, does not look older than it is.
func TestAShorterLifeMakesNoValueLookOlder(t *testing.T) {
	b := startBed(t)
	const minute = hour / 60
	for _, touched := range []int64{lo - 1, lo, hi + 2} {
		b := b.fresh(t)
		c := b.cond()
		b.lives(c.Lives, decimal(minute), 0)
		b.lives(c.Lives, "~", 0)
		b.put(b.key, "kept", b.now+touched+minute)
		want, value := Unknown, ""
		if touched < lo {
			want, value = Done, "ours"
		}
		if got := b.replay(Replay{Kind: Restore, Key: b.key, Data: []byte("ours"), Cond: c}); got != want || b.get(b.key) != value {
			t.Errorf("touched at %d: %v, %q is there", touched, got, b.get(b.key))
		}
	}
}

// A Touch to a brief life leaves a trace: an older value does not come back where
// the touched one has ended. Where that is still there, it may be older than ours.
func TestATouchLeavesATrace(t *testing.T) {
	b := startBed(t)
	const minute = hour / 60
	touches := map[string]func(b *bed, c Cond){
		"sent": func(b *bed, c Cond) {
			there, _, err := b.n.Expire(b.Context(), Pair{Key: b.key, TTL: time.Minute, InTime: true, Trace: c.Trace, Process: "other"}, long)
			if !there || err != nil {
				b.Error(there, err)
			}
		},
		"put back": func(b *bed, c Cond) {
			c.Process, c.Brief = "other", true
			c.Lo, c.Hi, c.Ends = c.Hi+10, c.Hi+20, b.now+minute
			b.replay(Replay{Kind: Retime, Key: b.key, Cond: c})
		},
	}
	for name, touch := range touches {
		for _, tt := range []struct {
			what    string
			ended   bool
			process string
			want    Result
			value   string
		}{
			{"ended, another's is put back", true, "me", Superseded, ""},
			{"ended, its own is put back", true, "other", Done, "ours"},
			{"still there", false, "me", Unknown, ""},
		} {
			t.Run(name+", "+tt.what, func(t *testing.T) {
				b := b.fresh(t)
				c := b.cond()
				b.lives(c.Lives, decimal(minute), 0)
				b.lives(c.Lives, "~", 0)
				b.put(b.key, "kept", b.now+lo-100+hour)
				touch(b, c)
				if left := b.ends(b.key) - b.time(); left <= 0 || left > minute {
					t.Fatalf("it lives for %d ms", left)
				}
				if tt.ended {
					ask(t, b.p, "DEL", b.key)
				}
				c.Process = tt.process
				if got := b.replay(Replay{Kind: Restore, Key: b.key, Data: []byte("ours"), Cond: c}); got != tt.want || b.get(b.key) != tt.value {
					t.Errorf("%v, %q is there; want %v, %q", got, b.get(b.key), tt.want, tt.value)
				}
				if tt.ended && tt.process == "me" && b.fill(Fill{Pair: Pair{Key: b.key, Data: []byte("older"), TTL: time.Hour}, Tomb: c.Tomb, Marks: c.Marks, Trace: c.Trace, MissedAt: c.Lo}) {
					t.Error("what was loaded before is stored")
				}
			})
		}
	}
}

// Three processes wrote the key and all three writes were lost; whoever puts his
// back first, the last one or nothing is there at the end.
func TestAnOlderWriteIsNotPutBackOverANewerOne(t *testing.T) {
	b := startBed(t)
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		for _, apart := range []int64{1, 5, 10, 11, 12, 500} { // each took 10 ms
			for _, certain := range []bool{true, false} {
				b := b.fresh(t)
				for _, i := range order {
					c := b.cond()
					c.Process = string(rune('a' + i))
					if !certain {
						b.lives(c.Lives, "*", 0)
					}
					shift := int64(i)*apart - 3000
					c.Lo, c.Hi, c.Ends = c.Lo+shift, c.Hi+shift, c.Ends+shift
					b.replay(Replay{Kind: Restore, Key: b.key, Data: []byte(c.Process), Cond: c})
				}
				if v := b.get(b.key); v != "c" && v != "" {
					t.Errorf("%v, %d ms apart, certain %v: %q is there", order, apart, certain, v)
				} else if v == "" && certain && apart > 11 {
					t.Errorf("%v, %d ms apart: nothing is there", order, apart)
				}
			}
		}
	}
}

func TestAReplayMayBeRepeated(t *testing.T) {
	b := startBed(t)
	for _, kind := range []ReplayKind{Restore, Invalidate, Retime} {
		for _, value := range []string{"", "older"} {
			b := b.fresh(t)
			if value != "" {
				b.put(b.key, value, b.now+lo-1+hour)
			}
			r := Replay{Kind: kind, Key: b.key, Data: []byte("ours"), Cond: b.cond()}
			b.replay(r)
			v, e, tomb := b.get(b.key), b.ends(b.key), b.get(b.tomb)
			if got := b.replay(r); got != Done || b.get(b.key) != v || b.ends(b.key) != e || b.get(b.tomb) != tomb {
				t.Errorf("kind %d over %q: %v, then %q is there instead of %q", kind, value, got, b.get(b.key), v)
			}
		}
	}
}

// What stands under a tombstone's key by accident never lets a value through
// that may have been deleted.
func FuzzTombstoneValue(f *testing.F) {
	p, err := redisproc.Start(f.Context(), redisproc.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = p.Close() })
	n, err := Dial(f.Context(), config(p.Addr()), heartbeat, &seen{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(n.Abandon)
	for _, v := range []string{"", ":", "me", "1", "1:", "0:me", "-5:x", "1e3:x", " 1:x", "1:\x00", "0x10:x", "99999999999999999999:x", strings.Repeat("9", 400) + ":x", "1:me", "nan:x", "1.5:x"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		b := bedOn(t, p, n).fresh(t)
		at, by, ok := strings.Cut(value, ":")
		ok = ok && strings.Trim(at, "0123456789") == "" && at != ""
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			ms = 1 << 62
		}
		c := b.cond()

		b.put(b.tomb, value, b.now+life)
		if stored := b.fill(Fill{Pair: Pair{TTL: time.Hour}, MissedAt: c.Lo}); stored != (ok && ms < c.Lo) {
			t.Errorf("%q: a fill is stored: %v", value, stored)
		}
		b.put(b.tomb, value, b.now+life)
		ask(t, p, "DEL", b.key)
		got := b.replay(Replay{Kind: Restore, Key: b.key, Data: []byte("ours"), Cond: c})
		want := Unknown
		switch {
		case !ok || ms > b.now+life:
		case by == c.Process || ms < c.Lo:
			want = Done
		case ms > c.Hi:
			want = Superseded
		}
		if got != want || (b.get(b.key) == "ours") != (want == Done) {
			t.Errorf("%q: %v, want %v; %q is there", value, got, want, b.get(b.key))
		}
		b.put(b.key, "old", c.Lo-1+hour)
		b.put(b.tomb, value, b.now+life)
		b.replay(Replay{Kind: Invalidate, Key: b.key, Cond: c})
		if v := b.get(b.key); (v == "old") != (want == Superseded) {
			t.Errorf("%q: after an invalidation %q is there", value, v)
		}
	})
}
