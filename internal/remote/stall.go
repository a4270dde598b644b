package remote

import (
	"sync"
	"sync/atomic"
	"time"
)

// A container's quota of processor time, a stopped process, a paused machine and a busy
// one have in common that this process does not run for a while. Answers lie here then,
// and nobody sees when they came. So while an answer is due somebody wakes at a steady
// pace, and notes by how much too late: that time was ours, not the server's.

const (
	// tick is the pace.
	tick = 10 * time.Millisecond
	// leastStall is not noted below: a process that is not busy wakes as late.
	leastStall = 3 * time.Millisecond
	// stallsAgain is how long after a stall another one is looked for, whatever is due: who
	// is held up before he has sent anything is held up as well.
	stallsAgain = time.Second
)

// stall is a time in which this process did not run.
type stall struct{ from, to time.Time }

// stalls are the last ones, while answers were due on a connection. The zero value is
// ready.
type stalls struct {
	watched atomic.Bool
	ended   atomic.Bool // nothing is expected any more

	mu   sync.Mutex // guards what follows
	due  time.Time  // when the next tick is; zero: nobody waits for one
	last [16]stall
	next int
}

// watchStalls lets somebody wake, until no answer is due.
func (g *greeting) watchStalls() {
	if !g.stalls.watched.Load() && g.stalls.watched.CompareAndSwap(false, true) {
		go g.tick() // ends when no answer is due, or the connection is over
	}
}

func (g *greeting) tick() {
	s := &g.stalls
	for {
		began := time.Now()
		s.await(began.Add(tick))
		time.Sleep(tick)
		if s.woke(time.Now()) && !s.ended.Load() || g.expects() {
			continue
		}
		s.watched.Store(false)
		if !g.expects() || !s.watched.CompareAndSwap(false, true) {
			return // whoever writes from now on begins another
		}
	}
}

// expects reports whether an answer is due that may come yet.
func (g *greeting) expects() bool {
	return g.asked.Load() > g.answered.Load() && !g.stalls.ended.Load()
}

// Close ends the ticks too: rueidis does not read a connection to its end that it has given up.
func (g *greeting) Close() error {
	g.stalls.ended.Store(true)
	return g.Conn.Close()
}

func (s *stalls) await(due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = due
}

// woke notes that the tick which was due has come now. It reports whether there was a
// stall of late.
func (s *stalls) woke(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.due) >= leastStall {
		s.last[s.next%len(s.last)] = stall{s.due, now}
		s.next++
	}
	s.due = time.Time{}
	return s.next > 0 && now.Sub(s.last[(s.next-1)%len(s.last)].to) < stallsAgain
}

// between is how much of a time this process did not run. A tick that is overdue at its
// end counts too: after a stop anybody may go on first.
func (s *stalls) between(from, to time.Time) (sum time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.last {
		sum += one.within(from, to)
	}
	if !s.due.IsZero() && to.Sub(s.due) >= leastStall {
		sum += stall{s.due, to}.within(from, to)
	}
	return sum
}

// within is how much of a stall was in a time.
func (s stall) within(from, to time.Time) time.Duration {
	if s.from.After(from) {
		from = s.from
	}
	if s.to.Before(to) {
		to = s.to
	}
	return max(0, to.Sub(from))
}
