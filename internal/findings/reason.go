package findings

// Reason is what an outage, a refusal or the silence of a sentinel comes from.
// Whoever has the error finds it; the texts are here.
type Reason uint8

const (
	// Unreachable: nothing answers. It stands for all that has no reason of its own.
	Unreachable Reason = iota

	// What Redis answers, or that it does not in time.
	TimedOut
	Handshake // of TLS
	ReadOnly
	Loading
	MasterDown
	Login
	Rights
	MaxClients
	ClusterNode
	CommandMissing
	UnknownReply
	Busy

	// Why a master that answers takes no writes.
	OOM
	Misconf
	NoReplicas

	// What has happened.
	NotRedis
	IsSentinel
	WantsTLS    // we do not speak it
	SpeaksPlain // we speak TLS
	Unresolved  // the name leads nowhere
	NoDatabase
	TwoServers // one address reaches both
	Slow
	NoMaster   // no sentinel names one that answers as one
	NoFailover // the master is gone, and none comes

	// Why a known master of a Sentinel set gets no writes.
	FailingOver
	Silent
	Demoted
	Rival
	Restarted
	Returning

	// What a sentinel fails at.
	SentinelAway
	SentinelName // it leads nowhere
	SentinelLogin
	SentinelRights
	SentinelTLS
	SentinelOther  // something else answers there
	SentinelMaster // it knows no master of our name

	// Why a shard of a Cluster has no master in use, or what a node fails at.
	ClusterAway      // it does not answer
	ClusterName      // it leads nowhere
	ClusterLogin     // it refuses ours
	ClusterRights    // its ACL forbids a command
	ClusterTLS       // the handshake failed, or one of the two speaks no TLS
	ClusterOther     // it is not in cluster mode, or no Redis
	ClusterDown      // it is well, and refuses all commands
	ClusterFailover  // a replica is to take over, or has
	ClusterSilent    // the master does not answer, and none has taken over
	ClusterRestarted // it reads its data
	ClusterElsewhere // another node answers at its address
	ClusterNone      // no Cluster has been found
	ClusterSeveral   // the seeds lead to several

	reasonCount
)
