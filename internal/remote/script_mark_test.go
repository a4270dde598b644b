package remote

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// marked leaves the mark of a delete of a prefix and returns when.
func (b *bed) marked(process, rest string, at int64) int64 {
	b.Helper()
	got, err := b.n.MarkPrefix(b.Context(), PrefixMark{Marks: b.marksOf("app:c:"), Rest: rest, Process: process, At: at}, long)
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
	b.anchor(&cond, full)
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

// marks makes n marks at once: prefix 1 of at, prefix 2 one millisecond later, and
// so on.
func (b *bed) marks(n int, at int64, process string) {
	b.Helper()
	const chunk = 4096
	for first := 1; first <= n; first += chunk {
		ask(b.T, b.p, "EVAL", `for i = ARGV[1], ARGV[2] do
  redis.call('HSET', KEYS[1], string.format('p%d:', i), string.format('%.0f', ARGV[3] + i - 1) .. ':' .. ARGV[4])
end`, "1", "app:~p:c", fmt.Sprint(first), fmt.Sprint(min(first+chunk-1, n)), fmt.Sprint(at), process)
	}
}

func (b *bed) markCount() int64 {
	b.Helper()
	return ask(b.T, b.p, "HLEN", "app:~p:c").(int64)
}

// wholeClass is the mark of the whole class.
func (b *bed) wholeClass() (at int64, process string) {
	b.Helper()
	text, _ := ask(b.T, b.p, "HGET", "app:~p:c", "").(string)
	time, process, _ := strings.Cut(text, ":")
	at, _ = strconv.ParseInt(time, 10, 64)
	return at, process
}

func TestMarksOfOtherPrefixesTakeNothing(t *testing.T) {
	b := startBed(t)
	for _, n := range []int{1, 65, 1000} {
		b := b.fresh(t)
		for i := range n {
			b.marked("other", fmt.Sprint("p", i, ":"), b.now-1000)
		}
		if got, holds := b.restored("keep", b.now-2000); got != Done || holds != "ours" {
			t.Errorf("%d marks, a key under none: %d, %q", n, got, holds)
		}
		if got, holds := b.restored(fmt.Sprint("p", n-1, ":k"), b.now-2000); got != Superseded || holds != "" {
			t.Errorf("%d marks, a key under the last: %d, %q", n, got, holds)
		}
	}
}

func TestMoreMarksThanThereMayBeMakeOnlyTheOldestUncertain(t *testing.T) {
	b := startBed(t)
	const more = 5000
	oldest := b.now - 200_000 // a mark a millisecond, up to 134 s ago
	b.marks(maxMarks, oldest, "other")
	for i := range more {
		b.marked("third", fmt.Sprint("more", i, ":"), 0)
	}
	if n := b.markCount(); n > maxMarks {
		t.Errorf("%d marks", n)
	}
	class, who := b.wholeClass()
	if class < oldest || class > oldest+maxMarks/2 || who != "other" {
		t.Errorf("the class is marked %d ms after the oldest of %d, by %q", class-oldest, maxMarks, who)
	}
	if got, holds := b.restored("keep", class+1); got != Done || holds != "ours" {
		t.Errorf("a key under none, written after what was joined: %d, %q", got, holds)
	}
	for _, prefix := range []string{"p1:", fmt.Sprint("p", maxMarks, ":"), "more0:", fmt.Sprint("more", more-1, ":")} {
		if got, holds := b.restored(prefix+"k", oldest-1); got != Superseded || holds != "" {
			t.Errorf("the mark of %s was forgotten: %d, %q", prefix, got, holds)
		}
	}
}

func TestMarksThatAreJoinedAreOfTheirProcessOrOfNobody(t *testing.T) {
	b := startBed(t)
	for _, tt := range []struct {
		class string // the mark of the whole class, by whom
		want  string
	}{{"", "other"}, {"other", "other"}, {"third", ""}} {
		b := b.fresh(t)
		if tt.class != "" {
			b.marked(tt.class, "", b.now-300_000)
		}
		b.marks(maxMarks, b.now-200_000, "other")
		b.marked("third", "x", 0)
		if _, who := b.wholeClass(); who != tt.want {
			t.Errorf("with the class deleted by %q: %q, want %q", tt.class, who, tt.want)
		}
		b.marked("fourth", "", b.now-400_000) // its own older writes may be put back, others' not
		if _, who := b.wholeClass(); who != "" {
			t.Errorf("an older delete of the class by a fourth: %q", who)
		}
	}
}

func TestMarksThatSayNothingGoFirst(t *testing.T) {
	b := startBed(t)
	b.marks(maxMarks-1000, b.now-life-3_600_000, "other") // older than marks live
	ask(t, b.p, "EVAL", `for i = 1, 1000 do
  redis.call('HSET', KEYS[1], 'young' .. i, ARGV[1])
end`, "1", "app:~p:c", fmt.Sprint(b.now-1000, ":other"))
	for i := range 100 {
		b.marked("third", fmt.Sprint("x", i), 0)
	}
	if class, _ := b.wholeClass(); class != 0 || b.markCount() > maxMarks {
		t.Errorf("marks were joined that need not: at %d, %d are left", class, b.markCount())
	}
	if got, _ := b.restored("young1000", b.now-2000); got != Superseded {
		t.Errorf("a young mark was forgotten: %d", got)
	}
}

func TestMarksAreBoundedInBytes(t *testing.T) {
	b := startBed(t)
	const there, more = 9000, 2000
	long := strings.Repeat("x", 1000)
	ask(t, b.p, "EVAL", `for i = 1, ARGV[3] do
  redis.call('HSET', KEYS[1], i .. ARGV[1], string.format('%.0f', ARGV[2] + i) .. ':other')
end`, "1", "app:~p:c", long, fmt.Sprint(b.now-200_000), fmt.Sprint(there))
	for i := range more {
		b.marked("third", fmt.Sprint(i, "y", long), 0)
	}
	if n := b.markCount(); n*1000 > maxMarkBytes {
		t.Errorf("%d marks of 1 kB are left", n)
	}
	if class, _ := b.wholeClass(); class == 0 || class > b.now-200_000+there*2/3 {
		t.Errorf("the class is marked %d ms ago", b.now-class)
	}
}

func TestMarksOfAnyPrefixAreFound(t *testing.T) {
	b := startBed(t)
	for _, prefix := range []string{"", "\x00", "\xff\xfe:\r\n", strings.Repeat("ä", 250), strings.Repeat("z", 499), strings.Repeat("z", 500), strings.Repeat("z", 1020)} {
		b := b.fresh(t)
		at := b.marked("other", prefix, b.now-1000)
		if got, _ := b.restored(prefix, at-1); got != Superseded {
			t.Errorf("%.20q (%d), the key itself: %d", prefix, len(prefix), got)
		}
		if got, _ := b.restored(prefix+"k:1", at-1); got != Superseded {
			t.Errorf("%.20q (%d), a longer key: %d", prefix, len(prefix), got)
		}
		if len(prefix) > 0 {
			if got, _ := b.restored(prefix[:len(prefix)-1]+"-", at-1); got != Done {
				t.Errorf("%.20q (%d), another key: %d", prefix, len(prefix), got)
			}
		}
	}
}

func TestMarksInOnePipelineAreLeft(t *testing.T) {
	b := startBed(t)
	ms := make([]PrefixMark, MaxBatch)
	for i := range ms {
		ms[i] = PrefixMark{Marks: b.marksOf("app:c:"), Rest: fmt.Sprint("p", i, ":"), Process: "other", At: b.now - int64(i)}
	}
	if err := b.n.MarkPrefixes(t.Context(), ms, long); err != nil {
		t.Fatal(err)
	}
	for i := range ms {
		if got := ask(t, b.p, "HGET", "app:~p:c", ms[i].Rest); got != fmt.Sprint(ms[i].At, ":other") {
			t.Fatalf("mark %d: %v", i, got)
		}
	}
}

func TestAMarkThatIsLateDoesNothing(t *testing.T) {
	b := startBed(t)
	r := b.n.run(t.Context(), step{script: scriptMark, keys: []string{"app:~p:c"}, args: []string{
		"p", "other", decimal(life), "0", decimal(maxMarks), decimal(b.now - 1), decimal(maxMarkBytes),
	}})
	if _, err := r.marked(); KindOf(err) != Timeout || b.markCount() != 0 {
		t.Errorf("%v, %d marks", err, b.markCount())
	}
}

func TestMarksEndAndNeverGoBackInTime(t *testing.T) {
	b := startBed(t)
	late := b.marked("other", "z", b.time()+5000)
	if left := b.ends("app:~p:c") - b.time(); left > life || left < life-patience.Milliseconds() {
		t.Errorf("they live for %d ms", left)
	}
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

// An ACL that was written for an earlier release may forbid the commands that
// readers and writers of many marks use.
func TestMarksWorkWhereAnACLForbidsSomeCommands(t *testing.T) {
	b := startBed(t)
	ask(t, b.p, "ACL", "SETUSER", "default", "-hmget")
	b.marked("other", "p:", b.now-1000)
	if got, holds := b.restored("keep", b.now-2000); got != Done || holds != "ours" {
		t.Errorf("a key under none: %d, %q", got, holds)
	}
	if got, _ := b.restored("p:k", b.now-2000); got != Superseded {
		t.Errorf("a key under one: %d", got)
	}
	for _, command := range []string{"hrandfield", "hdel"} {
		ask(t, b.p, "ACL", "SETUSER", "default", "+@all", "-"+command)
		ask(t, b.p, "DEL", "app:~p:c")
		b.marks(maxMarks, b.now-200_000, "other")
		b.marked("third", "x", 0)
		if class, who := b.wholeClass(); class < b.now || who != "" || b.markCount() > 2 {
			t.Errorf("without %s the class is marked at %d by %q, %d marks are left", command, class, who, b.markCount())
		}
	}
}
