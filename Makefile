# Everything a checkout needs: Python >= 3.10 and make. `make quickstart` first, then see README.md.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: quickstart test test-gpu lint lint-rules lint-format lint-types format install clean

quickstart: $(STAMP)
	$(BIN)/python tools/quickstart.py

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q tests

# What is the same on a GPU; all other tests see none.
test-gpu: $(STAMP)
	CO2S_TEST_GPUS=0 $(BIN)/python -m pytest -q tests/engine/test_on_gpu.py

# Three targets, so that `make --keep-going lint` shows all findings at once.
lint: lint-rules lint-format lint-types

lint-rules: $(STAMP)
	$(BIN)/ruff check .

lint-format: $(STAMP)
	$(BIN)/ruff format --check .

lint-types: $(STAMP)
	$(BIN)/mypy co2s

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(STAMP)

# Made anew only when what is to be installed has changed; an interrupted installation leaves no
# stamp and is done again.
$(STAMP): setup.cfg setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "co2s needs Python 3.10 or newer, found: $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12" >&2; \
		exit 1; }
	@echo "Installing co2s and its requirements into $(VENV): some minutes, and some GB with CUDA." >&2
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e '.[dev,geo,onnx,ray,vlm,web]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
