package dev

import (
	"fmt"
	"slices"
	"strings"
)

// Snapshot is what all servers said at about one time. It is plain values: what is shown, and what has
// changed, follows from it.
type Snapshot struct {
	Mode      Mode
	Nodes     []Node
	Sentinels []Watcher
}

// life is what a process does.
type life string

const (
	runs    life = "runs"
	stopped life = "stopped" // SIGSTOP
	dead    life = "dead"
)

// Node is a data node. Other servers are named as the user names them.
type Node struct {
	Name, Addr string
	Pid        int
	Life       life
	Silent     bool // it runs and has not answered, or not as a server should

	Master bool
	Of     string // of a replica: its master
	LinkUp bool   // of a replica
	Lag    int64  // of a replica: bytes that it lacks; -1: not known
	Keys   int64

	// Of a Cluster.
	Slots int
	State string // cluster_state
}

// Watcher is a sentinel.
type Watcher struct {
	Name, Addr string
	Pid        int
	Life       life
	Silent     bool

	Names string // the master
	Down  bool   // it holds the master down
	ODown bool   // and knows that enough others do
	Leads bool   // it leads a failover
	Epoch int64
	Knows int // other sentinels
}

// answers: what is said of it is worth something.
func (n Node) answers() bool    { return n.Life == runs && !n.Silent }
func (w Watcher) answers() bool { return w.Life == runs && !w.Silent }

// master is the name of the master that counts: the one that most sentinels name, the only one, or in a
// Cluster that with the first slots. "" while there is none.
func (s Snapshot) master() string {
	if s.Mode == Sentinel {
		return s.elected()
	}
	for _, n := range s.Nodes {
		if n.answers() && n.Master && (s.Mode != Cluster || n.Slots > 0) {
			return n.Name
		}
	}
	if s.Mode == Standalone && len(s.Nodes) > 0 {
		return s.Nodes[0].Name
	}
	return ""
}

// target is the server that an order for the master is about. Where no majority of the sentinels names one,
// since they were killed before it, that is the only server that says it is master.
func (s Snapshot) target() string {
	if name := s.master(); name != "" {
		return name
	}
	name := ""
	for _, n := range s.Nodes {
		if n.answers() && n.Master && s.Mode == Sentinel {
			if name != "" {
				return ""
			}
			name = n.Name
		}
	}
	return name
}

// elected is the master that most of all sentinels name.
func (s Snapshot) elected() string {
	for _, w := range s.Sentinels {
		if w.answers() && 2*s.naming(w.Names) > len(s.Sentinels) {
			return w.Names
		}
	}
	return ""
}

// naming counts the sentinels that name a master.
func (s Snapshot) naming(name string) (n int) {
	for _, w := range s.Sentinels {
		if w.answers() && w.Names == name {
			n++
		}
	}
	return n
}

// holdingDown counts the sentinels that hold their master down.
func (s Snapshot) holdingDown() (n int) {
	for _, w := range s.Sentinels {
		if w.answers() && w.Down {
			n++
		}
	}
	return n
}

func (s Snapshot) node(name string) (Node, bool) {
	i := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, false
	}
	return s.Nodes[i], true
}

// replicaOf is a replica of a master that could take its place, or "".
func (s Snapshot) replicaOf(master string) string {
	for _, n := range s.Nodes {
		if n.answers() && !n.Master && n.Of == master && n.LinkUp {
			return n.Name
		}
	}
	return ""
}

// allSlots is how many a Cluster has.
const allSlots = 16384

// faults are the reasons why not all is well, worst first.
func (s Snapshot) faults() []string {
	var faults []string
	add := func(format string, a ...any) { faults = append(faults, fmt.Sprintf(format, a...)) }
	master := s.master()
	if m, ok := s.node(master); s.Mode != Cluster && (!ok || !m.answers() || !m.Master) {
		add("no master answers")
	}
	slots := 0
	for _, n := range s.Nodes {
		slots += s.nodeFaults(n, master, add)
	}
	if s.Mode == Cluster && slots < allSlots {
		add("%d slots have no master", allSlots-slots)
	}
	for _, w := range s.Sentinels {
		s.watcherFaults(w, master, add)
	}
	return faults
}

// nodeFaults returns the slots that the node serves.
func (s Snapshot) nodeFaults(n Node, master string, add func(string, ...any)) (slots int) {
	switch {
	case n.Life != runs:
		add("%s is %s", n.Name, n.Life)
	case n.Silent:
		add("%s does not answer", n.Name)
	case n.Master && s.Mode == Sentinel && n.Name != master:
		add("%s says that it is a master too", n.Name)
	case !n.Master && !n.LinkUp:
		add("%s is not in sync with %s", n.Name, n.Of)
	case !n.Master && s.Mode == Sentinel && n.Of != master:
		add("%s follows %s", n.Name, n.Of)
	case s.Mode == Cluster && n.State != "ok":
		add("%s says that the Cluster is down", n.Name)
	}
	if n.answers() && n.Master {
		return n.Slots
	}
	return 0
}

func (s Snapshot) watcherFaults(w Watcher, master string, add func(string, ...any)) {
	switch {
	case w.Life != runs:
		add("%s is %s", w.Name, w.Life)
	case w.Silent:
		add("%s does not answer", w.Name)
	case w.Names != master:
		add("%s names %s", w.Name, w.Names)
	case w.Down:
		add("%s holds %s down", w.Name, w.Names)
	case w.Leads:
		add("%s leads a failover", w.Name)
	case w.Knows < len(s.Sentinels)-1:
		add("%s knows %d other sentinels", w.Name, w.Knows)
	}
}

// masters are the names of the nodes that say they are masters.
func (s Snapshot) masters() (all []string) {
	for _, n := range s.Nodes {
		if n.Master {
			all = append(all, n.Name)
		}
	}
	return all
}

// summary is one line about a set in which all is well.
func (s Snapshot) summary() string {
	masters := s.masters()
	replicas := len(s.Nodes) - len(masters)
	text := "master " + strings.Join(masters, ", ")
	if len(masters) > 1 {
		text = "masters " + strings.Join(masters, ", ")
	}
	if replicas > 0 {
		text += fmt.Sprintf(", %s in sync", count(replicas, "replica"))
	}
	if n := len(s.Sentinels); n > 0 {
		text += fmt.Sprintf(", %s agree", count(n, "sentinel"))
	}
	return text
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// do is what n of them do.
func do(n int, verb string) string {
	if n == 1 {
		return verb + "s"
	}
	return verb
}
