package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
)

const never = evercache.Never

// everClient is evercache with one class.
type everClient struct {
	client *evercache.Client
	cache  *evercache.Cache[string]
	prefix string
}

func openEvercache(l1TTL time.Duration) func(context.Context, place, string) (client, error) {
	return func(ctx context.Context, p place, class string) (client, error) {
		log := slog.New(slog.DiscardHandler)
		if p.log {
			log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("client", class)
		}
		c, err := evercache.Open(ctx, evercache.Options{
			Sentinels: p.sentinels, MasterName: p.masterName, ClusterNodes: p.cluster, AddressMap: p.detours, Logger: log,
		})
		if err != nil {
			return nil, err
		}
		cache, err := evercache.NewCache[string](c, class, evercache.Policy{L1TTL: l1TTL})
		if err != nil {
			_ = c.Close()
			return nil, err
		}
		return &everClient{c, cache, class + ":"}, nil
	}
}

func (c *everClient) Set(ctx context.Context, key, value string) (chaos.Ack, error) {
	return chaos.AckOf(c.cache.Set(ctx, strings.TrimPrefix(key, c.prefix), value))
}

func (c *everClient) Delete(ctx context.Context, key string) (chaos.Ack, error) {
	return chaos.AckOf(c.cache.Delete(ctx, strings.TrimPrefix(key, c.prefix)))
}

func (c *everClient) Get(ctx context.Context, key string) (string, error) {
	e, err := c.cache.Lookup(ctx, strings.TrimPrefix(key, c.prefix))
	if errors.Is(err, evercache.ErrNotFound) {
		err = errNotThere
	}
	return e.Value, err
}

func (c *everClient) settle(ctx context.Context) error {
	err := until(ctx, func() bool {
		h := c.client.Health()
		if h.Cluster != nil {
			return h.Cluster.Confirmed && h.Cluster.Known == clusterNodes && h.Cluster.Reachable == clusterNodes
		}
		s := h.Sentinel
		return s != nil && s.Stage == "clear" && !s.Provisional && s.Reachable == sentinels
	})
	if err != nil {
		return err
	}
	return c.client.WaitConnected(ctx)
}

func (c *everClient) flush(ctx context.Context) error {
	var h health.Report
	err := until(ctx, func() bool {
		h = c.client.Health()
		return h.State == health.Connected && h.OutboxEntries == 0
	})
	if err != nil {
		return fmt.Errorf("%d writes wait in it, state %v, cause %v: %w", h.OutboxEntries, h.State, h.Cause, err)
	}
	return nil
}

// explain is what the client counted of its own recovery.
func (c *everClient) explain() string {
	s, r := c.client.Stats(), c.client.Health().Recovery
	return fmt.Sprintf("it says: replayed %d, uncovered %d, superseded %d, order unknown %d, expired %d, rejected %d, overflowed %d, dropped %d+%d",
		s.OutboxReplayed, r.Uncovered, r.Superseded, r.Invalidated, s.OutboxExpired, s.OutboxRejected, s.OutboxOverflowed,
		r.DroppedValues, r.DroppedKeys)
}

func (c *everClient) close() { _ = c.client.Close() }
