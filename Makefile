# `make demo` runs the main job, and `make test` runs the tests. Both set up .venv first.
PYTHON ?= python3
RUN := .venv/bin
# Two processes, of one thread each, share the tests. The process that finishes first takes tests from the other one.
PYTEST := OMP_NUM_THREADS=1 $(RUN)/python -m pytest -n 2 --dist worksteal

# An environment with the lowest releases that pyproject.toml allows, and the tests of the modules that depend most on
# other packages. Old releases warn, so warnings are no errors there.
LOWEST := .venv-lowest/bin
LOWEST_TESTS := $(addprefix tests/test_,data_files.py data_prepare.py storage.py encoders.py attack_engine.py \
	resources.py pruning.py export.py cli_attack.py)

.PHONY: demo test test-all test-lowest packages docs lint format benchmark clean

demo: .venv/installed
	HF_HUB_OFFLINE=1 $(RUN)/earlyrobust run --method earlyrobust-noise --train-samples 4000 --batch-size 32 \
		--learning-rate 1e-4 --examples 100 --output runs/demo

test: .venv/installed lint
	$(PYTEST) -m "not slow"

test-all: .venv/installed lint
	$(PYTEST)

test-lowest: .venv-lowest/installed
	OMP_NUM_THREADS=1 $(LOWEST)/python -m pytest -n 2 --dist worksteal -W default -m "not slow" $(LOWEST_TESTS)

# Makes a wheel and an sdist in dist/.
packages: .venv/installed
	$(RUN)/python -m hatchling build

# Builds the documents as a site in build/site. A broken link is an error.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --quiet --strict

lint: .venv/installed
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

format: .venv/installed
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

benchmark: .venv/installed
	HF_HUB_OFFLINE=1 $(RUN)/python benchmarks/cost.py

# Torch is installed first, and pinned. If pip resolved it with the rest, it might fetch the much larger CUDA build.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(RUN)/pip install --quiet --constraint constraints.txt torch
	$(RUN)/pip install --quiet --constraint constraints.txt --editable ".[demo,dev]"
	touch $@

.venv-lowest/installed: pyproject.toml constraints.txt tests/lowest.py
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) tests/lowest.py > .venv-lowest/constraints.txt
	$(LOWEST)/pip install --quiet --constraint .venv-lowest/constraints.txt torch
	$(LOWEST)/pip install --quiet --constraint .venv-lowest/constraints.txt --editable ".[demo,export]" \
		pytest pytest-timeout pytest-xdist hypothesis
	touch $@

clean:
	rm -rf .venv .venv-lowest runs build dist .mypy_cache .pytest_cache .ruff_cache
