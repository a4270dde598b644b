#!/usr/bin/env bash
# Lets a real API server take every overlay of deploy/kubernetes:
#   make deploy-apiserver
# It builds kube-apiserver from its Go module (a quarter of an hour, once: it lies in bin/
# then), starts it beside an etcd on loopback, applies each overlay for real, and lets the
# server judge a pod of each template (pod security: restricted). There is no kubelet, so
# no container runs. Debian: apt-get install etcd-server; kubectl must be on the PATH.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=v1.36.3
cached=${KUBE_APISERVER:-$here/../bin/kube-apiserver-$version}
work=$(mktemp -d)
pids=()

say() { printf '\n== %s\n' "$*"; }
die() {
	printf 'deploy-apiserver: %s\n' "$*" >&2
	exit 1
}
finish() {
	# Nothing of it is needed again, and without its etcd an API server does not end by itself.
	for pid in "${pids[@]}"; do
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap finish EXIT

for tool in etcd kubectl openssl jq curl go; do
	command -v "$tool" >/dev/null || die "$tool is not on the PATH"
done

build() {
	say "building kube-apiserver $version"
	mkdir -p "$work/build" "$(dirname "$cached")"
	sed 's|^module .*|module scratch|' "$here/validate/go.mod" >"$work/build/go.mod"
	printf '//go:build tools\n\npackage scratch\n\nimport _ "k8s.io/kubernetes/cmd/kube-apiserver"\n' >"$work/build/tools.go"
	local at=k8s.io/component-base/version
	(cd "$work/build" && GOFLAGS=-mod=mod go mod tidy -e >/dev/null 2>&1 && CGO_ENABLED=0 GOFLAGS=-mod=mod go build -p 1 \
		-ldflags "-s -w -X $at.gitVersion=$version -X $at.gitMajor=1 -X $at.gitMinor=${version:3:2}" -o "$cached" k8s.io/kubernetes/cmd/kube-apiserver)
}

port() { # one that is free, below those that the kernel gives to connections
	while :; do
		local p=$((12000 + RANDOM % 16000))
		(: <"/dev/tcp/127.0.0.1/$p") 2>/dev/null || break
	done
	echo "$p"
}

start() {
	local client peer token
	client=$(port) peer=$(port) secure=$(port)
	ETCD_UNSUPPORTED_ARCH='' etcd --data-dir "$work/etcd" --log-level error \
		--listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
		--listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
		--initial-cluster "default=http://127.0.0.1:$peer" >"$work/etcd.log" 2>&1 &
	pids+=($!)
	openssl genrsa -out "$work/sa.key" 2048 2>/dev/null
	token=$(openssl rand -hex 16)
	printf '%s,admin,admin,"system:masters"\n' "$token" >"$work/tokens"
	"$cached" --etcd-servers "http://127.0.0.1:$client" --bind-address 127.0.0.1 --secure-port "$secure" --cert-dir "$work/certs" \
		--service-cluster-ip-range 10.96.0.0/16 --service-account-issuer https://localhost --service-account-key-file "$work/sa.key" \
		--service-account-signing-key-file "$work/sa.key" --token-auth-file "$work/tokens" --authorization-mode RBAC \
		--disable-admission-plugins ServiceAccount >"$work/apiserver.log" 2>&1 &
	pids+=($!)
	cat >"$work/kubeconfig" <<-YAML
		apiVersion: v1
		kind: Config
		clusters: [{name: c, cluster: {server: "https://127.0.0.1:$secure", insecure-skip-tls-verify: true}}]
		users: [{name: u, user: {token: "$token"}}]
		contexts: [{name: x, context: {cluster: c, user: u}}]
		current-context: x
	YAML
	export KUBECONFIG=$work/kubeconfig
	for _ in $(seq 120); do
		! kubectl get --raw /readyz >/dev/null 2>&1 || return 0
		kill -0 "${pids[1]}" 2>/dev/null || break
		sleep 1
	done
	tail -20 "$work/apiserver.log" >&2
	die "kube-apiserver is not ready"
}

# pods prints the pods that the workloads of a file would make.
pods() {
	kubectl get --filename "$1" -o json | jq -c '.items[] | . as $w
		| (.spec.jobTemplate.spec.template // .spec.template // empty)
		| {apiVersion: "v1", kind: "Pod", metadata: {name: ($w.metadata.name + "-pod"), namespace: $w.metadata.namespace, labels: .metadata.labels},
		   spec: (.spec | .volumes += [($w.spec.volumeClaimTemplates // [])[] | {name: .metadata.name, persistentVolumeClaim: {claimName: .metadata.name}}])}'
}

[ -x "$cached" ] || build
start
say "$(kubectl version -o json 2>/dev/null | jq -r '"API server " + .serverVersion.gitVersion')"
cp -r "$here/kubernetes" "$here/compose" "$work/"
sh "$work/kubernetes/overlays/tls/certificates.sh"

# known leaves out the kinds of the Prometheus operator, which nobody has told the server.
known() { awk 'BEGIN {RS = "---\n"} !/(^|\n)apiVersion: monitoring.coreos.com\// {printf "%s---\n", $0}'; }

for overlay in "$work"/kubernetes/overlays/*/; do
	name=$(basename "$overlay")
	sh "$work/compose/setup.sh" "$overlay/secrets"
	kubectl kustomize "$overlay" | known >"$work/$name.yaml"
	namespace=$(sed -n 's/^  namespace: //p' "$work/$name.yaml" | sort -u)
	# A dry run makes no namespace, so that comes first.
	kubectl create namespace "$namespace" --dry-run=client -o yaml | kubectl apply --server-side -f - >/dev/null
	kubectl apply --server-side --dry-run=server -f "$work/$name.yaml" >"$work/out" 2>&1 || die "$name: $(cat "$work/out")"
	kubectl apply --server-side -f "$work/$name.yaml" >"$work/out" 2>&1 || die "$name: $(cat "$work/out")"
	! grep -i warning "$work/out" | grep -v 'currently being deleted' || die "$name: the API server warns"
	objects=$(wc -l <"$work/out")
	pods "$work/$name.yaml" >"$work/pods"
	while read -r pod; do
		kubectl apply --server-side --dry-run=server -f - <<<"$pod" >"$work/out" 2>&1 || die "$name: $(cat "$work/out")"
	done <"$work/pods"
	say "$name: $objects objects, and a pod of each of $(wc -l <"$work/pods") templates"
	kubectl delete -f "$work/$name.yaml" --wait=false >/dev/null
	# There is no controller that would empty the namespace.
	kubectl get namespace "$namespace" -o json | jq 'del(.spec.finalizers)' | kubectl replace --raw "/api/v1/namespaces/$namespace/finalize" -f - >/dev/null
done

# The server must refuse what breaks its rules: else the lines above say nothing.
kubectl apply --server-side -f "$work/kubernetes/overlays/prod/namespace.yaml" >/dev/null
refused() {
	! kubectl apply --server-side --dry-run=server -f - >"$work/out" 2>&1 || die "it takes $1"
	grep -q "$2" "$work/out" || die "$1: $(cat "$work/out")"
}
refused "a pod of root" PodSecurity <<<'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"evercache"},"spec":{"containers":[{"name":"c","image":"x:1"}]}}'
refused "an unknown field" 'replica' <<<'{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","namespace":"evercache"},"spec":{"replica":3}}'
say "all overlays are taken"
