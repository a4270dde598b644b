package shard

import (
	"cmp"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/stats"
)

// Health fills in what the shards know, for the report and for its findings.
func (st *Store) Health() findings.Input {
	now, shards := st.status.Get(), st.shards()
	up, closed := st.everyMaster(), now.State == health.Closed
	in := st.known(now)
	in.Report.Connected = up && !closed
	in.Report.Feed, in.Report.Recovery = feedsHealth(shards, st.Clock.Now()), st.recoveryHealth(shards)
	if st.one != nil {
		in.Report.Sentinel, in.Report.Clock = st.one.sentinelHealth(), clockHealth(st.one.Node.Load())
	}
	for _, sh := range shards {
		in.ResetAt = later(in.ResetAt, time.Unix(0, sh.dataset.resetAt.Load()))
		in.MaxMemory = max(in.MaxMemory, sh.Evicting.Known().Last.MaxMemory)
	}
	switch {
	case st.memoryOnly() || closed:
	case !up:
		in.Away = st.away(now.Cause)
	default:
		in.Master = st.sayings(shards)
	}
	in.Replicas = st.troubledReplicas()
	in.Report.Cluster, in.Cluster = st.clusterHealth(), st.clusterSeen()
	return in
}

// known is what the store knows by itself.
func (st *Store) known(now *condition) findings.Input {
	depth := st.Outbox.Depth()
	h := health.Report{
		State:         now.State,
		Since:         now.Since,
		Master:        now.Master,
		Cause:         now.Cause,
		OutboxEntries: depth.Entries,
		OutboxBytes:   depth.Bytes,
		Journal:       st.journal.Health(),
	}
	if st.memoryOnly() || now.State == health.Connected {
		h.Cause = nil
	}
	if depth.Oldest != 0 { // what is sent again has waited since that was found
		h.OutboxOldest = max(0, time.Duration(st.Clock.Now()-max(depth.Oldest, st.returned.Load())))
	}
	return findings.Input{
		Report:       h,
		Now:          time.Now(),
		Unconfigured: st.unconfigured(now.Cause),
		Overflowed:   depth.Overflowed,
		Verifying:    depth.Verify,
		Rejected:     st.rejections.Load(),
		RejectedAt:   time.Unix(0, st.rejectedAt.Load()),
		ResetAt:      time.Unix(0, 0),
		Rollback:     st.recovery.rollback.Load(),
		Tombstones:   st.tombs.Live(st.Clock.Now()),
		Journal:      st.journal.Found(),
		Others:       st.others.found(),
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
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
	s.Replicas = st.replicaStats()
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

// feedsHealth is the worst of all feeds, and the sum of what they count.
func feedsHealth(shards []*Shard, now int64) (all health.Feed) {
	for i, sh := range shards {
		h := sh.feedHealth(now)
		if i == 0 {
			all = h
			continue
		}
		all.On, all.Coherent, all.Idle = all.On && h.On, all.Coherent && h.Coherent, all.Idle && h.Idle
		all.Epoch, all.Flushes, all.Silences = all.Epoch+h.Epoch, all.Flushes+h.Flushes, all.Silences+h.Silences
		all.Cause = cmp.Or(all.Cause, h.Cause)
		if h.Lease < 0 || all.Lease >= 0 && h.Lease > all.Lease {
			all.Lease = h.Lease
		}
	}
	if len(shards) == 0 {
		all.Lease = -1
	}
	return all
}

// restTerm is how old the proofs of a shard at rest may be: the question before the last
// is one of them, and an answer may take its time.
const restTerm = 2*RestEach + time.Duration(LeaseTerm)

func (sh *Shard) feedHealth(now int64) health.Feed {
	s := sh.Feed.state()
	h := health.Feed{
		On: s.on, Cause: s.why, Lease: -1,
		Coherent: sh.Feed.Cover().Lasts(now), Epoch: s.epochs,
		Announced: sh.heard.announced.Load(), Flushes: sh.Feed.Flushes.Load(), Silences: s.silences,
	}
	if proof := min(s.barrier, s.heard); proof > 0 {
		h.Lease = time.Duration(now - proof)
		h.Idle = sh.usage.resting.Load() && h.Lease < restTerm
	}
	h.Coherent = h.Coherent || h.On && h.Idle
	return h
}

func (st *Store) recoveryHealth(shards []*Shard) health.Recovery {
	r, oldest := &st.recovery, int64(0)
	h := health.Recovery{
		Uncovered: r.lost.Load(), Superseded: r.superseded.Load(), Invalidated: r.invalidated.Load(), Evicted: r.evicted.Load(),
		DatasetResets: r.resets.Load(),
	}
	for _, sh := range shards {
		d := sh.Ledger.Depth()
		h.Unconfirmed, h.UnconfirmedBytes = h.Unconfirmed+d.Unconfirmed, h.UnconfirmedBytes+d.Bytes
		h.Ring, h.RingBytes = h.Ring+d.Ring, h.RingBytes+d.RingBytes
		h.DroppedValues, h.DroppedKeys = h.DroppedValues+d.Dropped, h.DroppedKeys+d.DroppedKeys
		if d.Oldest != 0 && (oldest == 0 || d.Oldest < oldest) {
			oldest = d.Oldest
		}
	}
	if oldest != 0 {
		h.UnconfirmedOldest = max(0, time.Duration(st.Clock.Now()-oldest))
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

// sayings are what the masters in use say: of several, the first that has something to say.
func (st *Store) sayings(shards []*Shard) (first *findings.Master) {
	for _, sh := range shards {
		n := sh.Node.Load()
		if n == nil {
			continue
		}
		s := sh.sayings(n)
		if first == nil || !first.Troubled() && s.Troubled() {
			first = s
		}
	}
	return first
}

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
