// Package cluster decides which node owns which slots of a Redis Cluster.
//
// It is the pure half of Cluster mode; package watch is the other half. A [Machine]
// takes observations (what the nodes say of themselves and of each other, how the
// heartbeats to the masters went) and gives
// decisions: the shards and their masters, which slots each has, whether writes
// may go there, which replicas have to hold a write, whom to ask next and how
// often. It has no clock, no lock, no I/O and no goroutine; time is what the
// observations say. One owner calls [Machine.Observe].
//
// A shard is one master at a time, its replicas, and what is owed to them. It has
// a number that is never used again. Another node becomes its master by failover;
// slots go from one shard to another by resharding.
//
// The strategy: a promoted replica says so itself at once, and the configuration
// epoch tells whose word is the newer one. So a node owns a slot when it says so
// itself under a higher epoch than the owner we have (claim.go). What others say
// of it is a hint whom to ask, and tells whether it is of our Cluster at all
// (vouch.go): a node is known by its id, never by its address. Weak signs of
// trouble make a shard suspect (writes go on, nothing is confirmed), strong ones
// block it (alarm.go); only proof makes it healthy again (clear.go).
//
// The other half of the package turns what nodes send into typed values:
// [ParseNodes], [ParseInfo], [ParseRedirect], joined by [NewAnswer]. ROLE and INFO
// replication are read by package sentinel. What arrives may be garbage. It is
// refused with an error, and never becomes an address that cannot be dialled.
package cluster
