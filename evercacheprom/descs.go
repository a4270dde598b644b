package evercacheprom

import "github.com/prometheus/client_golang/prometheus"

// descs collects every descriptor that desc makes, for Describe.
var descs []*prometheus.Desc

func desc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("evercache_"+name, help, labels, nil)
	descs = append(descs, d)
	return d
}

var (
	descBuild = desc("build_info", "The build that is running; always 1.", "version", "revision", "goversion")

	descRequests        = desc("cache_requests_total", "Callers' requests by call, by the level that answered, and by how they ended.", "op", "tier", "result")
	descRequestDuration = desc("cache_request_duration_seconds", "Time of the requests that memory alone did not answer.", "op")
	descDecodeFailures  = desc("decode_failures_total", "Stored values that could not be decoded; each was treated as a miss.")
	descEncodeFailures  = desc("encode_failures_total", "Values that could not be encoded, or were loaded and too long: loaded ones were kept in memory only, others refused.")
	descLogDropped      = desc("log_lines_dropped_total", "Log lines dropped because the log was not read or could not be written.")
	descEventsDropped   = desc("events_dropped_total", "Events dropped because the application's callbacks were slow.")

	descL1Entries   = desc("l1_entries", "Entries in memory.")
	descL1Bytes     = desc("l1_bytes", "Estimated size of the entries in memory.")
	descL1Capacity  = desc("l1_capacity_bytes", "Bound on the estimated size of the entries in memory.")
	descL1Evictions = desc("l1_evictions_total", "Entries that left memory, by reason.", "reason")

	descLoads          = desc("loads_total", "Finished runs of loaders, by result.", "result")
	descLoadDuration   = desc("load_duration_seconds", "Time of loader runs.")
	descLoadsInFlight  = desc("loads_in_flight", "Loader runs under way.")
	descLoadsCoalesced = desc("loads_coalesced_total", "Callers that shared a load started for another caller.")
	descLoadShed       = desc("load_shed_total", "Loads refused by the class's rate while Redis was away.")
	descLoadPaused     = desc("load_paused_total", "Loads not run since those before had failed.")
	descLoadRefreshed  = desc("load_refreshed_total", "Loads that ran ahead of their entries' ends.")
	descInspected      = desc("inspected_total", "Coherent entries of memory that were compared with what Redis holds.")
	descInspectedWrong = desc("inspected_wrong_total", "Of them, those that memory still called coherent more than a second after Redis held something else.")
	descLoadImpatient  = desc("load_impatient_total", "Loads that callers did not wait for: they had a stale value.")

	descRedisRequests = desc("redis_requests_total", "Commands sent to Redis, by command and outcome.", "command", "outcome")
	descRedisErrors   = desc("redis_errors_total", "Failed commands and connections, by kind.", "kind")
	descRedisDuration = desc("redis_request_duration_seconds", "Time of commands sent to Redis, by the role of the node.", "role")
	descRedisDials    = desc("redis_dials_total", "Attempts to connect to Redis, by result.", "result")
	descRedisUp       = desc("redis_up", "1 while a verified master answers.")

	descReplicaReads   = desc("replica_reads_total", "Keys that replicas have answered; absent unless they are read from.")
	descReplicaRefused = desc("replica_reads_refused_total", "Keys that replicas were to answer and the master was asked for, by reason; absent unless they are read from.", "reason")

	descCircuitOpen   = desc("circuit_open", "1 while requests are kept away from Redis.")
	descCircuitOpened = desc("circuit_opened_total", "Times that requests began to be kept away from Redis, by cause.", "cause")

	descState           = desc("state", "1 for the state the client is in, 0 for the others.", "state")
	descDegraded        = desc("degraded", "1 while memory answers in place of Redis, the replay afterwards included.")
	descDegradedSeconds = desc("degraded_seconds_total", "Time during which memory answered in place of Redis.")
	descTransitions     = desc("state_transitions_total", "Changes of state.", "from", "to")
	descMode            = desc("mode_info", "How Redis is reached and what the configuration asked for; always 1. The two differ after a fallback.", "mode", "requested_mode")

	descOutboxEntries    = desc("outbox_entries", "Writes kept for the next master.")
	descOutboxBytes      = desc("outbox_bytes", "Size of the writes kept for the next master.")
	descOutboxReplayed   = desc("outbox_replayed_total", "Kept writes that a master has acknowledged.")
	descOutboxExpired    = desc("outbox_expired_total", "Kept writes whose time to live ran out; their keys are deleted at the master.")
	descOutboxRejected   = desc("outbox_rejected_total", "Kept writes that the master will never take; their keys are deleted there.")
	descOutboxOverflowed = desc("outbox_overflowed_total", "Writes kept as deletes, for want of room.")

	descTombstones     = desc("tombstones", "Traces of deletes that this process has left in Redis within the last ten minutes.")
	descTombstoneBytes = desc("tombstone_bytes", "About what those traces take of Redis' memory.")

	descJournalUp      = desc("journal_up", "1 while the journal can be written; absent without a journal.")
	descJournalEntries = desc("journal_entries", "Entries in the journal: writes that wait, and those that Redis took lately.")
	descJournalWaiting = desc("journal_waiting", "Entries in the journal that no master has taken.")
	descJournalBytes   = desc("journal_file_bytes", "Size of the journal's file.")
	descJournalLive    = desc("journal_live_bytes", "Size of the entries in the journal.")
	descJournalLimit   = desc("journal_limit_bytes", "Bound on the size of the entries in the journal.")
	descJournalRefused = desc("journal_refused_total", "Writes that the journal had no room for.")
	descJournalUnsaved = desc("journal_unsaved", "Writes that wait in memory only, since the journal had no room for them.")
)
