package dashboards

var failover = Dashboard{
	UID: "evercache-failover", Title: "evercache: failover",
	Description: "Failovers of a Sentinel set: what happened, what waited, what was lost and sent again.",
	Variables:   []Variable{jobVariable, instanceVariable, {"master_name", `label_values(evercache_master_config_epoch{job=~"$job"}, master_name)`}},
	Rows:        []Row{failovers, writes, sentinels, replicas, coherence},
}

var failovers = Row{"Failovers", []Panel{
	{Kind: "state-timeline", Title: "Masters", Width: 12, Unit: "none", Description: "Which master each instance uses, over time. Two masters at one time are a fault.", Words: map[string]string{"1": "in use"}, Queries: []Query{{`max by (instance, addr) (evercache_master_info{job=~"$job",instance=~"$instance",master_name=~"$master_name"})`, "{{instance}} {{addr}}"}}},
	{Kind: "stat", Title: "Last failover", Width: 4, Unit: "s", Description: "How long callers had no master in the last failover. The target is less than 30 s.", Queries: []Query{{`max(evercache_failover_last_duration_seconds{job=~"$job",instance=~"$instance",master_name=~"$master_name"})`, "took"}}},
	{Kind: "stat", Title: "Time since", Width: 4, Unit: "s", Description: "Time since the last failover. Empty when there was none.", Queries: []Query{{`time() - max(evercache_failover_last_timestamp_seconds{job=~"$job",instance=~"$instance",master_name=~"$master_name"} > 0)`, "ago"}}},
	{Kind: "stat", Title: "Within 30 s", Width: 4, Unit: "percentunit", Description: "Share of the failovers of the chosen time that took less than 30 s.", Queries: []Query{{`sum(increase(evercache_failover_duration_seconds_bucket{job=~"$job",instance=~"$instance",le="30"}[$__range])) / sum(increase(evercache_failover_duration_seconds_count{job=~"$job",instance=~"$instance"}[$__range]))`, "within"}}},
	{Kind: "timeseries", Title: "Failovers by cause", Unit: "short", Description: "Failovers in ten minutes.", Queries: []Query{{`max by (cause) (increase(evercache_failovers_total{job=~"$job",instance=~"$instance",master_name=~"$master_name"}[10m]))`, "{{cause}}"}}},
	{Kind: "timeseries", Title: "Config epoch", Unit: "short", Description: "Rises by one in each failover. All instances should show the same.", Queries: []Query{{`evercache_master_config_epoch{job=~"$job",instance=~"$instance",master_name=~"$master_name"}`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "Degraded time", Unit: "percentunit", Description: "Share of the time in which memory answered in place of Redis.", Queries: []Query{{`rate(evercache_degraded_seconds_total{job=~"$job",instance=~"$instance"}[$__rate_interval])`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "State changes", Unit: "short", Description: "Changes of state in ten minutes.", Queries: []Query{{`sum by (from, to) (increase(evercache_state_transitions_total{job=~"$job",instance=~"$instance"}[10m])) > 0`, "{{from}} to {{to}}"}}},
	{Kind: "timeseries", Title: "Redis given up", Unit: "short", Description: "Times in ten minutes that requests began to be kept away from Redis, by cause.", Queries: []Query{{`sum by (cause) (increase(evercache_circuit_opened_total{job=~"$job",instance=~"$instance"}[10m]))`, "{{cause}}"}}},
	{Kind: "timeseries", Title: "Provisional master", Unit: "bool_yes_no", Description: "Whether the master in use is not yet named by a majority of the sentinels.", Queries: []Query{{`evercache_master_provisional{job=~"$job",instance=~"$instance",master_name=~"$master_name"}`, "{{instance}}"}}},
}}

var writes = Row{"Writes", []Panel{
	{Kind: "timeseries", Title: "Writes that wait", Unit: "short", Description: "Acknowledged writes that are kept for the next master.", Queries: []Query{{`evercache_outbox_entries{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "Memory of what waits", Unit: "bytes", Description: "Memory of the outbox, of unconfirmed writes and of the confirmed ones of the last minute.", Queries: []Query{{`sum(evercache_outbox_bytes{job=~"$job",instance=~"$instance"})`, "outbox"}, {`sum(evercache_unconfirmed_bytes{job=~"$job",instance=~"$instance"})`, "unconfirmed"}, {`sum(evercache_ring_bytes{job=~"$job",instance=~"$instance"})`, "confirmed lately"}}},
	{Kind: "timeseries", Title: "Unconfirmed writes", Unit: "short", Description: "Writes that the master has and that a failover could still lose. They are sent again then.", Queries: []Query{{`evercache_unconfirmed_entries{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "Oldest unconfirmed write", Unit: "s", Description: "More than 30 s means that a replica does not keep up.", Queries: []Query{{`evercache_unconfirmed_oldest_seconds{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "Sent again", Unit: "short", Description: "Writes in ten minutes that were replayed, that a new master lacked, and that were skipped because a newer one exists.", Queries: []Query{{`sum(increase(evercache_outbox_replayed_total{job=~"$job",instance=~"$instance"}[10m]))`, "replayed"}, {`sum(increase(evercache_replay_uncovered_total{job=~"$job",instance=~"$instance"}[10m]))`, "lost by a master"}, {`sum(increase(evercache_replay_superseded_total{job=~"$job",instance=~"$instance"}[10m]))`, "newer exists"}}},
	{Kind: "timeseries", Title: "Given up", Unit: "short", Description: "Writes in ten minutes that became deletes of their keys: a miss is safe, an old value is not.", Queries: []Query{
		{`sum(increase(evercache_outbox_overflowed_total{job=~"$job",instance=~"$instance"}[10m]))`, "no room"},
		{`sum(increase(evercache_outbox_rejected_total{job=~"$job",instance=~"$instance"}[10m]))`, "refused by Redis"},
		{`sum(increase(evercache_replay_invalidated_total{job=~"$job",instance=~"$instance"}[10m]))`, "order not known"},
		{`sum(increase(evercache_replay_evicted_total{job=~"$job",instance=~"$instance"}[10m]))`, "Redis evicts"},
	}},
	{Kind: "timeseries", Title: "Redis came back empty", Unit: "short", Description: "Times in ten minutes that Redis came back without its data.", Queries: []Query{{`sum by (instance) (increase(evercache_dataset_resets_total{job=~"$job",instance=~"$instance"}[10m]))`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "Journal", Unit: "bytes", Description: "Entries of the journal and their bound. Empty without a journal.", Queries: []Query{{`evercache_journal_live_bytes{job=~"$job",instance=~"$instance"}`, "{{instance}}"}, {`max(evercache_journal_limit_bytes{job=~"$job",instance=~"$instance"})`, "bound"}}},
	{Kind: "timeseries", Title: "Waiting in the journal", Unit: "short", Description: "Entries that no master has taken, and writes that the journal had no room for.", Queries: []Query{{`evercache_journal_waiting{job=~"$job",instance=~"$instance"}`, "{{instance}} waiting"}, {`evercache_journal_unsaved{job=~"$job",instance=~"$instance"}`, "{{instance}} in memory only"}}},
}}

var sentinels = Row{"Sentinels", []Panel{
	{Kind: "timeseries", Title: "Sentinels", Unit: "short", Description: "Sentinels that are known, that answer, and that name the master in use: the smallest number of all instances.", Queries: []Query{{`min(evercache_sentinels_known{job=~"$job",instance=~"$instance"})`, "known"}, {`min(evercache_sentinels_reachable{job=~"$job",instance=~"$instance"})`, "answer"}, {`min(evercache_sentinels_agreeing{job=~"$job",instance=~"$instance"})`, "agree"}}},
	{Kind: "state-timeline", Title: "A failover is possible", Unit: "none", Description: "Whether enough sentinels answer for a failover.", Words: yesNo, Queries: []Query{{`evercache_sentinel_ckquorum_ok{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
	{Kind: "state-timeline", Title: "TILT", Unit: "none", Description: "Whether a sentinel takes no action, because its clock or its timers are not steady.", Words: yesNo, Queries: []Query{{`max by (sentinel) (evercache_sentinel_tilt{job=~"$job",instance=~"$instance"})`, "{{sentinel}}"}}},
	{Kind: "timeseries", Title: "Messages of the sentinels", Width: 24, Unit: "short", Description: "Messages in ten minutes, by channel.", Queries: []Query{{`max by (event) (increase(evercache_sentinel_events_total{job=~"$job",instance=~"$instance"}[10m])) > 0`, "{{event}}"}}},
}}

var replicas = Row{"Replicas", []Panel{
	{Kind: "state-timeline", Title: "Online", Unit: "none", Description: "Whether the master has the replica online.", Words: yesNo, Queries: []Query{{`min by (addr) (evercache_replica_link_up{job=~"$job",instance=~"$instance"})`, "{{addr}}"}}},
	{Kind: "timeseries", Title: "Bytes behind", Unit: "bytes", Description: "What the replica had not acknowledged when the master was last asked.", Queries: []Query{{`max by (addr) (evercache_replica_lag_bytes{job=~"$job",instance=~"$instance"})`, "{{addr}}"}}},
	{Kind: "timeseries", Title: "Seconds behind", Unit: "s", Description: "For how long the replica had acknowledged nothing.", Queries: []Query{{`max by (addr) (evercache_replica_lag_seconds{job=~"$job",instance=~"$instance"})`, "{{addr}}"}}},
}}

var coherence = Row{"Invalidations", []Panel{
	{Kind: "state-timeline", Title: "Coherent", Unit: "none", Description: "Whether entries in memory may be called coherent.", Words: yesNo, Queries: []Query{{`evercache_feed_coherent{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "Age of the last proof", Unit: "s", Description: "Time since it was last certain that no invalidation is missed. Coherent up to one second; up to some ten seconds while nobody uses the cache.", Queries: []Query{{`evercache_feed_lease_age_seconds{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "Announced changes", Unit: "ops", Description: "Changes by other processes per second, and times that everything was gone or the feed was silent.", Queries: []Query{{`sum(rate(evercache_feed_announced_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "changes"}, {`sum(rate(evercache_feed_flushes_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "flushes"}, {`sum(rate(evercache_feed_silences_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "silences"}}},
}}
