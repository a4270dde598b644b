package cluster_test

import (
	"os"
	"testing"
)

// drills are scenes that take long, or that a busy machine spoils. EVERCACHE_CLUSTER_RUNS=5
// runs each of them so often (make drills).
var drills = map[string]func(*testing.T){
	"a master gives all away":              aMasterGivesAllAwayAndAnotherGetsSome,
	"a prefix is deleted while slots move": aPrefixIsDeletedWhileSlotsMove,
	"a rebuilt cluster":                    aRebuiltClusterIsFollowed,
	"a reshard is abandoned":               aReshardIsAbandoned,
	"a shard without a replica":            shardWithoutAReplicaComesBackFromDisk,
	"all masters killed in turn":           allMastersAreKilledInTurn,
	"an idle cluster":                      anIdleClusterStaysCoherent,
	"hangs for a moment":                   masterHangsForAMoment,
	"hangs until it is replaced":           masterHangsUntilItIsReplaced,
	"partial coverage":                     otherShardsGoOnWithPartialCoverage,
	"revocations":                          revocationsSurviveTheirShard,
	"slots move and come back":             slotsMoveAndComeBack,
	"slots move to another clock":          slotsMoveToAnotherClock,
	"the source dies in the middle":        theSourceDiesInTheMiddle,
	"the target dies":                      theTargetDiesBeforeItsReplicaHasTheKeys,
	"two clusters among the seeds":         twoClustersAmongTheSeeds,
}

// TestDrills runs one of them where nothing is asked for.
func TestDrills(t *testing.T) {
	for name, play := range drills {
		if os.Getenv("EVERCACHE_CLUSTER_RUNS") != "" || name == "hangs until it is replaced" {
			t.Run(name, play)
		}
	}
}
