#!/bin/sh
# Measures what idle processes of evercache cost a Redis set: connections, commands,
# bytes, processor time, and the memory of each process.
#
#     scripts/capacity.sh PROCESSES [SECONDS]
#
# It starts PROCESSES times `evercache serve` on free ports of loopback, on the set that
# the REDIS_* variables name, measures for SECONDS (10), and ends them. Use a set on
# which nothing else runs, such as that of `evercache dev`. It needs evercache, redis-cli
# and jq on PATH, and Linux.
set -eu

usage() {
	echo "usage: scripts/capacity.sh PROCESSES [SECONDS]; PROCESSES from 1 to 200, SECONDS from 1 to 600" >&2
	exit 2
}

number() {
	case "$1" in '' | *[!0-9]* | ?????*) usage ;; esac
	if [ "$1" -lt 1 ] || [ "$1" -gt "$2" ]; then usage; fi
}

case $# in 1 | 2) ;; *) usage ;; esac
processes=$1 seconds=${2:-10}
number "$processes" 200
number "$seconds" 600
for program in evercache redis-cli jq; do
	command -v "$program" >/dev/null || {
		echo "capacity: $program is not on PATH; install it, or add its folder to PATH" >&2
		exit 2
	}
done

# A status above 0 means that something is not well: the master may be known all the same.
master=$(evercache status -o json | jq -r '.master // empty') || true
[ -n "$master" ] || {
	echo "capacity: no master is known; evercache doctor says why" >&2
	exit 1
}
export REDISCLI_AUTH="${REDIS_PASSWORD:-}"
[ -n "$REDISCLI_AUTH" ] || unset REDISCLI_AUTH

info() { redis-cli -h "${master%:*}" -p "${master##*:}" INFO all | tr -d '\r'; }
field() { printf '%s\n' "$1" | sed -n "s/^$2://p"; }
micros() { # processor time of the master, in microseconds
	printf '%s\n' "$1" | awk -F: '/^used_cpu_(sys|user):/ { sum += $2 } END { printf "%.0f", sum * 1e6 }'
}
ticks() { # processor time of all our processes, in ticks
	for pid in $pids; do cat "/proc/$pid/stat" 2>/dev/null || true; done | sed 's/.*) //' | awk '{ sum += $12 + $13 } END { print sum + 0 }'
}

dir=$(mktemp -d)
pids=""
finish() {
	for pid in $pids; do kill "$pid" 2>/dev/null || true; done
	for pid in $pids; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

idle=$(info)
sleep "$seconds"
quiet=$(info)

# connected waits until all that were started have said in their logs that they are connected.
connected() {
	left=240 # half seconds
	until [ "$(grep -l '"to":"connected"' "$dir"/*.log 2>/dev/null | wc -l)" -ge "$1" ]; do
		for pid in $pids; do
			kill -0 "$pid" 2>/dev/null || {
				echo "capacity: a process has ended; the ends of the logs:" >&2
				tail -qn 1 "$dir"/*.log >&2
				exit 1
			}
		done
		left=$((left - 1))
		[ "$left" -gt 0 ] || {
			late=$(grep -L '"to":"connected"' "$dir"/*.log | head -n 1)
			echo "capacity: not all of $1 processes have a connection to $master after 120 s; the log of one that has none ends with:" >&2
			tail -n 3 "$late" >&2
			exit 1
		}
		sleep 0.5
	done
}

# Ten at a time: more that start at once hold each other up where there are few processors.
i=0
while [ "$i" -lt "$processes" ]; do
	EVERCACHE_LISTEN=127.0.0.1:0 EVERCACHE_LOG_FORMAT=json EVERCACHE_ADMIN_LISTEN='' EVERCACHE_AUDIT_LOG='' EVERCACHE_JOURNAL_DIR='' \
		evercache serve >/dev/null 2>"$dir/$i.log" &
	pids="$pids $!"
	i=$((i + 1))
	[ $((i % 10)) -ne 0 ] || connected "$i"
done
connected "$processes"
sleep 3 # the questions of the start

ours=$(ticks)
before=$(info)
sleep "$seconds"
after=$(info)
ours=$(($(ticks) - ours))
rss=0
for pid in $pids; do
	rss=$((rss + $(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")))
done

awk -v n="$processes" -v s="$seconds" -v hz="$(getconf CLK_TCK)" -v ours="$ours" -v rss="$rss" \
	-v clients0="$(field "$idle" connected_clients)" -v clients="$(field "$after" connected_clients)" \
	-v c0="$(field "$idle" total_commands_processed)" -v c1="$(field "$quiet" total_commands_processed)" \
	-v c2="$(field "$before" total_commands_processed)" -v c3="$(field "$after" total_commands_processed)" \
	-v o2="$(field "$before" total_net_output_bytes)" -v o3="$(field "$after" total_net_output_bytes)" \
	-v u0="$(micros "$idle")" -v u1="$(micros "$quiet")" -v u2="$(micros "$before")" -v u3="$(micros "$after")" 'BEGIN {
	print "| processes | connections at the master, each | commands at the master a second, each | KiB sent by the master a second, all | processor time of the master, ms a second, each | of a process, ms a second | resident memory of a process, MiB |"
	print "|---|---|---|---|---|---|---|"
	printf "| %d | %.1f | %.1f | %.1f | %.2f | %.1f | %.1f |\n", n, (clients - clients0) / n, ((c3 - c2) - (c1 - c0)) / s / n,
		(o3 - o2) / 1024 / s, ((u3 - u2) - (u1 - u0)) / 1000 / s / n, ours * 1000 / hz / s / n, rss / 1024 / n
}'
