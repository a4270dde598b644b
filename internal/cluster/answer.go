package cluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/slot"
)

// Answer is what a node says of itself and of the others, put together by
// [NewAnswer]. The machine keeps it: it must not be changed any more.
type Answer struct {
	Self         Line
	Slots        *slot.Set // the node's own
	Moving       *slot.Set // those that it gives away or awaits
	Lines        []Line    // all, sorted by id
	OK           bool      // cluster_state
	CurrentEpoch int64

	RunID       string              // of the process; "" where it was not asked for
	Port        uint16              // where the process itself listens; 0 where it was not asked for
	Told        bool                // INFO replication was answered
	Replicas    []sentinel.Attached // of a master: who follows it, and how far they are
	NodeTimeout time.Duration       // cluster-node-timeout; 0 where it is not known
	Calls       Endpoint            // what it calls the others
}

// NewAnswer joins the answers of one pipeline: ROLE, CLUSTER NODES, CLUSTER INFO
// and INFO replication. A role that was refused is sentinel.RoleUnknown; then the
// node's own line says what it is. A promotion can fall between two of them. An
// answer that contradicts itself is an error, and the next one is 25 ms away.
func NewAnswer(role sentinel.Role, n Nodes, info Info, repl sentinel.Replication) (Answer, error) {
	a := Answer{
		Self: n.Self, Slots: slot.SetOf(n.Self.Slots...), Moving: &slot.Set{}, Lines: n.Lines,
		OK: info.OK, CurrentEpoch: info.CurrentEpoch, RunID: repl.RunID,
		Told: repl.Role != sentinel.RoleUnknown, Replicas: repl.Replicas,
	}
	a.Moving.AddSet(&n.Migrating)
	a.Moving.AddSet(&n.Importing)
	master, replica := n.Self.Flags.Has(FlagMaster), n.Self.Flags.Has(FlagReplica)
	if master == replica {
		return Answer{}, errors.New("node does not say what it is")
	}
	for _, r := range []sentinel.Role{role, repl.Role} {
		if master && r == sentinel.RoleReplica || replica && r == sentinel.RoleMaster {
			return Answer{}, fmt.Errorf("node says %s in one answer and not in another", r)
		}
	}
	if replica && !a.Slots.Empty() {
		return Answer{}, errors.New("replica with slots of its own")
	}
	return a, nil
}

func (a *Answer) master() bool { return a.Self.Flags.Has(FlagMaster) }
