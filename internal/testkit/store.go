package testkit

import (
	"context"
	"strings"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
)

// Store is a cache as the recorder drives it. The recorder's keys are those
// that Redis holds.
type Store struct {
	Cache *evercache.Cache[string]
}

// Class is what the keys of the drills begin with: the name of their class.
const Class = "c:"

// NewStore is a class whose reads all ask Redis first.
func NewStore(c *evercache.Client) (Store, error) {
	cache, err := evercache.NewCache[string](c, strings.TrimSuffix(Class, ":"), evercache.Policy{TTL: time.Hour, Stale: time.Hour, L1TTL: evercache.Never})
	return Store{cache}, err
}

// Set writes a value and says how far it got.
func (s Store) Set(ctx context.Context, key, value string) (chaos.Ack, error) {
	return chaos.AckOf(s.Cache.Set(ctx, strings.TrimPrefix(key, Class), value))
}

// Get looks a value up.
func (s Store) Get(ctx context.Context, key string) (string, error) {
	e, err := s.Cache.Lookup(ctx, strings.TrimPrefix(key, Class))
	return e.Value, err
}
