package evercache

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/kit"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/internal/watch"
)

func init() {
	kit.Of = func(client any) kit.Kit { return client.(*Client).kit }
}

// inside is the Client as packages of this module see it (kit.Kit).
type inside struct {
	c *Client

	mu       sync.Mutex // guards what follows
	next     int
	findings map[int]func() []health.Finding
}

func newInside(c *Client) *inside {
	return &inside{c: c, findings: map[int]func() []health.Finding{}}
}

// kitMaster is a node as kit.Master.
type kitMaster struct {
	node   *remote.Node
	config remote.Config
}

func (m kitMaster) Addr() string { return m.node.Addr }

func (m kitMaster) Do(ctx context.Context, limit time.Duration, commands ...[]string) ([]kit.Reply, error) {
	replies, err := m.node.Raw(ctx, limit, commands...)
	return kitReplies(replies), err
}

func (m kitMaster) Dial(ctx context.Context) (kit.Link, error) {
	l, err := remote.DialLink(ctx, m.node.Beside(m.config))
	if err != nil {
		return nil, err
	}
	if err := m.node.Meets(ctx, l); err != nil {
		l.Close()
		return nil, err
	}
	return kitLink{l}, nil
}

func (m kitMaster) ServerTime(at time.Time) (low, high int64) { return m.node.ServerTime(at) }

func (m kitMaster) ClockAhead(wall time.Time) (low, high time.Duration, ok bool) {
	return m.node.ClockAhead(wall)
}

type kitLink struct{ *remote.Link }

func (l kitLink) Ask(ctx context.Context, limit time.Duration, commands ...[]string) ([]kit.Reply, error) {
	replies, err := l.Link.Ask(ctx, limit, commands...)
	return kitReplies(replies), err
}

func kitReplies(rs []remote.Reply) []kit.Reply {
	out := make([]kit.Reply, len(rs))
	for i, r := range rs {
		out[i] = kit.Reply(r)
	}
	return out
}

func (i *inside) Master() (kit.Master, <-chan struct{}) {
	changed := *i.c.shard.NodeChanged.Load()
	n := i.c.shard.Node.Load()
	if n == nil {
		return nil, changed
	}
	config := i.c.shard.NodeConfig(n.Addr)
	config.Track = nil
	return kitMaster{n, config}, changed
}

func (i *inside) Lease() time.Time {
	_, barrier, _, _ := i.c.shard.Feed.State()
	if barrier == 0 {
		return time.Time{}
	}
	return i.c.shard.Clock.Moment(barrier)
}

func (i *inside) OnBeat(f func(kit.Beat)) (stop func()) {
	return i.c.shard.Beats.Add(func(b watch.Beat) {
		f(kit.Beat{SentAt: b.SentAt, Confirms: b.Confirms, Alone: b.Alone})
	})
}

func (i *inside) AwaitBarrier(ctx context.Context, m kit.Master, replicas int) int {
	own, ok := m.(kitMaster)
	if !ok {
		return 0
	}
	return i.c.shard.Barriers.Await(ctx, own.node, i.c.shard.Ledger.Next(), replicas)
}

func (i *inside) Keep(ctx context.Context, key string, payload []byte) (bool, error) {
	j := i.c.shard.Journal
	if j == nil {
		return false, nil
	}
	commit, err := j.Foreign(journal.Entry{Kind: shard.EntryForeign, Key: shard.ForeignKey + key, Payload: payload})
	if err != nil {
		return true, err
	}
	return true, commit.Wait(ctx)
}

func (i *inside) Forget(key string) {
	i.c.shard.Journal.Done(shard.ForeignKey+key, math.MaxInt64)
}

func (i *inside) Kept(prefix string) map[string][]byte {
	found := map[string][]byte{}
	for key, payload := range i.c.shard.Kept {
		if strings.HasPrefix(key, prefix) {
			found[key] = payload
		}
	}
	return found
}

func (i *inside) KeyPrefix() string           { return i.c.opts.KeyPrefix }
func (i *inside) MemoryOnly() bool            { return i.c.opts.MemoryOnly }
func (i *inside) Process() string             { return i.c.shard.Process }
func (i *inside) WriteTimeout() time.Duration { return i.c.opts.WriteTimeout }
func (i *inside) ReadTimeout() time.Duration  { return i.c.opts.ReadTimeout }
func (i *inside) CloseTimeout() time.Duration { return i.c.opts.CloseTimeout }
func (i *inside) Log() *slog.Logger           { return i.c.shard.Log }

func (i *inside) Go(f func(context.Context)) bool {
	return i.c.shard.Spawn(func() { f(i.c.shard.Ctx) })
}

func (i *inside) AddFindings(f func() []health.Finding) (stop func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.next++
	id := i.next
	i.findings[id] = f
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.findings, id)
	}
}

func (i *inside) found() (fs []health.Finding) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, f := range i.findings {
		fs = append(fs, f()...)
	}
	return fs
}
