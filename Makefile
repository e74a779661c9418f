# The whole set-up on a fresh machine is `make demo` or `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STAMP := $(VENV)/.installed
PROJECTS := pyproject.toml $(wildcard plugins/lash-*/pyproject.toml)
SOURCES := $(wildcard lash_sdk) $(wildcard plugins/lash-*/src)

# Trust what the machine trusts, where it has a store of certificates.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS := 1
endif
# The cache may be on another disk: copy then, without a warning each time.
export UV_LINK_MODE ?= copy

# $(call timed,NAME,COMMAND): run it, and say how long it took.
timed = @start=$$(date +%s); echo "== $(1)"; $(2) && echo "== $(1): $$(($$(date +%s) - start)) s"

.DEFAULT_GOAL := help
.PHONY: help install demo test test-full check bench bench-quick docs lock format clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-11s %s\n' "$$name" "$$what"; done

install: $(STAMP) ## make .venv with everything in it

$(STAMP): requirements.lock $(PROJECTS)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else f"expected Python 3.11 to 3.13, found {v[0]}.{v[1]}: run make with PYTHON=/path/to/python3.x")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@# uv itself comes from the lock too, hashes and all
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.txt
	test -x $(BIN)/uv || $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	$(BIN)/uv pip install --quiet --python $(PY) --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation $(foreach project,$(PROJECTS),-e $(dir $(abspath $(project))))
	@touch $@

demo: install ## a real agent turn with tools, on the embedded defaults
	@$(PY) -m lash_cli.demo

check: install ## lint, format and types
	$(call timed,ruff,$(BIN)/ruff check && $(BIN)/ruff format --check)
	$(call timed,mypy,$(BIN)/mypy $(SOURCES) tests benchmarks)
	$(call timed,pyright,$(BIN)/basedpyright)

test: check ## the whole suite
	$(call timed,pytest,$(PY) -m pytest -q -m "not slow")

test-full: check ## the suite with its slow tests and branch coverage
	$(call timed,pytest,$(PY) -m coverage run -m pytest -q)
	$(call timed,coverage,$(PY) -m coverage report)

bench: install ## side by side with peers; writes docs/benchmarks.md, docs/survival.md and docs/plugin-costs.md
	@$(PY) -m benchmarks
	@$(PY) -m benchmarks.survival
	@$(PY) -m benchmarks.hooks

bench-quick: install ## the same with fewer peers and laps, printed only
	@$(PY) -m benchmarks --quick

docs: install ## write the generated pages again
	@$(PY) docs/generate.py

format: install ## put the code in form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: install ## resolve the dependencies again, into requirements.lock
	$(BIN)/uv lock --quiet --upgrade
	$(BIN)/uv export --quiet --all-packages --all-extras --no-emit-workspace --no-header --format requirements-txt --output-file requirements.lock > /dev/null

clean: ## remove .venv and every cache
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage dist
	find lash_sdk plugins tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
