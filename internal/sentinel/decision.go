package sentinel

import (
	"slices"
	"time"
)

// Stage is what may be done with the master.
type Stage uint8

// The stages, from good to bad.
const (
	Clear    Stage = iota // write, confirm, serve as coherent
	Suspect               // write; confirm nothing, call nothing coherent
	Fenced                // send no write; the next master is awaited
	Degraded              // the same, and nothing is expected soon
)

func (s Stage) String() string { return [...]string{"clear", "suspect", "fenced", "degraded"}[s] }

// Decision is what follows from all observations so far.
type Decision struct {
	Stage      Stage
	Since      time.Time // when the episode was opened; zero when Clear
	FencedAt   time.Time // when the fence went up; zero without one
	Trouble    Trouble   // why Master gets no writes; TroubleNone: it does, or there is none
	Master     Addr      // the decided master; zero while none was found
	Generation uint64    // another one means: another master, or the same after a restart
	Confirmed  bool      // not provisional: a majority of the sentinels names it
	NamedAt    time.Time // when a majority named it, as of its oldest answer; zero: none does
	Epoch      int64     // highest config epoch seen for it; negative for none

	Probes    []Addr        // nodes to ask for ROLE and INFO
	ProbeEach time.Duration // how often, each
	PollEach  time.Duration // how often to ask each sentinel
	Sentinels []Addr        // to listen to and to ask
	PollNow   bool          // ask the sentinels at once as well
	ProbeNow  bool          // ask the nodes at once as well

	Promotable []Addr   // the replicas that have to hold a barrier for it to count
	InSight    []Addr   // those of them that have answered when they were asked last
	Finished   []Record // episodes that this observation ended
}

// Writes reports whether writes may be sent to the master.
func (d Decision) Writes() bool { return !d.Master.IsZero() && d.Stage <= Suspect }

// BarriersConfirm reports whether a barrier that all of Promotable hold confirms
// what was written before it.
func (d Decision) BarriersConfirm() bool { return d.Stage == Clear && d.Confirmed }

func (m *Machine) decision() Decision {
	d := Decision{
		Stage: m.stage(), Trouble: m.trouble(), Generation: m.generation, Epoch: m.cur.epoch,
		Sentinels: slices.Clone(m.watching), PollNow: m.pollNow, ProbeNow: m.probeNow,
		Promotable: m.promotable(), Finished: slices.Clone(m.history.finished),
	}
	if m.ep.open {
		d.Since = m.ep.at
	}
	if m.ep.fenced {
		d.FencedAt = m.ep.fencedAt
	}
	if m.cur.verified {
		d.Master, d.Confirmed, d.NamedAt = m.cur.addr, m.cur.confirmed, m.namedAt()
	}
	for _, a := range d.Promotable {
		if n := m.find(a); n.says(RoleMaster) || n.says(RoleReplica) {
			d.InSight = append(d.InSight, a)
		}
	}
	for _, n := range m.nodes {
		d.Probes = append(d.Probes, n.addr)
	}
	d.ProbeEach, d.PollEach = m.pace()
	return d
}

func (m *Machine) stage() Stage {
	switch {
	case !m.ep.open:
		return Clear
	case m.ep.degraded:
		return Degraded
	case m.ep.fenced:
		return Fenced
	}
	return Suspect
}

// pace: fast while something may happen at any moment, then slower. After every
// planned failover an episode stays open for ten seconds, until the old master
// is a replica; a dead set stays dead for hours.
func (m *Machine) pace() (probe, poll time.Duration) {
	switch quiet := m.now.Sub(m.ep.lastNews); {
	case !m.ep.open:
		return m.rules.ProbeIdle, m.rules.PollIdle
	case m.ep.fenced && quiet < 10*time.Second, quiet < 3*time.Second:
		return m.rules.ProbeFast, m.rules.PollFast
	}
	return m.rules.ProbeSlow, m.rules.PollSlow
}
