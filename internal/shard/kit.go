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

// inside is the store as packages of this module see it (kit.Kit), as far as the master of
// a key is concerned.
type inside struct {
	st  *Store
	key string
}

// sh is the shard at this moment.
func (i inside) sh() *Shard {
	if i.st.one != nil {
		return i.st.one
	}
	return i.st.of(i.key)
}

func (i inside) At(key string) kit.Kit { return inside{i.st, key} }

// Kit is what packages of this module build on.
func (st *Store) Kit() kit.Kit { return inside{st: st} }

// others are findings that are made elsewhere.
type others struct {
	mu  sync.Mutex // guards what follows
	n   int
	all map[int]func() []health.Finding
}

// kitMaster is a node as kit.Master.
type kitMaster struct {
	sh     *Shard
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
	for {
		sh := i.sh()
		changed := *sh.nodeChanged.Load()
		if i.sh() != sh {
			continue
		}
		n := sh.Node.Load()
		if n == nil {
			return nil, changed
		}
		config := sh.NodeConfig(n.Addr)
		config.Track, config.NodeID, config.Cluster = nil, n.ID, n.ID != ""
		return kitMaster{sh, n, config}, changed
	}
}

func (i inside) Lease() time.Time {
	_, barrier, _, _ := i.sh().Feed.State()
	if barrier == 0 {
		return time.Time{}
	}
	return i.st.Clock.Moment(barrier)
}

func (i inside) OnBeat(f func(kit.Beat)) (stop func()) {
	return i.st.onHeartbeat.add(listener{i.sh, func(b watch.Beat) {
		f(kit.Beat{SentAt: b.SentAt, Confirms: b.Confirms, Alone: b.Alone})
	}})
}

func (i inside) AwaitBarrier(ctx context.Context, m kit.Master, replicas int) int {
	own, ok := m.(kitMaster)
	if !ok {
		return 0
	}
	return own.sh.Barriers.Await(ctx, own.node, own.sh.Ledger.Next(), replicas)
}

func (i inside) Keep(ctx context.Context, key string, payload []byte) (bool, error) {
	j := i.st.journal
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
	i.st.journal.Done(foreignKey+key, math.MaxInt64)
}

func (i inside) Kept(prefix string) map[string][]byte {
	found := map[string][]byte{}
	for key, payload := range i.st.kept {
		if strings.HasPrefix(key, prefix) {
			found[key] = payload
		}
	}
	return found
}

func (i inside) Unasked() (n int) {
	for _, sh := range i.st.shards() {
		n += sh.undone.Left()
	}
	return n
}

func (i inside) KeyPrefix() string           { return i.st.Config.KeyPrefix }
func (i inside) MemoryOnly() bool            { return i.st.memoryOnly() }
func (i inside) Process() string             { return i.st.process }
func (i inside) WriteTimeout() time.Duration { return i.st.Config.WriteTimeout }
func (i inside) ReadTimeout() time.Duration  { return i.st.Config.ReadTimeout }
func (i inside) CloseTimeout() time.Duration { return i.st.Config.CloseTimeout }
func (i inside) Log() *slog.Logger           { return i.st.Log }

func (i inside) Go(f func(context.Context)) bool {
	return i.st.Spawn(func() { f(i.st.Ctx) })
}

func (i inside) AddFindings(f func() []health.Finding) (stop func()) { return i.st.others.add(f) }

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
