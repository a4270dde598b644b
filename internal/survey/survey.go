// Package survey takes one look at a whole Redis set from outside: every sentinel,
// every master and replica, every node of a Cluster. It asks side by side, within
// bounds, and only what changes nothing. What it keeps is plain data without secrets.
// What is wrong with that data is decided elsewhere (internal/doctor).
package survey

import (
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
)

// Survey is what one look has found.
type Survey struct {
	Mode       health.Mode
	MasterName string // in Sentinel mode
	At         time.Time
	Took       time.Duration

	// Sentinels are those of Sentinel mode: the configured ones in their order, then
	// those that others know, by address.
	Sentinels []Sentinel
	// Nodes are the servers with data: the configured ones in their order, then those
	// that others name, by address. Each process is listed once.
	Nodes []Node

	// Absent is a lookup of a name that does not exist; nil: no sentinel names a node by a
	// name, or Target.Thorough is not set.
	Absent *Lookup

	// Left are addresses that were named and not asked, because there are more than
	// MaxServers.
	Left []string
}

// Server is what every server is asked.
type Server struct {
	// Addr is host:port as it is configured, or as others announce it.
	Addr string
	// Aliases are further addresses under which the same process is known.
	Aliases []string
	// Dialed is host:port that was dialled in place of Addr: see REDIS_ADDRESS_MAP. ""
	// where that is the same.
	Dialed string
	// Reached is the IP address and port at which it was reached; "": it was not, or it is
	// mapped.
	Reached    string
	Configured bool
	NamedBy    []string // the addresses of those that named it, sorted

	// Anonymous: no login was sent, because too few vouch for the address. A server with
	// a password answers it with NOAUTH.
	Anonymous bool
	// Fault is why the server has not answered, or not as what it should be; nil: it
	// has.
	Fault *Fault

	Connect     time.Duration // to connect, with TLS and login
	Latency     time.Duration // of one question after that
	Pings       Pings         // many such questions: see Target.Thorough
	Certificate time.Time     // when its TLS certificate ends; zero: no TLS

	Info   Fields // INFO, all sections in one; nil: not answered
	User   string // ACL WHOAMI; "": not known
	Rights Rights
	// Refused are the questions that were answered with an error, each with that error.
	Refused map[string]string
}

// Answered reports whether the server has answered anything.
func (s Server) Answered() bool { return s.Latency > 0 }

// Names are all addresses under which the process is known.
func (s Server) Names() []string { return append([]string{s.Addr}, s.Aliases...) }

// Rights is what the ACL lets us do.
type Rights struct {
	// How they were found out: "dryrun" (ACL DRYRUN), "tried" (each command was sent in
	// a form that changes nothing), or "" (they are not known).
	How string
	// Denied are the commands that are forbidden, or whose key is, sorted. Missing are
	// those that the server does not have.
	Denied, Missing []string
}

// Sentinel is one sentinel.
type Sentinel struct {
	Server
	ID       string   // SENTINEL MYID
	Named    string   // SENTINEL GET-MASTER-ADDR-BY-NAME, host:port; "": none
	Master   Fields   // SENTINEL MASTER
	Replicas []Fields // SENTINEL REPLICAS
	Peers    []Fields // SENTINEL SENTINELS
	Quorum   string   // the reply to SENTINEL CKQUORUM, errors too
	Masters  []string // the names of the masters that it monitors, sorted
	Settings Fields   // SENTINEL CONFIG GET, of the few that matter
}

// Monitors reports whether the sentinel answers and watches the master.
func (s Sentinel) Monitors() bool { return s.Fault == nil && s.Master != nil }

// Node is one server with data.
type Node struct {
	Server
	Role   Role
	Config Fields // CONFIG GET, of the few parameters that matter; a secret is "(set)" or ""
	Clock  Clock
	// Cluster is what a node in cluster mode says; nil elsewhere.
	Cluster *ClusterView
	// Denylist: revocations of tokens are stored there.
	Denylist bool
	// Others are the users by which sentinels and replicas are logged in there, or would
	// be, and what the ACL keeps from them. Only ACL DRYRUN tells.
	Others []OtherUser
	// secrets are keyed hashes of passwords, to be compared with each other.
	secrets map[string]string
}

// OtherUser is a user of somebody else on a server.
type OtherUser struct {
	Name   string
	For    string // "sentinel", "replica"
	Denied []string
	Absent bool // the server has no such user
}

// Role is the answer to ROLE, or what INFO says in its place.
type Role struct {
	Name     string // "master", "replica"; "": not known
	Master   string // host:port that a replica follows
	Link     string // of a replica: connect, connecting, sync, connected; "" if not known
	Offset   int64
	Replicas []Attached // of a master
}

// Linked reports whether a replica has what its master has, and gets what comes.
func (r Role) Linked() bool { return r.Name == "replica" && r.Link == "connected" }

// Attached is a replica as its master sees it.
type Attached struct {
	Addr   string
	State  string        // online, wait_bgsave, send_bulk; "": not known
	Offset int64         // that it has acknowledged
	Lag    time.Duration // since it did
}

// Clock is what the server's clock has shown, between two moments of ours.
type Clock struct {
	Before, Theirs, After time.Time // zero: not known
}

// Ahead is how far the server's clock is ahead of ours, and the most by which that may
// be wrong. Not ok: it is not known.
func (c Clock) Ahead() (ahead, uncertainty time.Duration, ok bool) {
	if c.Theirs.IsZero() {
		return 0, 0, false
	}
	half := c.After.Sub(c.Before) / 2
	return c.Theirs.Sub(c.Before.Add(half)), half, true
}

// ClusterView is what one node of a Cluster says of it.
type ClusterView struct {
	Info  Fields        // CLUSTER INFO
	Nodes cluster.Nodes // CLUSTER NODES
	// Fault is why CLUSTER NODES could not be read; "": it could.
	Fault string
}
