package remote

import (
	"math"
	"runtime"
	"time"
)

// waited is what is seen of a call at its end, when it took long. Who is busy
// himself sends late, reads late and is woken late: that says nothing about the
// server, and giving it up for that would make the load worse.
type waited struct {
	took, limit time.Duration // limit 0: none that it could be judged by
	answered    bool          // else it timed out
	// silent is how long none of the answers that are due has come, less what we did not
	// run of it, 0: none is due.
	silent time.Duration
	stall  time.Duration // for so long of it this process did not run
	unread bool          // bytes of the server lie here and nobody has read them
	newer  bool          // it has answered what was asked after this began: it does not hang
	// gathered: it may have waited for another pipeline first; see gathering.
	gathered bool
}

// fair is the time that the server must have had for its silence, or its slowness,
// to count.
func (w waited) fair() time.Duration {
	most := w.took
	if w.limit > 0 {
		most = min(most, w.limit)
	}
	if w.answered {
		return most / 2
	}
	return most * 3 / 4
}

// plain tells whose time it was where that can be seen at once.
func (w waited) plain() (ours, known bool) {
	switch {
	case w.answered:
		return false, false
	case w.unread, w.silent == 0: // it has answered, or nothing has been sent yet
		return true, true
	case w.silent >= w.fair() && !w.newer:
		return false, true
	}
	return false, false
}

// ours reports whether it was our own time, where turn is how long a goroutine of
// this process waits for its turn. A call waits for three: to be written, to be
// read, and to be handed to its caller. One that was gathered waits for four more: for
// the pipeline before it to be read and to be handed on, for others who are about to
// call, and for the answers to be handed out.
func (w waited) ours(turn time.Duration) bool {
	if ours, known := w.plain(); known {
		return ours
	}
	if !w.answered && w.limit > 0 {
		turn = max(turn, w.took-w.limit) // by so much our own timer was late
	}
	waits := time.Duration(turns)
	if w.gathered {
		waits += moreTurns
	}
	return (turn >= leastTurn || w.stall > 0) && w.took-w.stall-waits*turn <= w.fair()
}

const (
	turns     = 3
	moreTurns = 4 // of a call that was gathered
	// leastTurn is a turn that a process which is not busy gives.
	leastTurn = time.Millisecond
)

// turn is how long a goroutine that steps aside now waits until it goes on.
func turn() time.Duration {
	began := time.Now()
	runtime.Gosched()
	return time.Since(began)
}

// ourTime reports whether what took long over the wire took our own time. When it
// began, so much had been asked there.
func (w *wire) ourTime(s waited, asked uint64) bool {
	now := time.Now()
	s.stall = w.conn.stalls.between(now.Add(-s.took), now)
	if !s.answered {
		s.silent, s.unread = w.silent(now), hasUnread(w.raw)
		s.newer = w.conn.answered.Load() > asked
	}
	if ours, known := s.plain(); known {
		return ours
	}
	s.gathered = w.gathering.crowded()
	return s.ours(turn())
}

// silent is how long we were here and no answer came of those that are due; 0: none is due.
func (w *wire) silent(now time.Time) time.Duration {
	waits := w.conn.waits(now)
	if waits <= 0 {
		return 0
	}
	return max(1, waits-w.conn.stalls.between(now.Add(-waits), now))
}

// lateBy is how much of the time until now, when an answer that was asked for at
// sent has been handed to us, was ours. It is looked at where that took long only.
func (w *wire) lateBy(sent, now time.Time) time.Duration {
	if now.Sub(sent) < longBeat {
		return 0
	}
	late := (turns-1)*turn() + w.conn.stalls.between(sent, now)
	if came := time.Unix(0, w.conn.moved.Load()); came.After(sent) {
		late += max(0, now.Sub(came)-w.conn.stalls.between(came, now))
	}
	return min(late, now.Sub(sent))
}

// alone is in place of what had been asked, where nobody else asks.
const alone = math.MaxUint64

// longBeat is less than any time that a heartbeat is called slow for.
const longBeat = 20 * time.Millisecond
