# `make demo` and `make test` are complete on a fresh machine: each builds .venv/ first.
# torch and timm import slowly without bytecode, so the variable that forbids it is cleared.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
# uv does not read pip's configuration: hand the folder of local wheels on, where there is one.
export UV_FIND_LINKS ?= $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
export HF_HUB_OFFLINE ?= 1
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test check lint types layers format constraints clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt constraints-torch.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --compile-bytecode \
	    -c constraints.txt -c constraints-torch.txt -e ".[dev]"
	@touch $(READY)

demo: $(READY)
	@$(BIN)/seismag demo

test: $(READY)
	$(BIN)/python -m pytest

check: lint types layers

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

constraints: $(READY)
	{ echo "# Exact versions for a repeatable install; made by 'make constraints'. torch and torchvision: constraints-torch.txt."; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links -c constraints-torch.txt --extra dev pyproject.toml \
	  | grep -vE '^(nvidia|cuda|triton|torch==|torchvision==)'; } > constraints.tmp
	mv constraints.tmp constraints.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
