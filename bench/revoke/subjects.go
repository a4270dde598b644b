package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/evercache/evercache/revoke"
)

// subject is one of those that are compared.
type subject struct {
	name string
	// revoked asks for one token; an error means that there was no answer. Safe
	// for concurrent use.
	revoked func(id string) (bool, error)
	trust   trust
	remote  bool // it may ask Redis
	close   func() error
}

// trust is what the answers of a subject are worth.
type trust uint8

const (
	exact   trust = iota
	maybe         // it may say "revoked" of a token that is not
	useless       // it does no work
)

// background is the context of every question: one with a deadline costs the
// clients more.
var background = context.Background()

var errUnsure = errors.New("the list is not sure to be complete")

func nothing() error { return nil }

// openSubjects opens all of them, with the list in each. What was opened is
// returned also with an error.
func (ls *lists) openSubjects(ctx context.Context) (all []subject, err error) {
	filter := newFilter(ls.entries)
	viaRueidis, err := openRueidis(ls.plain.Addr())
	if err != nil {
		return nil, err
	}
	viaGoRedis := openGoRedis(ls.plain.Addr())
	ours, err := ls.place().openReady(ctx, revoke.Policy{})
	peers := []subject{
		inSyncMap(newSyncMap(ls.entries)),
		{name: "bloom filter, alone", revoked: func(id string) (bool, error) { return filter.has(id), nil }, trust: maybe, close: nothing},
		behind(filter, viaRueidis), behind(filter, viaGoRedis), viaRueidis, viaGoRedis,
		{name: "the loop", revoked: func(id string) (bool, error) { return id[0] == 'x', nil }, trust: useless, close: nothing},
	}
	if err != nil {
		return peers, err
	}
	return append([]subject{{name: "evercache Check", revoked: ours.revoked, close: ours.close}}, peers...), nil
}

func (l denylist) revoked(id string) (bool, error) {
	switch l.Check(revoke.Token{ID: id}).Status {
	case revoke.Revoked:
		return true, nil
	case revoke.NotRevoked:
		return false, nil
	}
	return false, errUnsure
}

// newSyncMap has the expiry of each id.
func newSyncMap(entries int) *sync.Map {
	m := new(sync.Map)
	expires := time.Now().Add(life)
	for i := range entries {
		m.Store(id(i), expires)
	}
	return m
}

func inSyncMap(m *sync.Map) subject {
	return subject{
		name: "sync.Map, id to expiry",
		revoked: func(id string) (bool, error) {
			v, ok := m.Load(id)
			if !ok {
				return false, nil
			}
			expires, ok := v.(time.Time)
			return ok && time.Now().Before(expires), nil
		},
		close: nothing,
	}
}

// falsePositives is the share of tokens that the filter takes for revoked ones.
const falsePositives = 0.01

// filter is a Bloom filter with the lock that it needs where something is added
// while others ask.
type filter struct {
	mu    sync.RWMutex // guards bloom
	bloom *bloom.BloomFilter
}

func newFilter(entries int) *filter {
	f := &filter{bloom: bloom.NewWithEstimates(uint(entries), falsePositives)}
	for i := range entries {
		f.bloom.AddString(id(i))
	}
	return f
}

func (f *filter) has(id string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.bloom.TestString(id)
}

// behind asks Redis where the filter says "perhaps". Redis is closed by its
// owner.
func behind(f *filter, redis subject) subject {
	return subject{
		name: "bloom filter, then " + redis.name,
		revoked: func(id string) (bool, error) {
			if !f.has(id) {
				return false, nil
			}
			return redis.revoked(id)
		},
		remote: true,
		close:  nothing,
	}
}

func openRueidis(addr string) (subject, error) {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		return subject{}, err
	}
	return subject{
		name: "rueidis EXISTS",
		revoked: func(id string) (bool, error) {
			n, err := c.Do(background, c.B().Exists().Key(keyPrefix+id).Build()).AsInt64()
			return n > 0, err
		},
		remote: true,
		close:  func() error { c.Close(); return nil },
	}, nil
}

func openGoRedis(addr string) subject {
	redis.SetLogger(silent{})
	c := redis.NewClient(&redis.Options{Addr: addr})
	return subject{
		name: "go-redis EXISTS",
		revoked: func(id string) (bool, error) {
			n, err := c.Exists(background, keyPrefix+id).Result()
			return n > 0, err
		},
		remote: true,
		close:  c.Close,
	}
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
