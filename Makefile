# Everything there is to do with this project, one command each; `make help` lists them. Set-up is part of each command,
# happens once, and again only when a lock file, pyproject.toml or Python changes.

VENV_PYTHON := .venv/bin/python

# What a shell may hold for another project must not reach this one.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
export KERAS_BACKEND := jax

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: run test test-all lint bench bench-peers claims lock clean help setup setup-dev setup-peers dataset

run: setup dataset  ## Train the course's model on Fashion-MNIST, then score it on the sealed test set
	.venv/bin/fittingroom train
	.venv/bin/fittingroom evaluate

test: setup-dev dataset  ## Run the tests
	$(VENV_PYTHON) -m pytest

test-all: setup-dev dataset  ## Run the tests, the slow ones too
	$(VENV_PYTHON) -m pytest -m ""

lint: setup-dev  ## Check format, style and types
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m mypy

bench: setup dataset  ## Measure against Keras on JAX: about 6 minutes
	$(VENV_PYTHON) -m benchmarks.whole_process keras-jax
	$(VENV_PYTHON) -m benchmarks.epochs keras-jax
	$(VENV_PYTHON) -m benchmarks.accuracy keras-jax
	$(VENV_PYTHON) -m benchmarks.readme

bench-peers: setup setup-peers dataset  ## Measure against Keras on TensorFlow: about 6 minutes
	$(VENV_PYTHON) -m benchmarks.whole_process keras-tensorflow
	$(VENV_PYTHON) -m benchmarks.epochs keras-tensorflow
	$(VENV_PYTHON) -m benchmarks.readme

claims: setup dataset  ## Train every named recipe with five seeds, and keep what they reach as their claims
	$(VENV_PYTHON) -m benchmarks.claims
	$(VENV_PYTHON) -m benchmarks.readme

lock: setup-dev  ## Write the lock files anew from pyproject.toml, keeping the pins that still fit
	scripts/lock

clean:  ## Remove what the other commands made, but not your runs
	rm -rf .venv .venv-peers build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## List these commands
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

setup:
	@scripts/setup .venv requirements.lock --editable .

setup-dev: setup
	@scripts/setup .venv requirements-dev.lock

setup-peers:
	@scripts/setup .venv-peers requirements-peers.lock

dataset:
	@scripts/dataset
