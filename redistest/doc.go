// Package redistest starts real Redis servers, Sentinel sets and Redis Clusters for a test, on free
// loopback ports, and takes them away again when the test ends:
//
//	func TestCart(t *testing.T) {
//		redis := redistest.Start(t)
//		shop := openShop(t, redis.Addr())
//		redis.Kill() // what does the shop do now?
//
// StartSentinel does the same for a master with replicas and sentinels, in which a failover takes
// about two seconds, and StartCluster for a Redis Cluster, whose slots can be moved and stolen too.
// NewProxy puts a network that can be broken in front of any server.
//
// A denylist (package revoke) waits five seconds before it takes an empty Redis for a new one. In a
// test call revoke.Init after revoke.New: it says that nothing was lost.
//
// It needs redis-server (or valkey-server) on PATH; without, a test is skipped, or fails when
// EVERCACHE_TEST_REQUIRE_REDIS=1, which is what a build server should set.
// EVERCACHE_TEST_REDIS_SERVER and EVERCACHE_TEST_REDIS_SENTINEL name other programs to run; a
// wrapper script must exec them.
//
// What cannot be done ends the test with Fatal, so the methods belong on the test's own goroutine,
// as Fatal does; those of a Proxy that cannot fail may be called from anywhere, and so may Try. Every
// wait is bounded. When a test fails, the ends of its servers' logs are in its output. On Linux no server
// outlives the test binary, even one that is killed.
package redistest
