package testkit

import (
	"fmt"
	"strings"
	"time"
)

// StartClusterNode starts a node of a Redis Cluster, which belongs to none yet.
func (n *Network) StartClusterNode(i int, nodeTimeout time.Duration) {
	n.start(i, "redis-server", fmt.Sprintf("bind %s\nport 6379\nprotected-mode no\nsave \"\"\nrepl-diskless-sync-delay 0\n"+
		"cluster-enabled yes\ncluster-node-timeout %d\n", n.Hosts[i], nodeTimeout.Milliseconds()))
}

// slots are those of a Cluster.
const slots = 16384

// FormCluster makes a Cluster of the nodes on the first hosts, twice as many as masters:
// those share the slots, and each has a replica among the others, in the same order. It
// returns when a failover is possible.
func (n *Network) FormCluster(masters int) {
	n.Helper()
	nodes := 2 * masters
	for i := range nodes {
		n.Until(patience, "a node does not start", func() bool { return strings.HasPrefix(n.Ask(i, "6379", "PING"), "PONG") })
		n.say(i, "CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		if i < masters {
			n.say(i, "CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*slots/masters), fmt.Sprint((i+1)*slots/masters-1))
		}
		for other := range i {
			n.say(i, "CLUSTER", "MEET", n.Hosts[other], "6379")
		}
	}
	for i := masters; i < nodes; i++ {
		id := strings.TrimSpace(n.Ask(i-masters, "6379", "CLUSTER", "MYID"))
		n.Until(patience, "a node does not become a replica", func() bool {
			return strings.HasPrefix(n.Ask(i, "6379", "CLUSTER", "REPLICATE", id), "OK")
		})
	}
	n.Until(patience, "the Cluster is not healthy", func() bool {
		time.Sleep(50 * time.Millisecond) // a command is a process
		for i := range nodes {
			if !n.wellIn(i, masters) {
				return false
			}
		}
		return true
	})
}

// say is Ask for what must be done.
func (n *Network) say(i int, args ...string) {
	n.Helper()
	if said := n.Ask(i, "6379", args...); !strings.HasPrefix(said, "OK") {
		n.Fatalf("%s at %s: %s", strings.Join(args, " "), n.Hosts[i], said)
	}
}

// wellIn reports whether node i sees a whole Cluster.
func (n *Network) wellIn(i, masters int) bool {
	replicas, owners := 0, 0
	for line := range strings.Lines(n.Ask(i, "6379", "CLUSTER", "NODES")) {
		words := strings.Fields(line)
		if len(words) < 8 {
			continue
		}
		switch flags := strings.TrimPrefix(words[2], "myself,"); {
		case words[7] != "connected":
			return false
		case flags == "slave":
			replicas++
		case flags == "master" && len(words) > 8:
			owners++
		default:
			return false
		}
	}
	return replicas == masters && owners == masters &&
		strings.Contains(n.Ask(i, "6379", "CLUSTER", "INFO"), "cluster_state:ok") &&
		(i < masters || strings.Contains(n.Ask(i, "6379", "INFO", "replication"), "master_link_status:up"))
}
