# Needs make, a C compiler and Python 3.12 or 3.13; everything else goes into .venv.
#   make run PYTHON=/path/to/python3.12     with a certain interpreter
#   make run ARGS="seed=1"                  with more settings for homog-run (for test and bench: their options)

VENV ?= .venv
LOCK ?= requirements.lock
HOMOG_HOME ?= outputs
PORT ?= 5000

BIN := $(VENV)/bin
DEPENDENCIES := $(VENV)/.dependencies
STAMP := $(VENV)/.stamp
STORE := $(HOMOG_HOME)/mlflow.db

# The stamp names the folder it was made in: environments cannot be moved.
STALE := $(shell test -x $(BIN)/python && test "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" || echo stale)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-all lint format ui bench docs lock store always

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv with the pinned dependencies and the package; a second call installs nothing

run: setup ## solve the paper's linear problem at eps = 0.01
	$(BIN)/homog-run problem=linear eps=0.01 $(ARGS)

test: setup ## run the tests, except those marked slow
	$(BIN)/pytest -n auto --dist worksteal -m "not slow" $(ARGS)

test-all: setup ## run all tests
	$(BIN)/pytest -n auto --dist worksteal $(ARGS)

lint: setup ## check format, style, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: setup ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ui: store setup ## show the recorded runs in MLflow's UI on 127.0.0.1
	@# with one worker, Ctrl-C would end in a traceback
	@echo "MLflow's UI: http://127.0.0.1:$(PORT) (Ctrl-C ends it); choose 'Model training' at the top left"
	@store=$$(cd "$(HOMOG_HOME)" && pwd)/mlflow.db && \
	    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
	    exec $(BIN)/mlflow ui --workers 2 --backend-store-uri "sqlite:///$$store" --host 127.0.0.1 --port $(PORT)

bench: setup ## measure everything, in a quarter of an hour; writes docs/performance.md and bench.json
	$(BIN)/python scripts/bench.py $(ARGS)

docs: setup ## run the examples, and make docs/gallery.md from them (ARGS=linear: that one alone)
	$(BIN)/python scripts/gallery.py $(ARGS)

lock: setup ## write requirements.lock after a change of dependencies (ARGS=--upgrade: newest versions); fetches uv
	$(BIN)/python -m pip install uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.12 $(ARGS) \
	    --no-emit-index-url --no-header --no-annotate --quiet --output-file $(LOCK)

store:
	@test -f "$(STORE)" || { echo "no runs are recorded yet: there is no $(STORE); make run records one" >&2; exit 1; }

# An environment that works and lies where it was made is kept, and what an interrupted pip left is finished.
# pip's own first line tells: it holds the place the environment was made for, and an absent or broken pip has none.
$(DEPENDENCIES): $(LOCK) $(if $(STALE),always)
	@rm -f $@ $(STAMP)
	@if PYTHON=$(BIN)/python scripts/find_python.sh >/dev/null 2>&1 \
	    && $(BIN)/pip --version 2>/dev/null | grep -qF "$(abspath $(VENV))/"; \
	then $(BIN)/python scripts/forget_unfinished.py; \
	else python=$$(PYTHON="$(PYTHON)" scripts/find_python.sh) && echo "making $(VENV) with $$python" \
	    && "$$python" -m venv --clear $(VENV); \
	fi
	@echo "installing the dependencies: about 6 GB and some minutes the first time"
	$(BIN)/python -m pip install --no-deps -r $(LOCK)
	@touch $@

$(STAMP): pyproject.toml $(DEPENDENCIES)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@printf '%s\n' "$(CURDIR)" > $@
