package shard_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// TestAValueThatTheServerDoesNotTakeFailsAlone: the server would end the connection
// of all callers at it.
func TestAValueThatTheServerDoesNotTakeFailsAlone(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Config: []string{"proto-max-bulk-len 1mb"}})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[[]byte](t, client, "c", evercache.Policy{WriteTimeout: 5 * time.Second})
	long := make([]byte, 3<<20)
	_, err := c.Set(t.Context(), "big", long)
	wantErr(t, err, evercache.ErrValue)
	_, _, err = c.Add(t.Context(), "big", long)
	wantErr(t, err, evercache.ErrValue)
	_, err = c.SetMany(t.Context(), map[string][]byte{"big": long, "small": []byte("v")})
	wantErr(t, err, evercache.ErrValue)
	waitInRedis(t, p, "c:small", "v")
	v, err := c.Get(t.Context(), "loaded", func(context.Context, string) ([]byte, error) { return long, nil })
	if err != nil || len(v) != len(long) {
		t.Errorf("a loader's: %d bytes, %v", len(v), err)
	}
	for i := range 20 {
		r, err := c.Set(t.Context(), fmt.Sprint(i), []byte("v"))
		if err != nil || r.Durability < evercache.Master {
			t.Errorf("another's write: %v, %v", r.Durability, err)
		}
	}
	if _, err := c.Lookup(t.Context(), "big"); !errors.Is(err, evercache.ErrNotFound) {
		t.Errorf("what was refused is read: %v", err)
	}
	if n := client.Stats().RedisDials["ok"]; n != 1 || client.State() != health.Connected {
		t.Errorf("%s after %d connections", client.State(), n)
	}
}

// TestAKeptValueThatTheServerDoesNotTakeHoldsUpNoReplay: it fails alone, and at once.
func TestAKeptValueThatTheServerDoesNotTakeHoldsUpNoReplay(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Config: []string{"proto-max-bulk-len 1mb"}})
	redisDo(t, p, "SET", "c:big", "old")
	client := away(t, p, evercache.Options{})
	c := cacheOf[[]byte](t, client, "c", evercache.Policy{})
	_, err := c.Set(t.Context(), "big", make([]byte, 3<<20))
	wantErr(t, err, nil)
	for i := range 50 {
		_, err := c.Set(t.Context(), fmt.Sprint(i), []byte("v"))
		wantErr(t, err, nil)
	}
	resume(t, p)
	waitKept(t, client, 30*time.Second)
	waitInRedis(t, p, "c:49", "v")
	waitInRedis(t, p, "c:big", "<nil>")
	waitFinding(t, client, "write-rejected")
	if s := client.Stats(); s.OutboxRejected != 1 || s.RedisDials["ok"] != 2 {
		t.Errorf("%d rejected, %d connections; want 1, and the one after the outage", s.OutboxRejected, s.RedisDials["ok"])
	}
}
