// Package testkit is what the black-box tests under test/ share.
//
// A [Drill] is a client under load on a real Sentinel set: a test breaks something
// there, and the recorded history is judged. Each [Scenario] runs once;
// EVERCACHE_TEST_RUNS=20 repeats it and prints a row with the figures:
//
//	EVERCACHE_TEST_RUNS=20 go test -race -v ./test/failover | grep ROW
//
// A [Network] has hosts of its own, whose cables can be cut. [Speak] is a server
// that answers what a test wants.
package testkit
