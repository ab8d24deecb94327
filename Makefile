# `make` shows what there is. Nothing outside this folder is written, but for system packages (which are announced).
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
FILES ?=
SIDE_BY_SIDE ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export GRPC_ENABLE_FORK_SUPPORT := 0
# Bytecode is kept even if the environment says otherwise: hundreds of programs are started here.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test soak lint format bench proto lock serve clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/ready ## Install everything into .venv (the other targets do it by themselves)

# The stamp holds this folder's path: a clone that was moved gets a new environment.
ifneq ($(shell cat $(VENV)/ready 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/ready
endif
$(VENV)/ready: requirements.lock pyproject.toml clients/python/pyproject.toml softhsm/system-packages
	@PYTHON="$(PYTHON)" softhsm/system-packages
	@echo "Setting up .venv ..." >&2
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {keep = 1} /^[a-z]/ && !/^uv==/ {keep = 0} keep' requirements.lock > $(VENV)/uv.lock
	@$(RUN) -m pip install --quiet --no-cache-dir --require-hashes --no-deps -r $(VENV)/uv.lock
	@$(RUN) -m uv pip install --quiet --no-cache --python $(RUN) --require-hashes --no-deps -r requirements.lock
	@$(RUN) -m uv pip install --quiet --no-cache --python $(RUN) --no-deps --no-build-isolation -e . -e clients/python
	@printf '%s\n' "$(CURDIR)" > $(VENV)/ready

demo: $(VENV)/ready ## Sign PDF letters and 10,000 digests on SoftHSM2 and verify them (your own: FILES="a.pdf b.pdf")
	@$(RUN) tests/demo/run.py $(FILES)

test: $(VENV)/ready ## Run the test suite (build/test/junit.xml)
	@PYTHON="$(PYTHON)" softhsm/system-packages test
	@mkdir -p build/test
	@$(RUN) -m pytest --numprocesses=$(SIDE_BY_SIDE) --dist=loadfile --no-loadscope-reorder --junit-xml=build/test/junit.xml $(ARGS)

soak: $(VENV)/ready ## Restart with a stale PIN, then kill daemon and workers for hours (CYCLES=10000); check what is left
	@PYTHON="$(PYTHON)" softhsm/system-packages test
	@SEGEL_PIN_RESTARTS=20 $(RUN) -m pytest -s tests/e2e/test_stale_pin.py tests/process/card/test_card_stale_pin.py
	@SEGEL_CRASH_CYCLES=$${CYCLES:-10000} $(RUN) -m pytest -s tests/crash/test_crash_loop.py $(ARGS)

lint: $(VENV)/ready ## Check style, types, layers, protos, and that generated code is current
	@$(RUN) -m ruff check --quiet .
	@$(RUN) -m ruff format --quiet --check .
	@$(RUN) -m mypy
	@$(RUN) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-cache
	@$(RUN) proto/generate.py --check

format: $(VENV)/ready ## Format the sources
	@$(RUN) -m ruff check --quiet --fix-only .
	@$(RUN) -m ruff format --quiet .

bench: $(VENV)/ready ## Measure segel beside plain loops over the module (quick: ARGS=--quick; build/bench/bench.png)
	@PYTHON="$(PYTHON)" softhsm/system-packages test
	@$(RUN) tests/bench/run.py $(ARGS)

proto: $(VENV)/ready ## Lint the protos and generate the stubs
	@$(RUN) proto/generate.py

lock: $(VENV)/ready ## Resolve the dependencies anew
	@$(RUN) -m uv pip compile --quiet --no-cache --upgrade --universal --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --all-extras --group develop --no-emit-package segel --no-emit-package segeld \
	  pyproject.toml clients/python/pyproject.toml -o requirements.lock

serve: $(VENV)/ready ## Run a daemon on throw-away SoftHSM2 tokens (kept in build/dev) until Ctrl-C
	@$(RUN) -m segeld dev --dir build/dev

clean: ## Remove everything that was made here
	@rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
