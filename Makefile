# Two commands for a newcomer: `make demo` and `make test`. Both make the environment first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
DEMO   ?= runs/demo

.PHONY: demo test test-newest lint types clean

demo: $(READY)  ## train on 5,000 real digits, score them, write the report and say where it is
	@if [ -e $(DEMO) ]; then $(BIN)/advnets train --resume $(DEMO); \
	else $(BIN)/advnets train demo --folder $(DEMO); fi
	@$(BIN)/advnets evaluate $(DEMO)
	@$(BIN)/advnets report $(DEMO)

test: $(READY)  ## the whole suite
	$(BIN)/python -m pytest

lint: $(READY)  ## ruff, formatting included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

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
