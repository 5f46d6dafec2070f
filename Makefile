# Needs Python 3.10 or newer and make. Everything is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all test-gpu readme check soak install

# Trains a Wasserstein GAN on eight Gaussians, on the CPU, in about two minutes. For a shorter run:
# make demo DEMO_FLAGS="--trainer.max_steps 200"
demo: .venv/installed
	$(BIN)/lightning-gans fit --config configs/wgan_gp_ring_tuned.yaml --trainer.accelerator cpu $(DEMO_FLAGS)

# Every check, and the tests that take minutes in all.
test: .venv/dev check
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Every check and every test: several processes, kills, hostile files.
test-all: .venv/dev check
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m ""

# The tests that need a GPU, which are skipped on a machine without one.
test-gpu: .venv/dev
	$(BIN)/python -m pytest -m gpu -rs tests/gpu

# Kills runs at random moments, and opens damaged and hostile files: takes long.
soak: .venv/dev
	$(BIN)/python tests/soak.py

# What the README shows, line by line, in new environments: downloads all that it installs.
readme:
	$(PYTHON) tests/readme_by_line.py

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: .venv/dev

# The package is installed in place: only a change of what it needs installs anything again.
.venv/installed: pyproject.toml
	@echo "Installing PyTorch and the package into .venv. The first time this takes a few minutes and about 6 GB."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --editable .
	touch $@

# The tools for tests and checks; a user does without them.
.venv/dev: .venv/installed
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $@
