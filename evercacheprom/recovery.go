package evercacheprom

import "github.com/evercache/evercache/health"

var (
	descFeedUp        = desc("feed_up", "1 while the master announces what other processes change.")
	descFeedCoherent  = desc("feed_coherent", "1 while entries that the announcements cover may be called coherent.")
	descFeedLease     = desc("feed_lease_age_seconds", "How long ago the last proof was that no announcement is missed: up to some ten seconds while nobody uses the cache; absent when there is none.")
	descFeedAnnounced = desc("feed_announced_total", "Changes by other processes that the master has announced.")
	descFeedFlushes   = desc("feed_flushes_total", "Times that all data of Redis was removed or replaced, as by FLUSHALL (which may count twice) or SWAPDB.")
	descFeedSilences  = desc("feed_silences_total", "Times that the feed did not answer for longer than the lease.")

	descClockAhead = desc("redis_clock_ahead_seconds", "How far the clock of Redis is ahead of ours, less than 0: behind; absent while no master is in use.")

	descUnconfirmed       = desc("unconfirmed_entries", "Unconfirmed writes: the master has taken them, and not every promotable replica is known to hold them. They are sent again after a failover.")
	descUnconfirmedBytes  = desc("unconfirmed_bytes", "Memory that the unconfirmed writes take.")
	descUnconfirmedOldest = desc("unconfirmed_oldest_seconds", "Age of the oldest unconfirmed write.")
	descRing              = desc("ring_entries", "Confirmed writes of the last minute, kept for a Redis that comes back from an older state.")
	descRingBytes         = desc("ring_bytes", "Memory that the confirmed writes of the last minute take.")
	descUncovered         = desc("replay_uncovered_total", "Writes that a next master did not hold: they were sent again.")
	descSuperseded        = desc("replay_superseded_total", "Writes not sent again, because another process had written since.")
	descInvalidated       = desc("replay_invalidated_total", "Keys deleted because the order of writes was not known.")
	descEvicted           = desc("replay_evicted_total", "Keys deleted because Redis may have evicted what shows the order of writes.")
	descDropped           = desc("unconfirmed_dropped_total", "Unconfirmed writes of which only the key or only the class was kept, because there was no room.", "kept")
	descResets            = desc("dataset_resets_total", "Times that Redis came back without its data.")
)

func (e emitter) recovery(h health.Report) {
	f, r := h.Feed, h.Recovery
	e.gauge(descFeedUp, truth(f.On))
	e.gauge(descFeedCoherent, truth(f.Coherent))
	if f.Lease >= 0 {
		e.gauge(descFeedLease, f.Lease.Seconds())
	}
	if h.Clock.Known {
		e.gauge(descClockAhead, h.Clock.Ahead.Seconds())
	}
	e.counter(descFeedAnnounced, float64(f.Announced))
	e.counter(descFeedFlushes, float64(f.Flushes))
	e.counter(descFeedSilences, float64(f.Silences))
	e.gauge(descUnconfirmed, float64(r.Unconfirmed))
	e.gauge(descUnconfirmedBytes, float64(r.UnconfirmedBytes))
	e.gauge(descUnconfirmedOldest, r.UnconfirmedOldest.Seconds())
	e.gauge(descRing, float64(r.Ring))
	e.gauge(descRingBytes, float64(r.RingBytes))
	e.counter(descUncovered, float64(r.Uncovered))
	e.counter(descSuperseded, float64(r.Superseded))
	e.counter(descInvalidated, float64(r.Invalidated))
	e.counter(descEvicted, float64(r.Evicted))
	e.counter(descDropped, float64(r.DroppedValues), "key")
	e.counter(descDropped, float64(r.DroppedKeys), "class")
	e.counter(descResets, float64(r.DatasetResets))
}
