package shard

import "time"

// LeaseTerm is how old the proofs may be.
const LeaseTerm = int64(time.Second)

// proofs are what is known of a feed, in the client's time; 0: there is no proof.
type proofs struct {
	on      bool  // the master announces changes
	barrier int64 // when a barrier was sent that every promotable replica held
	heard   int64 // when the question before the last that was answered was asked
	since   int64 // proofs of before do not count
}

// withBarrier and withHeard take a proof, unless it is from before a doubt.
func (p proofs) withBarrier(at int64) proofs {
	if at >= p.since {
		p.barrier = max(p.barrier, at)
	}
	return p
}

func (p proofs) withHeard(at int64) proofs {
	if at >= p.since {
		p.heard = max(p.heard, at)
	}
	return p
}

// doubted is what is left when nothing of before now counts.
func (p proofs) doubted(now int64) proofs { return proofs{on: p.on, since: now} }

// lease is when the lease on memory ends, and the one on what Redis itself says; 0:
// there is none.
//
// The lease on memory is as old as the older of two proofs: a barrier that every
// promotable replica held (they had not been promoted, so our master was the only
// one), and the question on the feed's connection before the last that was answered
// (an answer can overtake an announcement that was made before it, but not the one
// that was made before the question before). What Redis itself says needs the barrier only.
func (p proofs) lease() (until, alone int64) {
	if p.on {
		until = term(min(p.barrier, p.heard))
	}
	return until, term(p.barrier)
}

func term(proof int64) int64 {
	if proof == 0 {
		return 0
	}
	return proof + LeaseTerm
}
