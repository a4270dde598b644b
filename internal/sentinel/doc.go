// Package sentinel decides which node is the master of a Sentinel set.
//
// It is the pure half of Sentinel mode. A [Machine] takes observations (what
// the sentinels published and answered, what the nodes say of themselves, how
// the heartbeat to the master went) and gives decisions: who the master is,
// whether writes may go to it, whether it is confirmed, whom to ask next and
// how often. It has no clock, no lock, no I/O and no goroutine; time is what
// the observations say. One owner calls [Machine.Observe].
//
// The strategy: Sentinel announces a promotion about a second after it has
// happened, and its leader last of all. So the promotion itself is watched for.
// Weak signs of trouble make the master suspect (writes go on, nothing is
// confirmed); strong ones fence it (no write is sent). A node becomes master on
// evidence only (accept.go), at first provisionally, and is confirmed when a
// majority of the sentinels names it above the configuration epoch of the one
// before (votes.go). An alarm ends on proof only (clear.go).
//
// The other half of the package turns what sentinels and nodes send into typed
// values: [ParseMessage], [ParseMaster], [ParseReplicas], [ParseSentinels],
// [ParseRole], [ParseReplication]. What arrives may be garbage; it is refused
// with an error and never becomes an address that cannot be dialled.
package sentinel
