# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` set up what they need; nothing else has to be run first.
.PHONY: help demo demo-exchange test test-slow chaos soak fuzz bench bench-growth slither sbom lint types imports contracts docs setup setup-demo format clean
# Set-up comes before whatever uses it, also under make -j.
.NOTPARALLEL:
PY := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help:
	@printf '%s\n' \
	  'make demo        the main job, end to end, on a chain of its own' \
	  'make demo-exchange  departments ask each other, one hides it, the audit names it' \
	  'make test        lint, types, import rules, contracts, all fast tests (under 15 minutes on 2 cores)' \
	  'make test-slow   chaos: kill, crash, put back, days of the chain' \
	  'make chaos       that, and random lives of nodes for as long as you say: SECONDS=3600' \
	  'make fuzz        hostile input for every parser, 100,000 cases each: CASES=5000 MINUTES=10 for less' \
	  'make bench       measure; writes build/bench.json and docs/performance.md' \
	  'make bench-growth  a log grows to ten million records: ROWS=1000000 for fewer' \
	  'make slither     static analysis of the contracts; each weighty finding has to be explained' \
	  'make sbom        bill of materials, CycloneDX, to build/sbom.cdx.json' \
	  'make docs        rewrite the pages of docs/ that are derived from the program' \
	  'make format      rewrite the sources in the one format'

setup:
	@.ci/setup test

setup-demo:
	@.ci/setup demo

demo: setup-demo
	@$(PY) -m cli.demo

demo-exchange: setup-demo
	@$(PY) -m cli.demo.exchange

test: setup lint types imports contracts
	@$(PY) -m pytest -m 'not slow' -n 2 --dist loadfile --max-worker-restart 0

test-slow: setup slither
	@$(PY) -m pytest -m slow -n 2 --dist loadfile --max-worker-restart 0

# For as long as you say: one life of a node in this process takes about a second, the rest goes to a real one.
SECONDS ?= 600
chaos: setup
	@IRONCAGE_SOAK_SECONDS=$(SECONDS) IRONCAGE_MACHINE_EXAMPLES=$(SECONDS) \
	  $(PY) -m pytest -m slow tests/chaos tests/property/test_node_machine.py tests/property/test_exchange_machine.py -o timeout=$$(($(SECONDS) * 4 + 1200))
soak: chaos

CASES ?= 100000
MINUTES ?= 0
fuzz: setup
	@.tools/uv/bin/uv sync --frozen --quiet --inexact --group fuzz || printf '%s\n' 'fuzz: atheris could not be installed; Hypothesis takes its place'
	@$(PY) -m tests.fuzz --cases $(CASES) --minutes $(MINUTES)

bench: setup
	@$(PY) -m tests.bench

ROWS ?= 10000000
bench-growth: setup
	@$(PY) -m tests.bench --only growth --rows $(ROWS)

# In an environment of its own, see contracts/slither/pyproject.toml.
slither: setup
	@.tools/uv/bin/uv sync --quiet --frozen --project contracts/slither --python $(PY)
	@$(PY) -m contracts.slither

sbom: setup
	@$(PY) -m tests.supply

lint:
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

types:
	@.venv/bin/mypy

imports:
	@.venv/bin/lint-imports

contracts:
	@$(PY) -m contracts.build --check
	@$(PY) -m contracts.build --test

docs: setup
	@$(PY) -m tests.docs.write

format:
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

clean:
	rm -rf build .demo .demo-exchange .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache contracts/out contracts/cache
