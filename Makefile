# One word per job. `make dev` makes .venv with everything in it; the others call it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OFFICIAL := .venv-official
TOOLS := .tools
PEERS := $(patsubst %,.peers/%/installed,$(shell sed -n 's/==.*//p' benches/peers.txt))
# `make test MATURIN_FLAGS=` builds without optimisation: quicker, and too slow for the tests of speed.
MATURIN_FLAGS ?= --release
CARGO_DENY_VERSION := 0.20.2
PIP := $(BIN)/python -m pip install --quiet
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The same for cargo and maturin, or each would have pyo3 compiled again after the other.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python

.PHONY: help dev local-wheels tutorial test test-rust test-python test-pythons soak bench bench-quick profile instructions engine official format lint lint-rust lint-python record-wire licenses wheels clean

help:
	@echo 'make tutorial   build, start a local hub, run the three steps of the tutorial'
	@echo 'make test       build and pass all tests'
	@echo 'make soak       pass the tests of endurance in full: a thousand kills, a million messages'
	@echo 'make bench      measure beside other packages; fails below a target (make bench-quick: in three minutes)'
	@echo 'make profile    show where the CPU time of a message goes (needs perf)'
	@echo 'make lint       formats, lints, types, layers, licences'
	@echo 'make format     format Rust and Python'
	@echo 'make wheels     manylinux wheels for x86-64 and aarch64, in dist/'
	@echo 'make dev        only build: .venv holds ferrohub, ferrohub-azure and the tools'

# --- building -----------------------------------------------------------------------------------------------------

$(VENV)/tools: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --requirement requirements-dev.txt
	@touch $@

# The distribution's real layout, not an editable one: its point is where its files lie (dropin/README.md).
$(VENV)/dropin: $(VENV)/tools $(shell find dropin -type f -not -path '*/__pycache__/*')
	$(PIP) msrest
	$(PIP) --no-deps --no-build-isolation --force-reinstall ./dropin
	@touch $@

dev: $(VENV)/tools $(VENV)/dropin
	@$(BIN)/maturin develop --locked $(MATURIN_FLAGS)

# For this machine only, from the same build: what the tests install into environments of their own.
local-wheels: dev
	@rm -rf build/wheels
	@$(BIN)/maturin build --quiet --locked $(MATURIN_FLAGS) --compatibility linux --out build/wheels
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheels ./dropin

$(OFFICIAL)/installed: requirements-official.txt
	$(PYTHON) -m venv $(OFFICIAL)
	$(OFFICIAL)/bin/python -m pip install --quiet --requirement requirements-official.txt
	@touch $@

official: $(OFFICIAL)/installed

# --- running and testing ------------------------------------------------------------------------------------------

tutorial: dev
	@$(BIN)/python scripts/tutorial.py

test: test-rust test-python test-pythons instructions

test-rust:
	cargo test --locked --quiet

# Two processes for two cores. In the order of the files: those with the fewest tests are not those that take least.
test-python: dev local-wheels official
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder -m "not alone and not soak"
	$(BIN)/python -m pytest -m "alone and not soak"

# The suite runs on one Python, the tutorial on the others that are found.
test-pythons: local-wheels
	@$(BIN)/python scripts/other_pythons.py build/wheels 3.9 3.10 3.11 3.12 3.13 3.14

# What `make test` does a tenth of.
soak: dev
	$(BIN)/python -m pytest -m soak

# All in one run against the same brokers: benches/rows.py has the rows and targets. `make bench ROUNDS=5`
bench: dev official engine $(PEERS)
	$(BIN)/python benches/run.py --keep benches/results

bench-quick: dev official engine $(PEERS)
	$(BIN)/python benches/run.py --quick

# Where the CPU time of a message goes; needs perf.
profile: dev engine
	$(BIN)/python benches/cpu_profile.py

# What a message takes on the hot paths, held against benches/instructions.json; needs valgrind.
instructions: dev
	@$(BIN)/python benches/instructions.py

engine: $(VENV)/tools
	cargo build --locked --release --example engine
	cargo build --locked --release --manifest-path benches/rumqttc/Cargo.toml --target-dir $${CARGO_TARGET_DIR:-target}

.peers/%/installed: benches/peers.txt
	$(PYTHON) -m venv .peers/$*
	grep '^$*==' $< | .peers/$*/bin/python -m pip install --quiet --requirement /dev/stdin
	@touch $@

# --- linting ------------------------------------------------------------------------------------------------------

format: $(VENV)/tools
	cargo fmt
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lint: lint-rust lint-python

lint-rust: $(VENV)/tools $(TOOLS)/bin/cargo-deny
	cargo fmt --check
	cargo clippy --locked --quiet --all-targets -- -D warnings
	cargo clippy --locked --quiet --all-targets --features python -- -D warnings
	scripts/check_windows.sh
	scripts/check_layers.sh
	scripts/check_dependencies.sh $(TOOLS)/bin/cargo-deny
	$(BIN)/python scripts/third_party_licenses.py --check

lint-python: dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	test -f python/ferrohub/_native.pyi  # without it stubtest would find nothing to compare
	$(BIN)/python -m mypy.stubtest ferrohub._native

$(TOOLS)/bin/cargo-deny:
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --quiet --profile dev --root $(TOOLS) --target-dir $(TOOLS)/target
	rm -rf $(TOOLS)/target

# What the official package sends to Mosquitto: tests/golden/wire.
record-wire: dev official
	PYTHONPATH=tests/python $(BIN)/python -m wire.record

licenses:
	$(PYTHON) scripts/third_party_licenses.py

# --- releasing ----------------------------------------------------------------------------------------------------

# zig, from PyPI in .venv, is the linker that knows old glibc versions and other processors.
wheels: $(VENV)/tools
	rustup target add aarch64-unknown-linux-gnu
	for target in x86_64 aarch64; do \
	  PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/maturin build --release --locked --zig --compatibility manylinux_2_28 \
	    --target $$target-unknown-linux-gnu --out dist || exit; \
	done
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ./dropin

clean:
	rm -rf $(VENV) $(OFFICIAL) $(TOOLS) .peers dist target
