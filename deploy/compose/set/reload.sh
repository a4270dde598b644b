#!/bin/sh
# The Redis node reads its certificate, its key and the authorities anew, without a
# restart. Connections that are open stay as they are. A sentinel cannot do this.
#   docker compose exec redis-1 sh /set/reload.sh
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

[ -n "$TLS_DIR" ] || die "this node does not speak TLS"
sh "$here/cli.sh" CONFIG SET tls-ca-cert-file "$TLS_DIR/ca.crt" \
	tls-cert-file "$TLS_DIR/tls.crt" tls-key-file "$TLS_DIR/tls.key"
