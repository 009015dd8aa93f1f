# make help lists the targets.

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 60s
BENCH    ?= .

# One setting for all builds: the same static binary wherever it is made, and
# one set of compiled packages for build, lint, cross and the tests' own builds.
nocgo := CGO_ENABLED=0

.PHONY: help demo build test test-race lint cross bench fuzz setup tools clean
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

demo: build ## everything against a built-in fake AWS; no account needed
	@bin/rolecall demo

build: ## bin/rolecall
	$(nocgo) go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/rolecall .

test: setup lint cross ## all: install what the tests use, lint, compile for every platform, run every test
	@sh script/test

test-race: ## the Go tests alone, with the race detector
	@sh script/test

lint: tools ## gofmt, go vet, staticcheck
	@sh script/lint

cross: ## compile and vet for every platform
	@sh script/cross

bench: ## figures beside a baseline, into docs/performance.md (BENCH=word: only some)
	@sh script/bench '$(BENCH)'

fuzz: ## every fuzz target for FUZZTIME (60s)
	@sh script/fuzz '$(FUZZTIME)'

setup: ## install what the tests use beyond Go, as far as this machine lets us
	@sh script/setup

tools: ## install staticcheck into bin/tools
	@sh script/tools

clean: ## remove what was built and installed here
	rm -rf bin dist test/clients/js/node_modules test/mock/js/node_modules

.PHONY: reliability
reliability: ## docs/reliability.md, from a run of the fault matrix
	@mkdir -p bin/test && rm -f bin/test/faults.json
	ROLECALL_RESULTS=$(CURDIR)/bin/test/faults.json go test -race -count=1 -timeout 10m ./test/faults
	ROLECALL_RESULTS=$(CURDIR)/bin/test/faults.json go test -count=1 -timeout 10m ./test/faults ./internal/store ./test/process
	go run ./test/faults/report -o docs/reliability.md bin/test/faults.json

.PHONY: clients
clients: setup ## docs/clients.md, from a run of all clients by all ways in
	@mkdir -p bin/test && rm -f bin/test/clients.json
	ROLECALL_CLIENTS=$(CURDIR)/bin/test/clients.json go test -count=1 -timeout 10m -run '^TestMatrix$$' ./test/clients
	go run ./test/clients/matrix/report -o docs/clients.md bin/test/clients.json
