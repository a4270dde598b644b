#!/bin/sh
# Becomes a node of a Redis Cluster. cluster-form.sh makes the nodes one. What the node
# knows of the others is in nodes.conf on its volume: a node that has lost it is a new
# one, empty and alone, so it empties nobody.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

conf=$DATA_DIR/redis.conf
render "$here/cluster-users.acl.tmpl" "$DATA_DIR/users.acl"
configure "$here/redis.conf.tmpl" "$conf"
render "$here/cluster.conf.tmpl" "$conf.cluster"
cat "$conf.cluster" >>"$conf"
rm "$conf.cluster"
[ -z "$TLS_DIR" ] || printf 'tls-cluster yes\n' >>"$conf"
say "starts as a node of a Cluster"
exec "$server" "$conf"
