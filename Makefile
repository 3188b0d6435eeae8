# Every target sets up what it needs: Python 3.11 or newer and make are enough.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test soak lint bench bench-quick bench-full bench-console chaos snapshots reference lock clean FORCE

# Empty unless the caller named one; then a .venv of another Python is replaced.
requested_python := $(if $(filter undefined,$(origin PYTHON)),,$(PYTHON))
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
READY := $(VENV)/.ready

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  USERS=2000           how many people the demo has'
	@echo '  ARGS="-k name -x"    more arguments for demo, test, soak, bench, chaos, snapshots and lock'
	@echo '  WORKERS=4            how many test processes (default: three for each core)'
	@echo '  PYTHON=python3.12    the Python that .venv is made with (default: python3)'

demo: $(READY) ## Start the console on sample data; nothing else has to run
	@$(BIN)/opsconsole demo $(if $(USERS),--users $(USERS)) $(ARGS)

# The tests start hundreds of processes that import the same files: compile them once, even if the caller has this set.
compiled := PYTHONDONTWRITEBYTECODE=

test: $(READY) ## Run the tests, in parallel; without those marked soak
	@$(BIN)/python -m compileall -qq opsconsole jobs screens tests
	@$(compiled) $(BIN)/python -m pytest -n $(or $(WORKERS),auto) --dist worksteal -m "not soak" $(ARGS)

soak: $(READY) ## Run the tests that need minutes of real time (ARGS="--budget 480" stops in time)
	@$(compiled) $(BIN)/python -m pytest -n $(or $(WORKERS),auto) --dist worksteal -m soak --timeout 1800 $(ARGS)

lint: $(READY) ## Check style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY) ## Measure performance with 10,000 users (ARGS="jobs --publish" for one part, published in the docs)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(READY) ## Measure performance with 1,000 users, in under two minutes
	@$(BIN)/python -m benchmarks --quick $(ARGS)

bench-full: $(READY) ## Measure performance with 100,000 users, and with 1,000,000 for three jobs
	@$(BIN)/python -m benchmarks --full $(ARGS)

bench-console: $(READY) ## Measure the console on a terminal: start, keys, idle, memory
	@$(BIN)/python -m benchmarks.console $(ARGS)

chaos: $(READY) ## Kill and pause real processes by the thousand, and try the tests with guards taken out
	@$(BIN)/python -m tests.faults $(ARGS)

snapshots: $(READY) ## Accept how the screens look now
	@$(BIN)/python -m pytest tests/screens --snapshot-update $(ARGS)

reference: $(READY) ## Generate the tables of docs/reference.md from the code
	@$(BIN)/python -m tests.reference

lock: $(READY) ## Renew requirements.lock from pyproject.toml (ARGS=--upgrade for newer releases)
	@$(BIN)/uv pip compile pyproject.toml --all-extras --quiet --universal --python-version 3.11 \
	    --only-binary :all: --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links \
	    --custom-compile-command 'make lock' --output-file requirements.lock $(ARGS)

clean: ## Remove .venv and everything that was built
	@rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache snapshot_report.html
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- .venv ---------------------------------------------------------------------------------------------------------
# Two steps, each with a stamp written last, so that an interrupted one is repeated. The first empties .venv and installs
# what is locked; the second links this checkout into it, which is all that a change of pyproject.toml needs.
# A .venv whose Python is gone, that was moved with its folder, or that was made with another Python than the requested one, is replaced.

ifneq ($(shell $(BIN)/python -c '' 2>/dev/null && grep -qxF "in $(CURDIR)" $(LOCKED) 2>/dev/null && \
    { [ -z "$(requested_python)" ] || grep -qxF "by $(requested_python)" $(LOCKED); } && echo usable),usable)
$(LOCKED): FORCE
endif

FORCE:

pip := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input

$(LOCKED): requirements.lock
	@command -v "$(PYTHON)" >/dev/null || \
	    { echo 'opsconsole needs Python 3.11 or newer, and there is no $(PYTHON) here; name one: make PYTHON=/path/to/python3 $(MAKECMDGOALS)' >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("opsconsole needs Python 3.11 or newer, and $(PYTHON) is %d.%d; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" % sys.version_info[:2])'
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo '$(PYTHON) cannot make a virtual environment; on Debian or Ubuntu install its missing part: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Making $(VENV) from requirements.lock (once, half a minute) ...' >&2
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(pip) install --no-compile --only-binary :all: --require-hashes -r requirements.lock
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true # on all cores, where pip uses one
	@printf '%s\n' "in $(CURDIR)" 'by $(PYTHON)' > $@

$(READY): $(LOCKED) pyproject.toml
	@$(pip) install --no-index --no-deps --no-build-isolation --editable .
	@touch $@
