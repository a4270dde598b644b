package sentinel

import (
	"errors"
	"fmt"
	"time"
)

// Observation is something the shell has seen. At is when it was seen; where a
// question was asked, SentAt is when: an answer proves something about the time
// after it was asked, and only that. At never runs backwards.
type Observation interface{ seenAt() time.Time }

// Event is a message a sentinel published.
type Event struct {
	Sentinel         Addr
	At               time.Time
	Channel, Message string
}

// Link tells that the subscription to a sentinel came up or was lost.
type Link struct {
	Sentinel Addr
	At       time.Time
	Up       bool
}

// Poll is a sentinel's answer about our master: ID from SENTINEL MYID, Named
// from GET-MASTER-ADDR-BY-NAME, the rest from SENTINEL MASTER, REPLICAS and
// SENTINELS, and INFO. One pipeline asks them all; Peers and Tilt may be left
// out.
type Poll struct {
	Sentinel   Addr
	SentAt, At time.Time
	Fault      Fault
	ID         string
	Named      Addr
	Master     MasterView
	Replicas   []ReplicaView
	Peers      []PeerView
	Tilt       Tilt
}

// Probe is what a node says of itself.
type Probe struct {
	Node       Addr
	SentAt, At time.Time
	Fault      Fault
	Says       Answer
}

// Answer is a node's ROLE and INFO put together by [NewAnswer].
type Answer struct {
	Role     Role
	RunID    string // "" when it was not asked for
	ReplID   string
	ReplID2  string
	Master   Addr // of a replica
	LinkUp   bool // of a replica: it is in step with its master
	Replicas []Addr

	Offset   int64      // of a master: how much it has written
	Attached []Attached // of a master: how far its replicas are
}

// NewAnswer joins ROLE and INFO replication of one pipeline. A promotion can
// fall between the two; an answer that contradicts itself is an error
// (FaultMalformed), and the next one is 25 ms away.
func NewAnswer(role RoleReply, info Replication, runID string) (Answer, error) {
	if role.Role != info.Role {
		return Answer{}, fmt.Errorf("node says %s in ROLE and %s in INFO", role.Role, info.Role)
	}
	if role.Role == RoleUnknown {
		return Answer{}, errors.New("node does not say what it is")
	}
	a := Answer{
		Role: info.Role, RunID: parseID(runID), ReplID: info.ReplID, ReplID2: info.ReplID2,
		Master: role.Master, LinkUp: info.LinkUp,
		Offset: info.Offset, Attached: info.Replicas,
	}
	for _, r := range info.Replicas {
		a.Replicas = append(a.Replicas, r.Addr)
	}
	return a, nil
}

// Barrier is the heartbeat: a numbered write followed by WAIT, sent to the
// decided master, fenced or not: it is the proof that ends an episode, and a
// master that left one unanswered is not back until it answers the next. Acked is what WAIT said. By names the replicas that have the
// write, where INFO told; it is the better proof, because WAIT also counts
// replicas that can never be promoted. Late is how much of the time between SentAt
// and At went by because whoever asked was busy: it does not make the answer slow.
type Barrier struct {
	Node       Addr
	N          uint64 // its number, for the one who sent it
	Written    bool   // the node has taken it; for the same
	SentAt, At time.Time
	Late       time.Duration
	Fault      Fault
	Acked      int
	By         []Addr
	Attached   []Addr // the replicas that the node names, whether they have it or not; for the one who sent it
}

// ConnLost tells that a connection to a node broke while commands used it.
type ConnLost struct {
	Node Addr
	At   time.Time
}

// Refused tells that a node refused a command with READONLY or MASTERDOWN.
type Refused struct {
	Node Addr
	At   time.Time
}

// Dataset tells what a master that came back still held: without Kept, the
// barrier key and the dataset marker were both gone.
type Dataset struct {
	Node Addr
	At   time.Time
	Kept bool
}

// Tick lets time pass where nothing else happened.
type Tick struct{ At time.Time }

func (o Event) seenAt() time.Time    { return o.At }
func (o Link) seenAt() time.Time     { return o.At }
func (o Poll) seenAt() time.Time     { return o.At }
func (o Probe) seenAt() time.Time    { return o.At }
func (o Barrier) seenAt() time.Time  { return o.At }
func (o ConnLost) seenAt() time.Time { return o.At }
func (o Refused) seenAt() time.Time  { return o.At }
func (o Dataset) seenAt() time.Time  { return o.At }
func (o Tick) seenAt() time.Time     { return o.At }
