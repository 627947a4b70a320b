# Thin: makes the Python environment, then calls `python -m toolchain`, which says what it does.
# `make` alone lists the commands.

PYTHON ?= python3
# Only the tests of one folder of tests/: make test LAYER=unit
LAYER ?=

base = $(PYTHON) toolchain/bootstrap.py base
test = $(base) && $(PYTHON) toolchain/bootstrap.py test
toolchain = .toolchain/venv/bin/python -m toolchain

.DEFAULT_GOAL := help
.PHONY: help up down setup test images bench lint format lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

up: ## do all set-up that is missing, then bring the dev stack up
	@$(base) && $(toolchain) up

down: ## destroy the dev stack
	@$(base) && $(toolchain) down

setup: ## do all set-up that is missing, and no more
	@$(base) && $(toolchain) setup

test: ## do all set-up that is missing, then run every test (LAYER=unit: one layer)
	@$(test) && $(toolchain) test $(if $(LAYER),--layer $(LAYER))

images: ## build every image
	@$(base) && $(toolchain) images

bench: ## run the benchmarks
	@$(test) && $(toolchain) bench

lint: ## check format, lint and types
	@$(test) && $(toolchain) lint

format: ## write every file as the formatter wants it
	@$(test) && $(toolchain) format

lock: ## resolve the Python requirements again and write the hashed locks
	@$(base) && sh toolchain/lock.sh

clean: ## remove what set-up made, and nothing else
	@if [ -d .toolchain ]; then $(base) && $(toolchain) clean; else echo "Nothing to remove."; fi
