#!/bin/sh
# Before a Redis node ends: if it is the master, another one becomes it first, and no
# write is lost. Kubernetes runs it as preStop. It ends within HANDOVER_LIMIT seconds
# and with status 0 whatever happens: a node that must end is not kept from it. What it
# did not do the sentinels do, later.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

: "${HANDOVER_LIMIT:=30}"
: "${PAUSE_MS:=3000}" # writes wait so long, should this script be cut off
began=$(date +%s)

# on HOST PORT COMMAND … asks another server as admin, for two seconds at most.
on() {
	host=$1 port=$2
	shift 2
	timeout 2 sh "$here/cli.sh" -h "$host" -p "$port" "$@" 2>/dev/null | tr -d '\r'
}
mine() { on 127.0.0.1 "$PORT" "$@"; }
hold() { mine CLIENT PAUSE "$PAUSE_MS" WRITE; }
in_time() { [ $(($(date +%s) - began)) -lt "$HANDOVER_LIMIT" ]; }
give_up() {
	mine CLIENT UNPAUSE >/dev/null
	say "handover: $*. The sentinels will find another master once this one is gone"
	exit 0
}

# role prints master or slave; nothing when the node does not answer.
role() { mine INFO replication | sed -n 's/^role://p'; }

# behind prints how many bytes the nearest replica lacks; nothing when none is there.
behind() {
	mine INFO replication | awk -F'[:,=]' '
		/^slave[0-9]*:/ && /state=online/ { for (i = 1; i < NF; i++) if ($i == "offset" && $(i + 1) > best) best = $(i + 1); n++ }
		/^master_repl_offset:/ { end = $2 }
		END { if (n) print end - best }'
}

# order asks one sentinel after the other for a failover; the first that agrees leads it.
order() {
	for s in $SENTINELS; do
		[ "$(on "${s%:*}" "${s##*:}" SENTINEL FAILOVER "$MASTER_NAME")" != OK ] || return 0
	done
	return 1
}

# promoted prints "host port" of another node that says that it is a master.
promoted() {
	for n in $NODES; do
		[ "$n" != "$NODE_NAME:$PORT" ] || continue
		if on "${n%:*}" "${n##*:}" INFO replication | grep -qx role:master; then
			printf '%s %s\n' "${n%:*}" "${n##*:}"
			return
		fi
	done
}

[ "$(role)" = master ] || exit 0
named=$(named_master)
[ "$named" = "$NODE_NAME $PORT" ] || give_up "this node is a master, and the sentinels name ${named:-nobody}"
[ -n "$(behind)" ] || give_up "no replica is there"

say "handover: this node is the master and is to end"
[ "$(hold)" = OK ] || give_up "writes cannot be held back"
until [ "$(behind)" = 0 ]; do
	in_time || give_up "the replicas do not get all that was written"
	hold >/dev/null
	sleep 0.1
done
order || give_up "no sentinel begins a failover"
until new=$(promoted) && [ -n "$new" ]; do
	in_time || give_up "no replica was promoted"
	hold >/dev/null
	sleep 0.1
done
# What was held back is refused from here on (READONLY): nothing goes to the old master.
[ "$(mine REPLICAOF "${new% *}" "${new#* }")" = OK ] || say "handover: this node could not be told to follow $new"
mine CLIENT UNPAUSE >/dev/null
say "handover: $new is the master, after $(($(date +%s) - began)) s"
