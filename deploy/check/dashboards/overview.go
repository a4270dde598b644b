package dashboards

// All are the files, by their names.
func All() map[string]Dashboard {
	return map[string]Dashboard{"overview.json": overview, "failover.json": failover, "cluster.json": cluster, "denylist.json": denylist}
}

var (
	jobVariable      = Variable{"job", "label_values(evercache_build_info, job)"}
	instanceVariable = Variable{"instance", `label_values(evercache_build_info{job=~"$job"}, instance)`}
)

var yesNo = map[string]string{"0": "no", "1": "yes"}

var overview = Dashboard{
	UID: "evercache-overview", Title: "evercache: overview",
	Description: "What callers get, and how Redis is.",
	Variables:   []Variable{jobVariable, instanceVariable},
	Rows:        []Row{now, calls, memory, redis, server, process},
}

var now = Row{"Now", []Panel{
	{Kind: "stat", Title: "Instances that answer", Width: 4, Unit: "none", Description: "How many instances Prometheus can read.", Queries: []Query{{`sum(up{job=~"$job"})`, "answer"}, {`count(up{job=~"$job"})`, "of"}}},
	{Kind: "stat", Title: "Degraded", Width: 4, Unit: "none", Description: "Instances in which memory answers in place of Redis.", Queries: []Query{{`sum(evercache_degraded{job=~"$job",instance=~"$instance"})`, "degraded"}}},
	{Kind: "stat", Title: "Hit ratio", Width: 4, Unit: "percentunit", Description: "Share of the reads of the last five minutes that found a value, in memory or in Redis. The target is 90 %.", Queries: []Query{{`1 - max(job:evercache_reads_missed:ratio_rate5m{job=~"$job"})`, "hits"}}},
	{Kind: "stat", Title: "Error ratio", Width: 4, Unit: "percentunit", Description: "Share of the calls of the last five minutes that ended in an error. The target is less than 0.1 %.", Queries: []Query{{`max(job:evercache_requests_errors:ratio_rate5m{job=~"$job"})`, "errors"}}},
	{Kind: "stat", Title: "Availability budget left", Width: 4, Unit: "percentunit", Description: "What is left of the 4.3 minutes in 30 days in which no instance may answer. Below zero: the target is missed.", Queries: []Query{{`min(job:evercache_availability_budget:left30d{job=~"$job"})`, "left"}}},
	{Kind: "stat", Title: "Error budget left", Width: 4, Unit: "percentunit", Description: "What is left of the errors that the target allows in 30 days. Below zero: the target is missed.", Queries: []Query{{`min(job:evercache_errors_budget:left30d{job=~"$job"})`, "left"}}},
	{Kind: "state-timeline", Title: "State", Width: 12, Unit: "none", Description: "Whether memory answers in place of Redis, for each instance.", Words: map[string]string{"0": "up", "1": "degraded"}, Queries: []Query{{`evercache_degraded{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
	{Kind: "table", Title: "Findings", Width: 12, Unit: "none", Description: "What /health reports now. docs/runbook-findings.md explains each code.", Queries: []Query{{`max by (instance, severity, code) (evercache_finding{job=~"$job",instance=~"$instance"})`, ""}}},
	{Kind: "table", Title: "Master in use", Width: 12, Unit: "none", Description: "The master that each instance uses. All have to name the same one.", Queries: []Query{{`max by (instance, master_name, addr) (evercache_master_info{job=~"$job",instance=~"$instance"})`, ""}}},
	{Kind: "table", Title: "Mode and version", Width: 12, Unit: "none", Description: "How each instance reaches Redis, what its settings asked for, and which build it is.", Queries: []Query{{`max by (instance, mode, requested_mode) (evercache_mode_info{job=~"$job",instance=~"$instance"}) * on (instance) group_left (version) max by (instance, version) (evercache_build_info{job=~"$job"})`, ""}}},
}}

var calls = Row{"Calls", []Panel{
	{Kind: "timeseries", Title: "Calls by operation", Unit: "reqps", Description: "Calls per second, by what was asked.", Queries: []Query{{`sum by (op) (rate(evercache_cache_requests_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "{{op}}"}}},
	{Kind: "timeseries", Title: "Calls by result", Unit: "reqps", Description: "Calls per second, by how they ended. Stale is a value past its time to live that was served all the same.", Queries: []Query{{`sum by (result) (rate(evercache_cache_requests_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "{{result}}"}}},
	{Kind: "timeseries", Title: "Reads by level", Unit: "reqps", Description: "Reads per second that found a value, by the level that had it: l1 is memory, l2 is Redis.", Queries: []Query{{`sum by (tier) (job_tier:evercache_reads_found:rate5m{job=~"$job"})`, "{{tier}}"}}},
	{Kind: "timeseries", Title: "Time of calls that memory did not answer", Unit: "s", Description: "Median and slowest hundredth. Hits in memory take less than a microsecond and are not measured.", Queries: []Query{
		{`histogram_quantile(0.5, sum by (op, le) (rate(evercache_cache_request_duration_seconds_bucket{job=~"$job",instance=~"$instance"}[$__rate_interval])))`, "{{op}} median"},
		{`histogram_quantile(0.99, sum by (op, le) (rate(evercache_cache_request_duration_seconds_bucket{job=~"$job",instance=~"$instance"}[$__rate_interval])))`, "{{op}} p99"},
	}},
	{Kind: "timeseries", Title: "Slower than 2 ms", Unit: "percentunit", Description: "Share of the calls that took longer than the target. Loads are not among them.", Queries: []Query{{`job:evercache_requests_slow:ratio_rate5m{job=~"$job"}`, "{{job}}"}}},
	{Kind: "timeseries", Title: "Loads", Unit: "ops", Description: "Runs of loaders per second by result, and callers that shared the load of another one.", Queries: []Query{
		{`sum by (result) (rate(evercache_loads_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "{{result}}"},
		{`sum(rate(evercache_loads_coalesced_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "shared"},
		{`sum(rate(evercache_load_shed_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "refused in an outage"},
	}},
}}

var memory = Row{"Memory", []Panel{
	{Kind: "timeseries", Title: "Memory of the cache", Unit: "bytes", Description: "Estimated size of the entries, and the bound on it.", Queries: []Query{{`evercache_l1_bytes{job=~"$job",instance=~"$instance"}`, "{{instance}}"}, {`max(evercache_l1_capacity_bytes{job=~"$job",instance=~"$instance"})`, "bound"}}},
	{Kind: "timeseries", Title: "Entries", Unit: "short", Description: "Entries in memory, of each instance.", Queries: []Query{{`evercache_l1_entries{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "Entries that left memory", Unit: "ops", Description: "Per second, by reason. Much of capacity means that the memory is too small.", Queries: []Query{{`sum by (reason) (rate(evercache_l1_evictions_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "{{reason}}"}}},
}}

var redis = Row{"Redis", []Panel{
	{Kind: "timeseries", Title: "Commands", Unit: "ops", Description: "Commands to Redis per second.", Queries: []Query{{`sum by (command) (rate(evercache_redis_requests_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "{{command}}"}}},
	{Kind: "timeseries", Title: "Errors by kind", Unit: "ops", Description: "Failed commands and connections per second.", Queries: []Query{{`sum by (kind) (rate(evercache_redis_errors_total{job=~"$job",instance=~"$instance"}[$__rate_interval])) > 0`, "{{kind}}"}}},
	{Kind: "timeseries", Title: "Time of a command", Unit: "s", Description: "Median and slowest hundredth, as seen from the instance.", Queries: []Query{{`job_instance:evercache_redis_request_duration_seconds:p50_5m{job=~"$job",instance=~"$instance"}`, "{{instance}} median"}, {`job_instance:evercache_redis_request_duration_seconds:p99_5m{job=~"$job",instance=~"$instance"}`, "{{instance}} p99"}}},
	{Kind: "timeseries", Title: "Attempts to connect", Unit: "ops", Description: "Per second, by result.", Queries: []Query{{`sum by (result) (rate(evercache_redis_dials_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "{{result}}"}}},
	{Kind: "timeseries", Title: "Reads from replicas", Unit: "ops", Description: "Keys per second that replicas have answered, and those for which the master was asked in their place. Empty unless REDIS_REPLICA_READS is on.", Queries: []Query{{`sum(rate(evercache_replica_reads_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "answered"}, {`sum by (reason) (rate(evercache_replica_reads_refused_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "{{reason}}"}}},
	{Kind: "timeseries", Title: "Clock", Unit: "s", Description: "How far the clock of Redis is ahead. More than a second is a fault.", Queries: []Query{{`evercache_redis_clock_ahead_seconds{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
}}

var server = Row{"HTTP", []Panel{
	{Kind: "timeseries", Title: "Answers by status", Unit: "reqps", Description: "HTTP answers per second, by status code.", Queries: []Query{{`sum by (code) (rate(evercache_http_requests_total{job=~"$job",instance=~"$instance"}[$__rate_interval])) > 0`, "{{code}}"}}},
	{Kind: "timeseries", Title: "Connections", Unit: "short", Description: "Connections from callers, and the limit.", Queries: []Query{{`evercache_http_connections{job=~"$job",instance=~"$instance"}`, "{{instance}}"}, {`max(evercache_http_connections_limit{job=~"$job",instance=~"$instance"})`, "limit"}}},
	{Kind: "timeseries", Title: "Memory of bodies", Unit: "bytes", Description: "What bodies under way hold, and the limit.", Queries: []Query{{`evercache_http_body_bytes{job=~"$job",instance=~"$instance"}`, "{{instance}}"}, {`max(evercache_http_body_bytes_limit{job=~"$job",instance=~"$instance"})`, "limit"}}},
}}

var process = Row{"Process", []Panel{
	{Kind: "timeseries", Title: "Resident memory", Unit: "bytes", Description: "Memory of the process, as the kernel counts it.", Queries: []Query{{`process_resident_memory_bytes{job=~"$job",instance=~"$instance"}`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "Processor", Unit: "percentunit", Description: "Share of one processor.", Queries: []Query{{`rate(process_cpu_seconds_total{job=~"$job",instance=~"$instance"}[$__rate_interval])`, "{{instance}}"}}},
	{Kind: "timeseries", Title: "Goroutines and open files", Unit: "short", Description: "Both should stand still under steady load.", Queries: []Query{{`go_goroutines{job=~"$job",instance=~"$instance"}`, "{{instance}} goroutines"}, {`process_open_fds{job=~"$job",instance=~"$instance"}`, "{{instance}} files"}}},
	{Kind: "timeseries", Title: "Lost log lines and audit events", Unit: "ops", Description: "Per second. Anything above zero is a fault.", Queries: []Query{{`sum by (instance) (rate(evercache_log_lines_dropped_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "{{instance}} log"}, {`sum by (instance) (rate(evercache_audit_events_lost_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))`, "{{instance}} audit"}}},
	{Kind: "timeseries", Title: "Certificates", Unit: "s", Description: "Time until the TLS certificates end.", Queries: []Query{{`evercache_tls_server_certificate_expiry_timestamp_seconds{job=~"$job",instance=~"$instance"} - time()`, "{{instance}} server"}, {`evercache_tls_client_certificate_expiry_timestamp_seconds{job=~"$job",instance=~"$instance"} - time()`, "{{instance}} to {{peer}}"}}},
	{Kind: "timeseries", Title: "Age of the last backup", Unit: "s", Description: "Time since the last complete backup. Empty where none is scheduled.", Queries: []Query{{`time() - evercache_backup_last_success_timestamp_seconds`, "{{instance}}"}}},
}}
