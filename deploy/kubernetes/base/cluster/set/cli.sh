#!/bin/sh
# redis-cli on this node as admin, with the password from its file: on a command
# line ps would show it. An error reply is exit status 1.
#   docker compose exec redis-1 sh /set/cli.sh INFO replication
set -eu
# shellcheck source=SCRIPTDIR/common.sh
. "$(dirname "$0")/common.sh"

REDISCLI_AUTH=$(secret admin-password)
export REDISCLI_AUTH
# shellcheck disable=SC2086,SC2154 # flags, of common.sh
exec "$cli" $tls -e -h 127.0.0.1 -p "$PORT" --user admin --no-auth-warning "$@"
