#!/bin/sh
# Runs every test on real Redis processes under the race detector and fails on a
# skipped one. The tests in network namespaces need Linux, root and ip(8). Where
# they cannot run, this script fails, unless EVERCACHE_TEST_NETNS=off allows it;
# then its last lines say that they did not run. Else the last lines are the test
# runner's own summary.
#
# `make check` has vetted the code: -vet=off saves doing it again.
#
# PKG names packages, to run one subject: PKG=./test/sentinel. Arguments go to
# `go test`.
set -eu
cd "$(dirname "$0")/.."

# netns_missing prints why network namespaces cannot be used, and nothing where they can.
netns_missing() {
	if [ "$(uname -s)" != Linux ]; then
		echo "this is $(uname -s), and network namespaces need Linux"
	elif [ "$(id -u)" -ne 0 ]; then
		echo "they need root, and this is the user $(id -un)"
	elif ! command -v ip >/dev/null 2>&1; then
		echo "the program ip is missing (Debian: apt-get install iproute2)"
	else
		probe=ecprobe$$
		if ! said=$(ip netns add "$probe" 2>&1); then
			echo "ip netns add failed: $said"
		elif ! said=$(ip link add "ecp$$" type veth peer name eth0 netns "$probe" 2>&1); then
			echo "ip link add failed: $said"
		elif ! said=$(ip link add "ecq$$" type bridge 2>&1); then
			echo "ip link add type bridge failed: $said"
		fi
		ip link del "ecp$$" 2>/dev/null || true
		ip link del "ecq$$" 2>/dev/null || true
		ip netns del "$probe" 2>/dev/null || true
	fi
}

tags=netns
why=""
case "${EVERCACHE_TEST_NETNS:-on}" in
on) why=$(netns_missing) ;;
off) why="EVERCACHE_TEST_NETNS=off" ;;
*)
	echo "test: EVERCACHE_TEST_NETNS is \"$EVERCACHE_TEST_NETNS\", want on or off" >&2
	exit 1
	;;
esac
[ -z "$why" ] || tags=""

# unused prints the share of the processors' time that nobody has used in the last two
# seconds, in percent. The load average remembers what ran before: `make check`, mostly.
unused() {
	[ -r /proc/stat ] || {
		echo 100
		return
	}
	before=$(head -n 1 /proc/stat)
	sleep 2
	echo "$before $(head -n 1 /proc/stat)" | awk '{
		n = NF / 2
		for (i = 2; i <= n; i++) all += $(i + n) - $i
		print (all > 0 ? int(100 * ($(5 + n) - $5 + $(6 + n) - $6) / all) : 100)
	}'
}

# The tests mostly wait for servers, so an idle machine runs three packages more at once
# than it has processors. A busy one delays what the tests time.
processors=$(getconf _NPROCESSORS_ONLN)
jobs=$processors
[ "$(unused)" -lt 50 ] || jobs=$((processors + 3))

# Those that take longest begin first, so that none of them is left alone at the end.
packages=${PKG:-". ./test/cluster ./test/failover ./test/sentinel ./revoke ./internal/daemon ./test/chaos ./cmd/evercache ./internal/remote ./internal/watch ./test/... ./redistest ./internal/shard ./..."}

export EVERCACHE_TEST_REQUIRE_REDIS=1
# Each program that was built with the race detector sleeps for a second at its end, and
# the tests start hundreds.
export GORACE="atexit_sleep_ms=20 ${GORACE:-}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

status=0
# shellcheck disable=SC2086 # packages are words
go tool -modfile=tools/go.mod gotestsum --format pkgname-and-test-fails --jsonfile "$log" -- -race -vet=off -count=1 -timeout 18m -p "$jobs" -tags "$tags" "$@" $packages || status=$?
skipped=$(grep '"Action":"skip"' "$log" | grep '"Test":' || true)
if [ -n "$skipped" ]; then
	echo "skipped tests are failures here:" >&2
	printf '%s\n' "$skipped" >&2
	status=1
fi
if [ -n "$why" ]; then
	echo "NOT RUN: the tests in network namespaces (TestPartition*): $why." >&2
	if [ "${EVERCACHE_TEST_NETNS:-on}" != off ]; then
		echo "This run has failed for that. EVERCACHE_TEST_NETNS=off leaves them out." >&2
		[ "$status" -ne 0 ] || status=1
	fi
fi
exit "$status"
