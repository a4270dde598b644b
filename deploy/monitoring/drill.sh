#!/bin/sh
# Runs evercache drill while the alerts that a drill is expected to raise are silent:
#   ALERTMANAGER_URL=http://localhost:9093 deploy/monitoring/drill.sh --trigger failover --yes
# The silence takes only alerts with the label drill=expected, and with JOB=name only those
# of this job. It is taken back at the end. If this script is killed, it ends by itself.
set -eu

url=${ALERTMANAGER_URL:-http://localhost:9093}
silence=$(amtool --alertmanager.url "$url" silence add --duration "${SILENCE:-30m}" \
	--author "${USER:-drill}" --comment "evercache drill" drill=expected ${JOB:+job="$JOB"})
trap 'amtool --alertmanager.url "$url" silence expire "$silence"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
echo "silence $silence: alerts with drill=expected, for at most ${SILENCE:-30m}" >&2
"${EVERCACHE:-evercache}" drill "$@"
