#!/bin/sh
# Checks what lies under deploy/ and the documents about it, without an engine:
# make deploy-check. Installs shellcheck where it is missing.
set -eu
cd "$(dirname "$0")/check"

tools="shellcheck redis-server redis-sentinel redis-cli curl jq openssl promtool amtool"
[ "$(uname)" != Linux ] || tools="$tools systemd-analyze"
missing() {
	for tool in $tools; do
		command -v "$tool" >/dev/null 2>&1 || echo "$tool"
	done
	# Debian gives it another name.
	command -v prometheus-alertmanager >/dev/null 2>&1 || command -v alertmanager >/dev/null 2>&1 || echo alertmanager
}

install_them() {
	sudo=""
	if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null 2>&1; then
		sudo="sudo -n"
	fi
	if command -v apt-get >/dev/null 2>&1; then
		policy=/usr/sbin/policy-rc.d made=""
		if [ ! -e "$policy" ]; then # the packages would start servers
			printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
			$sudo chmod +x "$policy"
			made=$policy
		fi
		$sudo apt-get update -qq
		DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends shellcheck redis-tools curl jq openssl systemd prometheus prometheus-alertmanager >/dev/null || true # told below
		[ -z "$made" ] || $sudo rm -f "$made"
	elif command -v brew >/dev/null 2>&1; then
		brew install -q shellcheck curl jq openssl prometheus alertmanager
	fi
}

if [ -n "$(missing)" ]; then
	echo "deploy-check: installing:" "$(missing)" >&2
	install_them || true
fi
if [ -n "$(missing)" ]; then
	echo "deploy-check: not on the PATH:" "$(missing)" "(Debian: apt-get install shellcheck redis-server redis-sentinel redis-tools curl jq openssl systemd prometheus prometheus-alertmanager)" >&2
	exit 1
fi

go vet ./...
go test -count=1 -timeout 5m ./...
cd ../validate # deploy/kubernetes; what is slow to build is left to make deploy-validate
go vet .
go test -count=1 -timeout 5m .
