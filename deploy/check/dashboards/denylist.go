package dashboards

var denylist = Dashboard{
	UID: "evercache-denylist", Title: "evercache: denylist",
	Description: "Revoked tokens: whether every instance knows of them, and whether they are safe.",
	Variables:   []Variable{jobVariable, instanceVariable},
	Rows: []Row{{"Knowledge", []Panel{
		{Kind: "state-timeline", Title: "Loaded", Unit: "none", Description: "Whether a complete list has been read. Without it tokens are refused, unless the policy says otherwise.", Words: yesNo, Queries: []Query{{`evercache_revocations_ready{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
		{Kind: "timeseries", Title: "Age of the knowledge", Unit: "s", Description: "Every revocation acknowledged before is taken into account. Beyond 15 s the answer is unknown.", Queries: []Query{{`evercache_revocations_lag_seconds{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
		{Kind: "timeseries", Title: "Revocations in force", Unit: "short", Description: "All instances should show the same number.", Queries: []Query{{`evercache_revocations_entries{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
	}}, {"Revoking", []Panel{
		{Kind: "timeseries", Title: "Revocations made", Unit: "ops", Description: "Per second: brought into force, taken by a master in time, refused because the list is full.", Queries: []Query{{`sum(rate(evercache_revocations_made_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "made"}, {`sum(rate(evercache_revocations_taken_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "taken"}, {`sum(rate(evercache_revocations_refused_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "refused"}}},
		{Kind: "timeseries", Title: "Not yet safe", Unit: "short", Description: "Revocations that a failover could lose, that no master has, and that no journal holds either.", Queries: []Query{{`sum(evercache_revocations_unconfirmed{job=~"$job",instance=~"$instance"})`, "unconfirmed"}, {`sum(evercache_revocations_untaken{job=~"$job",instance=~"$instance"})`, "no master"}, {`sum(evercache_revocations_unsaved{job=~"$job",instance=~"$instance"})`, "memory only"}}},
		{Kind: "timeseries", Title: "Strict checks", Unit: "ops", Description: "Checks per second that had to ask the master, by result.", Queries: []Query{{`sum by (result) (rate(evercache_revocations_strict_checks_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "{{result}}"}}},
	}}, {"The list in Redis", []Panel{
		{Kind: "timeseries", Title: "Lost and put back", Unit: "short", Description: "In ten minutes: times that the list in Redis had lost something, and entries that were put back.", Queries: []Query{{`sum(increase(evercache_revocations_lost_total{job=~"$job",instance=~"$instance"}[10m]))`, "lost"}, {`sum(increase(evercache_revocations_put_back_total{job=~"$job",instance=~"$instance"}[10m]))`, "put back"}}},
		{Kind: "timeseries", Title: "Snapshots and gaps", Unit: "short", Description: "In ten minutes: times that the whole list was read, and gaps in the stream that made it necessary.", Queries: []Query{{`sum(increase(evercache_revocations_snapshots_total{job=~"$job",instance=~"$instance"}[10m]))`, "snapshots"}, {`sum(increase(evercache_revocations_gaps_total{job=~"$job",instance=~"$instance"}[10m]))`, "gaps"}}},
		{Kind: "timeseries", Title: "Removed", Unit: "short", Description: "In ten minutes: expired entries that were removed, and members that are not revocations.", Queries: []Query{{`sum(increase(evercache_revocations_pruned_total{job=~"$job",instance=~"$instance"}[10m]))`, "expired"}, {`sum(increase(evercache_revocations_garbage_total{job=~"$job",instance=~"$instance"}[10m]))`, "not ours"}}},
	}}},
}
