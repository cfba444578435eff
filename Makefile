# Two commands on a fresh machine with Python 3.11 and pip: `make quickstart`, `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
QUICKSTART ?= quickstart
# uv installs the 6 GB of PyTorch in a quarter of pip's time
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow lint format clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("vidseg needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(INSTALL) --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(INSTALL) --editable '.[test]'
	@touch $@

quickstart: $(VENV)/installed  ## Install, run the suite quickstart on generated videos, say what to open
	@mkdir -p $(QUICKSTART)
	cd $(QUICKSTART) && $(abspath $(BIN))/vidseg suite quickstart --experiment quickstart \
	  --store store --ledger ledger --output report

test: $(VENV)/installed-test  ## Install what tests need; run ruff, mypy --strict and pytest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m "not slow" -n logical --maxprocesses 4 --dist worksteal

test-slow: $(VENV)/installed-test  ## Run the tests that take minutes
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/installed-test  ## Run ruff and mypy only
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: $(VENV)/installed-test  ## Format the sources
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

clean:  ## Remove the virtual environment and what the quickstart made
	rm -rf $(VENV) $(QUICKSTART)
