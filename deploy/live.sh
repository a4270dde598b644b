#!/usr/bin/env bash
# Runs deploy/compose on a real engine and breaks it under steady writes:
#   make deploy-live
# Linux and root. Nothing of the machine's own engine or network is touched: an
# engine is started here, in a network namespace of its own, on a folder of its
# own; at the end all of it is gone. No image is pulled: Redis is Debian's, in an
# image FROM scratch; evercache is built from this tree.
# What is missing is installed (Debian) or built: docker.io, Prometheus, Compose v2.
# EVERCACHE_LIVE says what is run: set (the Sentinel set), monitoring (its alerts: a quarter
# of an hour, mostly waiting), tls, cluster. All by default.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/.." && pwd)
compose_version=v2.40.3
blackhole=192.0.2.53 # a name server that never answers
at=http://localhost:3000

say() { printf '\n== %s\n' "$*"; }
die() {
	printf 'deploy-live: %s\n' "$*" >&2
	exit 1
}

# --- outside of the namespace -------------------------------------------------

install_engine() {
	command -v dockerd >/dev/null && [ -x /bin/busybox ] && command -v ip >/dev/null && command -v iptables >/dev/null && command -v amtool >/dev/null && return
	command -v apt-get >/dev/null || die "dockerd, iptables, iproute2 and busybox-static are needed"
	local policy=/usr/sbin/policy-rc.d made=""
	if [ ! -e "$policy" ]; then # the package would start an engine
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
		made=$policy
	fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		docker.io iptables iproute2 busybox-static redis-server redis-tools prometheus prometheus-alertmanager curl jq ca-certificates openssl >/dev/null
	[ -z "$made" ] || rm -f "$made"
}

# install_compose puts Compose v2 where this run's docker finds it.
install_compose() {
	local plugin=$1/cli-plugins/docker-compose cached=${DOCKER_COMPOSE:-$tree/bin/docker-compose-$compose_version}
	mkdir -p "$(dirname "$plugin")"
	if [ ! -x "$cached" ]; then
		say "building Compose $compose_version (minutes)"
		local source
		source=$(mktemp -d)
		(cd "$source" && go mod init x 2>/dev/null && go mod download "github.com/docker/compose/v2@$compose_version")
		cp -r "$(go env GOMODCACHE)/github.com/docker/compose/v2@$compose_version/." "$source/"
		chmod -R u+w "$source"
		mkdir -p "$(dirname "$cached")"
		(cd "$source" && CGO_ENABLED=0 go build -trimpath -o "$cached" \
			-ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$compose_version" ./cmd)
		rm -rf "$source"
	fi
	cp "$cached" "$plugin"
}

outside() {
	if [ "$(id -u)" -ne 0 ] || [ "$(uname)" != Linux ]; then
		die "this needs Linux and root: it starts an engine in a network namespace"
	fi
	install_engine
	work=$(mktemp -d)
	namespace=evercache-live-$$
	trap clean_outside EXIT
	trap 'exit 143' HUP INT TERM
	install_compose "$work/docker"
	mkdir -p "$work/tree/deploy" "$work/out"
	cp -r "$here/compose" "$work/tree/deploy/compose"
	(cd "$work/tree/deploy/compose" && rm -rf .env secrets certificates)
	cp -r "$tree/docs" "$work/tree/docs"
	if [ -n "${EVERCACHE_BINARY:-}" ]; then
		cp "$EVERCACHE_BINARY" "$work/evercache"
	else
		(cd "$tree" && CGO_ENABLED=0 go build -trimpath -o "$work/evercache" ./cmd/evercache)
	fi
	cp -r "$here/monitoring" "$work/tree/deploy/monitoring"
	(cd "$here/check" && go build -o "$work/writer" ./writer && go build -o "$work/hook" ./hook)
	ip netns add "$namespace"
	ip netns exec "$namespace" ip link set lo up
	ip netns exec "$namespace" sysctl -qw net.ipv4.ip_forward=1
	# nsenter, not ip netns exec: that remounts /sys, and the engine finds no cgroups.
	WORK=$work nsenter --net="/run/netns/$namespace" bash "${BASH_SOURCE[0]}" inside
}

clean_outside() {
	ip netns del "$namespace" 2>/dev/null || true
	rm -rf "$work"
}

# --- inside -------------------------------------------------------------------
: "${WORK:=}" # the folder of this run, from outside

start_engine() {
	# Somebody takes the questions for the name server, and drops them.
	ip link add dns0 type bridge
	ip addr add 192.0.2.1/24 dev dns0
	ip link set dns0 up
	ip neigh add "$blackhole" lladdr 02:00:00:00:00:53 dev dns0
	dockerd --data-root "$WORK/engine" --exec-root "$WORK/exec" --pidfile "$WORK/dockerd.pid" \
		-H "unix://$WORK/docker.sock" --dns "$blackhole" >"$WORK/dockerd.log" 2>&1 &
	local n=0
	until docker info >/dev/null 2>&1; do
		n=$((n + 1))
		[ "$n" -lt 150 ] || {
			tail -n 20 "$WORK/dockerd.log" >&2
			die "the engine does not start"
		}
		sleep 0.2
	done
	docker version --format 'engine {{.Server.Version}}, client {{.Client.Version}}'
	docker compose version
}

stop_inside() {
	local status=$?
	trap - EXIT
	set +e
	[ -z "${writer:-}" ] || kill "$writer" 2>/dev/null
	[ -z "${hook:-}" ] || kill "$hook" 2>/dev/null
	if [ "$status" -ne 0 ] && [ -e "$WORK/tree/deploy/compose/.env" ]; then
		(cd "$WORK/tree/deploy/compose" && docker compose ps -a && docker compose logs --no-color --tail 15) 2>&1 | tail -n 150
	fi
	(cd "$WORK/tree/deploy/compose" && docker compose down --volumes --timeout 5) >/dev/null 2>&1
	unset COMPOSE_FILE
	if [ -e "$WORK/dockerd.pid" ]; then
		local pid
		pid=$(cat "$WORK/dockerd.pid")
		kill "$pid"
		for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null && sleep 0.2; done
	fi
	awk -v w="$WORK/" 'index($2, w) == 1 {print $2}' /proc/mounts | sort -r | while read -r m; do umount -l "$m"; done
	exit "$status"
}

# copy_program PROGRAM ROOT takes the libraries along.
copy_program() {
	local from
	from=$(command -v "$1")
	install -D -m 0755 "$(readlink -f "$from")" "$2/usr/bin/$1"
	ldd "$(readlink -f "$from")" | awk '/=> \//{print $3} /^\t\/lib/{print $1}' | while read -r lib; do
		install -D -m 0755 "$(readlink -f "$lib")" "$2$lib"
	done
}

build_images() {
	local root=$WORK/image/root applet
	mkdir -p "$root/bin" "$root/etc" "$WORK/image/data" "$WORK/binary/etc/ssl/certs"
	copy_program redis-server "$root"
	copy_program redis-cli "$root"
	install -m 0755 /bin/busybox "$root/bin/busybox"
	for applet in $("$root/bin/busybox" --list); do
		[ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
	done
	echo 'redis:x:999:999::/data:/bin/sh' >"$root/etc/passwd"
	echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
	printf 'FROM scratch\nENV PATH=/usr/bin:/bin\nCOPY root/ /\nCOPY --chown=999:999 data /data\nWORKDIR /data\n' >"$WORK/image/Dockerfile"
	cp "$WORK/evercache" "$WORK/binary/"
	cp /etc/ssl/certs/ca-certificates.crt "$WORK/binary/etc/ssl/certs/"
	printf 'FROM scratch\nCOPY . /\n' >"$WORK/binary/Dockerfile"
	build -t live/redis:7.0.15 "$WORK/image"
	build -t live/binary:0.0.1 "$WORK/binary"
	build -t live/evercache:0.0.1 --build-arg BINARY=live/binary:0.0.1 --build-arg VERSION=v0.0.1 --build-arg REVISION=abc -f "$tree/deploy/compose/Dockerfile" "$tree"
	docker inspect --format '{{json .Config.Labels}}' live/evercache:0.0.1 |
		jq -e '."org.opencontainers.image.version" == "v0.0.1" and ."org.opencontainers.image.revision" == "abc"' >/dev/null ||
		die "the image does not say which version it is"
	docker image ls --format '{{.Repository}} {{.Size}}'
	printf 'REDIS_IMAGE=live/redis:7.0.15\nEVERCACHE_IMAGE=live/evercache:0.0.1\n' >"$WORK/tree/deploy/compose/.env"
}

# build wants BuildKit: the stage that is not needed would be pulled. A client
# without buildx leaves it to Debian's, which has BuildKit built in.
build() {
	if docker buildx version >/dev/null 2>&1; then
		docker build -q "$@"
	else
		DOCKER_CONFIG=$WORK/plain DOCKER_BUILDKIT=1 /usr/bin/docker build -q "$@"
	fi
}

# block DOCUMENT NAME prints a block of a document.
block() {
	awk -v mark="live=$2" '/^```/ {on = $0 ~ "^```[a-z]+ " mark "$"; next} on' "$WORK/tree/$1"
}

# run_block DOCUMENT NAME runs a block of a document in this shell and keeps what
# it printed in $WORK/out/NAME.
run_block() {
	say "$1: $2"
	local text
	text=$(block "$1" "$2")
	[ -n "$text" ] || die "$1 has no block $2"
	eval "$text" >"$WORK/out/$2"
	cat "$WORK/out/$2"
}

printed() { grep -q -e "$2" "$WORK/out/$1" || die "$1 did not print $2"; }

cli() { docker compose exec -T "$1" sh /set/cli.sh "${@:2}" | tr -d '\r'; }
named() { cli "${1:-sentinel-1}" SENTINEL GET-MASTER-ADDR-BY-NAME mymaster | head -n 1; }
seconds() { date +%s.%N; }
since() { echo "$(seconds) $1" | awk '{printf "%.1f s", $1 - $2}'; }

begin() {
	class=$1
	master=$(named sentinel-1)
	say "$class: the master is $master"
	"$WORK/writer" -url "$at" -token-file secrets/token -class "$class" -acked "$WORK/out/$class.acked" >"$WORK/out/$class" &
	writer=$!
	sleep 2
	began=$(seconds)
}

# health is all that evercache tells, which takes the token.
health() { curl -s -H "Authorization: Bearer $(cat secrets/token)" "$at/health"; }

# await_other waits until evercache is up on another master than before.
await_other() {
	until health | jq -e --arg old "$master" \
		'.status == "up" and .redis.sentinel.currentMaster.host != $old' >/dev/null; do
		[ "$(since "$began" | cut -d. -f1)" -lt 60 ] || die "$class: no other master within 60 s"
		sleep 0.1
	done
	echo "up on another master after $(since "$began")"
}

# end brings everything back, stops the writes, and compares.
end() {
	local down
	down=$(docker compose ps --all --quiet --status exited)
	# shellcheck disable=SC2086 # one word for each container
	[ -z "$down" ] || docker start $down >/dev/null
	all_healthy
	kill -TERM "$writer"
	wait "$writer" || die "$class: a call failed: $(cat "$WORK/out/$class")"
	writer=""
	cat "$WORK/out/$class"
	one_master
	nothing_lost
}

# all_healthy waits longer than up --wait, which gives up at what is unhealthy at the
# moment: a container that was paused is.
all_healthy() {
	local n=0
	until [ "$(docker compose ps --format '{{.Health}}' | sort -u)" = healthy ]; do
		n=$((n + 1))
		[ "$n" -lt 120 ] || die "$class: not everything comes back"
		sleep 0.5
	done
}

# one_master waits until one node is master, for itself, the sentinels and evercache.
one_master() {
	local n=0 masters
	while :; do
		masters=""
		for node in redis-1 redis-2 redis-3; do
			[ "$(cli "$node" ROLE | head -n 1)" != master ] || masters="$masters $node"
		done
		now=$(named sentinel-1)
		if [ "$masters" = " $now" ] && [ "$(named sentinel-2)" = "$now" ] && [ "$(named sentinel-3)" = "$now" ] &&
			health | jq -e --arg now "$now" '.status == "up" and .redis.sentinel.currentMaster.host == $now' >/dev/null; then
			echo "one master: $now"
			return
		fi
		n=$((n + 1))
		[ "$n" -lt 60 ] || die "$class: masters:$masters, the sentinels say $now"
		sleep 1
	done
}

# known_as_replicas waits until each sentinel has seen both replicas as replicas. A master
# that comes back says that it is one until a sentinel tells it to follow. The other
# sentinels hear of that when they ask it next: within ten seconds. One that has not heard
# tells it to follow once more when it sees it as a master, so a failover that promotes it
# is given up (-failover-abort-slave-timeout).
known_as_replicas() {
	local n=0 s stale
	while :; do
		stale=""
		for s in sentinel-1 sentinel-2 sentinel-3; do
			[ "$(cli "$s" SENTINEL REPLICAS mymaster | grep -A 1 -x role-reported | grep -cx slave)" -eq 2 ] || stale="$stale $s"
		done
		[ -n "$stale" ] || return 0
		n=$((n + 1))
		[ "$n" -lt 60 ] || die "$class:$stale do not hold both for replicas"
		sleep 0.5
	done
}

nothing_lost() {
	local total lost
	total=$(wc -l <"$WORK/out/$class.acked")
	sed "s/^/GET $class:/" "$WORK/out/$class.acked" | cli "$now" >"$WORK/out/$class.held"
	lost=$(diff "$WORK/out/$class.acked" "$WORK/out/$class.held" | grep -c '^<' || true)
	echo "$lost of $total acknowledged writes lost"
	[ "$lost" -eq 0 ] || die "$class: acknowledged writes are lost"
}

quick_reference() {
	cd "$WORK/tree"
	local start
	start=$(seconds)
	run_block docs/quick-reference.md start
	echo "up --wait returned after $(since "$start")"
	run_block docs/quick-reference.md use
	printed use hello
	run_block docs/quick-reference.md health
	printed health 'OK 3 usable Sentinels'
	no_findings
	run_block docs/quick-reference.md failover
	no_findings
	block docs/quick-reference.md override >compose.override.yml
	docker compose up --detach --wait >/dev/null 2>&1 || die "it does not start with the override of the quick reference"
	docker inspect --format '{{.Config.Env}}' "$(docker compose ps --quiet evercache)" | grep -q 'EVERCACHE_TTL=5m' || die "the override is not used"
	rm compose.override.yml
}

# no_findings: what everybody would see who has done nothing wrong, nobody believes.
no_findings() {
	local n=0 findings
	while :; do
		findings=$(health | jq -r '.findings[].code')
		[ -n "$findings" ] || return 0
		n=$((n + 1))
		[ "$n" -lt 20 ] || die "there are findings: $findings"
		sleep 1
	done
}

by_hand() {
	run_block docs/guide/failover-test.md before
	run_block docs/guide/failover-test.md kill
	printed kill before
	printed kill '204 No Content'
	run_block docs/guide/failover-test.md after
	printed after during
	run_block docs/guide/failover-test.md back
	printed back slave
}

from_the_machine() {
	say "an application on the machine, as .env.example says"
	local environ=() line port=3999
	while read -r line; do environ+=("$line"); done < <(sed -n '/\[localhost\]/,$s/^#   //p' .env.example)
	env -i "${environ[@]}" REDIS_PASSWORD="$(cat secrets/redis-password)" REDIS_SENTINEL_PASSWORD="$(cat secrets/sentinel-password)" \
		EVERCACHE_LISTEN=127.0.0.1:$port "$WORK/evercache" serve >"$WORK/out/machine.log" 2>&1 &
	writer=$!
	for _ in $(seq 50); do
		curl -s localhost:$port/health | jq -e '.status == "up"' >/dev/null 2>&1 && break
		sleep 0.2
	done
	curl -s localhost:$port/health | jq -e '.status == "up" and .redis.mode == "sentinel"' >/dev/null ||
		die "it is not connected: $(curl -s localhost:$port/health)"
	kill -TERM "$writer"
	wait "$writer"
	writer=""
	echo "connected"
}

faults() {
	begin kill
	docker compose kill "$master" 2>/dev/null
	await_other
	end

	begin stop
	docker compose stop "$master" 2>/dev/null
	await_other
	end

	begin pause
	docker compose pause "$master" 2>/dev/null
	await_other
	docker compose unpause "$master" 2>/dev/null
	end

	known_as_replicas
	begin planned
	cli sentinel-1 SENTINEL FAILOVER mymaster
	await_other
	end

	begin crash # and an immediate restart by the engine
	kill -9 "$(docker inspect --format '{{.State.Pid}}' "$(docker compose ps -q "$master")")"
	sleep 8
	end
	echo "the master is $now, it was $master"

	begin sentinel
	docker compose kill sentinel-2 2>/dev/null
	sleep 1
	docker compose kill "$master" 2>/dev/null
	await_other
	end
}

# the_end: what was acknowledged is kept when evercache ends, alone, while there is
# no master, and with the whole set.
the_end() {
	begin end
	docker compose stop evercache 2>/dev/null
	ended
	begin end-without-master
	docker compose kill "$master" 2>/dev/null
	docker compose stop evercache 2>/dev/null
	ended
	local answer
	begin end-of-all
	tell revocations "{\"id\":\"stolen\",\"expiresAt\":$(($(date +%s) + 3600))}" | grep '"durability"' || die "it cannot be revoked"
	docker compose stop 2>/dev/null
	ended
	for _ in $(seq 60); do # unknown, and refused, until the denylist is loaded
		answer=$(tell revocations/check '{"id":"stolen"}')
		grep -q '"unknown"' <<<"$answer" || break
		sleep 0.5
	done
	echo "$answer"
	grep -q '"revoked"' <<<"$answer" || die "the set forgot a revocation when it was started again: $answer"
}

# tell sends JSON to evercache and prints its answer.
tell() {
	curl -s -H "Authorization: Bearer $(cat secrets/token)" -H 'Content-Type: application/json' --data "$2" "$at/v1/$1"
}

# ended is end where evercache was stopped: calls fail from then on, and it says how
# it ended.
ended() {
	local status
	status=$(docker inspect --format '{{.State.ExitCode}}' "$(docker compose ps --all --quiet evercache)")
	echo "evercache ended with status $status after $(since "$began")"
	kill -TERM "$writer"
	wait "$writer" || true
	writer=""
	cat "$WORK/out/$class"
	docker compose up --detach --wait >/dev/null 2>&1 || die "$class: it does not start again"
	one_master
	nothing_lost
	[ "$status" -eq 0 ] || die "$class: evercache ended with status $status"
}

# slow_dns: the containers get a way out, and a name server that does not answer.
slow_dns() {
	local s
	{
		echo services:
		for s in redis-1 redis-2 redis-3 sentinel-1 sentinel-2 sentinel-3 evercache; do
			printf '  %s: {dns: ["%s"], networks: {front: {}}}\n' "$s" "$blackhole"
		done
	} >slow-dns.yml
	export COMPOSE_FILE=compose.yml:slow-dns.yml
	docker compose up --detach --wait >/dev/null 2>&1 || die "slow DNS: it does not start"
	local start
	start=$(seconds)
	docker compose exec -T sentinel-1 timeout 30 nslookup no-such-name.example >/dev/null 2>&1 || true
	say "slow DNS: an unknown name takes $(since "$start")"
	one_master
	begin slow-dns
	docker compose stop "$master" 2>/dev/null
	await_other
	end
	unset COMPOSE_FILE
}

# refused leaves out what evercache tries and does without.
refused='map(select(.username != "evercache" or (.object | IN("config|get", "client|kill") | not)))'

nothing_refused() {
	local node log
	for node in redis-1 redis-2 redis-3 sentinel-1 sentinel-2 sentinel-3; do
		log=$(cli "$node" --json ACL LOG | jq -c "$refused")
		[ "$log" = "[]" ] || die "$node refused: $log"
	done
	say "no node has refused anybody anything"
}

nothing_left() {
	docker compose down --volumes >/dev/null 2>&1
	local left
	left=$(docker ps -aq; docker volume ls -q; docker network ls --filter name=evercache -q)
	[ -z "$left" ] || die "down --volumes leaves $left"
	say "down --volumes leaves nothing"
}

# live_set: a Sentinel set in plain text, through every fault.
live_set() {
	quick_reference
	from_the_machine
	by_hand
	faults
	the_end
	nothing_refused
	slow_dns
	nothing_left
}

# shellcheck source=SCRIPTDIR/live/monitoring.sh
. "$here/live/monitoring.sh"
# shellcheck source=SCRIPTDIR/live/tls.sh
. "$here/live/tls.sh"
# shellcheck source=SCRIPTDIR/live/cluster.sh
. "$here/live/cluster.sh"

inside() {
	export DOCKER_HOST=unix://$WORK/docker.sock DOCKER_CONFIG=$WORK/docker
	trap stop_inside EXIT
	trap 'exit 143' HUP INT TERM
	start_engine
	build_images
	for part in ${EVERCACHE_LIVE:-set monitoring tls cluster}; do
		case $part in
		set | monitoring | tls | cluster) "live_$part" ;;
		*) die "EVERCACHE_LIVE: $part is none of set, monitoring, tls, cluster" ;;
		esac
	done
	say "deploy-live: all is well"
}

case ${1:-} in
inside) inside ;;
"") outside ;;
*) die "no arguments are wanted" ;;
esac
