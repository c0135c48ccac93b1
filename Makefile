# Every target does its own set-up: a machine needs python3 (3.11 or newer) and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt
VENV_PACKAGE := $(notdir $(PYTHON))-venv
EVERYTHING := train,ray,s3,huggingface,cleaning,sweep,presidio,music,judge,local-judge,moderation,onnx,timm,operator,tracing,dev
CLUSTER := PYTHONPATH=tests/cluster $(BIN)/python -m testcluster

# Where it is set, as in many container images, every process would compile raygen and its dependencies from their sources.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo quick test test-all test-cluster test-cuda check bench findings constraints generate images clean \
  cluster-up cluster-down cluster-status soak

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

setup: $(VENV)/installed-dev ## install raygen and all tools into .venv

demo: $(VENV)/installed-train ## train a small language model on Shakespeare and write its report
	$(BIN)/raygen train examples/01-gpt-tiny.yaml --output runs

# As many processes as there are cores, each with one thread; more threads would only wait for each other.
quick test test-all test-cluster: export OMP_NUM_THREADS ?= 1
PARALLEL := --numprocesses logical --maxprocesses 8
# Tests that start API servers of their own; the others share the nodes of one cluster.
SERVERS := $(addprefix tests/cluster/,installing operator seeing)

quick: $(VENV)/installed-dev ## unit and property tests; no network
	$(BIN)/python -m pytest tests/unit $(PARALLEL) --dist worksteal

test: quick ## all tests that need no cluster, but for a dozen that take long
	$(BIN)/python -m pytest tests/integration -m 'not long' $(PARALLEL) --dist loadfile

test-all: quick ## all tests that need no cluster
	$(BIN)/python -m pytest tests/integration $(PARALLEL) --dist loadfile

test-cluster: $(VENV)/installed-dev ## tests on a real Kubernetes that this makes; Linux and root
	$(BIN)/python -m pytest $(SERVERS) $(PARALLEL) --dist loadfile
	$(BIN)/python -m pytest tests/cluster $(SERVERS:%=--ignore=%)

test-cuda: $(VENV)/installed-dev ## tests on a CUDA device; not part of CI
	$(BIN)/python -m pytest tests/cuda

cluster-up: $(VENV)/installed-dev ## start that Kubernetes, or bring it the project's image as it is now; WITH=kueue: and a part
	@$(CLUSTER) up $(addprefix --with ,$(WITH))

cluster-down: $(VENV)/installed-dev ## end it, and leave nothing but what was built
	@$(CLUSTER) down

cluster-status: $(VENV)/installed-dev ## its machines, nodes and pods
	@$(CLUSTER) status

soak: cluster-up ## properties on 20 times as many examples, then 20 jobs on that Kubernetes and 50 kills at random moments
	RAYGEN_TEST_BUDGET=20 $(BIN)/python -m pytest tests/unit -m hypothesis --timeout 0 $(PARALLEL) --dist worksteal
	PYTHONPATH=.:tests/cluster $(BIN)/python benchmarks/soak.py

images: $(VENV)/installed-dev ## build the images `train` and `operator` with buildah or docker
	$(BIN)/python tools/images.py $(if $(BASE),--base $(BASE))

check: $(VENV)/installed-dev ## lint, format, types, import contracts, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tools.generate --check

generate: $(VENV)/installed-dev ## write the generated files
	PYTHONPATH=tests/cluster $(BIN)/python -m tools.generate

bench: $(VENV)/installed-dev ## measure speed, quality and recovery; NANOGPT=folder, PYTORCH_EXAMPLES=folder: those peers too
	$(BIN)/python benchmarks/run.py $(if $(NANOGPT),--nanogpt $(NANOGPT),--without-nanogpt) \
		$(if $(PYTORCH_EXAMPLES),--pytorch-examples $(PYTORCH_EXAMPLES),--without-pytorch-examples)

findings: $(VENV)/created ## see whether other software still surprises as findings/ says; installs it in temporary folders
	PATH="$(abspath $(BIN)):$$PATH" findings/run.sh

constraints: $(VENV)/installed-dev ## resolve the newest versions into constraints.txt
	$(BIN)/python tools/constraints.py

clean: ## remove what the targets above made, except runs
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "raygen needs Python 3.11 or newer, and $(PYTHON) is not that." >&2; \
	  echo "Name one that is: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  if [ "$$CI" = true ] && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $(VENV_PACKAGE); \
	  else \
	    echo "$(PYTHON) cannot make virtual environments: its modules venv and ensurepip are missing." >&2; \
	    echo "On Debian and Ubuntu: apt-get install $(VENV_PACKAGE)" >&2; exit 2; \
	  fi; }
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt uv || \
	  echo "uv cannot be had here; pip installs instead, which is slower."
	@touch $@

# $(1): the extras. uv where there is one, else pip; both take the same options.
define install
	@echo "Installing raygen[$(1)] into $(VENV). PyTorch is a large download; later calls skip this."
	@if [ -x $(BIN)/uv ]; then \
	  $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[$(1)]'; \
	else \
	  $(BIN)/python -m pip install --constraint constraints.txt --editable '.[$(1)]'; \
	fi
endef

$(VENV)/installed-train: $(INPUTS) | $(VENV)/created
	$(call install,train)
	@touch $@

# Holds what the target above holds, and more.
$(VENV)/installed-dev: $(INPUTS) | $(VENV)/created
	$(call install,$(EVERYTHING))
	@touch $@ $(VENV)/installed-train
