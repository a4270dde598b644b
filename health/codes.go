package health

// Codes of the findings that the library makes. docs/operations.md says what to do
// about each. Codes of settings begin with config-.
const (
	CodeRedisAuth               = "redis-auth"                // Redis refuses the login
	CodeRedisBusy               = "redis-busy"                // A script blocks Redis
	CodeRedisClock              = "redis-clock"               // The clocks of Redis and of this process differ
	CodeRedisClusterNode        = "redis-cluster-node"        // The configured server is a node of a Redis Cluster
	CodeRedisCommandMissing     = "redis-command-missing"     // Redis does not have a command that evercache uses
	CodeRedisDB                 = "redis-db"                  // Redis has no database of the configured number
	CodeRedisEvicts             = "redis-evicts"              // Redis evicts keys when its memory is full
	CodeRedisFeed               = "redis-feed"                // Redis does not announce what other processes change
	CodeRedisHeartbeatForbidden = "redis-heartbeat-forbidden" // The Redis ACL forbids the heartbeat's key
	CodeRedisLoading            = "redis-loading"             // Redis is loading its data from disk
	CodeRedisMasterDown         = "redis-masterdown"          // The configured server is a replica whose master is down
	CodeRedisMaxClients         = "redis-maxclients"          // Redis accepts no more connections
	CodeRedisMisconf            = "redis-misconf"             // Redis refuses writes because its last save failed
	CodeRedisNoPerm             = "redis-noperm"              // The Redis ACL forbids what evercache needs
	CodeRedisNoReplicas         = "redis-noreplicas"          // Redis refuses writes because too few replicas are connected
	CodeRedisIsSentinel         = "redis-is-sentinel"         // The configured server is a sentinel, not a Redis server with data
	CodeRedisNotConfigured      = "redis-not-configured"      // No Redis is configured: the cache is in memory only
	CodeRedisNotRedis           = "redis-not-redis"           // The server at the configured address is not Redis
	CodeRedisOld                = "redis-old"                 // Redis is older than 6.2
	CodeRedisOOM                = "redis-oom"                 // Redis has reached maxmemory and refuses writes
	CodeRedisReplica            = "redis-replica"             // The configured server is a replica, not a master
	CodeRedisScriptsForbidden   = "redis-scripts-forbidden"   // Redis does not allow scripts
	CodeRedisSlow               = "redis-slow"                // Redis answers too slowly to be used
	CodeRedisTimeout            = "redis-timeout"             // Redis accepts connections but does not answer in time
	CodeRedisTLS                = "redis-tls"                 // Of us and Redis only one speaks TLS, or the handshake failed
	CodeRedisTLSExpiring        = "redis-tls-expiring"        // Our TLS certificate is over, or soon
	CodeRedisTLSFiles           = "redis-tls-files"           // A TLS file cannot be used
	CodeRedisTwoServers         = "redis-two-servers"         // The address of Redis reaches two servers
	CodeRedisUnknownReply       = "redis-unknown-reply"       // Redis answers with an error that evercache does not know
	CodeRedisUnreachable        = "redis-unreachable"         // Redis cannot be reached
	CodeRedisUnresolved         = "redis-unresolved"          // The name of Redis cannot be resolved
	CodeRedisValueTooLong       = "redis-value-too-long"      // Redis holds a value that is too long to be read

	CodeSentinelAuth            = "sentinel-auth"             // The sentinels refuse the login
	CodeSentinelDisagrees       = "sentinel-disagrees"        // A sentinel names other nodes than the others do
	CodeSentinelFailover        = "sentinel-failover"         // A failover is under way
	CodeSentinelMasterDemoted   = "sentinel-master-demoted"   // The master has become a replica, and no sentinel names another master
	CodeSentinelMasterLoading   = "sentinel-master-loading"   // The master was restarted and is loading its data from disk
	CodeSentinelMasterReturning = "sentinel-master-returning" // The master answers again; the sentinels have not yet shown that they keep it
	CodeSentinelMasterSilent    = "sentinel-master-silent"    // The master does not answer, and no sentinel has begun a failover
	CodeSentinelNoFailover      = "sentinel-no-failover"      // The master is down and no failover happens
	CodeSentinelNoMaster        = "sentinel-no-master"        // No sentinel names a master that answers as one
	CodeSentinelNoQuorum        = "sentinel-no-quorum"        // Too few sentinels answer for a failover
	CodeSentinelNoReplica       = "sentinel-no-replica"       // No replica can be promoted
	CodeSentinelNonsense        = "sentinel-nonsense"         // Invalid messages of sentinels were ignored
	CodeSentinelNoPerm          = "sentinel-noperm"           // The ACL of the sentinels forbids commands that evercache needs
	CodeSentinelNotSentinel     = "sentinel-not-sentinel"     // The servers at the addresses of the sentinels are not sentinels
	CodeSentinelPlaintext       = "sentinel-plaintext"        // The Redis password is sent without TLS to addresses that others announce
	CodeSentinelProvisional     = "sentinel-provisional"      // The master is provisional: no majority of the sentinels names it yet
	CodeSentinelTilt            = "sentinel-tilt"             // A sentinel is in TILT mode and takes no action
	CodeSentinelTLS             = "sentinel-tls"              // The TLS handshake with the sentinels failed
	CodeSentinelTwoMasters      = "sentinel-two-masters"      // A replica says that it is a master, and no sentinel made it one
	CodeSentinelUnknownMaster   = "sentinel-unknown-master"   // The sentinels know no master of the configured name
	CodeSentinelUnproven        = "sentinel-unproven"         // The Redis nodes do not allow what evercache needs to follow a failover
	CodeSentinelUnreachable     = "sentinel-unreachable"      // A sentinel does not answer, or none does
	CodeSentinelUnresolved      = "sentinel-unresolved"       // The names of the sentinels cannot be resolved

	CodeClusterAuth          = "cluster-auth"           // The nodes of the Cluster refuse the login
	CodeClusterClocksDiffer  = "cluster-clocks-differ"  // The clocks of two masters of the Cluster differ
	CodeClusterDown          = "cluster-down"           // Nodes of the Cluster refuse all commands (CLUSTERDOWN)
	CodeClusterFailover      = "cluster-failover"       // A failover of a shard is under way
	CodeClusterMasterLoading = "cluster-master-loading" // The master of a shard was restarted and is loading its data from disk
	CodeClusterMasterSilent  = "cluster-master-silent"  // The master of a shard does not answer, and no replica has taken over
	CodeClusterNodesDisagree = "cluster-nodes-disagree" // A node names other owners of slots than the owners do
	CodeClusterNoPerm        = "cluster-noperm"         // The ACL of the nodes forbids commands that evercache needs
	CodeClusterNoReplica     = "cluster-no-replica"     // A shard has no replica that could be promoted
	CodeClusterNotCluster    = "cluster-not-cluster"    // A configured node is not in cluster mode
	CodeClusterNotFound      = "cluster-not-found"      // No Redis Cluster has been found
	CodeClusterReplaced      = "cluster-replaced"       // Another Cluster was found in place of the one that was used
	CodeClusterRival         = "cluster-rival"          // A node claims slots, and no other node confirms it
	CodeClusterSlotMoving    = "cluster-slot-moving"    // Slots have been moving for long
	CodeClusterSlotUncovered = "cluster-slot-uncovered" // Slots have no owner
	CodeClusterStranger      = "cluster-stranger"       // Another node answers at the address of a node
	CodeClusterTLS           = "cluster-tls"            // The TLS handshake with the nodes failed
	CodeClusterTwoClusters   = "cluster-two-clusters"   // The configured nodes belong to different Clusters
	CodeClusterUnproven      = "cluster-unproven"       // The nodes do not allow what evercache needs to confirm writes
	CodeClusterUnreachable   = "cluster-unreachable"    // A node of the Cluster does not answer, or none does
	CodeClusterUnresolved    = "cluster-unresolved"     // The names of the nodes cannot be resolved

	CodeOutboxOverflowed  = "outbox-overflowed"  // The outbox was full: some keys will be deleted in Redis instead of written
	CodeOutboxPending     = "outbox-pending"     // Acknowledged writes wait for a Redis master that accepts them
	CodeLedgerOverflowed  = "ledger-overflowed"  // More writes were unconfirmed than there is room for
	CodeReplicationBehind = "replication-behind" // Writes are not confirmed by every replica that could be promoted
	CodeDatasetReset      = "dataset-reset"      // Redis came back without its data
	CodeDatasetOlder      = "dataset-older"      // Redis came back with older data
	CodeWriteRejected     = "write-rejected"     // Redis refuses a kept write
	CodeValueUndecodable  = "value-undecodable"  // Redis holds values that cannot be decoded
	CodeValueUnencodable  = "value-unencodable"  // Some values cannot be stored in Redis
	CodeTombstonesMany    = "tombstones-many"    // Tombstones (traces of deletes) take much of the memory of Redis
	CodeJournalDamaged    = "journal-damaged"    // Part of the journal of an earlier process could not be read
	CodeJournalFailed     = "journal-failed"     // The journal cannot be written: kept writes are in memory only
	CodeJournalFull       = "journal-full"       // The journal has no room: some writes are in memory only

	CodeRevocationsEvictable = "revocations-evictable" // Redis may evict the denylist
	CodeRevocationsFirstUse  = "revocations-first-use" // The denylist in Redis was accepted without proof that it is complete
	CodeRevocationsFull      = "revocations-full"      // The denylist has too many entries
	CodeRevocationsKey       = "revocations-key"       // The denylist in Redis is hashed with another key
	CodeRevocationsLag       = "revocations-lag"       // The denylist is out of date
	CodeRevocationsForbidden = "revocations-forbidden" // The Redis ACL forbids commands that the denylist needs
	CodeRevocationsNotReady  = "revocations-not-ready" // The denylist is not loaded
	CodeRevocationsPending   = "revocations-pending"   // Revocations wait for Redis
	CodeRevocationsRemoved   = "revocations-removed"   // Revocations were removed from Redis
)
