#!/bin/sh
# Becomes a Redis node of the set. Its configuration is written anew at every
# start, so a changed template or password counts after a restart; what is kept is
# whom the node follows.
#
# A node that lost its data must not come back as the master: the replicas would
# copy its emptiness. Sentinel does not prevent that where the restart is quicker
# than down-after. So an empty node asks first.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

conf=$DATA_DIR/redis.conf
me="$NODE_NAME $PORT"
first="${FIRST_MASTER%:*} ${FIRST_MASTER##*:}"

empty() {
	for f in "$DATA_DIR"/appendonlydir/* "$DATA_DIR"/appendonly.aof "$DATA_DIR"/dump.rdb; do
		[ ! -s "$f" ] || return 1
	done
}

# before prints whom the node followed when it last ran, if anybody.
before() {
	[ ! -e "$conf" ] || sed -n 's/^replicaof "*\([^ "]*\)"* \([0-9]*\)$/\1 \2/p' "$conf"
}

# neighbours prints a line for each other node that answers: empty or full.
neighbours() {
	for n in $NODES; do
		[ "$n" != "$NODE_NAME:$PORT" ] || continue
		keys=$(timeout 2 sh "$here/cli.sh" -h "${n%:*}" -p "${n##*:}" DBSIZE 2>/dev/null) || keys=${keys:-none}
		case $keys in
		none) ;;
		0) echo empty ;;
		*) echo full ;; # LOADING too
		esac
	done
}

hesitate() {
	[ $((rounds % 10)) -ne 0 ] || say "this node has no data, and $1. It waits until the sentinels name another master." \
		"To start empty all the same, and to empty the replicas with it: touch $PERMIT"
}

# ask_first returns when an empty node may start, with the master to follow, if any.
ask_first() {
	rounds=0
	while [ ! -e "$PERMIT" ]; do
		master=$(named_master)
		if [ "$master" = "$me" ]; then
			hesitate "is the master for the sentinels"
		elif [ -n "$master" ]; then
			return
		elif [ "$me" != "$first" ]; then
			master=$first
			return
		else
			around=$(neighbours | sort | uniq -c | tr -s ' \n' ' ')
			case $around in
			*full*) hesitate "another one has" ;;
			" 2 empty ") return ;;
			*) [ "$rounds" -lt "$FOUNDING_WAIT" ] || return 0 ;; # nobody is there, or one that is empty
			esac
		fi
		rounds=$((rounds + 1))
		sleep 1
	done
	master=""
}

if empty; then
	ask_first
else
	master=$(named_master)
	[ -n "$master" ] || master=$(before)
fi
[ "$master" != "$me" ] || master=""

render "$here/redis-users.acl.tmpl" "$DATA_DIR/users.acl"
configure "$here/redis.conf.tmpl" "$conf"
if [ -n "$master" ]; then
	printf 'replicaof %s\n' "$master" >>"$conf"
	say "starts as a replica of $master"
else
	say "starts as the master"
fi
exec "$server" "$conf"
