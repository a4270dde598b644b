package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/survey"
)

// hearingChecks are about servers that answer here, and that others of the set hold down.
var hearingChecks = []Check{
	{
		Code: "sentinel-holds-down", Severity: health.SeverityWarning, Title: "A sentinel holds a server down that answers here",
		Why:  "It counts for nothing while the server is up. If enough sentinels do so they begin failovers, and a replica that is held down is not promoted.",
		Fix:  "Check that the sentinel reaches the server, and can log in there: sentinel auth-pass and auth-user, TLS, a firewall. Its log says when it began. Right after an outage it takes some seconds.",
		When: "SENTINEL MASTER or SENTINEL REPLICAS shows s_down or o_down for a server that answers here; an error where a quorum of sentinels holds the master down",
		find: heldDown,
	},
	{
		Code: "sentinel-peer-unheard", Severity: health.SeverityWarning, Title: "A sentinel does not hear another one that answers here",
		Why:  "The two do not vote for each other. With one more away no failover may be possible.",
		Fix:  "Check that each sentinel reaches every other one: a firewall, TLS, and the password (sentinel sentinel-pass where the sentinels ask for one). Right after a start it takes some seconds.",
		When: "SENTINEL SENTINELS shows s_down for a sentinel that answers here",
		find: unheardPeers,
	},
	{
		Code: "cluster-node-unheard", Severity: health.SeverityWarning, Title: "A node is held down by others, and answers here",
		Why:  "If a majority of the masters agrees, a replica takes over from a master, and a replica is not promoted. This is how it looks when the cluster bus is blocked.",
		Fix:  "Check that the nodes reach each other on the port of the cluster bus too: cluster-port, 10000 above the other one if it is not set. Right after an outage it takes some seconds.",
		When: "CLUSTER NODES shows fail or fail? for a node that answers here",
		find: unheardNodes,
	},
}

// settled is how long a server has to run before others must have noticed that it does.
const settled = 10 * time.Second

// justStarted reports whether a server runs only since a moment ago.
func justStarted(s survey.Server) bool {
	up, ok := s.Info.Int("uptime_in_seconds")
	return ok && time.Duration(up)*time.Second < settled
}

func heldDown(v *view) (all []seen) {
	if v.failingOver() {
		return nil
	}
	for _, n := range v.nodes {
		if justStarted(n.Server) {
			continue
		}
		var by []string
		quorum := int64(0)
		for _, s := range v.sentinels {
			if flags := downFlags(n, s); flags != "" {
				by = append(by, s.Addr+" ("+flags+")")
			}
			q, _ := s.Master.Int("quorum")
			quorum = max(quorum, q)
		}
		if len(by) == 0 {
			continue
		}
		x := seen{subject: n.Addr, detail: "it answers here; its flags at the sentinels: " + list(by)}
		if slices.Contains(n.Names(), v.named) && int64(len(by)) >= quorum {
			x.severity = health.SeverityError
		}
		all = append(all, x)
	}
	return all
}

// downFlags are the flags by which a sentinel holds a server down; "": it does not.
func downFlags(n *survey.Node, s *survey.Sentinel) string {
	for _, f := range append([]survey.Fields{s.Master}, s.Replicas...) {
		switch {
		case !slices.Contains(n.Names(), f.Addr()):
		case f.Flag("o_down"):
			return "s_down, o_down"
		case f.Flag("s_down"):
			return "s_down"
		}
	}
	return ""
}

func unheardPeers(v *view) (all []seen) {
	for _, s := range v.sentinels {
		if justStarted(s.Server) {
			continue
		}
		for _, p := range s.Peers {
			i := slices.IndexFunc(v.sentinels, func(x *survey.Sentinel) bool { return slices.Contains(x.Names(), p.Addr()) })
			if i >= 0 && v.sentinels[i] != s && p.Flag("s_down") && !justStarted(v.sentinels[i].Server) {
				all = append(all, seen{subject: s.Addr, detail: fmt.Sprintf("SENTINEL SENTINELS %s: flags of %s are %s; it answers here", v.Survey.MasterName, p.Addr(), p["flags"])})
			}
		}
	}
	return all
}

func unheardNodes(v *view) (all []seen) {
	if v.mode() != health.ModeCluster {
		return nil
	}
	for _, n := range v.nodes {
		if n.Cluster == nil || justStarted(n.Server) {
			continue
		}
		var by []string
		for _, other := range v.nodes {
			if other.Cluster == nil || other == n {
				continue
			}
			for _, l := range other.Cluster.Nodes.Lines {
				if l.ID == n.Cluster.Nodes.Self.ID && l.Flags&(cluster.FlagSuspected|cluster.FlagFailed) != 0 {
					by = append(by, other.Addr)
				}
			}
		}
		if len(by) > 0 {
			all = append(all, seen{subject: n.Addr, detail: "it answers here; CLUSTER NODES shows fail or fail? at " + list(by)})
		}
	}
	return all
}
