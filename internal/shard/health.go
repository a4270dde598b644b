package shard

import (
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
)

func (sh *Shard) FeedHealth() health.Feed {
	now := sh.Clock.Now()
	s := sh.Feed.state()
	h := health.Feed{
		On: s.on, Cause: s.why, Lease: -1,
		Coherent: sh.Feed.Cover().Covers(now), Epoch: s.epochs,
		Announced: sh.Feed.Announced.Load(), Flushes: sh.Feed.Flushes.Load(), Silences: s.silences,
	}
	if proof := min(s.barrier, s.heard); proof > 0 {
		h.Lease = time.Duration(now - proof)
	}
	return h
}

func (sh *Shard) RecoveryHealth() health.Recovery {
	d, r := sh.Ledger.Depth(), &sh.Recovery
	h := health.Recovery{
		Unconfirmed: d.Unconfirmed, UnconfirmedBytes: d.Bytes, Ring: d.Ring, RingBytes: d.RingBytes,
		Uncovered: r.uncovered.Load(), Superseded: r.superseded.Load(), Invalidated: r.invalidated.Load(), Evicted: r.evicted.Load(),
		DroppedValues: d.Dropped, DroppedKeys: d.DroppedKeys, DatasetResets: r.resets.Load(),
	}
	if d.Oldest != 0 {
		h.UnconfirmedOldest = max(0, time.Duration(sh.Clock.Now()-d.Oldest))
	}
	return h
}

func ClockHealth(n *remote.Node) health.Clock {
	if n == nil {
		return health.Clock{}
	}
	low, high, ok := n.ClockAhead(time.Now())
	if !ok {
		return health.Clock{}
	}
	return health.Clock{Known: true, Ahead: low + (high-low)/2, Uncertainty: (high - low + 1) / 2}
}

// Away says why no master is in use.
func (sh *Shard) Away(cause error) *findings.Away {
	if cause == nil {
		cause = ErrNotYet
	}
	a := &findings.Away{Reason: ReasonOf(cause), Cause: cause.Error()}
	if sh.Config.Mode == health.ModeStandalone {
		a.Addr = sh.Config.Addr
	}
	if sh.Unconfigured(cause) {
		a.Default = sh.Config.Addr
	}
	return a
}

// Unconfigured reports that nobody has said where Redis is and that none is at the
// default address: memory is all there is, and nothing is missing.
func (sh *Shard) Unconfigured(cause error) bool {
	return sh.Config.Mode != health.ModeMemoryOnly && sh.MemoryIsAll() && (cause == ErrNotYet || ReasonOf(cause) == findings.Unreachable)
}

// Sayings are what the master in use says.
func (sh *Shard) Sayings(n *remote.Node) *findings.Master {
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
