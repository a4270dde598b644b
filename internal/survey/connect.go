package survey

import (
	"context"
	"slices"

	"github.com/evercache/evercache/internal/remote"
)

// ConnectNode connects to a server with data that a survey has found, and logs in there as the survey did.
// The text of its error can be shown.
func (t Target) ConnectNode(ctx context.Context, n Node) (*remote.Link, error) {
	l := t.node
	if n.Anonymous {
		l = l.anonymous()
	}
	return remote.DialLink(ctx, l.config(n.dialed(), t.perServer()))
}

// ConnectSentinel is the same for a sentinel.
func (t Target) ConnectSentinel(ctx context.Context, s Sentinel) (*remote.Link, error) {
	l := t.sentinel
	if s.Anonymous {
		l = l.anonymous()
	}
	c := l.config(s.dialed(), t.perServer())
	c.Sentinel = true
	return remote.DialLink(ctx, c)
}

// Leads is the master of a Sentinel set: the one that most sentinels name. ok: they are more than half of
// those that answer, and it answers as a master.
func (s *Survey) Leads() (master *Node, ok bool) {
	count := map[string]int{}
	for _, w := range s.Sentinels {
		if w.Monitors() && w.Named != "" {
			count[w.Named]++
		}
	}
	for addr, n := range count {
		if majority(n, monitoring(s.Sentinels)) {
			m := s.Node(addr)
			return m, m != nil && m.Fault == nil && m.Role.Name == "master"
		}
	}
	return nil, false
}

// Node is the server with data that has an address; nil: none has.
func (s *Survey) Node(addr string) *Node {
	for i := range s.Nodes {
		if slices.Contains(s.Nodes[i].Names(), addr) {
			return &s.Nodes[i]
		}
	}
	return nil
}
