package sentinel

import "strings"

// Fault is why a question to a node or a sentinel brought no answer.
type Fault uint8

// The faults that decisions tell apart.
const (
	FaultNone        Fault = iota
	FaultUnreachable       // refused, or not to be dialled
	FaultClosed            // an open connection ended
	FaultTimeout           // no answer in time
	FaultReadOnly          // READONLY: it is a replica
	FaultMasterDown        // MASTERDOWN: a replica that has lost its master
	FaultLoading           // LOADING: it has just started
	FaultNoReplicas        // NOREPLICAS: a master, and still one
	FaultNoMaster          // this sentinel knows no master of our name
	FaultMalformed         // an answer that makes no sense: it proves nothing either way
	FaultUnproven          // a barrier was answered, but what would make it a proof is missing
	FaultOther             // any other error reply
)

var faultCodes = map[string]Fault{
	"READONLY": FaultReadOnly, "MASTERDOWN": FaultMasterDown, "LOADING": FaultLoading, "NOREPLICAS": FaultNoReplicas,
}

// ReplyFault classifies an error reply of a server by its first word. The error
// of a connection is the caller's to tell: FaultUnreachable, FaultClosed or
// FaultTimeout.
func ReplyFault(text string) Fault {
	if strings.Contains(text, "No such master") {
		return FaultNoMaster
	}
	code, _, _ := strings.Cut(text, " ")
	if f, ok := faultCodes[code]; ok {
		return f
	}
	return FaultOther
}

// silent reports whether f means that the node does not serve.
func (f Fault) silent() bool {
	return f == FaultUnreachable || f == FaultClosed || f == FaultTimeout || f == FaultLoading
}

// demoted reports whether f means that the node is a replica.
func (f Fault) demoted() bool { return f == FaultReadOnly || f == FaultMasterDown }
