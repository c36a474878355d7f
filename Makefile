# `make` lists what there is. Needs Python 3.11 or newer with venv; everything else goes into .venv.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo run test lint audit fuzz format lock bundle screenshots clean

SECONDS ?= 60

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/light  ## the whole product on this machine with made-up tickets, in a minute (KEEP=1 keeps it running)
	@KEEP=$(KEEP) SEED=$(SEED) $(BIN)/python -m demo

run: .venv/light  ## receiver, console, WORKERS workers and beat for the account in presort.toml; embedded Redis unless PRESORT_REDIS_URL is set
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	if [ -n "$$PRESORT_REDIS_URL$$PRESORT_REDIS_URL_FILE" ]; then \
	  exec honcho start --concurrency worker=$(WORKERS) receiver console worker beat; \
	else \
	  export PRESORT_REDIS_URL=redis://127.0.0.1:6390/0; exec honcho start --concurrency worker=$(WORKERS); \
	fi

test: .venv/dev  ## types, style and the specification
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet . && $(BIN)/mypy
	@$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: .venv/dev  ## types and style alone
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet . && $(BIN)/mypy

audit: .venv/dev  ## weaknesses: in our code (bandit), known ones in the locked packages (pip-audit, needs its advisory service)
	@$(BIN)/bandit --quiet --recursive --severity-level medium --configfile pyproject.toml integration worker model_export
	@$(BIN)/python -m tests.hostile.audit requirements/dev.txt requirements/light.txt

fuzz: .venv/fuzz  ## every target for SECONDS; what breaks is kept in var/fuzz
	@$(BIN)/python -m tests.hostile.fuzz --seconds $(SECONDS)

format: .venv/dev  ## mend what can be mended by machine
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bundle: .venv/train  ## train the demo's model again (about five minutes)
	@$(BIN)/python -m demo.build_bundle

screenshots: .venv/dev  ## the pictures in docs/img (needs Chromium)
	@$(BIN)/python -m demo.screenshots

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --custom-compile-command "make lock" pyproject.toml

lock: .venv/dev  ## choose the versions in requirements/ anew; what runs is what was tested
	@$(LOCK) --upgrade --extra dev -o requirements/dev.txt
	@$(LOCK) --upgrade --constraint requirements/dev.txt --extra receiver --extra worker --extra local -o requirements/light.txt
	@$(LOCK) --upgrade --constraint requirements/dev.txt --extra fuzz -o requirements/fuzz.txt

clean:  ## remove what make made
	rm -rf .venv var .mypy_cache .pytest_cache .ruff_cache

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Presort needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/light: .venv/python requirements/light.txt pyproject.toml CHANGELOG.md
	@echo "Installing the light runtime into .venv (no torch) ..."
	@$(PIP) install -r requirements/light.txt
	@$(PIP) install --no-deps --editable .
	@touch $@

.venv/dev: .venv/python requirements/dev.txt pyproject.toml CHANGELOG.md
	@echo "Installing what the tests need into .venv ..."
	@$(PIP) install -r requirements/dev.txt
	@$(PIP) install --no-deps --editable .
	@touch $@ .venv/light

.venv/fuzz: .venv/dev requirements/fuzz.txt
	@echo "Installing atheris into .venv ..."
	@$(PIP) install -r requirements/fuzz.txt
	@touch $@

.venv/train: .venv/light requirements/train.txt
	@echo "Installing torch, transformers and optimum into .venv ..."
	@$(PIP) install -r requirements/train.txt
	@touch $@
