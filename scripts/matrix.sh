#!/bin/sh
# Runs a short set of the Sentinel and the Cluster tests on other servers than the
# machine's own Redis, and ends with a table.
#
#   scripts/matrix.sh               every version of MATRIX (default: all that it knows)
#   scripts/matrix.sh bin VERSION   only fetches it and prints the folder to put first
#                                   on the PATH, to run a test by hand
#
# The servers are Debian's packages of other suites, from the machine's own Debian
# source and with its keys. They lie in a folder of the user's cache, each beside the
# C library that it was built for; nothing is installed. What a run finds there is
# checked first, and fetched again if it is not whole.
#
# A version that was asked for and cannot be had is a failure, and so is a test of the
# set that did not run. EVERCACHE_CLUSTER_RUNS=5 repeats the scenes of the Cluster, with
# all that they have (make drills).
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
work=""
trap 'rm -rf "$scratch" ${work:+"$work"}' EXIT
trap 'exit 130' INT TERM

all="redis-8.0 valkey-9.1"
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/evercache/matrix

die() {
	printf 'matrix: %s\n' "$*" >&2
	exit 1
}

# The set. A line is a package and a test, or one of the drills of TestDrills.
sentinel_tests="
test/failover TestSentinelAKilledMasterIsFollowedAtItsPromotion
test/failover TestSentinelAHungMasterIsFencedForGood
test/failover TestSentinelAPlannedFailoverLosesNothing
test/failover TestSentinelManyFailoversLeaveNothingBehind
test/sentinel TestSentinelAMasterThatRestartsEmptyIsKept
internal/switchover TestASwitchoverLosesNothingOfAPlainClient
test/replicas TestReadsGoOnThroughAPromotion
test/replicas TestWithoutItsMasterAReplicaAnswersWhatMemoryHasNot
test/replicas TestAReplicaThatStalledIsNotBehindWhatWasAnnounced
test/replicas TestAReplicaThatStalledIsNotBehindOurOwnWrites
revoke TestSentinelAnAcknowledgedRevocationSurvivesEveryFault
redistest TestSentinelSetIsReadyForAFailover
redistest TestKilledMasterIsReplacedAndReturnsAsReplica
redistest TestPausedMasterIsReplaced
"
cluster_tests="
test/cluster TestKilledMaster
test/cluster TestDrills/hangs_until_it_is_replaced
test/cluster TestDrills/hangs_for_a_moment
test/cluster TestPlannedFailover
test/cluster TestTakeover
internal/switchover TestASwitchoverInACluster
test/cluster TestMasterComesBackEmpty
test/cluster TestDrills/slots_move_and_come_back
test/cluster TestASlotIsStolen
test/cluster TestDrills/two_clusters_among_the_seeds
test/cluster TestDrills/revocations
test/replicas TestAReplicaOfAShardThatStalledIsNotBehind
redistest TestKilledMasterOfAClusterIsReplacedAndReturnsAsReplica
redistest TestSlotsStayOrMoveAsOne
"

# spec says of a version: its packages, its suites (the first that has it is taken),
# and what its server can do that others cannot.
spec() {
	atomic=""
	case $1 in
	redis-8.0) program=redis suites="sid trixie" ;;
	valkey-9.1) program=valkey suites=sid atomic=yes ;;
	*) die "MATRIX names \"$1\", want some of: $all" ;;
	esac
	number=${1#*-}
	dir=$cache/$1
}

# debian_source writes the machine's own source of Debian's packages, for another suite.
debian_source() {
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	# shellcheck disable=SC2016 # apt fills these in
	found=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(SOURCESENTRY) $(REPO_URI)' 'Created-By: Packages' |
		awk -v own="$codename" '$2 == "main" && $1 ~ "^(" own "|stable|oldstable|testing|unstable|sid)$" { print $3, $4; exit }')
	[ -n "$found" ] || die "apt has no source of Debian's main packages: add one (/etc/apt/sources.list.d) and run this again"
	file=${found%% *}
	file=${file%:*}
	uri=${found#* }
	uri=${uri%/}
	case $file in
	*.sources)
		awk -v RS= -v uri="$uri" 'index($0, uri) { print; exit }' "$file" |
			sed -e '/^#/d' -e '/^Targets:/d' -e 's/^Types:.*/Types: deb/' -e "s/^Suites:.*/Suites: $1/" -e 's/^Components:.*/Components: main/' >"$2/source.sources"
		echo "Targets: Packages" >>"$2/source.sources"
		;;
	*)
		options=$(awk -v uri="$uri" '$1 == "deb" && index($0, uri) { if (match($0, /\[[^]]*\]/)) print substr($0, RSTART + 1, RLENGTH - 2); exit }' "$file")
		echo "deb [$options target=Packages] $uri $1 main" >"$2/source.list"
		;;
	esac
}

# apt runs a program of apt that knows one suite only, and no installed package.
apt() {
	tool=$1
	shift
	"$tool" -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts" -o Dir::State="$work/state" -o Dir::State::lists="$work/lists" \
		-o Dir::State::status=/dev/null -o Dir::Cache="$work/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any "$@"
}

# libraries prints the libraries that packages need, and those that these need.
libraries() {
	known=""
	next=$*
	while [ -n "$next" ]; do
		# shellcheck disable=SC2086 # packages are words
		found=$(apt apt-cache depends --important --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances $next |
			sed -n 's/^ *|\{0,1\}\(Pre\)\{0,1\}Depends: \(lib[^ ]*\|zlib1g\)$/\2/p' | sort -u)
		next=""
		for lib in $found; do
			case " $known " in
			*" $lib "*) ;;
			*) known="$known $lib" next="$next $lib" ;;
			esac
		done
	done
	echo "$known"
}

# candidate is the version that the suite has of the server.
candidate() { apt apt-cache policy "$program-server" | sed -n 's/^ *Candidate: *//p'; }

# unpack fetches the server from a suite into $work/root; it fails if the suite has another version.
unpack() {
	rm -rf "$work/parts" "$work/lists" "$work/state" "$work/cache" "$work/debs" "$work/root"
	mkdir -p "$work/parts" "$work/lists/partial" "$work/state" "$work/cache/archives/partial" "$work/debs" "$work/root"
	debian_source "$1" "$work/parts"
	apt apt-get update >"$work/log" 2>&1 || die "$name: the suite $1 could not be read; without a network there is no matrix: $(tail -1 "$work/log")"
	has=$(candidate)
	case ${has#*:} in
	"$number".*) ;;
	*)
		seen="$seen $1 has ${has:-none};"
		return 1
		;;
	esac
	echo "matrix: fetching $program $has of $1" >&2
	libs=$(libraries "$program-server" "$program-tools")
	# shellcheck disable=SC2086 # packages are words
	(cd "$work/debs" && apt apt-get download "$program-server" "$program-tools" $libs) >"$work/log" 2>&1 || die "$name: its packages could not be fetched: $(tail -1 "$work/log")"
	for deb in "$work"/debs/*.deb; do
		dpkg -x "$deb" "$work/root" || die "$name: $deb could not be unpacked"
	done
}

# linker is the dynamic linker of the C library under a root.
linker() { find "$1" -name 'ld-linux*.so*' -type f | head -1; }

quote() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

# wrappers writes the programs by the names that the tests look for.
wrappers() {
	mkdir -p "$dir/bin"
	ld=$(linker "$dir/root")
	triplet=$(basename "$(dirname "$ld")")
	start="exec $(quote "$ld") --library-path $(quote "$dir/root/usr/lib/$triplet:$dir/root/lib/$triplet")"
	for tool in server cli sentinel; do
		binary=$tool more=""
		[ "$tool" != sentinel ] || binary=server more=" --sentinel"
		printf '#!/bin/sh\n%s --argv0 redis-%s %s "$@"%s\n' "$start" "$tool" "$(quote "$dir/root/usr/bin/$program-$binary")" "$more" >"$dir/bin/redis-$tool"
	done
	chmod +x "$dir"/bin/redis-*
}

# whole: everything is there as it was fetched, and the server starts and is of this version.
whole() {
	[ -f "$dir/SHA256SUMS" ] && (cd "$dir" && sha256sum --check --status SHA256SUMS) || return 1
	wrappers
	has_version
}

has_version() {
	said=$("$dir/bin/redis-server" --version 2>&1) || return 1
	case $said in
	*"v=$number."*) ;;
	*) return 1 ;;
	esac
}

debian() { grep -q '^ID=debian' /etc/os-release 2>/dev/null && command -v apt-get >/dev/null && command -v dpkg >/dev/null; }

# fetch makes sure that a version is in the cache.
fetch() {
	name=$1
	spec "$name"
	! whole || return 0
	debian || die "$name: the servers are Debian's packages, and this is no Debian. Name a server of your own in EVERCACHE_TEST_REDIS_SERVER and run the tests on it"
	mkdir -p "$cache" || die "$name: the folder $cache cannot be made; XDG_CACHE_HOME names another one"
	work=$(mktemp -d "$cache/.fetch.XXXXXX")
	seen=""
	for suite in $suites; do
		if unpack "$suite"; then
			seen=""
			break
		fi
	done
	[ -z "$seen" ] || die "$name: no suite has $program-server $number:$seen scripts/matrix.sh has to name another version"
	(cd "$work" && find root -type f -exec sha256sum {} + >SHA256SUMS)
	rm -rf "$dir"
	mkdir "$dir"
	mv "$work/root" "$work/SHA256SUMS" "$dir"
	rm -rf "$work"
	whole || die "$name: what was fetched does not run: ${said:-its files are damaged}"
}

if [ "${1:-}" = bin ] && [ $# -eq 2 ]; then
	fetch "$2"
	echo "$dir/bin"
	exit
elif [ $# -ne 0 ]; then
	die "want no argument, or: bin VERSION"
fi

versions=${MATRIX:-$all}
for name in $versions; do # all faults before the first test
	spec "$name"
done
log=$scratch/log rows=$scratch/rows ended=$scratch/ended

# names are the second words of lines.
names() { awk 'NF == 2 { print $2 }'; }

# run runs the set on one version and adds its row.
run() {
	tests=$sentinel_tests$cluster_tests
	[ -z "$atomic" ] || tests="${tests}test/cluster TestDrills/slots_move_as_one
"
	packages=$(echo "$tests" | awk 'NF == 2 && !had[$1]++ { print "./" $1 }')
	pattern=$(echo "$tests" | names | sed -e 's/^/^/' -e 's/$/$/' -e 's|/|$/^|' | paste -sd'|' -)
	began=$(date +%s)
	status=0
	: >"$log"
	# One package after the other: a set or a Cluster is up to seven processes.
	# shellcheck disable=SC2086 # packages are words
	PATH=$dir/bin:$PATH EVERCACHE_TEST_REDIS_SERVER="" EVERCACHE_TEST_REDIS_SENTINEL="" EVERCACHE_TEST_REQUIRE_REDIS=1 \
		EVERCACHE_CLUSTER_DRILLS=all EVERCACHE_CLUSTER_ATOMIC=$atomic \
		go tool -modfile=tools/go.mod gotestsum --format testname --jsonfile "$log" -- \
		-race -count=1 -timeout "${MATRIX_TIMEOUT:-30m}" -p 1 -run "$pattern" $packages || status=$?
	sed -n 's/.*"Action":"\(pass\|fail\)","Package":"\([^"]*\)","Test":"\([^"]*\)".*/\1 \2 \3/p' "$log" >"$ended"
	sed -n 's/.*"Output":".*: \(MOVE .*\)\\n".*/\1/p' "$log" # what a move of slots has cost
	echo "$tests" | awk 'NF == 2' >"$scratch/set"
	# shellcheck disable=SC2046 # three numbers
	set -- $(awk -v name="$name" '
		NR == FNR { sub(/^.*\/evercache\//, "", $2); end[$2 " " $3] = $1; next }
		!($0 in end) { gone++; print "matrix: " name ": did not run: " $0 >"/dev/stderr"; next }
		end[$0] == "fail" { failed++ }
		END { print FNR, failed + 0, gone + 0 }' "$ended" "$scratch/set")
	asked=$1 failed=$2 gone=$3
	[ "$status" -eq 0 ] || [ $((failed + gone)) -gt 0 ] || failed=1 # another test of a same name
	took=$(($(date +%s) - began))
	printf '%-12s %-12s %6d %9d %8d %5dm%02ds\n' "$name" "$(expr "$said" : '.*v=\([0-9.]*\)')" "$asked" "$failed" "$gone" $((took / 60)) $((took % 60)) >>"$rows"
	[ $((failed + gone)) -eq 0 ]
}

result=0
for name in $versions; do
	fetch "$name" # ends everything where it cannot
	echo "matrix: $name is $said"
	run || result=1
done
printf '\n%-12s %-12s %6s %9s %8s %8s\n' version server tests failures "not run" time
cat "$rows"
exit "$result"
