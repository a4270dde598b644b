package revoke

import "time"

const (
	// graceRunning is how long after a change of master, or a loss of data, the
	// knowledge stands still: whoever has something that the master lacks, and has
	// it acknowledged, puts it there in that time. Peers that need longer are waited for.
	graceRunning = 3 * time.Second
	// graceFresh is the same for a process that has no knowledge yet. What it does
	// not find may be a million entries that another is putting back.
	graceFresh = 5 * time.Second
	// graceHealing is how long it waits, at most, for one that is seen doing so.
	graceHealing = time.Minute
)

// outlook is what a round of reading makes of the set in Redis.
type outlook struct {
	marked  bool // the set says that it is complete
	settled bool // and of this life of the dataset
	foreign bool // hashed with another secret
	healing bool // a process that knows the set is putting back what it lacks
	whole   bool // nothing was taken out by hand or by eviction
}

// weigh is the judgement of a look.
func weigh(l look, print, life string) (o outlook) {
	for _, m := range l.markers {
		if m.print != print {
			o.foreign = true
			continue
		}
		o.marked = true
		o.settled = o.settled || life != "" && m.life == life
	}
	o.healing = l.healing
	o.marked = o.marked && !o.foreign
	o.settled = o.settled && o.marked
	o.whole = l.counted && l.count == l.card
	return o
}

// sound: nothing is to be put right.
func (o outlook) sound() bool { return o.settled && o.whole }

// follows reports whether the entries of the stream come right after number
// last, up to at least seq, and returns the last number.
func follows(last, seq int64, items []item) (now int64, ok bool) {
	if seq < last {
		return last, false // the numbers have begun again
	}
	for _, it := range items {
		if it.number == 0 {
			continue // not ours
		}
		if it.number != last+1 {
			return last, false
		}
		last++
	}
	return last, last >= seq
}

// wait is how long a process watches a set before it relies on it.
func wait(known, settled bool) time.Duration {
	switch {
	case settled:
		return 0
	case known:
		return graceRunning
	}
	return graceFresh
}
