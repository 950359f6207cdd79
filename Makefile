# Every target sets itself up: a checkout and Python 3.11 or newer are enough.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
TRAIN_VENV := .venv-train
TRAIN_STAMP := $(TRAIN_VENV)/.installed
IMPORT_VENV := .venv-import
IMPORT_STAMP := $(IMPORT_VENV)/.installed
FUZZ_VENV := .venv-fuzz
GPU_VENV := .venv-gpu
FUZZ_STAMP := $(FUZZ_VENV)/.installed
MODEL ?= body_composition
STUDIES ?=
ARGS ?=

.PHONY: help setup check lint test gpu-test demo bench evaluate train soak schema lock train-test import-env import-test import-proof fuzz clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: $(STAMP) ## build the environment in .venv

$(STAMP): requirements/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit("Vigie needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

check: lint ## style, types, import contracts, fast tests
	$(RUN) -m pytest -q -n 2 -m "not slow" $(ARGS)

lint: setup ## style, types, import contracts
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

test: setup ## the whole test suite, under 20 minutes on 2 cores
	$(RUN) -m pytest -q -n 2 --dist worksteal $(ARGS)

gpu-test: ## the shipped networks on CUDA and TensorRT, in an environment of its own (several GB)
	@test -x $(GPU_VENV)/bin/python || $(PYTHON) -m venv $(GPU_VENV)
	@$(GPU_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/serve-gpu.lock
	@$(GPU_VENV)/bin/python -m pip install --quiet --disable-pip-version-check pytest pytest-timeout
	$(GPU_VENV)/bin/python -m pytest -q tests/inference/test_gpu.py $(ARGS)

demo: setup ## everything once, with a small PACS beside it; STUDIES=folder adds your own
	@$(RUN) -m node demo $(if $(STUDIES),--studies $(STUDIES)) $(ARGS)

bench: setup ## ratios against peers, measured in the same run
	$(RUN) -m bench $(ARGS)

evaluate: setup ## accuracy on simulated and real images; writes the table into the card
	$(RUN) -m node.evaluation.$(MODEL) $(ARGS)

soak: setup ## kill -9 campaigns and an association storm; ARGS="--kills 20"
	$(RUN) -m tests.soak $(ARGS)

fuzz: $(FUZZ_STAMP) ## coverage-guided fuzzing of what strangers send; ARGS="--seconds 600"
	$(FUZZ_VENV)/bin/python -m tests.fuzz $(ARGS)

$(FUZZ_STAMP): requirements/fuzz.txt requirements/dev.lock
	@test -x $(FUZZ_VENV)/bin/python || $(PYTHON) -m venv $(FUZZ_VENV)
	@$(FUZZ_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/fuzz.txt
	@$(FUZZ_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

train: $(TRAIN_STAMP) ## train the networks of MODEL by its recipe
	$(TRAIN_VENV)/bin/python -m models.$(MODEL).train $(ARGS)

train-test: $(TRAIN_STAMP) ## the tests of all training recipes (need PyTorch)
	$(TRAIN_VENV)/bin/python -m pytest -q $(wildcard models/*/train) models/recipe $(ARGS)

$(TRAIN_STAMP): requirements/train.txt requirements/dev.lock
	@test -x $(TRAIN_VENV)/bin/python || $(PYTHON) -m venv $(TRAIN_VENV)
	@$(TRAIN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/train.txt
	@$(TRAIN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

import-env: $(IMPORT_STAMP) ## the environment of `models import` (PyTorch, MONAI, nnU-Net), about 2 GB

import-test: $(IMPORT_STAMP) ## the importers against the frameworks themselves
	$(IMPORT_VENV)/bin/python -m pytest -q tests/framework $(ARGS)

import-proof: $(IMPORT_STAMP) ## the published architectures in their true sizes: parity, seconds, memory
	$(IMPORT_VENV)/bin/python -m tests.framework.true_sizes $(ARGS)

$(IMPORT_STAMP): requirements/import.txt requirements/import-nnunet.txt requirements/import-nnunet-bare.txt requirements/dev.lock
	@test -x $(IMPORT_VENV)/bin/python || $(PYTHON) -m venv $(IMPORT_VENV)
	@echo "installing into $(IMPORT_VENV) ..."
	@$(IMPORT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/import.txt -r requirements/import-nnunet.txt
	@$(IMPORT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/import-nnunet-bare.txt
	@$(IMPORT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

schema: setup ## write the JSON Schema of appliance.yaml, and the pages that are made from the code
	$(RUN) -m config.json_schema
	$(RUN) -m config.rules_page
	$(RUN) -m models.package_page

lock: setup ## pin the dependencies anew
	@test -x $(VENV)/bin/uv || $(RUN) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile pyproject.toml --extra cpu --universal --generate-hashes --no-header -q -o requirements/serve.lock
	$(VENV)/bin/uv pip compile pyproject.toml --extra cpu --group dev -c requirements/serve.lock --universal --generate-hashes --no-header -q -o requirements/dev.lock
	$(VENV)/bin/uv pip compile pyproject.toml --extra gpu --universal --generate-hashes --no-header -q -o requirements/serve-gpu.lock

clean: ## remove what the targets wrote
	rm -rf demo-out bench-out soak-out evaluate-out .pytest_cache .mypy_cache .ruff_cache
