package switchover

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/doctor"
	"github.com/evercache/evercache/internal/survey"
)

// Method is how the master is changed.
type Method string

// The methods.
const (
	// Paused: writes are paused on the master, the replicas come level, SENTINEL FAILOVER promotes one, and the old
	// master is told to follow it before it takes writes again.
	Paused Method = "CLIENT PAUSE and SENTINEL FAILOVER"
	// Coordinated: the servers do the same by themselves (Valkey 9).
	Coordinated Method = "SENTINEL FAILOVER COORDINATED"
	// InCluster: a node of a Cluster does it by itself.
	InCluster Method = "CLUSTER FAILOVER"
)

// Plan is what is about to be done. With Refusals nothing is.
type Plan struct {
	Mode       string   `json:"mode"`
	MasterName string   `json:"masterName,omitempty"`
	From       string   `json:"from,omitempty"` // the master
	To         string   `json:"to,omitempty"`   // the replica that takes over; "": the sentinels choose
	Method     Method   `json:"method,omitempty"`
	Refusals   []string `json:"refusals"`
	// Leftover is what an earlier switchover that was killed has left, and what is put back first.
	Leftover *Leftover `json:"leftover,omitempty"`

	// priority is the replica-priority that To gets for the time of the switch, so that the sentinels choose it; 0: its own.
	priority int64
	restore  int64 // and what it has

	master    survey.Node
	replicas  []survey.Node // that may be promoted: To alone where it was named in a Cluster
	sentinels []survey.Sentinel
	nodes     []survey.Node // all
}

// harmless are errors of the doctor that make no switchover unsafe: they are about the failover after a fault.
var harmless = []string{"sentinel-few", "cluster-few-masters"}

// NewPlan says how to change the master, and why not. It is a function of what was seen.
func NewPlan(s *survey.Survey, found []doctor.Finding, left *Leftover, to string) Plan {
	p := Plan{Mode: s.Mode.String(), MasterName: s.MasterName, Refusals: []string{}, Leftover: left}
	for _, f := range found {
		if f.Severity == health.SeverityError && !slices.Contains(harmless, f.Code) {
			p.refuse("%s", strings.TrimSpace(strings.Join([]string{f.Code + ":", f.Title, inBrackets(f.Subject)}, " ")))
		}
	}
	switch s.Mode {
	case health.ModeSentinel:
		p.ofSet(s, to)
	case health.ModeCluster:
		p.ofCluster(s, to)
	default:
		p.refuse("mode %s: there is nobody to switch over to; a Sentinel set or a Cluster is needed", p.Mode)
	}
	return p
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return "(" + text + ")"
}

func (p *Plan) refuse(format string, a ...any) {
	p.Refusals = append(p.Refusals, fmt.Sprintf(format, a...))
}

func (p *Plan) ofSet(s *survey.Survey, to string) {
	master, ok := s.Leads()
	if !ok {
		p.refuse("the sentinels do not agree on a master that answers")
		return
	}
	p.From, p.master, p.nodes = master.Addr, *master, s.Nodes
	for _, w := range s.Sentinels {
		if !w.Monitors() {
			continue
		}
		p.sentinels = append(p.sentinels, w)
		if w.Master.Flag("failover_in_progress") {
			p.refuse("sentinel %s says that a failover is under way", w.Addr)
		}
	}
	for _, n := range s.Nodes {
		if promotable(n, *master) {
			p.replicas = append(p.replicas, n)
		}
	}
	p.unseen(s)
	for _, o := range s.Outdated() {
		p.refuse("%v", o)
	}
	if len(p.replicas) == 0 {
		p.refuse("no replica of %s can be promoted: none answers, follows it, is in sync and has a replica-priority above 0", p.From)
	}
	p.Method = Paused
	if coordinates(p.sentinels, *master) {
		p.Method = Coordinated
	}
	if to != "" {
		p.choose(s, to)
	}
}

// unseen refuses where the sentinels might promote a replica that does not answer here: it would hold writes back for
// long.
func (p *Plan) unseen(s *survey.Survey) {
	var told []string
	for _, w := range p.sentinels {
		for _, f := range w.Replicas {
			n := s.Node(f.Addr())
			gone := f.Flag("s_down") || f.Flag("disconnected") || f["slave-priority"] == "0"
			if !gone && (n == nil || n.Fault != nil) && !slices.Contains(told, f.Addr()) {
				told = append(told, f.Addr())
				p.refuse("the sentinels may promote %s, which does not answer here", f.Addr())
			}
		}
	}
}

// promotable reports whether a node of a Sentinel set can take over from the master now.
func promotable(n, master survey.Node) bool {
	return n.Fault == nil && !n.Anonymous && follows(n, master) && n.Role.Linked() && n.Config["replica-priority"] != "0"
}

func follows(n, master survey.Node) bool {
	return n.Role.Name == "replica" && slices.Contains(master.Names(), n.Role.Master)
}

// choose makes the sentinels prefer one replica: they take that of the lowest priority.
func (p *Plan) choose(s *survey.Survey, to string) {
	n := s.Node(to)
	switch {
	case n == nil:
		p.refuse("--to %s: the set has no such server; it has %s", to, strings.Join(addresses(s.Nodes), ", "))
		return
	case n.Addr == p.From:
		p.refuse("--to %s: it is the master already", to)
		return
	case !promotable(*n, p.master):
		p.refuse("--to %s: it cannot be promoted now: role %s, link %s, replica-priority %s", to, n.Role.Name, n.Role.Link, n.Config["replica-priority"])
		return
	}
	p.To = n.Addr
	own, known := p.priorityOf(*n)
	least := int64(0) // of the others
	for _, r := range p.replicas {
		v, ok := p.priorityOf(r)
		known = known && ok
		if r.Addr != n.Addr && (least == 0 || v < least) {
			least = v
		}
	}
	switch {
	case len(p.replicas) == 1 || known && own < least:
	case !known:
		p.refuse("--to %s: CONFIG GET replica-priority is not answered by all replicas, so the sentinels cannot be made to choose it; leave --to out", to)
	case least <= 1:
		p.refuse("--to %s: another replica has replica-priority 1, and none can be lower; raise that, or leave --to out", to)
	default:
		p.priority, p.restore = least-1, own
	}
}

// priorityOf is the replica-priority of a node, without what an earlier switchover has left.
func (p *Plan) priorityOf(n survey.Node) (int64, bool) {
	if p.Leftover != nil && p.Leftover.Node == n.Addr {
		return p.Leftover.Own, true
	}
	return n.Config.Int("replica-priority")
}

// away are the nodes that did not answer before anything was done.
func (p *Plan) away() (all []string) {
	for _, n := range p.nodes {
		if n.Fault != nil {
			all = append(all, n.Addr)
		}
	}
	return all
}

func addresses(all []survey.Node) (out []string) {
	for _, n := range all {
		out = append(out, n.Addr)
	}
	return out
}

func (p *Plan) ofCluster(s *survey.Survey, to string) {
	p.Method = InCluster
	if to == "" {
		p.refuse("--to is missing: a Cluster has several masters, so name the replica that is to take over; it has %s", strings.Join(clusterReplicas(s), ", "))
		return
	}
	n := s.Node(to)
	switch {
	case n == nil:
		p.refuse("--to %s: the Cluster has no such server; its replicas are %s", to, strings.Join(clusterReplicas(s), ", "))
		return
	case n.Fault != nil || n.Cluster == nil:
		p.refuse("--to %s: it does not answer", to)
		return
	case n.Role.Name != "replica":
		p.refuse("--to %s: it is no replica", to)
		return
	case n.Role.Link != "connected":
		p.refuse("--to %s: it is not in sync with its master (%s)", to, n.Role.Link)
		return
	}
	master := masterOf(s, n.Cluster.Nodes)
	if master == nil || master.Fault != nil || master.Role.Name != "master" {
		p.refuse("--to %s: its master %s does not answer as a master", to, n.Role.Master)
		return
	}
	p.From, p.To, p.master, p.replicas = master.Addr, n.Addr, *master, []survey.Node{*n}
}

// masterOf is the node that another follows, by its id.
func masterOf(s *survey.Survey, of cluster.Nodes) *survey.Node {
	for i := range s.Nodes {
		if c := s.Nodes[i].Cluster; c != nil && c.Nodes.Self.ID == of.Self.Master {
			return &s.Nodes[i]
		}
	}
	return nil
}

func clusterReplicas(s *survey.Survey) []string {
	var all []string
	for _, n := range s.Nodes {
		if n.Role.Name == "replica" {
			all = append(all, n.Addr)
		}
	}
	if len(all) == 0 {
		return []string{"none"}
	}
	return all
}

// coordinates reports whether the servers can change the master by themselves without loss: Valkey from 9.1.1. Before, a
// coordinated failover needs a right that sentinels' users did not have, or crashes the sentinel.
func coordinates(sentinels []survey.Sentinel, master survey.Node) bool {
	for _, w := range sentinels {
		if !fromVersion(w.Info["valkey_version"], 9, 1, 1) {
			return false
		}
	}
	return len(sentinels) > 0 && fromVersion(master.Info["valkey_version"], 9, 1, 1)
}

func fromVersion(version string, least ...int) bool {
	parts := strings.Split(version, ".")
	if len(parts) < len(least) {
		return false
	}
	for i, l := range least {
		n := 0
		if _, err := fmt.Sscanf(parts[i], "%d", &n); err != nil || n < l {
			return false
		}
		if n > l {
			return true
		}
	}
	return true
}

// missing is what is not as it should be after the switch from one node to another; none: all is.
func missing(s *survey.Survey, from []string, to string) (all []string) {
	lacks := func(format string, a ...any) { all = append(all, fmt.Sprintf(format, a...)) }
	next := s.Node(to)
	if next == nil || next.Fault != nil || next.Role.Name != "master" {
		lacks("%s does not answer as a master", to)
		return all
	}
	for _, w := range s.Sentinels {
		switch {
		case !w.Monitors():
			lacks("sentinel %s does not answer", w.Addr)
		case !slices.Contains(next.Names(), w.Named):
			lacks("sentinel %s names %s", w.Addr, w.Named)
		case w.Master.Flag("failover_in_progress"):
			lacks("sentinel %s has not ended the failover", w.Addr)
		}
	}
	for _, n := range s.Nodes {
		switch {
		case n.Addr == next.Addr || n.Cluster != nil && !slices.ContainsFunc(n.Names(), func(a string) bool { return slices.Contains(from, a) }):
		case n.Fault != nil:
			lacks("%s does not answer", n.Addr)
		case !follows(n, *next):
			lacks("%s does not follow %s: role %s of %s", n.Addr, to, n.Role.Name, n.Role.Master)
		case n.Role.Link != "connected":
			lacks("%s is not in sync with %s", n.Addr, to)
		}
	}
	return append(append(all, unknowing(s, next)...), unlisted(s, next, from)...)
}

// unlisted are former masters that the next one does not list as its replicas yet: until it does, it seems to have none.
func unlisted(s *survey.Survey, next *survey.Node, from []string) (all []string) {
	if next.Cluster == nil {
		return nil
	}
	for _, n := range s.Nodes {
		if n.Fault != nil || n.Cluster == nil || !slices.ContainsFunc(n.Names(), func(a string) bool { return slices.Contains(from, a) }) {
			continue
		}
		id := n.Cluster.Nodes.Self.ID
		if !slices.ContainsFunc(next.Cluster.Nodes.Lines, func(l cluster.Line) bool { return l.ID == id && l.Flags.Has(cluster.FlagReplica) }) {
			all = append(all, next.Addr+" does not list "+n.Addr+" as its replica")
		}
	}
	return all
}

// unknowing are nodes of a Cluster that do not know yet that another one is a master with slots.
func unknowing(s *survey.Survey, next *survey.Node) (all []string) {
	if next.Cluster == nil {
		return nil
	}
	id := next.Cluster.Nodes.Self.ID
	for _, n := range s.Nodes {
		if n.Fault != nil || n.Cluster == nil {
			continue
		}
		if !slices.ContainsFunc(n.Cluster.Nodes.Lines, func(l cluster.Line) bool { return l.ID == id && l.Flags.Has(cluster.FlagMaster) && len(l.Slots) > 0 }) {
			all = append(all, n.Addr+" does not list "+next.Addr+" as a master with slots")
		}
	}
	return all
}
