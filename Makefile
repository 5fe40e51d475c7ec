# How to work on servelab. Everything is installed into .venv; nothing else on the machine is touched,
# except that `make test` installs Debian's PostgreSQL and Chromium, and what a Kubernetes stands on, when they are
# missing and it may (see scripts).

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FILES := src tests benchmarks

.PHONY: help quickstart serve test test-harnesses check bench bench-search bench-loop bench-harness bench-tekton bench-watch bench-predict bench-estimate bench-guides bench-web bench-ask docs screenshots clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

quickstart: .venv/core ## set up, tune llama.cpp on this machine, write the answer
	$(BIN)/servelab quickstart

serve: .venv/web ## open the page on this machine
	$(BIN)/servelab serve

test: .venv/dev check docs ## set up and run every check
	scripts/postgres
	scripts/kubernetes
	scripts/browser
	$(BIN)/pytest -rs --cov --cov-report=term:skip-covered

test-harnesses: .venv/dev ## install every harness of the field (5 GB) and test them for real
	SERVELAB_HARNESSES=all $(BIN)/pytest tests/harnesses/test_external.py

check: .venv/dev ## lint, types, architecture
	$(BIN)/ruff check $(FILES)
	$(BIN)/ruff format --check $(FILES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/dev bench-search bench-loop bench-harness bench-tekton bench-watch bench-predict bench-estimate bench-guides bench-web bench-ask ## every benchmark; tables go to docs/benchmarks/

bench-search: .venv/dev ## samplers side by side on a surface with known truth
	$(BIN)/python -m benchmarks.search --out docs/benchmarks/search.md

bench-loop: .venv/dev ## overhead of the loop, and status on 10,000 trials
	$(BIN)/python -m benchmarks.loop --out docs/benchmarks/loop.md

bench-harness: .venv/dev ## load generators side by side on a server whose schedule is known
	$(BIN)/python -m benchmarks.harness --out docs/benchmarks/harness.md

bench-tekton: .venv/dev ## compiling 1,000 treatments to a pipeline: time and memory
	$(BIN)/python -m benchmarks.tekton --out docs/benchmarks/tekton.md

bench-watch: .venv/dev ## watching a run of 2,000 tasks in a terminal: pictures, delays, processor time
	scripts/kubernetes
	$(BIN)/python -m benchmarks.watch --out docs/benchmarks/watch.md

bench-predict: .venv/dev ## predictions against the simulated engine over HTTP, closed form, speed of the simulator
	$(BIN)/python -m benchmarks.predict --out docs/benchmarks/predict.md --images docs/img

bench-estimate: .venv/dev ## latency models: predictions on the embedded engine, known coefficients on the simulated one
	$(BIN)/python -m benchmarks.estimate --out docs/benchmarks/estimate.md

docs: .venv/dev ## build the documentation into site/, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench-guides: .venv/dev ## how long a guide takes to convert
	$(BIN)/python -m benchmarks.guides --out docs/benchmarks/guides.md

bench-web: .venv/dev ## the page with 10,000 trials: until it is usable, processor time, delays of events
	scripts/browser
	$(BIN)/python -m benchmarks.web --out docs/benchmarks/web.md

bench-ask: .venv/dev ## how long plain words take to read, and the command to start
	$(BIN)/python -m benchmarks.ask --out docs/benchmarks/ask.md

screenshots: .venv/dev ## pictures of every page, in docs/img/web
	scripts/browser
	$(BIN)/python scripts/screenshots

clean: ## remove what was built
	rm -rf .venv site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage servelab-results

.venv/python: # a virtual environment of a Python that is new enough
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "servelab needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "could not make .venv; on Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

.venv/core: .venv/python pyproject.toml constraints.txt
	@echo "installing servelab into .venv (about a minute)"
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

.venv/web: .venv/python pyproject.toml constraints.txt
	@echo "installing servelab and its page into .venv (about a minute)"
	@$(PIP) install --constraint constraints.txt --editable '.[web]'
	@touch $@ .venv/core

.venv/dev: .venv/python pyproject.toml constraints.txt
	@echo "installing servelab and its development tools into .venv"
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/core .venv/web
