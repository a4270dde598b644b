package revoke_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// The next snapshot would put it back too. But only who sends his own again learns
// that the next master has confirmed it: else it is pending, and in the journal,
// for as long as the process lives.
func TestWhatAMasterTookAndLostIsSentAgainUntilItIsConfirmed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startAll(t, 1, single(server), revoke.Policy{})[0]
	n := 0
	for n = 1; ; n++ {
		p.revoke(fmt.Sprint("lost-", n))
		server.Kill()
		if p.Stats().Unconfirmed > 0 {
			break
		}
		if n == 20 {
			t.Fatal("each was confirmed at once")
		}
		server.Restart(redistest.Empty)
		eventually(t, 20*time.Second, "it has a master again", func() bool { m, _ := server.Try(t.Context(), "ZCOUNT", setKey, "+inf", "+inf"); return m == int64(1) })
	}
	if s := p.Stats(); s.Untaken > 0 && s.Taken != uint64(n) {
		t.Fatalf("no master has acknowledged it: %+v", s)
	}
	server.Restart(redistest.Empty)
	eventually(t, 30*time.Second, "the next master has confirmed it", func() bool { return p.Stats().Unconfirmed == 0 })
	if got := server.Do("ZCOUNT", setKey, "1", "8999999999999999"); got != int64(n) {
		t.Errorf("Redis has %v of %d", got, n)
	}
}
