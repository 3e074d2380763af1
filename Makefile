# Needs Python 3.11 or newer and make, nothing else. `make` alone shows what there is.
#
#   TORCH_INDEX=URL   an index that serves CPU builds of torch (optional: saves gigabytes on Linux, where the
#                     default index may serve builds with GPU libraries)
#   TEST_ARGS="…"     arguments of pytest, e.g. TEST_ARGS="tests/search -k front"
#   TEST_JOBS=2       processes that run the tests; each uses one thread, and waits for others a third of the time
#   DEMO_ARGS="…"     arguments of `netwright demo`, e.g. DEMO_ARGS="--supernet fashion_mnist"

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
TEST_JOBS ?= 2
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: help demo test check format docs client-types wheel clean
help:
	@echo "make demo    install, then the whole job on this machine: constraints -> front -> verified ONNX subnet"
	@echo "make test    install the development tools, then run every test"
	@echo "make check   ruff, mypy, import linter"
	@echo "make format  let ruff fix and format"
	@echo "make docs    write the reference pages that come from code"
	@echo "make client-types  write the client's types from the service's OpenAPI document"
	@echo "make wheel   build dist/netwright-*.whl, to install on a laptop or a device"
	@echo "make clean   remove the environment, caches and what the demo wrote"

demo: $(VENV)/.server
	$(BIN)/netwright demo $(DEMO_ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

client-types: $(VENV)/.dev
	$(BIN)/python docs/client_types.py

wheel: | $(BIN)/python
	rm -rf build/lib build/bdist.* dist/netwright-*.whl
	$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --wheel-dir dist .
	@ls dist/netwright-*.whl

clean:
	rm -rf $(VENV) build dist demo-out netwright-data .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# An environment is made once; a stamp says for which pyproject.toml its packages were installed.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, none was found; set PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, got $$($(PYTHON) -V); set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.server: pyproject.toml | $(BIN)/python
	@echo "installing the server (a few minutes the first time) ..."
	$(PIP_INSTALL) -e '.[server]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing the server and the development tools (a few minutes the first time) ..."
	$(PIP_INSTALL) -e '.[dev]'
	@touch $(VENV)/.server $@
