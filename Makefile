# The commands of the README are `go run ./cmd/evercache dev --serve`, `go run ./cmd/evercache serve` and `make test`.

TOOL = go tool -modfile=tools/go.mod
# Modules of their own, so that the library's go.mod stays small.
MODULES = bench evercacheotel examples/jwt internal/otlp/wire tools

.PHONY: all serve test cover test-net test-page test-short chaos soak drills matrix check fuzz bench generate setup clean deploy-check deploy-validate deploy-apiserver deploy-live dist dist-check vulncheck release-gate

all: check test

## serve: run the cache service on 127.0.0.1:3000
serve:
	go run ./cmd/evercache serve

## setup: install redis-server, redis-sentinel and a C compiler if they are missing
setup:
	@./scripts/setup-test.sh

## test: every test, on real Redis processes, under the race detector; a skipped test fails.
## Without Linux and root EVERCACHE_TEST_NETNS=off leaves out the network namespaces.
## PKG=./test/sentinel runs one subject
test: setup
	@PKG="$(PKG)" ./scripts/test.sh

## cover: the share of all statements that the tests reach, and the packages below 90 %
cover: setup
	@./scripts/cover.sh

## test-net: partitions in network namespaces (Linux, root)
test-net: setup
	EVERCACHE_TEST_REQUIRE_REDIS=1 go test -race -count=1 -tags netns -run TestPartition ./test/partition ./test/chaos ./test/cluster

## test-page: the status page in a real browser, which it installs (chromium)
test-page: setup
	@./scripts/setup-browser.sh
	cd internal/page/browser && EVERCACHE_TEST_REQUIRE_REDIS=1 go test -count=1 -v .

## test-short: the tests that need no process
test-short:
	go test -short ./...

## chaos: every fault script for CHAOSTIME (default 10m), or as often as EVERCACHE_CHAOS_RUNS says;
## then loads and refreshes under faults
CHAOSTIME ?= $(or $(EVERCACHE_CHAOS_TIME),10m)
chaos: setup
	EVERCACHE_TEST_REQUIRE_REDIS=1 EVERCACHE_CHAOS_TIME=$(CHAOSTIME) go test -race -count=1 -timeout 0 -v -run '^TestChaos$$' ./test/chaos
	EVERCACHE_TEST_REQUIRE_REDIS=1 go test -race -count=$(or $(EVERCACHE_CHAOS_RUNS),5) -timeout 0 -v -run '^TestSentinelLoadsAndRefreshesUndoNoWrite$$' ./test/failover

## soak: SOAK answers (default 100 million) are compared with what was written, while a Sentinel set
## loses masters, replicas and sentinels; without the race detector
SOAK ?= 100000000
soak: setup
	EVERCACHE_TEST_REQUIRE_REDIS=1 EVERCACHE_SOAK_OPS=$(SOAK) go test -count=1 -timeout 0 -v -run '^TestSoak$$' ./test/soak

## drills: every fault of a Cluster as often as EVERCACHE_CLUSTER_RUNS says (default 1)
drills: setup
	EVERCACHE_TEST_REQUIRE_REDIS=1 EVERCACHE_CLUSTER_RUNS=$(or $(EVERCACHE_CLUSTER_RUNS),1) go test -race -count=1 -timeout 0 -v ./test/cluster

## matrix: a short set of tests on each server that MATRIX names (default: redis-8.0 valkey-9.1),
## which come from Debian's packages into the user's cache
matrix: setup
	@MATRIX="$(MATRIX)" ./scripts/matrix.sh

## check: formatting, vet, linters, generated files, and the modules beside the library
check:
	@fmt=$$($(TOOL) gofumpt -l . ); [ -z "$$fmt" ] || { echo "gofumpt would change:"; echo "$$fmt"; exit 1; }
	go vet ./...
	go vet -tags netns ./test/...
	@diff=$$(go fix -diff ./... 2>&1); [ -z "$$diff" ] || { echo "go fix would change:"; echo "$$diff"; exit 1; }
	$(TOOL) staticcheck ./...
	$(TOOL) errcheck -exclude tools/errcheck.txt ./...
	@for m in $(MODULES); do (cd $$m && echo "check $$m" && go vet ./... && go test ./...) || exit 1; done
	@cd internal/page/browser && go vet ./... # its tests need a browser: make test-page

## fuzz: each fuzz target for FUZZTIME (default 10s)
FUZZTIME ?= 10s
fuzz:
	@./scripts/fuzz.sh $(FUZZTIME)

## bench: evercache and its peers side by side, on one page (docs/performance.md; the long tables: bench/RESULTS.md)
bench: setup
	cd bench && go run . -page $(BENCHFLAGS)

## generate: docs/configuration.md and deploy/env.example from the table of settings; docs/pictures
generate:
	go generate ./...
	cd tools && go run ./pictures

## deploy-check: the files under deploy/ and the documents about them, without an engine
deploy-check: setup
	@./deploy/check.sh

## deploy-validate: deploy/kubernetes by the API server's own validation (slow to build: minutes)
deploy-validate: setup
	cd deploy/validate && go vet ./... && go test -count=1 -timeout 10m ./...

## deploy-apiserver: a real API server, which it builds, takes deploy/kubernetes (etcd, kubectl)
deploy-apiserver:
	@./deploy/apiserver.sh

## deploy-live: deploy/compose on a real engine in a network namespace, broken under writes (Linux, root).
## EVERCACHE_LIVE="set tls cluster" leaves out the alerts, which take a quarter of an hour
deploy-live: setup
	@./deploy/live.sh

## release-gate: from the last runs (scripts/release-gate.sh run NAME COMMAND), whether a release may go
## out; writes docs/release-gate.md
release-gate:
	@./scripts/release-gate.sh report

## dist: static binaries for Linux and macOS, licences, bills of materials and checksums, in bin/dist
dist:
	cd tools && go run ./dist

## dist-check: the native platform is built twice from the last commit, and must be the same byte for byte
dist-check:
	cd tools && go run ./dist -check

## vulncheck: known vulnerabilities in what the code calls; says so when the data cannot be had
vulncheck:
	@./scripts/vulncheck.sh

clean:
	rm -rf bin
