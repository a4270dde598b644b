#!/bin/sh
# Says whether a release may go out, from what was run.
#
#     scripts/release-gate.sh run NAME COMMAND...   runs it and keeps its output
#     scripts/release-gate.sh report                prints the table; writes docs/release-gate.md
#     scripts/release-gate.sh names                 lists NAME and COMMAND of each row
#
# Output is kept in GATE_DIR (bin/release): NAME.log, with the commit, the time and the exit
# status. A file of another commit than the present one does not count.
#
# Exit status of report: 0 every row is passed; 1 one has failed; 2 one was not run.
set -eu
dir=${GATE_DIR:-$(dirname "$0")/../bin/release}
document=${GATE_DOCUMENT:-$(dirname "$0")/../docs/release-gate.md}

# name | command | what it has to show
rows() {
	cat <<'ROWS'
check|make check|formatting, vet and four linters find nothing; generated files are fresh
tests|make test|every test on real processes under the race detector; none fails, none is skipped
cover|make cover|90 % of the statements or more
fuzz|make fuzz FUZZTIME=1m|no input ends a parser
chaos|make chaos CHAOSTIME=60m|no acknowledged write lost, no delete undone, nothing stale called coherent
soak|make soak SOAK=1000000000|every answer is what was written
drills|make drills EVERCACHE_CLUSTER_RUNS=20|every fault of a Cluster, 20 times
matrix|make matrix|failovers, Cluster and revocations on Redis 8.0 and Valkey 9.1
page|make test-page|the status page in a real browser
deploy|make deploy-check|what lies under deploy/, and the commands of the documents
validate|make deploy-validate|Kubernetes takes the files, by its own validation
live|make deploy-live|the compose file on a real engine, broken under writes
failover|scripts/drill.sh failover|no call fails in a planned failover, no write is lost, 3 s at most without a master
kill|scripts/drill.sh kill|the same when the master is killed, 10 s at most
ROWS
}

known() { rows | cut -d'|' -f1 | grep -qxF -e "$1"; }

run() {
	if [ $# -lt 2 ] || ! known "$1"; then
		echo "usage: scripts/release-gate.sh run NAME COMMAND..., NAME one of: $(rows | cut -d'|' -f1 | tr '\n' ' ')" >&2
		exit 2
	fi
	mkdir -p "$dir"
	log=$dir/$1.log
	shift
	commit=$(git rev-parse HEAD)
	[ -z "$(git status --porcelain -- . ':!docs/release-gate.md')" ] || commit=$commit-changed
	printf 'gate commit %s\ngate began %s\n' "$commit" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$log.part"
	status=0
	"$@" >>"$log.part" 2>&1 || status=$?
	printf '\ngate status %s\n' "$status" >>"$log.part"
	mv "$log.part" "$log"
	tail -n 12 "$log"
	return "$status"
}

# figure prints what a log shows in one line, and nothing where it says nothing.
figure() {
	case $1 in
	tests | matrix) sed -n 's/^\(DONE [0-9].*\)$/\1/p' "$2" | tail -n 1 ;;
	cover) sed -n 's/^ *\([0-9.]* %\)  of all statements$/\1/p' "$2" | tail -n 1 ;;
	chaos) awk '/^ *--- PASS: TestChaos\// { n++ } /^ *--- FAIL: TestChaos\// { bad++ } END { if (n + bad) printf "%d runs, %d clean", n + bad, n }' "$2" ;;
	soak) sed -n 's/.*SOAK | \(.*\)$/\1/p' "$2" | tail -n 1 | sed 's/ *|/,/g' ;;
	fuzz) awk '/ Fuzz[A-Za-z]*$/ { n++ } END { if (n) printf "%d targets", n }' "$2" ;;
	drills) awk '/^ *--- PASS: / { n++ } END { if (n) printf "%d drills", n }' "$2" ;;
	failover | kill) sed -n 's/^gate gap: \([0-9a-z.]*\), .*/\1 without a master/p' "$2" | tail -n 1 ;;
	esac
}

# judge prints passed, or failed and why.
judge() {
	status=$(sed -n 's/^gate status \([0-9]*\)$/\1/p' "$2" | tail -n 1)
	figure=$(figure "$1" "$2")
	case $1 in
	tests | cover | chaos | soak | fuzz | drills | matrix | failover | kill)
		[ -n "$figure" ] || {
			echo "failed: its output has no summary"
			return
		}
		;;
	esac
	if [ -z "$status" ]; then
		echo "failed: it has not ended"
	elif [ "$status" -ne 0 ]; then
		echo "failed: exit status $status"
	elif [ "$1" = cover ] && [ "$(echo "$figure" | awk '{ print $1 < 90 }')" = 1 ]; then
		echo "failed: below 90 %"
	elif [ "$1" = tests ] && echo "$figure" | grep -Eq 'skipped|failure|error'; then
		echo "failed: not all tests were run and have passed"
	elif [ "$1" = chaos ] && [ "$(echo "$figure" | awk '{ print $1 != $3 }')" = 1 ]; then
		echo "failed: not all runs are clean"
	else
		echo passed
	fi
}

report() {
	commit=${GATE_COMMIT:-$(git rev-parse HEAD)}
	table=$(mktemp)
	trap 'rm -f "$table" "$table.new"' EXIT
	{
		echo "Commit $(echo "$commit" | cut -c1-12)."
		echo
		echo '| what is shown | command | result | figure | run |'
		echo '|---|---|---|---|---|'
	} >"$table"
	result=0
	rows | while IFS='|' read -r name command want; do
		log=$dir/$name.log verdict="" figure="" when=""
		if [ -e "$log" ]; then
			of=$(sed -n 's/^gate commit //p' "$log" | head -n 1)
			when=$(sed -n 's/^gate began //p' "$log" | head -n 1)
			if [ "$of" = "$commit" ]; then
				verdict=$(judge "$name" "$log") figure=$(figure "$name" "$log")
			else
				verdict="not run: the last run was of $(echo "$of" | sed 's/^\(.\{12\}\)[0-9a-f]*/\1/')" figure=""
			fi
		fi
		echo "| $want | \`$command\` | ${verdict:-not run} | $figure | $when |"
	done >>"$table"
	! grep -q '| not run' "$table" || result=2
	! grep -q '| failed' "$table" || result=1
	case $result in
	0) echo && echo "**The release may go out.**" ;;
	1) echo && echo "**The release may not go out: something has failed.**" ;;
	2) echo && echo "**The release may not go out yet: not everything was run.**" ;;
	esac >>"$table"
	cat "$table"
	if [ -e "$document" ]; then
		awk -v table="$table" '
			/^<!-- gate/ { print; while ((getline line < table) > 0) print line; inside = found = 1; next }
			/^<!-- end gate -->/ { inside = 0 }
			!inside { print }
			END { exit !found || inside }' "$document" >"$table.new" || {
			echo "release-gate: $document has no lines <!-- gate ... --> and <!-- end gate -->" >&2
			exit 2
		}
		cat "$table.new" >"$document"
	fi
	return "$result"
}

case ${1:-} in
run)
	shift
	run "$@"
	;;
report) report ;;
names) rows | cut -d'|' -f1,2 ;;
*)
	echo "usage: scripts/release-gate.sh run NAME COMMAND... | report | names" >&2
	exit 2
	;;
esac
