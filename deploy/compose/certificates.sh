#!/bin/sh
# The certificates of compose.tls.yml, in certificates/: an authority of our own, and
# one certificate for each node and for evercache.
#
#   ./certificates.sh                    makes what is missing; what is there stays
#   ./certificates.sh renew              new certificates, in use at the end; nothing stops
#   ./certificates.sh renew-authority    a new authority as well; the old one is still trusted
#   ./certificates.sh forget-authority   the old one is trusted no longer
#
# renew is for a timer of yours: certificates are good for CERTIFICATE_DAYS.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here"

# setting NAME prints what the environment or .env says of it.
setting() {
	eval "printf '%s' \"\${$1:-}\"" | grep . ||
		{ [ ! -e .env ] || sed -n "s/^$1=//p" .env | tail -n 1 | tr -d "\"'"; }
}

SUBNET=$(setting SUBNET)
CLUSTER_SUBNET=$(setting CLUSTER_SUBNET)
CERTIFICATE_DAYS=$(setting CERTIFICATE_DAYS)
CERTIFICATE_NAMES=$(setting CERTIFICATE_NAMES)
days="${CERTIFICATE_DAYS:-365}"
folder=${CERTIFICATES_DIR:=$here/certificates}
set_net="${SUBNET:-172.30.86}" cluster_net="${CLUSTER_SUBNET:-172.30.87}"
names="redis-1 redis-2 redis-3 redis-4 redis-5 redis-6 sentinel-1 sentinel-2 sentinel-3 evercache"

say() { printf 'certificates.sh: %s\n' "$*" >&2; }
die() {
	say "$@"
	exit 1
}
command -v openssl >/dev/null || die "openssl is needed (Debian: apt-get install openssl)"
case $days in
"" | *[!0-9]* | ??????*) die "CERTIFICATE_DAYS=$days: a number of days is needed" ;;
esac

# addresses NAME prints the subject alternative names of a certificate.
addresses() {
	printf 'DNS:%s,DNS:localhost,IP:127.0.0.1' "$1"
	case $1 in
	redis-[123]) printf ',IP:%s.1%s,IP:%s.1%s' "$set_net" "${1#redis-}" "$cluster_net" "${1#redis-}" ;;
	redis-*) printf ',IP:%s.1%s' "$cluster_net" "${1#redis-}" ;;
	sentinel-*) printf ',IP:%s.2%s' "$set_net" "${1#sentinel-}" ;;
	evercache)
		for n in $(printf %s "${CERTIFICATE_NAMES:-}" | tr , ' '); do
			case $n in
			*[!A-Za-z0-9.*:-]*) die "CERTIFICATE_NAMES: $n is neither a host name nor an address" ;;
			*[!0-9.:]*) printf ',DNS:%s' "$n" ;;
			*) printf ',IP:%s' "$n" ;;
			esac
		done
		;;
	esac
}

# request NAME [SUBJECT] makes a key, NAME.key, and a request to sign it, NAME.csr, in $work.
request() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=evercache/CN=${2:-$1}" \
		-keyout "$work/$1.key" -out "$work/$1.csr" 2>"$work/log" || die "openssl: $(cat "$work/log")"
}

serial() { printf '0x%s' "$(openssl rand -hex 16 | sed 's/^./1/')"; }

authority() {
	request authority "authority of $(date -u +%Y-%m-%dT%H:%M:%SZ)" # two that are trusted must not have one name
	printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' >"$work/extensions"
	openssl x509 -req -in "$work/authority.csr" -signkey "$work/authority.key" -days 3650 -set_serial "$(serial)" \
		-extfile "$work/extensions" -out "$work/authority.crt" 2>"$work/log" || die "openssl: $(cat "$work/log")"
	mv "$work/authority.key" "$folder/authority/ca.key"
	mv "$work/authority.crt" "$folder/authority/ca.crt"
}

# sign NAME makes a new key and certificate in $work. A node is also a client of others.
sign() {
	names_of=$(addresses "$1") || exit 1
	request "$1"
	printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nauthorityKeyIdentifier=keyid\nsubjectAltName=%s\n' "$names_of" >"$work/extensions"
	openssl x509 -req -in "$work/$1.csr" -CA "$folder/authority/ca.crt" -CAkey "$folder/authority/ca.key" -days "$days" \
		-set_serial "$(serial)" -extfile "$work/extensions" -out "$work/$1.crt" 2>"$work/log" || die "openssl: $(cat "$work/log")"
}

# install_pair NAME puts both where they are read, one right after the other.
install_pair() {
	mkdir -p "$folder/$1"
	chmod 755 "$folder/$1"
	readable "$work/$1.key" "$1"
	chmod 644 "$work/$1.crt"
	mv "$work/$1.key" "$folder/$1/tls.key"
	mv "$work/$1.crt" "$folder/$1/tls.crt"
}

# readable KEY NAME: by the user of the container and nobody else, which takes root.
# Otherwise by all who get past certificates/, which nobody else on this machine does.
readable() {
	chmod 644 "$1"
	[ "$(id -u)" -eq 0 ] || return 0
	case $2 in
	evercache) chown 65532 "$1" ;; # see Dockerfile
	*) chown 999 "$1" ;;           # see compose.yml
	esac
	chmod 600 "$1"
}

# trust tells everybody which authorities count.
trust() {
	cat "$folder"/authority/*.crt >"$work/ca.crt"
	chmod 644 "$work/ca.crt"
	for n in . $names; do
		t=$folder/$n
		[ -d "$t" ] || continue
		cp -p "$work/ca.crt" "$t/ca.crt.new"
		mv "$t/ca.crt.new" "$t/ca.crt"
	done
}

all_new() {
	for n in $names; do sign "$n"; done
	for n in $names; do install_pair "$n"; done
	trust
}

# missing makes what is not there.
missing() {
	[ -s "$folder/authority/ca.key" ] || authority
	for n in $names; do
		[ -s "$folder/$n/tls.key" ] && [ -s "$folder/$n/tls.crt" ] && continue
		sign "$n"
		install_pair "$n"
	done
	trust
}

# all_signed: by the authority of now.
all_signed() {
	for n in $names; do
		openssl verify -CAfile "$folder/authority/ca.crt" "$folder/$n/tls.crt" >/dev/null 2>&1 || return 1
	done
}

# second_authority makes a new one beside the old one, unless a run that was cut off has.
second_authority() {
	new=$folder/authority/ca.crt old=$folder/authority/old.crt
	if [ -e "$old" ] && ! cmp -s "$old" "$new"; then
		! all_signed || die "the authority before is still trusted: forget-authority first"
		return 0
	fi
	cp -p "$new" "$old"
	authority
}

running() { docker compose ps --services --status running; }

# in_use: the nodes read the files at a command, a sentinel only when it starts. The
# next one stops when the last one is well again. evercache looks by itself.
in_use() {
	up=$(running) || die "the files are new, but docker compose does not answer: run this again"
	for s in $up; do
		case $s in
		redis-*) docker compose exec -T "$s" sh /set/reload.sh >/dev/null || die "$s does not take the new files" ;;
		esac
	done
	for s in $up; do
		case $s in
		sentinel-*) restart "$s" ;;
		esac
	done
	[ -n "$up" ] || say "nothing is running"
}

restart() {
	docker compose restart "$1" >/dev/null 2>&1 || die "$1 cannot be restarted"
	for _ in $(seq 60); do
		! docker compose exec -T "$1" sh /set/health.sh sentinel >/dev/null 2>&1 || return 0
		sleep 1
	done
	die "$1 is not well again after its restart: docker compose logs $1. Then run this again"
}

mkdir -p "$folder/authority"
chmod 700 "$folder" "$folder/authority"
umask 077
work=$(mktemp -d "$folder/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

case ${1:-} in
"") missing ;;
renew)
	missing
	all_new
	in_use
	;;
renew-authority)
	missing
	second_authority
	trust # first both are trusted everywhere, then the new one signs
	in_use
	all_new
	in_use
	say "give $folder/ca.crt to every client, then: $0 forget-authority"
	;;
forget-authority)
	all_signed || die "not every certificate is signed by the new authority: renew-authority first"
	rm -f "$folder/authority/old.crt"
	trust
	in_use
	;;
*) die "renew, renew-authority, forget-authority, or nothing" ;;
esac
