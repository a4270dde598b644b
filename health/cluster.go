package health

import "time"

// Cluster is what is known of a Redis Cluster.
type Cluster struct {
	Configured []string // the seeds
	// Known counts the nodes that are asked what they are, Reachable those of them that
	// answered the last question.
	Known, Reachable int

	// Owned slots have an owner, Unowned ones have none. Moving ones are given away by
	// one node and awaited by another. All is 16384.
	Owned, Unowned, Moving int
	// Confirmed: every slot has an owner, and every shard is healthy.
	Confirmed bool
	Shards    []ClusterShard // those that own slots, by number
	// Cause is why no shard is known; nil: some are, or nothing was asked yet.
	Cause error

	FailoverCount int
	Failovers     []Failover // the last ones of all shards, oldest first

	// Unreachable are nodes whose last question was not answered, at most 64.
	Unreachable []ClusterNode
	// Forbidden is what the nodes' ACL keeps from us and is missed: commands, and
	// "heartbeat key".
	Forbidden []string
}

// ClusterShard is one master at a time, with its slots and its replicas.
type ClusterShard struct {
	Number   uint32   // as long as the client lives no other shard gets it
	Master   string   // as announced
	NodeID   string   // of the master
	Replicas []string // those that could be promoted, as announced
	Slots    int      // how many
	Ranges   string   // which: the first eight ranges, such as "0-5460 5462"
	Epoch    int64    // the config epoch under which the master has them

	// InUse: the master is verified and used. Cause says why not, and Code is that of
	// the finding about it.
	InUse bool
	Cause error
	Code  string
	// Stage is healthy; suspect (writes go on, none is confirmed); blocked (none is sent
	// until the next master is known) or degraded (the same, and none is expected
	// soon). Since is when it stopped being healthy; zero: it is.
	Stage string
	Since time.Time
}

// ClusterNode is a node that does not answer, or not as it should.
type ClusterNode struct {
	Addr string
	Err  error
	Code string // of the finding about Err
}
