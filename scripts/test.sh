#!/bin/sh
# Runs every test on real Redis processes under the race detector and fails on a
# skipped one. The last lines are the test runner's own summary.
set -eu
cd "$(dirname "$0")/.."

export EVERCACHE_TEST_REQUIRE_REDIS=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

status=0
go tool -modfile=tools/go.mod gotestsum --format pkgname-and-test-fails --jsonfile "$log" -- -race -count=1 -timeout 10m "$@" ./... || status=$?
skipped=$(grep '"Action":"skip"' "$log" | grep '"Test":' || true)
if [ -n "$skipped" ]; then
	echo "skipped tests are failures here:" >&2
	printf '%s\n' "$skipped" >&2
	exit 1
fi
exit $status
