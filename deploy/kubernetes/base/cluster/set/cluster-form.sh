#!/bin/sh
# Makes the nodes in NODES one Cluster, each master with a replica; where it is made
# already, nodes that are empty and alone join it as replicas. Run it as often as you
# like: what is well it leaves alone.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

: "${FORM_LIMIT:=300}" # seconds in which all nodes must answer
began=$(date +%s)

on() {
	host=$1 port=$2
	shift 2
	timeout 5 sh "$here/cli.sh" -h "$host" -p "$port" "$@" 2>/dev/null | tr -d '\r'
}
# info ADDRESS FIELD prints a field of CLUSTER INFO.
info() { on "${1%:*}" "${1##*:}" CLUSTER INFO | sed -n "s/^$2://p"; }
cluster() {
	first=${NODES%% *}
	sh "$here/cli.sh" -h "${first%:*}" -p "${first##*:}" --cluster "$@"
}

for n in $NODES; do
	until [ -n "$(info "$n" cluster_known_nodes)" ]; do
		[ $(($(date +%s) - began)) -lt "$FORM_LIMIT" ] || die "the node $n does not answer"
		sleep 1
	done
done

member="" alone=""
for n in $NODES; do
	if [ "$(info "$n" cluster_known_nodes)" != 1 ]; then
		member=$n
	else
		alone="$alone $n"
	fi
done

if [ -z "$member" ]; then
	say "makes a Cluster of $NODES"
	# shellcheck disable=SC2086 # a list
	cluster create $NODES --cluster-replicas 1 --cluster-yes
	exit 0
fi
[ "$(info "$member" cluster_slots_assigned)" = 16384 ] ||
	die "some slots have no owner: look with redis-cli --cluster check $member, and run this again when that is mended"
for n in $alone; do
	say "$n joins as a replica"
	cluster add-node "$n" "$member" --cluster-slave
done
say "the Cluster is whole"
