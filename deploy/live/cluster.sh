# shellcheck shell=bash
# live.sh's part about compose.cluster.yml: live.sh reads it, and has the variables.
# shellcheck disable=SC2034,SC2154,SC2164

# live_cluster makes a Cluster, takes a master away, starts all again, and empties a node.
live_cluster() {
	export COMPOSE_FILE=compose.cluster.yml
	cd "$WORK/tree"
	local start
	start=$(seconds)
	run_block docs/guide/compose.md cluster-start
	echo "up --wait returned after $(since "$start")"
	run_block docs/guide/compose.md cluster-health
	printed cluster-health cluster_state:ok
	printed cluster-health '"up"'
	no_findings

	local node
	node=$(a_master)
	begin_cluster cluster-kill "$node"
	docker compose kill "$node" 2>/dev/null
	await_another "$node"
	end_cluster

	begin_cluster cluster-restart "all"
	docker compose stop redis-1 redis-2 redis-3 redis-4 redis-5 redis-6 2>/dev/null
	docker compose up --detach --wait >/dev/null 2>&1 || die "$class: it does not start again"
	end_cluster

	node=$(a_master)
	begin_cluster cluster-emptied "$node"
	docker compose rm --stop --force "$node" >/dev/null 2>&1
	docker volume rm "evercache-cluster_$node" >/dev/null
	await_another "$node"
	docker compose up --detach --wait >/dev/null 2>&1 || die "$class: it does not start again"
	end_cluster

	local n log
	for n in 1 2 3 4 5 6; do
		log=$(cli "redis-$n" --json ACL LOG | jq -c "$refused")
		[ "$log" = "[]" ] || die "redis-$n refused: $log"
	done
	nothing_left
	unset COMPOSE_FILE
}

# nodes is what the first node that runs says of all.
nodes() {
	local n
	for n in 1 2 3 4 5 6; do
		cli "redis-$n" CLUSTER NODES 2>/dev/null && return
	done
}

# serving lists the nodes that are masters and have slots: redis-N each.
serving() {
	nodes | awk '$3 ~ /master/ && $3 !~ /fail/ && NF >= 9 {sub(/:.*/, "", $2); sub(/.*\.1/, "redis-", $2); print $2}' | sort
}
a_master() { serving | head -n 1; }

begin_cluster() {
	class=$1
	say "$class: $2"
	"$WORK/writer" -token-file secrets/token -class "$class" -acked "$WORK/out/$class.acked" >"$WORK/out/$class" &
	writer=$!
	sleep 2
	began=$(seconds)
}

# await_another waits until three masters serve, without this node, and evercache is up.
await_another() {
	until [ "$(serving | grep -cvx "$1")" = 3 ] && health | jq -e '.status == "up"' >/dev/null; do
		[ "$(since "$began" | cut -d. -f1)" -lt 60 ] || die "$class: no replica has taken over within 60 s"
		sleep 0.2
	done
	echo "up without $1 after $(since "$began")"
}

# end_cluster brings everything back, stops the writes, and compares.
end_cluster() {
	docker compose up --detach --wait >/dev/null 2>&1 || die "$class: not everything comes back"
	all_healthy_but_done
	kill -TERM "$writer"
	wait "$writer" || die "$class: a call failed: $(cat "$WORK/out/$class")"
	writer=""
	cat "$WORK/out/$class"
	local total n
	until health | jq -e '.status == "up"' >/dev/null; do sleep 0.5; done
	total=$(sort -u "$WORK/out/$class.acked" | grep -c .)
	for n in $(serving); do cli "$n" --raw KEYS "$class:*"; done | sed "s/^$class://" | sort -u >"$WORK/out/$class.held"
	lost=$(sort -u "$WORK/out/$class.acked" | grep . | comm -23 - "$WORK/out/$class.held" | wc -l)
	echo "$lost of $total acknowledged writes lost"
	[ "$lost" -eq 0 ] || die "$class: acknowledged writes are lost"
}

# all_healthy_but_done leaves out what has ended: the container that made the Cluster.
all_healthy_but_done() {
	local tries=0
	until [ "$(docker compose ps --format '{{.Health}}' | sort -u)" = healthy ] && [ "$(serving | wc -l)" = 3 ]; do
		tries=$((tries + 1))
		[ "$tries" -lt 120 ] || die "$class: not everything comes back"
		sleep 0.5
	done
}
