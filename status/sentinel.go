package status

import (
	"net"
	"strconv"
	"time"

	"github.com/evercache/evercache"
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
}

type node struct {
	Address   string `json:"address"`
	Role      string `json:"role"`
	Reachable bool   `json:"reachable"`
	Follows   string `json:"follows,omitempty"`
}

type failover struct {
	At         time.Time `json:"at"`
	From       string    `json:"from"`
	To         string    `json:"to"`
	Cause      string    `json:"cause"`
	Epoch      int64     `json:"epoch"`
	BlackoutMs int64     `json:"blackoutMs"`
	Replayed   uint64    `json:"replayed"`
}

// newSentinel is null outside Sentinel mode.
func newSentinel(h *evercache.SentinelHealth) *sentinel {
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
		Quorum:        quorum{h.Known, h.Reachable, h.Agreeing, h.Needed, h.Quorum},
		Nodes:         []node{},
		Failovers:     []failover{},
	}
	if h.CurrentMaster != "" {
		s.CurrentMaster = new(newAddress(h.CurrentMaster))
	}
	for _, a := range h.Configured {
		s.Sentinels = append(s.Sentinels, newAddress(a))
	}
	for _, n := range h.Nodes {
		s.Nodes = append(s.Nodes, node{n.Addr, n.Role, n.Reachable, n.Follows})
	}
	for _, f := range h.Failovers {
		s.Failovers = append(s.Failovers, failover{f.At.UTC(), f.From, f.To, f.Cause, f.Epoch, f.Blackout.Milliseconds(), f.Replayed})
		s.LastFailover = new(f.At.UTC())
	}
	return s
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
