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

	descRequests        = desc("cache_requests_total", "Callers' requests by call, by the level that answered (l1 is memory, l2 is Redis, none is neither), and by how they ended: hit, stale (a hit past its time to live), miss, ok (an acknowledged write), error, rejected (refused by policy or for its arguments).", "op", "tier", "result")
	descRequestDuration = desc("cache_request_duration_seconds", "Time of the requests that memory alone did not answer, by call. Hits in memory are not measured: reading the clock would double their cost.", "op")
	descDecodeFailures  = desc("decode_failures_total", "Stored values that could not be decoded; each was treated as a miss.")
	descEncodeFailures  = desc("encode_failures_total", "Values that could not be encoded or were too long. Loaded ones were kept in memory only, the others were refused.")
	descLogDropped      = desc("log_lines_dropped_total", "Log lines dropped because the log was not read or could not be written.")
	descEventsDropped   = desc("events_dropped_total", "Events dropped because the application's callbacks were slow.")

	descL1Entries   = desc("l1_entries", "Entries in memory.")
	descL1Bytes     = desc("l1_bytes", "Estimated size of the entries in memory.")
	descL1Capacity  = desc("l1_capacity_bytes", "Bound on the estimated size of the entries in memory.")
	descL1Evictions = desc("l1_evictions_total", "Entries that left memory, by reason: capacity, expired, invalidated.", "reason")

	descLoads          = desc("loads_total", "Finished runs of loaders, by result: ok, not_found, error, panic, timeout.", "result")
	descLoadDuration   = desc("load_duration_seconds", "Time of loader runs.")
	descLoadsInFlight  = desc("loads_in_flight", "Loader runs under way.")
	descLoadsCoalesced = desc("loads_coalesced_total", "Callers that shared a load started for another caller.")
	descLoadShed       = desc("load_shed_total", "Loads that were refused while Redis was away, because the class had used up its rate for that.")
	descLoadPaused     = desc("load_paused_total", "Loads that were not run, because the loads before them had failed.")
	descLoadRefreshed  = desc("load_refreshed_total", "Loads that ran before their entries ended, to refresh them.")
	descInspected      = desc("inspected_total", "Coherent entries in memory that were compared with what Redis holds.")
	descInspectedWrong = desc("inspected_wrong_total", "Compared entries that memory still called coherent more than a second after Redis held something else. Each one is a fault.")
	descLoadImpatient  = desc("load_impatient_total", "Loads that callers did not wait for: they had a stale value.")

	descRedisRequests = desc("redis_requests_total", "Commands sent to Redis, by command and by outcome: ok, error.", "command", "outcome")
	descRedisErrors   = desc("redis_errors_total", "Failed commands and connections, by kind.", "kind")
	descRedisDuration = desc("redis_request_duration_seconds", "Time of commands sent to Redis, by the role of the node.", "role")
	descRedisDials    = desc("redis_dials_total", "Attempts to connect to Redis, by result: ok, error.", "result")
	descRedisUp       = desc("redis_up", "1 while a verified master answers.")

	descReplicaReads   = desc("replica_reads_total", "Keys that replicas have answered; absent unless REDIS_REPLICA_READS is on.")
	descReplicaRefused = desc("replica_reads_refused_total", "Keys for which the master was asked in place of a replica, by reason; absent unless REDIS_REPLICA_READS is on.", "reason")

	descCircuitOpen   = desc("circuit_open", "1 while requests are kept away from Redis.")
	descCircuitOpened = desc("circuit_opened_total", "Times that requests began to be kept away from Redis, by cause: errors, slow.", "cause")

	descFinding     = desc("finding", "1 for each finding of /health that there is now, by code and severity; absent without findings. docs/runbook-findings.md explains each code.", "code", "severity")
	descCertificate = desc("tls_client_certificate_expiry_timestamp_seconds", "When the TLS certificate that servers are shown ends, in Unix seconds, by the peer: redis, sentinel; absent without one.", "peer")

	descState           = desc("state", "1 for the state the client is in, 0 for the others.", "state")
	descDegraded        = desc("degraded", "1 while memory answers in place of Redis, the replay afterwards included.")
	descDegradedSeconds = desc("degraded_seconds_total", "Time during which memory answered in place of Redis.")
	descTransitions     = desc("state_transitions_total", "Changes of state, by the state before and after.", "from", "to")
	descMode            = desc("mode_info", "How Redis is reached and what the configuration asked for; always 1. The two differ after a fallback.", "mode", "requested_mode")

	descOutboxEntries    = desc("outbox_entries", "Acknowledged writes that are kept for the next master.")
	descOutboxBytes      = desc("outbox_bytes", "Memory that the writes kept for the next master take.")
	descOutboxReplayed   = desc("outbox_replayed_total", "Kept writes that a master has acknowledged.")
	descOutboxExpired    = desc("outbox_expired_total", "Kept writes whose time to live ran out; their keys are deleted at the master.")
	descOutboxRejected   = desc("outbox_rejected_total", "Kept writes that the master will never take; their keys are deleted there.")
	descOutboxOverflowed = desc("outbox_overflowed_total", "Writes of which only a delete of the key was kept, because there was no room.")

	descTombstones     = desc("tombstones", "Tombstones (traces of deletes) that this process has left in Redis within the last ten minutes.")
	descTombstoneBytes = desc("tombstone_bytes", "About how much memory the tombstones of this process take in Redis.")

	descJournalUp      = desc("journal_up", "1 while the journal can be written; absent without a journal.")
	descJournalEntries = desc("journal_entries", "Entries in the journal: writes that wait, and writes that Redis took lately; absent without a journal, like everything about it.")
	descJournalWaiting = desc("journal_waiting", "Entries in the journal that no master has taken.")
	descJournalBytes   = desc("journal_file_bytes", "Size of the file of the journal.")
	descJournalLive    = desc("journal_live_bytes", "Size of the entries in the journal.")
	descJournalLimit   = desc("journal_limit_bytes", "Bound on the size of the entries in the journal.")
	descJournalRefused = desc("journal_refused_total", "Writes that the journal had no room for.")
	descJournalUnsaved = desc("journal_unsaved", "Writes that wait in memory only, because the journal had no room for them.")
)
