package main

import (
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// ringHealAfter is later than a Cluster of the default node timeout needs to fail over.
const ringHealAfter = 8 * time.Second

// clusterFaults happen to one shard of a Cluster, whose node timeout prepare is given.
var clusterFaults = []fault{
	{name: "kill", title: "kill -9 of a master", window: 12 * time.Second, shard: true, prepare: circle{}.then(masterKilled)},
	{
		name: "hang", title: "SIGSTOP of a master, SIGCONT 8 s later",
		window: 14 * time.Second, healAfter: ringHealAfter, shard: true, prepare: circle{}.then(masterHung),
	},
	{name: "planned", title: "planned CLUSTER FAILOVER", window: 5 * time.Second, shard: true, prepare: circle{}.then(handedOver(redisproc.Planned))},
	{
		name: "takeover", title: "CLUSTER FAILOVER TAKEOVER while the master lives",
		window: 5 * time.Second, shard: true, prepare: circle{}.then(handedOver(redisproc.Takeover)),
	},
	{
		name: "restart", title: "a master killed, and back 0.3 s later without any data, which its replica takes over",
		window: 7 * time.Second, healAfter: restartAfter, returns: true, shard: true, prepare: circle{patient: true}.then(backEmpty),
	},
	{
		name: "reshard", title: "100 slots moved to a master whose replica does not hear of it, and kill -9 of that master",
		window: 12 * time.Second, lead: 100 * time.Millisecond, shard: true, prepare: circle{}.then(targetLost),
	},
}
