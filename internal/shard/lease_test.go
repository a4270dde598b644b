package shard

import (
	"testing"
	"time"
)

func TestTheLeaseIsAsOldAsItsOlderProof(t *testing.T) {
	t.Parallel()
	const ms = int64(time.Millisecond)
	on, off := proofs{on: true}, proofs{}
	tests := []struct {
		name         string
		proofs       proofs
		until, alone int64
	}{
		{"none", on, 0, 0},
		{"barrier alone", on.withBarrier(5 * ms), 0, 5*ms + LeaseTerm},
		{"heard alone", on.withHeard(5 * ms), 0, 0},
		{"older barrier", on.withBarrier(5 * ms).withHeard(7 * ms), 5*ms + LeaseTerm, 5*ms + LeaseTerm},
		{"heard before", on.withBarrier(7 * ms).withHeard(5 * ms), 5*ms + LeaseTerm, 7*ms + LeaseTerm},
		{"another barrier", on.withBarrier(5 * ms).withHeard(7 * ms).withBarrier(6 * ms), 6*ms + LeaseTerm, 6*ms + LeaseTerm},
		{"an older barrier, late", on.withBarrier(5 * ms).withHeard(7 * ms).withBarrier(4 * ms), 5*ms + LeaseTerm, 5*ms + LeaseTerm},
		{"an older answer, late", on.withBarrier(7 * ms).withHeard(5 * ms).withHeard(4 * ms), 5*ms + LeaseTerm, 7*ms + LeaseTerm},
		{"doubted", on.withBarrier(5 * ms).withHeard(5 * ms).doubted(6 * ms), 0, 0},
		{"doubted, and proofs of before", on.doubted(6 * ms).withBarrier(5 * ms).withHeard(5 * ms), 0, 0},
		{"doubted, and a barrier of before", on.doubted(6 * ms).withBarrier(5 * ms).withHeard(6 * ms), 0, 0},
		{"doubted, and an answer of before", on.doubted(6 * ms).withBarrier(6 * ms).withHeard(5 * ms), 0, 6*ms + LeaseTerm},
		{"doubted, and proofs of later", on.doubted(6 * ms).withBarrier(6 * ms).withHeard(7 * ms), 6*ms + LeaseTerm, 6*ms + LeaseTerm},
		{"off", off.withBarrier(7 * ms).withHeard(5 * ms), 0, 7*ms + LeaseTerm},
		{"off and doubted", off.doubted(6 * ms).withBarrier(7 * ms), 0, 7*ms + LeaseTerm},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if until, alone := tt.proofs.lease(); until != tt.until || alone != tt.alone {
				t.Errorf("until %d, alone %d, want %d, %d", until, alone, tt.until, tt.alone)
			}
		})
	}
}
