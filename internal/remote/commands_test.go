package remote

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func TestATTLIsWhatRedisTakes(t *testing.T) {
	for in, want := range map[time.Duration]time.Duration{
		time.Hour:               time.Hour,
		time.Millisecond:        time.Millisecond,
		1500 * time.Microsecond: 1500 * time.Microsecond, // cut to whole ones on the wire
		999 * time.Microsecond:  time.Millisecond,
		1:                       time.Millisecond,
		0:                       time.Millisecond,
		-time.Hour:              time.Millisecond,
		365 * 24 * time.Hour:    365 * 24 * time.Hour,
	} {
		if got := atLeastMS(in); got != want {
			t.Errorf("atLeastMS(%v) = %v, want %v", in, got, want)
		}
	}
}

// The replies are made by a script, so that they are real ones.
func TestValueAndTimeToLiveArePutTogether(t *testing.T) {
	n := dial(t, startRedis(t, redisproc.Options{}).Addr(), nil)
	tests := []struct {
		name      string
		get, pttl string // what a script returns
		data      string
		ttl       time.Duration
		want      Kind
	}{
		{"a value with an end", "'v'", "1500", "v", 1500 * time.Millisecond, OK},
		{"a value without one", "'v'", "-1", "v", -1, OK},
		{"an empty value", "''", "10", "", 10 * time.Millisecond, OK},
		{"nothing", "false", "-2", "", 0, Nil},
		{"it ended between the two", "'v'", "-2", "", 0, Nil},
		{"it ends this millisecond", "'v'", "0", "", 0, Nil},
		{"another type", "redis.error_reply('WRONGTYPE Operation')", "10", "", 0, Logical},
		{"a server that loads", "redis.error_reply('LOADING x')", "redis.error_reply('LOADING x')", "", 0, Loading},
		{"the ACL forbids to ask", "'v'", "redis.error_reply('NOPERM x')", "v", -1, OK},
		{"the server cannot tell", "'v'", "redis.error_reply('ERR unknown command')", "v", -1, OK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eval := func(s string) []string { return []string{"EVAL", "return " + s, "0"} }
			r := n.cmd.DoMulti(t.Context(), n.b().Arbitrary(eval(tt.get)...).Build(), n.b().Arbitrary(eval(tt.pttl)...).Build())
			v, err := value(r[0], r[1])
			wantKind(t, err, tt.want)
			if string(v.Data) != tt.data || v.TTL != tt.ttl {
				t.Errorf("%q for %v, want %q for %v", v.Data, v.TTL, tt.data, tt.ttl)
			}
		})
	}
}

func wantValue(t *testing.T, n *Node, key, data string, ttl time.Duration) {
	t.Helper()
	v, err := n.Get(t.Context(), key, long)
	if err != nil || string(v.Data) != data {
		t.Errorf("%s = %q, %v, want %q", key, v.Data, err, data)
	}
	if v.TTL > ttl || v.TTL < ttl-patience || ttl == -1 && v.TTL != -1 {
		t.Errorf("%s lives for %v, want %v", key, v.TTL, ttl)
	}
}

func TestWhatIsSetIsReadUntilItEnds(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	ctx := t.Context()
	binary := "\x00\r\n$5\xff*"
	if _, err := n.Set(ctx, Pair{Key: "k\x00\n", Data: []byte(binary), TTL: time.Hour}, long); err != nil {
		t.Fatal(err)
	}
	wantValue(t, n, "k\x00\n", binary, time.Hour)

	_, err := n.Get(ctx, "none", long)
	wantKind(t, err, Nil)
	if !IsNil(err) {
		t.Errorf("IsNil(%v) is false", err)
	}

	ask(t, p, "SET", "for ever", "v")
	wantValue(t, n, "for ever", "v", -1)

	ask(t, p, "RPUSH", "list", "x")
	_, err = n.Get(ctx, "list", long)
	wantKind(t, err, Logical)
	if _, err := n.Set(ctx, Pair{Key: "list", Data: []byte("v"), TTL: time.Hour}, long); err != nil {
		t.Errorf("Set over another type: %v", err)
	}
	wantValue(t, n, "list", "v", time.Hour)

	if _, err := n.Set(ctx, Pair{Key: "short", Data: []byte("v"), TTL: 1}, long); err != nil {
		t.Errorf("Set for a nanosecond: %v", err)
	}
	eventually(t, patience, "the key ends", func() bool { _, err := n.Get(ctx, "short", long); return IsNil(err) })
	wantClosed(t, n)
}

func TestSetAbsentWritesOnlyWhereNothingIs(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	for i, want := range []bool{true, false} {
		stored, _, err := n.SetAbsent(t.Context(), Pair{Key: "k", Data: fmt.Append(nil, i), TTL: time.Hour}, long)
		if stored != want || err != nil {
			t.Errorf("SetAbsent, time %d: %v, %v", i+1, stored, err)
		}
	}
	wantValue(t, n, "k", "0", time.Hour)
	ask(t, p, "RPUSH", "list", "x")
	if stored, _, err := n.SetAbsent(t.Context(), Pair{Key: "list", TTL: time.Hour}, long); stored || err != nil {
		t.Errorf("SetAbsent over another type: %v, %v", stored, err)
	}
}

func TestDeleteAndExpireTellWhetherTheKeyWasThere(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	ctx := t.Context()
	ask(t, p, "SET", "k", "v")
	for _, want := range []bool{true, false} {
		there, _, err := n.Expire(ctx, Pair{Key: "k", TTL: time.Hour}, long)
		if there != want || err != nil {
			t.Errorf("Expire: %v, %v, want %v", there, err, want)
		}
		if want {
			wantValue(t, n, "k", "v", time.Hour)
		}
		ask(t, p, "DEL", "k")
	}
	ask(t, p, "SET", "k", "v")
	if there, _, err := n.Expire(ctx, Pair{Key: "k"}, long); !there || err != nil {
		t.Errorf("Expire at once: %v, %v", there, err)
	}
	eventually(t, patience, "the key ends", func() bool { _, err := n.Get(ctx, "k", long); return IsNil(err) })
}

func TestGetManyAnswersForEachKey(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	ask(t, p, "SET", "a", "1", "PX", "60000")
	ask(t, p, "SET", "b", "2")
	ask(t, p, "RPUSH", "list", "x")
	found, err := n.GetMany(t.Context(), []string{"a", "none", "list", "b", "a"}, long)
	if err != nil || len(found) != 5 {
		t.Fatalf("%d answers, %v", len(found), err)
	}
	for i, want := range []struct {
		data string
		kind Kind
	}{{"1", OK}, {"", Nil}, {"", Logical}, {"2", OK}, {"1", OK}} {
		if string(found[i].Data) != want.data || KindOf(found[i].Err) != want.kind {
			t.Errorf("answer %d: %q, %v, want %q, %q", i, found[i].Data, found[i].Err, want.data, want.kind)
		}
	}
	if found[3].TTL != -1 || found[0].TTL <= 0 {
		t.Errorf("they live for %v and %v", found[3].TTL, found[0].TTL)
	}
	keys := make([]string, MaxBatch)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	if found, err := n.GetMany(t.Context(), keys, long); err != nil || len(found) != MaxBatch {
		t.Errorf("a full batch: %d answers, %v", len(found), err)
	}
	if found, err := n.GetMany(t.Context(), nil, long); err != nil || len(found) != 0 {
		t.Errorf("no key: %d answers, %v", len(found), err)
	}
}

func TestWriteManyKeepsItsOrder(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	ask(t, p, "SET", "kept", "v")
	set := func(k, v string) Write { return Write{WriteSet, Pair{Key: k, Data: []byte(v), TTL: time.Minute}} }
	ws := []Write{
		set("a", "1"),
		{WriteDelete, Pair{Key: "a"}},
		set("a", "2"),
		{WriteExpire, Pair{Key: "a", TTL: time.Hour}},
		set("b", "1"),
		{WriteDelete, Pair{Key: "b"}},
		{WriteExpire, Pair{Key: "b", TTL: time.Hour}}, // of a key that is not there: no error
		{WriteDelete, Pair{Key: "none"}},
		{WriteExpire, Pair{Key: "kept", TTL: time.Hour}},
	}
	errs, err := n.WriteMany(t.Context(), ws, long)
	if err != nil || len(errs) != len(ws) {
		t.Fatalf("%d results, %v", len(errs), err)
	}
	for i, err := range errs {
		if err != nil {
			t.Errorf("write %d: %v", i, err)
		}
	}
	wantValue(t, n, "a", "2", time.Hour)
	wantValue(t, n, "kept", "v", time.Hour)
	_, err = n.Get(t.Context(), "b", long)
	wantKind(t, err, Nil)
	if errs, err := n.WriteMany(t.Context(), nil, long); err != nil || len(errs) != 0 {
		t.Errorf("nothing to write: %d results, %v", len(errs), err)
	}
}

func TestAWriteThatIsRefusedDoesNotFailItsNeighbours(t *testing.T) {
	p := startRedis(t, redisproc.Options{Users: []redisproc.User{{Name: "app", Password: "x", Rules: []string{"~mine:*", "~\\~b:*", "+@all"}}}})
	c := config(p.Addr())
	c.Username, c.Password = "app", "x"
	n := dialWith(t, c, nil)
	set := func(k string) Write { return Write{WriteSet, Pair{Key: k, Data: []byte("v"), TTL: time.Minute}} }
	errs, err := n.WriteMany(t.Context(), []Write{set("mine:1"), set("theirs:1"), set("mine:2")}, long)
	wantKind(t, err, NoPerm)
	for i, want := range []Kind{OK, NoPerm, OK} {
		wantKind(t, errs[i], want)
	}
	wantValue(t, n, "mine:1", "v", time.Minute)
	wantValue(t, n, "mine:2", "v", time.Minute)
	wantClosed(t, n)
	if n.Refused() != OK {
		t.Errorf("a key that is forbidden counts as %q for all writes", n.Refused())
	}
}

func TestDeletePrefixDeletesItAndNothingElse(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	for _, g := range globs {
		ask(t, p, "FLUSHALL")
		bystander := "other:" + g.prefix
		ask(t, p, "SET", g.prefix+"tail", "v")
		ask(t, p, "SET", g.prefix+"*", "v")
		ask(t, p, "SET", bystander, "v")
		want := 2
		if g.prefix == "" {
			want = 3
		} else if !strings.HasPrefix(g.other, g.prefix) {
			ask(t, p, "SET", g.other, "v")
		}
		before := ask(t, p, "DBSIZE").(int64)
		removed, err := n.DeletePrefix(t.Context(), g.prefix, long)
		if err != nil || removed != want {
			t.Errorf("DeletePrefix(%q) = %d, %v, want %d", g.prefix, removed, err, want)
		}
		if left := ask(t, p, "DBSIZE").(int64); left != before-int64(want) {
			t.Errorf("after DeletePrefix(%q) %d keys of %d are left", g.prefix, left, before)
		}
	}
}

func fillPrefix(t *testing.T, p *redisproc.Process, prefix string, keys int) {
	t.Helper()
	ask(t, p, "EVAL", "for i = 1, tonumber(ARGV[2]) do redis.call('SET', ARGV[1] .. i, 'v') end", "0", prefix, fmt.Sprint(keys))
}

func TestDeletePrefixGoesStepByStep(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	obs := &seen{}
	n := dial(t, p.Addr(), obs)
	fillPrefix(t, p, "p:", 20_000)
	fillPrefix(t, p, "q:", 100)
	removed, err := n.DeletePrefix(t.Context(), "p:", long)
	if err != nil || removed != 20_000 {
		t.Errorf("DeletePrefix = %d, %v", removed, err)
	}
	if scans := obs.count("scan", OK); scans < 3 {
		t.Errorf("%d steps for 20 100 keys", scans)
	}
	if left := ask(t, p, "EVAL", "return #redis.call('KEYS', 'q:*')", "0"); left != int64(100) {
		t.Errorf("%v bystanders are left", left)
	}
}

func TestDeletePrefixTellsHowFarItCame(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	proxy := startProxy(t, p.Addr())
	n := dial(t, proxy.Addr(), observer(func(name string, _ time.Duration, _ Kind) {
		if name == "unlink" {
			proxy.Blackhole(true)
		}
	}))
	fillPrefix(t, p, "p:", 20_000)
	removed, err := n.DeletePrefix(t.Context(), "p:", time.Second)
	wantKind(t, err, Timeout)
	left := ask(t, p, "EVAL", "return #redis.call('KEYS', 'p:*')", "0").(int64)
	if removed == 0 || left != 20_000-int64(removed) {
		t.Errorf("%d removed, %d left of 20 000", removed, left)
	}
}
