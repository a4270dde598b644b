package remote

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// bed is a server on which scripts are tried: key and tomb are a key and its
// tombstone, and now is a time of the server's that is past.
type bed struct {
	*testing.T
	p         *redisproc.Process
	n         *Node
	key, tomb string
	now       int64
}

const (
	life = int64(TombstoneLife / time.Millisecond)
	hour = int64(time.Hour / time.Millisecond)
)

func startBed(t *testing.T) *bed {
	t.Helper()
	if atAnchor(t) {
		return shared.fresh(t)
	}
	p := startRedis(t, redisproc.Options{})
	return bedOn(t, p, dial(t, p.Addr(), nil)).noted()
}

func bedOn(t *testing.T, p *redisproc.Process, n *Node) *bed {
	b := &bed{T: t, p: p, n: n, key: "app:k", tomb: TombstoneKey("app:", "app:k")}
	b.now = b.time()
	return b
}

// noted is b on a server that knows the lives of the classes.
func (b *bed) noted() *bed {
	for _, class := range []string{"k", "c", "p", "q"} {
		b.lives(b.livesOf("app:"+class), decimal(hour), 0)
	}
	return b
}

// lives notes a life of a class, as a process does.
func (b *bed) lives(key, field string, slack int64) {
	b.Helper()
	ask(b.T, b.p, "HSET", key, field, decimal(b.now+hour)+":"+decimal(slack))
}

// fresh is b for a subtest, on an empty server.
func (b *bed) fresh(t *testing.T) *bed {
	t.Helper()
	ask(t, b.p, "FLUSHALL")
	return bedOn(t, b.p, b.n).noted()
}

func (b *bed) time() int64 {
	b.Helper()
	reply := ask(b.T, b.p, "TIME").([]any)
	s, _ := strconv.ParseInt(reply[0].(string), 10, 64)
	us, _ := strconv.ParseInt(reply[1].(string), 10, 64)
	return s*1000 + us/1000
}

// put writes a key to end then; 0: never.
func (b *bed) put(key, value string, ends int64) {
	b.Helper()
	args := []string{"SET", key, value}
	if ends != 0 {
		args = append(args, "PXAT", decimal(ends))
	}
	ask(b.T, b.p, args...)
}

func (b *bed) get(key string) string {
	b.Helper()
	switch ask(b.T, b.p, "TYPE", key) {
	case "string":
		return ask(b.T, b.p, "GET", key).(string)
	case "none":
		return ""
	}
	return "another type"
}

func (b *bed) ends(key string) int64 {
	b.Helper()
	return ask(b.T, b.p, "PEXPIRETIME", key).(int64)
}

// wantTomb: process and time, between from and to, and that it lives as long as
// a tombstone does.
func (b *bed) wantTomb(process string, from, to int64) {
	b.Helper()
	value := b.get(b.tomb)
	at, by, _ := strings.Cut(value, ":")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || by != process || ms < from || ms > to {
		b.Errorf("the tombstone is %q, want one of %q from %d to %d", value, process, from, to)
	}
	if left := b.ends(b.tomb) - b.time(); left > life || left < life-patience.Milliseconds() {
		b.Errorf("the tombstone lives for %d ms", left)
	}
}

func (b *bed) wantNoTomb() {
	b.Helper()
	if v := b.get(b.tomb); v != "" {
		b.Errorf("there is a tombstone: %q", v)
	}
}

func (b *bed) delete(process string) (bool, int64) {
	b.Helper()
	removed, at, err := b.n.Delete(b.Context(), Del{Key: b.key, Tomb: b.tomb, Process: process}, long)
	if err != nil {
		b.Error(err)
	}
	return removed, at
}

func TestDeleteLeavesATombstone(t *testing.T) {
	b := startBed(t)
	for name, tt := range map[string]struct {
		setup   func(*bed)
		removed bool
		ahead   int64 // of now, at which the tombstone is
	}{
		"a value":                           {func(b *bed) { b.put(b.key, "v", b.now+hour) }, true, 0},
		"nothing":                           {func(*bed) {}, false, 0},
		"another type":                      {func(b *bed) { ask(b.T, b.p, "HSET", b.key, "f", "v") }, true, 0},
		"over an older tombstone":           {func(b *bed) { b.put(b.tomb, decimal(b.now-5)+":other", b.now+life) }, false, 0},
		"over one of a clock that is ahead": {func(b *bed) { b.put(b.tomb, decimal(b.now+60_000)+":other", b.now+life) }, false, 60_000},
		"over one from no clock":            {func(b *bed) { b.put(b.tomb, decimal(b.now+life+60_000)+":other", 0) }, false, 0},
		"over one without end":              {func(b *bed) { b.put(b.tomb, decimal(b.now-5)+":other", 0) }, false, 0},
		"over one that makes no sense":      {func(b *bed) { b.put(b.tomb, "garbage", 0) }, false, 0},
		"over one of another type":          {func(b *bed) { ask(b.T, b.p, "HSET", b.tomb, "f", "v") }, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := b.fresh(t)
			tt.setup(b)
			removed, at := b.delete("me")
			after := b.time()
			if removed != tt.removed || at < b.now || at > after || b.get(b.key) != "" {
				t.Errorf("Delete = %v at %d, between %d and %d; %q is left", removed, at, b.now, after, b.get(b.key))
			}
			if tt.ahead != 0 {
				at = b.now + tt.ahead
			}
			b.wantTomb("me", at, at)
		})
	}
}

func TestATombstoneKeepsWhoDeleted(t *testing.T) {
	b := startBed(t)
	for _, process := range []string{"a", "a:b", "a b\r\n", "%d%s", strings.Repeat("x", 200), "\xff"} {
		_, at := b.delete(process)
		b.wantTomb(process, at, at)
	}
}

func (b *bed) fill(f Fill) bool {
	b.Helper()
	f.Key, f.Tomb = b.key, b.tomb
	b.anchorFill(&f)
	stored, err := b.n.Fill(b.Context(), f, long)
	if err != nil {
		b.Error(err)
	}
	return stored
}

func TestFillYieldsToWhatHappenedSinceTheMiss(t *testing.T) {
	b := startBed(t)
	hash := func(key func(*bed) string) func(*bed) {
		return func(b *bed) { ask(b.T, b.p, "HSET", key(b), "f", "v") }
	}
	tomb := func(ahead int64, by string) func(*bed) {
		return func(b *bed) { b.put(b.tomb, decimal(b.now+ahead)+":"+by, b.now+life) }
	}
	garbage := func(v string) func(*bed) { return func(b *bed) { b.put(b.tomb, v, b.now+life) } }
	value := func(ends int64) func(*bed) {
		return func(b *bed) {
			if ends != 0 {
				ends += b.now
			}
			b.put(b.key, "theirs", ends)
		}
	}
	for _, tt := range []struct {
		name   string
		setup  func(*bed)
		missed int64  // relative to now
		over   string // the sum of what it replaces
		stored bool
	}{
		{"nothing was there", func(*bed) {}, 0, "", true},
		{"nothing was there, overwriting", func(*bed) {}, 0, OtherType, true},
		{"a value was there", value(hour), -60_000, "", false},
		{"a hash was there", hash(func(b *bed) string { return b.key }), 0, "", false},
		{"a hash was there, overwriting", hash(func(b *bed) string { return b.key }), 0, OtherType, true},
		{"a useless value was there, overwriting", value(hour - 5000), -1000, Sum([]byte("theirs")), true},
		{"another was written since, overwriting", value(hour - 500), -1000, Sum([]byte("useless")), false},
		{"a value was written over a hash since", value(hour - 500), -1000, OtherType, false},
		{"a hash was written over a value since", hash(func(b *bed) string { return b.key }), -1000, Sum([]byte("theirs")), false},
		{"it has no end, overwriting", value(0), -1000, Sum([]byte("theirs")), true},
		{"deleted before", tomb(-1, "other"), 0, "", true},
		{"deleted at the same time", tomb(0, "other"), 0, "", false},
		{"deleted since", tomb(-500, "other"), -1000, "", false},
		{"deleted since by us", tomb(-500, "me"), -1000, "", false},
		{"deleted since, by nobody knows whom", tomb(-500, ""), -1000, "", false},
		{"deleted since, overwriting", tomb(-500, "other"), -1000, OtherType, false},
		{"the time of the miss is not known", tomb(-500, "other"), 0, "", true},
		{"garbage", garbage("garbage"), 0, "", false},
		{"no time", garbage(":me"), 0, "", false},
		{"no process", garbage("1"), 0, "", false},
		{"empty", garbage(""), 0, "", false},
		{"another type", hash(func(b *bed) string { return b.tomb }), 0, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := b.fresh(t)
			tt.setup(b)
			before := b.get(b.key)
			stored := b.fill(Fill{Pair: Pair{Data: []byte("ours"), TTL: time.Hour}, MissedAt: b.now + tt.missed, Replaces: tt.over})
			if stored != tt.stored {
				t.Fatalf("stored %v", stored)
			}
			if !stored {
				if got := b.get(b.key); got != before {
					t.Errorf("%q became %q", before, got)
				}
				return
			}
			if got, e := b.get(b.key), b.ends(b.key); got != "ours" || e < b.now+hour || e > b.time()+hour {
				t.Errorf("%q until %d, now is %d", got, e, b.now)
			}
		})
	}
}

// A plain DEL leaves no tombstone.
func TestARefreshYieldsToAPlainDelete(t *testing.T) {
	b := startBed(t)
	for _, tt := range []struct {
		name   string
		least  int64 // that what was seen would have to live still
		gone   bool
		stored bool
	}{
		{"it would be there still", 1000, false, false},
		{"it had no end", -1, false, false},
		{"it may have ended", 0, false, true},
		{"it was to be deleted", 1000, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := b.fresh(t)
			seen := Replaced{Sum: Sum([]byte("old")), Least: tt.least, Most: hour}
			if got := b.fill(Fill{Pair: Pair{Data: []byte("new"), TTL: time.Hour}, MissedAt: b.now, Over: seen, Gone: tt.gone}); got != tt.stored {
				t.Errorf("stored %v", got)
			}
		})
	}
}

func TestALoadThatBeganBeforeADeleteIsNotStored(t *testing.T) {
	b := startBed(t)
	missed := b.time()
	_, at := b.delete("other")
	fill := Fill{Pair: Pair{Data: []byte("old"), TTL: time.Hour}}
	for _, missed := range []int64{0, missed, at} {
		fill.MissedAt = missed
		if b.fill(fill) {
			t.Errorf("missed at %d, deleted at %d: stored", missed, at)
		}
	}
	if fill.MissedAt = at + 1; !b.fill(fill) || b.get(b.key) != "old" {
		t.Error("a load that began after the delete is not stored")
	}
}

func TestScriptsTakeAnyBytes(t *testing.T) {
	b := startBed(t)
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	large := bytes.Repeat(all, 8<<10)
	for i, data := range [][]byte{nil, {0}, all, []byte("\x00\r\n$5\xff*"), large} {
		b := b.fresh(t)
		b.key = "app:\x00{\xff\r\n"
		b.tomb = TombstoneKey("app:", b.key)
		if !b.fill(Fill{Pair: Pair{Data: data, TTL: time.Hour}, MissedAt: b.now}) || b.get(b.key) != string(data) {
			t.Errorf("value %d: Fill changes it", i)
		}
		ask(t, b.p, "DEL", b.key)
		r := Replay{Kind: Restore, Key: b.key, Data: data, Cond: b.cond()}
		if got := b.replay(r); got != Done || b.get(b.key) != string(data) {
			t.Errorf("value %d: Restore changes it: %v", i, got)
		}
		if got := b.replay(r); got != Done || b.get(b.key) != string(data) {
			t.Errorf("value %d: what is there is not taken for the same: %v", i, got)
		}
		if removed, _ := b.delete("me"); !removed {
			t.Errorf("value %d is not deleted", i)
		}
	}
}

func TestAServerOutOfMemoryTakesDeletes(t *testing.T) {
	b := startBed(t)
	b.put(b.key, "v", b.now+hour)
	ask(t, b.p, "CONFIG", "SET", "maxmemory", "1")
	_, err := b.n.Fill(t.Context(), Fill{Pair: Pair{Key: "app:new", TTL: time.Hour}, Tomb: "app:~d:{app:new}", MissedAt: b.now}, long)
	wantKind(t, err, OOM)
	removed, at := b.delete("me")
	if !removed {
		t.Error("it was not there")
	}
	b.wantTomb("me", at, at)
	for _, tt := range []struct {
		kind ReplayKind
		want Kind
	}{{Invalidate, OK}, {Restore, OOM}, {Retime, OK}} {
		outcomes, err := b.n.Replay(t.Context(), []Replay{{Kind: tt.kind, Key: b.key, Data: []byte("v"), Cond: b.cond()}}, long)
		wantKind(t, outcomes[0].Err, tt.want)
		wantKind(t, err, tt.want)
	}
	wantClosed(t, b.n)
}

func TestErrorsInScriptsAreSorted(t *testing.T) {
	for text, want := range map[string]Kind{
		"OOM command not allowed when used memory > 'maxmemory'. script: 5c1, on @user_script:9.":                                       OOM,
		"READONLY You can't write against a read only replica. script: 5c1, on @user_script:9.":                                         ReadOnly,
		"ERR Error running script (call to f_5c1): @user_script:1: @user_script: 1: -OOM command not allowed when used memory":          OOM,
		"Error running script (call to f_5c1): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.": ReadOnly,
		"ERR Error running script (call to f_5c1): @user_script:1: user_script:1: attempt to index a nil value":                         UnknownReply,
		"ERR The user executing the script can't run this command or subcommand script: 5c1, on @user_script:2.":                        NoPerm,
		"@user_script: 1: -NOPERM The user executing the script can't run this command or subcommand":                                   NoPerm,
		"ERR value is not an integer: -OOM": Logical,
		"NOSCRIPT No matching script.":      UnknownReply,
	} {
		if got := kindOfText(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if err := scriptError(errors.New("x")); err == nil || err.Error() != "x" {
		t.Errorf("an error of the connection becomes %v", err)
	}
	for k, want := range map[int64]bool{-1: false, 0: true, 1: true, 2: true, 3: false, 1 << 32: false} {
		if r, ok := resultOf(k); ok != want || ok && int64(r) != k {
			t.Errorf("resultOf(%d) = %v, %v", k, r, ok)
		}
	}
}

func TestWhyAScriptIsRefused(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	for text, want := range map[string]refusal{
		"NOSCRIPT No matching script. Please use EVAL.":                                                                                                         unknownScript,
		"NOPERM this user has no permissions to run the 'evalsha' command":                                                                                      forbiddenScript,
		"NOPERM this user has no permissions to run the 'evalsha' command or its subcommand":                                                                    forbiddenScript,
		"NOPERM User app has no permissions to run the 'evalsha' command":                                                                                       forbiddenScript,
		"NOPERM ACL failure in script: User app has no permissions to run the 'time' command":                                                                   forbiddenScript,
		"ERR The user executing the script can't run this command or subcommand script: 5c1, on @user_script:2.":                                                forbiddenScript,
		"ERR Error running script (call to f_5c1): @user_script:1: @user_script: 1: -NOPERM The user executing the script can't run this command or subcommand": forbiddenScript,
		"ERR unknown command 'EVALSHA', with args beginning with: ":                                                                                             forbiddenScript,
		"ERR unknown command `EVALSHA`, with args beginning with: ":                                                                                             forbiddenScript,
		"NOPERM this user has no permissions to access one of the keys used as arguments":                                                                       forbiddenKey,
		"NOPERM User app has no permissions to access the 'k' key":                                                                                              forbiddenKey,
		"NOPERM No permissions to access a key":                                                                                                                 forbiddenKey,
		"OOM command not allowed":                                                                                                                               notRefused,
		"WRONGTYPE Operation against a key":                                                                                                                     notRefused,
		"ERR the scripts run no more":                                                                                                                           notRefused,
	} {
		err := n.cmd.Do(t.Context(), n.b().Arbitrary("EVAL", "return {err=ARGV[1]}", "0", text).Build()).Error()
		if got := refusalOf(err); got != want {
			t.Errorf("%v is %d, want %d", err, got, want)
		}
	}
	if refusalOf(nil) != notRefused || refusalOf(errNil) != notRefused || refusalOf(errSpent) != notRefused {
		t.Error("what the server did not say is taken for a refusal")
	}
}

func BenchmarkScripts(b *testing.B) {
	p, err := redisproc.Start(b.Context(), redisproc.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	n, err := Dial(b.Context(), config(p.Addr()), heartbeat, &seen{})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Abandon()
	pair := Pair{Key: "app:k", Data: bytes.Repeat([]byte("x"), 300), TTL: time.Hour}
	tomb := TombstoneKey("app:", pair.Key)
	now := time.Now().UnixMilli()
	cond := CondOf("app:", pair.Key, "me")
	cond.Ends, cond.Lo, cond.Hi = now+hour, now, now+1
	full := make([]Replay, MaxBatch)
	sets := make([]Write, MaxBatch)
	for i := range full {
		full[i] = Replay{Kind: Restore, Key: fmt.Sprint("app:", i), Data: pair.Data, Cond: cond}
		full[i].Tomb = TombstoneKey("app:", full[i].Key)
		sets[i] = Write{WriteSet, Pair{Key: full[i].Key, Data: pair.Data, TTL: time.Hour}}
	}
	for _, bb := range []struct {
		name string
		call func(*testing.B) error
	}{
		{"del", func(b *testing.B) error {
			return second(n.WriteMany(b.Context(), []Write{{Kind: WriteDelete, Pair: Pair{Key: pair.Key}}}, long))
		}},
		{"delete", func(b *testing.B) error {
			_, _, err := n.Delete(b.Context(), Del{Key: pair.Key, Tomb: tomb, Process: "me"}, long)
			return err
		}},
		{"set", func(b *testing.B) error { return second(n.Set(b.Context(), pair, long)) }},
		{"setnx", func(b *testing.B) error { _, _, err := n.SetAbsent(b.Context(), pair, long); return err }},
		{"fill", func(b *testing.B) error {
			_, err := n.Fill(b.Context(), Fill{Pair: pair, Tomb: tomb, MissedAt: now + 2*hour, Replaces: OtherType}, long)
			return err
		}},
		{"set128", func(b *testing.B) error { _, err := n.WriteMany(b.Context(), sets, long); return err }},
		{"replay128", func(b *testing.B) error { _, err := n.Replay(b.Context(), full, long); return err }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bb.call(b); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
