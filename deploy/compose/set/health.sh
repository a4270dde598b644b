#!/bin/sh
# The health check of a node. health.sh redis: it answers, and a replica has its
# master's data. health.sh sentinel: it sees enough others, and a replica, to fail
# over. Nothing acts on it but up --wait and who looks.
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
*) die "health.sh redis or health.sh sentinel" ;;
esac
