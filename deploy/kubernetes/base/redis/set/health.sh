#!/bin/sh
# The health check of a node. health.sh redis: it answers, and a replica has its
# master's data. health.sh sentinel: it sees enough others, and a replica, to fail
# over. health.sh cluster: as redis, and its Cluster is whole. Nothing acts on these
# but up --wait, who looks, and Kubernetes, which waits with the next node. health.sh
# alive: it answers, whatever it says. A node that does not is started again, so
# nothing that is wrong with another node counts.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

ask() { sh "$here/cli.sh" "$@" | tr -d '\r'; }

case ${1:-} in
redis)
	ask INFO replication | grep -qx -e role:master -e master_link_status:up || die "no master, and no replica whose link is up"
	;;
sentinel)
	ask SENTINEL CKQUORUM "$MASTER_NAME" | grep '^OK' || die "$(ask SENTINEL CKQUORUM "$MASTER_NAME")"
	ask SENTINEL MASTER "$MASTER_NAME" | grep -A1 -x num-slaves | grep -qx '[1-9][0-9]*' || die "no replica is known yet"
	;;
cluster)
	ask CLUSTER INFO | grep -qx cluster_state:ok || die "this node knows no whole Cluster"
	ask INFO replication | grep -qx -e role:master -e master_link_status:up || die "no master, and no replica whose link is up"
	;;
alive)
	answer=$(sh "$here/cli.sh" PING 2>&1) || true
	case $answer in
	*PONG* | *LOADING* | *MASTERDOWN* | *BUSY* | *MISCONF* | *"max number of clients"*) ;;
	*) die "no answer to PING" ;;
	esac
	;;
*) die "health.sh redis, sentinel, cluster or alive" ;;
esac
