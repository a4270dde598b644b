#!/bin/sh
# pod.sh SCRIPT …: runs one of the scripts beside it in a pod.
#
# Each node has a Service of its own, whose address never changes. The nodes know each
# other by these addresses, not by names: Sentinel stops acting (TILT) when a lookup
# takes long, and the machine that fails may have had the name server on it. The names
# are looked up once in the life of a pod.
set -eu
here=$(dirname "$0")
: "${ADDRESSES:=/tmp/addresses}"
: "${LOOKUP_LIMIT:=120}" # seconds

say() { printf '%s pod.sh: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >&2; }

# address NAME prints the address of a name; it waits until there is one.
address() {
	tries=0
	while :; do
		found=$(getent hosts "$1" | awk '{ print $1; exit }')
		[ -z "$found" ] || break
		tries=$((tries + 1))
		if [ "$tries" -ge "$LOOKUP_LIMIT" ]; then
			say "the name $1 cannot be resolved: is there a Service of this name?"
			exit 1
		fi
		sleep 1
	done
	printf %s "$found"
}

# addresses NAME:PORT … prints the same with addresses.
addresses() {
	for one in "$@"; do
		host=$(address "${one%:*}") || exit 1
		printf '%s:%s ' "$host" "${one##*:}"
	done
}

if [ ! -e "$ADDRESSES" ]; then
	me=$(address "$NODE_NAME")
	first=$(addresses "$FIRST_MASTER")
	# shellcheck disable=SC2086 # lists
	nodes=$(addresses $NODES) sentinels=$(addresses $SENTINELS)
	printf 'NODE_NAME="%s" FIRST_MASTER="%s" NODES="%s" SENTINELS="%s"\n' "$me" "${first% }" "${nodes% }" "${sentinels% }" >"$ADDRESSES.new"
	mv "$ADDRESSES.new" "$ADDRESSES"
fi
# shellcheck source=/dev/null
. "$ADDRESSES"
export NODE_NAME FIRST_MASTER NODES SENTINELS
script=$1
shift
exec sh "$here/$script" "$@"
