package revoke_test

import (
	"errors"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// What an earlier process could not bring to Redis is a use: it must not wait for
// somebody to ask.
func TestAListOnDemandBringsWhatItsJournalHasToRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	o := single(server)
	o.JournalDir = t.TempDir()
	policy := revoke.Policy{AckTimeout: 2 * time.Second, Durability: evercache.Journaled, OnDemand: true}
	first := start(t, o, policy)
	if !first.Stats().Dormant {
		t.Error("it is awake before anybody has used it")
	}
	if _, err := first.Revoke(t.Context(), "a", inAnHour()); err != nil {
		t.Fatal(err)
	}
	first.end()
	server.Start()
	second := start(t, o, policy)
	if second.Stats().Dormant {
		t.Error("it sleeps over what the journal has")
	}
	eventually(t, 30*time.Second, "it is in Redis", func() bool {
		n, _ := server.Try(t.Context(), "ZCOUNT", setKey, "1", "8999999999999999")
		return n == int64(1)
	})
}

func TestAListOnDemandThatNobodyUsesEnds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := start(t, single(server), revoke.Policy{OnDemand: true})
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if p.status("x") != revoke.Unknown || p.Stats().Ready {
		t.Error("a closed one knows")
	}
	if keys := server.Do("KEYS", "~r:*"); len(keys.([]any)) != 0 {
		t.Errorf("it has left %v", keys)
	}
}

// After the end of its client a list can keep nothing: whatever the policy asks for,
// a revocation is not acknowledged.
func TestAfterTheClientNothingIsAcknowledged(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	memory := revoke.MinDurability(evercache.Memory)
	for name, tt := range map[string]struct {
		o      evercache.Options
		policy revoke.Policy
	}{
		"Redis":       {single(server), revoke.Policy{}},
		"on demand":   {single(server), revoke.Policy{OnDemand: true}},
		"memory only": {evercache.Options{MemoryOnly: true}, revoke.Policy{}},
		"no Redis":    {evercache.Options{Addr: "127.0.0.1:1"}, revoke.Policy{}},
	} {
		p := start(t, tt.o, tt.policy)
		_ = p.client.Close() // what it could not save is for other tests
		for _, opts := range [][]revoke.Option{nil, {memory}} {
			if _, err := p.Revoke(t.Context(), "a", inAnHour(), opts...); !errors.Is(err, evercache.ErrClosed) {
				t.Errorf("%s: Revoke = %v", name, err)
			}
			if _, err := p.RevokeIssuedBefore(t.Context(), "a", time.Now(), inAnHour(), opts...); !errors.Is(err, evercache.ErrClosed) {
				t.Errorf("%s: RevokeIssuedBefore = %v", name, err)
			}
		}
	}
}

// What no store can reach is refused before anything is revoked.
func TestAnImpossibleDurabilityRevokesNothing(t *testing.T) {
	t.Parallel()
	p := start(t, evercache.Options{MemoryOnly: true}, revoke.Policy{})
	for _, option := range []revoke.Option{revoke.MinDurability(4), revoke.MinReplicas(-1)} {
		if _, err := p.Revoke(t.Context(), "a", inAnHour(), option); !errors.Is(err, evercache.ErrDurability) {
			t.Errorf("Revoke = %v", err)
		}
		if _, err := p.RevokeIssuedBefore(t.Context(), "a", time.Now(), inAnHour(), option); !errors.Is(err, evercache.ErrDurability) {
			t.Errorf("RevokeIssuedBefore = %v", err)
		}
		if got := p.status("a"); got == revoke.Revoked {
			t.Error("the token is revoked")
		}
	}
}
