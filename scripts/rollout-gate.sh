#!/bin/sh
# Compares a canary with the instances of before, by their metrics: the gate of
# docs/rollout.md and the triggers of docs/rollback.md.
#
#     scripts/rollout-gate.sh [BEFORE_URL] CANARY_URL
#
# The URLs are those of /metrics. Both are read twice, SECONDS_BETWEEN (60) apart, and
# what has happened in between is judged:
#
#   errors   at most MAX_ERRORS percent of the requests (0.1), or, where BEFORE has more
#            than that, at most 5 % more of them than there
#   latency  of requests that memory alone did not answer: the mean is at most 20 % above
#            that of BEFORE, or, without BEFORE, at most MAX_LATENCY milliseconds (2).
#            Deletes of prefixes do not count, nor does get of the library, which contains
#            the time of the loader
#
# What the caller did wrong (rejected) is no request here: as in docs/slo.md.
#
# Below MIN_REQUESTS requests of the canary (1000) nothing can be said. EVERCACHE_METRICS_TOKEN,
# else EVERCACHE_TOKEN, is shown to both.
#
# Exit status: 0 every gate was kept; 1 one was missed; 2 it cannot be told, or wrong arguments.
set -eu

case $# in
1) before="" canary=$1 ;;
2) before=$1 canary=$2 ;;
*)
	echo "usage: scripts/rollout-gate.sh [BEFORE_URL] CANARY_URL; the URLs of /metrics" >&2
	exit 2
	;;
esac

# The token goes through a file, since arguments can be seen by others.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
token=${EVERCACHE_METRICS_TOKEN:-${EVERCACHE_TOKEN:-}}
(umask 077 && if [ -n "$token" ]; then printf 'header = "Authorization: Bearer %s"\n' "$(printf %s "$token" | sed 's/[\\"]/\\&/g')"; fi >"$dir/curl")

# sums prints errors, requests, seconds and how many requests these are of.
sums() {
	curl -sS --fail --max-time 10 --max-filesize 16777216 -K "$dir/curl" "$1" >"$dir/metrics" || {
		echo "rollout-gate: $1 cannot be read; is it the URL of /metrics, and EVERCACHE_METRICS_TOKEN its token?" >&2
		exit 2
	}
	awk '
	/^evercache_cache_requests_total\{/ { known = 1 }
	/^evercache_cache_requests_total\{/ && !/result="rejected"/ { all += $NF; if ($0 ~ /result="error"/) errors += $NF }
	/op="(get|delete_prefix)"/ { next }
	/^evercache_cache_request_duration_seconds_sum\{/ { seconds += $NF }
	/^evercache_cache_request_duration_seconds_count\{/ { timed += $NF }
	END { if (!known) exit 1; printf "%.9g %.9g %.9g %.9g\n", errors, all, seconds, timed }' "$dir/metrics" || {
		echo "rollout-gate: $1 has no metrics of evercache" >&2
		exit 2
	}
}

canary0=$(sums "$canary") before0="0 0 0 0" before1="0 0 0 0"
[ -z "$before" ] || before0=$(sums "$before")
sleep "${SECONDS_BETWEEN:-60}"
canary1=$(sums "$canary")
[ -z "$before" ] || before1=$(sums "$before")

echo "$canary0 $canary1 $before0 $before1" | awk -v has="$before" -v max_errors="${MAX_ERRORS:-0.1}" -v max_latency="${MAX_LATENCY:-2}" -v least="${MIN_REQUESTS:-1000}" '
function gate(name, got, most, unit) {
	printf "gate %s: %.3f %s, at most %.3f %s: %s\n", name, got, unit, most, unit, got <= most ? "kept" : "missed"
	if (got > most) missed = 1
}
{
	errors = $5 - $1; all = $6 - $2; seconds = $7 - $3; timed = $8 - $4
	errors_before = $13 - $9; all_before = $14 - $10; seconds_before = $15 - $11; timed_before = $16 - $12
	if (all < 0 || timed < 0 || all_before < 0) { print "cannot be told: an instance was restarted meanwhile"; exit 2 }
	if (all < least) { printf "cannot be told: %d requests of the canary, at least %d are needed\n", all, least; exit 2 }
	most = max_errors
	if (all_before > 0 && 105 * errors_before / all_before > most) most = 105 * errors_before / all_before
	gate("errors", 100 * errors / all, most, "%")
	if (timed == 0) print "gate latency: memory has answered everything: kept"
	else if (has == "") gate("latency", 1000 * seconds / timed, max_latency, "ms")
	else if (timed_before == 0) { print "cannot be told: memory has answered everything of before, so there is no latency to compare with"; exit 2 }
	else gate("latency", 1000 * seconds / timed, 1200 * seconds_before / timed_before, "ms")
	exit missed
}'
