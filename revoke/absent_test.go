package revoke_test

import (
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// behind is single, through a proxy.
func behind(p *redistest.Proxy) evercache.Options {
	return evercache.Options{Addr: p.Addr(), ReadTimeout: 500 * time.Millisecond, WriteTimeout: time.Second}
}

// cut ends all connections, and lets none be made.
func cut(p *redistest.Proxy) {
	p.Refuse(true)
	p.ResetAll()
}

// deafen lets nothing more through to the server, and waits until it has answered what
// it was asked before: of two processes one waits for the stream.
func deafen(t *testing.T, server *redistest.Server, p *redistest.Proxy) {
	t.Helper()
	p.HalfOpen(redistest.ToServer)
	few := 0
	eventually(t, 30*time.Second, "it does not wait for the stream any more", func() bool {
		if few++; strings.Contains(server.Do("INFO", "clients").(string), "blocked_clients:2") {
			few = 0
		}
		return few >= 80 // half a second, while a question waits for 300 ms
	})
}

// TestWhatALateProcessHasAcknowledgedIsNotLetIn: only late knows of a revocation that it
// has acknowledged, Redis loses it, and late comes back long after the others. The set is
// marked as complete, or could be, and nobody may take it for that.
func TestWhatALateProcessHasAcknowledgedIsNotLetIn(t *testing.T) {
	t.Parallel()
	flush := func(_ *testing.T, s *redistest.Server) { s.Do("FLUSHALL") }
	for name, tt := range map[string]struct {
		lives bool // the connection of the other process
		lose  func(*testing.T, *redistest.Server)
	}{
		"empty restart":                       {false, func(_ *testing.T, s *redistest.Server) { s.Restart(redistest.Empty) }},
		"older restart":                       {false, func(_ *testing.T, s *redistest.Server) { s.Kill(); s.Start() }},
		"flushed while the other one is away": {false, flush},
		"flushed":                             {true, flush},
		"all but the numbers deleted":         {true, func(_ *testing.T, s *redistest.Server) { s.Do("DEL", setKey, streamKey) }},
		"flushed, and marked by one that knows nothing": {false, func(t *testing.T, s *redistest.Server) {
			s.Do("FLUSHALL")
			client := start(t, single(s), revoke.Policy{OnDemand: true}).client
			if _, err := revoke.Init(t.Context(), client, revoke.Policy{}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.WithConfig("appendonly no"))
			mine, theirs := redistest.NewProxy(t, server.Addr()), redistest.NewProxy(t, server.Addr())
			late, other := start(t, behind(mine), revoke.Policy{}), start(t, behind(theirs), revoke.Policy{})
			initAll(t, []*process{late, other}, revoke.Policy{})
			other.revoke("old")
			eventually(t, 30*time.Second, "late knows it", func() bool { return late.status("old") == revoke.Revoked })
			server.Do("SAVE")
			if tt.lives {
				deafen(t, server, theirs)
			} else {
				cut(theirs)
			}
			late.revoke("x")
			acknowledged := time.Now()
			cut(mine)
			tt.lose(t, server)
			theirs.Heal()
			eventually(t, 30*time.Second, "the other one has put back what it has", func() bool {
				n, _ := server.Try(t.Context(), "ZCOUNT", setKey, "1", "8999999999999999")
				return n == int64(1)
			})
			fresh := start(t, single(server), revoke.Policy{})
			for ends := time.Now().Add(8 * time.Second); time.Now().Before(ends); time.Sleep(5 * time.Millisecond) {
				for who, p := range map[string]*process{"the other one": other, "a fresh one": fresh} {
					if v := p.Check(revoke.Token{ID: "x"}); v.Allowed() && v.AsOf.After(acknowledged) {
						t.Fatalf("%s lets in what was revoked %v ago, knowing all as of %v after that", who, time.Since(acknowledged), v.AsOf.Sub(acknowledged))
					}
				}
			}
			if other.status("x") == revoke.Revoked {
				t.Fatal("the other one knew it: nothing is shown")
			}
			mine.Heal()
			for _, p := range []*process{other, fresh} {
				eventually(t, 30*time.Second, "it is known", func() bool { return p.status("x") == revoke.Revoked })
				eventually(t, 30*time.Second, "all is known again", func() bool { return p.Stats().AsOf.After(acknowledged) })
			}
		})
	}
}
