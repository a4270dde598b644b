package remote

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// fills are fills of so many keys of the class c, missed at a time.
func (b *bed) fills(n int, missed int64) []*Fill {
	fs := make([]*Fill, n)
	for i := range fs {
		key := fmt.Sprint("app:c:k", i)
		tomb, trace := Beside("app:", key)
		fs[i] = &Fill{
			Pair: Pair{Key: key, Data: fmt.Appendf(nil, "value %d", i), TTL: time.Hour},
			Tomb: tomb, Trace: trace, Marks: MarksKey("app:", key), Rest: RestOf("app:", key), MissedAt: missed,
		}
	}
	return fs
}

func TestKeysThatAreFilledTogetherAreDecidedOneByOne(t *testing.T) {
	b := startBed(t)
	type kind struct {
		name   string
		setup  func(b *bed, f *Fill)
		stored bool
	}
	kinds := []kind{
		{"nothing was there", func(*bed, *Fill) {}, true},
		{"a value", func(b *bed, f *Fill) { b.put(f.Key, "theirs", b.now+hour) }, false},
		{"another type", func(b *bed, f *Fill) { ask(b.T, b.p, "HSET", f.Key, "f", "v") }, false},
		{"deleted before", func(b *bed, f *Fill) { b.put(f.Tomb, decimal(b.now-1)+":other", b.now+life) }, true},
		{"deleted since", func(b *bed, f *Fill) { b.put(f.Tomb, decimal(b.now)+":other", b.now+life) }, false},
		{"a tombstone that makes no sense", func(b *bed, f *Fill) { b.put(f.Tomb, "garbage", b.now+life) }, false},
		{"a tombstone of another type", func(b *bed, f *Fill) { ask(b.T, b.p, "HSET", f.Tomb, "f", "v") }, false},
		{"a trace of before", func(b *bed, f *Fill) { b.put(f.Trace, decimal(b.now-1)+":other", b.now+life) }, true},
		{"a trace of since", func(b *bed, f *Fill) { b.put(f.Trace, decimal(b.now)+":other", b.now+life) }, false},
		{"useless, to be replaced", func(b *bed, f *Fill) {
			b.put(f.Key, "useless", b.now+hour)
			f.Replaces = Sum([]byte("useless"))
		}, true},
		{"brief", func(b *bed, f *Fill) { f.Brief, f.Process = true, "me" }, true},
	}
	for _, marks := range []struct {
		name string
		at   int64 // of the mark of all keys, relative to now; 0: there is none
		all  bool  // it refuses all
	}{{"no mark", 0, false}, {"an older mark", -1, false}, {"a mark of since", 1, true}} {
		t.Run(marks.name, func(t *testing.T) {
			b := b.fresh(t)
			if marks.at != 0 {
				ask(t, b.p, "HSET", "app:~p:c", "k", decimal(b.now+marks.at)+":other")
			}
			fs := b.fills(len(kinds), b.now)
			before := make([]string, len(fs))
			for i, k := range kinds {
				k.setup(b, fs[i])
				before[i] = b.get(fs[i].Key)
			}
			for i, got := range b.n.FillMany(t.Context(), fs, long) {
				want := kinds[i].stored && !marks.all
				if got.Err != nil || got.Stored != want {
					t.Errorf("%s: %+v, want %v", kinds[i].name, got, want)
				}
				holds := before[i]
				if want {
					holds = string(fs[i].Data)
				}
				if v := b.get(fs[i].Key); v != holds {
					t.Errorf("%s: %q is there, want %q", kinds[i].name, v, holds)
				}
				if e := b.ends(fs[i].Key); want && (e < b.now+hour || e > b.time()+hour) {
					t.Errorf("%s: it ends at %d, now is %d", kinds[i].name, e, b.now)
				}
			}
		})
	}
}

func TestWhatIsFilledTogetherTooLateIsNotStored(t *testing.T) {
	b := startBed(t)
	fs := b.fills(3, b.now)
	a := b.n.run(t.Context(), fillsStep(fs, decimal(b.now-1)))
	if text, err := a.ToString(); err != nil || text != "" {
		t.Errorf("%q, %v", text, err)
	}
	for _, f := range fs {
		if v := b.get(f.Key); v != "" {
			t.Errorf("%s holds %q", f.Key, v)
		}
	}
}

func TestKeysAreFilledOneByOneWhereTheScriptIsForbidden(t *testing.T) {
	for name, rules := range map[string]string{
		"scripts":               "~* +@all -eval -evalsha",
		"EXISTS":                "~* +@all -exists",
		"the keys of deletes":   `~app:[^~]* ~\~b:* +@all`,
		"SET of some of them":   "~app:c:* ~app:~* +@all",
		"nothing but the clock": "~* +@all -time",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{Users: []redisproc.User{{Name: "app", Password: "x", Rules: strings.Fields(rules)}}})
			c := config(p.Addr())
			c.Username, c.Password = "app", "x"
			b := bedOn(t, p, dialWith(t, c, nil))
			fs := b.fills(3, b.time()+1)
			b.put(fs[1].Key, "theirs", b.now+hour)
			for i, got := range b.n.FillMany(t.Context(), fs, long) {
				if got.Err != nil || got.Stored != (i != 1) {
					t.Errorf("%d: %+v", i, got)
				}
			}
			if v := b.get(fs[1].Key); v != "theirs" {
				t.Errorf("%q is there", v)
			}
		})
	}
}

func TestManyKeysAreComparedByWhatTheyHold(t *testing.T) {
	b := startBed(t)
	for _, rules := range []string{"+@all", "+@all -getrange"} {
		t.Run(rules, func(t *testing.T) {
			ask(t, b.p, "FLUSHALL")
			ask(t, b.p, append([]string{"ACL", "SETUSER", "reader", "on", ">x", "~*"}, strings.Fields(rules)...)...)
			c := config(b.p.Addr())
			c.Username, c.Password = "reader", "x"
			n := dialWith(t, c, nil)
			large := bytes.Repeat([]byte("x"), span)
			for i, tt := range []struct {
				there, asked string
				want         bool
			}{
				{"v", "v", true},
				{"", "v", false},
				{"w", "v", false},
				{"vv", "v", false},
				{"v", "vv", false},
				{string(large), string(large), true},
				{string(large) + "x", string(large), false},
				{string(large), "v", false},
			} {
				key := fmt.Sprint("app:h", i)
				if tt.there != "" {
					b.put(key, tt.there, 0)
				}
				keys, values := []string{key, "app:other"}, [][]byte{[]byte(tt.asked), []byte("v")}
				if got := n.Hold(t.Context(), keys, values, long); got[0] != tt.want || got[1] {
					t.Errorf("%d: %v, want %v and false", i, got, tt.want)
				}
			}
			b.put("app:empty", "", 0)
			if got := n.Hold(t.Context(), []string{"app:empty", "app:none"}, [][]byte{nil, nil}, long); !got[0] || got[1] {
				t.Errorf("empty, and none: %v", got)
			}
		})
	}
}

func TestTheKeysBesideAKeyAreThoseOfEach(t *testing.T) {
	for _, key := range []string{"app:c:k", "app:{x}y", "app:a}b", "app:", "app:!{1}x", "app:c:\x00{"} {
		if tomb, trace := Beside("app:", key); tomb != TombstoneKey("app:", key) || trace != TraceKey("app:", key) {
			t.Errorf("%q: %q and %q", key, tomb, trace)
		}
	}
}

// What is filled together on a server that hangs fails for all.
func TestAHungServerFailsAllThatIsFilledTogether(t *testing.T) {
	b := startBed(t)
	fs := b.fills(5, b.now)
	if err := b.p.Pause(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.p.Resume() }()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	for i, got := range b.n.FillMany(ctx, fs, 50*time.Millisecond) {
		if KindOf(got.Err) != Timeout || got.Stored {
			t.Errorf("%d: %+v", i, got)
		}
	}
}
