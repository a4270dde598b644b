#!/bin/sh
# Becomes a node of a Redis Cluster. cluster-form.sh makes the nodes one. What the node
# knows of the others is in nodes.conf on its volume: a node that has lost it is a new
# one, empty and alone, so it empties nobody.
#
# Were it back at its address before the others have noticed, they would find a stranger
# there, and never call the node of before failed: nobody would take over its slots. So
# it waits until somebody has.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

conf=$DATA_DIR/redis.conf
address=${ANNOUNCE_IP:-$NODE_NAME}:$PORT

# waited_for: another node still gives slots to the node that was here.
waited_for() {
	for n in $NODES; do
		[ "$n" != "$address" ] || continue
		if timeout 2 sh "$here/cli.sh" -h "${n%:*}" -p "${n##*:}" CLUSTER NODES 2>/dev/null | tr -d '\r' |
			awk -v me="$address@" 'index($2, me) == 1 && NF >= 9 {found = 1} END {exit !found}'; then
			return 0
		fi
	done
	return 1
}

if [ ! -s "$DATA_DIR/nodes.conf" ]; then
	rounds=0
	while [ ! -e "$PERMIT" ] && waited_for; do
		[ $((rounds % 10)) -ne 0 ] || say "this node has no data, and the others know it with slots. It waits until" \
			"its replica has taken them over. Where none is left, to start empty all the same: touch $PERMIT"
		rounds=$((rounds + 1))
		sleep 1
	done
fi

render "$here/cluster-users.acl.tmpl" "$DATA_DIR/users.acl"
configure "$here/redis.conf.tmpl" "$conf"
render "$here/cluster.conf.tmpl" "$conf.cluster"
cat "$conf.cluster" >>"$conf"
rm "$conf.cluster"
[ -z "$TLS_DIR" ] || printf 'tls-cluster yes\n' >>"$conf"
say "starts as a node of a Cluster"
exec "$server" "$conf"
