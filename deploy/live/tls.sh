# shellcheck shell=bash
# live.sh's part about compose.tls.yml: live.sh reads it, and has the variables.
# shellcheck disable=SC2034,SC2154,SC2164

# live_tls begins with a set in plain text, gives it TLS, renews under writes, and
# takes the master away.
live_tls() {
	cd "$WORK/tree/deploy/compose"
	./setup.sh
	export COMPOSE_FILE=compose.yml
	docker compose up --detach --wait >/dev/null 2>&1 || die "TLS: the set does not start without"
	class="before TLS" && one_master

	export COMPOSE_FILE=compose.yml:compose.tls.yml
	cd "$WORK/tree"
	local start
	start=$(seconds)
	run_block docs/guide/compose.md tls-start
	echo "the set has TLS after $(since "$start")"
	at=https://localhost:3000
	export CURL_CA_BUNDLE=$PWD/certificates/ca.crt SSL_CERT_FILE=$PWD/certificates/ca.crt
	run_block docs/guide/compose.md tls-use
	printed tls-use hello
	class="with TLS" && one_master

	begin tls-renew
	local before pid
	before=$(served)
	pid=$(docker inspect --format '{{.State.Pid}}' "$(docker compose ps -q redis-1)")
	run_block docs/guide/compose.md tls-renew
	echo "renewed after $(since "$began")"
	[ "$(served)" != "$before" ] || die "TLS: evercache still shows the old certificate"
	[ "$(docker inspect --format '{{.State.Pid}}' "$(docker compose ps -q redis-1)")" = "$pid" ] || die "TLS: redis-1 was started again"
	end

	begin tls-kill
	docker compose kill "$master" 2>/dev/null
	await_other
	end

	nothing_refused
	nothing_left
	at=http://localhost:3000
	unset COMPOSE_FILE CURL_CA_BUNDLE SSL_CERT_FILE
}

# served is the number of the certificate that evercache shows.
served() { openssl s_client -connect localhost:3000 </dev/null 2>/dev/null | openssl x509 -noout -serial; }
