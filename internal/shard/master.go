package shard

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/counter"
	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/watch"
)

const (
	heartbeatEvery   = 500 * time.Millisecond // while the shard is in use
	heartbeatTimeout = 250 * time.Millisecond
	heartbeatTTL     = time.Hour
)

// keepMaster keeps a verified master in sh.Node until ctx ends. It alone writes
// sh.Node.
func (sh *Shard) keepMaster(ctx context.Context) {
	if sh.Config.Mode == health.ModeSentinel {
		sh.followSentinels(ctx)
		return
	}
	remote.KeepStandalone(ctx, sh.NodeConfig(sh.Config.Addr), sh.Heartbeat(), sh.Redis, remote.Hooks{
		Up:     sh.masterUp,
		Down:   sh.masterDown,
		Failed: sh.dialFailed,
		Beat: func(n *remote.Node, b remote.Barrier) {
			// A single server is the only master, and there is none to be promoted.
			sh.heartbeatAnswered(n, watch.Beat{N: b.N, SentAt: b.SentAt, Written: b.Written, Replicas: b.Acked, Confirms: true, Alone: true})
		},
	})
}

// NodeConfig says how to reach a node.
func (sh *Shard) NodeConfig(addr string) remote.Config {
	password, _ := sh.Config.Secrets()
	return remote.Config{
		Addr:         addr,
		Username:     sh.Config.Username,
		Password:     password,
		PasswordFile: sh.Config.PasswordFile,
		DB:           sh.Config.DB,
		TLS:          sh.Config.TLS,
		TLSNow:       sh.Config.TLSNow,
		DialTimeout:  sh.Config.DialTimeout,
		MaxValue:     sh.Config.MaxValueBytes,
		Sizes:        &sh.sizes,
		Track:        sh.tracking(),
	}
}

func (sh *Shard) tracking() *remote.Tracking {
	return &remote.Tracking{
		More:        sh.tracked,
		Invalidated: sh.announcedByRedis,
		Ended:       sh.hungUp,
	}
}

func (sh *Shard) Heartbeat() remote.Heartbeat {
	return remote.Heartbeat{
		Key:     sh.Config.KeyPrefix + "~b:" + sh.process,
		Marker:  sh.Config.KeyPrefix + "~dataset",
		Earlier: sh.earlier(),
		Book:    sh.unconfirmedWrites(),
		Clocks:  sh.clocks,
		Left:    sh.left,
		Cuts:    &sh.cuts,
		Pace:    sh.heartbeatPace,
		Kick:    sh.Barriers.kick,
		TTL:     heartbeatTTL,
		Every:   RestEach,
		Timeout: heartbeatTimeout,
		Slow:    sh.Config.ReadTimeout / 2,
	}
}

func (sh *Shard) masterUp(n *remote.Node) {
	sh.Redis.Dials.Add("ok")
	sh.reached.Store(true)
	sh.touch()
	if !sh.clustered() {
		sh.status.mastered(n.Addr)
	}
	sh.latest.Store(n)
	sh.downtimes.end(n.Addr, sh.replayed.Load())
	n.Epoch.Store(sh.Ledger.Epoch())
	sh.flushes.forget()
	sh.listen(n)
	sh.Publish(n)
	if sh.everyMaster() {
		sh.status.Apply(masterVerified, nil)
	}
	sh.WakeReplay()
	sh.changedUnheard()
}

func (sh *Shard) masterDown(cause error) {
	sh.Publish(nil)
	sh.Unlisten()
	sh.downtimes.begin()
	if opened, ok := cause.(*remote.OpenError); ok {
		sh.Redis.Opened.Add(string(opened.Cause))
	}
	sh.status.Apply(masterLost, cause)
}

func (st *Store) dialFailed(err error) {
	st.countDialError(err)
	st.blame(err)
}

// blame keeps why there is no master. The log learns it as a finding: see bulletin.go of the client.
func (st *Store) blame(err error) { st.status.blame(err) }

func (st *Store) countDialError(err error) {
	st.Redis.Dials.Add("error")
	st.Redis.Errors.Add(string(remote.KindOf(err)))
}

// Publish lets every caller use the node, or none, and wakes who waits for one.
func (sh *Shard) Publish(n *remote.Node) {
	sh.Node.Store(n)
	sh.stir()
}

// episodePatience is how old an episode may be for a write to wait for the next
// master: in a longer one it is kept at once.
const episodePatience = 5 * time.Second

// patientMaster is awaitMaster for a write that has not tried any yet.
func (st *Store) patientMaster(p *deadline.Budget, full string) (*Shard, *remote.Node) {
	sh := st.of(full)
	if n := sh.Node.Load(); n != nil {
		return sh, n
	}
	return st.awaitMaster(p.Bounded(), full, nil)
}

// awaitMaster returns a master of the key other than not: at once if there is one, and
// in Sentinel and Cluster mode, where the next one is on its way, as soon as there is, within
// ctx. nil: there is none.
func (st *Store) awaitMaster(ctx context.Context, full string, not *remote.Node) (*Shard, *remote.Node) {
	for {
		sh := st.of(full)
		changed := *sh.nodeChanged.Load()
		if st.of(full) != sh {
			continue
		}
		if n := sh.Node.Load(); n != nil && n != not {
			return sh, n
		}
		if st.Config.Mode != health.ModeSentinel && !st.clustered() || st.masterlessFor(sh) > episodePatience {
			return sh, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return sh, nil
		}
	}
}

// masterlessFor is how long a shard has had no master. Keys whose slot nobody owns have had none
// since slots were left without an owner.
func (st *Store) masterlessFor(sh *Shard) time.Duration {
	if sh != st.nobody || st.nobody == nil {
		return sh.downtimes.age()
	}
	if since := st.incomplete.Load(); since != 0 {
		return time.Duration(st.Clock.Now() - since)
	}
	return 0
}

// redisStats counts what was asked of Redis; it is the nodes' Observer.
type redisStats struct {
	*calls
	Requests  map[string]*[2]atomic.Uint64 // by command: ok, error
	Errors    counter.Labelled             // by kind
	Dials     counter.Labelled
	Opened    counter.Labelled // circuit openings by cause
	Durations counter.Histogram
}

func newRedisStats(o Config) *redisStats {
	s := &redisStats{
		calls:    newCalls(o),
		Requests: map[string]*[2]atomic.Uint64{},
		Dials:    counter.NewLabelled("ok", "error"),
		Opened:   counter.NewLabelled("errors", "slow"),
	}
	for _, name := range remote.CommandNames {
		s.Requests[name] = new([2]atomic.Uint64)
	}
	kinds := make([]string, len(remote.Kinds))
	for i, k := range remote.Kinds {
		kinds[i] = string(k)
	}
	s.Errors = counter.NewLabelled(kinds...)
	return s
}

// Command counts one command.
func (s *redisStats) Command(name string, took time.Duration, k remote.Kind) {
	outcome := 0
	if k != remote.OK && k != remote.Nil {
		outcome = 1
		s.Errors.Add(string(k))
	}
	if n := s.Requests[name]; n != nil {
		n[outcome].Add(1)
	}
	s.Durations.Observe(took)
}
