package revoke_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// ahead is a wall clock that is wrong.
func ahead(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }

func TestATokenStaysRevokedWhateverClockIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                    string
		server, revoker, tidier time.Duration
	}{
		{"the server's is ahead", 2 * time.Hour, 0, 0},
		{"the server's is behind", -2 * time.Hour, 0, 0},
		{"that of the process that tidies up is ahead", 0, 0, 2 * time.Hour},
		{"that of the process that tidies up is behind", 0, 0, -2 * time.Hour},
		{"the server's and that of the process that tidies up are ahead", 2 * time.Hour, 0, 2 * time.Hour},
		{"the server's is ahead and one process's behind", 2 * time.Hour, -2 * time.Hour, 0},
		{"that of the process that revokes is ahead", 0, 2 * time.Hour, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			clock := redistest.NewClock(t)
			clock.Set(tt.server)
			server := redistest.Start(t, redistest.WithClock(clock))
			ps := []*process{
				startAt(t, single(server), revoke.Policy{}, ahead(tt.revoker)),
				startAt(t, single(server), revoke.Policy{}, ahead(tt.tidier)),
			}
			initAll(t, ps, revoke.Policy{})
			if _, err := ps[0].Revoke(t.Context(), "x", inAnHour()); err != nil {
				t.Fatalf("Revoke: %v", err)
			}
			eventually(t, 20*time.Second, "both know", func() bool { return ps[1].status("x") == revoke.Revoked })
			for i, p := range ps {
				p.Sweep()
				p.Sweep()
				if got := p.status("x"); got != revoke.Revoked {
					t.Errorf("process %d has forgotten it: %v", i, got)
				}
			}
			fresh := startAt(t, single(server), revoke.Policy{}, ahead(tt.tidier))
			fresh.waitReady()
			if got := fresh.status("x"); got != revoke.Revoked {
				t.Errorf("a new process: %v", got)
			}
			if v, err := fresh.CheckStrict(t.Context(), revoke.Token{ID: "x"}); v.Status != revoke.Revoked {
				t.Errorf("a new process, strict: %v, %v", v.Status, err)
			}
		})
	}
}

func TestAClockThatIsSetWhileTheServerRunsEndsNoRevocation(t *testing.T) {
	t.Parallel()
	for _, first := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		t.Run(first.String(), func(t *testing.T) {
			t.Parallel()
			clock := redistest.NewClock(t)
			server := redistest.Start(t, redistest.WithClock(clock))
			p := startAll(t, 1, single(server), revoke.Policy{})[0]
			p.revoke("x")
			for _, to := range []time.Duration{first, -first, 0} {
				clock.Set(to)
				p.Sweep()
			}
			if got := p.status("x"); got != revoke.Revoked {
				t.Errorf("it has forgotten: %v", got)
			}
			fresh := start(t, single(server), revoke.Policy{})
			fresh.waitReady()
			if got := fresh.status("x"); got != revoke.Revoked {
				t.Errorf("a new process: %v", got)
			}
		})
	}
}

// Without a server there is no other clock to look at; what was known of them stays.
func TestAProcessWhoseClockIsAheadForgetsNothingInAnOutage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startAt(t, single(server), revoke.Policy{}, ahead(2*time.Hour))
	initAll(t, []*process{p}, revoke.Policy{})
	p.revoke("x")
	p.Sweep()
	server.Kill()
	eventually(t, 20*time.Second, "the server is missed", func() bool { return !p.client.Health().Connected })
	p.Sweep()
	if got := p.status("x"); got != revoke.Revoked {
		t.Errorf("it has forgotten: %v", got)
	}
}

func TestATokenThatIsAliveByOneClockCanBeRevoked(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, off := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		policy := revoke.Policy{MaxLife: 90 * time.Minute}
		p := startAt(t, single(server), policy, ahead(off))
		initAll(t, []*process{p}, policy)
		if _, err := p.Revoke(t.Context(), "x", inAnHour()); err != nil {
			t.Errorf("a clock that is %v ahead: %v", off, err)
		}
		if _, err := p.RevokeIssuedBefore(t.Context(), "s", time.Now(), inAnHour()); err != nil {
			t.Errorf("a subject, a clock that is %v ahead: %v", off, err)
		}
	}
}

// What is over by every clock goes, or the list would grow for ever.
func TestWhatIsOverByEveryClockLeavesRedis(t *testing.T) {
	t.Parallel()
	clock := redistest.NewClock(t)
	server := redistest.Start(t, redistest.WithClock(clock))
	p := startAll(t, 1, single(server), revoke.Policy{ClockSkew: time.Second})[0]
	if _, err := p.Revoke(t.Context(), "x", time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	clock.Set(time.Hour)
	eventually(t, 30*time.Second, "it is over, and gone", func() bool {
		p.Sweep()
		return server.Do("ZCOUNT", setKey, "1", "8000000000") == int64(0) && p.Stats().Entries == 0
	})
}
