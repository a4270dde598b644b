package main

import (
	"context"
	"time"
)

// fault is something that happens to the set, or to the way there.
type fault struct {
	name   string
	title  string
	window time.Duration // of traffic after the fault
	// lead is from what goes before (scene.before) to the fault.
	lead time.Duration
	// healAfter is when the scene is healed, counted from the fault.
	healAfter time.Duration
	// returns: the same master is back when the scene is healed; without it the
	// next master is another node.
	returns bool
	// shard: it is one shard of a Cluster that fails.
	shard bool
	// prepare starts a fresh set with a down-after, or a Cluster with a node timeout.
	prepare func(ctx context.Context, patience time.Duration) (*scene, error)
}

const (
	healAfter = 10 * time.Second
	// restartAfter is less than any down-after of a set whose master restarts.
	restartAfter = 300 * time.Millisecond
)

var faults = []fault{
	{name: "kill", title: "kill -9 of the master", window: 12 * time.Second, prepare: bed{}.then(killed)},
	{name: "hang", title: "SIGSTOP of the master, SIGCONT 10 s later", window: 22 * time.Second, healAfter: healAfter, prepare: bed{}.then(hung)},
	{name: "planned", title: "planned SENTINEL FAILOVER", window: 14 * time.Second, prepare: bed{}.then(planned)},
	{
		name: "partition", title: "master and one sentinel cut off from everybody, the cable back 10 s later",
		window: 22 * time.Second, healAfter: healAfter, prepare: inNamespaces((*network).firstCable),
	},
	{
		name: "side", title: "clients, master and one sentinel cut off from both replicas and two sentinels for 10 s",
		window: 22 * time.Second, healAfter: healAfter, prepare: inNamespaces((*network).link),
	},
	{
		name: "cut", title: "replication cut 0.8 s before a kill -9 of the master",
		window: 12 * time.Second, lead: 800 * time.Millisecond, prepare: bed{}.then(cutOff),
	},
	{
		name: "stall", title: "replication cut, the master stopped for 0.45 s, and killed 0.3 s after it goes on",
		window: 12 * time.Second, lead: 300 * time.Millisecond, prepare: bed{}.then(stalled),
	},
	{
		name: "blip", title: "every connection reset, and none to be made for 2 s",
		window: 8 * time.Second, healAfter: 2 * time.Second, returns: true, prepare: bed{proxied: true}.then(blinking),
	},
	{
		name: "down", title: "every Redis server killed, and back 10 s later with its append-only file",
		window: 18 * time.Second, healAfter: healAfter, returns: true, prepare: bed{appendOnly: true}.then(allKilled),
	},
	{
		name: "aof", title: "master killed, and back 0.3 s later with its append-only file",
		window: 7 * time.Second, healAfter: restartAfter, returns: true, prepare: bed{appendOnly: true, patient: true}.then(restarted),
	},
	{
		name: "rdb", title: "master killed, and back 0.3 s later from a snapshot 1.5 s old",
		window: 7 * time.Second, lead: 1500 * time.Millisecond, healAfter: restartAfter, returns: true, prepare: bed{patient: true}.then(restartedOlder),
	},
	{
		name: "empty", title: "master killed, and back 0.3 s later without any data",
		window: 7 * time.Second, healAfter: restartAfter, returns: true, prepare: bed{patient: true}.then(restarted),
	},
}
