// Package overview shows a Redis set at one moment: who is master, how the replicas are, what each
// sentinel says, and what is not well. It comes from a survey of the servers, or from the /health of a
// process that uses them. Everything here is a pure function of what was heard.
package overview

import (
	"fmt"
	"time"
)

// View is one set at one moment. Its JSON is what evercache status -o json prints: fields may be added,
// none is renamed.
type View struct {
	Status      Status     `json:"status"`
	Mode        string     `json:"mode"` // standalone, sentinel, cluster, memory
	MasterName  string     `json:"masterName,omitempty"`
	Source      string     `json:"source"` // "servers", or the address of the process that was asked
	At          time.Time  `json:"at"`
	Master      string     `json:"master,omitempty"` // the one that counts; a Cluster has several
	MasterSince *time.Time `json:"masterSince"`      // null: not known
	Epoch       int64      `json:"epoch"`
	Quorum      *Quorum    `json:"quorum,omitempty"`
	Slots       *Slots     `json:"slots,omitempty"`
	Nodes       []Node     `json:"nodes"`
	Sentinels   []Sentinel `json:"sentinels"`
	Problems    []string   `json:"problems"`
	Evercache   *Evercache `json:"evercache,omitempty"` // of a process that was asked
}

// Status is the whole in one word.
type Status string

// The words.
const (
	Well    Status = "well"
	NotWell Status = "not-well"
	Unknown Status = "unknown" // nobody has answered
)

// Quorum counts sentinels.
type Quorum struct {
	Known      int   `json:"known"`
	Answering  int   `json:"answering"` // and watching this master
	Agreeing   int   `json:"agreeing"`  // on the master
	Needed     int   `json:"needed"`    // for a majority
	Configured int64 `json:"configured"`
}

// Slots counts the slots of a Cluster.
type Slots struct {
	Owned   int `json:"owned"`
	Unowned int `json:"unowned"`
	Moving  int `json:"moving"`
}

// Node is a server with data. What is null is not known.
type Node struct {
	Address  string `json:"address"`
	Role     string `json:"role"` // master, replica, unknown
	Follows  string `json:"follows,omitempty"`
	State    string `json:"state"` // see the guide
	Link     string `json:"link,omitempty"`
	LagBytes *int64 `json:"lagBytes,omitempty"`

	Priority       *int64 `json:"priority,omitempty"`
	MemoryBytes    *int64 `json:"memoryBytes,omitempty"`
	MaxMemoryBytes *int64 `json:"maxMemoryBytes,omitempty"` // 0: no limit
	Clients        *int64 `json:"clients,omitempty"`
	Version        string `json:"version,omitempty"`

	SlotCount int    `json:"slotCount,omitempty"` // of a master of a Cluster
	Ranges    string `json:"ranges,omitempty"`
	Epoch     int64  `json:"epoch,omitempty"`

	Error string `json:"error,omitempty"` // why it does not answer
}

// States of a node.
const (
	stateWritable    = "writable"
	stateStreaming   = "streaming"
	stateSyncing     = "syncing"
	stateLoading     = "loading"
	stateNoReplicas  = "refuses writes" // min-replicas-to-write
	stateRival       = "rival"          // it says that it is a master, and is not the one that counts
	stateUnreachable = "unreachable"
	stateIdle        = "no slots"
	stateDown        = "cluster down"
	stateKnown       = "known" // it is named by others, and nothing more is known
)

// Sentinel is one sentinel.
type Sentinel struct {
	Address  string `json:"address"`
	Names    string `json:"names,omitempty"` // the master
	Epoch    int64  `json:"epoch"`
	Peers    *int   `json:"peers,omitempty"`    // other sentinels that it knows
	QuorumOK *bool  `json:"quorumOk,omitempty"` // by SENTINEL CKQUORUM
	State    string `json:"state"`              // ok, down, failover, tilt, unreachable, not monitoring
	Error    string `json:"error,omitempty"`
}

// States of a sentinel.
const (
	watcherOK       = "ok"
	watcherDown     = "holds it down"
	watcherFailover = "leads a failover"
	watcherTilt     = "tilt"
	watcherAway     = "unreachable"
	watcherIdle     = "watches no such master"
)

// Evercache is the process that was asked.
type Evercache struct {
	Status  string `json:"status"` // up, degraded, down
	State   string `json:"state"`
	Message string `json:"message"`
	Outbox  int    `json:"outbox"` // writes that wait for a master
	Short   bool   `json:"short"`  // it did not tell everything: a token is needed
}

// allSlots is how many a Cluster has.
const allSlots = 16384

// problem adds what is not well.
func (v *View) problem(format string, a ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, a...))
}

// judge says how the whole is. known: somebody has answered.
func (v *View) judge(known bool) {
	switch {
	case !known:
		v.Status = Unknown
	case len(v.Problems) > 0:
		v.Status = NotWell
	default:
		v.Status = Well
	}
	if v.Nodes == nil {
		v.Nodes = []Node{}
	}
	if v.Sentinels == nil {
		v.Sentinels = []Sentinel{}
	}
	if v.Problems == nil {
		v.Problems = []string{}
	}
}

func (v *View) node(addr string) *Node {
	for i := range v.Nodes {
		if v.Nodes[i].Address == addr {
			return &v.Nodes[i]
		}
	}
	return nil
}
