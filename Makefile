# Creates the Python environment, then calls `python -m toolchain`. `make` alone lists the commands.

PYTHON ?= python3
# Runs the tests of one folder of tests/ only: make test LAYER=unit
LAYER ?=
# The stack of setup, preview, push, audit, backup and restore.
STACK ?= dev

base = $(PYTHON) toolchain/bootstrap.py docker
test = $(base) && $(PYTHON) toolchain/bootstrap.py test
toolchain = .toolchain/venv/bin/python -m toolchain

.DEFAULT_GOAL := help
.PHONY: help up down setup preview push test images bench policy audit backup restore lint format lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

up: ## set up, and bring the dev stack up
	@$(base) && $(toolchain) up

down: ## destroy the dev stack
	@$(base) && $(toolchain) down

setup: ## set up for a stack (STACK=dev)
	@$(base) && $(toolchain) setup --stack $(STACK)

preview: ## set up, and preview a stack with its policy packs (STACK=dev)
	@$(base) && $(toolchain) preview --stack $(STACK)

push: ## push the images of a stack, and write their digests to its settings (STACK=prod IMAGES=...)
	@$(base) && $(toolchain) push --stack $(STACK) $(IMAGES)

test: ## set up, and run all checks and tests (LAYER=unit: one layer)
	@$(base) && $(toolchain) test $(if $(LAYER),--layer $(LAYER))

images: ## build all images
	@$(base) && $(toolchain) images

bench: ## run the benchmarks
	@$(test) && $(toolchain) bench

policy: ## preview every system on every stack with the policy packs
	@$(base) && $(toolchain) setup && $(toolchain) setup --stack prod && . .toolchain/env && python -m strata policy check

audit: ## judge a stack as it stands with the policy packs (STACK=dev)
	@$(base) && $(toolchain) setup && . .toolchain/env && python -m strata policy audit --stack $(STACK)

backup: ## archive the volumes of a stack (STACK=dev FOLDER=...)
	@$(base) && . .toolchain/env && python -m strata backup --stack $(STACK) $(FOLDER)

restore: ## bring the volumes of a stack back (STACK=dev FOLDER=...)
	@$(base) && . .toolchain/env && python -m strata restore --stack $(STACK) $(FOLDER)

lint: ## check format, lint and types
	@$(test) && $(toolchain) lint

format: ## format all files
	@$(test) && $(toolchain) format

lock: ## write the hashed locks of the Python requirements
	@$(base) && sh toolchain/lock.sh

clean: ## remove what set-up created
	@if [ -d .toolchain ]; then $(base) && $(toolchain) clean; else echo "Nothing to remove."; fi
