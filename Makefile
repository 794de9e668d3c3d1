# Every target sets itself up: the first run makes .venv, later runs find it.
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
PIP := .venv/bin/pip install -q --disable-pip-version-check --no-deps
PIP_LOG := .venv/pip.log
STAMP := .venv/.halyard-$(shell cat requirements/cpu.txt pyproject.toml | sha256sum | cut -c1-16)
TORCH := $(shell sed -n 's/^torch==//p' requirements/cpu.txt)
TORCH_INDEX := https://download.pytorch.org/whl/cpu

.PHONY: help setup quickstart test unit lint format serve bench bench-rl bench-rewards bench-serving docs lock clean
.DEFAULT_GOAL := help

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 23

setup: $(STAMP) ## Make .venv with the pinned packages (quick when it is there)
	@:

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null || \
	  { echo "Halyard needs Python 3.11 (or 3.12), and '$(PYTHON)' is not that. Install it, or name it: make setup PYTHON=/path/to/python3.11"; exit 2; }
	@echo "Setting up .venv (about 4 GB, a few minutes on a slow line) ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@# A plain torch brings several GB of CUDA packages, so the CPU build comes first, from PyTorch's own index if need be.
	@$(PIP) "torch==$(TORCH)" 2>$(PIP_LOG) || $(PIP) "torch==$(TORCH)" --index-url $(TORCH_INDEX) 2>>$(PIP_LOG) || \
	  { grep -s ERROR $(PIP_LOG) | tail -2; echo "No CPU build of torch $(TORCH) was found, neither on your package index nor on PyTorch's. Check the network, or your pip configuration, and run make setup again."; exit 2; }
	@$(PIP) -r requirements/cpu.txt -e . 2>>$(PIP_LOG) || \
	  { grep -s ERROR $(PIP_LOG) | tail -2; echo "Not every package could be installed; what pip said is in $(PIP_LOG). Run make setup again."; exit 2; }
	@rm -f .venv/.halyard-*; touch $@
	@echo "Set up. '. .venv/bin/activate' gives you the halyard command."

quickstart: $(STAMP) ## Run the whole pipeline on this machine's CPU (about thirteen minutes)
	@$(BIN)/halyard run quickstart

test: $(STAMP) ## All tests: unit, integration and end to end
	@$(BIN)/python -m pytest tests/unit tests/integration tests/e2e

unit: $(STAMP) ## The unit tests alone (half a minute)
	@$(BIN)/python -m pytest tests/unit

lint: $(STAMP) ## Style, types and the order of imports between packages
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-cache && $(BIN)/pyright

format: $(STAMP) ## Put the code in the house style
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

serve: $(STAMP) ## Serve the quickstart's snapshots over HTTP (RUN=DIR serves another run's)
	@run="$(or $(RUN),$(shell ls -d runs/quickstart-* 2>/dev/null | tail -1))"; test -n "$$run" || \
	  { echo "There is no run of the quickstart in runs/ yet: 'make quickstart' makes one (about thirteen minutes); or name another run: make serve RUN=runs/NAME" >&2; exit 2; }; \
	  exec $(BIN)/halyard serve "$$run"

bench: bench-rl bench-rewards bench-serving ## All three benchmarks, one after the other

bench-rl: $(STAMP) ## Where the time of an RL step goes
	@$(BIN)/python -m bench.rl_step

bench-rewards: $(STAMP) ## Verdicts a second, beside plain math-verify
	@$(BIN)/python -m bench.rewards

bench-serving: $(STAMP) ## The service beside vLLM's own server: tokens a second and the time to the first text
	@$(BIN)/python -m bench.serving

docs: $(STAMP) ## Write docs/configuration.md anew from the schema
	@$(BIN)/python -m configs.document

lock: $(STAMP) ## Resolve requirements/cpu.in anew
	@$(BIN)/pip install -q uv && requirements/lock

clean: ## Remove .venv and what tests left behind
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache && find . -name __pycache__ -type d -prune -exec rm -rf {} +
