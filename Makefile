# The tasks of this project. Needs make and Python 3.11 or newer; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs clean

help:
	@echo "make demo   set up .venv and run the demonstration"
	@echo "make test   set up .venv and run all tests"
	@echo "make lint   ruff, format check, pyright, direction of imports"
	@echo "make docs   write the generated pages again"
	@echo "make clean  remove .venv and caches"

demo: $(INSTALLED)
	$(BIN)/penstock demo

test: $(TOOLS)
	$(BIN)/python -m pytest -q --numprocesses auto

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python tests/architecture.py

docs: $(INSTALLED)
	$(BIN)/python docs/generate.py

# A stamp is written last, so a set-up that was broken off is done again. torch comes first, alone and pinned:
# pip then keeps the build that your index gave (CPU or CUDA) whatever the other packages ask for.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "penstock needs Python 3.11 or newer; \
	this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); the first time this takes some minutes ..."
	$(PIP) pip
	$(PIP) torch
	$(PIP) --editable '.[demo]'
	@touch $@

$(TOOLS): $(INSTALLED)
	$(PIP) --group test --group dev
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
