package evercache

import "github.com/evercache/evercache/health"

// Events are callbacks for an application that wants to know. Each may be nil.
// They are called one at a time, in order, by one goroutine that holds no lock;
// a slow callback delays later ones and nothing else (past a bounded queue the
// oldest are dropped and counted in Stats.EventsDropped).
type Events struct {
	// State is called at every change of state.
	State func(health.Change)
	// Failover is called when a failover has ended: confirmed by a majority of
	// the sentinels, or overtaken by the next one. Sentinel mode only.
	Failover func(health.Failover)
}
