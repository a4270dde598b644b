package evercache

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/redistest"
)

// away opens a client on a Redis that is paused, and returns when it has noticed.
func away(t *testing.T, p *redisproc.Process, o Options) *Client {
	t.Helper()
	o.Addr = p.Addr()
	client := open(t, o)
	connect(t, client, 20*time.Second)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	return client
}

// TestALoadBegunBeforeADeleteDoesNotBringTheValueBack lets the load end while
// the delete is on its way: its fill then waits for the key's turn.
func TestALoadBegunBeforeADeleteDoesNotBringTheValueBack(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
	deletes := map[string]func(key string) error{
		"Delete":       func(key string) error { _, err := c.Delete(t.Context(), key); return err },
		"DeletePrefix": func(key string) error { _, _, err := c.DeletePrefix(t.Context(), key); return err },
	}
	for name, remove := range deletes {
		back := 0
		for i := range 300 {
			key := fmt.Sprint(name, i, ".")
			loading, finish := make(chan struct{}), make(chan struct{})
			got := make(chan error, 1)
			go func() {
				_, err := c.Get(t.Context(), key, func(context.Context, string) (string, error) {
					close(loading)
					<-finish
					return "old", nil
				})
				got <- err
			}()
			<-loading
			close(finish)
			if err := remove(key); err != nil {
				t.Fatal(err)
			}
			if err := <-got; err != nil {
				t.Fatal(err)
			}
			waitUntil(t, 20*time.Second, c.noFills, func() string { return "a fill stays" })
			if redisDo(t, p, "EXISTS", "c:"+key) != int64(0) {
				back++
			}
		}
		if back > 0 { // a load that ended and filled before the delete began is fine: it is deleted
			t.Errorf("%s: %d of 300 came back", name, back)
		}
	}
}

func (c *Cache[V]) noFills() bool {
	_, fills := c.flights.Len()
	return fills == 0
}

func TestRefusedWritesHoldUpNothingElse(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "ACL", "SETUSER", "app", "on", ">one", "~a:*", "~~*", "&*", "+@all")
	client := away(t, p, Options{Username: "app", Password: "one"})
	a, b := cacheOf[string](t, client, "a", Policy{}), cacheOf[string](t, client, "b", Policy{})
	for i := range 300 {
		_, _ = b.Set(t.Context(), fmt.Sprint(i), "forbidden")
	}
	_, _, _ = b.DeletePrefix(t.Context(), "none")
	_, _ = a.Set(t.Context(), "1", "v")
	resume(t, p)
	waitInRedis(t, p, "a:1", "v")
	waitFinding(t, client, "redis-noperm")
	waitFinding(t, client, "outbox-pending")
}

func TestDeletesAreSentToARedisThatIsOutOfMemory(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "SET", "c:old", "v")
	redisDo(t, p, "CONFIG", "SET", "maxmemory", "1")
	client := away(t, p, Options{})
	c := cacheOf[string](t, client, "c", Policy{})
	for i := range 300 {
		_, _ = c.Set(t.Context(), fmt.Sprint(i), "v")
	}
	_, _ = c.Delete(t.Context(), "old")
	resume(t, p)
	waitInRedis(t, p, "c:old", "<nil>")
	waitFinding(t, client, "redis-oom")
	redisDo(t, p, "CONFIG", "SET", "maxmemory", "0")
	connect(t, client, 20*time.Second)
	waitInRedis(t, p, "c:299", "v")
}

func TestAPrefixThatMayNotBeDeletedHoldsUpNothingElse(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all", "-scan")
	client := away(t, p, Options{Username: "app", Password: "one"})
	a, b := cacheOf[string](t, client, "a", Policy{}), cacheOf[string](t, client, "b", Policy{})
	_, _, _ = b.DeletePrefix(t.Context(), "x")
	_, _ = b.Set(t.Context(), "y", "v")
	_, _ = a.Set(t.Context(), "1", "v")
	resume(t, p)
	waitInRedis(t, p, "a:1", "v")
	waitInRedis(t, p, "b:y", "v")
	waitFinding(t, client, "redis-noperm")
	_, err := b.Lookup(t.Context(), "x1")
	wantErr(t, err, ErrNotFound) // it stays deleted here
}

func TestAPrefixIsDeletedInALargeKeyspaceWithoutHoldingUpRecords(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Config: []string{"enable-debug-command yes"}})
	redisDo(t, p, "DEBUG", "POPULATE", "300000", "foreign", "1")
	redisDo(t, p, "SET", "c:x1", "old")
	client := away(t, p, Options{})
	c := cacheOf[string](t, client, "c", Policy{})
	_, _, _ = c.DeletePrefix(t.Context(), "x")
	_, _ = c.Set(t.Context(), "k", "v")
	resume(t, p)
	connect(t, client, 20*time.Second)
	waitInRedis(t, p, "c:k", "v")
	waitInRedis(t, p, "c:x1", "<nil>")
}

func TestAKeptWriteThatRedisRejectsIsDeletedThereAndTold(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "SET", "c:big", "old")
	redisDo(t, p, "CONFIG", "SET", "proto-max-bulk-len", "1mb")
	client := away(t, p, Options{})
	c := cacheOf[[]byte](t, client, "c", Policy{})
	_, err := c.Set(t.Context(), "big", make([]byte, 2<<20))
	wantErr(t, err, nil)
	_, err = c.Set(t.Context(), "small", []byte("v"))
	wantErr(t, err, nil)
	resume(t, p)
	connect(t, client, 20*time.Second)
	waitInRedis(t, p, "c:small", "v")
	waitInRedis(t, p, "c:big", "<nil>")
	if n := client.Stats().OutboxRejected; n != 1 {
		t.Errorf("%d rejected writes are counted", n)
	}
}

func TestErrorsOfManyKeysAreOneOfEachKind(t *testing.T) {
	c := cacheOf[string](t, openMemory(t), "c", Policy{})
	_, err := c.GetMany(t.Context(), []string{"a", "b", ""}, func(context.Context, []string) (map[string]string, error) { panic("boom") })
	if _, ok := errors.AsType[*LoadPanicError](err); !ok || !errors.Is(err, ErrKey) {
		t.Errorf("error = %v", err)
	}
}

// TestAfterASlipOfTheACLWritesAreConfirmedAgain though no connection was lost.
func TestAfterASlipOfTheACLWritesAreConfirmedAgain(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	client := open(t, Options{Sentinels: set.Addrs(), MasterName: set.MasterName()})
	connect(t, client, 30*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	onAll := func(rule string) {
		for _, n := range set.Nodes() {
			n.Do("ACL", "SETUSER", "default", rule)
		}
	}
	onAll("-set")
	waitFinding(t, client, "redis-heartbeat-forbidden")
	onAll("+set")
	waitUntil(t, 20*time.Second, func() bool {
		_, err := c.Set(t.Context(), "a", "v", MinReplicas(1))
		return err == nil && !hasFinding(client.Health(), "redis-heartbeat-forbidden")
	}, func() string { return fmt.Sprintf("%+v", client.Health()) })
}
