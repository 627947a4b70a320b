# Creates the Python environment, then calls `python -m toolchain`. `make` alone lists the commands.

PYTHON ?= python3
# Runs the tests of one folder of tests/ only: make test LAYER=unit
LAYER ?=
# The stack that a target acts on.
STACK ?= dev
# DELETE_DATA=1 lets down and clean delete volumes with data.
DELETE_DATA ?=

base = $(PYTHON) toolchain/bootstrap.py docker
delete_data = $(if $(filter 1,$(DELETE_DATA)),--delete-data)
test = $(base) && $(PYTHON) toolchain/bootstrap.py test
toolchain = .toolchain/venv/bin/python -m toolchain

# A target that would ignore STACK rejects it.
stack_targets = up down setup preview push audit backup restore
ifeq ($(origin STACK),command line)
others = $(filter-out $(stack_targets),$(or $(MAKECMDGOALS),help))
$(if $(others),$(error STACK: `make $(firstword $(others))` doesn't act on a single stack; leave it out. \
Targets that take it: $(stack_targets)))
endif

.DEFAULT_GOAL := help
.PHONY: help up down setup preview push test images bench policy audit backup restore lint format lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

up: ## set up, and bring a stack on Docker up (STACK=dev)
	@$(base) && $(toolchain) up --stack $(STACK)

down: ## destroy a stack on Docker (STACK=dev); its data stays without DELETE_DATA=1
	@$(base) && $(toolchain) down --stack $(STACK) $(delete_data)

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

clean: ## remove what set-up created, and the stacks on Docker (with data: DELETE_DATA=1)
	@if [ -d .toolchain ]; then $(base) && $(toolchain) clean $(delete_data); else echo "Nothing to remove."; fi
