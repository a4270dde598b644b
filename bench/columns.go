package main

import "github.com/evercache/evercache/internal/redisproc"

// levels are the callers at once of a table of Redis requests.
var levels = []int{1, 4, 16, maxGoroutines}

// overRedis are the columns of such a table. Wall time says little on a machine that
// others share; the cost is processor time.
var overRedis = []column{opsPerSec, speedOf, p50, p99, allocs, bytesPerOp, cpuPerOp, serverTime, costOf}

func oneServer(w *world) []*redisproc.Process { return []*redisproc.Process{w.redis} }

func masterOfSet(w *world) []*redisproc.Process { return w.set.Nodes()[:1] }

func mastersOfCluster(w *world) []*redisproc.Process { return w.ring.Nodes()[:clusterMasters] }
