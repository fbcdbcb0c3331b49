# make reproduce: everything from a fresh clone to results/report.html. make test: the tests.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests to run: `make test TESTS=tests/units`. Those on a real SLURM spend minutes waiting for it;
# .ci/run and `make test-cluster` run them.
TESTS ?= tests --ignore=tests/cluster

# A user without a home, as in a container, has caches here.
ifneq ($(shell test -w ~ && { test ! -e ~/.cache || test -w ~/.cache; } && echo yes),yes)
export XDG_CACHE_HOME ?= $(CURDIR)/.snakemake/home/.cache
endif
# With this variable, `python -m workflow_scripts...` would not look in this folder.
unexport PYTHONSAFEPATH

# The options of the run that was killed: `make resume ARGS="--workflow-profile profiles/slurm"`.
ARGS ?=

.PHONY: setup reproduce quick stop resume test test-cluster test-load bench check schema lock help

help:
	@echo "make setup      set up alone"
	@echo "make reproduce  set up, run the first two studies on CIFAR-10 (half an hour on 2 cores), report"
	@echo "make quick      the same on less data, in four minutes"
	@echo "make stop       end a run of this folder and its jobs; nothing finished is lost"
	@echo "make resume     continue after a run was killed (docs/reliability.md)"
	@echo "make test       set up and run the tests, without the cluster (TESTS=tests/units: some)"
	@echo "make test-cluster  run the cluster tests on a real SLURM with four nodes on this machine (Debian)"
	@echo "make test-load     run a thousand jobs and interrupt a run a hundred times (hours)"
	@echo "make bench      time this project against other tools (half an hour on 2 cores)"
	@echo "make check      check formatting, lint, types and generated schemas"
	@echo "make schema     generate rules/schemas from the typed sections of the configuration"
	@echo "make lock       resolve requirements*.in again"

setup: $(VENV)/.ready

# pip installs uv, and uv installs everything else; both check hashes. Compiled bytecode saves two
# seconds at every job's start.
$(VENV)/.ready: requirements-setup.txt requirements.txt workflow_scripts/advtransfer/home.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null || \
	  { echo "error: this Python lacks venv (on Debian: apt-get install python3-venv)."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-setup.txt
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.txt
	$(BIN)/python workflow_scripts/advtransfer/home.py
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.txt
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

reproduce: setup
	$(BIN)/snakemake
	@$(BIN)/python -m workflow_scripts.show_results results

quick: setup
	$(BIN)/snakemake --configfile configs/quick.yaml
	@$(BIN)/python -m workflow_scripts.show_results results/quick

# Without `setup`: after an update it would install packages before it stops anything.
stop:
	@test -x $(BIN)/python || { echo "error: no $(BIN)/python; run make setup first."; exit 1; }
	$(BIN)/python -m workflow_scripts.stop

resume: setup
	$(BIN)/python -m workflow_scripts.resume -- $(ARGS)

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

test-cluster: $(VENV)/.ready-dev
	tests/cluster/install.sh accounting
	ADVTRANSFER_REQUIRE_CLUSTER=1 $(BIN)/python -m pytest tests/cluster -m "long or not long"

test-load: $(VENV)/.ready-dev
	tests/cluster/install.sh
	$(BIN)/python -m pytest tests/load -m long -s

bench: $(VENV)/.ready-dev
	$(BIN)/python -m benchmarks

check: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" snakefmt --check Snakefile rules
	$(BIN)/python -m workflow_scripts.config.schema --check

schema: $(VENV)/.ready
	$(BIN)/python -m workflow_scripts.config.schema --output rules/schemas

lock: $(VENV)/.ready
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --overrides requirements-overrides.in requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements-kubernetes.in -o requirements-kubernetes.txt
