#!/bin/sh
# keep.sh DIR COUNT: gives the backup that has just been made and checked a name of its
# own, and removes all but the newest COUNT.
set -eu
dir=$1 count=$2

mv "$dir/incoming.backup" "$dir/evercache-$(date -u +%Y%m%dT%H%M%SZ).backup"
kept=0
for file in $(printf '%s\n' "$dir"/evercache-*.backup | sort -r); do
	kept=$((kept + 1))
	[ "$kept" -le "$count" ] || rm -f "$file"
done
