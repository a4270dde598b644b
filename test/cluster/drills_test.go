package cluster_test

import (
	"os"
	"testing"
)

// drills are scenes that take long, or that a busy machine spoils. EVERCACHE_CLUSTER_RUNS=5
// runs each of them so often, with all that they have (make drills). EVERCACHE_CLUSTER_DRILLS=all
// runs each once, as a test beside others (make matrix).
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
	"slots move as one":                    slotsMoveAsOne,
	"slots move to another clock":          slotsMoveToAnotherClock,
	"the source dies in the middle":        theSourceDiesInTheMiddle,
	"the target dies":                      theTargetDiesBeforeItsReplicaHasTheKeys,
	"two clusters among the seeds":         twoClustersAmongTheSeeds,
}

// TestDrills runs one of them where nothing is asked for. EVERCACHE_CLUSTER_ATOMIC says that
// the server can move slots in one piece (make matrix); Redis 7 cannot.
func TestDrills(t *testing.T) {
	for name, play := range drills {
		if name == "slots move as one" && os.Getenv("EVERCACHE_CLUSTER_ATOMIC") == "" {
			continue
		}
		if os.Getenv("EVERCACHE_CLUSTER_RUNS") != "" || os.Getenv("EVERCACHE_CLUSTER_DRILLS") == "all" || name == "hangs until it is replaced" {
			t.Run(name, play)
		}
	}
}
