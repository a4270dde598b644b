package redisproc

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// unknown: "ERR unknown subcommand 'X'. Try CLUSTER HELP.", "ERR Unknown subcommand or wrong number of arguments
// for 'X'. Try CLUSTER HELP.", "ERR unknown command 'X'".
var unknown = regexp.MustCompile(`(?i)^ERR unknown (sub)?command`)

// memberView is what one node says about itself and the cluster.
type memberView struct {
	node  *Process
	err   error
	state string // cluster_state
	role  nodeView
	self  member
	known []member // self included
}

// member is a line of CLUSTER NODES.
type member struct {
	id     string
	flags  []string
	master string // a replica's master, by id
	epoch  uint64
	linked bool
	slots  []SlotRange
	moving []string // "[93->-id]", "[93-<-id]"
}

func (m member) is(flag string) bool { return slices.Contains(m.flags, flag) }

func (m member) owns(slot int) bool {
	return m.is("master") && slices.ContainsFunc(m.slots, func(r SlotRange) bool { return r.has(slot) })
}

// parseMembers reads CLUSTER NODES.
func parseMembers(text string) ([]member, error) {
	var all []member
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		m, err := parseMember(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("CLUSTER NODES: %w", err)
		}
		all = append(all, m)
	}
	return all, nil
}

// parseMember reads: id address flags master ping pong epoch link slot…
func parseMember(f []string) (member, error) {
	if len(f) < 8 {
		return member{}, errStrange
	}
	m := member{id: f[0], flags: strings.Split(f[2], ","), linked: f[7] == "connected"}
	if f[3] != "-" {
		m.master = f[3]
	}
	var err error
	if m.epoch, err = strconv.ParseUint(f[6], 10, 64); err != nil {
		return member{}, errStrange
	}
	for _, word := range f[8:] {
		if strings.HasPrefix(word, "[") {
			m.moving = append(m.moving, word)
			continue
		}
		r, err := parseRange(word)
		if err != nil {
			return member{}, err
		}
		m.slots = append(m.slots, r)
	}
	return m, nil
}

func parseRange(word string) (SlotRange, error) {
	first, last, isRange := strings.Cut(word, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || from < 0 || to < from || to >= Slots {
		return SlotRange{}, errStrange
	}
	return SlotRange{from, to}, nil
}

// look asks every node, at once.
func (c *Cluster) look(ctx context.Context) clusterView {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	v := make(clusterView, len(c.nodes))
	var wg sync.WaitGroup
	for i, p := range c.nodes {
		wg.Go(func() { v[i] = c.ask(ctx, p) })
	}
	wg.Wait()
	return v
}

func (c *Cluster) ask(ctx context.Context, p *Process) memberView {
	if !p.canAnswer() {
		return memberView{node: p, err: errSilent}
	}
	replies, err := p.Pipeline(ctx, []string{"CLUSTER", "NODES"}, []string{"CLUSTER", "INFO"}, []string{"ROLE"})
	if err != nil {
		return memberView{node: p, err: err}
	}
	v := parseView(replies)
	v.node = p
	if v.err == nil {
		c.learn(p, v.self.id)
	}
	return v
}

// parseView reads the replies to CLUSTER NODES, CLUSTER INFO and ROLE.
func parseView(replies []any) memberView {
	text, ok := replies[0].(string)
	if !ok {
		return memberView{err: fmt.Errorf("CLUSTER NODES: %v", replies[0])}
	}
	known, err := parseMembers(text)
	if err != nil {
		return memberView{err: err}
	}
	i := slices.IndexFunc(known, func(m member) bool { return m.is("myself") })
	if i < 0 {
		return memberView{err: fmt.Errorf("CLUSTER NODES without the node itself: %w", errStrange)}
	}
	v := memberView{known: known, self: known[i], role: parseRole(replies[2])}
	info, _ := replies[1].(string)
	v.state = infoField(info, "cluster_state")
	return v
}

// infoField is a field of INFO or CLUSTER INFO, or "".
func infoField(text, name string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
