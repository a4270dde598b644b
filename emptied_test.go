package evercache

import (
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/redisproc"
)

// startLoss starts two processes on one server. Both have read a key that a third one wrote,
// which is gone, and the first is cut off.
func startLoss(t *testing.T, aFirst bool, config ...string) pair {
	t.Helper()
	p := startRedis(t, redisproc.Options{Config: config})
	link := startProxy(t, p.Addr())
	addrs := []string{link.Addr(), p.Addr()}
	if !aFirst {
		slices.Reverse(addrs)
	}
	policy := Policy{TTL: time.Hour, Stale: time.Hour}
	caches := []*Cache[string]{cacheAt(t, addrs[0], policy), cacheAt(t, addrs[1], policy)}
	if !aFirst {
		slices.Reverse(caches)
	}
	writer := cacheAt(t, p.Addr(), policy)
	wantWritten(t, Master)(writer.Set(t.Context(), "k", "v"))
	wantErr(t, writer.client.Close(), nil)
	for _, c := range caches {
		waitCovers(t, c, "k", "v")
	}
	return pair{p, link, caches[0], caches[1]}
}

// again ends the server and starts it with other data, and waits until b has been there.
func (p pair) again(t *testing.T, data redisproc.Data) {
	t.Helper()
	n := times(p.b.client)
	kill(t, p.server)
	restart(t, p.server, data)
	returned(t, p.b.client, n)
}

// The dataset is another one, however that is noticed: what Redis has lost stays in each memory.
func TestWhatRedisLostIsServedAsStaleWhicheverProcessReachedItFirst(t *testing.T) {
	t.Parallel()
	const rights = "user default on nopass ~* &* +@all"
	for _, tt := range []struct {
		name    string
		config  []string
		bFirst  bool // b marked the dataset
		before  func(*testing.T, pair)
		happens func(*testing.T, pair)
		untold  bool // nothing tells that all is gone
	}{
		{name: "emptied", happens: func(t *testing.T, p pair) {
			wantErr(t, p.b.client.Close(), nil)
			kill(t, p.server)
			restart(t, p.server, redisproc.Empty)
		}},
		{name: "emptied, another process was there first", happens: func(t *testing.T, p pair) { p.again(t, redisproc.Empty) }},
		{name: "emptied, another process was there first, each time", bFirst: true, happens: func(t *testing.T, p pair) { p.again(t, redisproc.Empty) }},
		{
			name: "emptied twice", bFirst: true,
			happens: func(t *testing.T, p pair) { p.again(t, redisproc.Empty); p.again(t, redisproc.Empty) },
		},
		{
			name: "emptied, after the marker was deleted by hand",
			before: func(t *testing.T, p pair) {
				redisDo(t, p.server, "DEL", "~dataset")
				heard(t, p.b.client)
				heard(t, p.a.client)
			},
			happens: func(t *testing.T, p pair) { p.again(t, redisproc.Empty) },
		},
		{
			name: "emptied, and the marker is hidden", config: []string{rights + " resetkeys ~c:* ~~b:* ~~d:* ~~p:* ~~s:* ~~t:*"},
			happens: func(t *testing.T, p pair) { p.again(t, redisproc.Empty) },
		},
		{
			name: "emptied, and the barriers are hidden", config: []string{rights + " resetkeys ~c:* ~~dataset ~~d:* ~~p:* ~~s:* ~~t:*"},
			happens: func(t *testing.T, p pair) { p.again(t, redisproc.Empty) },
		},
		{
			name: "emptied, and marker and barriers are hidden", untold: true, config: []string{rights + " resetkeys ~c:* ~~d:* ~~p:* ~~s:* ~~t:*"},
			happens: func(t *testing.T, p pair) { p.again(t, redisproc.Empty) },
		},
		{
			name: "emptied, and nobody tells which run it is", config: []string{`rename-command INFO ""`},
			happens: func(t *testing.T, p pair) { p.again(t, redisproc.Empty) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startLoss(t, !tt.bFirst, tt.config...)
			if tt.before != nil {
				tt.before(t, p)
			}
			p.cut(t)
			tt.happens(t, p)
			p.heal(t)
			_, err := p.a.Lookup(t.Context(), "k")
			wantErr(t, err, ErrNotFound)
			if h := p.a.client.Health(); hasFinding(h, "dataset-reset") == tt.untold || h.Recovery.DatasetResets > 1 {
				t.Errorf("%d resets, findings %+v", h.Recovery.DatasetResets, h.Findings)
			}
			p.cut(t)
			wantStale(t, p.a, "k", "v")
		})
	}
}

// What came back is an older state of the same dataset, or lacks what was written last.
func TestWhatAnOlderDatasetLacksIsServedAsStale(t *testing.T) {
	t.Parallel()
	p := startLoss(t, true, "appendonly no")
	redisDo(t, p.server, "DEL", "c:k") // the snapshot is of before it was written
	waitUntil(t, 20*time.Second, func() bool { return p.a.peek("k") == nil || p.a.peek("k").Newer == local.HasNewer }, func() string { return "not announced" })
	redisDo(t, p.server, "SAVE")
	heard(t, p.a.client)
	writer := cacheAt(t, p.server.Addr(), Policy{TTL: time.Hour})
	wantWritten(t, Master)(writer.Set(t.Context(), "k", "v"))
	waitCovers(t, p.a, "k", "v")
	wantErr(t, writer.client.Close(), nil)
	p.cut(t)
	p.again(t, redisproc.KeepData)
	p.heal(t)
	waitFinding(t, p.a.client, "dataset-older")
	_, err := p.a.Lookup(t.Context(), "k")
	wantErr(t, err, ErrNotFound)
	p.cut(t)
	wantStale(t, p.a, "k", "v")
}

// A loss is no reason to keep what somebody has deleted: it leaves a trace.
func TestWhatWasDeletedIsNotTakenForLost(t *testing.T) {
	t.Parallel()
	deletes := map[string]func(*testing.T, pair){
		"the key": func(t *testing.T, p pair) {
			wantMaster(t, func() (Receipt, error) { return p.b.Delete(t.Context(), "k") })
		},
		"a prefix": func(t *testing.T, p pair) {
			_, _, err := p.b.DeletePrefix(t.Context(), "k")
			wantErr(t, err, nil)
		},
	}
	reads := map[string]func(*testing.T, *Cache[string]){
		"Lookup": func(t *testing.T, c *Cache[string]) {
			_, err := c.Lookup(t.Context(), "k")
			wantErr(t, err, ErrNotFound)
		},
		"GetMany": func(t *testing.T, c *Cache[string]) {
			got, err := c.GetMany(t.Context(), []string{"first", "k"}, nil)
			if err != nil || len(got) != 1 {
				t.Errorf("%v, %v", got, err)
			}
		},
	}
	for what, remove := range deletes {
		for how, read := range reads {
			t.Run(what+", "+how, func(t *testing.T) {
				t.Parallel()
				p := startLoss(t, true, "appendonly yes", "appendfsync always")
				p.cut(t)
				remove(t, p)
				p.again(t, redisproc.KeepData)
				p.heal(t)
				if !p.a.keys.Bereft("k") {
					t.Fatal("the restart is not noticed")
				}
				read(t, p.a)
				if it := p.a.peek("k"); it != nil {
					t.Errorf("memory still holds %+v", it)
				}
			})
		}
	}
}

// What another process puts back is not asked for twice, and a reconnect loses nothing.
func TestAReconnectLosesNothing(t *testing.T) {
	t.Parallel()
	p := startLoss(t, true)
	p.cut(t)
	redisDo(t, p.server, "DEL", "c:k") // by a program that leaves no trace
	p.heal(t)
	_, err := p.a.Lookup(t.Context(), "k")
	wantErr(t, err, ErrNotFound)
	if it := p.a.peek("k"); it != nil || p.a.keys.Bereft("k") {
		t.Errorf("memory still holds %+v", it)
	}
}

// A barrier that the server refuses is none that it could have lost.
func TestAServerThatTakesNoBarriersHasNotLostThem(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour})
	redisDo(t, p, "CONFIG", "SET", "maxmemory", "1")
	waitUntil(t, 20*time.Second, func() bool { return c.client.Stats().RedisRequests["heartbeat"]["error"] > 2 }, func() string { return "it takes barriers" })
	dials := c.client.Stats().RedisDials["ok"]
	redisDo(t, p, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	waitUntil(t, 20*time.Second, func() bool { return c.client.Stats().RedisDials["ok"] > dials }, func() string { return "not dialled again" })
	if h := c.client.Health(); hasFinding(h, "dataset-older") || hasFinding(h, "dataset-reset") || c.keys.Bereft("k") {
		t.Errorf("findings %+v", h.Findings)
	}
}
