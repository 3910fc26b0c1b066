# Two commands for a newcomer: `make demo` and `make test`. Both make the environment first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
DEMO   ?= runs/demo

DOCS   := $(VENV)/.docs-installed

.PHONY: demo test test-newest lint types options docs clean

demo: $(READY)  ## train on 5,000 real digits, score them, write the report and say where it is
	@if [ -e $(DEMO) ]; then $(BIN)/advnets train --resume $(DEMO); \
	else $(BIN)/advnets train demo --folder $(DEMO); fi
	@$(BIN)/advnets evaluate $(DEMO)
	@$(BIN)/advnets report $(DEMO)

test: $(READY)  ## the whole suite, a process and a thread for each core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

lint: $(READY)  ## ruff, formatting included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

options: $(READY)  ## the table of the options of every recipe, after a change of a configuration
	$(BIN)/python -m advnets.cli.option_table

docs: $(DOCS)  ## the documentation as a site: docs/_build/html/index.html
	@command -v node > /dev/null || { echo "make docs needs node, which sets the equations (apt-get install nodejs)"; exit 2; }
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx --builder html --doctree-dir docs/_build/doctrees \
	    --fail-on-warning --keep-going docs docs/_build/html

test-newest:  ## the suite on the newest release of every dependency except torch
	rm -rf $(VENV)-newest
	$(PYTHON) -m venv $(VENV)-newest
	$(VENV)-newest/bin/pip install --quiet --upgrade pip
	$(VENV)-newest/bin/pip install --quiet --upgrade --upgrade-strategy eager \
	    --constraint constraints.txt --editable '.[demo,dev]'
	$(VENV)-newest/bin/pip list
	$(VENV)-newest/bin/python -m pytest

clean:  ## the environments, not the runs
	rm -rf $(VENV) $(VENV)-newest

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("advnets needs Python 3.11 or later") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	@touch $@

$(DOCS): $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[demo,dev,docs]'
	@touch $@
