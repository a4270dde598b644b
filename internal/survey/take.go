package survey

import (
	"cmp"
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/evercache/evercache/health"
)

// Take looks at everything that the target leads to. It never fails as a whole: a
// server that does not answer has a Fault. It takes about Target.Timeout at most, or
// until ctx ends.
func Take(ctx context.Context, t Target) *Survey {
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	t.hidePasswords()
	l := look{Target: t, ctx: ctx, key: newKey(), s: &Survey{Mode: t.Mode, MasterName: t.MasterName, At: time.Now()}}
	switch t.Mode {
	case health.ModeStandalone:
		l.configured([]string{t.Addr})
	case health.ModeSentinel:
		l.sentinelSet()
	case health.ModeCluster:
		l.cluster()
	}
	l.tidy()
	l.s.Took = time.Since(l.s.At)
	return l.s
}

// look is a survey while it is taken. Its rounds follow each other, since who may be
// logged in to depends on who names an address.
type look struct {
	Target
	ctx context.Context
	key []byte
	s   *Survey
}

// rounds is how often what was found is followed further: a server that is named by one
// that is named.
const rounds = 3

func (l *look) sentinelSet() {
	var first []Sentinel
	for _, a := range l.Sentinels {
		first = append(first, Sentinel{Server: l.server(a, true)})
	}
	l.askSentinels(first)
	for range rounds {
		otherNames(l.s.Sentinels)
		var more []Sentinel
		known := peersOf(l.s.Sentinels)
		for _, a := range l.unknown(known, func(a string) bool { return sentinels.known(l.s.Sentinels, a) }) {
			s := Sentinel{Server: l.server(a, false)}
			s.Anonymous = len(known[a]) < min(2, len(l.Sentinels)) // as the client does
			more = append(more, s)
		}
		if len(more) == 0 {
			break
		}
		l.askSentinels(more)
	}
	var wg sync.WaitGroup
	if l.Thorough {
		wg.Go(func() { l.s.Absent = l.lookupAbsent() })
	}
	l.askNamed()
	wg.Wait()
}

// askNamed asks the servers with data: those that sentinels name, then those that these
// name.
func (l *look) askNamed() {
	named, all := nodesOf(l.s.Sentinels), monitoring(l.s.Sentinels)
	l.askNodes(l.named(named, func(by []string) bool { return majority(len(by), all) }))
	for range rounds - 1 {
		replicas, masters := attachedTo(l.s.Nodes)
		l.recognize(replicas, masters)
		more := l.named(replicas, func([]string) bool { return true })
		for _, n := range l.named(masters, func([]string) bool { return false }) {
			if !nodes.known(more, n.Addr) {
				more = append(more, n)
			}
		}
		if len(more) == 0 {
			return
		}
		l.askNodes(more)
	}
}

// recognize finds nodes that are asked already under other names: the sentinels may say an
// address where the nodes say a name, or the other way round.
func (l *look) recognize(rosters ...roster) {
	var addrs []string
	for _, r := range rosters {
		addrs = append(addrs, l.unknown(r, func(a string) bool { return nodes.known(l.s.Nodes, a) })...)
	}
	leads := make([][]string, len(addrs))
	aside(len(addrs), func(i int) {
		ctx, cancel := context.WithTimeout(l.ctx, l.perServer())
		defer cancel()
		leads[i] = expandName(ctx, addrs[i])
	})
	for i, a := range addrs {
		same := slices.IndexFunc(l.s.Nodes, func(n Node) bool { return n.Reached != "" && slices.Contains(leads[i], n.Reached) })
		if same >= 0 && !nodes.known(l.s.Nodes, a) {
			l.s.Nodes[same].Aliases = append(l.s.Nodes[same].Aliases, a)
		}
	}
}

func (l *look) cluster() {
	seeds := expand(l.ctx, l.ClusterNodes)
	l.configured(seeds)
	if len(seeds) != len(l.ClusterNodes) {
		l.s.Nodes = answering(l.s.Nodes)
	}
	for range rounds {
		more := l.named(listedIn(l.s.Nodes, l.node.secured()), func([]string) bool { return true })
		if len(more) == 0 {
			return
		}
		l.askNodes(more)
	}
}

// answering are those that answered, of the addresses of one name: of two families of
// addresses one may lead nowhere. Where none has, all are kept.
func answering(all []Node) []Node {
	some := slices.DeleteFunc(slices.Clone(all), func(n Node) bool { return !n.Answered() })
	if len(some) == 0 {
		return all
	}
	return some
}

// configured asks the servers with data that the configuration lists.
func (l *look) configured(addrs []string) {
	var first []Node
	for _, a := range addrs {
		first = append(first, Node{Server: l.server(a, true)})
	}
	l.askNodes(first)
}

// named are the nodes of a roster that nobody has asked yet. A password is sent to those
// that enough vouch for, and to those of the address map.
func (l *look) named(r roster, enough func(by []string) bool) []Node {
	var more []Node
	for _, a := range l.unknown(r, func(a string) bool { return nodes.known(l.s.Nodes, a) }) {
		n := Node{Server: l.server(a, false)}
		n.Anonymous = n.Dialed == "" && !enough(r[a])
		more = append(more, n)
	}
	return more
}

// unknown are the addresses of a roster that are not known yet, as many as there is
// room for.
func (l *look) unknown(r roster, known func(string) bool) []string {
	var more []string
	for _, a := range slices.Sorted(maps.Keys(r)) {
		switch {
		case known(a) || slices.Contains(l.s.Left, a):
		case len(l.s.Sentinels)+len(l.s.Nodes)+len(more) >= MaxServers:
			l.s.Left = append(l.s.Left, a)
		default:
			more = append(more, a)
		}
	}
	return more
}

func (l *look) server(addr string, configured bool) Server {
	s := Server{Addr: addr, Configured: configured}
	if to := l.dialable(addr); to != addr {
		s.Dialed = to
	}
	return s
}

// dialed is the address to dial.
func (s Server) dialed() string { return cmp.Or(s.Dialed, s.Addr) }

func (l *look) askSentinels(all []Sentinel) {
	aside(len(all), func(i int) { l.askSentinel(l.ctx, &all[i]) })
	l.s.Sentinels = append(l.s.Sentinels, all...)
}

func (l *look) askNodes(all []Node) {
	aside(len(all), func(i int) { l.askNode(l.ctx, &all[i], l.key) })
	l.s.Nodes = append(l.s.Nodes, all...)
}

// aside does n things side by side and waits for all.
func aside(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// tidy notes who names whom, and lists each process once.
func (l *look) tidy() {
	s := l.s
	sentinels.note(s.Sentinels, peersOf(s.Sentinels))
	named, listed := nodesOf(s.Sentinels), listedIn(s.Nodes, l.node.secured())
	replicas, masters := attachedTo(s.Nodes)
	for _, r := range []roster{named, listed, replicas, masters} {
		nodes.note(s.Nodes, r)
	}
	s.Sentinels, s.Nodes = sentinels.merge(s.Sentinels), nodes.merge(s.Nodes)
	sentinels.order(s.Sentinels)
	nodes.order(s.Nodes)
}

// secured reports whether TLS is spoken: then names count, which certificates are for.
func (l login) secured() bool { return l.tls != nil || l.tlsNow != nil }

// expand is the list of seeds; one name with several addresses stands for all of them.
func expand(ctx context.Context, seeds []string) []string {
	if len(seeds) != 1 {
		return seeds
	}
	found := expandName(ctx, seeds[0])
	if len(found) < 2 {
		return seeds
	}
	return found[:min(len(found), MaxServers)]
}

// expandName is what an address leads to: itself, or what its name resolves to.
func expandName(ctx context.Context, addr string) []string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || net.ParseIP(host) != nil {
		return []string{addr}
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil
	}
	for i, ip := range ips {
		ips[i] = net.JoinHostPort(ip, port)
	}
	return ips
}
