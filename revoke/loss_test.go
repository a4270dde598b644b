package revoke_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// wantWhole waits until Redis holds every entry again and says so, and a process
// that starts then knows all of them.
func wantWhole(t *testing.T, server *redistest.Server, o evercache.Options, ps []*process, all []string) {
	t.Helper()
	eventually(t, time.Minute, "the set is whole and marked again", func() bool {
		card, _ := server.Try(t.Context(), "ZCOUNT", setKey, "1", "8999999999999999")
		marks, _ := server.Try(t.Context(), "ZCOUNT", setKey, "+inf", "+inf")
		return card == int64(len(all)) && marks == int64(1)
	})
	for i, p := range append(ps, start(t, o, revoke.Policy{})) {
		p.waitReady()
		if in := p.missing(all); len(in) > 0 {
			t.Errorf("process %d does not know %d of %d", i, len(in), len(all))
		}
		eventually(t, 30*time.Second, "what was never revoked is known to be not", func() bool {
			return p.status("never revoked") == revoke.NotRevoked && p.Stats().Lag < 2*time.Second
		})
	}
}

func TestWhatIsTakenOutOfRedisIsPutBack(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*redistest.Server){
		"FLUSHALL":      func(s *redistest.Server) { s.Do("FLUSHALL") },
		"DEL set":       func(s *redistest.Server) { s.Do("DEL", setKey) },
		"DEL stream":    func(s *redistest.Server) { s.Do("DEL", streamKey) },
		"DEL numbers":   func(s *redistest.Server) { s.Do("DEL", numberKey) },
		"some entries":  func(s *redistest.Server) { s.Do("ZREMRANGEBYRANK", setKey, "0", "99") },
		"SWAPDB":        func(s *redistest.Server) { s.Do("SWAPDB", "0", "1") },
		"empty restart": func(s *redistest.Server) { s.Restart(redistest.Empty) },
		"strangers":     func(s *redistest.Server) { s.Do("ZADD", setKey, "17", "x", "inf", "m", "9e15", "p:x") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			ps := startAll(t, 3, single(server), revoke.Policy{})
			all := append(ids("a", 300), ids("b", 300)...)
			ps[0].revoke(all[:300]...)
			ps[1].revoke(all[300:]...)
			eventually(t, 20*time.Second, "all three know", func() bool {
				return !slices.ContainsFunc(ps, func(p *process) bool { return len(p.missing(all)) > 0 })
			})
			take(server)
			for i, p := range ps {
				if in := p.missing(all); len(in) > 0 {
					t.Errorf("process %d has forgotten %d", i, len(in))
				}
			}
			if name == "strangers" {
				eventually(t, 30*time.Second, "the strangers are counted", func() bool { return ps[0].Stats().Garbage > 0 })
				server.Do("ZREM", setKey, "x", "m", "p:x")
			}
			wantWhole(t, server, single(server), ps, all)
			ps[2].revoke("later")
			eventually(t, 20*time.Second, "a later one arrives", func() bool { return ps[0].status("later") == revoke.Revoked })
		})
	}
}

// The numbers go with the set: what notices first is the gap in the stream, after
// which the set is read as if this process had just begun.
func TestALossIsCountedHoweverItIsNoticed(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{
		"the set":     {setKey},
		"everything":  {setKey, streamKey, numberKey},
		"the numbers": {numberKey, setKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			p := startAll(t, 1, single(server), revoke.Policy{})[0]
			p.revoke(ids("a", 10)...)
			if n := p.Stats().Lost; n != 0 {
				t.Fatalf("%d losses before there was one", n)
			}
			server.Do(append([]string{"DEL"}, keys...)...)
			eventually(t, 20*time.Second, "the loss is counted", func() bool { return p.Stats().Lost > 0 })
			wantWhole(t, server, single(server), []*process{p}, ids("a", 10))
			if n := p.Stats().Lost; n != 1 {
				t.Errorf("one loss was counted %d times", n)
			}
		})
	}
}

func TestAnEmptiedRedisIsNotBelieved(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ps := startAll(t, 2, single(server), revoke.Policy{})
	all := ids("a", 500)
	ps[0].revoke(all...)
	server.Do("FLUSHALL")
	fresh := start(t, single(server), revoke.Policy{})
	for !fresh.Ready() {
		if in := fresh.accepted(all); len(in) > 0 {
			t.Fatalf("a process that has just started accepts %d revoked tokens", len(in))
		}
		time.Sleep(time.Millisecond)
	}
	if in := fresh.missing(all); len(in) > 0 {
		t.Errorf("ready, and does not know %d of %d", len(in), len(all))
	}
	if hasFinding(fresh, "revocations-first-use") {
		t.Error("it has taken the set as it was")
	}
}

func TestAnUnmarkedSetIsTakenOnFirstUseOnlyIfAllowed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	strict := start(t, single(server), revoke.Policy{Namespace: "strict", NoFirstUse: true})
	began := time.Now()
	lax := start(t, single(server), revoke.Policy{})
	if lax.status("x") != revoke.Unknown || lax.Check(revoke.Token{ID: "x"}).Allowed() {
		t.Error("believed at once")
	}
	lax.waitReady()
	if took := time.Since(began); took < 5*time.Second {
		t.Errorf("believed after %v", took)
	}
	if !hasFinding(lax, "revocations-first-use") {
		t.Error("no finding says so")
	}
	if strict.Ready() {
		t.Error("believed although the policy forbids it")
	}
	second := start(t, single(server), revoke.Policy{})
	late := lateness(t)
	began = time.Now()
	second.waitReady()
	if took := time.Since(began); took > 4*time.Second+late() { // the first one waited for 5 s
		t.Errorf("the next process was ready only after %v", took)
	}
}

func TestWhatIsEvictedIsPutBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithConfig("maxmemory 100mb", "maxmemory-policy allkeys-random"))
	ps := startAll(t, 2, single(server), revoke.Policy{})
	all := ids("a", 200)
	ps[0].revoke(all...)
	if !hasFinding(ps[1], "revocations-evictable") {
		t.Error("no finding tells that the set can be evicted")
	}
	eventually(t, 20*time.Second, "both know", func() bool { return len(ps[1].missing(all)) == 0 }) // the stream is evicted too
	server.Do("CONFIG", "SET", "maxmemory", "1")
	eventually(t, 20*time.Second, "the set is evicted", func() bool {
		n, _ := server.Try(t.Context(), "EXISTS", setKey)
		return n == int64(0)
	})
	eventually(t, 20*time.Second, "that is counted", func() bool {
		for _, p := range ps {
			if in := p.missing(all); len(in) > 0 {
				t.Fatalf("%d are not refused any more", len(in))
			}
		}
		return ps[0].Stats().Lost+ps[1].Stats().Lost > 0
	})
	server.Do("CONFIG", "SET", "maxmemory", "0")
	wantWhole(t, server, single(server), ps, all)
}

func TestANewEntryIsNotHiddenByATrimmedOrRewoundStream(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	quick := startAll(t, 1, single(server), revoke.Policy{})[0]
	slow := start(t, evercache.Options{Addr: proxy.Addr()}, revoke.Policy{})
	slow.waitReady()
	proxy.HalfOpen(redistest.ToClient)
	all := ids("a", 100)
	quick.revoke(all...)
	server.Do("XTRIM", streamKey, "MAXLEN", "0")
	proxy.Heal()
	eventually(t, 30*time.Second, "what was trimmed away is known", func() bool { return len(slow.missing(all)) == 0 })

	// Ids that are ahead of the clock, and then begin anew: XREAD from the last id
	// would find nothing.
	server.Do("XADD", streamKey, "99999999999999-0", "n", "x")
	time.Sleep(500 * time.Millisecond)
	server.Do("DEL", streamKey)
	quick.revoke("b")
	eventually(t, 30*time.Second, "what came under a lower id is known", func() bool { return slow.status("b") == revoke.Revoked })
}

func TestWithoutRedisKnownTokensAreRefusedAndUnknownOnesByPolicy(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	policy := revoke.Policy{MaxLag: 2 * time.Second, AckTimeout: 200 * time.Millisecond}
	deny := startAll(t, 1, single(server), policy)[0]
	policy.OnUnknown = revoke.Allow
	allow := start(t, single(server), policy)
	allow.waitReady()
	deny.revoke("a")
	eventually(t, 30*time.Second, "both know", func() bool { return allow.status("a") == revoke.Revoked })
	server.Kill()
	if v := deny.Check(revoke.Token{ID: "b"}); !v.Allowed() {
		t.Errorf("right after the loss: %+v", v)
	}
	if _, err := deny.Revoke(t.Context(), "c", inAnHour()); !evercache.IsRetryable(err) {
		t.Errorf("Revoke without Redis = %v, want an error that can be retried", err)
	}
	eventually(t, 5*time.Second, "unknown after MaxLag", func() bool { return deny.status("b") == revoke.Unknown && allow.status("b") == revoke.Unknown })
	if deny.Check(revoke.Token{ID: "b"}).Allowed() || !allow.Check(revoke.Token{ID: "b"}).Allowed() {
		t.Error("the policy does not decide")
	}
	for _, p := range []*process{deny, allow} {
		if v := p.Check(revoke.Token{ID: "a"}); v.Status != revoke.Revoked || v.Allowed() {
			t.Errorf("a known one: %+v", v)
		}
	}
	if got := deny.status("c"); got != revoke.Revoked {
		t.Errorf("revoked in the outage: %v", got)
	}
	if _, err := deny.CheckStrict(t.Context(), revoke.Token{ID: "b"}); !evercache.IsUnavailable(err) {
		t.Errorf("CheckStrict without Redis = %v", err)
	}
	late := start(t, single(server), revoke.Policy{})
	if late.Ready() || late.Check(revoke.Token{ID: "b"}).Allowed() {
		t.Error("a process that starts in the outage lets in what it cannot know")
	}
	server.Start()
	late.waitReady()
	eventually(t, 30*time.Second, "what was revoked in the outage is refused everywhere", func() bool {
		return late.status("c") == revoke.Revoked && allow.status("c") == revoke.Revoked
	})
}

func TestTheJournalKeepsWhatNoMasterHasTaken(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	startAll(t, 1, single(server), revoke.Policy{})[0].end()
	server.Kill()
	o := single(server)
	o.JournalDir = t.TempDir()
	policy := revoke.Policy{AckTimeout: 200 * time.Millisecond, Durability: evercache.Journaled}
	first := start(t, o, policy)
	r, err := first.Revoke(t.Context(), "a", inAnHour())
	if err != nil || r.Durability != evercache.Journaled {
		t.Fatalf("Revoke = %v, %v", r, err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("Close = %v: the journal has it", err)
	}
	first.end()
	second := start(t, o, policy)
	if got := second.status("a"); got != revoke.Revoked {
		t.Fatalf("after a restart in the outage: %v", got)
	}
	if second.Ready() || second.Check(revoke.Token{ID: "b"}).Allowed() {
		t.Error("it knows its own, not those of others")
	}
	server.Start()
	second.waitReady()
	other := start(t, single(server), revoke.Policy{})
	other.waitReady()
	eventually(t, 30*time.Second, "the others know", func() bool { return other.status("a") == revoke.Revoked })
	eventually(t, 30*time.Second, "it is confirmed", func() bool { return second.Stats().Unconfirmed == 0 })
	second.end()
	third := start(t, o, policy)
	if n := third.Stats().Unconfirmed; n != 0 {
		t.Errorf("the journal still has %d", n)
	}
}

func TestARestartOfEveryProcessOneByOneLosesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ps := startAll(t, 3, single(server), revoke.Policy{})
	var all []string
	for i := range ps {
		more := ids(string(rune('a'+i)), 50)
		ps[i].revoke(more...)
		all = append(all, more...)
		ps[i].end()
		ps[i] = start(t, single(server), revoke.Policy{})
		ps[i].waitReady()
		if in := ps[i].missing(all); len(in) > 0 {
			t.Errorf("restart %d: %d are not known", i, len(in))
		}
	}
	server.Restart(redistest.Empty)
	wantWhole(t, server, single(server), ps, all)
}

func TestAnOverwrittenSetIsNotBelieved(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startAll(t, 1, single(server), revoke.Policy{MaxLag: 2 * time.Second, AckTimeout: 200 * time.Millisecond})[0]
	all := ids("a", 100)
	p.revoke(all...)
	server.Do("SET", setKey, "x")
	eventually(t, 30*time.Second, "unknown", func() bool { return p.status("never revoked") == revoke.Unknown })
	if in := p.missing(all); len(in) > 0 {
		t.Errorf("%d are not refused any more", len(in))
	}
	server.Do("DEL", setKey)
	wantWhole(t, server, single(server), []*process{p}, all)
}

func TestCacheCallsCannotReachRevocations(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startAll(t, 1, single(server), revoke.Policy{})[0]
	p.revoke("a")
	if _, err := evercache.NewCache[string](p.client, "~r", evercache.Policy{TTL: time.Minute}); err == nil {
		t.Fatal("a class can begin with ~")
	}
	c, err := evercache.NewCache[string](p.client, "r", evercache.Policy{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"~r:{tokens}:set", "{tokens}:set", "set", "*"} {
		if _, err := c.Set(context.Background(), key, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Delete(context.Background(), key); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := c.DeletePrefix(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	if got := server.Do("ZCARD", setKey); got != int64(3) {
		t.Errorf("the set has %v members, want the entry, the process and the marker", got)
	}
}
