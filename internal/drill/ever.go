package drill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
)

// class is that of the drill's keys.
const class = "drill"

// connectMost is how long a client may take to find its master.
const connectMost = 10 * time.Second

// everClient is evercache, as an application uses it.
type everClient struct {
	client *evercache.Client
	cache  *evercache.Cache[string]
	prefix string // of REDIS_KEY_PREFIX
	id     string
}

func openEvercache(ctx context.Context, o evercache.Options, id string, ttl time.Duration) (*everClient, error) {
	o.Logger = slog.New(slog.DiscardHandler) // what happens is in the report
	o.JournalDir = ""                        // it is that of a service
	c, err := evercache.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	e := &everClient{client: c, prefix: o.KeyPrefix, id: id}
	if e.cache, err = evercache.NewCache[string](c, class, evercache.Policy{TTL: ttl}); err == nil {
		waiting, cancel := context.WithTimeout(ctx, connectMost)
		err = c.WaitConnected(waiting)
		cancel()
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("evercache is not connected: %w", err)
	}
	return e, nil
}

func (e *everClient) key(k string) string  { return e.id + ":" + k }
func (e *everClient) full(k string) string { return e.prefix + class + ":" + e.key(k) }

func (e *everClient) write(ctx context.Context, k string) (landed bool, err error) {
	r, err := e.cache.Set(ctx, e.key(k), value)
	return r.Durability >= evercache.Master, err
}

func (e *everClient) remove(ctx context.Context, k string) (landed bool, err error) {
	r, err := e.cache.Delete(ctx, e.key(k))
	return r.Durability >= evercache.Master, err
}

func (e *everClient) read(ctx context.Context, k string) (fromMemory bool, err error) {
	got, err := e.cache.Lookup(ctx, e.key(k))
	switch {
	case errors.Is(err, evercache.ErrNotFound):
		return false, errMissing
	case err == nil && got.Value != value:
		return false, errors.New("another value than was written")
	}
	return got.Source == evercache.SourceMemory, err
}

func (e *everClient) flush(ctx context.Context) error {
	for {
		h := e.client.Health()
		if h.State == health.Connected && h.OutboxEntries == 0 {
			return nil
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("%d writes still wait for a master, state %s", h.OutboxEntries, h.State)
		}
	}
}

func (e *everClient) close() { _ = e.client.Close() }
