package sentinel

import (
	"cmp"
	"time"
)

// Rules are the numbers the decisions rest on; zero means the default.
type Rules struct {
	// FenceLimit is how long a master that answers is fenced without a promotion
	// in sight (2 s). An election that is lost takes 6 to 16 s to say so, and
	// REPLICAOF NO ONE by hand is never explained by anybody.
	FenceLimit time.Duration

	// FencePromotion is how long the fence waits for a promotion that its leader
	// was about to make (10 s). From +try-failover to the promotion it took 165
	// to 292 ms in every recording.
	FencePromotion time.Duration

	// AgreeFor is how long a majority has to agree before it is followed to an
	// epoch that is not above ours (2 s): after every promotion it still names
	// the old master for about one.
	AgreeFor time.Duration

	// SpreadFor is how long sentinels may take to hear of a promotion from the one that
	// made it (6 s): they tell each other every 2 s, and on a busy machine later.
	SpreadFor time.Duration

	// StartGrace is how long the first decision waits for more sentinels, or for
	// contradictions between them to go away (1 s).
	StartGrace time.Duration

	// SlowBarrier is the answer time from which a barrier makes its master
	// suspect (200 ms; its WAIT gives up after 50).
	SlowBarrier time.Duration

	// FailoverTimeout stands in while no sentinel has told its own (10 s).
	FailoverTimeout time.Duration

	// The paces of asking: in an episode, in one that has gone quiet, and outside.
	ProbeFast, ProbeSlow, ProbeIdle time.Duration // 25 ms, 250 ms, 1 s
	PollFast, PollSlow, PollIdle    time.Duration // 100 ms, 500 ms, 1 s
}

func (r Rules) withDefaults() Rules {
	r.FenceLimit = cmp.Or(r.FenceLimit, 2*time.Second)
	r.FencePromotion = cmp.Or(r.FencePromotion, 10*time.Second)
	r.AgreeFor = cmp.Or(r.AgreeFor, 2*time.Second)
	r.SpreadFor = cmp.Or(r.SpreadFor, 6*time.Second)
	r.StartGrace = cmp.Or(r.StartGrace, time.Second)
	r.SlowBarrier = cmp.Or(r.SlowBarrier, 200*time.Millisecond)
	r.FailoverTimeout = cmp.Or(r.FailoverTimeout, 10*time.Second)
	r.ProbeFast = cmp.Or(r.ProbeFast, 25*time.Millisecond)
	r.ProbeSlow = cmp.Or(r.ProbeSlow, 250*time.Millisecond)
	r.ProbeIdle = cmp.Or(r.ProbeIdle, time.Second)
	r.PollFast = cmp.Or(r.PollFast, 100*time.Millisecond)
	r.PollSlow = cmp.Or(r.PollSlow, 500*time.Millisecond)
	r.PollIdle = cmp.Or(r.PollIdle, time.Second)
	return r
}

// Bounds. What does not fit is left out, the longest unheard of first.
const (
	maxNodes   = 64
	maxWatched = 32
	maxIDs     = 8
	maxHistory = 32
	maxChain   = 8 // replicas of replicas of …
)
