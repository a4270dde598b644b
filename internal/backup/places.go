package backup

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/survey"
)

// shard is one master and its replicas, as a survey has found them.
type shard struct {
	slots    *slot.Set // in a Cluster; nil: elsewhere
	master   *survey.Node
	replicas []*survey.Node // those that answer
	// replaced is how many servers still say that they are the master whose place this one
	// has taken. They are to be its replicas, and the sentinels may go back to one of them.
	replaced int
	// rival is why another may be the master in a moment, or already is; "": nothing.
	rival string
}

// shardsOf finds the masters in a survey. It is an error where one is missing.
func shardsOf(s *survey.Survey) ([]shard, error) {
	var usable []*survey.Node
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Fault == nil && !n.Anonymous {
			usable = append(usable, n)
		}
	}
	switch s.Mode {
	case health.ModeStandalone:
		if len(usable) == 0 {
			return nil, errors.Join(errors.New("the server does not answer"), faults(s))
		}
		return []shard{{master: usable[0]}}, nil
	case health.ModeSentinel:
		return sentinelShard(s, usable)
	case health.ModeCluster:
		return clusterShards(s, usable)
	}
	return nil, errors.New("no Redis is configured (REDIS_MEMORY_ONLY)")
}

// faults is why servers do not answer, of three at most.
func faults(s *survey.Survey) error {
	var errs []error
	add := func(sv survey.Server) {
		if sv.Fault != nil && len(errs) < 3 {
			errs = append(errs, fmt.Errorf("%s: %s", sv.Addr, sv.Fault.Text))
		}
	}
	for _, x := range s.Sentinels {
		add(x.Server)
	}
	for _, x := range s.Nodes {
		add(x.Server)
	}
	return errors.Join(errs...)
}

func sentinelShard(s *survey.Survey, usable []*survey.Node) ([]shard, error) {
	named := map[string]int{}
	for _, x := range s.Sentinels {
		if x.Monitors() && x.Named != "" {
			named[x.Named]++
		}
	}
	for addr, n := range named {
		if 2*n <= len(s.Sentinels) {
			continue
		}
		i := slices.IndexFunc(usable, func(n *survey.Node) bool { return slices.Contains(n.Names(), addr) })
		switch {
		case i < 0:
			return nil, errors.Join(fmt.Errorf("the master %s, which the sentinels name, does not answer", addr), faults(s))
		case usable[i].Role.Name != "master":
			return nil, fmt.Errorf("%s, which the sentinels name, is not a master", addr)
		}
		sh := shard{master: usable[i]}
		for _, n := range usable {
			switch {
			case n.Role.Name == "replica":
				sh.replicas = append(sh.replicas, n)
			case n.Role.Name != "master" || n == sh.master:
			case succeeds(sh.master, n):
				sh.replaced++
			default:
				sh.rival = fmt.Sprintf("%s says that it is a master too", n.Addr)
			}
		}
		for _, x := range s.Sentinels {
			if x.Master.Flag("failover_in_progress") {
				sh.rival = fmt.Sprintf("the sentinel %s says that a failover is under way", x.Addr)
			}
		}
		return []shard{sh}, nil
	}
	return nil, errors.Join(errors.New("no majority of the sentinels names a master"), faults(s))
}

// succeeds reports whether a master was promoted from a replica of another, which goes on
// saying that it is one until it is told: for ten seconds after a planned failover.
func succeeds(n, before *survey.Node) bool {
	id := before.Info["master_replid"]
	return id != "" && n.Info["master_replid2"] == id
}

func clusterShards(s *survey.Survey, usable []*survey.Node) ([]shard, error) {
	var owner [slots]*survey.Node // by the word of the owner; of two the one with the higher epoch
	for _, n := range usable {
		if n.Cluster == nil {
			continue
		}
		self := n.Cluster.Nodes.Self
		for _, r := range self.Slots {
			for i := int(r.First); self.Flags.Has(cluster.FlagMaster) && i <= int(r.Last); i++ {
				if owner[i] == nil || owner[i].Cluster.Nodes.Self.Epoch < self.Epoch {
					owner[i] = n
				}
			}
		}
	}
	var all []shard
	missing := 0
	for i, n := range owner {
		if n == nil {
			missing++
			continue
		}
		at := slices.IndexFunc(all, func(sh shard) bool { return sh.master == n })
		if at < 0 {
			at, all = len(all), append(all, shard{master: n, slots: new(slot.Set), replicas: replicasOf(n, usable)})
		}
		all[at].slots.Add(uint16(i))
	}
	if missing > 0 {
		return nil, errors.Join(fmt.Errorf("%d slots of the Cluster have no master that answers: redis-cli --cluster check HOST:PORT", missing), faults(s))
	}
	return all, nil
}

const slots = 16384

func replicasOf(master *survey.Node, usable []*survey.Node) []*survey.Node {
	var of []*survey.Node
	for _, n := range usable {
		if n.Cluster != nil && n.Cluster.Nodes.Self.Flags.Has(cluster.FlagReplica) && n.Cluster.Nodes.Self.Master == master.Cluster.Nodes.Self.ID {
			of = append(of, n)
		}
	}
	return of
}

// addr is under which address a node is dialled.
func addr(n *survey.Node) string { return n.Addr }

// promotable counts the servers that may be the next master: the replicas, and who was
// replaced. Who was just promoted may have no replica yet, and Sentinel may change its mind.
func (sh shard) promotable() int { return len(sh.replicas) + sh.replaced }

// linked counts the replicas whose link is up.
func (sh shard) linked() (n int) {
	for _, r := range sh.replicas {
		if r.Role.Linked() {
			n++
		}
	}
	return n
}

// lag is how many bytes a replica is behind its master.
func (sh shard) lag(n *survey.Node) int64 { return max(0, sh.master.Role.Offset-n.Role.Offset) }

// sources are the nodes to read, the best first: the replicas whose link is up, the least
// lagging first; the master where that is allowed, or where there is nothing else to the
// mode.
func (sh shard) sources(mode health.Mode, fromMaster bool) ([]*survey.Node, error) {
	var fit []*survey.Node
	for _, n := range sh.replicas {
		if n.Role.Linked() {
			fit = append(fit, n)
		}
	}
	slices.SortStableFunc(fit, func(a, b *survey.Node) int {
		return cmp.Or(cmp.Compare(sh.lag(a), sh.lag(b)), strings.Compare(a.Addr, b.Addr))
	})
	if fromMaster || mode == health.ModeStandalone {
		fit = append(fit, sh.master)
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("no replica of %s answers with its link up: bring one back, or allow the master with --from-master", sh.master.Addr)
	}
	return fit, nil
}

// unsettled are the slots that are on the move at this moment.
func unsettled(all []shard) *slot.Set {
	moving := new(slot.Set)
	for _, sh := range all {
		if sh.master.Cluster != nil {
			moving.AddSet(&sh.master.Cluster.Nodes.Migrating)
			moving.AddSet(&sh.master.Cluster.Nodes.Importing)
		}
	}
	return moving
}

// changed are the slots that another shard has than before. A failover is no change: the
// replica has the keys.
func changed(before, after []shard) *slot.Set {
	moved := new(slot.Set)
	for _, now := range after {
		if now.slots == nil {
			continue
		}
		for _, was := range before {
			if now.master.Cluster.Nodes.Self.ID == was.master.Cluster.Nodes.Self.ID || slices.ContainsFunc(was.replicas, func(n *survey.Node) bool {
				return n.Cluster.Nodes.Self.ID == now.master.Cluster.Nodes.Self.ID
			}) {
				continue
			}
			common := *now.slots
			common.Keep(was.slots)
			moved.AddSet(&common)
		}
	}
	return moved
}

// keysOf is how many keys a server has in a database, as INFO says.
func keysOf(n *survey.Node, db int) int64 {
	for part := range strings.SplitSeq(n.Info[fmt.Sprintf("db%d", db)], ",") {
		if count, ok := strings.CutPrefix(part, "keys="); ok {
			k, _ := strconv.ParseInt(count, 10, 64)
			return k
		}
	}
	return 0
}
