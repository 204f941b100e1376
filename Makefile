# Plateward. `make` explains itself; everything needs Python 3.11+, make and a package registry, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
export PYTHONDONTWRITEBYTECODE = 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up test test-fast lint format gen lock opa docs fuzz tamper torture-audit bench-access bench-audit bench-hotlist wrong-stops bench-detectors histories bench-reads bench-recognizer outsider policy train eval clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[36mmake %-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Plateward needs Python 3.11 or newer: try  make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.runtime ## Install what running needs (hashed lock file)
setup-dev: $(VENV)/.dev ## Install what developing and testing need

demo: setup ## The whole platform on this machine, live (ARGS=--once ends by itself)
	@$(BIN)/python tools/opa.py > /dev/null || true
	@$(BIN)/plateward demo $(ARGS)

up: setup ## Start the five services with embedded defaults and keep them running
	@$(BIN)/plateward up $(ARGS)

test: setup-dev ## Set up and run all tests, with coverage
	@$(BIN)/python tools/opa.py || [ -z "$$CI" ]
	@$(BIN)/python tools/outsider.py || true
	$(BIN)/python -m pytest -q --cov --cov-report=term $(ARGS)

test-fast: setup-dev ## Unit tests only
	$(BIN)/python -m pytest -q tests/unit $(ARGS)

policy: setup-dev opa ## Policy conformance: OPA server and in-process engine must agree
	$(BIN)/python -m pytest -q tests/policy $(ARGS)

bench-hotlist: setup-dev ## Matching at 1 M entries, read to hit, swap of a list, each with its bar (ARGS="--only-matching")
	$(BIN)/python -m tests.load.bench_hotlist $(ARGS)

wrong-stops: setup-dev ## Precision and recall of hits over 100,000 generated reads, exact and tolerant
	$(BIN)/python -m tests.load.wrong_stops $(ARGS)

fuzz: setup-dev ## 10,000 mutated messages against each service (ARGS="--count 10000 --seed 1")
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: setup-dev ## Format, lint, types, import rules, spelling, generated code, protos
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python tools/protogen.py --check
	$(BIN)/python tools/protolint.py
	$(BIN)/python tools/docs.py --check
	$(BIN)/python tools/shape.py

format: setup-dev ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

gen: setup-dev ## Generate the stubs from proto/
	$(BIN)/python tools/protogen.py

docs: setup-dev ## Generate docs/traceability.md and docs/configuration.md
	$(BIN)/python tools/docs.py

lock: ## Compile the hashed lock files (needs uv on PATH)
	$(PYTHON) tools/lock.py

outsider: setup ## Build Tessera's fsck (needs Go): an independent check of the audit log
	@$(BIN)/python tools/outsider.py

tamper: setup-dev ## Alter the stored log 1,000 times as a database superuser; each must be found (ARGS="--count 1000 --seed 1")
	$(BIN)/python -m tests.tamper $(ARGS)

torture-audit: setup-dev ## kill -9 the log 50 times under 8 writers (ARGS="--kills 50")
	$(BIN)/python -m tests.torture_audit $(ARGS)

bench-access: setup-dev opa ## What a decision costs beside bare OPA (ARGS="--count 1000")
	$(BIN)/python -m tests.load.bench_access $(ARGS)

histories: setup-dev ## Random histories of retention, holds and killed purges (ARGS="--count 10000 --seed 1")
	$(BIN)/python -m tests.histories $(ARGS)

bench-reads: setup-dev ## Ingest, search and destruction beside raw psycopg (ARGS="--reads 10000000")
	$(BIN)/python -m tests.load.bench_reads $(ARGS)

bench-audit: setup-dev ## Appends, proofs, growth of the audit log, beside plain PostgreSQL (ARGS="--most 10000000")
	$(BIN)/python -m tests.load.bench_audit $(ARGS)

bench-detectors: setup-dev ## Recall and false flags of the misuse detectors on planted logs (ARGS="--seeds 20")
	$(BIN)/python -m tests.load.bench_detectors $(ARGS)

opa: setup ## Find OPA or install a pinned version into .tools/
	@$(BIN)/python tools/opa.py

train: ## Train detector and reader from ../shared/data (its own environment; see training/README.md)
	$(MAKE) -C training train PYTHON=$(PYTHON)

bench-recognizer: setup-dev ## Where a picture's time goes, the service beside the pipeline, cameras carried (ARGS="--most 64")
	$(BIN)/python -m tests.load.bench_recognizer $(ARGS)

eval: setup-dev ## Score the models on the benchmark photographs and on generated clips
	$(BIN)/python -m training.evaluate $(ARGS)
	$(BIN)/python -m training.passes

clean: ## Remove what was set up (environment, demo state, tools)
	rm -rf $(VENV) .plateward .tools build .coverage .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
