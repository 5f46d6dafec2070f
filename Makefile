# Needs Python 3.10 or newer and make. Everything is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all test-gpu check soak install

# Trains a Wasserstein GAN on eight Gaussians, on the CPU, in about two minutes.
demo: .venv/installed
	$(BIN)/lightning-gans fit --config configs/wgan_gp_ring_tuned.yaml --trainer.accelerator cpu

# Every check, and the tests that take minutes in all.
test: .venv/installed check
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Every check and every test: several processes, kills, hostile files.
test-all: .venv/installed check
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m ""

# The tests that need a GPU, which are skipped on a machine without one.
test-gpu: .venv/installed
	$(BIN)/python -m pytest -m gpu -rs tests/gpu

# Kills runs at random moments, and opens damaged and hostile files: takes long.
soak: .venv/installed
	$(BIN)/python tests/soak.py

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: .venv/installed

# The package is installed in place: only a change of what it needs installs anything again.
.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
