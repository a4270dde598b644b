#!/bin/sh
# Before a node of a Cluster ends: if it is the master of a shard, its replica takes
# over first. The two coordinate, so no write is lost. It ends within HANDOVER_LIMIT
# seconds and with status 0 whatever happens.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

: "${HANDOVER_LIMIT:=30}"
began=$(date +%s)

on() {
	host=$1 port=$2
	shift 2
	timeout 2 sh "$here/cli.sh" -h "$host" -p "$port" "$@" 2>/dev/null | tr -d '\r'
}
role() { on 127.0.0.1 "$PORT" INFO replication | sed -n 's/^role://p'; }

# replicas prints "host port" of the living replicas of this node.
replicas() {
	me=$(on 127.0.0.1 "$PORT" CLUSTER MYID)
	on 127.0.0.1 "$PORT" CLUSTER NODES | awk -v me="$me" '
		$4 == me && $3 !~ /fail/ && $8 == "connected" { sub(/@.*/, "", $2); n = split($2, p, ":"); port = p[n]; sub(/:[0-9]*$/, "", $2); print $2, port }'
}

[ "$(role)" = master ] || exit 0
next=$(replicas | head -n 1)
if [ -z "$next" ]; then
	say "handover: no replica of this shard is there"
	exit 0
fi
[ "$(on "${next% *}" "${next#* }" CLUSTER FAILOVER)" = OK ] || say "handover: $next does not take over"
while [ "$(role)" = master ]; do
	if [ $(($(date +%s) - began)) -ge "$HANDOVER_LIMIT" ]; then
		say "handover: $next has not taken over. The others will notice that this node is gone"
		exit 0
	fi
	sleep 0.2
done
say "handover: $next is the master, after $(($(date +%s) - began)) s"
