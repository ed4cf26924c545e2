# Every target sets itself up: a Python of 3.11 or newer and make are all that it needs.
# Another Python than `python3`: make test PYTHON=python3.13

BIN := .venv/bin
READY := .venv/.ready
SCANNER := .venv-checkov/.ready
# More than there are cores, usually: tests of twins and clients wait half of their time.
WORKERS := 4

.PHONY: help setup demo test lint bench lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

setup: $(READY) ## .venv with exactly the locked packages

demo: $(READY) ## both regions on this machine: synthesized, deployed, verified
	@tools/demo.sh

test: lint $(SCANNER) ## all linters, all tests
	@PATH="$(CURDIR)/.venv-checkov/bin:$$PATH" $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: $(READY) ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(READY) ## speed and size, as ratios to the peers, measured here and now
	@$(BIN)/python -m bench

lock: ## newest allowed versions into uv.lock and the files that pip reads (needs uv)
	uv lock --upgrade
	@tools/export.sh --upgrade

clean: ## what make, tests and tools have left; ends a twin that runs here
	@test ! -e .standby/twin.json || $(BIN)/standby down || true
	rm -rf .venv .venv-checkov .standby cdk.out cfn-outputs build dist
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find app.py bench src tests workload -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment knows where it is: one that was moved or copied with its checkout, or
# whose Python is gone, is made anew.
$(foreach venv,.venv .venv-checkov,$(if \
    $(shell test "`cat $(venv)/.ready 2>&1`" = "$(CURDIR)" -a -x $(venv)/bin/python && echo it),,\
    $(eval .PHONY: $(venv)/.ready)))

$(READY): pyproject.toml uv.lock requirements.txt tools/setup.sh
	@PYTHON="$(PYTHON)" tools/setup.sh .venv requirements.txt

$(SCANNER): requirements-checkov.txt tools/setup.sh
	@PYTHON="$(PYTHON)" tools/setup.sh .venv-checkov requirements-checkov.txt
