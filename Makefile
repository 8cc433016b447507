# The habits of this repository. `make` alone lists them; .ci/run calls the same targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# Where cargo builds, and where everything else that can be made again is kept.
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
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build for speed: target/release/corecast and target/release/corecast-load
	$(CARGO) build --release --package corecast --package corecast-load

.PHONY: run
run: build ## Build and start the server; prints the address of its chat page
	@echo
	@echo '  Chat page: http://127.0.0.1:8080/  (open it in two windows; Ctrl-C stops the server)'
	@echo
	@exec $(TARGET)/release/corecast serve --listen 127.0.0.1:8080 $(ARGS)

.PHONY: test
test: test-clients ## Run all tests of the workspace and print a summary
	@mkdir -p $(TARGET)
	@$(RAISE_OPEN_FILES); \
	$(CARGO) test --workspace --no-fail-fast $(ARGS) 2>&1 | tee $(TARGET)/test.log && status=0 || status=$$?; \
	awk -f tools/test-summary.awk $(TARGET)/test.log; \
	exit $$status

# Clients that somebody else wrote. Tests that need one that is missing say so and pass.
CLIENTS := $(TARGET)/test-clients
PYTHON_CLIENT := websockets==15.0.1
NPM_CLIENTS := ws@8.18.3 $(if $(shell command -v chromium chromium-browser google-chrome),puppeteer-core@24.10.0)

.PHONY: test-clients
test-clients: ## Install the foreign WebSocket clients that the tests use into target/
	@mkdir -p $(CLIENTS)
	@installed="$(PYTHON_CLIENT)"; \
	if [ "$$(cat $(CLIENTS)/python/installed 2>&1)" = "$$installed" ]; then :; \
	elif ! python3 -m pip --version >/dev/null 2>&1; then \
		echo 'test-clients: no python3 with pip: tests with the Python client will be skipped'; \
	elif python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade \
		--target $(CLIENTS)/python $(PYTHON_CLIENT); then \
		echo "$$installed" > $(CLIENTS)/python/installed; \
	else echo 'test-clients: pip failed: tests with the Python client will be skipped'; fi
	@installed="$(NPM_CLIENTS)"; \
	if [ "$$(cat $(CLIENTS)/node_modules/installed 2>&1)" = "$$installed" ]; then :; \
	elif ! node --version >/dev/null 2>&1 || ! npm --version >/dev/null 2>&1; then \
		echo 'test-clients: no node with npm: tests with the npm clients will be skipped'; \
	elif npm install --silent --no-save --no-audit --no-fund --prefix $(CLIENTS) $(NPM_CLIENTS); then \
		echo "$$installed" > $(CLIENTS)/node_modules/installed; \
	else echo 'test-clients: npm failed: tests with the npm clients will be skipped'; fi

.PHONY: lint
lint: ## Check formatting, clippy and the documentation; any warning fails
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --package corecast --no-default-features --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

# Without the control plane: tokio leaves its sockets out under cfg(loom).
.PHONY: loom
loom: ## Check the wake protocol between shards under the orders its threads may run in
	RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=$(TARGET)/loom CARGO_PROFILE_RELEASE_LTO=off \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		$(CARGO) test --lib --release --no-default-features mesh::waker 2>&1 | tee $(TARGET)/loom.log
	@grep -q '^test mesh::waker::model::.* ok$$' $(TARGET)/loom.log || { echo 'loom: no model ran'; exit 1; }

.PHONY: miri
miri: ## Run the tests without I/O under Miri (long); needs a nightly toolchain with it
	@if ! $(CARGO) +nightly miri --version >/dev/null 2>&1; then \
		echo 'miri: skipped; install it with: rustup toolchain install nightly --component miri'; exit 0; fi; \
	set -x; CARGO_TARGET_DIR=$(TARGET)/miri PROPTEST_CASES=4 \
	MIRIFLAGS='-Zmiri-disable-isolation -Zmiri-permissive-provenance' \
		$(CARGO) +nightly miri test --lib --no-default-features -- ws:: upgrade:: hub:: send_queue:: mesh:: router::

.PHONY: bench
bench: ## Measure the server beside this kernel's floors: a table and target/bench/report.json
	$(CARGO) build --release --package corecast --package corecast-bench
	@mkdir -p $(TARGET)/bench
	@$(RAISE_OPEN_FILES); \
	$(TARGET)/release/corecast-bench run --server $(TARGET)/release/corecast --json $(TARGET)/bench/report.json \
		$(foreach server,$(AGAINST),--against '$(server)') $(ARGS)
	@echo 'Every figure of every round: $(TARGET)/bench/report.json'

.PHONY: micro
micro: ## Time single pieces of code, such as the codec
	$(CARGO) bench --package corecast -- $(ARGS)

.PHONY: clean
clean: ## Remove everything that was built or installed here
	$(CARGO) clean
