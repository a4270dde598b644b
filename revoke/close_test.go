package revoke_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// TestAProcessThatEndsInAFailoverTakesNoRevocationWithIt: what the old master had
// taken is on the next one before Shutdown returns, though no other process knew it.
func TestAProcessThatEndsInAFailoverTakesNoRevocationWithIt(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startAll(t, 1, single(server), revoke.Policy{})[0]
	for i := 0; ; i++ {
		p.revoke(fmt.Sprint(i))
		server.Kill()
		if p.Stats().Unconfirmed > 0 {
			break
		}
		if i == 20 {
			t.Fatal("every revocation was confirmed before the kill")
		}
		server.Restart(redistest.Empty) // a barrier was quicker
	}
	all := int64(p.Stats().Entries)
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		ended <- p.Shutdown(ctx)
	}()
	select {
	case err := <-ended:
		t.Fatalf("Shutdown returned before there was another master: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	server.Restart(redistest.Empty)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n, _ := server.Try(t.Context(), "ZCOUNT", setKey, "1", "8999999999999999"); n != all {
		t.Errorf("%v of %d are on the next master", n, all)
	}
}

// TestAProcessThatEndsRightAfterALossPutsBackWhatItKnows: Redis was emptied, and
// nobody else has heard of its last revocations.
func TestAProcessThatEndsRightAfterALossPutsBackWhatItKnows(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startAll(t, 1, single(server), revoke.Policy{})[0]
	p.revoke("a", "b", "c")
	eventually(t, 30*time.Second, "they are confirmed", func() bool { return p.Stats().Unconfirmed == 0 })
	server.Do("FLUSHALL")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if n, _ := server.Try(t.Context(), "ZCOUNT", setKey, "1", "8999999999999999"); n != int64(3) {
		t.Errorf("%v of 3 are in Redis", n)
	}
}
