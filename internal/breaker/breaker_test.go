package breaker

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// small rules make short tables: two failures in a row, two calls of probation,
// more than half of the last four slow.
var small = Rules{Failures: 2, Probation: 2, Window: 4, SlowShare: 50}

// Calls are written as letters: o answered, O answered slowly, t timed out,
// b broke.
func after(r Rules, s state, calls string) state {
	for _, c := range calls {
		s = r.next(s, map[rune]Outcome{'o': OK, 'O': OK, 't': Timeout, 'b': Broken}[c], c == 'O')
	}
	return s
}

func TestOpensOnErrorsAndOnSlowness(t *testing.T) {
	tests := []struct {
		name  string
		rules Rules
		calls string
		want  Cause
	}{
		{"no call at all", small, "", None},
		{"answers", small, "oooooooo", None},

		{"the first call fails", small, "t", Errors},
		{"the last call of probation fails", small, "ot", Errors},
		{"one failure after probation", small, "oot", None},
		{"failures in a row after probation", small, "oott", Errors},
		{"one failure fewer than it takes", Default, "ooooott", None},
		{"as many failures as it takes", Default, "ooooottt", Errors},
		{"an answer between failures counts anew", Default, "ooooottottott", None},
		{"a slow answer is an answer too", Default, "ooooottOttOtt", None},
		{"without probation the first failure is one of many", Rules{Failures: 2, Window: 4, SlowShare: 50}, "t", None},

		{"broken after a thousand answers is enough", small, "oooooooob", Errors},
		{"broken on probation", small, "b", Errors},

		{"all slow, but the window is not full", small, "OOO", None},
		{"half of the window slow", small, "OOoo", None},
		{"more than half of it slow", small, "OOoO", Slow},
		{"slow on probation waits for the window", small, "OOOO", Slow},
		{"what is slow leaves the window", small, "OoooOooOooOoo", None},
		{"spread over the window in any order", small, "ooooOoOO", Slow},
		{"a timeout is slow too", Rules{Failures: 9, Window: 4, SlowShare: 50}, "tott", Slow},
		{"a timeout that the window has left is not", Rules{Failures: 9, Window: 4, SlowShare: 50}, "ttoooOo", None},
		{"the share is of the default window", Default, "ooooooooooooooooOOOOOOOOOOOOOOOO", None},
		{"one slow answer more", Default, "oooooooooooooooOOOOOOOOOOOOOOOOO", Slow},

		{"a window of one", Rules{Failures: 1, Window: 1, SlowShare: 50}, "O", Slow},
		{"no window: slowness is not judged", Rules{Failures: 1, Window: 0, SlowShare: 0}, "OOOOOOOO", None},
		{"a share that cannot be passed", Rules{Failures: 1, Window: 2, SlowShare: 100}, "OOOOOOOO", None},
		{"both at once are told as errors", Rules{Failures: 2, Window: 2, SlowShare: 50}, "tt", Errors},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := after(tt.rules, state{}, tt.calls).open; got != tt.want {
				t.Errorf("after %s: %q, want %q", tt.calls, got, tt.want)
			}
		})
	}
}

func TestTheWindowRemembersUpTo64Calls(t *testing.T) {
	r := Rules{Failures: 1, Window: 64, SlowShare: 98}
	s := state{}
	for range 63 {
		s = r.next(s, OK, true)
	}
	if s.open != None {
		t.Fatalf("opened before the window was full: %q", s.open)
	}
	if got := r.next(s, OK, false).open; got != Slow { // 63 of 64 is more than 98 %
		t.Errorf("with 63 slow of 64: %q, want %q", got, Slow)
	}
	for range 1000 { // fast ones push the slow ones out, and nothing else is kept
		s = Rules{Failures: 1, Window: 64, SlowShare: 100}.next(s, OK, false)
	}
	if s.slow != 0 || s.calls != 64 {
		t.Errorf("after 1000 fast calls: %+v", s)
	}
}

func TestOpenStaysOpenWhateverComes(t *testing.T) {
	for _, cause := range []Cause{Errors, Slow} {
		open := state{open: cause, inARow: 1, calls: 3, okSoFar: 1, slow: 0b101}
		for _, o := range []Outcome{OK, Timeout, Broken} {
			for _, slow := range []bool{false, true} {
				if diff := cmp.Diff(open, small.next(open, o, slow), cmp.AllowUnexported(state{})); diff != "" {
					t.Errorf("open (%s), outcome %d, slow %v: changed:\n%s", cause, o, slow, diff)
				}
			}
		}
	}
}

func TestRecordJudgesSpeedByTheTimeGiven(t *testing.T) {
	tests := []struct {
		name         string
		d, slowAfter time.Duration
		want         Cause
	}{
		{"faster", time.Millisecond, 2 * time.Millisecond, None},
		{"exactly as slow as allowed", 2 * time.Millisecond, 2 * time.Millisecond, None},
		{"slower", 3 * time.Millisecond, 2 * time.Millisecond, Slow},
		{"not one to judge speed by", time.Hour, 0, None},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := New(small)
			for range 4 {
				b.Record(OK, tt.d, tt.slowAfter)
			}
			if got := b.Cause(); got != tt.want {
				t.Errorf("Cause = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOpenedIsClosedOnceHoweverManyRecord(t *testing.T) {
	b := New(Default)
	select {
	case <-b.Opened():
		t.Fatal("open from the start")
	default:
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 { // a second close would panic
				b.Record(Broken, 0, 0)
				b.Record(OK, time.Second, time.Millisecond)
				_ = b.Cause()
			}
		})
		wg.Go(func() {
			<-b.Opened()
			if got := b.Cause(); got != Errors {
				t.Errorf("Opened is closed and Cause = %q", got)
			}
		})
	}
	wg.Wait()
}

// Record leaves out calls that would change nothing; that must not show.
func TestRecordDecidesAsNextDoes(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		rules := Rules{Failures: 1 + r.IntN(4), Probation: r.IntN(5), Window: 1 + r.IntN(12), SlowShare: r.IntN(101)}
		b, s, good := New(rules), state{}, r.IntN(40)
		for i := range 300 {
			o, slow := OK, r.IntN(good+2) == 0
			if r.IntN(good+2) == 0 {
				o = Timeout
			}
			b.Record(o, map[bool]time.Duration{true: 2, false: 1}[slow], 1)
			s = rules.next(s, o, slow)
			if got := b.Cause(); got != s.open {
				t.Fatalf("seed %d, call %d: %q, want %q", seed, i, got, s.open)
			}
		}
	}
}
