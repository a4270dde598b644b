package dev

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/sentinel"
)

// lookTimeout is how long one look waits for a server.
const lookTimeout = 500 * time.Millisecond

// look asks every server, at once.
func (s *servers) look(ctx context.Context) Snapshot {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	nodes, sentinels := s.nodes(), s.sentinels()
	now := Snapshot{Mode: s.options.Mode, Nodes: make([]Node, len(nodes)), Sentinels: make([]Watcher, len(sentinels))}
	offsets := make([]sentinel.Replication, len(nodes))
	var wg sync.WaitGroup
	for i, p := range nodes {
		wg.Go(func() { now.Nodes[i], offsets[i] = s.lookAtNode(ctx, p) })
	}
	for i, p := range sentinels {
		wg.Go(func() { now.Sentinels[i] = s.lookAtSentinel(ctx, p) })
	}
	wg.Wait()
	now.setLags(offsets)
	return now
}

// lives is what the process does, without asking it.
func lives(p server) life {
	switch {
	case !p.Running():
		return dead
	case p.Paused():
		return stopped
	}
	return runs
}

func (s *servers) lookAtNode(ctx context.Context, p server) (Node, sentinel.Replication) {
	n := Node{Name: p.name, Addr: p.Addr(), Pid: p.Pid(), Life: lives(p), Lag: -1}
	if n.Life != runs {
		return n, sentinel.Replication{}
	}
	questions := [][]string{{"INFO", "replication"}, {"DBSIZE"}}
	if s.cluster != nil {
		questions = append(questions, []string{"CLUSTER", "INFO"}, []string{"CLUSTER", "NODES"})
	}
	replies, err := p.Pipeline(ctx, questions...)
	if err != nil { // a server that changes its role hangs up on everybody, once
		replies, err = p.Pipeline(ctx, questions...)
	}
	if err != nil {
		n.Silent = true
		return n, sentinel.Replication{}
	}
	info, err := sentinel.ParseReplication(text(replies[0]))
	if err != nil { // LOADING, mostly
		n.Silent = true
		return n, info
	}
	n.Master, n.LinkUp = info.Role == sentinel.RoleMaster, info.LinkUp
	if !n.Master {
		n.Of = s.nameOf(info.Master.String())
	}
	n.Keys, _ = replies[1].(int64)
	if s.cluster != nil {
		n.readCluster(text(replies[2]), text(replies[3]))
	}
	return n, info
}

// readCluster reads CLUSTER INFO and CLUSTER NODES.
func (n *Node) readCluster(info, nodes string) {
	for line := range strings.Lines(info) {
		if state, ok := strings.CutPrefix(strings.TrimSpace(line), "cluster_state:"); ok {
			n.State = state
		}
	}
	known, err := cluster.ParseNodes(nodes)
	if err != nil || !known.Self.Flags.Has(cluster.FlagMaster) {
		return
	}
	for _, r := range known.Self.Slots {
		n.Slots += int(r.Last) - int(r.First) + 1
	}
}

// setLags compares what each replica has acknowledged with what its master has, by the master's word.
func (s *Snapshot) setLags(info []sentinel.Replication) {
	for i, m := range s.Nodes {
		if !m.answers() || !m.Master {
			continue
		}
		for _, r := range info[i].Replicas {
			for j, n := range s.Nodes {
				if n.Addr == r.Addr.String() && n.answers() && n.Of == m.Name {
					s.Nodes[j].Lag = max(0, info[i].Offset-r.Offset)
				}
			}
		}
	}
}

func (s *servers) lookAtSentinel(ctx context.Context, p server) Watcher {
	w := Watcher{Name: p.name, Addr: p.Addr(), Pid: p.Pid(), Life: lives(p)}
	if w.Life != runs {
		return w
	}
	reply, err := p.Do(ctx, "SENTINEL", "MASTER", MasterName)
	if err != nil {
		w.Silent = true
		return w
	}
	view, err := sentinel.ParseMaster(fields(reply))
	if err != nil {
		w.Silent = true
		return w
	}
	f := fields(reply)
	w.Names = s.nameOf(view.Addr.String())
	flags := strings.SplitSeq(f["flags"], ",")
	for flag := range flags {
		w.Down = w.Down || flag == "s_down"
		w.ODown = w.ODown || flag == "o_down"
		w.Leads = w.Leads || flag == "failover_in_progress"
	}
	w.Epoch, _ = strconv.ParseInt(f["config-epoch"], 10, 64)
	w.Knows, _ = strconv.Atoi(f["num-other-sentinels"])
	return w
}

// nameOf is the name of the server with an address; an address of nobody stays one.
func (s *servers) nameOf(addr string) string {
	for _, p := range s.all {
		if p.Addr() == addr && p.kind == redisproc.Server {
			return p.name
		}
	}
	return addr
}

func text(reply any) string {
	s, _ := reply.(string)
	return s
}

// fields reads a list of names and values in turn.
func fields(reply any) map[string]string {
	list, _ := reply.([]any)
	f := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		f[text(list[i])] = text(list[i+1])
	}
	return f
}
