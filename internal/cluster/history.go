package cluster

import (
	"slices"
	"time"
)

// Cause is why there was an episode.
type Cause uint8

// The causes of episodes.
const (
	CauseAlarm   Cause = iota // nothing came of it: the master is the one it was
	CauseFailure              // the master was silent or held down, and was replaced
	CausePlanned              // another one took over while nobody held the master down: CLUSTER FAILOVER by hand
	CauseRestart              // the master came back as a new process
)

func (c Cause) String() string { return [...]string{"alarm", "failure", "planned", "restart"}[c] }

// Record is one episode of a shard that has ended. Times that never came are zero.
type Record struct {
	ID        uint64 // rises by one per record
	Shard     uint32
	Cause     Cause
	From, To  Node  // the same node when the master did not change
	Epoch     int64 // the config epoch of the master at the end
	Opened    time.Time
	Suspected time.Time // some node was first seen to hold the master down, or it was silent
	Failed    time.Time // most of the masters were
	Promoted  time.Time // the next master was first seen to say so
	Ended     time.Time // all was proved to be well, or the next failover came, or the shard lost its slots
	Blocked   time.Duration
	Trouble   Trouble // the worst
}

// Failover reports whether the record is a change of master, which counts.
func (r Record) Failover() bool { return r.Cause == CauseFailure || r.Cause == CausePlanned }

// maxHistory bounds what is kept. Alarms go first.
const maxHistory = 64

type archive struct {
	records   []Record
	lastID    uint64
	failovers int
	finished  []Record // by this observation
}

// History lists the last episodes that have ended, the oldest first.
func (m *Machine) History() []Record { return slices.Clone(m.history.records) }

// Failovers is how many have ended.
func (m *Machine) Failovers() int { return m.history.failovers }

func (h *archive) add(r Record) {
	h.lastID++
	r.ID = h.lastID
	if r.Failover() {
		h.failovers++
	}
	if len(h.records) == maxHistory {
		i := max(0, slices.IndexFunc(h.records, func(r Record) bool { return r.Cause == CauseAlarm }))
		h.records = slices.Delete(h.records, i, i+1)
	}
	h.records = append(h.records, r)
	h.finished = append(h.finished, r)
}

// chronicle is the record of a shard's episode that is under way; zero: there is none.
type chronicle struct {
	Record

	blocked time.Time // since when; zero: it is not
	accused bool      // by another node
}

// handover is how long a master may be silent that hands over to its replica: it lets
// its clients wait until that has all that it took.
const handover = 250 * time.Millisecond

// chronicles notes what the episode of a shard has come to. It is called when the
// shard has been judged.
func (m *Machine) chronicles(sh *shard) {
	c := &sh.chronicle
	if !sh.ep.open {
		m.finish(sh)
		return
	}
	if c.Opened.IsZero() {
		c.Record = Record{Shard: sh.number, From: sh.named(), Opened: sh.ep.at}
	}
	t := sh.ep.trouble
	if t != TroubleNone && (c.Trouble == TroubleNone || t < c.Trouble) {
		c.Trouble = t
	}
	if c.Promoted.IsZero() {
		m.accusations(sh)
	}
	c.block(sh.ep.blocked || sh.ep.degraded, m.now)
}

// accusations notes when the master was held down first.
func (m *Machine) accusations(sh *shard) {
	c := &sh.chronicle
	accused := m.survey().accused[sh.master.id]
	c.accused = c.accused || accused&(FlagSuspected|FlagFailed) != 0
	down := sh.master.failing || sh.master.loading || sh.master.usurped
	if c.Suspected.IsZero() && (down || c.accused) {
		c.Suspected = m.now
	}
	if c.Failed.IsZero() && (accused.Has(FlagFailed) || m.survey().failed(sh.master.id)) {
		c.Failed = m.now
	}
}

func (c *chronicle) block(is bool, now time.Time) {
	switch {
	case is && c.blocked.IsZero():
		c.blocked = now
	case !is && !c.blocked.IsZero():
		c.Blocked += now.Sub(c.blocked)
		c.blocked = time.Time{}
	}
}

// finish ends the record of a shard. That a barrier was slow, or an election came to
// nothing, is not worth one.
func (m *Machine) finish(sh *shard) {
	c := &sh.chronicle
	if c.Opened.IsZero() {
		return
	}
	worth := c.Cause != CauseAlarm || c.Blocked > 0 || !c.blocked.IsZero()
	c.block(false, m.now)
	c.Ended, c.To, c.Epoch = m.now, sh.named(), sh.epoch
	if worth {
		m.history.add(c.Record)
	}
	sh.chronicle = chronicle{}
}

// succeeded notes that n is the next master of a shard, before it is.
func (m *Machine) succeeded(sh *shard, n *node) {
	if !sh.chronicle.Promoted.IsZero() {
		m.finish(sh) // the one before was not even proved
	}
	c := &sh.chronicle
	if c.Opened.IsZero() {
		c.Record = Record{Shard: sh.number, From: sh.named(), Opened: m.now}
	}
	m.accusations(sh)
	c.Promoted, c.Cause = n.seenAt, CausePlanned
	if c.accused || sh.master.failing && m.now.Sub(c.Suspected) > handover {
		c.Cause = CauseFailure
	}
}

// restarted notes that the master of a shard is a new process.
func (m *Machine) restarted(sh *shard) {
	c := &sh.chronicle
	if c.Opened.IsZero() {
		c.Record = Record{Shard: sh.number, From: sh.named(), Opened: m.now}
	}
	if c.Cause == CauseAlarm {
		c.Cause = CauseRestart
	}
}

func (sh *shard) named() Node { return Node{sh.master.id, sh.master.reached} }
