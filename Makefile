# Everything there is to do with this project, one command each; `make help` lists them. Set-up is part of each command,
# happens once, and again only when a lock file, pyproject.toml or Python changes.

# make VENV=.venv-3.13 PYTHON=python3.13 test: another environment, beside the first.
VENV := .venv
VENV_PYTHON := $(VENV)/bin/python

# What a shell may hold for another project must not reach this one.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE
export KERAS_BACKEND := jax

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: run studio test test-quick test-all lint docs examples coverage bench bench-exercise bench-photos bench-serving bench-studio claims labs benchmark pictures screenshots parity programs lock clean help setup setup-dev setup-peers dataset browser

run: setup dataset  ## Train the course's model on Fashion-MNIST, then score it on the sealed test set
	$(VENV)/bin/fittingroom train
	$(VENV)/bin/fittingroom evaluate

studio: setup-dev dataset  ## Open the studio: train, look and try in the browser
	$(VENV)/bin/fittingroom studio $(STUDIO_OPTIONS)

test: setup-dev dataset browser  ## Run the tests
	$(VENV_PYTHON) -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

# The half that trains little, for one more Python: `.ci/run` runs it with the newest that the machine has.
QUICK_TESTS := tests/answers tests/contracts tests/data tests/evaluation tests/experiments tests/recipes tests/reports tests/runs

test-quick: setup-dev dataset  ## Run the tests that train little: a minute or two
	$(VENV_PYTHON) -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder $(QUICK_TESTS)

test-all: setup-dev dataset browser  ## Run the tests, the slow ones too
	$(VENV_PYTHON) -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder -m ""

lint: setup-dev  ## Check format, style and types
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m mypy

docs: setup-dev  ## Write the generated parts of the docs, and build the site in build/docs
	$(VENV_PYTHON) -m docs.generate
	$(VENV_PYTHON) -m sphinx -W --keep-going -q docs build/docs
	@echo "build/docs/index.html"

examples: setup-dev dataset  ## Run what the docs show, and write what has changed in what it prints
	$(VENV_PYTHON) -m docs.examples

coverage: setup-dev dataset browser  ## Run the tests, and print how much of the package they run
	$(VENV_PYTHON) -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder --cov=fittingroom --cov-report=term:skip-covered

# Each kind of work against the best that can do it. PyTorch is left out where no build of it was found.
bench: setup setup-peers dataset  ## Measure everything against Keras on JAX and TensorFlow, PyTorch and others: about 40 minutes
	$(VENV_PYTHON) -m benchmarks.whole_process keras-jax
	$(VENV_PYTHON) -m benchmarks.whole_process keras-tensorflow
	$(VENV_PYTHON) -m benchmarks.whole_answers keras-jax
	$(VENV_PYTHON) -m benchmarks.whole_answers keras-tensorflow
	$(VENV_PYTHON) -m benchmarks.epochs keras-jax
	$(VENV_PYTHON) -m benchmarks.epochs keras-tensorflow
	$(VENV_PYTHON) -m benchmarks.seeds course cnn
	$(VENV_PYTHON) -m benchmarks.cnn keras-jax
	$(VENV_PYTHON) -m benchmarks.cnn keras-tensorflow
	@if .venv-peers/bin/python -c 'import torch' 2>/dev/null; then \
		for each in $(TORCH_BENCHMARKS); do echo "$(VENV_PYTHON) -m benchmarks.$${each%:*} $${each#*:}"; \
			$(VENV_PYTHON) -m benchmarks.$${each%:*} $${each#*:} || exit; done; fi
	$(VENV_PYTHON) -m benchmarks.short_calls
	$(VENV_PYTHON) -m benchmarks.memory 1
	@if command -v wrk >/dev/null || scripts/apt-install wrk; then \
		echo '$(VENV_PYTHON) -m benchmarks.serving --peer 3 --seconds 4'; \
		$(VENV_PYTHON) -m benchmarks.serving --peer 3 --seconds 4; else echo 'wrk is not there: no row for the server.' >&2; fi
	$(VENV_PYTHON) -m benchmarks.growth
	$(VENV_PYTHON) -m benchmarks.readme

TORCH_BENCHMARKS := epochs:pytorch cnn:pytorch cnn:pytorch-bfloat16

bench-exercise: setup setup-peers dataset  ## Measure the course's second exercise, and the matrix products alone: about 25 minutes
	$(VENV_PYTHON) -m benchmarks.exercise2 keras-jax
	$(VENV_PYTHON) -m benchmarks.exercise2 keras-tensorflow
	$(VENV_PYTHON) -m benchmarks.products
	$(VENV_PYTHON) -m benchmarks.readme

claims: setup dataset  ## Train every named recipe with five seeds, and keep what they reach as their claims
	$(VENV_PYTHON) -m benchmarks.claims
	$(VENV_PYTHON) -m benchmarks.accuracy keras-jax
	$(VENV_PYTHON) -m benchmarks.readme

bench-photos: setup-dev dataset  ## Measure on photos of clothes, a folder for each class: make bench-photos PHOTOS=DIR
	@test -n "$(PHOTOS)" || { echo 'Give the folder of photos: make bench-photos PHOTOS=DIR' >&2; exit 2; }
	$(VENV_PYTHON) -m benchmarks.photos "$(PHOTOS)" $(PHOTOS_OPTIONS)
	$(VENV_PYTHON) -m benchmarks.transfer "$(PHOTOS)" $(TRANSFER_OPTIONS)

bench-serving: setup-dev dataset  ## Measure the server with wrk: throughput, latency, 500 at once, 10 GB; about a minute
	@command -v wrk >/dev/null || scripts/apt-install wrk || { echo 'wrk is needed: https://github.com/wg/wrk' >&2; exit 2; }
	$(VENV_PYTHON) -m benchmarks.serving $(SERVING_OPTIONS)

bench-studio: setup-dev dataset browser  ## Measure the studio in Chromium: how soon it answers, and what it takes; about four minutes
	$(VENV_PYTHON) -m benchmarks.studio $(STUDIO_OPTIONS)

labs: setup-dev dataset browser  ## Run all labs and write docs/labs: 10 minutes the first time, then only what is drawn
	$(VENV_PYTHON) -m benchmarks.labs

benchmark: setup-dev dataset browser  ## Run the standing benchmark and write docs/benchmark.md: about 40 minutes the first time, then only what is drawn
	$(VENV_PYTHON) -m benchmarks.benchmark_docs

pictures: setup-dev dataset browser  ## Take the picture of a report that the docs show: minutes the first time, then seconds
	$(VENV_PYTHON) -m benchmarks.pictures

screenshots: setup-dev dataset browser  ## Take the pictures of the studio that the docs show: a minute, then seconds
	$(VENV_PYTHON) -m benchmarks.screenshots

parity: setup-dev dataset  ## Train the zoo of models with Keras and with fr.fit, and write docs/keras-parity.md: about 20 minutes
	$(VENV_PYTHON) -m benchmarks.parity

programs: setup-dev dataset  ## Write the traced programs that the package ships for first trainings: half a minute
	$(VENV_PYTHON) scripts/programs.py

lock: setup-dev  ## Write the lock files anew from pyproject.toml, keeping the pins that still fit
	scripts/lock

clean:  ## Remove what the other commands made, but not your runs
	rm -rf .venv .venv-peers build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## List these commands
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

setup:
	@scripts/setup $(VENV) requirements.lock --editable .

setup-dev: setup
	@scripts/setup $(VENV) requirements-dev.lock

setup-peers:
	@scripts/setup .venv-peers requirements-peers.lock
	@scripts/setup .venv-peers requirements-peers-torch.lock || \
		echo "The comparison with PyTorch is left out: pip did not find the build that requirements-peers-torch.in names." >&2

dataset:
	@scripts/dataset $(VENV)

browser:
	@scripts/browser
