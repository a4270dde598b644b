package revoke_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

func TestNothingExpiresEarlyWhenClocksDiffer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ps := startAll(t, 3, single(server), revoke.Policy{})
	for i, off := range []time.Duration{-2 * time.Minute, 2 * time.Minute} {
		ps[i].SetClock(func() time.Time { return time.Now().Add(off) })
	}
	short, over := time.Now().Add(time.Second), time.Now().Add(-6*time.Minute)
	if _, err := ps[1].Revoke(t.Context(), "short", short); err != nil {
		t.Fatal(err)
	}
	// By its clock this is not over for longer than the skew.
	if _, err := ps[0].Revoke(t.Context(), "over", over); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "all know", func() bool { return ps[0].status("short") == revoke.Revoked && ps[2].status("short") == revoke.Revoked })
	time.Sleep(time.Until(short.Add(2500 * time.Millisecond)))
	for i, p := range ps {
		p.Sweep()
		if got := p.status("short"); got != revoke.Revoked {
			t.Errorf("process %d: a clock that is ahead has forgotten it: %v", i, got)
		}
	}
	if n := server.Do("ZCOUNT", setKey, "1", fmt.Sprint(short.Unix()+1)); n != int64(2) {
		t.Errorf("Redis has %v entries, want both: by the slowest clock neither is over for longer than the skew", n)
	}
	ps[2].SetClock(func() time.Time { return time.Now().Add(time.Hour) })
	ps[2].Sweep()
	if got := ps[2].status("short"); got != revoke.Revoked {
		t.Errorf("a clock that is an hour ahead of Redis has forgotten it: %v", got)
	}
}
