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
// # Several processes
//
// A [Traffic] drives several processes' caches, each a [Party] (in this process, or
// in one of its own through [Remote] and [Serve]), on keys of their own and on keys
// that all of them write and delete. A [Trace] holds every call. [Check] compares it
// with a [Final], what the master and every process say in the end, and returns a
// [Violation] for each broken promise: written values lost, deleted ones back,
// overwritten ones called coherent. [Views] asks the processes. It does not take what
// memory answers in place of a Redis that did not answer: a busy machine may keep that
// waiting at any time.
//
// Most values are written once. A [Traffic] can also repeat values, write large ones,
// write one key several times at once, and give keys several lives. Any write of a
// value explains it. Of two writes at once by one process the calls do not tell the
// order, but a coherent read after both does: the other one must not stand in the end.
// What holds nothing though it was acknowledged is counted by reason, and a scene can
// bound it. At a server that evicts, nothing is always an answer; an older value or a
// deleted one never is.
//
// # How to read a failure
//
// [Report] prints one. Its first line names the promise, the key, and the seed:
// EVERCACHE_CHAOS_SEED repeats the run's faults and traffic, though not the moments
// that the machine chooses. Then come, in the order of time:
//
//	1.0312s …    1.0316s  process 0  put           s2-17    = v812 → master
//	1.2200s   ── kill -9 of the master
//	1.2208s …    1.9120s  process 0 has no confirmed master
//	1.4007s …    1.4009s  process 1  remove        s2-17    → memory
//
// Each call shows when it began and ended, on the clock of the one recorder, and
// what its caller was told: stored in memory, journaled, at the master; or for a
// look the value, who answered, and what was claimed of it. Lines with ── are what
// the test did. Ask, in this order:
//
//   - Who was told what, and by whom could the order be known? Calls that overlap
//     may have come in either order; a call that failed may take effect later.
//   - Was the acknowledgement given before, within or after the time without a
//     confirmed master? Before: was it covered by a barrier? Within: was it
//     replayed, and what did the replay find?
//   - Which process' write stands, and did its record carry the right time?
//
// The tests of the promises and the side-by-side benchmark use this one counter.
// It depends on nothing but the standard library.
package chaos
