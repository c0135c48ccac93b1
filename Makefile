# Every target does its own set-up: a machine needs python3 (3.11 or newer) and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
INPUTS := pyproject.toml constraints.txt
export OMP_NUM_THREADS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo quick test check bench constraints generate clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

setup: $(STAMPS)/dev ## install raygen and all tools into .venv

demo: $(STAMPS)/train ## train a small language model on Shakespeare, then open its report
	$(BIN)/raygen train examples/01-gpt-tiny.yaml

quick: $(STAMPS)/dev ## unit and property tests; no network
	$(BIN)/python -m pytest tests/unit

test: quick ## all tests that need no cluster
	$(BIN)/python -m pytest tests/integration

check: $(STAMPS)/dev ## lint, format, types, import contracts, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/generate.py --check

generate: $(STAMPS)/dev ## write the generated files
	$(BIN)/python tools/generate.py

bench: $(STAMPS)/dev ## measure speed, quality and recovery; writes benchmarks/results
	$(BIN)/python benchmarks/run.py

constraints: $(STAMPS)/dev ## resolve the newest versions into constraints.txt
	$(BIN)/python tools/constraints.py

clean: ## remove what the targets above made
	rm -rf $(VENV) $(STAMPS) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "raygen needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv

$(STAMPS)/train: $(INPUTS) | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[train]'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: $(INPUTS) | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[train,dev]'
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/train
