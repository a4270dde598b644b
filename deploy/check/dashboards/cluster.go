package dashboards

var cluster = Dashboard{
	UID: "evercache-cluster", Title: "evercache: cluster",
	Description: "A Redis Cluster as the instances see it: shards, slots and nodes.",
	Variables:   []Variable{jobVariable, instanceVariable},
	Rows: []Row{{"Cluster", []Panel{
		{Kind: "stat", Title: "Slots without an owner", Width: 6, Unit: "none", Description: "Any number above zero is an outage of these slots.", Queries: []Query{{`max(evercache_cluster_slots{job=~"$job",instance=~"$instance",state="unowned"})`, "slots"}}},
		{Kind: "stat", Title: "Shards without a master", Width: 6, Unit: "none", Description: "Shards whose master is not in use, by the worst view of an instance.", Queries: []Query{{`max by (job) (count by (job, instance) (evercache_cluster_shard_up{job=~"$job",instance=~"$instance"} == 0)) or vector(0)`, "shards"}}},
		{Kind: "stat", Title: "Nodes that answer", Width: 6, Unit: "none", Description: "The smallest number that an instance sees, and those that are known.", Queries: []Query{{`min(evercache_cluster_nodes_reachable{job=~"$job",instance=~"$instance"})`, "answer"}, {`max(evercache_cluster_nodes_known{job=~"$job",instance=~"$instance"})`, "known"}}},
		{Kind: "stat", Title: "Last failover", Width: 6, Unit: "s", Description: "How long no write was sent to the shard in the last failover. The target is less than 30 s.", Queries: []Query{{`max(evercache_cluster_failover_last_duration_seconds{job=~"$job",instance=~"$instance"})`, "took"}}},
		{Kind: "timeseries", Title: "Slots", Unit: "short", Description: "Slots that have no owner or that move.", Queries: []Query{{`max by (state) (evercache_cluster_slots{job=~"$job",instance=~"$instance",state!="owned"})`, "{{state}}"}}},
		{Kind: "timeseries", Title: "Failovers", Unit: "short", Description: "Failovers of shards in ten minutes.", Queries: []Query{{`max by (job) (increase(evercache_cluster_failovers_total{job=~"$job",instance=~"$instance"}[10m]))`, "{{job}}"}}},
		{Kind: "timeseries", Title: "Time since the last failover", Unit: "s", Description: "Empty when there was none.", Queries: []Query{{`time() - max by (job) (evercache_cluster_failover_last_timestamp_seconds{job=~"$job",instance=~"$instance"} > 0)`, "{{job}}"}}},
	}}, {"Shards", []Panel{
		{Kind: "state-timeline", Title: "Master in use", Width: 12, Unit: "none", Description: "Whether the master of the shard is in use. The shard other stands for all beyond the first 64.", Words: yesNo, Queries: []Query{{`min by (shard) (evercache_cluster_shard_up{job=~"$job",instance=~"$instance"})`, "{{shard}}"}}},
		{Kind: "state-timeline", Title: "Writes confirmed", Width: 12, Unit: "none", Description: "Whether the writes of the shard are confirmed by its replicas.", Words: yesNo, Queries: []Query{{`min by (shard) (evercache_cluster_shard_healthy{job=~"$job",instance=~"$instance"})`, "{{shard}}"}}},
		{Kind: "timeseries", Title: "Slots of a shard", Unit: "short", Description: "Changes while slots move.", Queries: []Query{{`max by (shard) (evercache_cluster_shard_slots{job=~"$job",instance=~"$instance"})`, "{{shard}}"}}},
		{Kind: "timeseries", Title: "Replicas of a shard", Unit: "short", Description: "Replicas that could be promoted. Zero means that the shard ends with its master.", Queries: []Query{{`min by (shard) (evercache_cluster_shard_replicas{job=~"$job",instance=~"$instance"})`, "{{shard}}"}}},
		{Kind: "timeseries", Title: "Config epoch of a shard", Unit: "short", Description: "Rises with each failover of the shard.", Queries: []Query{{`max by (shard) (evercache_cluster_shard_config_epoch{job=~"$job",instance=~"$instance"})`, "{{shard}}"}}},
		{Kind: "table", Title: "Masters", Width: 12, Unit: "none", Description: "The master of each shard, as each instance sees it.", Queries: []Query{{`max by (instance, shard, addr) (evercache_cluster_shard_master_info{job=~"$job",instance=~"$instance"})`, ""}}},
		{Kind: "timeseries", Title: "Redirections and refusals", Width: 12, Unit: "ops", Description: "Replies per second that only a Cluster gives: MOVED, ASK, TRYAGAIN, CLUSTERDOWN.", Queries: []Query{{`sum by (kind) (rate(evercache_redis_errors_total{job=~"$job",instance=~"$instance",kind=~"moved|ask|tryagain|clusterdown|crossslot"}[$__rate_interval]))`, "{{kind}}"}}},
	}}},
}
