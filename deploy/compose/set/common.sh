# shellcheck shell=sh
# What the scripts of a node share. What can be set from outside stands here; the
# defaults are those of compose.yml.

: "${NODE_NAME:?the name under which the others find this node}"
: "${PORT:=6379}"
: "${DATA_DIR:=/data}"
: "${SECRETS_DIR:=/run/secrets}"
: "${MASTER_NAME:=mymaster}"
: "${FIRST_MASTER:=redis-1:6379}"
: "${NODES:=redis-1:6379 redis-2:6379 redis-3:6379}"
: "${SENTINELS:=sentinel-1:26379 sentinel-2:26379 sentinel-3:26379}"
: "${KEY_PREFIX:=}"
: "${MAXMEMORY:=256mb}"
: "${DOWN_AFTER_MS:=3000}"
: "${FAILOVER_TIMEOUT_MS:=15000}"
: "${NODE_TIMEOUT_MS:=5000}" # of a Cluster
: "${FOUNDING_WAIT:=10}"          # seconds in which a first node looks for others
: "${PERMIT:=/tmp/start-empty}" # see redis.sh
: "${TLS_DIR:=}"               # with tls.crt, tls.key and ca.crt: everybody speaks TLS

quorum=2
server=$(command -v redis-server || command -v valkey-server || true)
cli=$(command -v redis-cli || command -v valkey-cli || true)

tls="" # what redis-cli needs for it
[ -z "$TLS_DIR" ] || tls="--tls --cacert $TLS_DIR/ca.crt --cert $TLS_DIR/tls.crt --key $TLS_DIR/tls.key"

say() { printf '%s %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$NODE_NAME" "$*" >&2; }
die() {
	say "$@"
	exit 1
}

if [ -z "$server" ] || [ -z "$cli" ]; then
	die "neither redis-server and redis-cli nor valkey-server and valkey-cli are in this image"
fi

# secret NAME prints one of the passwords.
secret() {
	word=""
	read -r word <"$SECRETS_DIR/$1" || true # a file without a newline at its end is well
	[ -n "$word" ] || die "no secret $1 in $SECRETS_DIR, or its first line is empty: run setup.sh"
	printf %s "$word"
}

# put NAME VALUE is one step of a sed script that fills in @NAME@.
put() {
	case $2 in
	*[!A-Za-z0-9/:._-]*) die "$1: only letters, digits and / : . _ - can be used here" ;;
	esac
	printf 's|@%s@|%s|g\n' "$1" "$2"
}

# CLIENT SETINFO came with 7.2. An older server refuses to start when its ACL file
# names it; a newer one notes every client that may not use it in ACL LOG.
setinfo() {
	"$server" --version | sed -n 's/.* v=\([0-9]*\)\.\([0-9]*\)\..*/\1 \2/p' | {
		read -r major minor || die "cannot read the version of $server"
		[ $((major * 100 + minor)) -lt 702 ] || printf '+client|setinfo'
	}
}

# fillings prints the whole sed script. Comments go: an ACL file may not have any.
fillings() {
	printf '/^#/d\n'
	put NODE_NAME "$NODE_NAME"
	put PORT "$PORT"
	put DATA_DIR "$DATA_DIR"
	put MASTER_NAME "$MASTER_NAME"
	put KEY_PREFIX "$KEY_PREFIX"
	put MAXMEMORY "$MAXMEMORY"
	put DOWN_AFTER_MS "$DOWN_AFTER_MS"
	put FAILOVER_TIMEOUT_MS "$FAILOVER_TIMEOUT_MS"
	put NODE_TIMEOUT_MS "$NODE_TIMEOUT_MS"
	put QUORUM "$quorum"
	put TLS_DIR "$TLS_DIR"
	put ANNOUNCE_IP "${ANNOUNCE_IP:-$NODE_NAME}"
	put MASTER_HOST "${MASTER_HOST:-}"
	put MASTER_PORT "${MASTER_PORT:-}"
	for name in redis sentinel replica monitor peer backup admin; do
		word=$(secret "$name-password") || exit 1
		put "$(printf %s "$name" | tr '[:lower:]' '[:upper:]')_PASSWORD" "$word"
	done
	printf 's,@SETINFO@,%s,g\n' "$(setinfo)"
}

# render TEMPLATE FILE. No secret is an argument of a program, where ps shows it.
render() {
	script=$(fillings) || exit 1
	umask 077
	printf '%s\n' "$script" | sed -f /dev/stdin "$1" >"$2.new" || die "cannot write $2: is $DATA_DIR a volume of this user?"
	if grep '@[A-Z_]*@' "$2.new" >&2; then
		die "$1: nothing is known to fill in above"
	fi
	mv "$2.new" "$2"
}

# configure TEMPLATE FILE renders a configuration, with what TLS adds to it.
configure() {
	render "$1" "$2"
	[ -z "$TLS_DIR" ] || {
		render "${1%/*}/tls.conf.tmpl" "$2.tls"
		sed '/^port /d' "$2" | cat - "$2.tls" >"$2.new"
		mv "$2.new" "$2"
		rm "$2.tls"
	}
}

# ask_sentinel HOST PORT prints "host port" of the master that it names.
ask_sentinel() {
	# shellcheck disable=SC2086 # flags
	REDISCLI_AUTH=$(secret sentinel-password) timeout 2 "$cli" $tls -e -h "$1" -p "$2" --user evercache --no-auth-warning \
		SENTINEL GET-MASTER-ADDR-BY-NAME "$MASTER_NAME" 2>/dev/null | {
		read -r host && read -r port && printf '%s %s\n' "$host" "$port"
	}
}

# named_master prints "host port" of the master on which a majority agrees, if one does.
named_master() {
	{
		for s in $SENTINELS; do
			ask_sentinel "${s%:*}" "${s##*:}" &
		done
		wait
	} | sort | uniq -c | sort -rn | {
		read -r votes host port || exit 0
		[ "$votes" -lt "$quorum" ] || printf '%s %s\n' "$host" "$port"
	}
}
