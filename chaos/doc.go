// Package chaos records what an application sees of its cache while Redis
// fails, and counts afterwards what that was worth: which calls failed, how
// long writes did not land, and which acknowledged writes are gone.
//
// A [Load] drives any [Store] (evercache, go-redis, rueidis) and records every
// call in a [History]. A [Truth] asks the nodes themselves, on connections of
// its own, when another one became the master. When the set is well again,
// [Unheld] asks the final master for every write, and [Sum] puts the three
// together into a [Summary], which is compared with [Limits].
//
// Every written key is written once, so a write that is acknowledged and not
// held is lost; no later write can explain it.
//
// The tests of the promises and the side-by-side benchmark use this one counter.
// It depends on nothing but the standard library.
package chaos
