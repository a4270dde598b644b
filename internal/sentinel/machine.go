package sentinel

import (
	"slices"
	"time"
)

// Machine holds what was observed and what follows from it. It has one owner,
// is the same for the same observations, and keeps a bounded amount.
type Machine struct {
	name       string
	configured int
	rules      Rules

	now     time.Time // of the last observation
	started time.Time

	nodes     []*node
	allowed   []Addr // nodes that the operator lists
	sentinels []*watched
	watching  []Addr // those to listen to

	cur       incumbent
	confirmed incumbent // the last confirmed master before cur
	former    []Addr    // masters that were left, latest last
	ep        episode
	agree     agreement
	ballot    []vote // nil: to be counted

	doubtSince time.Time
	changing   uint64 // the record of the last change of master
	generation uint64
	history    history
	rejected   uint64 // messages and answers that made no sense

	pollNow, probeNow bool
}

// New returns a machine for the master called name, watched by sentinels.
func New(name string, sentinels []Addr, r Rules) *Machine {
	m := &Machine{
		name: name, rules: r.withDefaults(),
		cur:       incumbent{epoch: noEpoch, base: noEpoch},
		confirmed: incumbent{epoch: noEpoch, base: noEpoch},
		agree:     agreement{epoch: noEpoch},
	}
	for _, a := range sentinels {
		if s := m.watch(a); s != nil && !s.configured {
			s.configured = true
			m.configured++
		}
	}
	return m
}

// Observe takes one observation and says what follows. Observations that are
// older than what is known already change nothing.
func (m *Machine) Observe(o Observation) Decision {
	m.begun(o.seenAt())
	switch o := o.(type) {
	case Event:
		m.event(o)
	case Link:
		m.link(o)
	case Poll:
		m.poll(o)
	case Probe:
		m.probe(o)
	case Barrier:
		m.barrier(o)
	case ConnLost:
		if o.Node == m.cur.addr && !m.adoptedJustNow() && !m.promotedAgain() {
			m.masterSilent(o.At)
		}
	case Refused:
		if o.Node == m.cur.addr {
			m.masterRefused(o.At)
		}
	case Dataset:
		m.dataset(o)
	}
	m.hinted()
	m.unwatch()
	m.forget()
	m.conclude()
	return m.decision()
}

func (m *Machine) begun(at time.Time) {
	if m.started.IsZero() {
		m.started = at
		m.ep = episode{open: true, start: true, at: at, burst: at, fenced: true, fencedAt: at}
		m.ep.alarmed(at)
	}
	m.now = later(m.now, at)
	m.pollNow, m.probeNow = false, false
	m.history.finished = nil
}

// conclude draws the conclusions, in the order in which they rest on each other.
func (m *Machine) conclude() {
	m.expireTries()
	m.watchAgreement()
	m.presume()
	m.accept()
	m.confirm()
	m.noteReturn()
	m.liftFence()
	m.clear()
	m.degrade()
}

// History returns the records kept, oldest first.
func (m *Machine) History() []Record { return slices.Clone(m.history.records) }
