#!/bin/sh
# Installs the browser that `make test-page` drives, where it is missing. EVERCACHE_TEST_CHROMIUM
# names another program: Chrome and Chromium are the same here.
set -eu
program=${EVERCACHE_TEST_CHROMIUM:-chromium}
command -v "$program" >/dev/null 2>&1 && exit 0
say() { printf 'setup-browser: %s\n' "$*" >&2; }
if [ -n "${EVERCACHE_TEST_CHROMIUM:-}" ]; then
	say "EVERCACHE_TEST_CHROMIUM names $program, which is not there"
	exit 1
fi
say "installing: chromium"
sudo=""
if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null 2>&1; then
	sudo="sudo -n"
fi
if command -v apt-get >/dev/null 2>&1; then
	export DEBIAN_FRONTEND=noninteractive
	if ! { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends chromium >/dev/null; }; then
		say "apt-get failed"
	fi
elif command -v dnf >/dev/null 2>&1; then
	$sudo dnf install -y -q chromium || say "dnf failed"
elif command -v apk >/dev/null 2>&1; then
	$sudo apk add -q chromium || say "apk failed"
else
	say "the package manager is not known"
fi
if ! command -v "$program" >/dev/null 2>&1; then
	say "chromium is not on the PATH. Install it by hand, or let EVERCACHE_TEST_CHROMIUM name a Chrome or Chromium."
	exit 1
fi
