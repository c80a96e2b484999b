# `make` alone lists what there is. Everything runs in .venv, which is made anew when its pins change.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.installed

# Nothing phones home.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export RAY_USAGE_STATS_ENABLED := 0
# What is started finds the same Python by the name `python`. Not exported: setup must not find the one it replaces.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: help setup demo ui test test-slow faults lint docs format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SETUP) ## create .venv with the pinned dependencies

# An environment has absolute paths: one that was moved or copied with its checkout is made anew, here.
ifneq ($(wildcard $(SETUP)),)
ifneq ($(shell grep -cF -- ' $(realpath $(VENV))' $(VENV)/pyvenv.cfg),1)
$(SETUP): moved
endif
endif
.PHONY: moved
moved:
	@echo 'The environment was made elsewhere; a new one is made here.'
	@rm -f $(SETUP)

# The stamp is written last. Without it a .venv is half done and made anew; with it, brought up to date.
$(SETUP): pyproject.toml constraints.txt
	@base=$$($(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11); print(sys._base_executable)' 2>/dev/null) || \
	    { echo 'make: $(PYTHON) is not Python 3.11 or newer; name one: make PYTHON=python3.12' >&2; exit 1; }; \
	test -f $@ || "$$base" -m venv --clear $(VENV) || \
	    { echo 'make: $(PYTHON) cannot create $(VENV); on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@rm -f $@
	@echo 'Installing the pinned dependencies into $(VENV) (a few minutes, once).'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev,cluster]'
	@touch $@

demo: $(SETUP) ## train the families on real digits (about ten minutes on two cores) and show the runs
	@$(RUN) gen demo

ui: $(SETUP) ## look at the runs in MLflow on localhost (make ui PORT=5001: on another port)
	@$(RUN) gen ui $(if $(PORT),--port $(PORT))

test: $(SETUP) ## the test suite (at most 12 minutes)
	@$(RUN) python -m pytest -m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-slow: $(SETUP) ## the tests that take longer
	@$(RUN) python -m pytest -m slow $(ARGS)

faults: $(SETUP) ## what kills, full disks and outages cost a training: the table of docs/reliability.md (half an hour)
	@$(RUN) python -m tests.faults $(ARGS)

lint: $(SETUP) ## formatting, lint, types, and who may import whom
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(SETUP) ## the documentation with the API reference, into site/ (open site/index.html)
	@$(BIN)/zensical build --strict --clean 2>&1 | awk '{ print } /^griffe:/ { wrong = 1 } END { exit wrong }'

format: $(SETUP) ## let ruff format and fix what it can, and write paper/dvc.yaml
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(RUN) gen full-size

clean: ## delete .venv and the tools' caches; data, models and runs stay
	rm -rf $(VENV) site .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find gen pipelines tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
