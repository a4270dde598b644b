#!/bin/sh
# Runs every test without the race detector and prints how many of the statements
# of all packages they reach: in total, and each package below 90 %. What tests
# start as processes of their own is not counted. It prints that of a run with failures
# too, and fails then. COVER names the profile.
set -eu
cd "$(dirname "$0")/.."
profile=${COVER:-$(mktemp)}
GOCOVERDIR=$(mktemp -d) # what tests start as processes writes there, and not a warning to its log
export GOCOVERDIR
trap '[ -n "${COVER:-}" ] || rm -f "$profile"; rm -rf "$GOCOVERDIR"' EXIT

tags=""
[ "$(uname -s)" != Linux ] || [ "$(id -u)" -ne 0 ] || [ "${EVERCACHE_TEST_NETNS:-on}" = off ] || tags=netns

# The test bed and its helpers are no product.
product=$(go list ./... | grep -v -e /test/ -e /redistest -e /internal/redisproc -e /internal/faultnet -e /internal/chaos -e /internal/testkit -e /internal/testbed)
status=0
EVERCACHE_TEST_REQUIRE_REDIS=1 go test -vet=off -count=1 -timeout 18m -tags "$tags" -covermode atomic \
	-coverpkg "$(echo "$product" | tr '\n' ',' | sed 's/,$//')" -coverprofile "$profile" ./... || status=$?

# A block appears once for each test binary; it is reached if one of them has reached it.
awk 'NR > 1 {
	block = $1; size[block] = $2
	if ($3 > 0) reached[block] = 1
}
END {
	for (block in size) {
		pkg = block; sub(/\/[^\/]*$/, "", pkg)
		all[pkg] += size[block]; total += size[block]
		if (block in reached) { some[pkg] += size[block]; sum += size[block] }
	}
	for (pkg in all) if (some[pkg] < 0.9 * all[pkg]) printf "%5.1f %%  %s\n", 100 * some[pkg] / all[pkg], pkg
	printf "%5.1f %%  of all statements\n", 100 * sum / total
}' "$profile" | sort -k3
exit "$status"
