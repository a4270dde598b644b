package evercache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func (fs *flights[V]) inTheAir() (n int) {
	for i := range fs.shards {
		s := &fs.shards[i]
		s.mu.Lock()
		n += len(s.flights) + len(s.fills)
		s.mu.Unlock()
	}
	return n
}

func wantNoFlights[V any](t *testing.T, fs *flights[V]) {
	t.Helper()
	if n := fs.inTheAir(); n != 0 {
		t.Errorf("%d flights are left on the table", n)
	}
}

func hasEnded[V any](f *flight[V]) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return f.wait(ctx) == nil
}

func TestAKeyHasOneFlightForReadsAndOneForLoads(t *testing.T) {
	fs := newFlights[string]()
	load, leads := fs.join("a", true)
	again, leadsAgain := fs.join("a", true)
	if !leads || leadsAgain || again != load {
		t.Errorf("the first leads: %v, the second leads: %v, it is the same: %v", leads, leadsAgain, again == load)
	}
	// a read without a loader that finds nothing must not decide for a load
	if read, leads := fs.join("a", false); !leads || read == load {
		t.Error("a read without a loader joined a load")
	}
	if other, leads := fs.join("b", true); !leads || other == load {
		t.Error("another key joined")
	}
}

func TestTheFirstResultOfAFlightStands(t *testing.T) {
	first, late := Entry[string]{Value: "first"}, Entry[string]{Value: "late"}
	failed := errors.New("failed")
	tests := []struct {
		name      string
		ends      []func(*flights[string], *flight[string]) bool
		want      Entry[string]
		err       error
		abandoned bool
	}{
		{"a value, and one too late", ends(settle(first, nil), settle(late, nil)), first, nil, false},
		{"a value, and an error too late", ends(settle(first, nil), settle(Entry[string]{}, failed)), first, nil, false},
		{"an error, and a value too late", ends(settle(Entry[string]{}, failed), settle(late, nil)), Entry[string]{}, failed, false},
		{"settled, and then abandoned", ends(settle(first, nil), abandon), first, nil, false},
		{"abandoned, and then settled", ends(abandon, settle(late, nil)), Entry[string]{}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := newFlights[string]()
			f, _ := fs.join("a", true)
			if hasEnded(f) {
				t.Error("ended before it was settled")
			}
			for i, end := range tt.ends {
				if ok := end(fs, f); ok != (i == 0) {
					t.Errorf("end %d counted: %v", i+1, ok)
				}
			}
			if !hasEnded(f) || f.entry != tt.want || f.err != tt.err || f.abandoned != tt.abandoned {
				t.Errorf("ended %v with %+v, %v, abandoned %v", hasEnded(f), f.entry, f.err, f.abandoned)
			}
			wantNoFlights(t, fs)
			if next, leads := fs.join("a", true); !leads || next == f {
				t.Error("the next read joined a flight that has ended")
			}
		})
	}
}

func ends(fs ...func(*flights[string], *flight[string]) bool) []func(*flights[string], *flight[string]) bool {
	return fs
}

func settle(e Entry[string], err error) func(*flights[string], *flight[string]) bool {
	return func(fs *flights[string], f *flight[string]) bool { return fs.settle(f, e, err) }
}

func abandon(fs *flights[string], f *flight[string]) bool {
	was := hasEnded(f)
	fs.abandon(f)
	return !was
}

func TestAWriteTakesTheFlightsOfItsKeyOffTheTable(t *testing.T) {
	tests := []struct {
		name  string
		write func(*flights[string])
		want  []string // the flights that it supersedes
	}{
		{"of a key", func(fs *flights[string]) { fs.supersede("ab", func() {}) }, []string{"ab", "ab loads"}},
		{"of another key", func(fs *flights[string]) { fs.supersede("x", func() {}) }, nil},
		{"of a prefix", func(fs *flights[string]) { supersedePrefix(fs, "a") }, []string{"a loads", "ab", "ab loads"}},
		{"of everything", func(fs *flights[string]) { supersedePrefix(fs, "") }, []string{"a loads", "ab", "ab loads", "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := newFlights[string]()
			flying := map[string]*flight[string]{}
			flying["a loads"], _ = fs.join("a", true)
			flying["ab"], _ = fs.join("ab", false)
			flying["ab loads"], _ = fs.join("ab", true)
			flying["b"], _ = fs.join("b", false)
			tt.write(fs)
			for name, f := range flying {
				want := slices.Contains(tt.want, name)
				if fs.superseded(f) != want {
					t.Errorf("%s is superseded: %v", name, !want)
				}
				kept := false
				fs.keep(f, func() { kept = true })
				if kept == want {
					t.Errorf("%s may keep its result: %v", name, kept)
				}
				if _, leads := fs.join(f.key.key, f.key.loads); leads != want {
					t.Errorf("a read that comes after the write leads a flight of its own instead of %s: %v", name, leads)
				}
				fs.settle(f, Entry[string]{Value: name}, nil) // those who waited before the write have it
				if !hasEnded(f) || f.entry.Value != name {
					t.Errorf("%s did not end", name)
				}
			}
		})
	}
}

func TestASupersededFlightDoesNotTakeItsSuccessorOffTheTable(t *testing.T) {
	fs := newFlights[string]()
	old, _ := fs.join("a", true)
	fs.supersede("a", func() {})
	current, _ := fs.join("a", true)
	fs.settle(old, Entry[string]{Value: "old"}, nil)
	if joined, leads := fs.join("a", true); leads || joined != current {
		t.Error("the successor is gone")
	}
	if fs.superseded(current) || hasEnded(current) {
		t.Error("the successor was touched")
	}
}

// A loaded value that is still on its way to Redis must not land after a write.
func TestAWriteSupersedesWhatIsStillOnItsWayToRedis(t *testing.T) {
	writes := map[string]func(*flights[string]){
		"of the key":      func(fs *flights[string]) { fs.supersede("ab", func() {}) },
		"of its prefix":   func(fs *flights[string]) { supersedePrefix(fs, "a") },
		"of another key":  func(fs *flights[string]) { fs.supersede("x", func() {}) },
		"of other prefix": func(fs *flights[string]) { supersedePrefix(fs, "b") },
	}
	for name, write := range writes {
		want := name == "of the key" || name == "of its prefix"
		t.Run(name, func(t *testing.T) {
			fs := newFlights[string]()
			var filling []*flight[string]
			for range 2 { // two may be on their way, one behind the other
				f, _ := fs.join("ab", true)
				if !fs.settleToFill(f, Entry[string]{Value: "v"}) || !hasEnded(f) {
					t.Error("those who wait are held up by the fill")
				}
				if next, leads := fs.join("ab", true); !leads || next == f {
					t.Error("the next read joined a flight that has ended")
				} else {
					fs.abandon(next)
				}
				filling = append(filling, f)
			}
			write(fs)
			for _, f := range filling {
				if fs.superseded(f) != want {
					t.Errorf("the fill is superseded: %v", !want)
				}
				fs.filled(f)
			}
			wantNoFlights(t, fs)
			done, _ := fs.join("ab", true)
			fs.settleToFill(done, Entry[string]{})
			fs.filled(done)
			write(fs)
			if fs.superseded(done) {
				t.Error("a fill that has ended is superseded")
			}
		})
	}
	fs := newFlights[string]()
	late, _ := fs.join("a", true)
	fs.settle(late, Entry[string]{}, errLoadTimeout)
	if fs.settleToFill(late, Entry[string]{Value: "v"}) {
		t.Error("a value that came too late goes to Redis")
	}
	wantNoFlights(t, fs)
}

func TestNothingIsKeptAfterAFlightWasSettled(t *testing.T) {
	fs := newFlights[string]()
	f, _ := fs.join("a", true)
	fs.keep(f, func() {})
	fs.settle(f, Entry[string]{}, errLoadTimeout)
	fs.keep(f, func() { t.Error("a result that came too late was kept") })
}

func TestWhoWaitsForAFlightFollowsHisOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newFlights[string]()
		f, _ := fs.join("a", true)
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		var served atomic.Int32
		for range 5 {
			go func() {
				if err := f.wait(t.Context()); err == nil && f.entry.Value == "v" {
					served.Add(1)
				}
			}()
		}
		if err := f.wait(ctx); !errors.Is(err, why) {
			t.Errorf("wait = %v, want the reason", err)
		}
		fs.settle(f, Entry[string]{Value: "v"}, nil)
		synctest.Wait()
		if served.Load() != 5 {
			t.Errorf("%d of 5 were served", served.Load())
		}
	})
}

func TestFlightsAreSharedWithoutARace(t *testing.T) {
	fs := newFlights[int]()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				key := fmt.Sprint(i % 5)
				f, leads := fs.join(key, i%2 == 0)
				if leads {
					fs.keep(f, func() {})
					if g == 0 {
						fs.abandon(f)
					} else {
						fs.settle(f, Entry[int]{Value: i}, nil)
					}
				}
				if g == 1 {
					fs.supersede(key, func() {})
					supersedePrefix(fs, key)
				}
				if err := f.wait(t.Context()); err != nil || !f.settled {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantNoFlights(t, fs)
}

// The caller's own functions run where others wait.
func TestAPanicInTheCallersFunctionsHoldsNobodyUp(t *testing.T) {
	panics := func(string) string { panic("clone") }
	tests := []struct {
		name string
		read func(context.Context, *Cache[string]) error
	}{
		{"get", func(ctx context.Context, c *Cache[string]) error {
			_, err := c.Get(ctx, "a", constant("v"))
			return err
		}},
		{"get many", func(ctx context.Context, c *Cache[string]) error {
			_, err := c.GetMany(ctx, []string{"a", "b"}, func(context.Context, []string) (map[string]string, error) {
				return map[string]string{"a": "1", "b": "2"}, nil
			})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name+", in a load", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cacheOf(t, openMemory(t), "c", Policy{}, WithClone(panics))
				err := tt.read(t.Context(), c)
				if e, ok := errors.AsType[*LoadPanicError](err); !ok || e.Value != "clone" || len(e.Stack) == 0 {
					t.Errorf("error = %v", err)
				}
				wantNoFlights(t, c.flights)
			})
		})
		t.Run(tt.name+", in the caller who leads", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := false
				c := cacheOf(t, open(t, Options{Addr: noRedis}), "c", Policy{TTL: time.Minute, Stale: time.Hour}, WithClone(func(v string) string {
					if broken {
						panic("clone")
					}
					return v
				}))
				_, _ = c.SetMany(t.Context(), map[string]string{"a": "1", "b": "2"})
				time.Sleep(2 * time.Minute) // both are stale: the outage's answer
				broken = true
				func() {
					defer func() {
						if p := recover(); p != "clone" {
							t.Errorf("recovered %v, want the panic of the clone", p)
						}
					}()
					_ = tt.read(t.Context(), c)
				}()
				wantNoFlights(t, c.flights)
				broken = false
				if err := tt.read(t.Context(), c); err != nil {
					t.Errorf("the next read: %v", err)
				}
			})
		})
	}
}

func TestAPanicAtTheEndOfALoadTimeoutIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := false
		c := cacheOf(t, openMemory(t), "c", Policy{TTL: time.Minute, Stale: time.Hour, LoadTimeout: time.Second}, WithClone(func(v string) string {
			if broken {
				panic("clone")
			}
			return v
		}))
		_, _ = c.Set(t.Context(), "a", "v")
		time.Sleep(2 * time.Minute)
		broken = true
		_, err := c.Get(t.Context(), "a", func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			return "", ctx.Err()
		})
		if _, ok := errors.AsType[*LoadPanicError](err); !ok {
			t.Errorf("error = %v", err)
		}
	})
}

func TestALoadThatEndsItsGoroutineIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf[string](t, openMemory(t), "c", Policy{})
		_, err := c.Get(t.Context(), "a", func(context.Context, string) (string, error) { runtime.Goexit(); return "", nil })
		if _, ok := errors.AsType[*LoadPanicError](err); !ok {
			t.Errorf("error = %v", err)
		}
		wantNoFlights(t, c.flights)
	})
}

func supersedePrefix[V any](fs *flights[V], prefix string) {
	fs.supersedeAll(func(key string) bool { return strings.HasPrefix(key, prefix) })
}
