package evercache

import (
	"context"
	"sync/atomic"
	"time"

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
func (c *Client) keepMaster(ctx context.Context) {
	if c.opts.mode() == Sentinel {
		c.followSentinels(ctx)
		return
	}
	remote.KeepStandalone(ctx, c.nodeConfig(c.opts.Addr), c.heartbeat(), c.redis, remote.Hooks{
		Up:     c.masterUp,
		Down:   c.masterDown,
		Failed: c.dialFailed,
		Beat: func(n *remote.Node, b remote.Barrier) {
			// A single server is the only master, and there is none to be promoted.
			c.masterBeat(n, watch.Beat{N: b.N, SentAt: b.SentAt, Replicas: b.Acked, Confirms: true, Alone: true})
		},
	})
}

// nodeConfig says how to reach a node.
func (c *Client) nodeConfig(addr string) remote.Config {
	password, _ := c.passwords()
	return remote.Config{
		Addr:         addr,
		Username:     c.opts.Username,
		Password:     password.Reveal(),
		PasswordFile: c.opts.PasswordFile,
		DB:           c.opts.DB,
		TLS:          c.opts.TLS,
		TLSNow:       tlsNow(c.keyFiles.redis),
		DialTimeout:  c.opts.DialTimeout,
		MaxValue:     c.opts.MaxValueBytes,
		Sizes:        &c.sizes,
		Track:        &remote.Tracking{More: c.tracked, Invalidated: c.announcedByRedis},
	}
}

func (c *Client) heartbeat() remote.Heartbeat {
	return remote.Heartbeat{
		Key:     c.opts.KeyPrefix + "~b:" + c.process,
		Marker:  c.opts.KeyPrefix + "~dataset",
		Earlier: c.journal.processes(c.opts.KeyPrefix),
		Book:    book{c},
		Clocks:  c.clocks,
		Left:    c.left,
		Pace:    c.beatPace,
		Kick:    c.barriers.kick,
		TTL:     heartbeatTTL,
		Every:   heartbeatEvery,
		Timeout: heartbeatTimeout,
		Slow:    c.opts.ReadTimeout / 2,
	}
}

func (c *Client) masterUp(n *remote.Node) {
	c.redis.dials.add("ok")
	c.reached.Store(true)
	c.status.mastered(n.Addr)
	c.blackouts.end(n.Addr, c.replayed.Load())
	n.Epoch.Store(c.ledger.Epoch())
	c.flushes.forget()
	c.listen(n)
	c.publish(n)
	c.status.apply(masterVerified, nil)
	c.wakeReplay()
	c.changedUnheard()
}

func (c *Client) masterDown(cause error) {
	c.publish(nil)
	c.unlisten()
	c.blackouts.begin()
	if opened, ok := cause.(*remote.OpenError); ok {
		c.redis.opened.add(string(opened.Cause))
	}
	c.status.apply(masterLost, cause)
}

func (c *Client) dialFailed(err error) {
	c.countDialError(err)
	c.blame(err)
}

// blame keeps why there is no master. The log learns it as a finding: see bulletin.
func (c *Client) blame(err error) { c.status.blame(err) }

func (c *Client) countDialError(err error) {
	c.redis.dials.add("error")
	c.redis.errors.add(string(remote.KindOf(err)))
}

// publish lets every caller use the node, or none, and wakes who waits for one.
func (c *Client) publish(n *remote.Node) {
	c.node.Store(n)
	changed := make(chan struct{})
	close(*c.nodeChanged.Swap(&changed))
}

// episodePatience is how old an episode may be for a write to wait for the next
// master: in a longer one it is kept at once.
const episodePatience = 5 * time.Second

// patientMaster is awaitMaster for a write that has not tried any yet.
func (c *Client) patientMaster(p *patience) *remote.Node {
	if n := c.node.Load(); n != nil {
		return n
	}
	return c.awaitMaster(p.bounded(), nil)
}

// awaitMaster returns a master other than not: at once if there is one, and in
// Sentinel mode, where the next one is on its way, as soon as there is, within
// ctx. nil: there is none.
func (c *Client) awaitMaster(ctx context.Context, not *remote.Node) *remote.Node {
	for {
		changed := *c.nodeChanged.Load()
		if n := c.node.Load(); n != nil && n != not {
			return n
		}
		if c.opts.mode() != Sentinel || c.blackouts.age() > episodePatience {
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
	errors    labelled                     // by kind
	dials     labelled
	opened    labelled // circuit openings by cause
	durations histogram
}

func newRedisStats() *redisStats {
	s := &redisStats{
		requests: map[string]*[2]atomic.Uint64{},
		dials:    newLabelled("ok", "error"),
		opened:   newLabelled("errors", "slow"),
	}
	for _, name := range remote.CommandNames {
		s.requests[name] = new([2]atomic.Uint64)
	}
	kinds := make([]string, len(remote.Kinds))
	for i, k := range remote.Kinds {
		kinds[i] = string(k)
	}
	s.errors = newLabelled(kinds...)
	return s
}

// Command counts one command.
func (s *redisStats) Command(name string, took time.Duration, k remote.Kind) {
	outcome := 0
	if k != remote.OK && k != remote.Nil {
		outcome = 1
		s.errors.add(string(k))
	}
	if n := s.requests[name]; n != nil {
		n[outcome].Add(1)
	}
	s.durations.observe(took)
}
