#!/bin/sh
# Installs what the tests need and is missing: redis-server, redis-sentinel, a C
# compiler for the race detector, and ip for the network namespaces that root has
# on Linux. Says clearly what to do where it cannot.
set -eu

tools="redis-server redis-sentinel gcc"
if [ "$(uname -s)" = Linux ] && [ "$(id -u)" -eq 0 ]; then
	tools="$tools ip"
fi
missing=""
for tool in $tools; do
	command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0

say() { printf 'setup-test: %s\n' "$*" >&2; }
say "installing:$missing"

install() {
	if command -v apt-get >/dev/null 2>&1; then
		export DEBIAN_FRONTEND=noninteractive
		# A new machine may start a service of its own with the package; the
		# tests start their own processes and do not want it.
		policy=/usr/sbin/policy-rc.d
		made=""
		if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' >"$policy" 2>/dev/null; then
			chmod +x "$policy"
			made=$policy
		fi
		status=0
		$sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends redis-server redis-sentinel gcc libc6-dev iproute2 >/dev/null || status=$?
		[ -z "$made" ] || rm -f "$made"
		return $status
	elif command -v dnf >/dev/null 2>&1; then
		$sudo dnf install -y -q redis gcc iproute
	elif command -v apk >/dev/null 2>&1; then
		$sudo apk add -q redis gcc musl-dev iproute2
	elif command -v brew >/dev/null 2>&1; then
		brew install -q redis
	else
		return 1
	fi
}

sudo=""
if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null 2>&1; then
	sudo="sudo -n"
fi
install || say "the package manager failed or is not known"

for tool in $tools; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		say "$tool is not on the PATH. Install it by hand (Debian: apt-get install redis-server redis-sentinel gcc libc6-dev iproute2; Homebrew: brew install redis) and run 'make test' again."
		exit 1
	fi
done
