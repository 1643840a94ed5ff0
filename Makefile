# One entry point for everything a newcomer does. `make help` lists it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LITELLM       := .venv-litellm
LITELLM_READY := $(LITELLM)/.ready
FOCUS         := .venv-focus
FOCUS_READY   := $(FOCUS)/.ready
# pyenv has its versions off the PATH, unless told otherwise.
FOCUS_PYTHON  ?= $(shell for python in python3.12 "$$(pyenv prefix 3.12 2>/dev/null)/bin/python3.12"; do "$$python" -c '' 2>/dev/null && echo "$$python" && break; done)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-kafka test-litellm test-focus check lint bench chaos docs lock picture screenshots clean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# The environment is made from the lock on first use, and again when the lock changes. The lock names every
# package, so nothing is resolved anew: a release of today (of a package asked for with extras) changes nothing.
$(READY): requirements.lock pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "spendstream needs Python 3.11 or newer; say which with: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e clients/python
	@touch $(READY)

setup: $(READY) ## make .venv from requirements.lock

demo: $(READY) ## run the whole product on simulated teams for a minute
	$(BIN)/spendstream demo --seconds 60

test: $(READY) ## everything: linters, types, all tests (minutes)
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -q -n 2 -m "not slow"
	$(BIN)/python -m pytest -n 3 --dist loadfile -m slow --ignore tests/e2e
	$(BIN)/python -m pytest -n 3 --dist loadfile -m slow tests/e2e

test-kafka: $(READY) ## the end-to-end tests on Apache Kafka (Java 17 and Maven, or SPENDSTREAM_TEST_KAFKA)
	$(BIN)/python -m pytest -m slow tests/e2e --broker kafka

# LiteLLM's versions and the server's exclude each other: it has an environment of its own.
$(LITELLM_READY): requirements-litellm.lock clients/python/pyproject.toml
	test -x $(LITELLM)/bin/python || $(PYTHON) -m venv $(LITELLM)
	$(LITELLM)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-litellm.lock
	$(LITELLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e clients/python
	@touch $(LITELLM_READY)

CALLS ?= 10000
test-litellm: $(READY) $(LITELLM_READY) ## the callback and hook in a real LiteLLM proxy, in an environment of its own (minutes)
	$(LITELLM)/bin/python -m mypy --config-file clients/python/tests_litellm/mypy.ini clients/python/spendstream/litellm
	SPENDSTREAM_TEST_CALLS=$(CALLS) $(LITELLM)/bin/python -m pytest -c clients/python/tests_litellm/pytest.ini clients/python/tests_litellm

# focus-validator runs on Python 3.12 alone, and wants an older numpy: it has an environment of its own.
$(FOCUS_READY): requirements-focus.lock
	@test -n "$(FOCUS_PYTHON)" && $(FOCUS_PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' || { echo "focus-validator needs Python 3.12; say which with: make test-focus FOCUS_PYTHON=/path/to/python3.12" >&2; exit 1; }
	test -x $(FOCUS)/bin/python || $(FOCUS_PYTHON) -m venv $(FOCUS)
	$(FOCUS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-focus.lock
	@touch $(FOCUS_READY)

test-focus: $(READY) $(FOCUS_READY) ## the FOCUS export against focus-validator, in an environment of its own (Python 3.12)
	SPENDSTREAM_REQUIRE_FOCUS=1 $(BIN)/python -m pytest tests/focus

check: $(READY) ## the quick part: linters, types, unit and property tests (< 60 s)
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -q -n 2 -m "not slow" tests/unit tests/property clients/python/tests

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY) ## measure throughput side by side; writes bench.json
	$(BIN)/python -m benchmarks --out bench.json

SECONDS ?= 600
SEED ?= 1
chaos: $(READY) ## inject every fault on Apache Kafka and count what is lost or doubled; writes chaos.json
	$(BIN)/python -m tests.chaos --seconds $(SECONDS) --seed $(SEED) --out chaos.json

docs: $(READY) ## write docs/metrics.md from streams/metrics.py
	$(BIN)/python -m streams.metrics > docs/metrics.md

picture: $(READY) ## draw docs/demo.svg, the picture in the README, from a real demo run
	$(BIN)/spendstream demo --seconds 60 --picture docs/demo.svg

screenshots: $(READY) ## draw docs/page*.png, pictures of the page of a simulated month (needs chromium)
	$(BIN)/python -m tests.browser.screenshots

lock: ## resolve the lock files anew (needs uv on the PATH)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --group dev --group build --output-file requirements.lock pyproject.toml clients/python/pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --group clients/python/pyproject.toml:litellm --output-file requirements-litellm.lock clients/python/pyproject.toml
	uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-annotate --no-header --group tests/focus/pyproject.toml:focus --output-file requirements-focus.lock

clean: ## remove what the tasks made
	rm -rf $(VENV) $(LITELLM) $(FOCUS) .spendstream .mypy_cache .ruff_cache .pytest_cache .cache build *.egg-info bench.json chaos.json
