package evercache

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
	heartbeatEvery   = 500 * time.Millisecond
	heartbeatTimeout = 250 * time.Millisecond
	heartbeatTTL     = time.Hour
)

// keepMaster keeps a verified master in c.node until ctx ends. It alone writes
// c.node.
func (sh *shard) keepMaster(ctx context.Context) {
	if sh.opts.Mode == health.ModeSentinel {
		sh.followSentinels(ctx)
		return
	}
	remote.KeepStandalone(ctx, sh.nodeConfig(sh.opts.Addr), sh.heartbeat(), sh.redis, remote.Hooks{
		Up:     sh.masterUp,
		Down:   sh.masterDown,
		Failed: sh.dialFailed,
		Beat: func(n *remote.Node, b remote.Barrier) {
			// A single server is the only master, and there is none to be promoted.
			sh.masterBeat(n, watch.Beat{N: b.N, SentAt: b.SentAt, Replicas: b.Acked, Confirms: true, Alone: true})
		},
	})
}

// nodeConfig says how to reach a node.
func (sh *shard) nodeConfig(addr string) remote.Config {
	password, _ := sh.opts.Secrets()
	return remote.Config{
		Addr:         addr,
		Username:     sh.opts.Username,
		Password:     password,
		PasswordFile: sh.opts.PasswordFile,
		DB:           sh.opts.DB,
		TLS:          sh.opts.TLS,
		TLSNow:       sh.opts.TLSNow,
		DialTimeout:  sh.opts.DialTimeout,
		MaxValue:     sh.opts.MaxValueBytes,
		Sizes:        &sh.sizes,
		Track:        &remote.Tracking{More: sh.tracked, Invalidated: sh.announcedByRedis},
	}
}

func (sh *shard) heartbeat() remote.Heartbeat {
	return remote.Heartbeat{
		Key:     sh.opts.KeyPrefix + "~b:" + sh.process,
		Marker:  sh.opts.KeyPrefix + "~dataset",
		Earlier: sh.journal.processes(sh.opts.KeyPrefix),
		Book:    book{sh},
		Clocks:  sh.clocks,
		Left:    sh.left,
		Pace:    sh.beatPace,
		Kick:    sh.barriers.kick,
		TTL:     heartbeatTTL,
		Every:   heartbeatEvery,
		Timeout: heartbeatTimeout,
		Slow:    sh.opts.ReadTimeout / 2,
	}
}

func (sh *shard) masterUp(n *remote.Node) {
	sh.redis.dials.Add("ok")
	sh.reached.Store(true)
	sh.status.mastered(n.Addr)
	sh.blackouts.end(n.Addr, sh.replayed.Load())
	n.Epoch.Store(sh.ledger.Epoch())
	sh.flushes.forget()
	sh.listen(n)
	sh.publish(n)
	sh.status.apply(masterVerified, nil)
	sh.wakeReplay()
	sh.changedUnheard()
}

func (sh *shard) masterDown(cause error) {
	sh.publish(nil)
	sh.unlisten()
	sh.blackouts.begin()
	if opened, ok := cause.(*remote.OpenError); ok {
		sh.redis.opened.Add(string(opened.Cause))
	}
	sh.status.apply(masterLost, cause)
}

func (sh *shard) dialFailed(err error) {
	sh.countDialError(err)
	sh.blame(err)
}

// blame keeps why there is no master. The log learns it as a finding: see bulletin.
func (sh *shard) blame(err error) { sh.status.blame(err) }

func (sh *shard) countDialError(err error) {
	sh.redis.dials.Add("error")
	sh.redis.errors.Add(string(remote.KindOf(err)))
}

// publish lets every caller use the node, or none, and wakes who waits for one.
func (sh *shard) publish(n *remote.Node) {
	sh.node.Store(n)
	changed := make(chan struct{})
	close(*sh.nodeChanged.Swap(&changed))
}

// episodePatience is how old an episode may be for a write to wait for the next
// master: in a longer one it is kept at once.
const episodePatience = 5 * time.Second

// patientMaster is awaitMaster for a write that has not tried any yet.
func (sh *shard) patientMaster(p *deadline.Budget) *remote.Node {
	if n := sh.node.Load(); n != nil {
		return n
	}
	return sh.awaitMaster(p.Bounded(), nil)
}

// awaitMaster returns a master other than not: at once if there is one, and in
// Sentinel mode, where the next one is on its way, as soon as there is, within
// ctx. nil: there is none.
func (sh *shard) awaitMaster(ctx context.Context, not *remote.Node) *remote.Node {
	for {
		changed := *sh.nodeChanged.Load()
		if n := sh.node.Load(); n != nil && n != not {
			return n
		}
		if sh.opts.Mode != health.ModeSentinel || sh.blackouts.age() > episodePatience {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// redisStats counts what was asked of Redis; it is the nodes' Observer.
type redisStats struct {
	requests  map[string]*[2]atomic.Uint64 // by command: ok, error
	errors    counter.Labelled             // by kind
	dials     counter.Labelled
	opened    counter.Labelled // circuit openings by cause
	durations counter.Histogram
}

func newRedisStats() *redisStats {
	s := &redisStats{
		requests: map[string]*[2]atomic.Uint64{},
		dials:    counter.NewLabelled("ok", "error"),
		opened:   counter.NewLabelled("errors", "slow"),
	}
	for _, name := range remote.CommandNames {
		s.requests[name] = new([2]atomic.Uint64)
	}
	kinds := make([]string, len(remote.Kinds))
	for i, k := range remote.Kinds {
		kinds[i] = string(k)
	}
	s.errors = counter.NewLabelled(kinds...)
	return s
}

// Command counts one command.
func (s *redisStats) Command(name string, took time.Duration, k remote.Kind) {
	outcome := 0
	if k != remote.OK && k != remote.Nil {
		outcome = 1
		s.errors.Add(string(k))
	}
	if n := s.requests[name]; n != nil {
		n[outcome].Add(1)
	}
	s.durations.Observe(took)
}
