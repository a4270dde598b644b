package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Kind is which promise a violation breaks.
type Kind string

const (
	Lost        Kind = "lost"         // an acknowledged write is gone
	Resurrected Kind = "resurrected"  // a deleted value is back
	Stale       Kind = "stale"        // an overwritten value was called fresh and coherent, or read by who had overwritten it
	Outlived    Kind = "outlived"     // a value is held though its time to live is over
	Invented    Kind = "invented"     // a value that nobody wrote to the key
	Diverged    Kind = "diverged"     // a process answers another value than Redis holds
	FailedRead  Kind = "failed read"  // of a key that every process had in memory
	FailedWrite Kind = "failed write" // though an outage keeps writes
	Slow        Kind = "slow"         // a call took longer than it may
	Empty       Kind = "empty"        // more keys hold nothing than the scene explains
	Full        Kind = "trace full"   // the trace does not show everything
)

// Violation is one broken promise.
type Violation struct {
	Kind    Kind
	Key     Key
	Text    string
	Witness []Event // the calls that prove it, oldest first
}

// Rules are what a run may do.
type Rules struct {
	// Ambiguity is how near to each other writes of two processes may be so that
	// nobody can tell their order; nothing is an answer then. Default 50 ms.
	Ambiguity time.Duration
	// Lag is after how long a write must be seen in another process' fresh and
	// coherent answers. Default 1.1 s, the lease and a little.
	Lag time.Duration
	// TTL of every value, default an hour, but of those that are put briefly: Brief.
	// 0: there are none.
	TTL, Brief time.Duration
	// Invalidates: the class puts writes back as deletes, so nothing is always
	// an answer.
	Invalidates bool
	// Evicts: the server may remove any key, so nothing is always an answer. What
	// is there, and what a process answers, must be as new as ever.
	Evicts bool
	// MayHoldNothing bounds the keys that hold nothing though their last write was
	// acknowledged, whatever the reason. 0 does not.
	MayHoldNothing int
	// LongestRead and LongestWrite bound a call; 0 does not.
	LongestRead, LongestWrite time.Duration
	// WritesMayFail where a bound of the outbox or a process is broken.
	WritesMayFail bool
}

func (r Rules) withDefaults() Rules {
	r.Ambiguity = cmp.Or(r.Ambiguity, 50*time.Millisecond)
	r.Lag = cmp.Or(r.Lag, 1100*time.Millisecond)
	r.TTL = cmp.Or(r.TTL, time.Hour)
	return r
}

// life is how long what e wrote may live.
func (r Rules) life(e Event) time.Duration {
	if e.Act == PutBrief {
		return r.Brief
	}
	return r.TTL
}

// Span is a time of the trace.
type Span struct{ From, To int64 }

// Final is what was found when everything had settled, and what is known of the
// processes meanwhile; slices are by process.
type Final struct {
	At    int64 // when the master was asked
	Held  map[Key]Value
	Views []map[Key]Value // what each process then answered
	Full  bool
	// Stolen is what the machine made callers wait.
	Stolen time.Duration
	// Overflowed: the process counted writes that it could keep only as deletes.
	// Too many of those delete the class, with what others have written.
	Overflowed []bool
	// Away are the times in which the process had no confirmed master, or was
	// not done with its replay: what it had written may be nowhere else.
	Away [][]Span
	// Died is when the process was killed; what it had acknowledged from memory
	// alone may be gone. 0: it lived.
	Died []int64
	// Fell is when every Redis was killed, where a process that died later has no
	// journal. What a master had acknowledged to it just before may be in no file: while
	// Redis syncs its append-only file it holds back what comes, for two seconds at most.
	// 0: none fell.
	Fell int64
}

// unwritten is how long Redis may hold back what belongs into its append-only file.
const unwritten = int64(2 * time.Second)

// Figures are the counts of a run.
type Figures struct {
	Keys, Writes, Deletes, Reads, FailedReads, FailedWrites int
	// Excused are keys that hold nothing though their last write was
	// acknowledged, and may, by why.
	Excused                   map[string]int
	LongestRead, LongestWrite time.Duration
}

// Check judges a run. It sees calls as intervals: of two that overlap either may
// have come first. A write that failed may take effect at any time after it
// began, or never; only the same process' next write of the key ends that.
func Check(events []Event, f Final, r Rules) ([]Violation, Figures) {
	j := &judge{final: f, rules: r.withDefaults(), figures: Figures{Excused: map[string]int{}}}
	if f.Full {
		j.violate(Violation{Kind: Full, Text: "the trace does not hold every call of the run"})
	}
	j.calls(events)
	prefixes := map[Key][]Event{}
	for _, e := range events {
		if e.Act == RemovePrefix {
			prefixes[e.Key.group()] = append(prefixes[e.Key.group()], e)
		}
	}
	j.prolonged = prolongs(events)
	order := keyed(events)
	for len(order) > 0 {
		k := events[order[0]].Key
		n := 1
		for n < len(order) && events[order[n]].Key == k {
			n++
		}
		j.key(newStory(k, events, order[:n], prefixes[k.group()], j))
		order = order[n:]
	}
	j.empty()
	return j.violations, j.figures
}

// empty bounds what may hold nothing.
func (j *judge) empty() {
	n := 0
	for _, of := range j.figures.Excused {
		n += of
	}
	if limit := j.rules.MayHoldNothing; limit > 0 && n > limit {
		j.violate(Violation{Kind: Empty, Text: fmt.Sprintf("%d keys hold nothing though their last write was acknowledged, more than %d: %v", n, limit, j.figures.Excused)})
	}
}

// keyed are the indexes of the events with a key of their own, by key and start.
func keyed(events []Event) []int32 {
	order := make([]int32, 0, len(events))
	for i, e := range events {
		if e.Act != RemovePrefix && e.Act != Prolong {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		x, y := &events[a], &events[b]
		return cmp.Or(
			cmp.Compare(x.Key.Space, y.Key.Space), cmp.Compare(x.Key.Group, y.Key.Group),
			cmp.Compare(x.Key.N, y.Key.N), cmp.Compare(x.Start, y.Start),
		)
	})
	return order
}

// prolongs are the calls that only moved the end of a key, by key.
func prolongs(events []Event) map[Key][]Event {
	of := map[Key][]Event{}
	for _, e := range events {
		if e.Act == Prolong {
			of[e.Key] = append(of[e.Key], e)
		}
	}
	return of
}

type judge struct {
	prolonged  map[Key][]Event
	final      Final
	rules      Rules
	violations []Violation
	figures    Figures
}

func (j *judge) violate(v Violation) {
	slices.SortFunc(v.Witness, func(a, b Event) int { return cmp.Compare(a.Start, b.Start) })
	j.violations = append(j.violations, v)
}

// calls judges each call by itself: whether it failed, and how long it took.
func (j *judge) calls(events []Event) {
	var slowRead, slowWrite Event
	for _, e := range events {
		switch {
		case e.Act == Look:
			j.figures.Reads++
			slowRead = longer(slowRead, e)
			j.failedRead(e)
		case e.Act.writes():
			j.figures.Writes++
			slowWrite = longer(slowWrite, e)
		case e.Act == Prolong:
			continue // without a master it may find nothing to prolong
		default:
			j.figures.Deletes++
			if e.Act == Remove {
				slowWrite = longer(slowWrite, e)
			}
		}
		j.failedWrite(e)
	}
	j.figures.LongestRead, j.figures.LongestWrite = slowRead.Took(), slowWrite.Took()
	j.slow("read", slowRead, j.rules.LongestRead)
	j.slow("write", slowWrite, j.rules.LongestWrite)
}

func longer(a, b Event) Event {
	if b.Took() > a.Took() {
		return b
	}
	return a
}

// turns is how often a call waits for the processor at most: for the writer and the
// reader of its connection, and for those who hand it on. What the machine steals it
// may steal each time.
const turns = 3

func (j *judge) slow(what string, e Event, limit time.Duration) {
	if limit > 0 && e.Took() > limit+turns*j.final.Stolen {
		j.violate(Violation{Slow, e.Key, fmt.Sprintf("a %s took %v, more than %v (and %v that the machine stole)", what, e.Took(), limit, j.final.Stolen), []Event{e}})
	}
}

// KnownSpace is the space of the keys that every process holds in memory from
// before the run, and nobody changes. A server that evicts takes a key from every
// memory too.
const KnownSpace = 'k'

func (j *judge) failedRead(e Event) {
	if e.Outcome != Unknown || e.Key.Space != KnownSpace || j.reborn(e) {
		return
	}
	if slices.Contains(j.final.Overflowed, true) {
		return // who overflows deletes the class, and everybody's memory with it
	}
	if j.rules.Evicts && j.final.Held[e.Key] == 0 {
		return // what was evicted can only be asked of the server
	}
	j.figures.FailedReads++
	if j.figures.FailedReads == 1 {
		j.violate(Violation{FailedRead, e.Key, "a key that is in memory could not be read", []Event{e}})
	}
}

// reborn: the process has lost its memory.
func (j *judge) reborn(e Event) bool {
	return int(e.Proc) < len(j.final.Died) && j.final.Died[e.Proc] > 0 && e.Start >= j.final.Died[e.Proc]
}

func (j *judge) failedWrite(e Event) {
	if e.Act == Look || e.Outcome != Unsure {
		return
	}
	j.figures.FailedWrites++
	if j.figures.FailedWrites == 1 && !j.rules.WritesMayFail {
		j.violate(Violation{FailedWrite, e.Key, "a write was not acknowledged", []Event{e}})
	}
}
