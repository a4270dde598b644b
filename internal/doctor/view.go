package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// view is the input with what several checks need of it.
type view struct {
	Input
	sentinels []*survey.Sentinel // those that answer and monitor the master
	nodes     []*survey.Node     // those that answer, and were logged in to
	named     string             // the master that most sentinels name; "": none
	master    *survey.Node       // that one, where it answers; in standalone mode the server
}

func newView(in Input) *view {
	v := &view{Input: in}
	for i := range in.Survey.Sentinels {
		if s := &in.Survey.Sentinels[i]; s.Monitors() {
			v.sentinels = append(v.sentinels, s)
		}
	}
	for i := range in.Survey.Nodes {
		if n := &in.Survey.Nodes[i]; n.Fault == nil && !n.Anonymous {
			v.nodes = append(v.nodes, n)
		}
	}
	v.named = mostNamed(v.sentinels)
	switch {
	case v.mode() == health.ModeStandalone && len(v.nodes) > 0:
		v.master = v.nodes[0]
	case v.named != "":
		v.master = v.node(v.named)
	}
	return v
}

func (v *view) mode() health.Mode { return v.Survey.Mode }

// mostNamed is the master that most sentinels name; of two with as many, that of the
// higher config epoch.
func mostNamed(all []*survey.Sentinel) string {
	count, epoch := map[string]int{}, map[string]int64{}
	best := ""
	for _, s := range all {
		e, _ := s.Master.Int("config-epoch")
		count[s.Named]++
		epoch[s.Named] = max(epoch[s.Named], e)
	}
	for a := range count {
		if a == "" {
			continue
		}
		if best == "" || count[a] > count[best] || count[a] == count[best] && (epoch[a] > epoch[best] || epoch[a] == epoch[best] && a < best) {
			best = a
		}
	}
	return best
}

// node is the one that answers under an address; nil: none.
func (v *view) node(addr string) *survey.Node {
	for _, n := range v.nodes {
		if slices.Contains(n.Names(), addr) {
			return n
		}
	}
	return nil
}

// same reports whether two addresses lead to one process, or are written alike.
func (v *view) same(a, b string) bool {
	if a == b {
		return true
	}
	n := v.node(a)
	return n != nil && slices.Contains(n.Names(), b)
}

// denylist reports whether the token denylist is used: the settings say so, or there is
// one.
func (v *view) denylist() bool {
	return v.Settings.Denylist || slices.ContainsFunc(v.nodes, func(n *survey.Node) bool { return n.Denylist })
}

// masters are the servers that take writes: the master of the set, or those of a Cluster
// that own slots.
func (v *view) masters() []*survey.Node {
	if v.mode() == health.ModeCluster {
		return slices.DeleteFunc(slices.Clone(v.nodes), func(n *survey.Node) bool {
			return n.Cluster == nil || len(n.Cluster.Nodes.Self.Slots) == 0
		})
	}
	if v.master == nil {
		return nil
	}
	return []*survey.Node{v.master}
}

// failingOver reports whether a sentinel says that a failover is under way: much is not as
// it will be in a moment.
func (v *view) failingOver() bool {
	return slices.ContainsFunc(v.sentinels, func(s *survey.Sentinel) bool { return s.Master.Flag("failover_in_progress") })
}

// replicasOf are the servers that sentinels list as replicas, each with the first entry
// about it.
func (v *view) replicaEntries() []survey.Fields {
	var all []survey.Fields
	seen := map[string]bool{}
	for _, s := range v.sentinels {
		for _, r := range s.Replicas {
			if key := r["name"] + r.Addr(); !seen[key] {
				seen[key] = true
				all = append(all, r)
			}
		}
	}
	return all
}

// host is the host of an address.
func host(addr string) string {
	h, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return h
}

// loopback reports whether an address is one of this machine only.
func loopback(addr string) bool {
	h := host(addr)
	if strings.EqualFold(h, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(h)
	return err == nil && ip.Unmap().IsLoopback()
}

// isName reports whether a host is a name, not an address.
func isName(h string) bool {
	_, err := netip.ParseAddr(h)
	return h != "" && err != nil
}

func list(all []string) string {
	const most = 8
	if more := len(all) - most; more > 0 {
		return strings.Join(all[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(all, ", ")
}
