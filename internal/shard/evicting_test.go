package shard_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/shard"
)

func TestAGenerationEndsWhenItIsNotProvedThatNothingWasEvicted(t *testing.T) {
	lru := func(run string, keys, commands uint64) remote.Evictions {
		return remote.Evictions{Policy: "allkeys-lru", Run: run, Keys: keys, Commands: commands}
	}
	never := func(run string, keys, commands uint64) remote.Evictions {
		return remote.Evictions{Never: true, Policy: "noeviction", Run: run, Keys: keys, Commands: commands}
	}
	tests := []struct {
		name            string
		first, second   remote.Evictions
		rises           bool
		doubtsUndated   bool // after the second: records of generation 0
		doubtsFirst     bool // and those of the first
		secondIsDoubted bool
	}{
		{"nothing evicted", lru("a", 7, 10), lru("a", 7, 20), false, true, false, false},
		{"one key evicted", lru("a", 7, 10), lru("a", 8, 20), true, true, true, false},
		{"another run", lru("a", 7, 10), lru("b", 7, 20), true, true, true, false},
		{"another run that evicted nothing", lru("a", 0, 10), lru("b", 0, 20), true, true, true, false},
		{"counters reset", lru("a", 7, 10), lru("a", 0, 20), true, true, true, false},
		{"counters reset, and as many evicted since", lru("a", 7, 10), lru("a", 7, 9), true, true, true, false},
		{"no answer to INFO", lru("a", 7, 10), remote.Evictions{}, true, true, true, false},
		{"never an answer to INFO", remote.Evictions{}, remote.Evictions{}, true, true, true, false},
		{"an answer at last", remote.Evictions{}, never("a", 0, 10), true, true, true, false},
		{"noeviction", never("a", 7, 10), never("a", 7, 20), false, false, false, false},
		{"noeviction, another run", never("a", 7, 10), never("b", 0, 1), false, false, false, false},
		{"noeviction, counters reset", never("a", 7, 10), never("a", 0, 1), false, false, false, false},
		{"noeviction, the run not known", never("", 0, 0), never("", 0, 0), false, false, false, false},
		{"noeviction at both times, another policy between", never("a", 7, 10), never("a", 8, 20), true, true, true, false},
		{"another policy, nothing evicted", never("a", 7, 10), lru("a", 7, 20), false, true, false, false},
		{"another policy, another run", never("a", 7, 10), lru("b", 0, 1), true, true, true, false},
		{"noeviction after another policy and run", lru("a", 7, 10), never("b", 0, 1), true, true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			one := shard.Evictions{}.Next(tt.first)
			two := one.Next(tt.second)
			if one.Generation != 1 || two.Generation > 1 != tt.rises {
				t.Errorf("generations %d, %d; rises: want %v", one.Generation, two.Generation, tt.rises)
			}
			for generation, want := range map[uint64]bool{0: tt.doubtsUndated, 1: tt.doubtsFirst, two.Generation: tt.secondIsDoubted} {
				if got := two.Doubts(generation); got != want {
					t.Errorf("generation %d is doubted: %v, want %v", generation, got, want)
				}
			}
		})
	}
}

// evicts starts a server with a bound of its memory that is not reached.
func evicts(t *testing.T, policy string, config ...string) *redisproc.Process {
	t.Helper()
	return startRedis(t, redisproc.Options{Config: append(config, "maxmemory 100mb", "maxmemory-policy "+policy)})
}

// evictAll lets the server evict every key that its policy lets it.
func evictAll(t *testing.T, p *redisproc.Process) {
	t.Helper()
	redisDo(t, p, "CONFIG", "SET", "maxmemory", "1")
	waitUntil(t, 30*time.Second, func() bool {
		for _, key := range redisDo(t, p, "KEYS", "*").([]any) {
			if redisDo(t, p, "CONFIG", "GET", "maxmemory-policy").([]any)[1] != "volatile-ttl" || redisDo(t, p, "TTL", key.(string)) != int64(-1) {
				return false
			}
		}
		return true
	}, func() string { return "keys are left" })
	redisDo(t, p, "CONFIG", "SET", "maxmemory", "100mb")
}

// cutOff is a client that keeps n writes of class c while it is cut off from p; back
// ends that, and waits until they are sent.
func cutOff(t *testing.T, p *redisproc.Process, n int) (client *evercache.Client, c *evercache.Cache[string], back func()) {
	t.Helper()
	f := startProxy(t, p.Addr())
	client = openAt(t, f.Addr())
	connect(t, client, 30*time.Second)
	c = cacheOf[string](t, client, "c", evercache.Policy{})
	f.Blackhole(true)
	waitUntil(t, 30*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	for i := range n {
		_, err := c.Set(t.Context(), fmt.Sprint("k", i), "kept")
		wantErr(t, err, nil)
	}
	return client, c, func() {
		times := times(client)
		_ = f.Heal()
		returned(t, client, times)
	}
}

// wantKept looks whether the writes that were kept are in Redis and in memory, or in
// neither.
func wantKept(t *testing.T, p *redisproc.Process, client *evercache.Client, c *evercache.Cache[string], n int, kept bool) {
	t.Helper()
	want, evicted := "", uint64(n)
	if kept {
		want, evicted = "kept", 0
	}
	for i := range n {
		key := fmt.Sprint("k", i)
		wantStored(t, p, "c:"+key, want)
		if e, err := c.Lookup(t.Context(), key); e.Value != want {
			t.Errorf("%s is %q, %v here, want %q", key, e.Value, err, want)
		}
	}
	if r := client.Health().Recovery; r.Evicted != evicted {
		t.Errorf("recovery = %+v, want %d for want of traces", r, evicted)
	}
}

func TestADeletedKeyStaysDeletedWhenItsTombstoneIsEvicted(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"allkeys-lru", "volatile-ttl", "allkeys-random"} {
		for _, prefix := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, a prefix: %v", policy, prefix), func(t *testing.T) {
				t.Parallel()
				p := evicts(t, policy)
				const n = 20
				client, c, back := cutOff(t, p, n)
				other := openAt(t, p.Addr())
				connect(t, other, 30*time.Second)
				there := cacheOf[string](t, other, "c", evercache.Policy{})
				for i := range n {
					_, err := there.Set(t.Context(), fmt.Sprint("k", i), "there")
					wantErr(t, err, nil)
					if !prefix {
						_, err = there.Delete(t.Context(), fmt.Sprint("k", i))
						wantErr(t, err, nil)
					}
				}
				if prefix {
					_, _, err := there.DeletePrefix(t.Context(), "k")
					wantErr(t, err, nil)
				}
				wantErr(t, other.Close(), nil)
				evictAll(t, p)
				back()
				wantKept(t, p, client, c, n, false)
			})
		}
	}
}

// TestWhatAReplayLetsRedisEvictIsMissedToo: nothing is evicted before the replay, and
// the values that it puts back make the server evict the tombstones of others.
func TestWhatAReplayLetsRedisEvictIsMissedToo(t *testing.T) {
	t.Parallel()
	p := evicts(t, "volatile-ttl", "maxmemory-samples 64")
	f := startProxy(t, p.Addr())
	client, other := openAt(t, f.Addr()), openAt(t, p.Addr())
	connect(t, client, 30*time.Second)
	connect(t, other, 30*time.Second)
	c, there := cacheOf[string](t, client, "c", evercache.Policy{TTL: time.Hour}), cacheOf[string](t, other, "c", evercache.Policy{TTL: time.Hour})
	f.Blackhole(true)
	waitUntil(t, 30*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	const large, deleted = 30, 30
	for i := range large {
		_, err := c.Set(t.Context(), fmt.Sprint("large", i), strings.Repeat("x", 100_000))
		wantErr(t, err, nil)
	}
	for i := range deleted {
		key := fmt.Sprint("k", i)
		_, err := c.Set(t.Context(), key, "kept")
		wantErr(t, err, nil)
		_, err = there.Delete(t.Context(), key)
		wantErr(t, err, nil)
	}
	wantErr(t, other.Close(), nil)
	var used int
	for line := range strings.Lines(fmt.Sprint(redisDo(t, p, "INFO", "memory"))) {
		_, _ = fmt.Sscanf(line, "used_memory:%d", &used)
	}
	redisDo(t, p, "CONFIG", "SET", "maxmemory", fmt.Sprint(used+2_000_000))
	n := times(client)
	_ = f.Heal()
	returned(t, client, n)
	for i := range deleted {
		wantStored(t, p, fmt.Sprint("c:k", i), "")
	}
	if r := client.Health().Recovery; r.Evicted == 0 {
		t.Errorf("the server has evicted nothing: %+v", r)
	}
}

func TestWhatWasKeptWhileTheServersRunOrCountersChangedIsPutBackOnlyIfItNeverEvicts(t *testing.T) {
	t.Parallel()
	again := func(t *testing.T, p *redisproc.Process) {
		kill(t, p)
		restart(t, p, redisproc.KeepData)
	}
	tests := []struct {
		name, policy   string
		begin, happens func(t *testing.T, p *redisproc.Process)
		kept           bool
	}{
		{"restart", "allkeys-lru", nil, again, false},
		{"restart", "noeviction", nil, again, true},
		{"counters reset", "allkeys-lru", evictAll, func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "CONFIG", "RESETSTAT") }, false},
		{"counters reset", "noeviction", nil, func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "CONFIG", "RESETSTAT") }, true},
		{"nothing", "allkeys-lru", evictAll, func(*testing.T, *redisproc.Process) {}, true},
		{"another policy in between", "noeviction", nil, func(t *testing.T, p *redisproc.Process) {
			redisDo(t, p, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
			evictAll(t, p)
			redisDo(t, p, "CONFIG", "SET", "maxmemory-policy", "noeviction")
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name+", "+tt.policy, func(t *testing.T) {
			t.Parallel()
			p := evicts(t, tt.policy, "appendonly yes", "appendfsync always")
			if tt.begin != nil {
				redisDo(t, p, "SET", "something", "v")
				tt.begin(t, p)
			}
			client, c, back := cutOff(t, p, 5)
			tt.happens(t, p)
			back()
			wantKept(t, p, client, c, 5, tt.kept)
		})
	}
}

func TestWhatAnEarlierProcessKeptIsPutBackOnlyIfRedisNeverEvicts(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]string{"allkeys-lru": "", "noeviction": "kept"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			p := evicts(t, policy)
			f := startProxy(t, p.Addr())
			f.Blackhole(true)
			dir := filepath.Join(t.TempDir(), "j")
			first := open(t, evercache.Options{Addr: f.Addr(), JournalDir: dir})
			_, err := cacheOf[string](t, first, "c", evercache.Policy{}).Set(t.Context(), "a", "kept")
			wantErr(t, err, nil)
			at, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			wantErr(t, first.Shutdown(at), nil)
			second := open(t, evercache.Options{Addr: p.Addr(), JournalDir: dir})
			connect(t, second, 30*time.Second)
			wantStored(t, p, "c:a", want)
		})
	}
}

func TestKeysThatWereEvictedAreNoDatasetReset(t *testing.T) {
	t.Parallel()
	for evicted, reset := range map[bool]bool{true: false, false: true} {
		t.Run(fmt.Sprint("evicted: ", evicted), func(t *testing.T) {
			t.Parallel()
			p := evicts(t, "allkeys-random")
			client, _, back := cutOff(t, p, 0)
			if evicted {
				evictAll(t, p)
			} else {
				redisDo(t, p, "DEL", "~dataset", "~b:"+shard.Of(client).Process())
			}
			back()
			if reset { // it is told a moment after the writes are there
				waitFinding(t, client, "dataset-reset")
			}
			if h := client.Health(); hasFinding(h, "dataset-reset") != reset {
				t.Errorf("findings = %+v, a reset: want %v", h.Findings, reset)
			}
		})
	}
}

func TestTheLivesOfAClassAreNotedAgainWhenTheyMayHaveBeenEvicted(t *testing.T) {
	t.Parallel()
	p := evicts(t, "allkeys-lru")
	client := openAt(t, p.Addr())
	connect(t, client, 30*time.Second)
	c := cacheOf[string](t, client, "c", evercache.Policy{})
	_, err := c.Set(t.Context(), "a", "v")
	wantErr(t, err, nil)
	if redisDo(t, p, "EXISTS", shard.Of(client).ClassOf("c:").LivesKey()) != int64(1) {
		t.Fatal("they were not noted at all")
	}
	was := shard.Of(client).Evicting.Known().Generation
	evictAll(t, p)
	waitUntil(t, 30*time.Second, func() bool { return shard.Of(client).Evicting.Known().Generation > was }, func() string { return "the evictions are not noticed" })
	_, err = c.Set(t.Context(), "a", "v")
	wantErr(t, err, nil)
	if redisDo(t, p, "EXISTS", shard.Of(client).ClassOf("c:").LivesKey()) != int64(1) {
		t.Error("they are not noted again")
	}
}

func TestAServerThatEvictsIsTold(t *testing.T) {
	t.Parallel()
	p := evicts(t, "volatile-lfu")
	client := openAt(t, p.Addr())
	connect(t, client, 30*time.Second)
	waitFinding(t, client, "redis-evicts")
	redisDo(t, p, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	waitUntil(t, 30*time.Second, func() bool { return !hasFinding(client.Health(), "redis-evicts") }, func() string { return "it is still told" })

	redisDo(t, p, "ACL", "SETUSER", "app", "on", ">x", "~*", "&*", "+@all", "-info", "-config")
	mute := open(t, evercache.Options{Addr: p.Addr(), Username: "app", Password: "x"})
	connect(t, mute, 30*time.Second)
	waitFinding(t, mute, "redis-evicts")
	if h := mute.Health(); hasFinding(h, "redis-noperm") {
		t.Errorf("findings = %+v", h.Findings)
	}
}
