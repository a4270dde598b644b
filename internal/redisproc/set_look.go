package redisproc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	lookTimeout  = time.Second // for one process to answer
	lookInterval = 30 * time.Millisecond
)

// look asks every process, at once.
func (s *Set) look(ctx context.Context) view {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	v := view{make([]nodeView, len(s.nodes)), make([]sentinelView, len(s.sentinels))}
	var wg sync.WaitGroup
	for i, p := range s.nodes {
		wg.Go(func() { v.nodes[i] = p.lookAtNode(ctx) })
	}
	for i, p := range s.sentinels {
		wg.Go(func() { v.sentinels[i] = p.lookAtSentinel(ctx, s.options.MasterName) })
	}
	wg.Wait()
	return v
}

func (p *Process) lookAtNode(ctx context.Context) nodeView {
	if !p.canAnswer() {
		return nodeView{addr: p.Addr(), err: errSilent}
	}
	reply, err := p.Do(ctx, "ROLE")
	if err != nil {
		return nodeView{addr: p.Addr(), err: err}
	}
	v := parseRole(reply)
	v.addr = p.Addr()
	return v
}

func (p *Process) lookAtSentinel(ctx context.Context, name string) sentinelView {
	if !p.canAnswer() {
		return sentinelView{addr: p.Addr(), err: errSilent}
	}
	replies, err := p.Pipeline(
		ctx,
		[]string{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name},
		[]string{"SENTINEL", "MASTER", name},
		[]string{"SENTINEL", "CKQUORUM", name},
		[]string{"SENTINEL", "REPLICAS", name},
		[]string{"SENTINEL", "SENTINELS", name},
	)
	if err != nil {
		return sentinelView{addr: p.Addr(), err: err}
	}
	v := parseSentinel(replies)
	v.addr = p.Addr()
	return v
}

var (
	errSilent  = errors.New("it is dead or paused")
	errStrange = errors.New("an answer of another form than expected")
)

// parseRole reads ROLE: ["master", offset, [[ip, port, offset]…]] or ["slave", ip, port, state, offset].
func parseRole(reply any) nodeView {
	list, _ := reply.([]any)
	switch role := texts(list); {
	case len(list) == 3 && role[0] == "master":
		v := nodeView{master: true}
		replicas, _ := list[2].([]any)
		for _, r := range replicas {
			if words, _ := r.([]any); len(words) >= 2 {
				t := texts(words)
				v.online = append(v.online, net.JoinHostPort(t[0], t[1]))
			}
		}
		return v
	case len(list) == 5 && role[0] == "slave":
		return nodeView{of: net.JoinHostPort(role[1], role[2]), linked: role[3] == "connected"}
	}
	return nodeView{err: fmt.Errorf("ROLE: %w", errStrange)}
}

// parseSentinel reads the replies to the five questions of lookAtSentinel.
func parseSentinel(replies []any) sentinelView {
	addr, _ := replies[0].([]any)
	if len(addr) != 2 {
		return sentinelView{err: fmt.Errorf("it does not know the master's name, or %w", errStrange)}
	}
	ipPort := texts(addr)
	v := sentinelView{names: net.JoinHostPort(ipPort[0], ipPort[1])}
	v.flags = fields(replies[1])["flags"]
	if e, ok := replies[2].(ReplyError); ok {
		v.quorum = e
	}
	v.replicas, v.others = peers(replies[3]), peers(replies[4])
	return v
}

func peers(reply any) []peer {
	list, _ := reply.([]any)
	var all []peer
	for _, entry := range list {
		f := fields(entry)
		all = append(all, peer{
			addr:       net.JoinHostPort(f["ip"], f["port"]),
			flags:      f["flags"],
			linkStatus: f["master-link-status"],
			of:         net.JoinHostPort(f["master-host"], f["master-port"]),
		})
	}
	return all
}

// fields reads a list of names and values in turn.
func fields(reply any) map[string]string {
	list, _ := reply.([]any)
	words := texts(list)
	f := make(map[string]string, len(words)/2)
	for i := 0; i+1 < len(words); i += 2 {
		f[words[i]] = words[i+1]
	}
	return f
}

// texts writes each element as text.
func texts(list []any) []string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return words
}

// Master is the node that a majority of all sentinels names and that answers ROLE as a master. It
// is nil when there is none at the moment.
func (s *Set) Master(ctx context.Context) *Process {
	return s.Node(s.look(ctx).master())
}

// WaitMaster waits until there is a master other than the one at not, which may be empty.
func (s *Set) WaitMaster(ctx context.Context, not string) (*Process, error) {
	v, err := s.watch(ctx, func(v view) bool { return v.master() != "" && v.master() != not })
	if err != nil {
		return nil, fmt.Errorf("wait for a master other than %q: %w; the last look found: %s", not, err, v.summary())
	}
	return s.Node(v.master()), nil
}

// WaitHealthy waits until a failover is possible: every node and sentinel answers, the replicas are
// in sync with one master, and every sentinel names that master, sees every replica linked to it,
// sees every other sentinel, and finds its quorum (SENTINEL CKQUORUM).
func (s *Set) WaitHealthy(ctx context.Context) error {
	v, err := s.watch(ctx, func(v view) bool { return len(v.faults()) == 0 })
	if err != nil {
		return fmt.Errorf("wait for a healthy set: %w; the last look found:\n%s", err, strings.Join(v.faults(), "\n"))
	}
	return nil
}

// waitNodes waits until the nodes are in sync with master. There are no sentinels yet.
func (s *Set) waitNodes(ctx context.Context, master string) error {
	v, err := s.watch(ctx, func(v view) bool { return len(v.nodeFaults(master)) == 0 })
	if err != nil {
		return fmt.Errorf("wait for the replicas: %w; the last look found:\n%s", err, strings.Join(v.nodeFaults(master), "\n"))
	}
	return nil
}

// watch looks until it has seen enough, and returns that look; or until ctx ends, and returns the
// last look that was finished by then.
func (s *Set) watch(ctx context.Context, enough func(view) bool) (view, error) {
	var last view
	for {
		v := s.look(ctx)
		if enough(v) {
			return v, nil
		}
		if ended(ctx) == nil || last.nodes == nil {
			last = v
		}
		if err := pause(ctx, lookInterval); err != nil {
			return last, err
		}
	}
}
