# The commands of this project; `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
BIN := .venv/bin

# A recipe stops at its first failure, and make says nothing about directories.
MAKEFLAGS += --no-print-directory

.PHONY: help setup packages runtime run demo test check format parity chaos bench studio clean clean-data

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: packages runtime ## Install the packages and find, or build, Dapr

packages:
	@uv=$$(sh local/provide-uv.sh) && "$$uv" sync --locked

runtime: packages
	@$(PYTHON) -m local setup

run: packages ## Run everything on this machine until Ctrl-C
	@$(PYTHON) -m local run $(ARGS)

demo: ## File a ticket for each sample customer (while `make run` is up); ARGS=--yes approves all
	@$(PYTHON) -m local demo $(ARGS)

test: setup ## Run the whole test suite; ARGS is handed to pytest
	@$(PYTHON) -m pytest $(ARGS)

check: packages ## Format, lint, types, import rules and unit tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(PYTHON) -m pytest tests/unit

format: packages ## Format the code and mend what the linter can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

parity: setup ## Compare the bridge with plain LangGraph at full size, and write docs/parity.md
	@$(PYTHON) -m pytest tests/parity --hypothesis-profile=parity --timeout=1800 $(ARGS)
	@$(PYTHON) -m tests.parity

chaos: setup ## Kill what runs a graph at every moment of its run, and write docs/chaos.md; ARGS=--help
	@$(PYTHON) -m pytest tests/chaos/bridge/test_lost_turn.py
	@$(PYTHON) -m pytest tests/chaos/bridge/test_shape_kills.py
	@$(PYTHON) -m pytest tests/chaos/bridge/test_generated_kills.py --hypothesis-profile=chaos
	@$(PYTHON) -m tests.chaos.bridge $(ARGS)

bench: setup ## Measure, and write the table of docs/
	@$(PYTHON) -m tests.bench $(ARGS)

studio: packages ## Serve both graphs for LangGraph Studio, without Dapr
	@LANGGRAPH_CLI_NO_ANALYTICS=1 LANGSMITH_TRACING=false $(BIN)/langgraph dev --no-browser $(ARGS)

clean: ## Remove caches and logs; tickets, packages and Dapr's build stay
	rm -rf .pytest_cache .ruff_cache .hypothesis .import_linter_cache .langgraph_api .dapr/logs .data/logs dist
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

clean-data: ## Remove all tickets, customers and workflows of this checkout, after a question
	@$(PYTHON) -m local clean-data $(ARGS)
