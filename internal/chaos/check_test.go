package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

var x = Key{Space: 's', Group: 3, N: 7}

// did is a call of a process on the key x, in milliseconds.
func did(proc int, act Act, v Value, out Outcome, start, end int64) Event {
	e := Event{Start: start * ms, End: end * ms, Key: x, Value: v, Proc: uint8(proc), Act: act, Outcome: out}
	if act == RemovePrefix {
		e.Key = x.group()
	}
	if act == Look {
		e.Source, e.Fresh, e.Coherent = FromMemory, true, true
	}
	return e
}

func doubtful(e Event) Event { e.Coherent = false; return e }

func known(e Event) Event { e.Key = Key{Space: KnownSpace}; return e }

func endsWith(v Value) Final {
	return Final{At: 60_000 * ms, Held: map[Key]Value{x: v}, Away: make([][]Span, 2)}
}

func endsWithKnown(v Value) Final {
	f := endsWith(0)
	f.Held[known(Event{}).Key] = v
	return f
}

func away(f Final, proc int, from, to int64) Final {
	f.Away[proc] = append(f.Away[proc], Span{from * ms, to * ms})
	return f
}

func TestWhatABrokenCacheDoesIsFoundAndWhatAGoodOneDoesIsNot(t *testing.T) {
	tests := []struct {
		name  string
		calls []Event
		final Final
		rules Rules
		want  Kind // "" is none
	}{
		{"a write is gone", []Event{did(0, Put, 1, AtMaster, 0, 1)}, endsWith(0), Rules{}, Lost},
		{"a write is there", []Event{did(0, Put, 1, AtMaster, 0, 1)}, endsWith(1), Rules{}, ""},
		{"a write from memory is gone", []Event{did(0, Put, 1, InMemory, 0, 1)}, endsWith(0), Rules{}, Lost},
		{"a write from memory is gone with its process", []Event{did(0, Put, 1, InMemory, 0, 1)}, died(endsWith(0), 5), Rules{}, ""},
		{"a journaled write is gone with its process", []Event{did(0, Put, 1, InJournal, 0, 1)}, died(endsWith(0), 5), Rules{}, Lost},
		{"a write that no file had is gone with its process", []Event{did(0, Put, 1, AtMaster, 2000, 2001)}, fell(died(endsWith(0), 5000), 3000), Rules{}, ""},
		{"a write that was in a file is gone", []Event{did(0, Put, 1, AtMaster, 2000, 2001)}, fell(died(endsWith(0), 9000), 5000), Rules{}, Lost},
		{"a journaled write is gone with Redis and its process", []Event{did(0, Put, 1, AtMaster, 2000, 2001)}, died(endsWith(0), 5000), Rules{}, Lost},
		{"a write after the restart is gone", []Event{did(0, Put, 1, InMemory, 6, 7)}, died(endsWith(0), 5), Rules{}, Lost},
		{"a failed write is gone", []Event{did(0, Put, 1, Unsure, 0, 1)}, endsWith(0), Rules{WritesMayFail: true}, ""},
		{"a failed write is there", []Event{did(0, Put, 1, Unsure, 0, 1)}, endsWith(1), Rules{WritesMayFail: true}, ""},
		{"a write failed", []Event{did(0, Put, 1, Unsure, 0, 1)}, endsWith(1), Rules{}, FailedWrite},
		{"an insert that was not made is nowhere", []Event{did(0, Insert, 1, Unchanged, 0, 1)}, endsWith(0), Rules{}, ""},
		{"an insert is gone", []Event{did(0, Insert, 1, AtMaster, 0, 1)}, endsWith(0), Rules{}, Lost},

		{"the older of two stands", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 100, 101)}, endsWith(1), Rules{}, Lost},
		{"the newer of two stands", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 100, 101)}, endsWith(2), Rules{}, ""},
		{"the older of two near ones stands", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 2, 3)}, endsWith(1), Rules{}, Lost},
		{"either of two at once stands", []Event{did(0, Put, 1, AtMaster, 0, 3), did(1, Put, 2, AtMaster, 2, 5)}, endsWith(1), Rules{}, ""},
		{"nothing after two near ones", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 40, 41)}, endsWith(0), Rules{}, ""},
		{"nothing after two far ones", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 100, 101)}, endsWith(0), Rules{}, Lost},
		{"nothing after two near ones of one process", []Event{did(0, Put, 1, AtMaster, 0, 1), did(0, Put, 2, AtMaster, 10, 11)}, endsWith(0), Rules{}, Lost},
		{"nothing after a near delete by another", []Event{did(0, Remove, 0, AtMaster, 0, 1), did(1, Put, 2, InMemory, 40, 41)}, endsWith(0), Rules{}, ""},
		{"a failed write of the same process comes late", []Event{did(0, Put, 1, Unsure, 0, 1), did(0, Put, 2, AtMaster, 100, 101)}, endsWith(1), Rules{WritesMayFail: true}, Lost},
		{"a failed write of another process comes late", []Event{did(0, Put, 1, Unsure, 0, 1), did(1, Put, 2, AtMaster, 100, 101)}, endsWith(1), Rules{WritesMayFail: true}, ""},

		{"nothing in a class that invalidates", []Event{did(0, Put, 1, InMemory, 0, 1)}, endsWith(0), Rules{Invalidates: true}, ""},
		{"an older value in a class that invalidates", []Event{did(0, Put, 1, AtMaster, 0, 1), did(0, Put, 2, InMemory, 5, 6)}, endsWith(1), Rules{Invalidates: true}, Lost},
		{"nothing after its time to live", []Event{did(0, Put, 1, AtMaster, 0, 1)}, endsWith(0), Rules{TTL: 50 * time.Second}, ""},
		{"a value long after its time to live", []Event{did(0, Put, 1, AtMaster, 0, 1)}, endsWith(1), Rules{TTL: 50 * time.Second}, Outlived},
		{"nothing where its process overflowed", []Event{did(0, Put, 1, InMemory, 0, 1)}, overflowed(endsWith(0), true, false), Rules{}, ""},
		{"nothing where another process overflowed", []Event{did(0, Put, 1, AtMaster, 0, 1)}, overflowed(away(endsWith(0), 1, 5, 100), false, true), Rules{}, ""},
		{"nothing long after another process overflowed", []Event{did(0, Put, 1, AtMaster, 101, 102)}, overflowed(away(endsWith(0), 1, 5, 100), false, true), Rules{}, Lost},
		{"an older value where its process overflowed", []Event{did(1, Put, 1, AtMaster, 0, 1), did(0, Put, 2, InMemory, 100, 101)}, overflowed(endsWith(1), true, false), Rules{}, Lost},

		{"an equal value was written again after another", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 100, 101), did(0, Put, 1, AtMaster, 200, 201)}, endsWith(1), Rules{}, ""},
		{"the value between two equal ones stands", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, InMemory, 100, 101), did(0, Put, 1, AtMaster, 200, 201)}, endsWith(2), Rules{}, Lost},
		{"two equal values and a later one", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 1, AtMaster, 100, 101), did(0, Put, 2, AtMaster, 200, 201)}, endsWith(1), Rules{}, Lost},
		{"an equal value is read after another", []Event{did(0, Put, 1, AtMaster, 0, 1), did(0, Put, 2, AtMaster, 5, 6), did(0, Put, 1, AtMaster, 10, 11), did(0, Look, 1, Found, 20, 21)}, endsWith(1), Rules{}, ""},
		{"of two at once in a process, the one that a read did not show", []Event{did(0, Put, 1, AtMaster, 0, 9), did(0, Put, 2, AtMaster, 1, 8), did(0, Look, 2, Found, 20, 21)}, endsWith(1), Rules{}, Lost},
		{"of two at once in a process, the one that a read showed", []Event{did(0, Put, 1, AtMaster, 0, 9), did(0, Put, 2, AtMaster, 1, 8), did(0, Look, 2, Found, 20, 21)}, endsWith(2), Rules{}, ""},
		{"of two at once in a process, a doubtful read shows nothing", []Event{did(0, Put, 1, AtMaster, 0, 9), did(0, Put, 2, AtMaster, 1, 8), doubtful(did(0, Look, 2, Found, 20, 21))}, endsWith(1), Rules{}, ""},
		{"a life that is prolonged changes no value", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Prolong, 0, Unsure, 5, 6)}, endsWith(1), Rules{}, ""},
		{"nothing at a server that evicts", []Event{did(0, Put, 1, AtMaster, 0, 1)}, endsWith(0), Rules{Evicts: true}, ""},
		{"an older value at a server that evicts", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 5, 6)}, endsWith(1), Rules{Evicts: true}, Lost},
		{"a deleted value is back at a server that evicts", []Event{did(0, Put, 1, InMemory, 0, 1), did(1, Remove, 0, AtMaster, 5, 6)}, endsWith(1), Rules{Evicts: true}, Resurrected},
		{"nothing, and no more than the scene explains", []Event{did(0, Put, 1, AtMaster, 0, 1)}, endsWith(0), Rules{Evicts: true, MayHoldNothing: 1}, ""},

		{"a deleted value is back", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Remove, 0, AtMaster, 5, 6)}, endsWith(1), Rules{}, Resurrected},
		{"a value deleted from memory is back", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Remove, 0, InMemory, 5, 6)}, endsWith(1), Rules{}, Resurrected},
		{"a deleted value stays away", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Remove, 0, AtMaster, 5, 6)}, endsWith(0), Rules{}, ""},
		{"a delete failed", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Remove, 0, Unsure, 5, 6)}, endsWith(1), Rules{WritesMayFail: true}, ""},
		{"a delete at the same time", []Event{did(0, Put, 1, AtMaster, 0, 9), did(1, Remove, 0, AtMaster, 5, 6)}, endsWith(1), Rules{}, ""},
		{"a value deleted with its prefix is back", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, RemovePrefix, 0, InMemory, 5, 6)}, endsWith(1), Rules{}, Resurrected},
		{"written after its prefix was deleted, and gone", []Event{did(1, RemovePrefix, 0, AtMaster, 5, 6), did(0, Put, 1, AtMaster, 100, 101)}, endsWith(0), Rules{}, Lost},
		{"written after its prefix was to be deleted, and gone", []Event{did(1, RemovePrefix, 0, InMemory, 5, 6), did(0, Put, 1, AtMaster, 100, 101)}, endsWith(0), Rules{}, ""},
		{"written after its own process deleted the prefix, and gone", []Event{did(0, RemovePrefix, 0, InMemory, 5, 6), did(0, Put, 1, AtMaster, 100, 101)}, endsWith(0), Rules{}, Lost},
		{"its old value was touched by another since, and gone", []Event{did(0, Put, 1, InMemory, 0, 1), did(1, Prolong, 0, AtMaster, 300, 301)}, endsWith(0), Rules{}, ""},
		{"touched by another before, and gone", []Event{did(1, Prolong, 0, AtMaster, 0, 1), did(0, Put, 1, InMemory, 300, 301)}, endsWith(0), Rules{}, Lost},
		{"touched by its own process since, and gone", []Event{did(0, Put, 1, InMemory, 0, 1), did(0, Prolong, 0, AtMaster, 300, 301)}, endsWith(0), Rules{}, Lost},
		{"nobody wrote it", []Event{did(0, Put, 1, AtMaster, 0, 1)}, endsWith(9), Rules{}, Invented},

		{"an overwritten value is read as coherent", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 5, 6), did(0, Look, 1, Found, 1200, 1201)}, endsWith(2), Rules{}, Stale},
		{"within the lease", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 5, 6), did(0, Look, 1, Found, 1100, 1101)}, endsWith(2), Rules{}, ""},
		{"after what a healthy feed takes", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 5, 6), did(0, Look, 1, Found, 200, 201)}, endsWith(2), Rules{Lag: 150 * time.Millisecond}, Stale},
		{"as not coherent", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 5, 6), doubtful(did(0, Look, 1, Found, 1200, 1201))}, endsWith(2), Rules{}, ""},
		{"a deleted value is read as coherent", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Remove, 0, AtMaster, 5, 6), did(0, Look, 1, Found, 1200, 1201)}, endsWith(0), Rules{}, Stale},
		{"overwritten where no master was", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, InMemory, 500, 506), did(0, Look, 1, Found, 3000, 3001)}, away(endsWith(2), 1, 400, 5000), Rules{}, ""},
		{"overwritten where no master was, long after the replay", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, InMemory, 500, 506), did(0, Look, 1, Found, 7000, 7001)}, away(endsWith(2), 1, 400, 5000), Rules{}, Stale},
		{"overwritten at a master that was lost, before the replay", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 5, 6), did(0, Look, 1, Found, 3000, 3001)}, away(endsWith(2), 1, 400, 5000), Rules{}, ""},
		{"overwritten by who has a master, read by who has none", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 5, 6), did(0, Look, 1, Found, 3000, 3001)}, away(endsWith(2), 0, 400, 5000), Rules{}, Stale},
		{"overwritten from memory first and at the master later", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, InMemory, 5, 6), did(1, Put, 3, AtMaster, 50, 60), did(0, Look, 1, Found, 3000, 3001)}, endsWith(3), Rules{}, Stale},
		{"its own process overwrote it", []Event{did(0, Put, 1, AtMaster, 0, 1), did(0, Put, 2, InMemory, 5, 6), doubtful(did(0, Look, 1, Found, 7, 8))}, endsWith(2), Rules{}, Stale},
		{"its own process deleted it", []Event{did(0, Put, 1, AtMaster, 0, 1), did(0, Remove, 0, InMemory, 5, 6), doubtful(did(0, Look, 1, Found, 7, 8))}, endsWith(0), Rules{}, Resurrected},
		{"its own process overwrites it at the same time", []Event{did(0, Put, 1, AtMaster, 0, 1), did(0, Put, 2, InMemory, 5, 8), did(0, Look, 1, Found, 7, 9)}, endsWith(2), Rules{}, ""},
		{"a read of what nobody wrote", []Event{did(0, Put, 1, AtMaster, 0, 1), did(0, Look, 9, Found, 2, 3)}, endsWith(1), Rules{}, Invented},
		{"a read of what was written later", []Event{did(0, Look, 1, Found, 2, 3), did(0, Put, 1, AtMaster, 5, 6)}, endsWith(1), Rules{}, Invented},

		{"a process answers something else in the end", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Put, 2, AtMaster, 5, 6)}, sees(endsWith(2), 1), Rules{}, Diverged},
		{"a process answers the deleted in the end", []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Remove, 0, AtMaster, 5, 6)}, sees(endsWith(0), 1), Rules{}, Resurrected},
		{"a process misses what is there in the end", []Event{did(0, Put, 1, AtMaster, 0, 1)}, sees(endsWith(1), 0), Rules{}, Diverged},
		{"a process answers what is there", []Event{did(0, Put, 1, AtMaster, 0, 1)}, sees(endsWith(1), 1), Rules{}, ""},

		{"a known key cannot be read", []Event{known(did(0, Look, 0, Unknown, 0, 1))}, endsWith(0), Rules{}, FailedRead},
		{"a known key that was evicted cannot be read", []Event{known(did(0, Look, 0, Unknown, 0, 1))}, endsWith(0), Rules{Evicts: true}, ""},
		{"a known key that was not evicted cannot be read", []Event{known(did(0, Put, 1, AtMaster, 0, 1)), known(did(0, Look, 0, Unknown, 2, 3))}, endsWithKnown(1), Rules{Evicts: true}, FailedRead},
		{"an unknown key cannot be read", []Event{did(0, Look, 0, Unknown, 0, 1)}, endsWith(0), Rules{}, ""},
		{"a known key cannot be read by a process that has just begun", []Event{known(did(0, Look, 0, Unknown, 6, 7))}, died(endsWith(0), 5), Rules{}, ""},
		{"a process that is dead answers nothing", []Event{known(did(0, Look, 0, Unsure, 0, 1))}, endsWith(0), Rules{}, ""},
		{"a read takes long", []Event{known(did(0, Look, 0, Missing, 0, 200))}, endsWith(0), Rules{LongestRead: 150 * time.Millisecond}, Slow},
		{"a write takes long", []Event{did(0, Put, 1, AtMaster, 0, 500)}, endsWith(1), Rules{LongestWrite: 350 * time.Millisecond}, Slow},
		{"on a machine that stole the time", []Event{did(0, Put, 1, AtMaster, 0, 500)}, stolen(endsWith(1), 200), Rules{LongestWrite: 350 * time.Millisecond}, ""},
		{"the trace is full", nil, Final{Full: true}, Rules{}, Full},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := Check(tt.calls, tt.final, tt.rules)
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("found %q: %s", got[0].Kind, got[0].Text)
			case tt.want != "" && (len(got) != 1 || got[0].Kind != tt.want):
				t.Errorf("found %v, want one %q", got, tt.want)
			}
		})
	}
}

func died(f Final, at int64) Final { f.Died = []int64{at * ms}; return f }

func fell(f Final, at int64) Final { f.Fell = at * ms; return f }

func overflowed(f Final, by ...bool) Final { f.Overflowed = by; return f }

func sees(f Final, v Value) Final { f.Views = []map[Key]Value{{x: v}}; return f }

func stolen(f Final, took int64) Final { f.Stolen = time.Duration(took * ms); return f }

// TestTheCheckerAgreesWithEveryOrderThatCouldHaveBeen tries all orders of small
// random histories.
func TestTheCheckerAgreesWithEveryOrderThatCouldHaveBeen(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		calls := randomCalls(random)
		possible := everyEnd(calls)
		for v := Value(0); int(v) <= len(calls); v++ {
			// Nothing has more excuses than an order when two are near.
			got, figures := Check(calls, endsWith(v), Rules{Ambiguity: time.Nanosecond, WritesMayFail: true})
			if v == Nothing && figures.Excused["order unknown"] > 0 {
				continue
			}
			if (len(got) == 0) != possible[v] {
				var all strings.Builder
				for _, e := range calls {
					fmt.Fprintln(&all, e)
				}
				t.Fatalf("seed %d: the key holds %v; found %v, an order that leads there: %v\n%s", seed, v, got, possible[v], &all)
			}
		}
	}
}

func randomCalls(random *rand.Rand) (calls []Event) {
	for i := range 1 + random.IntN(5) {
		start := random.Int64N(30)
		e := did(random.IntN(2), Put, Value(i+1), AtMaster, start, start+1+random.Int64N(10))
		if random.IntN(3) == 0 {
			e.Act, e.Value = Remove, Nothing
		}
		if random.IntN(4) == 0 {
			e.Outcome = Unsure
		}
		calls = append(calls, e)
	}
	return calls
}

// everyEnd is what the key may hold: every subset that has all acknowledged
// calls, in every order that keeps what certainly came first.
func everyEnd(calls []Event) map[Value]bool {
	ends := map[Value]bool{}
	for set := range 1 << len(calls) {
		var left []mutation
		ok := true
		for i, e := range calls {
			sure := e.Outcome.acknowledged()
			if set&(1<<i) != 0 {
				left = append(left, mutation{Event: e, sure: sure, late: !sure})
			} else {
				ok = ok && !sure
			}
		}
		if ok {
			orders(left, Nothing, ends)
		}
	}
	return ends
}

func orders(left []mutation, end Value, ends map[Value]bool) {
	if len(left) == 0 {
		ends[end] = true
		return
	}
	for i, m := range left {
		if slices.ContainsFunc(left, func(o mutation) bool { return o != m && o.before(m) }) {
			continue
		}
		orders(slices.Concat(left[:i], left[i+1:]), m.Value, ends)
	}
}

func TestAValueIsReadAsItWasWritten(t *testing.T) {
	for _, v := range []Value{1, 16, 42, 128, Foreign - 1} {
		for _, text := range []string{v.String(), v.Large()} {
			if got := ParseValue(text); got != v {
				t.Errorf("%v was read as %v", v, got)
			}
		}
	}
	if got := ParseValue(Value(16).Large()[1:]); got != Foreign {
		t.Errorf("half a value was read as %v", got)
	}
	for _, s := range []string{"", "v", "v0", "v01", "v4294967295", "v16/40000/..", "v42/", "v-1", "42", "nothing"} {
		if got := ParseValue(s); got != Foreign {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

func TestTooManyKeysThatHoldNothingAreFound(t *testing.T) {
	var calls []Event
	final := Final{At: 60_000 * ms, Held: map[Key]Value{}, Away: make([][]Span, 2)}
	for n := range uint32(3) {
		e := did(0, Put, Value(n+1), AtMaster, 0, 1)
		e.Key.N = n
		calls = append(calls, e)
	}
	got, _ := Check(calls, final, Rules{Evicts: true, MayHoldNothing: 2})
	if len(got) != 1 || got[0].Kind != Empty {
		t.Errorf("found %v, want one %q", got, Empty)
	}
}
