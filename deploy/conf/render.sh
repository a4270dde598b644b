#!/bin/sh
# Fills in one of the files beside this script and prints it, without its comments:
#   render.sh SETTINGS redis.conf >/etc/redis/redis.conf
# SETTINGS has NAME=value lines: see settings.example. A password that is empty there is
# read from a file in SECRETS_DIR. Nothing is printed if a setting is missing.
set -eu

die() {
	printf 'render.sh: %s\n' "$*" >&2
	exit 1
}

[ $# -eq 2 ] || die "render.sh SETTINGS FILE"
[ -r "$1" ] || die "cannot read the settings $1"
file=$(dirname "$0")/$2
[ -r "$file" ] || die "there is no file $2 beside this script"

# fillings prints one step of a sed script for each setting. Passwords stay out of
# arguments, where ps shows them.
fillings() {
	secrets=$(sed -n 's/^SECRETS_DIR=//p' "$1")
	printf '/^#/d\n/^$/d\n'
	while read -r line || [ -n "$line" ]; do
		name=${line%%=*} value=""
		case $line in
		*=*) value=${line#*=} ;; # read with IFS='=' would drop a last =
		esac
		case $name in
		'' | '#'*) continue ;;
		*[!A-Z_]*) die "$name: a setting has capital letters and _ only" ;;
		esac
		file=$secrets/$(printf %s "$name" | tr '[:upper:]_' '[:lower:]-')
		if [ -z "$value" ] && [ -n "$secrets" ] && [ -r "$file" ]; then
			read -r value <"$file" || [ -n "$value" ]
		fi
		case $value in
		*[!A-Za-z0-9/:._-]*) die "$name: only letters, digits and / : . _ - can be used here" ;;
		'') [ "$name" = KEY_PREFIX ] || continue ;;
		esac
		printf 's|@%s@|%s|g\n' "$name" "$value"
	done <"$1"
}

script=$(fillings "$1") || exit 1
text=$(printf '%s\n' "$script" | sed -f /dev/stdin "$file")
missing=$(printf '%s\n' "$text" | grep -o '@[A-Z_]*@' | sort -u | tr '\n' ' ') || true
[ -z "$missing" ] || die "$1 does not say $missing"
printf '%s\n' "$text"
