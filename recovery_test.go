package evercache

import (
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

func TestWhatRedisLostInARestartIsPutBack(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config []string
		save   bool // an older state is on the disk
		data   redisproc.Data
		reset  bool
	}{
		{"empty", nil, false, redisproc.Empty, true},
		{"older RDB", nil, true, redisproc.KeepData, false},
		{"AOF", []string{"appendonly yes", "appendfsync always"}, false, redisproc.KeepData, false},
	}
	for _, tt := range tests {
		for _, recovery := range []Recovery{Restore, Invalidate} {
			t.Run(tt.name+" "+recovery.String(), func(t *testing.T) {
				t.Parallel()
				p := startRedis(t, redisproc.Options{Config: tt.config})
				client := openAt(t, p.Addr())
				connect(t, client, 20*time.Second)
				c := cacheOf[string](t, client, "c", Policy{TTL: 2 * time.Minute, L1TTL: Never, Recovery: recovery})
				for _, key := range []string{"overwritten", "deleted", "touched", "px1", "px2"} {
					_, _ = c.Set(t.Context(), key, "old")
				}
				waitUntil(t, 20*time.Second, func() bool { return client.Stats().RedisRequests["heartbeat"]["ok"] > 2 }, func() string { return "no barrier" })
				if tt.save {
					redisDo(t, p, "SAVE")
				}
				_, _ = c.Set(t.Context(), "overwritten", "new")
				_, _ = c.Delete(t.Context(), "deleted")
				_, _, _ = c.DeletePrefix(t.Context(), "px")
				_, _ = c.Set(t.Context(), "px2", "new")
				_, _ = c.Set(t.Context(), "added", "new", TTL(time.Minute)) // from here on ends tell no order
				_, _ = c.Touch(t.Context(), "touched", TTL(10*time.Minute))
				certain := tt.save && recovery == Restore
				if certain {
					heard(t, client) // a barrier behind the writes shows that the snapshot lacks them
				}
				n := times(client)
				kill(t, p)
				restart(t, p, tt.data)
				returned(t, client, n)

				want := map[string]string{"overwritten": "new", "added": "new", "px2": "new"}
				for _, key := range []string{"overwritten", "added", "deleted", "px1", "px2"} {
					if recovery == Invalidate && redisDo(t, p, "EXISTS", "c:"+key) == int64(0) {
						continue // it is loaded again
					}
					wantStored(t, p, "c:"+key, want[key])
				}
				if recovery == Restore {
					for key, ttl := range map[string]int64{"overwritten": 120_000, "added": 60_000, "touched": 600_000} {
						if ms := redisDo(t, p, "PTTL", "c:"+key).(int64); ms > ttl || ms < ttl-10_000 {
							t.Errorf("%s lives %d ms more, want about %d", key, ms, ttl)
						}
					}
				}
				if h := client.Health(); (certain || !tt.save) && hasFinding(h, "dataset-older") != certain {
					t.Errorf("dataset older: %+v", h)
				}
				if h := client.Health(); hasFinding(h, "dataset-reset") != tt.reset || h.Recovery.DatasetResets > 1 {
					t.Errorf("dataset reset: %+v", h)
				}
			})
		}
	}
}

func TestAReconnectIsNoDatasetReset(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	_, _ = cacheOf[string](t, client, "c", Policy{}).Set(t.Context(), "a", "v")
	n := times(client)
	redisDo(t, p, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	returned(t, client, n)
	if h := client.Health(); h.Recovery.DatasetResets > 0 || hasFinding(h, "dataset-older") {
		t.Errorf("recovery = %+v, findings %v", h.Recovery, h.Findings)
	}
}

// TestTheLaterAcknowledgedWriteStands cuts one process off while the other goes on.
func TestTheLaterAcknowledgedWriteStands(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	f := startProxy(t, p.Addr())
	one, other := openAt(t, f.Addr()), openAt(t, p.Addr())
	connect(t, one, 20*time.Second)
	connect(t, other, 20*time.Second)
	away, there := cacheOf[string](t, one, "c", Policy{}), cacheOf[string](t, other, "c", Policy{})
	waitUntil(t, 20*time.Second, func() bool { return hasBarrier(one) }, func() string { return "the server's time is not known" })
	set := func(c *Cache[string], key, v string) { _, err := c.Set(t.Context(), key, v); wantErr(t, err, nil) }
	del := func(c *Cache[string], key string) { _, err := c.Delete(t.Context(), key); wantErr(t, err, nil) }
	writes := []struct {
		key           string
		first, second func(key string)
		want          string
	}{
		{"set, set", func(k string) { set(away, k, "away") }, func(k string) { set(there, k, "there") }, "there"},
		{"set, set by the one that is away", func(k string) { set(there, k, "there") }, func(k string) { set(away, k, "away") }, "away"},
		{"set, delete", func(k string) { set(away, k, "away") }, func(k string) { del(there, k) }, ""},
		{"set, delete by the one that is away", func(k string) { set(there, k, "there") }, func(k string) { del(away, k) }, ""},
		{"delete, set", func(k string) { del(away, k) }, func(k string) { set(there, k, "there") }, "there"},
		{"delete, set by the one that is away", func(k string) { del(there, k) }, func(k string) { set(away, k, "away") }, "away"},
		{"set, delete prefix", func(k string) { set(away, k, "away") }, func(k string) { _, _, _ = there.DeletePrefix(t.Context(), k) }, ""},
		{"prefix deleted, set", func(k string) { _, _, _ = away.DeletePrefix(t.Context(), k) }, func(k string) { set(there, k, "there") }, "there"},
	}
	for _, w := range writes {
		set(there, w.key, "old")
	}
	f.Blackhole(true)
	waitUntil(t, 20*time.Second, func() bool { return one.State() == health.Degraded }, func() string { return "connected" })
	for _, w := range writes {
		w.first(w.key)
	}
	time.Sleep(30 * time.Millisecond) // the server's time is known to the millisecond
	for _, w := range writes {
		w.second(w.key)
	}
	n := times(one)
	_ = f.Heal()
	returned(t, one, n)
	for _, w := range writes {
		wantStored(t, p, "c:"+w.key, w.want)
		waitUntil(t, time.Second, func() bool { e, _ := away.Lookup(t.Context(), w.key); return e.Value == w.want },
			func() string {
				e, err := away.Lookup(t.Context(), w.key)
				return fmt.Sprintf("%s: the one that was away reads %+v, %v", w.key, e, err)
			})
	}
	if r := one.Health().Recovery; r.Superseded != 4 || r.Invalidated != 0 {
		t.Errorf("recovery = %+v, want 4 superseded (a prefix is none)", r)
	}
}

func TestWhatExpiredInAnOutageDoesNotUncoverWhatItReplaced(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
	_, _ = c.Set(t.Context(), "a", "old")
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	_, _ = c.Set(t.Context(), "a", "short", TTL(50*time.Millisecond))
	time.Sleep(60 * time.Millisecond)
	n := times(client)
	resume(t, p)
	returned(t, client, n)
	wantStored(t, p, "c:a", "")
	if s := client.Stats(); s.OutboxExpired != 1 {
		t.Errorf("%d are counted as expired", s.OutboxExpired)
	}
}

// TestWithoutRoomNoOldValueComesBack writes more than is kept, once while Redis
// is away, once right before it falls back to an older state.
func TestWithoutRoomNoOldValueComesBack(t *testing.T) {
	t.Parallel()
	const keys = 300
	values := func(v string) map[string]string {
		m := map[string]string{}
		for i := range keys {
			m[fmt.Sprint(i)] = v
		}
		return m
	}
	for _, bound := range []int{10, 100} { // classes, and keys without values
		t.Run(fmt.Sprint(bound), func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{})
			client := open(t, Options{Addr: p.Addr(), OutboxEntries: bound, OutboxBytes: 30_000, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second})
			connect(t, client, 20*time.Second)
			c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
			noOld := func() {
				t.Helper()
				for i := range keys {
					if e, _ := c.Lookup(t.Context(), fmt.Sprint(i)); e.Value == "old" {
						t.Fatalf("%d is old again", i)
					}
					if got := redisDo(t, p, "GET", fmt.Sprint("c:", i)); fmt.Sprint(got) == "old" {
						t.Fatalf("%d is old again in Redis", i)
					}
				}
			}
			_, _ = c.SetMany(t.Context(), values("old"))
			redisDo(t, p, "SAVE")
			n := times(client)
			_, err := c.SetMany(t.Context(), values("new"))
			wantErr(t, err, nil)
			kill(t, p)
			dropped := client.Health().Recovery
			if bound < keys && dropped.DroppedValues+dropped.DroppedKeys == 0 {
				t.Errorf("recovery = %+v, want something dropped", dropped)
			}
			waitFinding(t, client, "ledger-overflowed")
			restart(t, p, redisproc.KeepData)
			returned(t, client, n)
			noOld()

			_, _ = c.SetMany(t.Context(), values("old"))
			if err := p.Pause(); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
			_, _ = c.SetMany(t.Context(), values("new"))
			if client.Stats().OutboxOverflowed == 0 {
				t.Error("nothing overflowed")
			}
			n = times(client)
			resume(t, p)
			returned(t, client, n)
			noOld()
		})
	}
}

func TestALateAnswerOfAFormerMasterCountsForNothing(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	old := client.one().Node.Load()
	w, err := setOf(c, "a", "v")
	wantErr(t, err, nil)
	late := c.keys.Write(patient(t, time.Second), &w.Outgoing)
	wantErr(t, late.Err, nil)
	redisDo(t, p, "DEL", "c:a") // it is lost with its master
	n := times(client)
	redisDo(t, p, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	returned(t, client, n)
	if client.one().Node.Load() == old {
		t.Fatal("the master has not changed")
	}
	r, err := c.delivered(patient(t, time.Second), w, late)
	wantValue(t, r.Durability, err, Memory)
	waitInRedis(t, p, "c:a", "v")
}

func TestOneKeyThatWaitsDoesNotTakeTheOthersOutOfTheirPipeline(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
	keys := []string{"kept"}
	for i := range 100 {
		key := fmt.Sprint(i)
		_, _ = c.Set(t.Context(), key, key)
		keys = append(keys, key)
	}
	redisDo(t, p, "CONFIG", "SET", "maxmemory", "1")
	r, err := c.Set(t.Context(), "kept", "here")
	wantValue(t, r.Durability, err, Memory)
	before := client.Stats().RedisRequests
	got, err := c.GetMany(t.Context(), keys, nil)
	if err != nil || len(got) != len(keys) || got["kept"] != "here" || got["7"] != "7" {
		t.Errorf("%d values, %v", len(got), err)
	}
	after := client.Stats().RedisRequests
	if many, single := after["mget"]["ok"]-before["mget"]["ok"], after["get"]["ok"]-before["get"]["ok"]; many != 1 || single != 0 {
		t.Errorf("%d pipelines and %d single questions, want 1 and 0", many, single)
	}
	redisDo(t, p, "CONFIG", "SET", "maxmemory", "0")
	waitInRedis(t, p, "c:kept", "here")
}

// TestWhatWasWrittenWhileAPrefixWasDeletedIsNotPutBackAfterIt: what came after it
// may have been deleted as well.
func TestWhatWasWrittenWhileAPrefixWasDeletedIsNotPutBackAfterIt(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "EVAL", `for i = 1, 20000 do redis.call('SET', 'c:p' .. i, '') end`, "0")
	one, other := cacheAt(t, p.Addr(), Policy{}), cacheAt(t, p.Addr(), Policy{})
	node := one.client.one().Node.Load()
	now := func() int64 { low, _ := node.ServerTime(time.Now()); return low }
	began := now()
	n, _, err := one.DeletePrefix(t.Context(), "p")
	ended := now()
	if n != 20000 || err != nil || ended-began < 4 {
		t.Fatalf("%d deleted in %d ms, %v", n, ended-began, err)
	}
	for key, at := range map[string]int64{"px": (began + ended) / 2, "x": (began + ended) / 2, "py": ended + 100} {
		w, err := setOf(other, key, "v")
		wantErr(t, err, nil)
		w.Rec.Lo, w.Rec.Hi = at, at
		_, _, err = other.client.one().Keep(w.Rec)
		wantErr(t, err, nil)
	}
	other.client.one().WakeReplay()
	waitUntil(t, 20*time.Second, nothingWaits(other.client), func() string { return "not sent" })
	wantStored(t, p, "c:px", "")
	wantStored(t, p, "c:x", "v")
	wantStored(t, p, "c:py", "v")
}
