package revoke_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// A server has a list unless it is told not to. Who never uses it must not be told
// what is wrong with it.
func TestAListThatNobodyUsesHasNoFindings(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*testing.T, *process){
		"a check":  func(_ *testing.T, p *process) { p.status("x") },
		"a revoke": func(_ *testing.T, p *process) { p.revoke("x") },
		"a strict check": func(t *testing.T, p *process) {
			_, _ = p.CheckStrict(t.Context(), revoke.Token{ID: "x"}) // whatever it says
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.WithConfig("maxmemory 100mb", "maxmemory-policy allkeys-lru"))
			p := start(t, single(server), revoke.Policy{})
			p.waitReady() // on first use
			if fs := p.client.Health().Findings; len(fs) > 0 {
				t.Errorf("unused: %+v", fs)
			}
			use(t, p)
			for _, code := range []string{"revocations-first-use", "revocations-evictable"} {
				if !hasFinding(p, code) {
					t.Errorf("in use, and %s is not told", code)
				}
			}
		})
	}
}

func TestAListThatOthersUseHasFindings(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithConfig("maxmemory 100mb", "maxmemory-policy allkeys-lru"))
	ps := startAll(t, 2, single(server), revoke.Policy{})
	ps[0].revoke("x")
	eventually(t, 30*time.Second, "the other tells that it may be evicted", func() bool { return hasFinding(ps[1], "revocations-evictable") })
}

func TestAListThatIsRequiredHasFindingsFromTheStart(t *testing.T) {
	t.Parallel()
	p := start(t, single(redistest.Start(t)), revoke.Policy{NoFirstUse: true})
	eventually(t, 30*time.Second, "it is not ready", func() bool { return hasFinding(p, "revocations-not-ready") })
}
