package flight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errLate = errors.New("late")

// group and one are flights as simple as they can be.
type (
	group = Group[string, struct{}]
	one   = Flight[string, struct{}]
)

func wantNone(t *testing.T, g *group) {
	t.Helper()
	if flights, fills := g.Len(); flights+fills != 0 {
		t.Errorf("%d flights and %d fills are left", flights, fills)
	}
}

func hasEnded(f *one) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return f.Wait(ctx) == nil
}

func TestAKeyHasOneFlightForReadsAndOneForLoads(t *testing.T) {
	g := New[string, struct{}]()
	load, leads := g.Join("a", Loads)
	again, leadsAgain := g.Join("a", Loads)
	if !leads || leadsAgain || again != load {
		t.Errorf("the first leads: %v, the second leads: %v, it is the same: %v", leads, leadsAgain, again == load)
	}
	// a read without a loader that finds nothing must not decide for a load
	if read, leads := g.Join("a", Reads); !leads || read == load {
		t.Error("a read without a loader joined a load")
	}
	if other, leads := g.Join("b", Loads); !leads || other == load {
		t.Error("another key joined")
	}
}

func TestTheFirstResultOfAFlightStands(t *testing.T) {
	first, late := "first", "late"
	failed := errors.New("failed")
	tests := []struct {
		name      string
		ends      []func(*one) bool
		want      string
		err       error
		abandoned bool
	}{
		{"a value, and one too late", ends(settle(first, nil), settle(late, nil)), first, nil, false},
		{"a value, and an error too late", ends(settle(first, nil), settle("", failed)), first, nil, false},
		{"an error, and a value too late", ends(settle("", failed), settle(late, nil)), "", failed, false},
		{"settled, and then abandoned", ends(settle(first, nil), abandon), first, nil, false},
		{"abandoned, and then settled", ends(abandon, settle(late, nil)), "", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := New[string, struct{}]()
			f, _ := g.Join("a", Loads)
			if hasEnded(f) {
				t.Error("ended before it was settled")
			}
			for i, end := range tt.ends {
				if ok := end(f); ok != (i == 0) {
					t.Errorf("end %d counted: %v", i+1, ok)
				}
			}
			if !hasEnded(f) || f.result != tt.want || f.err != tt.err || f.abandoned != tt.abandoned {
				t.Errorf("ended %v with %+v, %v, abandoned %v", hasEnded(f), f.result, f.err, f.abandoned)
			}
			wantNone(t, g)
			if next, leads := g.Join("a", Loads); !leads || next == f {
				t.Error("the next read joined a flight that has ended")
			}
		})
	}
}

func ends(all ...func(*one) bool) []func(*one) bool { return all }

func settle(r string, err error) func(*one) bool {
	return func(f *one) bool { return f.Settle(r, err) }
}

func abandon(f *one) bool {
	was := hasEnded(f)
	f.Abandon()
	return !was
}

func TestAWriteTakesTheFlightsOfItsKeyOffTheTable(t *testing.T) {
	tests := []struct {
		name  string
		write func(*group)
		want  []string // the flights that it supersedes
	}{
		{"of a key", func(g *group) { g.Supersede("ab", func() {}) }, []string{"ab", "ab loads"}},
		{"of another key", func(g *group) { g.Supersede("x", func() {}) }, nil},
		{"of a prefix", func(g *group) { supersedePrefix(g, "a") }, []string{"a loads", "ab", "ab loads"}},
		{"of everything", func(g *group) { supersedePrefix(g, "") }, []string{"a loads", "ab", "ab loads", "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := New[string, struct{}]()
			flying := map[string]*one{}
			flying["a loads"], _ = g.Join("a", Loads)
			flying["ab"], _ = g.Join("ab", Reads)
			flying["ab loads"], _ = g.Join("ab", Loads)
			flying["b"], _ = g.Join("b", Reads)
			tt.write(g)
			for name, f := range flying {
				want := slices.Contains(tt.want, name)
				if f.Superseded() != want {
					t.Errorf("%s is superseded: %v", name, !want)
				}
				kept := false
				f.Keep(func() { kept = true })
				if kept == want {
					t.Errorf("%s may keep its result: %v", name, kept)
				}
				if _, leads := g.Join(f.key.key, f.key.kind); leads != want {
					t.Errorf("a read that comes after the write leads a flight of its own instead of %s: %v", name, leads)
				}
				f.Settle(name, nil) // those who waited before the write have it
				if !hasEnded(f) || f.result != name {
					t.Errorf("%s did not end", name)
				}
			}
		})
	}
}

func TestASupersededFlightDoesNotTakeItsSuccessorOffTheTable(t *testing.T) {
	g := New[string, struct{}]()
	old, _ := g.Join("a", Loads)
	g.Supersede("a", func() {})
	current, _ := g.Join("a", Loads)
	old.Settle("old", nil)
	if joined, leads := g.Join("a", Loads); leads || joined != current {
		t.Error("the successor is gone")
	}
	if current.Superseded() || hasEnded(current) {
		t.Error("the successor was touched")
	}
}

// A loaded value that is still on its way to Redis must not land after a write.
func TestAWriteSupersedesWhatIsStillOnItsWayToRedis(t *testing.T) {
	writes := map[string]func(*group){
		"of the key":      func(g *group) { g.Supersede("ab", func() {}) },
		"of its prefix":   func(g *group) { supersedePrefix(g, "a") },
		"of another key":  func(g *group) { g.Supersede("x", func() {}) },
		"of other prefix": func(g *group) { supersedePrefix(g, "b") },
	}
	for name, write := range writes {
		want := name == "of the key" || name == "of its prefix"
		t.Run(name, func(t *testing.T) {
			g := New[string, struct{}]()
			var filling []*one
			for range 2 { // two may be on their way, one behind the other
				f, _ := g.Join("ab", Loads)
				if !f.SettleToFill("v") || !hasEnded(f) {
					t.Error("those who wait are held up by the fill")
				}
				if next, leads := g.Join("ab", Loads); !leads || next == f {
					t.Error("the next read joined a flight that has ended")
				} else {
					next.Abandon()
				}
				filling = append(filling, f)
			}
			write(g)
			for _, f := range filling {
				if f.Superseded() != want {
					t.Errorf("the fill is superseded: %v", !want)
				}
				f.Filled()
			}
			wantNone(t, g)
			done, _ := g.Join("ab", Loads)
			done.SettleToFill("")
			done.Filled()
			write(g)
			if done.Superseded() {
				t.Error("a fill that has ended is superseded")
			}
		})
	}
	g := New[string, struct{}]()
	late, _ := g.Join("a", Loads)
	late.Settle("", errLate)
	if late.SettleToFill("v") {
		t.Error("a value that came too late goes to Redis")
	}
	wantNone(t, g)
}

func TestNothingIsKeptAfterAFlightWasSettled(t *testing.T) {
	g := New[string, struct{}]()
	f, _ := g.Join("a", Loads)
	f.Keep(func() {})
	f.Settle("", errLate)
	f.Keep(func() { t.Error("a result that came too late was kept") })
}

func TestWhoWaitsForAFlightFollowsHisOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, struct{}]()
		f, _ := g.Join("a", Loads)
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		var served atomic.Int32
		for range 5 {
			go func() {
				if err := f.Wait(t.Context()); err == nil && f.result == "v" {
					served.Add(1)
				}
			}()
		}
		if err := f.Wait(ctx); !errors.Is(err, why) {
			t.Errorf("wait = %v, want the reason", err)
		}
		f.Settle("v", nil)
		synctest.Wait()
		if served.Load() != 5 {
			t.Errorf("%d of 5 were served", served.Load())
		}
	})
}

func TestFlightsAreSharedWithoutARace(t *testing.T) {
	g := New[string, struct{}]()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 500 {
				key := fmt.Sprint(i % 5)
				f, leads := g.Join(key, Kind(i%2))
				if leads {
					f.Keep(func() {})
					if n == 0 {
						f.Abandon()
					} else {
						f.Settle(fmt.Sprint(i), nil)
					}
				}
				if n == 1 {
					g.Supersede(key, func() {})
					supersedePrefix(g, key)
				}
				if err := f.Wait(t.Context()); err != nil || !f.settled {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantNone(t, g)
}

func supersedePrefix(g *group, prefix string) {
	g.SupersedeAll(func(key string) bool { return strings.HasPrefix(key, prefix) })
}

// TestALoadWhoseMissWasOvertakenHasItsCallersBack is the end of a key's life,
// which is announced behind the answer that there is none, but may be handled first.
func TestALoadWhoseMissWasOvertakenHasItsCallersBack(t *testing.T) {
	g := New[string, struct{}]()
	f, _ := g.Join("a", Loads)
	g.Announced("a", false, false, func() {})
	f.Keep(func() { t.Error("what was read before the announcement is kept") })
	if !f.BeginLoad() || !f.Disturbed() {
		t.Error("it does not load")
	}
	if _, leader := g.Join("a", Loads); leader {
		t.Error("a second load")
	}
	g.Announced("a", true, false, func() {})
	if !f.Superseded() {
		t.Error("a delete does not supersede it")
	}

	f, _ = g.Join("b", Loads)
	g.Announced("b", false, false, func() {})
	if g, leader := g.Join("b", Loads); !leader || f.BeginLoad() || !g.BeginLoad() {
		t.Error("two of them load")
	}
}

func TestWhatSomebodyElseHasWrittenSinceIsNotKeptAsUndisturbed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		write           func(*group)
		kept, exchanged bool
		undisturbed     bool
	}{
		"nothing":                 {func(*group) {}, true, true, true},
		"another key, announced":  {func(g *group) { g.Announced("b", false, false, func() {}) }, true, true, true},
		"the key, announced":      {func(g *group) { g.Announced("a", false, false, func() {}) }, true, true, false},
		"the key, deleted":        {func(g *group) { g.Announced("a", true, false, func() {}) }, false, false, false},
		"some keys, deleted":      {func(g *group) { g.Disturb() }, true, true, false},
		"the key, written here":   {func(g *group) { g.Supersede("a", func() {}) }, false, false, false},
		"a prefix, written there": {func(g *group) { supersedePrefix(g, "a") }, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := New[string, struct{}]()
			f, _ := g.Join("a", Loads)
			if !f.BeginLoad() {
				t.Fatal("it does not load")
			}
			tt.write(g)
			did := func(run func(func())) (ran bool) { run(func() { ran = true }); return ran }
			if kept, asUndisturbed, exchanged := did(f.Keep), did(f.KeepUndisturbed), did(f.Exchange); kept != tt.kept || asUndisturbed != tt.undisturbed || exchanged != tt.exchanged {
				t.Errorf("kept %v, as undisturbed %v, exchanged %v", kept, asUndisturbed, exchanged)
			}
			f.Settle("v", nil)
			if did(f.Keep) || did(f.KeepUndisturbed) || did(f.Exchange) != tt.exchanged {
				t.Error("kept after it was settled, or not exchanged")
			}
		})
	}
}

func TestThePutOfAWriteRunsBeforeAnybodyAsksAgain(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(g *group, put func()){
		"here":  func(g *group, put func()) { g.Supersede("a", put) },
		"there": func(g *group, put func()) { g.Announced("a", false, false, put) },
	} {
		g := New[string, struct{}]()
		write(g, func() {
			joined := make(chan struct{})
			go func() {
				g.Join("a", Reads)
				close(joined)
			}()
			select {
			case <-joined:
				t.Errorf("%s: a read joined meanwhile", name)
			case <-time.After(5 * time.Millisecond):
			}
		})
	}
}

func TestWhoJoinsAfterAnOfferIsWithdrawnWaitsForTheResult(t *testing.T) {
	t.Parallel()
	g := New[string, struct{}]()
	f, _ := g.Join("k", Loads)
	if !f.Offer("offered") {
		t.Fatal("not offered")
	}
	if err := f.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Withdraw()
	if r, _ := f.Result(); r != "offered" {
		t.Errorf("who had waited gets %q", r)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if f.Wait(ended) == nil {
		t.Error("who joins later does not wait")
	}
	waited := make(chan error)
	go func() { waited <- f.Wait(t.Context()) }()
	f.Settle("result", nil)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	f.Withdraw()
	if r, _ := f.Result(); r != "result" || !f.Settled() {
		t.Errorf("result %q, settled %v", r, f.Settled())
	}
}
