#!/bin/sh
# Becomes a sentinel of the set. Its configuration is seeded once, into a volume
# of its own: from then on it is the sentinel's memory, which it rewrites.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

conf=$DATA_DIR/sentinel.conf
render "$here/sentinel-users.acl.tmpl" "$DATA_DIR/users.acl"
if [ ! -e "$conf" ]; then
	master=$(named_master) # a sentinel that lost its volume joins the others
	[ -n "$master" ] || master="${FIRST_MASTER%:*} ${FIRST_MASTER##*:}"
	MASTER_HOST=${master% *} MASTER_PORT=${master#* }
	say "begins with the master $master"
	configure "$here/sentinel.conf.tmpl" "$conf"
fi
exec "$server" "$conf" --sentinel
