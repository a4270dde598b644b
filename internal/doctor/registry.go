package doctor

import (
	"slices"
	"sync"
)

// Checks are all checks, in the order in which findings of one severity are shown: how
// the servers are reached, the sentinels, who is master, the servers, the Cluster.
func Checks() []Check { return registry() }

var registry = sync.OnceValue(func() []Check {
	return slices.Concat(
		nodeFaults, sentinelFaults, clusterFaults, reachChecks,
		quorumChecks, agreementChecks, hearingChecks, ghostChecks, timingChecks, placeChecks,
		masterChecks, replicaChecks, loginChecks, durabilityChecks, memoryChecks,
		versionChecks, supportChecks, clockChecks, rightsChecks, certificateChecks, loadChecks,
		slotChecks, shardChecks,
	)
})
