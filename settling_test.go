package evercache

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

// twoOf are a cache that writes a key and one that has read it.
func twoOf(t *testing.T, p *redisproc.Process) (writer, reader *Cache[string]) {
	t.Helper()
	writer, reader = cacheAt(t, p.Addr(), Policy{Stale: time.Hour}), cacheAt(t, p.Addr(), Policy{Stale: time.Hour})
	waitUntil(t, 20*time.Second, func() bool { return reader.client.Stats().RedisRequests["heartbeat"]["ok"] > 2 }, func() string { return "no barrier" })
	_, err := writer.Set(t.Context(), "a", "v")
	wantErr(t, err, nil)
	waitCovers(t, reader, "a", "v")
	return writer, reader
}

func wantStale(t *testing.T, c *Cache[string], key, want string) {
	t.Helper()
	e, err := c.Lookup(t.Context(), key)
	if err != nil || e.Value != want || e.Fresh || e.Coherent || e.Source != SourceMemory {
		t.Errorf("%s = %+v, %v, want %q from memory, neither fresh nor coherent", key, e, err, want)
	}
}

func degraded(t *testing.T, c *Client) {
	t.Helper()
	waitUntil(t, 20*time.Second, func() bool { return c.State() == health.Degraded }, func() string { return fmt.Sprintf("%+v", c.Health()) })
}

func TestWhatAnotherProcessSendsAgainIsStillThereInTheNextOutage(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	writer, reader := twoOf(t, p)
	before := times(writer.client)
	kill(t, p)
	restart(t, p, redisproc.Empty)
	returned(t, writer.client, before)
	drained(t, reader.client)
	wantStored(t, p, "c:a", "v")
	kill(t, p)
	degraded(t, reader.client)
	e, err := reader.Lookup(t.Context(), "a")
	if err != nil || e.Value != "v" || e.Coherent {
		t.Errorf("a = %+v, %v, want the one from memory", e, err)
	}
}

func TestWhatIsAnnouncedAfterAnOutageIsServedAsStaleInTheNext(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	writer, reader := twoOf(t, p)
	reader.client.one().Feed.Begun.Store(reader.client.one().Clock.Now())
	_, err := writer.Set(t.Context(), "a", "new")
	wantErr(t, err, nil)
	waitUntil(t, 20*time.Second, func() bool { it := reader.peek("a"); return it == nil || it.Newer == local.HasNewer }, func() string { return "the change is not announced" })
	kill(t, p)
	degraded(t, reader.client)
	wantStale(t, reader, "a", "v")
}

func TestWhatRedisLostAndNobodyPutBackIsServedAsStaleInTheNextOutage(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	writer, reader := twoOf(t, p)
	if err := writer.client.Close(); err != nil {
		t.Fatal(err)
	}
	before := times(reader.client)
	kill(t, p)
	restart(t, p, redisproc.Empty)
	returned(t, reader.client, before)
	_, err := reader.Lookup(t.Context(), "a")
	wantErr(t, err, ErrNotFound)
	kill(t, p)
	degraded(t, reader.client)
	wantStale(t, reader, "a", "v")
}

func TestWhatIsDeletedIsInNoMemoryAfterwards(t *testing.T) {
	t.Parallel()
	deletes := map[string]func(p *redisproc.Process, writer, reader *Cache[string]) error{
		"by another process just after an outage": func(_ *redisproc.Process, writer, _ *Cache[string]) error {
			_, err := writer.Delete(t.Context(), "a")
			return err
		},
		"by another program": func(p *redisproc.Process, _, reader *Cache[string]) error {
			reader.client.one().Feed.Begun.Store(-shard.SettlingTime)
			redisDo(t, p, "DEL", "c:a")
			return nil
		},
		"by another program just after an outage, and read": func(p *redisproc.Process, _, reader *Cache[string]) error {
			redisDo(t, p, "DEL", "c:a")
			waitUntil(t, 20*time.Second, func() bool { it := reader.peek("a"); return it == nil || it.Newer == local.HasNewer }, func() string { return "not announced" })
			_, err := reader.Lookup(t.Context(), "a")
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		},
	}
	for name, remove := range deletes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{})
			writer, reader := twoOf(t, p)
			if err := remove(p, writer, reader); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, 20*time.Second, func() bool { return reader.peek("a") == nil }, func() string { return "memory still holds it" })
		})
	}
}
