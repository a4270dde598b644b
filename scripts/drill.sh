#!/bin/sh
# Drills a set of evercache dev that it starts for this, and ends: failover, kill or stop.
# It is a row of the release gate. It needs redis-server, and evercache on PATH or Go.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
failover) gap=3s ;;
kill | stop) gap=10s ;;
*)
	echo "usage: scripts/drill.sh failover|kill|stop" >&2
	exit 2
	;;
esac
dir=$(mktemp -d)
if ! command -v evercache >/dev/null; then
	go build -o "$dir/bin/evercache" ./cmd/evercache
	PATH=$dir/bin:$PATH
fi
name=drill-$$
evercache dev --name "$name" --env-file "$dir/env" >"$dir/log" 2>&1 </dev/null &
dev=$!
finish() {
	kill "$dev" 2>/dev/null || true
	wait "$dev" 2>/dev/null || true
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM
until grep -q '^ready: ' "$dir/log"; do
	kill -0 "$dev" 2>/dev/null || {
		cat "$dir/log" >&2
		exit 1
	}
	sleep 0.2
done
set -a
# shellcheck disable=SC1091 # it was just written
. "$dir/env"
set +a
evercache drill --trigger "$1" --name "$name" --for 10s --max-gap "$gap" --max-write-errors 0 --compare --yes
