package shard

import (
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/stats"
)

// Health fills in what the shards know, for the report and for its findings.
func (st *Store) Health() findings.Input { return st.one.health() }

func (sh *Shard) health() findings.Input {
	now, node, depth := sh.status.Get(), sh.Node.Load(), sh.Outbox.Depth()
	closed := now.State == health.Closed
	h := health.Report{
		State:         now.State,
		Since:         now.Since,
		Connected:     node != nil && !closed,
		Master:        now.Master,
		Cause:         now.Cause,
		Sentinel:      sh.sentinelHealth(),
		OutboxEntries: depth.Entries,
		OutboxBytes:   depth.Bytes,
		Feed:          sh.feedHealth(),
		Recovery:      sh.recoveryHealth(),
		Journal:       sh.journal.Health(),
		Clock:         clockHealth(node),
	}
	if sh.memoryOnly() || now.State == health.Connected {
		h.Cause = nil
	}
	if depth.Oldest != 0 {
		h.OutboxOldest = max(0, time.Duration(sh.Clock.Now()-depth.Oldest))
	}
	in := findings.Input{
		Report:       h,
		Now:          time.Now(),
		Unconfigured: sh.unconfigured(now.Cause),
		Overflowed:   depth.Overflowed,
		Rejected:     sh.rejections.Load(),
		RejectedAt:   time.Unix(0, sh.rejectedAt.Load()),
		ResetAt:      time.Unix(0, sh.dataset.resetAt.Load()),
		Rollback:     sh.recovery.rollback.Load(),
		Tombstones:   sh.tombs.Live(sh.Clock.Now()),
		MaxMemory:    sh.Evicting.Known().Last.MaxMemory,
		Journal:      sh.journal.Found(),
		Others:       sh.others.found(),
	}
	switch {
	case sh.memoryOnly() || closed:
	case node == nil:
		in.Away = sh.away(now.Cause)
	default:
		in.Master = sh.sayings(node)
	}
	return in
}

// Stats fills in what the shards count.
func (st *Store) Stats(s *stats.Snapshot) {
	up := st.everyMaster() && !st.Closed()
	s.RedisRequests = map[string]map[string]uint64{}
	for name, n := range st.Redis.Requests {
		s.RedisRequests[name] = map[string]uint64{"ok": n[0].Load(), "error": n[1].Load()}
	}
	s.RedisErrors = st.Redis.Errors.Snapshot()
	s.RedisDurations = st.Redis.Durations.Snapshot()
	s.RedisDials = st.Redis.Dials.Snapshot()
	s.Sentinel = st.sentinelStats()
	s.CircuitOpen = !up && st.reached.Load()
	s.CircuitOpened = st.Redis.Opened.Snapshot()
	s.OutboxReplayed = st.replayed.Load()
	s.OutboxExpired = st.expired.Load()
	s.OutboxRejected = st.rejections.Load()
	s.OutboxOverflowed = st.Outbox.Depth().Overflowed
	s.Tombstones = st.tombs.Live(st.Clock.Now())
	s.EventsDropped = st.status.Dropped.Load()
	s.StateTransitions, s.Degraded = st.status.Totals()
}

func (sh *Shard) feedHealth() health.Feed {
	now := sh.Clock.Now()
	s := sh.Feed.state()
	h := health.Feed{
		On: s.on, Cause: s.why, Lease: -1,
		Coherent: sh.Feed.Cover().Covers(now), Epoch: s.epochs,
		Announced: sh.Announced(), Flushes: sh.Feed.Flushes.Load(), Silences: s.silences,
	}
	if proof := min(s.barrier, s.heard); proof > 0 {
		h.Lease = time.Duration(now - proof)
	}
	return h
}

func (sh *Shard) recoveryHealth() health.Recovery {
	d, r := sh.Ledger.Depth(), &sh.recovery
	h := health.Recovery{
		Unconfirmed: d.Unconfirmed, UnconfirmedBytes: d.Bytes, Ring: d.Ring, RingBytes: d.RingBytes,
		Uncovered: r.lost.Load(), Superseded: r.superseded.Load(), Invalidated: r.invalidated.Load(), Evicted: r.evicted.Load(),
		DroppedValues: d.Dropped, DroppedKeys: d.DroppedKeys, DatasetResets: r.resets.Load(),
	}
	if d.Oldest != 0 {
		h.UnconfirmedOldest = max(0, time.Duration(sh.Clock.Now()-d.Oldest))
	}
	return h
}

func clockHealth(n *remote.Node) health.Clock {
	if n == nil {
		return health.Clock{}
	}
	low, high, ok := n.ClockAhead(time.Now())
	if !ok {
		return health.Clock{}
	}
	return health.Clock{Known: true, Ahead: low + (high-low)/2, Uncertainty: (high - low + 1) / 2}
}

// away says why no master is in use.
func (st *Store) away(cause error) *findings.Away {
	if cause == nil {
		cause = ErrNotYet
	}
	a := &findings.Away{Reason: ReasonOf(cause), Cause: cause.Error()}
	if st.Config.Mode == health.ModeStandalone {
		a.Addr = st.Config.Addr
	}
	if st.unconfigured(cause) {
		a.Default = st.Config.Addr
	}
	return a
}

// unconfigured reports that nobody has said where Redis is and that none is at the
// default address: memory is all there is, and nothing is missing.
func (st *Store) unconfigured(cause error) bool {
	return !st.memoryOnly() && st.MemoryIsAll() && (cause == ErrNotYet || ReasonOf(cause) == findings.Unreachable)
}

// sayings are what the master in use says.
func (sh *Shard) sayings(n *remote.Node) *findings.Master {
	server, evictions := n.Server(), sh.Evicting.Known().Last
	s := &findings.Master{
		Refused:     Reasons[n.Refused()],
		Forbidden:   n.Forbidden(),
		NoScripts:   n.ScriptsForbidden(),
		Puzzled:     n.Puzzled(),
		TooLong:     n.Oversize(),
		Apart:       n.Apart(),
		NeverEvicts: evictions.Never,
		Evicts:      evictions.Policy,
		Version:     server.Version,
		Before6_0:   server.Before(6, 0),
		Before6_2:   server.Before(6, 2),
	}
	for _, m := range n.Missing() {
		s.Missing = append(s.Missing, findings.Command{Name: m.Command, Forbidden: m.Forbidden})
	}
	if n.HeartbeatForbidden() {
		s.Mute = sh.Config.KeyPrefix + "~b:*"
	}
	return s
}
