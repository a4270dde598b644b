package remote

import (
	"fmt"
	"testing"
	"time"
)

// marked leaves the mark of a delete of a prefix and returns when.
func (b *bed) marked(process, rest string, at int64) int64 {
	b.Helper()
	got, err := b.n.MarkPrefix(b.Context(), PrefixMark{Marks: "app:~p:c", Rest: rest, Process: process, At: at}, long)
	if err != nil {
		b.Fatal(err)
	}
	return got
}

// restored puts a value of app:c:key back that was written then.
func (b *bed) restored(key string, at int64) (Result, string) {
	b.Helper()
	full := "app:c:" + key
	cond := CondOf("app:", full, "me")
	cond.Lo, cond.Hi, cond.Ends = at, at, at+hour
	out, err := b.n.Replay(b.Context(), []Replay{{Kind: Restore, Key: full, Data: []byte("ours"), Cond: cond}}, long)
	if err != nil {
		b.Fatal(err)
	}
	return out[0].Result, b.get(full)
}

func TestADeleteOfAPrefixKeepsWhatWasWrittenBeforeFromComingBack(t *testing.T) {
	b := startBed(t)
	for name, tt := range map[string]struct {
		process, rest string
		ago           int64 // before it the value was written
		key           string
		want          Result
		holds         string
	}{
		"of another, later":             {"other", "k", 10, "k1", Superseded, ""},
		"of the whole class":            {"other", "", 10, "k1", Superseded, ""},
		"of another, earlier":           {"other", "k", -10, "k1", Done, "ours"},
		"of another, at the same time":  {"other", "k", 0, "k1", Unknown, ""},
		"of another prefix":             {"other", "x", 10, "k1", Done, "ours"},
		"of a longer prefix":            {"other", "k12", 10, "k1", Done, "ours"},
		"our own, which has its order":  {"me", "k", 10, "k1", Done, "ours"},
		"that is no pattern":            {"other", "[k]*%", 10, "k1", Done, "ours"},
		"that has what patterns have":   {"other", "[k]*%", 10, "[k]*%1", Superseded, ""},
		"of nobody, since too many are": {"", "", 10, "k1", Superseded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := b.fresh(t)
			at := b.marked(tt.process, tt.rest, b.now-1000)
			if got, holds := b.restored(tt.key, at-tt.ago); got != tt.want || holds != tt.holds {
				t.Errorf("restored %d, %q is there; want %d, %q", got, holds, tt.want, tt.holds)
			}
		})
	}
}

// TestWhatADeletedPrefixLeavesIsNotReadAgain: who puts its delete back may not
// have come to the key yet, and we had written it in between.
func TestWhatADeletedPrefixLeavesIsNotReadAgain(t *testing.T) {
	b := startBed(t)
	for name, tt := range map[string]struct {
		written int64 // what is there, counted from the delete
		life    int64 // 0: it has no end
		want    string
	}{
		"written before our write":     {-500, hour, ""},
		"our write itself":             {-100, hour, ""},
		"written between ours and it":  {-50, hour, "there"},
		"written after it":             {50, hour, "there"},
		"written nobody knows when":    {0, 0, "there"},
		"of a life that no write gave": {0, 3 * hour, "there"},
	} {
		t.Run(name, func(t *testing.T) {
			b := b.fresh(t)
			at := b.marked("other", "k", b.now-1000)
			ends := int64(0)
			if tt.life > 0 {
				ends = at + tt.written + tt.life
			}
			b.put("app:c:k1", "there", ends)
			if got, holds := b.restored("k1", at-100); got != Superseded || holds != tt.want {
				t.Errorf("%d, %q is there; want %q", got, holds, tt.want)
			}
		})
	}
}

func TestALoadThatBeganBeforeADeleteOfItsPrefixIsNotStored(t *testing.T) {
	b := startBed(t)
	missed := b.time()
	at := b.marked("me", "k", 0)
	for _, tt := range []struct {
		key    string
		missed int64
		want   bool
	}{{"k1", missed, false}, {"k2", at, false}, {"k3", at + 1, true}, {"x", missed, true}} {
		full := "app:c:" + tt.key
		stored, err := b.n.Fill(t.Context(), Fill{
			Pair: Pair{Key: full, Data: []byte("old"), TTL: time.Hour},
			Tomb: TombstoneKey("app:", full), Marks: MarksKey("app:", full), Rest: RestOf("app:", full), MissedAt: tt.missed,
		}, long)
		if err != nil || stored != tt.want {
			t.Errorf("%s, missed at %d, deleted at %d: %v, %v", tt.key, tt.missed, at, stored, err)
		}
	}
}

func TestMarksAreBoundedAndEnd(t *testing.T) {
	b := startBed(t)
	for i := range 3 * maxMarks {
		b.marked("other", fmt.Sprint("p", i), 0)
		if n := ask(t, b.p, "HLEN", "app:~p:c").(int64); n > maxMarks {
			t.Fatalf("%d marks after %d", n, i+1)
		}
	}
	if got, _ := b.restored("p1", b.now-1); got != Superseded {
		t.Errorf("a mark was forgotten: %d", got)
	}
	if left := b.ends("app:~p:c") - b.time(); left > life || left < life-patience.Milliseconds() {
		t.Errorf("they live for %d ms", left)
	}
	ask(t, b.p, "DEL", "app:~p:c")
	late := b.marked("other", "z", b.time()+5000)
	if at := b.marked("other", "z", 0); ask(t, b.p, "HGET", "app:~p:c", "z") != fmt.Sprint(late, ":other") {
		t.Errorf("a mark went back in time, to %d", at)
	}
	for i, garbage := range [][]string{{"SET", "app:~p:c", "x"}, {"HSET", "app:~p:c", "", "garbage"}} {
		ask(t, b.p, "DEL", "app:~p:c")
		ask(t, b.p, garbage...)
		if got, holds := b.restored(fmt.Sprint("k", i), b.now); got != Unknown || holds != "" {
			t.Errorf("%v: %d, %q", garbage, got, holds)
		}
		b.marked("other", "k", 0)
	}
}

// What cannot be told apart must not take with it what is newer than both.
func TestAnOrderThatCannotBeToldLeavesLaterWritesAlone(t *testing.T) {
	b := startBed(t)
	b.marked("other", "k", b.now-500)
	if got, _ := b.restored("k1", b.now-500); got != Unknown {
		t.Fatalf("a write at the time of the delete: %d", got)
	}
	if got, holds := b.restored("k1", b.now-400); got != Done || holds != "ours" {
		t.Errorf("a write after both: %d, %q", got, holds)
	}
}

// A write that was given up may be executed late: then it is there after the
// one that came after it.
func TestAnEarlierWriteOfOursThatLandsLateIsReplaced(t *testing.T) {
	b := startBed(t)
	full := "app:c:k"
	for _, tt := range []struct {
		there string
		ends  int64 // from now
		want  Result
		holds string
	}{
		{"earlier", hour, Done, "ours"},
		{"ours", hour, Done, "ours"},
		{"another's", hour - 7, Superseded, "another's"},
		{"earlier", hour - 7, Superseded, "earlier"}, // written again by another
	} {
		b := b.fresh(t)
		b.put(full, tt.there, b.now+tt.ends)
		cond := CondOf("app:", full, "me")
		cond.Lo, cond.Hi, cond.Ends = b.now-500, b.now-400, b.now-400+hour
		cond.Own = []Range{{b.now + hour, b.now + hour}}
		out, err := b.n.Replay(t.Context(), []Replay{{Kind: Restore, Key: full, Data: []byte("ours"), Cond: cond}}, long)
		if err != nil || out[0].Result != tt.want || b.get(full) != tt.holds {
			t.Errorf("%s is there: %v, %v, %q", tt.there, out, err, b.get(full))
		}
	}
}
