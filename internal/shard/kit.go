package shard

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
	"github.com/evercache/evercache/internal/watch"
)

// inside is the shard as packages of this module see it (kit.Kit).
type inside struct{ sh *Shard }

// Kit is what packages of this module build on.
func (st *Store) Kit() kit.Kit { return inside{st.one} }

// others are findings that are made elsewhere.
type others struct {
	mu  sync.Mutex // guards what follows
	n   int
	all map[int]func() []health.Finding
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

func (i inside) Master() (kit.Master, <-chan struct{}) {
	changed := *i.sh.nodeChanged.Load()
	n := i.sh.Node.Load()
	if n == nil {
		return nil, changed
	}
	config := i.sh.NodeConfig(n.Addr)
	config.Track = nil
	return kitMaster{n, config}, changed
}

func (i inside) Lease() time.Time {
	_, barrier, _, _ := i.sh.Feed.State()
	if barrier == 0 {
		return time.Time{}
	}
	return i.sh.Clock.Moment(barrier)
}

func (i inside) OnBeat(f func(kit.Beat)) (stop func()) {
	return i.sh.onHeartbeat.add(func(b watch.Beat) {
		f(kit.Beat{SentAt: b.SentAt, Confirms: b.Confirms, Alone: b.Alone})
	})
}

func (i inside) AwaitBarrier(ctx context.Context, m kit.Master, replicas int) int {
	own, ok := m.(kitMaster)
	if !ok {
		return 0
	}
	return i.sh.Barriers.Await(ctx, own.node, i.sh.Ledger.Next(), replicas)
}

func (i inside) Keep(ctx context.Context, key string, payload []byte) (bool, error) {
	j := i.sh.journal
	if j == nil {
		return false, nil
	}
	commit, err := j.Foreign(journal.Entry{Kind: entryForeign, Key: foreignKey + key, Payload: payload})
	if err != nil {
		return true, err
	}
	return true, commit.Wait(ctx)
}

func (i inside) Forget(key string) {
	i.sh.journal.Done(foreignKey+key, math.MaxInt64)
}

func (i inside) Kept(prefix string) map[string][]byte {
	found := map[string][]byte{}
	for key, payload := range i.sh.kept {
		if strings.HasPrefix(key, prefix) {
			found[key] = payload
		}
	}
	return found
}

func (i inside) Unasked() int { return i.sh.undone.Left() }

func (i inside) KeyPrefix() string           { return i.sh.Config.KeyPrefix }
func (i inside) MemoryOnly() bool            { return i.sh.memoryOnly() }
func (i inside) Process() string             { return i.sh.process }
func (i inside) WriteTimeout() time.Duration { return i.sh.Config.WriteTimeout }
func (i inside) ReadTimeout() time.Duration  { return i.sh.Config.ReadTimeout }
func (i inside) CloseTimeout() time.Duration { return i.sh.Config.CloseTimeout }
func (i inside) Log() *slog.Logger           { return i.sh.Log }

func (i inside) Go(f func(context.Context)) bool {
	return i.sh.Spawn(func() { f(i.sh.Ctx) })
}

func (i inside) AddFindings(f func() []health.Finding) (stop func()) { return i.sh.others.add(f) }

func (o *others) add(f func() []health.Finding) (stop func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = map[int]func() []health.Finding{}
	}
	o.n++
	id := o.n
	o.all[id] = f
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.all, id)
	}
}

func (o *others) found() (fs []health.Finding) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.all {
		fs = append(fs, f()...)
	}
	return fs
}
