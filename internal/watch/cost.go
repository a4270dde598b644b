package watch

import (
	"time"

	"github.com/evercache/evercache/internal/cluster"
)

// A node's time that our questions take is bounded to 2 %, as far as their answers'
// length tells it: CLUSTER NODES of six nodes takes 31 µs there, one of 80 KB 319 µs.
const (
	answerTime  = 30 * time.Microsecond
	answerPerKB = 4 * time.Microsecond
	answerShare = 50 // one in so many parts of the node's time
)

// restAfter is how soon after a question with an answer of so many bytes the next may be
// asked.
func restAfter(bytes int64) time.Duration {
	return answerShare * (answerTime + time.Duration(max(bytes, 0)/1024)*answerPerKB)
}

// cost is what an answer takes of our own time: of a large Cluster, milliseconds.
type cost struct{ each time.Duration }

// took notes one.
func (c *cost) took(d time.Duration) { c.each += (d - c.each) / 16 }

// answersShare is how much of one processor answers may take while nothing is the
// matter.
const answersShare = 0.05

// stretch is by how much the idle intervals are to be longer for that.
func (c *cost) stretch(asks []cluster.Ask) float64 {
	rate := 0.0 // a second
	for _, a := range asks {
		if a.Each >= idleAsk {
			rate += 1 / a.Each.Seconds()
		}
	}
	return max(1, rate*c.each.Seconds()/answersShare)
}

// idleAsk is where an interval is one of no episode.
const idleAsk = 500 * time.Millisecond

func stretched(each time.Duration, by float64) time.Duration {
	if each < idleAsk {
		return each
	}
	return min(time.Duration(float64(each)*by), maxIdle)
}

// maxIdle bounds how seldom a node is asked.
const maxIdle = 30 * time.Second
