package survey

import (
	"cmp"
	"slices"

	"github.com/evercache/evercache/internal/cluster"
)

// roster is who names an address.
type roster map[string][]string

func (r roster) add(addr, by string) {
	if addr != "" && !slices.Contains(r[addr], by) {
		r[addr] = append(r[addr], by)
	}
}

// peersOf are the sentinels that sentinels know. Entries that cannot be dialled are left
// out.
func peersOf(all []Sentinel) roster {
	r := roster{}
	for _, s := range all {
		for _, p := range s.Peers {
			r.add(p.Addr(), s.Addr)
		}
	}
	return r
}

// otherNames notes under which addresses the others know a sentinel that has answered: by
// its id. In a container network its own address may not be one that leads there.
func otherNames(all []Sentinel) {
	for _, s := range all {
		for _, p := range s.Peers {
			i := slices.IndexFunc(all, func(x Sentinel) bool { return x.ID != "" && x.ID == p["runid"] })
			if a := p.Addr(); i >= 0 && a != "" && !sentinels.known(all, a) {
				all[i].Aliases = append(all[i].Aliases, a)
			}
		}
	}
}

// nodesOf are the servers with data that sentinels name.
func nodesOf(all []Sentinel) roster {
	r := roster{}
	for _, s := range all {
		r.add(s.Named, s.Addr)
		r.add(s.Master.Addr(), s.Addr)
		for _, p := range s.Replicas {
			r.add(p.Addr(), s.Addr)
		}
	}
	return r
}

// attachedTo are the servers that the nodes name: the replicas of those masters that may
// be believed, and the masters that replicas follow.
func attachedTo(all []Node) (replicas, masters roster) {
	replicas, masters = roster{}, roster{}
	for _, n := range all {
		switch {
		case n.Role.Name == "master" && !n.Anonymous:
			for _, a := range n.Role.Replicas {
				replicas.add(a.Addr, n.Addr)
			}
		case n.Role.Name == "replica":
			masters.add(n.Role.Master, n.Addr)
		}
	}
	return replicas, masters
}

// listedIn are the nodes that nodes of a Cluster list. names: those with a name are
// listed by it.
func listedIn(all []Node, names bool) roster {
	r := roster{}
	for _, n := range all {
		if n.Cluster == nil {
			continue
		}
		for _, l := range n.Cluster.Nodes.Lines {
			if l.Flags&(cluster.FlagHandshake|cluster.FlagNoAddr) != 0 {
				continue
			}
			a := l.Addr
			if names && !l.Name.IsZero() {
				a = l.Name
			}
			r.add(a.String(), n.Addr)
		}
	}
	return r
}

// monitoring counts the sentinels whose word is known.
func monitoring(all []Sentinel) int {
	n := 0
	for _, s := range all {
		if s.Monitors() {
			n++
		}
	}
	return n
}

// majority reports whether so many of all are more than half.
func majority(n, all int) bool { return 2*n > all }

// servers is a list of Server, whatever they are a part of.
type servers[T any] struct {
	of func(*T) *Server
}

// known reports whether an address is that of one of them.
func (k servers[T]) known(all []T, addr string) bool {
	return slices.ContainsFunc(all, func(one T) bool { return slices.Contains(k.of(&one).Names(), addr) })
}

// note fills in who names them.
func (k servers[T]) note(all []T, r roster) {
	for n := range all {
		s := k.of(&all[n])
		for _, a := range s.Names() {
			s.NamedBy = sorted(append(s.NamedBy, r[a]...))
		}
	}
}

// merge lists each process once: the same run id is the same process.
func (k servers[T]) merge(all []T) []T {
	var out []T
	for n := range all {
		s := k.of(&all[n])
		same := slices.IndexFunc(out, func(one T) bool {
			id := k.of(&one).Info["run_id"]
			return id != "" && id == s.Info["run_id"]
		})
		if same < 0 {
			out = append(out, all[n])
			continue
		}
		first := k.of(&out[same])
		first.Aliases = append(first.Aliases, s.Names()...)
		first.NamedBy = sorted(append(first.NamedBy, s.NamedBy...))
	}
	return out
}

// order puts the configured ones first, as they are, and the others by address.
func (k servers[T]) order(all []T) {
	slices.SortStableFunc(all, func(a, b T) int {
		x, y := k.of(&a), k.of(&b)
		switch {
		case x.Configured && y.Configured:
			return 0
		case x.Configured:
			return -1
		case y.Configured:
			return 1
		}
		return cmp.Compare(x.Addr, y.Addr)
	})
}

var (
	sentinels = servers[Sentinel]{func(s *Sentinel) *Server { return &s.Server }}
	nodes     = servers[Node]{func(n *Node) *Server { return &n.Server }}
)
