package cluster

import (
	"cmp"
	"time"
)

// Rules are the numbers the decisions rest on; zero means the default.
type Rules struct {
	// NodeTimeout stands in while no node has told its cluster-node-timeout (15 s).
	NodeTimeout time.Duration

	// StartGrace is how long the first decision waits for a majority (1 s), and for ten
	// times as long while a seed has neither answered nor failed to.
	StartGrace time.Duration

	// BlockLimit is how long a shard is blocked whose master answers and says that
	// it is the owner, while others hold it down (2 s). From FAIL to the promotion it
	// took 0.65 to 1.05 s.
	BlockLimit time.Duration

	// SlowBarrier is the answer time from which a barrier makes its shard suspect
	// (200 ms; its WAIT gives up after 50).
	SlowBarrier time.Duration

	// NoteAfter is how long a slot moves, or has no owner, until a finding says so (10 s).
	NoteAfter time.Duration

	// The paces of asking: in an episode, in one that has gone quiet, and outside;
	// the last two in a Cluster of more than 16 nodes.
	AskFast, AskSlow, AskIdle     time.Duration // 25 ms, 250 ms, 1 s
	AskMasterIdle, AskReplicaIdle time.Duration // 500 ms, 5 s
}

func (r Rules) withDefaults() Rules {
	r.NodeTimeout = cmp.Or(r.NodeTimeout, 15*time.Second)
	r.StartGrace = cmp.Or(r.StartGrace, time.Second)
	r.BlockLimit = cmp.Or(r.BlockLimit, 2*time.Second)
	r.SlowBarrier = cmp.Or(r.SlowBarrier, 200*time.Millisecond)
	r.NoteAfter = cmp.Or(r.NoteAfter, 10*time.Second)
	r.AskFast = cmp.Or(r.AskFast, 25*time.Millisecond)
	r.AskSlow = cmp.Or(r.AskSlow, 250*time.Millisecond)
	r.AskIdle = cmp.Or(r.AskIdle, time.Second)
	r.AskMasterIdle = cmp.Or(r.AskMasterIdle, 500*time.Millisecond)
	r.AskReplicaIdle = cmp.Or(r.AskReplicaIdle, 5*time.Second)
	return r
}

// Bounds. What does not fit is left out.
const (
	maxSeeds    = 64
	maxFindings = 64
	maxHints    = 16 // nodes asked at once for one answer
	smallNodes  = 16 // up to so many nodes all are asked alike
	maxPasses   = 16 // claims that follow from each other, in one observation
	twoMasters  = 2  // of other shards that are asked too in an episode
)
