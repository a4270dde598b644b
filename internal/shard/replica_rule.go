package shard

import (
	"cmp"
	"math"
	"slices"
)

// verdict is what is made of an answer of a replica: it serves, or why the master is
// asked. It is a label of metrics.
type verdict string

const (
	serves    verdict = ""
	older     verdict = "older_epoch" // it has no barrier of the master, or none since what others change is heard
	stranger  verdict = "unknown"     // it has a barrier that was never sent
	lagging   verdict = "lagging"     // the barrier was sent too long ago
	ownNewer  verdict = "own_write"   // the barrier was sent before our own last write of the key
	newer     verdict = "announced"   // or before a change of it by others was heard
	missing   verdict = "nil"         // it has no value: only the master knows that there is none
	over      verdict = "ended"       // by the master's clock the value has ended
	long      verdict = "long"        // a long value is not read from replicas
	forbidden verdict = "forbidden"   // the ACL
	noClock   verdict = "no_clock"    // the master's clock is not known, by which the key ends
	failed    verdict = "error"       // no answer in time, an error reply, a connection that broke
	useless   verdict = "useless"     // what it has is no value: does not decode, or is of another type
)

// verdicts are the labels under which refused answers are counted.
var verdicts = []verdict{older, stranger, lagging, ownNewer, newer, missing, over, long, forbidden, noClock, failed, useless}

// held is what is known of a barrier that a replica holds.
type held struct {
	n    uint64
	sent int64 // when it was sent, or before; 0: too long ago to be remembered
}

// known is what the barrier is judged by. All of it is read after the answer has come.
type known struct {
	next    uint64 // the number of the barrier that is sent next
	floor   uint64 // of the first that was sent since the master, or its feed, began
	changed change // when the key was changed last
	now     int64
	most    int64 // how old the barrier may be; 0: as old as it likes
}

// judge decides whether what a replica has read behind barrier h may be served.
//
// A replica that holds a barrier of ours follows our master, and has executed all that
// the master had when the barrier came there. So everything that anybody was acknowledged
// before the barrier was sent is in the answer (the bound). And a change that we know of
// is in it if the barrier was sent after we learnt of it. What we do not know of is still
// to be announced, and drops what memory holds. So then the answer is as coherent as one
// of the master.
func (k known) judge(h held) verdict {
	switch {
	case h.n >= k.next:
		return stranger
	case h.n < k.floor || h.n == 0:
		return older
	case h.sent == 0 || k.most > 0 && k.now-h.sent > k.most:
		return lagging
	case h.n >= k.changed.number():
		return serves
	case k.changed.own():
		return ownNewer
	}
	return newer
}

// change is when a key was changed last, as far as is known: the number of the first
// barrier that was sent after that, and whether it was our own write.
type change uint64

func changeAt(number uint64, own bool) change {
	c := change(number << 1)
	if own {
		c |= 1
	}
	return c
}

// unsure is that of a write of which nobody knows whether and when it lands.
const unsure = change(math.MaxUint64)

func (c change) number() uint64 {
	if c == unsure {
		return math.MaxUint64
	}
	return uint64(c >> 1)
}

func (c change) own() bool { return c&1 == 1 }

// candidate is a replica that may be asked.
type candidate struct {
	index int
	near  bool // in our zone
	busy  int  // questions under way
}

// choose picks whom to ask: in our zone where one is, the one with the fewest questions
// under way. turn picks among equals. -1: nobody may be asked.
func choose(cs []candidate, turn uint64) int {
	if len(cs) == 0 {
		return -1
	}
	better := func(a, b candidate) int {
		if a.near != b.near {
			if a.near {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.busy, b.busy)
	}
	best := slices.MinFunc(cs, better)
	equal := 0
	for _, c := range cs {
		if better(c, best) == 0 {
			equal++
		}
	}
	for n := turn % uint64(equal); ; n-- {
		i := slices.IndexFunc(cs, func(c candidate) bool { return better(c, best) == 0 })
		if n == 0 {
			return cs[i].index
		}
		cs = cs[i+1:]
	}
}
