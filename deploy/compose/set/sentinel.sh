#!/bin/sh
# Becomes a sentinel of the set. Its configuration is seeded once, into a volume
# of its own: from then on it is the sentinel's memory, which it rewrites.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

conf=$DATA_DIR/sentinel.conf

# masters prints a line for each node that says that it is a master.
masters() {
	for n in $NODES; do
		! timeout 2 sh "$here/cli.sh" -h "${n%:*}" -p "${n##*:}" INFO replication 2>/dev/null | tr -d '\r' | grep -qx role:master ||
			printf '%s %s\n' "${n%:*}" "${n##*:}"
	done
}

# find_master returns when it is known whom to watch: the master of the other sentinels,
# else the only node that says that it is one. Before, this sentinel names nobody: a node
# without data that the sentinels name waits until they name another one (redis.sh).
find_master() {
	rounds=0
	while :; do
		master=$(named_master) # a sentinel that lost its volume joins the others
		[ -z "$master" ] || return 0
		master=$(masters)
		case $master in
		"") found="no node says that it is the master" ;;
		*"
"*) found="more than one node says that it is the master: $(printf %s "$master" | tr '\n' ',')" ;;
		*) return 0 ;;
		esac
		[ $((rounds % 10)) -ne 0 ] || say "$found. It waits until one does"
		rounds=$((rounds + 1))
		sleep 1
	done
}

# given COMMAND is a sed script that does this with each line that is given from outside:
# how the sentinel is reached, and how it logs in. One that was told to forget the master
# would not start with a login there.
given() {
	printf '/^%s/'"$1"'\n' 'port ' tls- 'sentinel sentinel-pass ' 'sentinel sentinel-user '
	! grep -q "^sentinel monitor $MASTER_NAME " "$conf" ||
		printf '\\,^sentinel auth-[a-z]* %s ,%s\n' "$MASTER_NAME" "$1"
}

# listen puts these lines into a file that is there: they are no memory of its own. TLS may
# have come or gone since, and passwords may be others.
listen() {
	configure "$here/sentinel.conf.tmpl" "$conf.seed"
	{
		sed "$(given d)" "$conf"
		sed -n "$(given p)" "$conf.seed"
	} >"$conf.new"
	rm "$conf.seed"
	mv "$conf.new" "$conf"
}

render "$here/sentinel-users.acl.tmpl" "$DATA_DIR/users.acl"
if [ ! -e "$conf" ]; then
	find_master
	MASTER_HOST=${master% *} MASTER_PORT=${master#* }
	say "begins with the master $master"
	configure "$here/sentinel.conf.tmpl" "$conf"
else
	listen
fi
exec "$server" "$conf" --sentinel
