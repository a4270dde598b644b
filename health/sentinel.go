package health

import "time"

// Failover is one change of master. Times that are not known are zero.
type Failover struct {
	At       time.Time     // when we adopted the new master
	Shard    uint32        // its number in a Cluster; 0 elsewhere
	From, To string        // addresses as the sentinels, or the nodes of a Cluster, announce them
	Cause    string        // failure, planned, manual
	Epoch    int64         // the config epoch; 0 when there was none
	Blackout time.Duration // how long callers had no master
	Replayed uint64        // writes of this process that were sent to the new master
	// The steps, as they were seen from here. In a Cluster SDown is when some node held
	// the master down (PFAIL), ODown when most masters did (FAIL).
	SDown, ODown, Promoted, Confirmed time.Time
}

// Sentinel is what is known of a Sentinel set.
type Sentinel struct {
	MasterName    string
	Configured    []string
	CurrentMaster string // as announced; "" while none is known
	Stage         string // clear, suspect, fenced, degraded
	Provisional   bool   // no majority of the sentinels names the master yet
	Epoch         int64

	FailoverCount int
	Failovers     []Failover // the last ones, oldest first

	// Sentinels: all that are known, those that answer, those that name our
	// master, how many a majority needs, and the configured quorum.
	Known, Reachable, Agreeing, Needed, Quorum int
	// Monitoring: those of Reachable that watch a master of our name.
	Monitoring  int
	CanFailOver bool
	// HoldDown is how many of them hold our master down. They do when it has not
	// answered for DownAfter.
	HoldDown  int
	DownAfter time.Duration
	Rejected  uint64 // messages and answers of sentinels that made no sense and were ignored
	Sentinels []SentinelNode
	Nodes     []Node
	// Forbidden is what the nodes' ACL keeps from us and is missed: commands, and
	// "heartbeat key".
	Forbidden []string
	// Plaintext are the addresses that the password is sent to without TLS because
	// sentinels or nodes announce them: those beyond this machine that AddressMap
	// does not list.
	Plaintext []string
}

// SentinelNode is one sentinel.
type SentinelNode struct {
	Addr      string
	Reachable bool // it answers
	// Monitoring: it watches a master of our name.
	Monitoring bool
	// Err is why the last question was not answered, or why it cannot be listened
	// to; nil: neither.
	Err error
	// Code is that of the finding about Err; "" without one.
	Code     string
	Names    string // the master it names
	Epoch    int64
	Tilt     bool
	Rejected uint64 // what it said that made no sense
	// Differs: for three seconds or longer it has named another master than most,
	// or nodes that nobody else names. Those are in Alone; no password is sent to
	// them, and a failover to one of them is not followed.
	Differs bool
	Alone   []string
}

// Node is one data node.
type Node struct {
	Addr       string
	Role       string // master, replica, unknown
	Reachable  bool
	Follows    string // a replica's master
	Promotable bool
	// Of a replica of the master in use, by that one's word: the state of the
	// link (online, wait_bgsave, send_bulk; "" for none), what the replica has
	// yet to acknowledge, and for how long it has acknowledged nothing.
	Link     string
	LagBytes int64
	Lag      time.Duration
}
