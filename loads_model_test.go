package evercache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// model is the reference: what an origin has had, and what the cache was told of it.
type model struct {
	writes sync.Mutex // held during a write: the origin and the cache see one order

	mu      sync.Mutex
	version map[string]int         // at the origin now
	since   map[string][]time.Time // when each version came
	told    map[string]int         // nothing older may be answered from here on
	running map[string]int         // loads of the key, by what was told before
	failing bool
	hung    bool
	takes   time.Duration
	faults  []string
}

func (m *model) fault(format string, a ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, a...))
}

// write changes the origin, and tells the cache afterwards.
func (m *model) write(key string, tell func(version int) error) {
	m.writes.Lock()
	defer m.writes.Unlock()
	m.mu.Lock()
	m.version[key]++
	v := m.version[key]
	m.since[key] = append(m.since[key], time.Now())
	m.mu.Unlock()
	if tell(v) != nil {
		return
	}
	m.mu.Lock()
	m.told[key] = max(m.told[key], v)
	m.mu.Unlock()
}

func (m *model) load(ctx context.Context, key string) (int, error) {
	m.mu.Lock()
	v, takes, hung, failing := m.version[key], m.takes, m.hung, m.failing
	at := fmt.Sprint(key, " since ", m.told[key])
	if m.running[at]++; m.running[at] > 2 { // one, and another that began during a write
		m.fault("%s: %d loads at a time", key, m.running[at])
	}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.running[at]--
		m.mu.Unlock()
	}()
	if hung {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	time.Sleep(takes)
	switch {
	case failing:
		return 0, errOrigin
	case v == 0:
		return 0, ErrNotFound
	}
	return v, nil
}

// judge looks at what a read has answered that began at some time, when no version before least was
// allowed any more.
func (m *model) judge(p Policy, key string, began time.Time, least int, e Entry[int], err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	took := time.Since(began)
	longest := p.LoadTimeout
	if p.RefreshAhead > 0 { // it may have waited for a refresh before
		longest *= 2
	}
	switch {
	case took > longest:
		m.fault("%s: a read took %v", key, took)
	case err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, errOrigin) && !errors.Is(err, errLoadTimeout) && !errors.Is(err, ErrOriginPaused):
		m.fault("%s: %v", key, err)
	case err != nil:
	case e.Value < least:
		m.fault("%s: version %d was answered after %d was written", key, e.Value, least)
	case e.Fresh && e.Value < m.version[key] && began.Sub(m.since[key][e.Value+1]) > p.TTL+p.LoadTimeout:
		m.fault("%s: version %d is called fresh %v after the next one came", key, e.Value, began.Sub(m.since[key][e.Value+1]))
	case !e.Fresh && p.Stale == 0:
		m.fault("%s: a stale value without Policy.Stale", key)
	case !e.Fresh && e.Cause == nil:
		m.fault("%s: a stale value, and nothing says why", key)
	case !e.Fresh && e.Age > p.TTL+p.Stale+p.LoadTimeout:
		m.fault("%s: a value of %v ago", key, e.Age)
	}
}

// weather changes how the origin is.
func (m *model) weather(r *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing, m.hung = r.IntN(4) == 0, r.IntN(8) == 0
	m.takes = time.Duration(r.IntN(300)) * time.Millisecond
}

// TestLoadsFollowTheReference: reads, writes, deletes, loads that fail or hang, refreshes
// and pauses, in any order.
func TestLoadsFollowTheReference(t *testing.T) {
	policies := map[string]Policy{
		"plain":   {TTL: 2 * time.Second},
		"stale":   {TTL: time.Second, Stale: 5 * time.Second, LoadTimeout: time.Second},
		"refresh": {TTL: 2 * time.Second, RefreshAhead: 0.5, LoadTimeout: time.Second, NegativeTTL: 200 * time.Millisecond},
		"all":     {TTL: time.Second, Stale: 3 * time.Second, RefreshAhead: 0.6, MaxRefreshes: 2, LoadTimeout: 500 * time.Millisecond, LoadRetryAfter: 30 * time.Millisecond},
		"none":    {TTL: time.Second, Stale: 3 * time.Second, LoadPatience: Never, LoadRetryAfter: Never, LoadTimeout: 500 * time.Millisecond},
	}
	for name, p := range policies {
		for seed := range uint64(8) {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) {
				faked(t, func(t *testing.T, client *Client) { followModel(t, client, p, seed) })
			})
		}
	}
}

func followModel(t *testing.T, client *Client, p Policy, seed uint64) {
	c := cacheOf[int](t, client, "c", p)
	p = p.withDefaults(Options{})
	m := &model{version: map[string]int{}, since: map[string][]time.Time{}, told: map[string]int{}, running: map[string]int{}}
	const keys, actors, steps = 6, 8, 250
	for i := range keys {
		m.since[fmt.Sprint(i)] = []time.Time{time.Now()}
	}
	var wg sync.WaitGroup
	for actor := range uint64(actors) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, actor))
			for range steps {
				m.act(t.Context(), c, p, r, fmt.Sprint(r.IntN(keys)))
				time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
			}
		})
	}
	wg.Wait()
	m.mu.Lock()
	m.failing, m.hung, m.takes = false, false, 0
	m.mu.Unlock()
	time.Sleep(time.Minute) // no pause lasts longer, and nothing is fresh
	for key, v := range m.version {
		e, err := c.GetEntry(t.Context(), key, m.load)
		if err != nil || e.Value != v || !e.Fresh {
			m.fault("%s: in the end %+v, %v; the origin has %d", key, e, err, v)
		}
	}
	synctest.Wait()
	if flights, fills := c.flights.Len(); flights+fills != 0 || c.ahead.n.Load() != 0 {
		m.fault("%d flights, %d fills, %d refreshes are left", flights, fills, c.ahead.n.Load())
	}
	for i, f := range m.faults[:min(5, len(m.faults))] {
		t.Errorf("fault %d of %d: %s", i+1, len(m.faults), f)
	}
}

// act is one step of one actor.
func (m *model) act(ctx context.Context, c *Cache[int], p Policy, r *rand.Rand, key string) {
	m.mu.Lock()
	least := m.told[key]
	m.mu.Unlock()
	began := time.Now()
	switch n := r.IntN(20); n {
	case 0:
		m.write(key, func(v int) error { _, err := c.Set(ctx, key, v); return err })
	case 1:
		m.write(key, func(int) error { _, err := c.Delete(ctx, key); return err })
	case 2:
		m.write(key, func(int) error { _, _, err := c.DeletePrefix(ctx, key); return err })
	case 3:
		m.weather(r)
	case 4, 5:
		got, _ := c.GetMany(ctx, []string{key}, func(ctx context.Context, keys []string) (map[string]int, error) {
			v, err := m.load(ctx, keys[0])
			if errors.Is(err, ErrNotFound) {
				return nil, nil
			}
			return map[string]int{keys[0]: v}, err
		})
		if v, ok := got[key]; ok {
			m.judge(p, key, began, least, Entry[int]{Value: v, Fresh: p.Stale == 0, Cause: errOrigin}, nil)
		}
	case 6:
		e, err := c.Lookup(ctx, key)
		if err == nil {
			m.judge(p, key, began, least, e, nil)
		}
	default:
		e, err := c.GetEntry(ctx, key, m.load)
		m.judge(p, key, began, least, e, err)
	}
}
