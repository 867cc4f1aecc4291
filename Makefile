# Florin's commands. Each sets up what it needs: a machine with make and Python 3.11+ will do.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
SAM := .venv-sam/bin/sam
LAYER ?= build/layer/python
TESTS ?= tests
JOBS ?= 2

.PHONY: help demo test storm chaos bench check up down reload dead-letters tenant verify lock build layer sam sam-deploy sam-local clean stack-tools dev-tools sam-tools checkov-tools

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: stack-tools ## Start a stack, show a payment, its undo and its books, and end the stack
	@$(PYTHON) -m infra.demo

# One process has the local stacks, one after the other; the rest of the tests run beside it.
test: dev-tools ## Run all tests; TESTS=tests/domain for some of them, JOBS=1 for one at a time
	@$(PYTHON) -m pytest -n $(JOBS) -m "not fails_on_purpose" $(TESTS)

storm: dev-tools ## Kill workers and cut connections under load, on a deployed stack of its own
	@$(PYTHON) -m pytest -m fails_on_purpose tests/e2e

chaos: dev-tools ## Break every flow at every point, in full, and write docs/chaos.md
	@PYTHONPATH=.:shared:functions $(PYTHON) -m tests.chaos

bench: dev-tools ## Count what payments cost and judge the budgets; QUICK=1 keeps no results
	@PYTHONPATH=.:shared:functions $(PYTHON) -m tests.bench $(if $(QUICK),--quick)

check: dev-tools checkov-tools ## Check style, types, imports, template and state machines
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=shared:. $(BIN)/lint-imports
	$(BIN)/cfn-lint template.yaml infra/dashboard.yaml
	$(PYTHON) -m infra.asl_check state_machines/*.asl.*
	.venv-checkov/bin/checkov --config-file .checkov.yaml

up: stack-tools ## Start the local AWS stack with Florin in it; PORT=4566 to choose the port
	@$(PYTHON) -m infra.local up $(if $(PORT),--port $(PORT))

down: stack-tools ## End the local stack and every process of it
	@$(PYTHON) -m infra.local down

reload: stack-tools ## Bring changed code into the running stack; its data stay
	@$(PYTHON) -m infra.local reload

dead-letters: stack-tools ## List what was given up; ID= HOP= PAYMENT= CAUSE= REDRIVE=1
	@$(PYTHON) -m infra.dead_letters

tenant: stack-tools ## In a deployed STACK=, add a tenant NAME=; or for TENANT= a TIER= or ROLE=
	@$(PYTHON) -m infra.tenants

verify: stack-tools ## Verify the books of the running stack, or of FLORIN_API_URL with FLORIN_API_KEY
	@$(PYTHON) -m infra.verify

lock: ## Resolve requirements/*.in into locks; UPGRADE=1 takes newer versions
	@infra/make-venv .venv-lock requirements/lock.txt
	@cd requirements && for set in stack runtime dev sam checkov lock; do \
		echo "Locking $$set"; \
		../.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
			--generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
			$(if $(UPGRADE),--upgrade) --output-file $$set.txt $$set.in || exit 1; \
	done

build: layer ## Build the Lambda layer for AWS (Python 3.13 on arm64) under build/
	@echo "Built $(LAYER)"

layer: stack-tools
	@$(PYTHON) -m infra.build --target aws --out $(LAYER)

# The SAM CLI wants the functions' Python on PATH and running, so the one found goes first.
sam: sam-tools ## Validate and build with the SAM CLI, as a deployment would
	@SAM_CLI_TELEMETRY=0 $(SAM) validate --lint
	@if python=$$(infra/find-python 3.13 2>/dev/null); then \
		PATH="$$(dirname "$$python"):$$PATH" SAM_CLI_TELEMETRY=0 $(SAM) build; \
	elif [ "$$CI" = true ]; then \
		echo "sam build needs Python 3.13, the functions' own." >&2; exit 1; \
	else \
		echo "Note: Python 3.13 is not installed, so sam build was left out." >&2; \
	fi

sam-deploy: sam stack-tools ## Deploy what `sam build` made to a local stack, and take a payment through it
	@$(PYTHON) -m infra.built

sam-local: sam-tools stack-tools ## Call the built functions in containers (Docker) with tests/events
	@$(PYTHON) -m infra.sam_local

clean: ## End the local stack; remove venvs, caches and builds
	@if [ -e .florin/stack.json ] && [ -x $(PYTHON) ]; then $(PYTHON) -m infra.local down; fi
	rm -rf .venv .venv-* .venv.lock .florin .aws-sam build
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

stack-tools:
	@infra/make-venv $(VENV) requirements/stack.txt

dev-tools:
	@infra/make-venv $(VENV) requirements/stack.txt requirements/dev.txt

checkov-tools:
	@infra/make-venv .venv-checkov requirements/checkov.txt

sam-tools:
	@infra/make-venv .venv-sam requirements/sam.txt
