package survey

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/internal/watch"
)

// askNode fills in what one server with data says. key is that of the hashes of its
// passwords.
func (t Target) askNode(ctx context.Context, n *Node, key []byte) {
	n.Config, n.secrets = Fields{}, map[string]string{}
	if err := t.hearNode(ctx, n, key); err != nil {
		n.Fault = t.nodeFault(err)
	}
}

func (t Target) hearNode(ctx context.Context, n *Node, key []byte) error {
	l := t.node
	if n.Anonymous {
		l = l.anonymous()
	}
	i, err := meet(ctx, t.perServer(), &n.Server, l.config(n.dialed(), t.perServer()))
	if err != nil {
		return err
	}
	defer i.Close()
	if err := askClock(ctx, i, n); err != nil {
		return err
	}
	if err := t.askState(ctx, i, n); err != nil {
		return err
	}
	if err := askParameters(ctx, i, n, t.Mode == health.ModeCluster, key); err != nil {
		return err
	}
	if n.Anonymous {
		return nil // nobody vouches for it: it gets no more questions than needed
	}
	if err := i.askRights(ctx, t.nodeTrials(), true); err != nil {
		return err
	}
	if err := i.askOthers(ctx, n); err != nil || !t.Thorough {
		return err
	}
	return i.ping(ctx)
}

const (
	// quick is an answer in good time. A slower one may be an accident, three are not.
	quick    = 10 * time.Millisecond
	attempts = 3
)

// askClock asks for the time, and keeps the quickest answer: it tells the latency, and the
// clock best.
func askClock(ctx context.Context, i *interview, n *Node) error {
	best := time.Duration(0)
	for range attempts {
		reply, before, err := i.timed(ctx, "TIME")
		if err != nil {
			return err
		}
		if took := n.Latency; best == 0 || took < best {
			best, n.Clock = took, Clock{}
			if at := parseTime(reply.Value); !at.IsZero() {
				n.Clock = Clock{Before: before, Theirs: at, After: before.Add(took)}
			}
		}
		if best <= quick {
			break
		}
	}
	n.Latency = best
	return nil
}

// denylistKey is where package revoke keeps the list that the binary uses.
const denylistKey = "~r:{tokens}:set"

// askState asks what the server is.
func (t Target) askState(ctx context.Context, i *interview, n *Node) error {
	questions := [][]string{{"ROLE"}, {"INFO"}, {"EXISTS", t.KeyPrefix + denylistKey}}
	if t.Mode == health.ModeCluster {
		questions = append(questions, []string{"CLUSTER", "INFO"}, []string{"CLUSTER", "NODES"})
	}
	r, err := i.ask(ctx, questions...)
	if err != nil {
		return err
	}
	if r[1].Err == nil {
		n.Info = parseInfo(text(r[1]))
		n.Role = roleOfInfo(text(r[1]))
	}
	n.Denylist = r[2].Value == int64(1) // elsewhere in a Cluster it is MOVED
	words, _ := r[0].Value.([]any)
	if len(words) > 0 && word(words[0]) == "sentinel" || n.Info["redis_mode"] == "sentinel" {
		return remote.ErrSentinel
	}
	n.Role = n.Role.with(parseRole(words))
	if t.Mode != health.ModeCluster {
		if n.Info["redis_mode"] == "cluster" {
			return &remote.Error{Kind: remote.Moved, Op: "ask mode", Err: remote.ErrCluster}
		}
		return allRefused(r)
	}
	return n.takeCluster(r[3], r[4])
}

// allRefused is the refusal, where a server answers no question about its role.
func allRefused(r []remote.Reply) error {
	if r[0].Err != nil && r[1].Err != nil {
		return r[0].Err
	}
	return nil
}

// takeCluster reads what the node says of its Cluster.
func (n *Node) takeCluster(info, nodes remote.Reply) error {
	for _, r := range []remote.Reply{nodes, info} {
		if r.Err != nil && strings.Contains(r.Err.Error(), "cluster support disabled") {
			return watch.ErrNotCluster
		}
		if r.Err != nil {
			return r.Err
		}
	}
	n.Cluster = &ClusterView{Info: parseInfo(text(info))}
	view, err := cluster.ParseNodes(text(nodes))
	if err != nil {
		n.Cluster.Fault = censor.Text(err.Error(), maxError)
		return nil
	}
	n.Cluster.Nodes = view
	return nil
}

func askParameters(ctx context.Context, i *interview, n *Node, clustered bool, key []byte) error {
	all := parameters
	if clustered {
		all = append(all[:len(all):len(all)], clusterParameters...)
	}
	plain := len(all)
	all = append(all[:plain:plain], secretParameters...)
	questions := make([][]string, len(all))
	for k, name := range all {
		questions[k] = []string{"CONFIG", "GET", name}
	}
	r, err := i.Ask(ctx, i.limit, questions...)
	if err != nil {
		return err
	}
	for k, name := range all {
		n.parameter(name, k >= plain, r[k], key)
	}
	if r[0].Err != nil {
		i.refused([]string{"CONFIG", "GET"}, r[0].Err)
	}
	return nil
}

// nodeFault sorts why a server with data does not answer.
func (t Target) nodeFault(err error) *Fault {
	f := &Fault{Kind: remote.KindOf(err), Text: censor.Text(err.Error(), maxError), Connected: !remote.NeverConnected(err)}
	if t.Mode == health.ModeCluster {
		f.Reason = shard.NodeReason(err)
	} else {
		f.Reason = shard.ReasonOf(err)
	}
	return f
}

// parseTime reads the answer to TIME; zero: it is none.
func parseTime(v any) time.Time {
	words, _ := v.([]any)
	if len(words) != 2 {
		return time.Time{}
	}
	var sec, micro int64
	if _, err := fmt.Sscan(word(words[0])+" "+word(words[1]), &sec, &micro); err != nil || sec <= 0 || sec > maxSeconds || micro < 0 || micro >= 1e6 {
		return time.Time{}
	}
	return time.Unix(sec, micro*1000)
}

// maxSeconds is the year 9999.
const maxSeconds = 253402300799

// parseRole reads the answer to ROLE.
func parseRole(words []any) Role {
	reply, err := sentinel.ParseRole(words)
	if err != nil {
		return Role{}
	}
	r := Role{Name: reply.Role.String(), Master: reply.Master.String()}
	if reply.Role == sentinel.RoleReplica && len(words) >= 5 {
		r.Link = censor.Text(word(words[3]), maxValue)
		r.Offset, _ = words[4].(int64)
	}
	for _, a := range reply.Replicas {
		r.Replicas = append(r.Replicas, Attached{Addr: a.String()})
	}
	return r
}

// roleOfInfo reads the same from INFO, which tells more of the replicas.
func roleOfInfo(info string) Role {
	reply, err := sentinel.ParseReplication(info)
	if err != nil {
		return Role{}
	}
	r := Role{Name: reply.Role.String(), Master: reply.Master.String(), Offset: reply.Offset}
	if reply.Role == sentinel.RoleReplica {
		if r.Link = "connect"; reply.LinkUp {
			r.Link = "connected"
		}
	}
	for _, a := range reply.Replicas {
		r.Replicas = append(r.Replicas, Attached{Addr: a.Addr.String(), State: a.State, Offset: a.Offset, Lag: a.Lag})
	}
	return r
}

// with is r, of INFO, with what ROLE says, which is the newer and the truer one.
func (r Role) with(said Role) Role {
	switch {
	case said.Name == "":
		return r
	case said.Name != r.Name:
		return said
	}
	r.Master = said.Master
	if said.Link != "" {
		r.Link = said.Link
	}
	if len(r.Replicas) == 0 {
		r.Replicas = said.Replicas
	}
	return r
}
