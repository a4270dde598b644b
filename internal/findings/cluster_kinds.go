package findings

import "github.com/evercache/evercache/health"

// clusterKinds are the findings about a Cluster, in the order of their weight. Those
// with a reason are what a node fails at, or why a master is not in use. none is what
// replaces title and fix while no shard is known.
var clusterKinds = []struct {
	reason  Reason
	finding health.Finding
	none    struct{ Title, Fix string }
}{
	{reason: ClusterLogin, finding: health.Finding{
		Code: health.CodeClusterAuth, Severity: health.SeverityError, Title: "The nodes of the Cluster refuse the login",
		Fix: "Check REDIS_USERNAME and REDIS_PASSWORD, or REDIS_PASSWORD_FILE. The user and its password must be the same on every node: ACL LIST on each.",
	}},
	{reason: ClusterRights, finding: health.Finding{
		Code: health.CodeClusterNoPerm, Severity: health.SeverityError, Title: "The ACL of the nodes forbids commands that evercache needs",
		Fix: "Allow the user on every node what docs/operations.md lists, +cluster|nodes and +cluster|info too.",
	}},
	{reason: ClusterTLS, finding: health.Finding{
		Code: health.CodeClusterTLS, Severity: health.SeverityError, Title: "The TLS handshake with the nodes failed",
		Fix: "Check REDIS_TLS, REDIS_TLS_CA_FILE and the port (tls-port in redis.conf), and that the nodes announce the port with TLS: tls-cluster yes. The certificates must carry the addresses that CLUSTER NODES shows.",
	}},
	{reason: ClusterOther, finding: health.Finding{
		Code: health.CodeClusterNotCluster, Severity: health.SeverityError, Title: "A configured node is not in cluster mode",
		Fix: "Let REDIS_CLUSTER_NODES list nodes of a Redis Cluster: redis-cli -h HOST -p PORT CLUSTER INFO answers there. For one server use REDIS_HOST, for a Sentinel set REDIS_SENTINELS.",
	}},
	{reason: ClusterName, finding: health.Finding{
		Code: health.CodeClusterUnresolved, Severity: health.SeverityWarning, Title: "Names of nodes cannot be resolved",
		Fix: "Check the names in REDIS_CLUSTER_NODES and those that CLUSTER NODES shows (getent hosts NAME), and the DNS of this machine.",
	}, none: struct{ Title, Fix string }{
		"The names of the nodes cannot be resolved", "Check the names in REDIS_CLUSTER_NODES (getent hosts NAME), and the DNS of this machine.",
	}},
	{reason: ClusterSeveral, finding: health.Finding{
		Code: health.CodeClusterTwoClusters, Severity: health.SeverityError, Title: "The configured nodes belong to different Clusters",
		Fix: "Let REDIS_CLUSTER_NODES list nodes of one Cluster: redis-cli -h HOST -p PORT CLUSTER NODES on each shows which belong together. Nothing is sent to a Cluster as long as it is not known which one is meant.",
	}},
	{finding: health.Finding{
		Code: health.CodeClusterReplaced, Severity: health.SeverityWarning, Title: "Another Cluster was found in place of the one that was used",
		Fix: "Nothing to do if you have built it anew (CLUSTER RESET, new machines): what this process keeps is sent there. Otherwise check where REDIS_CLUSTER_NODES leads.",
	}},
	{reason: ClusterElsewhere, finding: health.Finding{
		Code: health.CodeClusterStranger, Severity: health.SeverityError, Title: "Another node answers at the address of a node of the Cluster",
		Fix: "Find out which server has taken the address: redis-cli -h HOST -p PORT CLUSTER MYID. Nothing is written to it. Remove the dead node with CLUSTER FORGET on all others, or give the server another address.",
	}},
	{finding: health.Finding{
		Code: health.CodeClusterRival, Severity: health.SeverityError, Title: "A node claims slots, and no other node confirms it",
		Fix: "Compare CLUSTER NODES there and on the other masters. A node that was away for long, or comes from a copy of nodes.conf, is removed with CLUSTER RESET HARD there. Nothing is written to it.",
	}},
	{reason: ClusterSilent, finding: health.Finding{
		Code: health.CodeClusterMasterSilent, Severity: health.SeverityError, Title: "The master of a shard does not answer, and no replica has taken over",
		Fix: "Wait for cluster-node-timeout: a replica takes over about a second after it. If none does: redis-cli -h REPLICA CLUSTER FAILOVER TAKEOVER, or start the master again.",
	}},
	{reason: ClusterFailover, finding: health.Finding{
		Code: health.CodeClusterFailover, Severity: health.SeverityWarning, Title: "A failover of a shard is under way",
		Fix: "Nothing to do: the next master is used as soon as it accepts writes.",
	}},
	{reason: ClusterRestarted, finding: health.Finding{
		Code: health.CodeClusterMasterLoading, Severity: health.SeverityWarning, Title: "The master of a shard was restarted and is loading its data from disk",
		Fix: "Wait. INFO persistence there shows loading_eta_seconds. If a replica takes over meanwhile, that is used.",
	}},
	{reason: ClusterDown, finding: health.Finding{
		Code: health.CodeClusterDown, Severity: health.SeverityError, Title: "Nodes of the Cluster refuse all commands (CLUSTERDOWN)",
		Fix: "In a failover it ends by itself within seconds. Otherwise see which slots or masters are missing: redis-cli --cluster check HOST:PORT. With cluster-require-full-coverage no, the other slots stay usable.",
	}},
	{finding: health.Finding{
		Code: health.CodeClusterSlotUncovered, Severity: health.SeverityError, Title: "Slots of the Cluster have no owner",
		Fix: "Bring back the master that had them, or give them to others: redis-cli --cluster check HOST:PORT, then redis-cli --cluster fix HOST:PORT. Their keys are answered from memory until then, and writes are kept.",
	}},
	{finding: health.Finding{
		Code: health.CodeClusterSlotMoving, Severity: health.SeverityWarning, Title: "Slots have been moving from one node to another for long",
		Fix: "If no reshard is running, one was interrupted: redis-cli --cluster fix HOST:PORT ends it. Meanwhile writes of these slots are kept and sent again, and nothing of them is called coherent. After a failover of the source the target may refuse all commands (CLUSTERDOWN) until then.",
	}},
	{finding: health.Finding{
		Code: health.CodeClusterNodesDisagree, Severity: health.SeverityWarning, Title: "A node names other owners of slots than the owners do",
		Fix: "Compare CLUSTER NODES there and on the masters: redis-cli --cluster check HOST:PORT. Check that the node reaches the cluster bus ports of the others (port + 10000). The owners' own word is followed.",
	}},
	{finding: health.Finding{
		Code: health.CodeClusterNoReplica, Severity: health.SeverityError, Title: "A shard has no replica that could be promoted",
		Fix: "Start a replica again, or add one: redis-cli --cluster add-node NEW:PORT HOST:PORT --cluster-slave --cluster-master-id ID. One with cluster-replica-no-failover yes does not count.",
	}},
	{finding: health.Finding{
		Code: health.CodeClusterClocksDiffer, Severity: health.SeverityWarning, Title: "The clocks of two masters of the Cluster differ",
		Fix: "Let NTP set the clocks of all machines (timedatectl, chronyc tracking). The order of writes of a key that moves between them is told less well: more of the kept ones become deletes.",
	}},
	{finding: health.Finding{
		Code: health.CodeClusterUnproven, Severity: health.SeverityWarning, Title: "The nodes do not allow what evercache needs to confirm writes",
		Fix: "Give the user CLUSTER, INFO, ROLE, WAIT and the keys <prefix>~* on every node, and remove the rename-command lines of these commands: docs/operations.md. Until then reads and writes go on, but no write is confirmed to survive a failover.",
	}},
	{reason: ClusterAway, finding: health.Finding{
		Code: health.CodeClusterUnreachable, Severity: health.SeverityWarning, Title: "Nodes of the Cluster do not answer",
		Fix: "Start them again, or check that the addresses that CLUSTER NODES shows can be reached from this machine; if not, set REDIS_ADDRESS_MAP. A node that is gone for good: CLUSTER FORGET on all others.",
	}, none: struct{ Title, Fix string }{
		"No node of the Cluster answers", "Check the hosts and ports in REDIS_CLUSTER_NODES, and the firewall: redis-cli -h HOST -p PORT PING.",
	}},
}

// clusterNotFound is what ClusterNone is reported as.
var clusterNotFound = health.Finding{
	Code: health.CodeClusterNotFound, Severity: health.SeverityError, Title: "No Redis Cluster has been found",
	Fix: "Check that the nodes in REDIS_CLUSTER_NODES have slots: redis-cli -h HOST -p PORT CLUSTER INFO shows cluster_slots_assigned. If their masters announce addresses that cannot be reached from this machine, set REDIS_ADDRESS_MAP.",
}

// clusterKind is the finding for a reason; false: it is no reason of a Cluster.
func clusterKind(r Reason) (health.Finding, bool) {
	if r == ClusterNone {
		return clusterNotFound, true
	}
	for _, k := range clusterKinds {
		if r != Unreachable && k.reason == r {
			f := k.finding
			f.Severity = health.SeverityError
			if k.none.Title != "" {
				f.Title, f.Fix = k.none.Title, k.none.Fix
			}
			return f, true
		}
	}
	return health.Finding{}, false
}

// ClusterCode is the code of what a node of a Cluster fails at; "": it has none.
func ClusterCode(r Reason) string {
	f, _ := clusterKind(r)
	return f.Code
}
