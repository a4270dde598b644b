#!/bin/sh
# Makes what compose.yml needs and must not be in version control: one random
# password for each user, in secrets/, and .env. What is there already stays.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
secrets=${1:-$here/secrets}

# The directory keeps others out. The files in it can be read by the users of the
# containers, into which each is mounted alone.
mkdir -p "$secrets"
chmod 700 "$secrets"
for name in redis-password sentinel-password replica-password monitor-password peer-password backup-password admin-password token metrics-token grafana-password; do
	[ -s "$secrets/$name" ] && continue
	od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$secrets/$name"
	chmod 644 "$secrets/$name"
done

[ $# -eq 0 ] || exit 0
[ -e "$here/.env" ] || cp "$here/.env.example" "$here/.env"
chmod -R a+rX "$here/set" # a checkout under umask 077 could not be read in the containers
