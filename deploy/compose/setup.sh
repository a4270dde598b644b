#!/bin/sh
# Makes what compose.yml needs and must not be in version control: one random
# password for each user, in secrets/, and .env. What is there already stays. Run it
# again after an upgrade. certificates.sh makes what compose.tls.yml needs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
secrets=${1:-$here/secrets}

# The directory keeps others out. The files in it can be read by the users of the
# containers, into which each is mounted alone.
mkdir -p "$secrets"
chmod 700 "$secrets"
for name in redis-password sentinel-password replica-password monitor-password peer-password backup-password admin-password token metrics-token grafana-password; do
	[ -s "$secrets/$name" ] && {
		read -r word <"$secrets/$name" || true
		[ -n "$word" ] || {
			echo "setup.sh: the first line of $secrets/$name is empty: remove the file, and a password is made" >&2
			exit 1
		}
		continue
	}
	od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$secrets/$name"
	chmod 644 "$secrets/$name"
done

[ $# -eq 0 ] || exit 0
[ -e "$here/.env" ] || cp "$here/.env.example" "$here/.env"

# What the image that is built here says it is. Written anew each time.
version=$(git -C "$here" describe --tags --always --dirty 2>/dev/null || true)
revision=$(git -C "$here" rev-parse HEAD 2>/dev/null || true)
{
	awk '!/^IMAGE_(VERSION|REVISION)=/' "$here/.env" # awk ends the last line, where sed may not
	printf 'IMAGE_VERSION=%s\nIMAGE_REVISION=%s\n' "$version" "$revision"
} >"$here/.env.new"
cat "$here/.env.new" >"$here/.env" # it keeps its mode, and a link stays one
rm "$here/.env.new"
for mounted in "$here/set" "$here/../monitoring"; do # a checkout under umask 077 could not be read in the containers
	[ ! -d "$mounted" ] || chmod -R a+rX "$mounted"
done
