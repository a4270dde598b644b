package main

import (
	"context"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// fault is something that happens to the master.
type fault struct {
	name   string
	title  string
	window time.Duration // of traffic after the fault
	// healAfter is when the scene is healed, counted from the fault.
	healAfter time.Duration
	// prepare starts a fresh set with a down-after.
	prepare func(ctx context.Context, downAfter time.Duration) (*scene, error)
}

const healAfter = 10 * time.Second

var faults = []fault{
	{"kill", "kill -9 of the master", 12 * time.Second, 0, onLoopback(func(s *scene, set *redisproc.Set) {
		s.inject = func(context.Context) error { return set.Nodes()[0].Kill() }
	})},
	{"hang", "SIGSTOP of the master, SIGCONT 10 s later", 22 * time.Second, healAfter, onLoopback(func(s *scene, set *redisproc.Set) {
		s.inject = func(context.Context) error { return set.Nodes()[0].Pause() }
		s.heal = func() error { return set.Nodes()[0].Resume() }
	})},
	{"planned", "planned SENTINEL FAILOVER", 14 * time.Second, 0, onLoopback(func(s *scene, set *redisproc.Set) {
		s.inject = set.Failover
	})},
	{"partition", "master and one sentinel cut off from everybody, the cable back 10 s later", 22 * time.Second, healAfter, inNamespaces},
}
