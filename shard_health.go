package evercache

import (
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
)

func (sh *shard) feedHealth() health.Feed {
	now := sh.clock.Now()
	on, barrier, heard, why := sh.feed.state()
	h := health.Feed{
		On: on, Cause: why, Lease: -1,
		Coherent: now < sh.feed.until.Load(), Epoch: sh.feed.epoch.Load(),
		Announced: sh.feed.announced.Load(), Flushes: sh.feed.flushes.Load(), Silences: sh.feed.epochs.Load(),
	}
	if proof := min(barrier, heard); proof > 0 {
		h.Lease = time.Duration(now - proof)
	}
	return h
}

func (sh *shard) recoveryHealth() health.Recovery {
	d, r := sh.ledger.Depth(), &sh.recovery
	h := health.Recovery{
		Unconfirmed: d.Unconfirmed, UnconfirmedBytes: d.Bytes, Ring: d.Ring, RingBytes: d.RingBytes,
		Uncovered: r.uncovered.Load(), Superseded: r.superseded.Load(), Invalidated: r.invalidated.Load(), Evicted: r.evicted.Load(),
		DroppedValues: d.Dropped, DroppedKeys: d.DroppedKeys, DatasetResets: r.resets.Load(),
	}
	if d.Oldest != 0 {
		h.UnconfirmedOldest = max(0, time.Duration(sh.clock.Now()-d.Oldest))
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
func (sh *shard) away(cause error) *findings.Away {
	if cause == nil {
		cause = errNotYet
	}
	a := &findings.Away{Reason: reasonOf(cause), Cause: cause.Error()}
	if sh.opts.Mode == health.ModeStandalone {
		a.Addr = sh.opts.Addr
	}
	if sh.unconfigured(cause) {
		a.Default = sh.opts.Addr
	}
	return a
}

// unconfigured reports that nobody has said where Redis is and that none is at the
// default address: memory is all there is, and nothing is missing.
func (sh *shard) unconfigured(cause error) bool {
	return sh.opts.Mode != health.ModeMemoryOnly && sh.memoryIsAll() && (cause == errNotYet || reasonOf(cause) == findings.Unreachable)
}

// sayings are what the master in use says.
func (sh *shard) sayings(n *remote.Node) *findings.Master {
	server, evictions := n.Server(), sh.evicting.known().last
	s := &findings.Master{
		Refused:     reasons[n.Refused()],
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
		s.Mute = sh.opts.KeyPrefix + "~b:*"
	}
	return s
}
