#!/bin/sh
# Becomes a sentinel of the set. Its configuration is seeded once, into a volume
# of its own: from then on it is the sentinel's memory, which it rewrites.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

conf=$DATA_DIR/sentinel.conf

# listen puts port or TLS into a file that is there. How the sentinel is reached is
# no memory of its own, and TLS may have come or gone since.
listen() {
	configure "$here/sentinel.conf.tmpl" "$conf.seed"
	{
		sed '/^port /d; /^tls-/d' "$conf"
		sed -n '/^port /p; /^tls-/p' "$conf.seed"
	} >"$conf.new"
	rm "$conf.seed"
	mv "$conf.new" "$conf"
}

render "$here/sentinel-users.acl.tmpl" "$DATA_DIR/users.acl"
if [ ! -e "$conf" ]; then
	master=$(named_master) # a sentinel that lost its volume joins the others
	[ -n "$master" ] || master="${FIRST_MASTER%:*} ${FIRST_MASTER##*:}"
	MASTER_HOST=${master% *} MASTER_PORT=${master#* }
	say "begins with the master $master"
	configure "$here/sentinel.conf.tmpl" "$conf"
else
	listen
fi
exec "$server" "$conf" --sentinel
