# Wastegate from a fresh clone: `make up`, try it, `make down`.
#
#   make up        environments, base model, vLLM, gateway; waits until they answer
#   make down      stops what `make up` has started
#   make test      all tests, with a real Redis and a real vLLM
#   make check     formatting, lint, types, layers
#   make bench     the gateway's overhead, beside a direct call and nginx
#   make bench-structured   what repair makes of broken texts, beside json_repair
#   make nightly   the five invariants of repair, 100,000 examples each; some hours
#   make lab       from raw examples to an adapter that a canary promoted; an hour
#   make results   the suite of evals, into docs/results.md, from the running stack
#   make clean     stops the stack and removes what it has made; distclean: environments too
#
#   ENGINE_URL=http://HOST:PORT   use a vLLM that runs already
#   PYTHON=python3.11             the interpreter that the environments are made with
#   PIP_FLAGS=…                   more options for pip, such as another package index

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
SHELL := /bin/sh

PIP_FLAGS ?=
SCALE ?= 1

# The first of these that is new enough; asked for only when an environment is made.
find_python = $(shell for each in $(PYTHON) python3.11 python3 python3.12 python3.13; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo "$$each"; break; }; done)

# An environment is as its locks say when it has a stamp with their digest. The stamp is
# written last, so an interrupted installation is taken up again.
digest = $(shell cat $(1) 2>/dev/null | sha256sum | cut -c1-12)
gateway_sources := locks/gateway.txt locks/dev.txt pyproject.toml
gateway_stamp := .venv/.installed-$(call digest,$(gateway_sources))
engine_stamp := .venv-engine/.installed-$(call digest,locks/engine.txt)
trainer_stamp := .venv-trainer/.installed-$(call digest,locks/trainer.txt)
readers_stamp := .venv-readers/.installed-$(call digest,locks/readers.txt)

# $(1) directory, $(2) what it is for and how long it takes
define create
	@echo "make: $(1): $(2)"
	@python="$(find_python)"; \
	if [ -z "$$python" ]; then \
		echo "make: Python 3.11 or newer is needed: install it, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; \
	fi; \
	[ -x $(1)/bin/python ] && $(1)/bin/python -m pip --version >/dev/null 2>&1 || "$$python" -m venv --clear $(1)
	@# pip writes INSTALLER last: a package without it was cut off, and is installed anew
	@for each in $(1)/lib/python3*/site-packages/*.dist-info; do \
		[ ! -d "$$each" ] || [ -f "$$each/INSTALLER" ] || rm -rf "$$each"; done
endef
# $(1) directory, then what to install
pip = $(1)/bin/python -m pip --disable-pip-version-check install --no-deps $(PIP_FLAGS)

define finish
	@rm -f $(1)/.installed-* && touch $@
endef

.PHONY: help
help:
	@sed -n 's/^#   //p' Makefile

.PHONY: .venv .venv-engine .venv-trainer .venv-readers
.venv: $(gateway_stamp)
.venv-engine: $(engine_stamp)
.venv-trainer: $(trainer_stamp)
.venv-readers: $(readers_stamp)

$(gateway_stamp):
	$(call create,.venv,the gateway and its tools; 60 packages and about a minute the first time)
	$(call pip,.venv) -r locks/gateway.txt -r locks/dev.txt
	$(call pip,.venv) --no-build-isolation --quiet -e .
	$(call finish,.venv)

$(engine_stamp):
	$(call create,.venv-engine,vLLM for the CPU; 2.4 GB and two to five minutes the first time)
	$(call pip,.venv-engine) -r locks/engine.txt
	@.venv-engine/bin/python -c 'import torch' || { \
		echo "make: torch does not import: is it the CPU build? See the head of locks/engine.txt" >&2; exit 1; }
	$(call finish,.venv-engine)

$(trainer_stamp): | locks/trainer.txt
	$(call create,.venv-trainer,the training worker; 1.5 GB and two to five minutes the first time)
	$(call pip,.venv-trainer) -r locks/trainer.txt
	$(call finish,.venv-trainer)

$(readers_stamp): | locks/readers.txt
	$(call create,.venv-readers,readers of inspect's logs and of Croissant, for tests; 580 MB and about a minute the first time)
	$(call pip,.venv-readers) -r locks/readers.txt
	$(call finish,.venv-readers)

# The base model; `wastegate up` prepares it as well, with the ref of wastegate.toml.
base := var/models/smollm2-135m-instruct@1.0/base.json
$(base): | .venv-engine
	.venv-engine/bin/python -m training base --out $(@D)

.PHONY: up
up: .venv $(if $(ENGINE_URL),,.venv-engine)
	@.venv/bin/wastegate up

.PHONY: down
down:
	@if [ -x .venv/bin/wastegate ]; then .venv/bin/wastegate down; else echo "nothing was running"; fi

.PHONY: check
check: .venv
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright
	.venv/bin/lint-imports

# The trainer's tests run where torch and peft are; its environment has none of the
# plug-ins that pyproject.toml configures, hence the empty configuration.
.PHONY: test
test: .venv .venv-engine .venv-trainer .venv-readers $(base)
	.venv/bin/python -m pytest --ignore=tests/unit/training
	.venv-trainer/bin/python -m pytest -c /dev/null --rootdir=. --confcutdir=tests/unit/training -p no:cacheprovider -ra -W error --import-mode=importlib tests/unit/training

.PHONY: bench
bench: .venv
	.venv/bin/python -m bench

.PHONY: bench-structured
bench-structured: .venv
	.venv/bin/python -m bench structured

.PHONY: nightly
nightly: .venv
	.venv/bin/python -m pytest tests/unit/structured/test_invariants.py --hypothesis-profile=nightly

.PHONY: results
results: .venv
	@# the suite says by its exit code whether the adapters may ship: 1 no, 3 not known
	.venv/bin/python -m evals suite --scale $(SCALE) --concurrency 16 --results docs/results.md; \
		code=$$?; [ $$code = 0 ] || [ $$code = 1 ] || [ $$code = 3 ]
	.venv/bin/python -m bench record

# The stack stays up after it, with the lab's adapters on it.
.PHONY: lab
lab: up .venv-trainer $(base)
	.venv/bin/python -m lab

.PHONY: clean
clean: down
	rm -rf var build .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage

.PHONY: distclean
distclean: clean
	rm -rf .venv .venv-engine .venv-trainer .venv-readers wastegate.egg-info
