#!/bin/sh
# Makes one Cluster of all nodes, and may be run at any time: where there is one, only
# a node that is not part of it joins, as a replica. What holds data is never emptied.
set -eu
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/common.sh
. "$here/common.sh"

: "${FORM_LIMIT:=300}" # seconds, for every step
count=$(printf '%s' "$NODES" | wc -w | tr -d ' ')
replicas=1

# on ADDRESS COMMAND … asks a node as admin.
on() {
	at=$1
	shift
	timeout 5 sh "$here/cli.sh" -h "${at%:*}" -p "${at##*:}" "$@" 2>&1 | tr -d '\r'
}
# told ADDRESS NAME prints a number of CLUSTER INFO.
told() { on "$1" CLUSTER INFO | sed -n "s/^$2://p"; }

# await WHAT COMMAND … repeats a command until it succeeds.
await() {
	what=$1
	shift
	rounds=0
	until "$@"; do
		rounds=$((rounds + 1))
		[ "$rounds" -lt "$FORM_LIMIT" ] || die "not within $FORM_LIMIT s: $what"
		sleep 1
	done
}

all_answer() {
	for a in $NODES; do
		[ "$(on "$a" PING)" = PONG ] || return 1
	done
}
all_agree() {
	for a in $NODES; do
		if [ "$(told "$a" cluster_state)" != ok ] || [ "$(told "$a" cluster_known_nodes)" -lt "$count" ]; then
			return 1
		fi
	done
}
# member prints a node that knows an owner of every slot, and others.
member() {
	for a in $NODES; do
		if [ "$(told "$a" cluster_slots_assigned)" = 16384 ] && [ "$(told "$a" cluster_known_nodes)" -gt 1 ]; then
			printf '%s\n' "$a"
			return
		fi
	done
}

# create makes the Cluster of nodes that hold nothing. An attempt that was cut off is
# wiped first: nobody has written yet.
create() {
	for a in $NODES; do
		keys=$(on "$a" DBSIZE)
		[ "$keys" = 0 ] || die "no node knows a whole Cluster, and $a holds keys ($keys): look at CLUSTER NODES on each node; redis-cli --cluster fix may help"
	done
	for a in $NODES; do on "$a" CLUSTER RESET HARD >/dev/null; done
	REDISCLI_AUTH=$(secret admin-password)
	export REDISCLI_AUTH
	# shellcheck disable=SC2086 # flags and addresses
	"$cli" $tls --user admin --no-auth-warning --cluster create $NODES --cluster-replicas "$replicas" --cluster-yes >&2 ||
		die "the Cluster could not be created: see above"
}

# outside prints the nodes that the member does not know: alone, and without slots.
outside() {
	for a in $NODES; do
		if [ "$(told "$a" cluster_known_nodes)" = 1 ] && [ "$(told "$a" cluster_slots_assigned)" = 0 ]; then
			printf '%s ' "$a"
		fi
	done
}

# idle prints the nodes that call themselves masters and have no slots: those that have
# only just joined. What others say of them may be late.
idle() {
	for a in $NODES; do
		on "$a" CLUSTER NODES | awk -v a="$a" '$3 ~ /myself/ && $3 ~ /master/ && NF < 9 {print a}'
	done
}

# barest prints the id of the master with the fewest replicas.
barest() {
	on "$1" CLUSTER NODES | awk '
		$3 ~ /fail|handshake|noaddr/ {next}
		$3 ~ /master/ && NF >= 9 {n[$1] += 0}
		$3 ~ /slave/ {n[$4]++; slave[$4]}
		END {for (id in n) if (best == "" || n[id] < n[best]) best = id; print best}'
}

# forget drops what is gone for good: nodes that failed, own no slot, and whose place
# is taken by another. All must do so within a minute.
forget() {
	gone=$(on "$1" CLUSTER NODES | awk '$3 ~ /noaddr/ && NF < 9 {print $1}')
	for id in $gone; do
		for a in $NODES; do on "$a" CLUSTER FORGET "$id" >/dev/null || true; done
		say "forgot node $id, whose place another has taken"
	done
}

knows() { on "$1" CLUSTER NODES | grep -q " ${2%:*}:${2##*:}@.*connected"; }
follows() { [ "$(on "$1" CLUSTER REPLICATE "$2")" = OK ]; }

seen() { on "$1" CLUSTER NODES | awk -v a="$2@" -v of="$3" 'index($2, a) == 1 && $4 == of {found = 1} END {exit !found}'; }

join() {
	for a in $(outside); do
		[ "$a" != "$1" ] || continue
		on "$1" CLUSTER MEET "${a%:*}" "${a##*:}" >/dev/null
		await "$a meets the others" knows "$a" "$1"
		say "$a has joined"
	done
	for a in $(idle); do
		of=$(barest "$1")
		await "a master takes $a as its replica" follows "$a" "$of"
		await "the others see that $a is a replica" seen "$1" "$a" "$of" # the next one counts on it
		say "$a is a replica now"
	done
}

await "every node answers" all_answer
known=$(member)
if [ -z "$known" ]; then
	create
	known=${NODES%% *}
fi
join "$known"
forget "$known"
await "every node says that the Cluster is well" all_agree
say "the Cluster is well: $count nodes"
