# The habits of this repository. `make` alone lists them; .ci/run calls the same targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# The folder where cargo builds, and where everything else that can be made
# again is kept.
TARGET := $(or $(CARGO_TARGET_DIR),target)
# More arguments for the program a target starts: make run ARGS='--shards 2'.
ARGS ?=
# Other servers for `make bench`: AGAINST='name=ws://host:port …'.
AGAINST ?=

# As many open files as this user may have, without going to sizes that make
# programs slow which close "all" descriptors.
RAISE_OPEN_FILES = files=$$(ulimit -Hn); \
	if [ "$$files" = unlimited ] || [ "$$files" -gt 1048576 ]; then files=1048576; fi; \
	ulimit -Sn "$$files"

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build for speed: target/release/corecast and target/release/corecast-load
	$(CARGO) build --release --package corecast --package corecast-load

.PHONY: run
run: build ## Build and start the server; prints the address of its chat page
	@echo
	@echo '  Chat page: http://127.0.0.1:8080/  (open it in two windows; Ctrl-C stops the server)'
	@echo
	@exec $(TARGET)/release/corecast serve --demo --listen 127.0.0.1:8080 $(ARGS)

# Programs that need no file beside them, for an image FROM scratch or to be copied to
# any host. Getrandom is told to ask the kernel only: in a static program it finds no
# function of that name and would want /dev/urandom, which a bare chroot does not have.
HOST = $(shell rustc -vV | awk '/^host:/ { print $$2 }')
STATIC_FLAGS := -C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom"

.PHONY: static
static: ## Build programs without shared libraries: target/static/corecast and corecast-load
	RUSTFLAGS='$(STATIC_FLAGS)' CARGO_PROFILE_RELEASE_STRIP=debuginfo \
		$(CARGO) build --release --target $(HOST) --package corecast --package corecast-load
	@mkdir -p $(TARGET)/static
	@for program in corecast corecast-load; do \
		if readelf -lW "$(TARGET)/$(HOST)/release/$$program" | grep -q INTERP; then \
			echo "static: $$program needs a loader: this toolchain did not link it statically" >&2; exit 1; fi; \
		cp -f "$(TARGET)/$(HOST)/release/$$program" $(TARGET)/static/; done
	@ls -l $(TARGET)/static/

ENGINE ?= $(firstword $(foreach engine,docker podman,$(if $(shell command -v $(engine)),$(engine))) docker)

.PHONY: image
image: static ## Make the container image corecast from target/static, with docker or podman (ENGINE=…)
	$(ENGINE) build --tag corecast --target prebuilt --file tools/deploy/Dockerfile $(TARGET)/static

# The programs in a package; others than those of `make static` for a test: PROGRAMS=target/release.
PROGRAMS ?=
PACKED = $(or $(PROGRAMS),$(TARGET)/static)
VERSION = $(shell awk -F '"' '/^version = / { print $$2; exit }' Cargo.toml)
CARGO_DEB := 3.8.0
DEB_TOOL ?= $(TARGET)/tools/bin/cargo-deb

.PHONY: deb
deb: $(if $(PROGRAMS),,static) ## Make a Debian package of the programs, the unit and the documents: target/dist/*.deb
	@if [ "$$($(DEB_TOOL) --version 2>&1)" != 'cargo-deb $(CARGO_DEB)' ]; then \
		$(CARGO) install cargo-deb --version $(CARGO_DEB) --locked --force --root $(TARGET)/tools; fi
	@mkdir -p target/deb $(TARGET)/dist
	@cp -f $(PACKED)/corecast $(PACKED)/corecast-load target/deb/
	@sed 's|/usr/local/bin/|/usr/bin/|g' tools/deploy/corecast.service >target/deb/corecast.service
	@$(DEB_TOOL) --package corecast --no-build --no-strip $(ARGS) --output $(TARGET)/dist/

.PHONY: dist
dist: $(if $(PROGRAMS),,static) ## Make a tarball of the programs, the files of a deployment and the documents: target/dist/*.tar.gz
	@name=corecast-$(VERSION)-$(HOST); folder=$(TARGET)/dist/$$name; \
	rm -rf "$$folder"; mkdir -p "$$folder/tools"; \
	cp -f $(PACKED)/corecast $(PACKED)/corecast-load "$$folder/"; \
	cp -r README.md CHANGELOG.md SECURITY.md LICENSE LICENSE-MIT LICENSE-APACHE docs sysctl "$$folder/"; \
	cp -r tools/deploy tools/sysctl "$$folder/tools/"; \
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$$(git log -1 --format=%ct 2>/dev/null || echo 0)" \
		-czf "$$folder.tar.gz" -C $(TARGET)/dist "$$name"; \
	rm -rf "$$folder"; ls -l "$$folder.tar.gz"

.PHONY: isolated-load
isolated-load: build ## Load a server from network namespaces with addresses of their own; ARGS='--generators 4'
	@tools/deploy/isolated-load --binaries $(TARGET)/release --output $(TARGET)/isolated-load $(ARGS)

BOOFUZZ := boofuzz==0.4.2

.PHONY: hostile
hostile: ## Attack the release binary with boofuzz, zzuf and slowhttptest: a table, under five minutes
	$(CARGO) build --release --package corecast
	@mkdir -p $(TARGET)/hostile; \
	if [ "$$(cat $(TARGET)/hostile/venv/installed 2>&1)" != "$(BOOFUZZ)" ]; then \
		{ python3 -m venv $(TARGET)/hostile/venv && \
		$(TARGET)/hostile/venv/bin/pip install --quiet --disable-pip-version-check $(BOOFUZZ) && \
		echo "$(BOOFUZZ)" > $(TARGET)/hostile/venv/installed; } || rm -rf $(TARGET)/hostile/venv; fi
	@$(RAISE_OPEN_FILES); \
	python3 -B tools/hostile/run.py --server $(TARGET)/release/corecast --venv $(TARGET)/hostile/venv $(ARGS)

# The micro-benchmarks; `make test` runs each once, for its assertions.
MICRO := $(addprefix --bench ,codec utf8 ring fan_out)

.PHONY: test
test: test-clients ## Run all tests of the workspace and print a summary
	@mkdir -p $(TARGET)
	@$(RAISE_OPEN_FILES); \
	{ status=0; \
	$(CARGO) test --workspace --no-fail-fast $(ARGS) || status=$$?; \
	if [ -z "$(ARGS)" ]; then \
		$(CARGO) test --package corecast $(MICRO) >$(TARGET)/micro.log 2>&1 || { status=$$?; cat $(TARGET)/micro.log; }; \
		$(SMALL_LIBRARY) || status=$$?; \
		( $(BASELINE_CARGO) test --no-fail-fast ) || status=$$?; \
	fi; \
	exit $$status; } 2>&1 | tee $(TARGET)/test.log && status=0 || status=$$?; \
	awk -f tools/test-summary.awk $(TARGET)/test.log; \
	exit $$status

# The library without features: it serves, its examples compile, and tokens are refused.
SMALL := $(CARGO) test --package corecast --no-default-features --features internals,testing
SMALL_LIBRARY := { $(SMALL) --test library --test testing && $(SMALL) --doc && $(SMALL) --lib access::token; }

# The conventional server has a workspace and a lock file of its own, so that
# its dependencies stay out of the product's.
BASELINE_CARGO := cd tools/baseline && CARGO_TARGET_DIR=$(abspath $(TARGET))/baseline $(CARGO)

# Clients by other authors. Tests that need one that is missing say so and pass.
CLIENTS := $(TARGET)/test-clients
PYTHON_CLIENT := websockets==15.0.1 phxsocket==0.1.5 cent==5.2.0 \
	$(if $(shell python3 -c 'import sys; print(*["yes"][sys.version_info < (3, 11):])'),phoenix-channels-python-client==0.4.1)
# It needs another version of `websockets` than the others.
PYTHON_CENTRIFUGE := centrifuge-python==0.7.0
# The Phoenix client as it is, and as it was in apps that were not changed for
# years.
PHOENIX_CLIENTS := phoenix@1.8.16 phoenix17@npm:phoenix@1.7.23 phoenix16@npm:phoenix@1.6.16 \
	phoenix14@npm:phoenix@1.4.18 phoenix13@npm:phoenix@1.3.5 phoenix12@npm:phoenix@1.2.1
NPM_CLIENTS := ws@8.18.3 cent.js@6.1.0 centrifuge@5.8.0 $(PHOENIX_CLIENTS) $(if $(shell command -v chromium chromium-browser google-chrome),puppeteer-core@24.10.0)
# A web server's source, for the good and bad requests its tests have as files.
REQUESTS := gunicorn==23.0.0

.PHONY: test-clients
test-clients: ## Install the clients and requests of others that the tests use into target/
	@mkdir -p $(CLIENTS)
	@installed="$(PYTHON_CLIENT)"; \
	if [ "$$(cat $(CLIENTS)/python/installed 2>&1)" = "$$installed" ]; then :; \
	elif ! python3 -m pip --version >/dev/null 2>&1; then \
		echo 'test-clients: no python3 with pip: tests with the Python client will be skipped'; \
	elif python3 -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --root-user-action=ignore --upgrade \
		--target $(CLIENTS)/python $(PYTHON_CLIENT); then \
		echo "$$installed" > $(CLIENTS)/python/installed; \
	else echo 'test-clients: pip failed: tests with the Python client will be skipped'; fi
	@installed="$(PYTHON_CENTRIFUGE)"; \
	if [ "$$(cat $(CLIENTS)/python_centrifuge/installed 2>&1)" = "$$installed" ]; then :; \
	elif ! python3 -m pip --version >/dev/null 2>&1; then \
		echo 'test-clients: no python3 with pip: the test with centrifuge-python will be skipped'; \
	elif python3 -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --root-user-action=ignore --upgrade \
		--target $(CLIENTS)/python_centrifuge $(PYTHON_CENTRIFUGE); then \
		echo "$$installed" > $(CLIENTS)/python_centrifuge/installed; \
	else echo 'test-clients: pip failed: the test with centrifuge-python will be skipped'; fi
	@installed="$(NPM_CLIENTS)"; \
	if [ "$$(cat $(CLIENTS)/node_modules/installed 2>&1)" = "$$installed" ]; then :; \
	elif ! node --version >/dev/null 2>&1 || ! npm --version >/dev/null 2>&1; then \
		echo 'test-clients: no node with npm: tests with the npm clients will be skipped'; \
	elif npm install --silent --no-save --no-audit --no-fund --prefix $(CLIENTS) $(NPM_CLIENTS); then \
		echo "$$installed" > $(CLIENTS)/node_modules/installed; \
	else echo 'test-clients: npm failed: tests with the npm clients will be skipped'; fi
	@installed="$(REQUESTS)"; \
	if [ "$$(cat $(CLIENTS)/requests/installed 2>&1)" = "$$installed" ]; then :; \
	elif ! python3 -m pip --version >/dev/null 2>&1; then \
		echo 'test-clients: no python3 with pip: the test with requests of others will be skipped'; \
	elif mkdir -p $(CLIENTS)/requests && \
		python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary gunicorn \
			--dest $(CLIENTS)/requests $(REQUESTS) && \
		tar -xzf $(CLIENTS)/requests/*.tar.gz -C $(CLIENTS)/requests --strip-components 3 --wildcards '*/tests/requests/*.http'; then \
		echo "$$installed" > $(CLIENTS)/requests/installed; \
	else echo 'test-clients: pip failed: the test with requests of others will be skipped'; fi

.PHONY: lint
lint: ## Check formatting, clippy, the documentation and the library's face; any warning fails
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --package corecast --no-default-features --all-targets -- -D warnings
	$(MAKE) --no-print-directory features links
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps
	$(MAKE) --no-print-directory public-api-check
	$(BASELINE_CARGO) fmt --check
	$(BASELINE_CARGO) clippy --all-targets -- -D warnings
	cd tools/fuzz && $(CARGO) fmt --check
	RUSTFLAGS='--cfg fuzzing' CARGO_TARGET_DIR=$(TARGET)/fuzzing \
		$(CARGO) clippy --package corecast --lib --no-default-features --features cli,tokens -- -D warnings

# The face of the library: what an embedder can name. Rustdoc writes its JSON on a
# nightly toolchain only; without one nothing is compared, and a line says so. Of the
# features, those that show something are on.
PUBLIC_API := $(TARGET)/public-api.txt
LIST_PUBLIC_API = if ! $(CARGO) +nightly --version >/dev/null 2>&1; then \
		echo '$@: SKIPPED, the face of the library is not looked at: rustdoc writes JSON on a nightly toolchain only; install one with: rustup toolchain install nightly --profile minimal' >&2; exit 0; fi; \
	CARGO_TARGET_DIR=$(TARGET)/public-api $(CARGO) +nightly rustdoc --quiet --package corecast --lib \
		--no-default-features --features log,service,testing -- -Zunstable-options --output-format json --cap-lints allow && \
	$(CARGO) run --quiet --package corecast-public-api -- $(TARGET)/public-api/doc/corecast.json >$(PUBLIC_API)

.PHONY: public-api
public-api: ## Write docs/public-api.txt, every public item of the library, after a change that is meant
	@$(LIST_PUBLIC_API) && cp $(PUBLIC_API) docs/public-api.txt

.PHONY: public-api-check
public-api-check:
	@$(LIST_PUBLIC_API) && { diff --unified=0 docs/public-api.txt $(PUBLIC_API) || { \
		echo 'public-api-check: the face of the library has changed, as shown above (+ is new). If that is meant, write the list anew with: make public-api' >&2; exit 1; }; }

# The library that others build servers with must not bring dependencies that
# only our program needs.
.PHONY: features
features: ## Check that the library builds with each feature alone, and alone is the data plane only
	@CARGO=$(CARGO) tools/features

DOCUMENTS = $(wildcard *.md docs/*.md docs/*/*.md examples/*/*.md)

.PHONY: links
links: ## Check that the links and paths in the documents lead somewhere
	@LC_ALL=C awk -f tools/links.awk $(DOCUMENTS)

# Without the control plane: tokio leaves its sockets out under cfg(loom).
.PHONY: loom
loom: ## Check the wake protocol between shards under the orders its threads may run in
	RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=$(TARGET)/loom CARGO_PROFILE_RELEASE_LTO=off \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		$(CARGO) test --lib --release --no-default-features -- mesh::waker mesh::starved 2>&1 | tee $(TARGET)/loom.log
	@for module in waker starved; do \
		grep -q "^test mesh::$$module::model::.* ok\$$" $(TARGET)/loom.log \
		|| { echo "loom: no model of mesh::$$module ran"; exit 1; }; done

.PHONY: miri
miri: ## Run the tests without I/O under Miri (long); needs a nightly toolchain with it
	@if ! $(CARGO) +nightly miri --version >/dev/null 2>&1; then \
		echo 'miri: skipped; install it with: rustup toolchain install nightly --component miri'; exit 0; fi; \
	set -x; CARGO_TARGET_DIR=$(TARGET)/miri PROPTEST_CASES=4 \
	MIRIFLAGS='-Zmiri-disable-isolation -Zmiri-permissive-provenance' \
		$(CARGO) +nightly miri test --lib --no-default-features -- ws:: upgrade:: hub:: link:: mesh:: router::

# Not part of `make test`, because it installs the suite from the package index.
CONFORMANCE = $(TARGET)/release/corecast-conformance
EXCUSES := tools/conformance/non-strict.toml

.PHONY: build-conformance
build-conformance:
	$(CARGO) build --release --package corecast --package corecast-conformance

.PHONY: conformance
conformance: build-conformance ## Run Autobahn's cases against server and client, both drivers, also reading single bytes
	@$(CONFORMANCE) run --server $(TARGET)/release/corecast --directory $(TARGET)/conformance \
		--excuses $(EXCUSES) $(ARGS)

.PHONY: options
options: ## Write docs/options.md from the table of settings (src/config/table.rs)
	@$(CARGO) run --quiet --package corecast -- options >$(TARGET)/options.md
	@mv $(TARGET)/options.md docs/options.md

.PHONY: conformance-table
conformance-table: build-conformance ## Write docs/conformance.md from the results of `make conformance`
	@$(CONFORMANCE) table --directory $(TARGET)/conformance --excuses $(EXCUSES) --output docs/conformance.md

# Without a kernel: scripted sockets, readiness and time. A seed repeats a run.
.PHONY: simulate
simulate: ## Simulate shards for MINUTES=30 with random seeds, or one again: make simulate SEED=7
	$(if $(SEED),CORECAST_SIMULATE_SEED=$(SEED),CORECAST_SIMULATE_MINUTES=$(MINUTES)) \
		$(CARGO) test --package corecast --lib shard::simulation -- --nocapture

.PHONY: simulate-faults
simulate-faults: ## Plant thirteen faults in a copy of the engine and show the seed that finds each; ten minutes
	python3 -B tools/simulate/faults.py --directory $(TARGET)/simulate $(ARGS)

# The fuzz targets have a workspace of their own, like the baseline. Their clippy is
# here and not in `lint`, because libFuzzer is C++ and built before anything is checked;
# `lint` looks at what the library has for them.
CARGO_FUZZ := 0.13.2
SECONDS ?= 60
MINUTES ?= 30
TARGETS ?= $(basename $(notdir $(wildcard tools/fuzz/fuzz_targets/*.rs)))
FUZZ = @if ! $(CARGO) +nightly --version >/dev/null 2>&1; then \
		echo '$@: skipped; it needs: rustup toolchain install nightly'; exit 0; fi; \
	if ! command -v c++ >/dev/null; then \
		echo '$@: skipped; libFuzzer is C++: apt-get install g++'; exit 0; fi; \
	if [ "$$($(TARGET)/tools/bin/cargo-fuzz --version 2>&1)" != 'cargo-fuzz $(CARGO_FUZZ)' ] && \
		! $(CARGO) install cargo-fuzz --version $(CARGO_FUZZ) --locked --force --root $(TARGET)/tools; then \
		echo '$@: skipped; cargo-fuzz $(CARGO_FUZZ) cannot be installed'; exit 0; fi; \
	PATH="$(abspath $(TARGET))/tools/bin:$$PATH" CARGO=$(CARGO) tools/fuzz/run $(TARGET) $(1)

.PHONY: fuzz-smoke
fuzz-smoke: ## Fuzz each target for SECONDS=60, then a table; TARGETS='decoder hub' picks some
	$(call FUZZ,$(SECONDS) $(TARGETS))

.PHONY: fuzz
fuzz: ## Fuzz one target for long: make fuzz TARGETS=decoder MINUTES=30
	$(call FUZZ,$$(( $(MINUTES) * 60 )) $(TARGETS))

.PHONY: fuzz-lint
fuzz-lint: ## Check the fuzz targets with clippy, on the usual toolchain
	cd tools/fuzz && RUSTFLAGS='--cfg fuzzing' CARGO_TARGET_DIR=$(abspath $(TARGET))/fuzz-lint \
		$(CARGO) clippy --all-targets -- -D warnings

.PHONY: build-bench
build-bench: ## Build everything that `make bench` starts
	$(CARGO) build --release --package corecast --package corecast-load --package corecast-bench
	@( $(BASELINE_CARGO) build --release ) || echo 'build-bench: the baseline takes no part, because it could not be built' >&2

# A rival that cannot be installed is left out; if none can, the list is empty.
RIVALS = @tools/bench/rivals/prepare $(TARGET)/rivals || { \
	echo 'rivals: none take part, because tools/bench/rivals/prepare failed' >&2; \
	mkdir -p $(TARGET)/rivals; touch $(TARGET)/rivals/list; }

.PHONY: rivals
rivals: ## Install the servers of others that `make bench` measures beside ours, as far as their runtimes are here
	$(RIVALS)

REPORT = $(TARGET)/bench
BENCH = @mkdir -p $(REPORT); rm -f $(REPORT)/$(1).html; $(RAISE_OPEN_FILES); \
	$(TARGET)/release/corecast-bench run --server $(TARGET)/release/corecast --load $(TARGET)/release/corecast-load \
		--baseline $(TARGET)/baseline/release/corecast-baseline --rivals $(TARGET)/rivals/list \
		$(foreach server,$(AGAINST),--against '$(server)') \
		--json $(REPORT)/$(1).json --report $(REPORT)/$(1).html --markdown $(REPORT)/$(1).md $(2) $(ARGS) && status=0 || status=$$?; \
	if [ -s $(REPORT)/$(1).html ]; then \
		echo 'Charts: $(REPORT)/$(1).html  Every figure of every round: $(REPORT)/$(1).json'; fi; \
	exit $$status

.PHONY: bench
bench: build-bench rivals ## Measure the server beside floors, baseline and rivals: a table, target/bench/report.html and .json
	$(call BENCH,report,)

.PHONY: bench-full
bench-full: build-bench rivals ## The same for every size, number of connections and depth, on both drivers: more than an hour
	$(call BENCH,full,--set full --both-drivers)

.PHONY: bench-seeds
bench-seeds: build-bench rivals ## The three load tests of the documents the project began with
	$(call BENCH,seeds,--set seeds)

.PHONY: bench-compare
bench-compare: build-bench ## Compare two reports: make bench-compare OLD=before.json NEW=target/bench/report.json
	@if [ -z '$(OLD)' ] || [ -z '$(NEW)' ]; then \
		echo 'bench-compare: name two reports: make bench-compare OLD=before.json NEW=target/bench/report.json' >&2; exit 2; fi
	@$(TARGET)/release/corecast-bench compare '$(OLD)' '$(NEW)'

.PHONY: bench-crosscheck
bench-crosscheck: build-bench ## Open connections with tsung and with corecast-load at one rate and compare what the server saw
	@$(RAISE_OPEN_FILES); \
	tools/bench/crosscheck/connections.py --server $(TARGET)/release/corecast --load $(TARGET)/release/corecast-load $(ARGS)

.PHONY: phoenix-tsung
phoenix-tsung: ## Let 5,000 users of tsung join a Phoenix lobby, without an error; ARGS='--users 1000'
	$(CARGO) build --release --package corecast
	@$(RAISE_OPEN_FILES); tools/phoenix/tsung/lobby.py --server $(TARGET)/release/corecast $(ARGS)

.PHONY: bench-quote
bench-quote: build-bench ## Put the figures of the last `make bench` into docs/benchmark.md
	@$(TARGET)/release/corecast-bench quote $(REPORT)/report.json docs/benchmark.md
	@echo 'Put into docs/benchmark.md. Five of the figures are also in README.md, by hand: change them there, too.'

.PHONY: micro
micro: ## Time single pieces of code: codec, UTF-8, ring, fan-out; ARGS=utf8 picks by name
	$(CARGO) bench --package corecast $(MICRO) -- $(ARGS)

# The library and the program that drives valgrind for it must be of one version.
.PHONY: bench-instructions
bench-instructions: ## Count the instructions of the hot paths and compare with the run before
	@command -v valgrind >/dev/null || { \
		echo 'bench-instructions: no valgrind; install it with: apt-get install valgrind' >&2; exit 1; }
	@version=$$(awk '/^name = "gungraun-runner"/ { getline; print $$3 }' Cargo.lock | tr -d '"'); \
	if [ "$$($(TARGET)/tools/bin/gungraun-runner --version 2>&1)" != "gungraun-runner $$version" ]; then \
		$(CARGO) install gungraun-runner --version "$$version" --locked --root $(TARGET)/tools; fi
	@mkdir -p $(TARGET)/bench
	@PATH="$(abspath $(TARGET))/tools/bin:$$PATH" GUNGRAUN_HOME="$(abspath $(TARGET))/bench/instructions" \
	GUNGRAUN_SAVE_SUMMARY=json \
		$(CARGO) bench --package corecast --bench instructions -- $(ARGS) \
		| awk -f tools/instructions-table.awk | tee $(TARGET)/bench/instructions.txt
	@echo 'The same as text: $(TARGET)/bench/instructions.txt; as JSON: $(TARGET)/bench/instructions/'

# The load that `make flamegraph` draws: a scenario of `make bench`.
SCENARIO ?= echo-20B-p16
INFERNO := 0.12.8

.PHONY: flamegraph
flamegraph: ## Draw where the server's time goes under SCENARIO: target/bench/flamegraph.svg
	$(CARGO) build --release --package corecast --package corecast-bench
	@test -x $(TARGET)/tools/bin/inferno-flamegraph || \
		$(CARGO) install inferno --version $(INFERNO) --locked --root $(TARGET)/tools
	@$(RAISE_OPEN_FILES); tools/bench/flamegraph '$(SCENARIO)' $(TARGET)

.PHONY: reconnects
reconnects: ## Kill a server and let 20,000 clients come back at once; `make test` does it with 2,000
	@$(RAISE_OPEN_FILES); CORECAST_TEST_RECONNECTS=20000 $(CARGO) test --test quiet fault_kill_and_reconnect -- --nocapture

.PHONY: check-unit
check-unit: build ## Run the unit under a real systemd: start, three reloads, watchdog, stop; needs root and systemd
	@tools/deploy/check-unit $(TARGET)/release/corecast

.PHONY: restart-test
restart-test: ## Replace a server three times while 5,000 clients connect at 500/s; `make test` does it with 1,000
	@$(RAISE_OPEN_FILES); CORECAST_TEST_RESTART_CLIENTS=5000 $(CARGO) test --test quiet --test lifecycle -- --nocapture hand_over_storm hand_over_by_hand

# How long `make soak` holds its load.
MINUTES ?= 30

.PHONY: soak
soak: build ## Hold a load under attack for half an hour; fails if anything climbs: make soak MINUTES=5
	@$(RAISE_OPEN_FILES); tools/soak/run '$(MINUTES)' $(TARGET)

# The kernel's settings for a million connections; FILE=sysctl/40-corecast-ports.conf for one file.
FILE ?= $(sort $(wildcard sysctl/*.conf))

.PHONY: sysctl-check
sysctl-check: ## Compare the kernel's settings with the files in sysctl/, or with FILE; fails if something is to be set
	@tools/sysctl check $(FILE)

.PHONY: sysctl-apply
sysctl-apply: ## Set them until the next boot, printing from what to what; needs root
	@tools/sysctl apply $(FILE)

# Both ends on this machine, on as many threads as the limit of descriptors asks for.
SCALE = @mkdir -p $(TARGET)/scale; $(RAISE_OPEN_FILES); $(TARGET)/release/corecast-scale $(1) \
	--server $(TARGET)/release/corecast --load $(TARGET)/release/corecast-load $(ARGS)

.PHONY: build-scale
build-scale: build
	$(CARGO) build --release --package corecast-scale

.PHONY: scale-1m
scale-1m: build-scale ## Hold a million connections here for ten minutes, with heartbeats and broadcasts; 10 GB of memory
	$(call SCALE,hold --connections 1M --hold 10m --directory $(TARGET)/scale/1m)

.PHONY: scale-2m
scale-2m: build-scale ## Two million for three minutes; 20 GB of memory, and root where fs.file-max must be raised
	$(call SCALE,hold --connections 2M --hold 3m --directory $(TARGET)/scale/2m)

.PHONY: scale-cost
scale-cost: build-scale ## What a connection and a delivery cost from 10k to 2M, beside a loop of sends; an hour, 20 GB
	$(call SCALE,hold --connections 10k --hold 2m --publish-every 30s --directory $(TARGET)/scale/10k)
	$(call SCALE,hold --connections 100k --hold 2m --publish-every 30s --directory $(TARGET)/scale/100k)
	$(call SCALE,measure $(addprefix --connections ,10k 100k 1M 2M) --json $(TARGET)/scale/cost.json)

.PHONY: scale-report
scale-report: build-scale ## Put the figures of the three into docs/road-to-2-million.md
	$(TARGET)/release/corecast-scale report --cost $(TARGET)/scale/cost.json \
		$(addprefix --held $(TARGET)/scale/,10k 100k) $(addprefix --shown $(TARGET)/scale/,1m 2m)

.PHONY: clean
clean: ## Remove everything that was built or installed here
	$(CARGO) clean
