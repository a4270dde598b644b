package cluster

import "time"

// Observation is something the shell has seen. At is when it was seen; where a
// question was asked, SentAt is when: an answer proves something about the time
// after it was asked, and only that.
type Observation interface{ seenAt() time.Time }

// View is the answer of the node at an address, or that there was none.
type View struct {
	Node       Addr // the address that was asked
	SentAt, At time.Time
	Fault      Fault
	Says       Answer
}

// Barrier is the heartbeat of a shard: a numbered write followed by WAIT, sent to
// its master. Acked is what WAIT said. By names the replicas that have the write,
// where INFO told: nil means that it did not. Late is how much of the time between
// SentAt and At went by because whoever asked was busy.
type Barrier struct {
	Node       ID
	SentAt, At time.Time
	Late       time.Duration
	Fault      Fault
	Acked      int
	By         []Addr
}

// ConnLost tells that a connection to a node broke while commands used it.
type ConnLost struct {
	Node ID
	At   time.Time
}

// Refused tells that a node refused a command: with FaultDemoted, FaultDown, or
// with FaultMoved, and then for which slot and what address it named.
type Refused struct {
	Node   ID
	SentAt time.Time // when the command was sent
	At     time.Time
	Fault  Fault
	Slot   uint16
	To     Addr
}

// Tick lets time pass where nothing else happened.
type Tick struct{ At time.Time }

func (o View) seenAt() time.Time     { return o.At }
func (o Barrier) seenAt() time.Time  { return o.At }
func (o ConnLost) seenAt() time.Time { return o.At }
func (o Refused) seenAt() time.Time  { return o.At }
func (o Tick) seenAt() time.Time     { return o.At }

// Fault is why a question to a node brought no answer.
type Fault uint8

// The faults that decisions tell apart.
const (
	FaultNone      Fault = iota
	FaultSilent          // not to be reached, the connection ended, or no answer in time
	FaultLoading         // LOADING: it has just started
	FaultDemoted         // READONLY: it is a replica
	FaultDown            // CLUSTERDOWN: it is well, and takes no commands
	FaultMoved           // MOVED: it says that the slot is not its own
	FaultMalformed       // an answer that makes no sense: it proves nothing either way
	FaultOther           // any other error reply
)

var faultCodes = map[string]Fault{
	"READONLY": FaultDemoted, "CLUSTERDOWN": FaultDown, "MOVED": FaultMoved, "LOADING": FaultLoading,
}

// silent reports whether f means that the node does not serve.
func (f Fault) silent() bool { return f == FaultSilent || f == FaultLoading }
