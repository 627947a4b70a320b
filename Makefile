# Thin: makes the Python environment, then calls `python -m toolchain`, which says what it does.
# `make` alone lists the commands.

PYTHON ?= python3
# Only the tests of one folder of tests/: make test LAYER=unit
LAYER ?=
# The stack that setup, preview, push, audit, backup and restore are about.
STACK ?= dev

base = $(PYTHON) toolchain/bootstrap.py base
test = $(base) && $(PYTHON) toolchain/bootstrap.py test
toolchain = .toolchain/venv/bin/python -m toolchain

.DEFAULT_GOAL := help
.PHONY: help up down setup preview push test images bench policy audit backup restore lint format lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

up: ## do all set-up that is missing, then bring the dev stack up
	@$(base) && $(toolchain) up

down: ## destroy the dev stack
	@$(base) && $(toolchain) down

setup: ## do all set-up that is missing, and no more (STACK=dev)
	@$(base) && $(toolchain) setup --stack $(STACK)

preview: ## do all set-up that is missing, then preview a stack with its policy packs (STACK=dev)
	@$(base) && $(toolchain) preview --stack $(STACK)

push: ## push the images of a stack to its registry and note their digests (STACK=prod IMAGES=...)
	@$(base) && $(toolchain) push --stack $(STACK) $(IMAGES)

test: ## do all set-up that is missing, then run every test (LAYER=unit: one layer)
	@$(test) && $(toolchain) test $(if $(LAYER),--layer $(LAYER))

images: ## build every image
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

format: ## write every file as the formatter wants it
	@$(test) && $(toolchain) format

lock: ## resolve the Python requirements again and write the hashed locks
	@$(base) && sh toolchain/lock.sh

clean: ## remove what set-up made, and nothing else
	@if [ -d .toolchain ]; then $(base) && $(toolchain) clean; else echo "Nothing to remove."; fi
