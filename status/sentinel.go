package status

import (
	"net"
	"strconv"
	"time"

	"github.com/evercache/evercache/health"
)

// sentinel is the block that exists in Sentinel mode only. The fields down to
// LastFailover are a contract with existing monitors.
type sentinel struct {
	Enabled       bool       `json:"enabled"`
	MasterName    string     `json:"masterName"`
	Sentinels     []address  `json:"sentinels"` // as configured
	CurrentMaster *address   `json:"currentMaster"`
	FailoverCount int        `json:"failoverCount"`
	LastFailover  *time.Time `json:"lastFailover"`

	Stage       string     `json:"stage"`
	Provisional bool       `json:"provisional"` // no majority names the master yet
	Epoch       int64      `json:"epoch"`
	CanFailOver bool       `json:"canFailOver"`
	Quorum      quorum     `json:"quorum"`
	Nodes       []node     `json:"nodes"`
	Failovers   []failover `json:"failovers"` // the last ones, oldest first

	SentinelNodes []sentinelNode `json:"sentinelNodes"` // all that are known, as they answer
}

// sentinelNode is one sentinel as it answers.
type sentinelNode struct {
	Address    string  `json:"address"`
	Reachable  bool    `json:"reachable"`       // it answers
	Monitoring bool    `json:"monitoring"`      // and watches a master of our name
	Names      string  `json:"names,omitempty"` // the master that it names
	Epoch      int64   `json:"epoch"`           // its config epoch
	Tilt       bool    `json:"tilt"`
	Error      *string `json:"error"` // why the last question was not answered
}

type address struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

// quorum counts sentinels.
type quorum struct {
	Known      int `json:"known"`
	Reachable  int `json:"reachable"`
	Agreeing   int `json:"agreeing"`   // name the master that is in use
	Needed     int `json:"needed"`     // for a majority
	Configured int `json:"configured"` // what the sentinels were told
	Monitoring int `json:"monitoring"` // answer and watch a master of our name
}

type node struct {
	Address   string `json:"address"`
	Role      string `json:"role"`
	Reachable bool   `json:"reachable"`
	Follows   string `json:"follows,omitempty"`

	Promotable bool     `json:"promotable"`
	Link       string   `json:"link,omitempty"`       // of a replica: online, wait_bgsave, send_bulk, down
	LagBytes   *int64   `json:"lagBytes,omitempty"`   // absent while the master does not know the replica
	LagSeconds *float64 `json:"lagSeconds,omitempty"` // since it acknowledged anything
}

type failover struct {
	At         time.Time `json:"at"`
	From       string    `json:"from"`
	To         string    `json:"to"`
	Cause      string    `json:"cause"`
	Epoch      int64     `json:"epoch"`
	BlackoutMs int64     `json:"blackoutMs"`
	Replayed   uint64    `json:"replayed"`
	Shard      uint32    `json:"shard,omitzero"` // in a Cluster

	// The steps, as they were seen from here; null: not seen.
	SDown     *time.Time `json:"sdown"`
	ODown     *time.Time `json:"odown"`
	Promoted  *time.Time `json:"promoted"`
	Confirmed *time.Time `json:"confirmed"`
}

func newFailover(f health.Failover) failover {
	return failover{
		At: f.At.UTC(), From: f.From, To: f.To, Cause: f.Cause, Epoch: f.Epoch, BlackoutMs: f.Blackout.Milliseconds(), Replayed: f.Replayed, Shard: f.Shard,
		SDown: step(f.SDown), ODown: step(f.ODown), Promoted: step(f.Promoted), Confirmed: step(f.Confirmed),
	}
}

// step is null where it was not seen.
func step(at time.Time) *time.Time {
	return unless(at.IsZero(), at.UTC())
}

// newSentinel is null outside Sentinel mode.
func newSentinel(h *health.Sentinel) *sentinel {
	if h == nil {
		return nil
	}
	s := &sentinel{
		Enabled:       true,
		MasterName:    h.MasterName,
		Sentinels:     []address{},
		FailoverCount: h.FailoverCount,
		Stage:         h.Stage,
		Provisional:   h.Provisional,
		Epoch:         h.Epoch,
		CanFailOver:   h.CanFailOver,
		Quorum:        quorum{h.Known, h.Reachable, h.Agreeing, h.Needed, h.Quorum, h.Monitoring},
		Nodes:         []node{},
		Failovers:     []failover{},
		SentinelNodes: []sentinelNode{},
	}
	if h.CurrentMaster != "" {
		s.CurrentMaster = new(newAddress(h.CurrentMaster))
	}
	for _, a := range h.Configured {
		s.Sentinels = append(s.Sentinels, newAddress(a))
	}
	for _, n := range h.Nodes {
		s.Nodes = append(s.Nodes, newNode(n))
	}
	for _, n := range h.Sentinels {
		s.SentinelNodes = append(s.SentinelNodes, sentinelNode{n.Addr, n.Reachable, n.Monitoring, n.Names, n.Epoch, n.Tilt, cause(n.Err)})
	}
	for _, f := range h.Failovers {
		s.Failovers = append(s.Failovers, newFailover(f))
		s.LastFailover = new(f.At.UTC())
	}
	return s
}

// newNode: a replica that its master does not list has no link.
func newNode(n health.Node) node {
	v := node{Address: n.Addr, Role: n.Role, Reachable: n.Reachable, Follows: n.Follows, Promotable: n.Promotable, Link: n.Link}
	switch {
	case n.Link != "":
		v.LagBytes, v.LagSeconds = new(n.LagBytes), new(n.Lag.Seconds())
	case n.Role == "replica":
		v.Link = "down"
	}
	return v
}

// newAddress splits host:port; what is no such pair is all host.
func newAddress(hostport string) address {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return address{Host: hostport}
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return address{Host: hostport}
	}
	return address{host, n}
}
