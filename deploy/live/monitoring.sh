# shellcheck shell=bash
# live.sh's part about compose.monitoring.yml: live.sh reads it, and has the variables.
# shellcheck disable=SC2034,SC2154,SC2164
# Prometheus and Alertmanager are Debian's, in images FROM scratch, with the files of
# deploy/monitoring as they are. Grafana is in no package of Debian: it is left out.

prometheus=http://localhost:9090
alertmanager=http://localhost:9093

# live_monitoring sees alerts come and go: a failover, a drill that nobody is to be called
# for, and an outage.
live_monitoring() {
	build_monitors
	cd "$WORK/tree/deploy/compose"
	./setup.sh
	export COMPOSE_FILE=compose.yml:compose.monitoring.yml:live.yml
	without_grafana >live.yml
	"$WORK/hook" >"$WORK/out/told" 2>&1 &
	hook=$!
	docker compose up --detach --wait >/dev/null 2>&1 || die "monitoring: it does not start"
	class=monitoring && one_master
	no_faults_of_rules
	quiet

	monitoring_failover
	monitoring_drill
	monitoring_outage
	await 900 "EvercacheFailover ends" silent EvercacheFailover

	say "what the receivers got"
	cat "$WORK/out/told"
	nobody_told 'notes resolved' # receiver notes: send_resolved is false
	say "what still fires: $(firing | tr '\n' ' ')"
	kill "$hook"
	hook=""
	nothing_left
	rm live.yml
	unset COMPOSE_FILE
}

build_monitors() {
	image_of prometheus prometheus
	image_of prometheus-alertmanager alertmanager
	printf 'PROMETHEUS_IMAGE=live/prometheus\nALERTMANAGER_IMAGE=live/alertmanager\n' >>"$WORK/tree/deploy/compose/.env"
}

# image_of PROGRAM NAME makes what the project's own image is: the program is its entry
# point, it runs as nobody, /NAME is its own.
image_of() {
	local at=$WORK/image-$2
	mkdir -p "$at/root/bin" "$at/root/etc" "$at/data"
	copy_program "$1" "$at/root"
	mkdir -p "$at/root/usr/share/prometheus" # Debian's Alertmanager has its templates there
	cp -rL "/usr/share/prometheus/$2" "$at/root/usr/share/prometheus/" 2>/dev/null || true
	cp /bin/busybox "$at/root/bin/busybox"
	ln -s busybox "$at/root/bin/wget"
	echo 'nobody:x:65534:65534::/:/bin/sh' >"$at/root/etc/passwd"
	echo 'hosts: files dns' >"$at/root/etc/nsswitch.conf"
	printf 'FROM scratch\nENV PATH=/usr/bin:/bin\nCOPY root/ /\nCOPY --chown=65534:65534 data /%s\nUSER 65534\nENTRYPOINT ["/usr/bin/%s"]\n' "$2" "$1" >"$at/Dockerfile"
	build -t "live/$2" "$at"
}

# without_grafana: no image of it can be had. alerts.invalid of alertmanager.yml is this machine.
without_grafana() {
	printf 'services:\n  grafana: {profiles: [elsewhere]}\n  alertmanager: {extra_hosts: ["alerts.invalid:host-gateway"]}\n'
}

# await SECONDS WHAT COMMAND … waits until the command succeeds, and says how long it took.
await() {
	local limit=$1 what=$2 start
	start=$(seconds)
	until "${@:3}"; do
		[ "$(since "$start" | cut -d. -f1)" -lt "$limit" ] || {
			cat "$WORK/out/told"
			curl -s "$prometheus/api/v1/targets" | jq -r '.data.activeTargets[] | "\(.labels.job): \(.health) \(.lastError)"'
			die "monitoring: not within $limit s: $what. Firing: $(firing | tr '\n' ' ')"
		}
		sleep 1
	done
	echo "$what: after $(since "$start")"
}

# firing lists the alerts that fire, as Prometheus has them.
firing() { curl -sf "$prometheus/api/v1/alerts" | jq -r '.data.alerts[] | select(.state == "firing").labels.alertname' | sort -u; }
fires() { firing | grep -qx "$1"; }
silent() { curl -sf "$prometheus/api/v1/alerts" >/dev/null && ! fires "$1"; }
told() { grep -q "$1" "$WORK/out/told"; }
nobody_told() { ! told "$1" || die "somebody was told: $(grep "$1" "$WORK/out/told")"; }

# no_faults_of_rules waits until every rule has been evaluated once, without a fault.
no_faults_of_rules() {
	await 120 "Prometheus reads evercache" scraped
	await 120 "every rule has been evaluated" evaluated
	local faults
	faults=$(curl -sf "$prometheus/api/v1/rules" | jq -r '.data.groups[].rules[] | select(.health == "err") | "\(.name): \(.lastError)"')
	[ -z "$faults" ] || die "monitoring: $faults"
}
scraped() { curl -sf "$prometheus/api/v1/targets" | jq -e 'any(.data.activeTargets[]; .labels.job == "evercache" and .health == "up")' >/dev/null; }
# The budgets of 30 days have their turn every five minutes.
evaluated() { curl -sf "$prometheus/api/v1/rules" | jq -e 'all(.data.groups[] | select(.interval < 60) | .rules[]; .health != "unknown")' >/dev/null; }

# quiet: a set without a fault calls nobody.
quiet() {
	sleep 30 # two evaluations
	local loud
	loud=$(firing)
	[ -z "$loud" ] || die "monitoring: without a fault these fire: $loud"
	[ ! -s "$WORK/out/told" ] || die "monitoring: without a fault somebody was told: $(cat "$WORK/out/told")"
	say "no alert fires"
}

# monitoring_failover: the master is killed, and stays away for as long as an alert wants.
monitoring_failover() {
	begin monitoring-failover
	docker compose kill "$master" 2>/dev/null
	await_other
	await 60 "EvercacheFailover fires" fires EvercacheFailover
	await 60 "notes are told of it" told 'notes firing EvercacheFailover'
	await 240 "EvercacheReplicaDown fires" fires EvercacheReplicaDown
	await 60 "tickets are told of it" told 'tickets firing EvercacheReplicaDown'
	end
	await 60 "EvercacheReplicaDown ends" silent EvercacheReplicaDown
	await 180 "tickets are told that it has ended" told 'tickets resolved EvercacheReplicaDown'
}

# monitoring_drill: while drill.sh runs, what it is expected to raise is silent.
monitoring_drill() {
	say "drill.sh"
	class=drill && known_as_replicas
	local environ=() line drill silenced=""
	while read -r line; do environ+=("$line"); done < <(sed -n '/\[localhost\]/,$s/^#   //p' .env.example)
	env "${environ[@]}" REDIS_USERNAME=admin REDIS_SENTINEL_USERNAME=admin REDIS_PASSWORD="$(cat secrets/admin-password)" \
		REDIS_SENTINEL_PASSWORD="$(cat secrets/admin-password)" ALERTMANAGER_URL=$alertmanager EVERCACHE="$WORK/evercache" \
		sh "$WORK/tree/deploy/monitoring/drill.sh" --trigger failover --yes --for 40s --rate 50 >"$WORK/out/drill" 2>&1 &
	drill=$!
	while kill -0 "$drill" 2>/dev/null; do
		! suppressed EvercacheFailover || silenced=yes
		sleep 1
	done
	wait "$drill" || die "the drill failed: $(cat "$WORK/out/drill")"
	grep -e lost -e 'silence' "$WORK/out/drill"
	[ -n "$silenced" ] || die "monitoring: EvercacheFailover was not silent during the drill"
	echo "EvercacheFailover was silent during the drill"
	curl -sf "$alertmanager/api/v2/silences" | jq -e 'length > 0 and all(.[]; .status.state == "expired")' >/dev/null || die "monitoring: the silence outlives the drill"
	await 60 "EvercacheFailover is no longer silent" active EvercacheFailover
	one_master
}

# suppressed and active: what Alertmanager does with an alert. A silence counts, and an
# inhibition.
suppressed() { curl -sf "$alertmanager/api/v2/alerts" | jq -e --arg n "$1" 'any(.[]; .labels.alertname == $n and .status.state == "suppressed")' >/dev/null; }
active() { curl -sf "$alertmanager/api/v2/alerts" | jq -e --arg n "$1" 'any(.[]; .labels.alertname == $n and .status.state == "active")' >/dev/null; }

# monitoring_outage: two sentinels and all of Redis are gone. Nothing can fail over, so
# nothing does when they are back.
monitoring_outage() {
	begin monitoring-outage
	docker compose kill sentinel-2 sentinel-3 2>/dev/null
	docker compose kill redis-1 redis-2 redis-3 2>/dev/null
	await 150 "EvercacheDegraded fires" fires EvercacheDegraded
	await 150 "EvercacheQuorumLost fires" fires EvercacheQuorumLost
	await 60 "tickets are told of the outage" told 'tickets firing EvercacheDegraded'
	await 60 "on-call is told of the quorum" told 'on-call firing EvercacheQuorumLost'
	await 240 "EvercacheReplicaDown fires" fires EvercacheReplicaDown
	await 30 "it is silent, since the outage says as much" suppressed EvercacheReplicaDown
	end
	await 60 "EvercacheDegraded ends" silent EvercacheDegraded
	await 90 "EvercacheQuorumLost ends" silent EvercacheQuorumLost
	await 180 "tickets are told that the outage has ended" told 'tickets resolved EvercacheDegraded'
	await 180 "on-call is told that the quorum is back" told 'on-call resolved EvercacheQuorumLost'
	[ "$(grep -c 'tickets firing EvercacheReplicaDown' "$WORK/out/told")" -eq 1 ] || die "monitoring: tickets were told of replicas in the outage"
}
