# Sheaf's tasks. `make` lists them; `make ci` is exactly what CI runs.
.DEFAULT_GOAL := help

TOOL = go tool -modfile=tools/go.mod
# The race detector costs several times the time, so it runs where state is shared.
RACE = . ./anybatch ./shardmap ./internal/wire/... ./internal/admission/... ./internal/apply/... ./internal/wal/... \
	./internal/store/... ./internal/group/... ./internal/router/... ./internal/coordinator/... ./internal/rpc/... \
	./internal/feed/... ./internal/web/... ./internal/node/... ./internal/peer/... ./internal/cluster/... ./internal/check/history/... ./internal/contract/... ./client/...
# The rooms that a PutAll walks through, from the client to the store.
BENCH = ./client ./internal/rpc ./internal/web ./internal/wire ./internal/coordinator ./internal/group \
	./internal/wal ./internal/apply ./internal/store/... ./internal/peer ./shardmap

.PHONY: help build test race groups chaos sim mutants vet fmt format lint generate docs fuzz bench benchdiff ci

help: ## list the tasks
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

build: ## build everything
	go build ./...

test: ## run every test
	go test ./...
	go test -tags failpoints ./internal/failpoint
	go -C bench test ./...

# Its packages wait for elections and disks more than they compute, so four run at a time. Vet has looked
# at them already. Released buffers are overwritten, so that who reads one late reads nonsense.
race: ## run the core's tests under the race detector, released buffers overwritten, the contract with four groups
	CONTRACT_GROUPS=4 go test -race -tags invariants -p 4 -vet=off $(RACE)

groups: ## run the contract with four groups in the node
	CONTRACT_GROUPS=4 go test -vet=off ./internal/contract

chaos: ## a cluster of processes under faults for DURATION (default: 10m)
	CHAOS=$(or $(DURATION),10m) go test ./internal/crashtest -run TestAClusterUnderFaults -v -timeout 0

sim: ## simulate clusters until stopped, from seed FIRST (default: the time)
	go test ./internal/sim -run TestClusterKeepsItsPromises -v -timeout 0 -sim.seeds 1000000000 -sim.first $(or $(FIRST),$$(date +%s))

mutants: ## see the simulator find what is broken on purpose
	go test ./internal/sim -run 'Mutants' -v -timeout 60m -sim.source

vet: ## go vet, and that go.mod is tidy
	go vet ./...
	go mod tidy -diff

fmt: ## fail on files that gofumpt would change
	@out=$$($(TOOL) gofumpt -l .); if [ -n "$$out" ]; then echo "not formatted (make format):"; echo "$$out"; exit 1; fi

format: ## format all Go files
	$(TOOL) gofumpt -w .

lint: ## lint the protobuf files (builds buf: a minute the first time)
	$(TOOL) buf lint

generate: ## regenerate the protobuf code
	$(TOOL) buf generate
	$(TOOL) buf generate --template bench/buf.gen.yaml

docs: ## regenerate docs/api.md, docs/errors.md, docs/configuration.md and the table of docs/client.md
	go test ./internal/policy -run 'TestAPIPage|TestErrorsPage' -update
	go test ./client -run TestTheDocumentDrawsTheMachine -update
	go test ./internal/config -run TestDocumentIsUpToDate -update

fuzz: ## run every fuzz target for FUZZTIME (default 30s) each
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(FUZZTIME),30s) $$pkg || exit 1; \
		done; done

bench: ## run the benchmarks of the path, into bench.out
	go test -run '^$$' -bench . -count 6 $(BENCH) | tee bench.out
	go -C bench test -run '^$$' -bench . -count 6 ./anydecode | tee -a bench.out

benchdiff: ## compare bench.out with BASE (default bench.base.out)
	$(TOOL) benchstat $(or $(BASE),bench.base.out) bench.out

ci: build vet fmt test race ## exactly what CI runs
