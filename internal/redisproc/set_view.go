package redisproc

import (
	"fmt"
	"slices"
	"strings"
)

// view is what everybody in a set said at about one time.
type view struct {
	nodes     []nodeView
	sentinels []sentinelView
}

// nodeView is a node's answer to ROLE.
type nodeView struct {
	addr   string
	err    error
	master bool
	online []string // master: its replicas in sync
	of     string   // replica: its master
	linked bool     // replica: in sync with it
}

// sentinelView is what one sentinel says about the set.
type sentinelView struct {
	addr     string
	err      error
	names    string // the master it names
	flags    string // of the master; "master" alone when all is well
	quorum   error  // of CKQUORUM
	replicas []peer
	others   []peer // the other sentinels
}

// peer is a replica or a sentinel as a sentinel sees it.
type peer struct {
	addr, flags string
	linkStatus  string // replica: "ok" when linked to its master
	of          string // replica: the master it says it follows
}

// majorityMaster is the address that more than half of all sentinels name, or "".
func (v view) majorityMaster() string {
	votes := map[string]int{}
	for _, s := range v.sentinels {
		if s.err == nil && s.names != "" {
			votes[s.names]++
		}
	}
	for addr, n := range votes {
		if n > len(v.sentinels)/2 {
			return addr
		}
	}
	return ""
}

// master is the address that the majority names and that says itself that it is a master, or "".
func (v view) master() string {
	addr := v.majorityMaster()
	for _, n := range v.nodes {
		if n.addr == addr && n.err == nil && n.master {
			return addr
		}
	}
	return ""
}

// faults are the reasons why a failover might not be possible; none when everybody is well, knows
// everybody else, and agrees.
func (v view) faults() []string {
	master := v.master()
	if master == "" {
		return []string{"no master that a majority of the sentinels names says that it is one: " + v.summary()}
	}
	faults := v.nodeFaults(master)
	for _, s := range v.sentinels {
		faults = append(faults, s.faults(master, v)...)
	}
	return faults
}

// nodeFaults are the reasons why the nodes are not all in sync with master.
func (v view) nodeFaults(master string) []string {
	var faults []string
	for _, n := range v.nodes {
		faults = append(faults, n.faults(master, v)...)
	}
	return faults
}

func (n nodeView) faults(master string, v view) []string {
	switch {
	case n.err != nil:
		return []string{fmt.Sprintf("node %s: %v", n.addr, n.err)}
	case n.addr == master && n.master:
		return n.missing(v)
	case n.master:
		return []string{fmt.Sprintf("node %s says it is a master", n.addr)}
	case n.of != master || !n.linked:
		return []string{fmt.Sprintf("node %s follows %s, in sync: %v", n.addr, n.of, n.linked)}
	}
	return nil
}

// missing are the replicas that a master does not have in sync.
func (n nodeView) missing(v view) []string {
	var faults []string
	for _, other := range v.nodes {
		if other.addr != n.addr && !slices.Contains(n.online, other.addr) {
			faults = append(faults, fmt.Sprintf("master %s: replica %s is not in sync", n.addr, other.addr))
		}
	}
	return faults
}

func (s sentinelView) faults(master string, v view) []string {
	var faults []string
	switch {
	case s.err != nil:
		return []string{fmt.Sprintf("sentinel %s: %v", s.addr, s.err)}
	case s.names != master || s.flags != "master":
		faults = append(faults, fmt.Sprintf("sentinel %s: names %s with flags %s", s.addr, s.names, s.flags))
	case s.quorum != nil:
		faults = append(faults, fmt.Sprintf("sentinel %s: %v", s.addr, s.quorum))
	}
	for _, n := range v.nodes {
		if n.addr != master {
			faults = append(faults, s.replicaFaults(n.addr, master)...)
		}
	}
	for _, other := range v.sentinels {
		if other.addr != s.addr {
			faults = append(faults, s.sentinelFaults(other.addr)...)
		}
	}
	return faults
}

func (s sentinelView) replicaFaults(addr, master string) []string {
	switch p, known := lookUp(s.replicas, addr); {
	case !known:
		return []string{fmt.Sprintf("sentinel %s: does not know replica %s", s.addr, addr)}
	case p.flags != "slave" || p.linkStatus != "ok" || p.of != master:
		return []string{fmt.Sprintf("sentinel %s: sees replica %s with flags %s, link %s, of %s", s.addr, addr, p.flags, p.linkStatus, p.of)}
	}
	return nil
}

// sentinelFaults leaves out master_down: what the other one said of a master when this one
// last asked. Valkey 9.1 asks only while it holds the master down itself, so after a failover
// it keeps the old word for good. Redis takes it back after five seconds.
func (s sentinelView) sentinelFaults(addr string) []string {
	switch p, known := lookUp(s.others, addr); {
	case !known:
		return []string{fmt.Sprintf("sentinel %s: does not know sentinel %s", s.addr, addr)}
	case p.flags != "sentinel" && p.flags != "sentinel,master_down":
		return []string{fmt.Sprintf("sentinel %s: sees sentinel %s with flags %s", s.addr, addr, p.flags)}
	}
	return nil
}

func lookUp(peers []peer, addr string) (peer, bool) {
	i := slices.IndexFunc(peers, func(p peer) bool { return p.addr == addr })
	if i < 0 {
		return peer{}, false
	}
	return peers[i], true
}

// summary is who names whom.
func (v view) summary() string {
	var parts []string
	for _, s := range v.sentinels {
		if s.err != nil {
			parts = append(parts, fmt.Sprintf("sentinel %s: %v", s.addr, s.err))
		} else {
			parts = append(parts, fmt.Sprintf("sentinel %s names %s", s.addr, s.names))
		}
	}
	for _, n := range v.nodes {
		switch {
		case n.err != nil:
			parts = append(parts, fmt.Sprintf("node %s: %v", n.addr, n.err))
		case n.master:
			parts = append(parts, fmt.Sprintf("node %s is a master", n.addr))
		default:
			parts = append(parts, fmt.Sprintf("node %s follows %s", n.addr, n.of))
		}
	}
	return strings.Join(parts, "; ")
}
