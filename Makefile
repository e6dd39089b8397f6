# What one does with the project. `make` alone lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A warehouse of its own for the tests: the one that `make run` built is never touched by them.
THROWAWAY := target/test

# TARGET names the engine that run, backfill, restate, as-of, docs and diff work on: see tools/targets.py,
# docs/postgresql.md, docs/spark.md. Not set it is DuckDB there; `load` has nothing to do for DuckDB, and means PostgreSQL
# then.
# What an engine needs in $(VENV), besides what all do.
INSTALLED_postgres := $(VENV)/installed-postgres
INSTALLED_spark := $(VENV)/installed-spark
INSTALLED := $(or $(INSTALLED_$(TARGET)),$(VENV)/installed)

.DEFAULT_GOAL := help
.PHONY: help run backfill restate as-of test lint prove mutate diff pytest test-postgres test-spark load build docs bench sample format clean

help:  ## This list.
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /|/' | awk -F'|' '{printf "make %-13s %s\n", $$1, $$2}'

run: $(INSTALLED)  ## Build and test the segments of RAW_DATA (default: the sample), and show them. [TARGET=postgres, spark]
	@TARGET="$(TARGET)" $(BIN)/python tools/run.py

backfill: $(INSTALLED)  ## Write the history of past days: make backfill FROM=2024-01-01 TO=2024-06-30 [SET=engagement]
	@TARGET="$(TARGET)" $(BIN)/python tools/backfill.py backfill --from "$(FROM)" --to "$(TO)" --set "$(SET)"

restate: $(INSTALLED)  ## Write history again that is there, by what is known now: FROM=, TO=, SET= as for backfill.
	@TARGET="$(TARGET)" $(BIN)/python tools/backfill.py restate --from "$(FROM)" --to "$(TO)" --set "$(SET)"

as-of: $(INSTALLED)  ## Answer for a past day, beside the warehouse: make as-of DATE=2024-05-01 (target/as_of)
	@TARGET="$(TARGET)" $(BIN)/python tools/as_of.py --date "$(DATE)"

test: lint prove pytest build  ## What CI checks first: lint, proofs, pytest, a full dbt build in a throw-away warehouse.

lint: $(VENV)/installed-dev
	@echo "sqlfluff: checking models/ and tests/"
	@$(BIN)/sqlfluff lint models tests/singular --processes 0

prove: $(VENV)/installed-dev  ## Prove that exclusive sets cannot overlap and total ones have no gap, before any data.
	@$(BIN)/python tools/prove.py

mutate: $(VENV)/installed-dev  ## Make every small mistake in every definition, and see whether tests and proofs notice.
	@$(BIN)/python tools/mutate.py

BASE ?= main
diff: $(VENV)/installed-dev  ## What a change moves, against BASE (default: main): target/segment_diff.md
	@TARGET="$(TARGET)" $(BIN)/python tools/diff.py --base "$(BASE)"

pytest: $(VENV)/installed-dev
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-postgres: $(VENV)/installed-dev $(VENV)/installed-postgres  ## The same on a throw-away PostgreSQL server (apt-get install postgresql), compared with DuckDB.
	@$(BIN)/python tests/postgres/server.py
	@$(BIN)/python -m pytest tests/postgres --numprocesses auto --dist loadfile --override-ini pythonpath="tools tests/engines tests/postgres"

test-spark: $(VENV)/installed-dev $(VENV)/installed-spark  ## The same on a throw-away Spark cluster (needs Java 17), compared with DuckDB.
	@$(BIN)/python tests/spark/server.py
	@$(BIN)/python -m pytest tests/spark --override-ini pythonpath="tools tests/engines tests/spark"

# To write what Spark reads no Spark is needed.
load: $(if $(filter-out postgres,$(TARGET)),$(VENV)/installed,$(INSTALLED_postgres))  ## Load RAW_DATA for PostgreSQL, or with TARGET=spark for Spark: docs/postgresql.md, docs/spark.md
	@TARGET=$(or $(TARGET),postgres) $(BIN)/python tools/load.py

build: $(VENV)/installed-dev
	@rm -rf $(THROWAWAY) && mkdir -p $(THROWAWAY)
	@WAREHOUSE=$(THROWAWAY)/warehouse.duckdb DBT_TARGET_PATH=$(THROWAWAY) DBT_LOG_PATH=$(THROWAWAY)/logs \
		$(BIN)/dbt --warn-error-options '{"error": ["NoNodesForSelectionCriteria"]}' build

docs: $(INSTALLED)  ## dbt's documentation site as one file: target/static_index.html
	@$(BIN)/dbt --quiet docs generate --static --target "$(or $(TARGET),duckdb)"
	@echo "target/static_index.html: open it in a browser"

bench: $(VENV)/installed-dev  ## Compare with hand-written SQL, pandas and polars; a daily run; memory. Takes long.
	@$(BIN)/python tools/bench.py --peers
	@$(BIN)/python tools/bench.py --daily
	@$(BIN)/python tools/bench.py --memory

sample: $(VENV)/installed  ## Write the sample data anew (seeds/sample).
	@$(BIN)/python tools/sample.py

format: $(VENV)/installed-dev  ## Let sqlfluff mend what it can.
	@$(BIN)/sqlfluff fix --force models tests/singular

clean:  ## Remove what was built; the warehouse stays.
	@rm -rf target logs .pytest_cache .hypothesis

$(VENV)/python-ready:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
		{ echo "make: $(PYTHON) is missing or older than 3.10; install Python 3.10 or newer, or name it: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
		{ rm -rf $(VENV); echo "make: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

# The requirements are installed again when they change.
$(VENV)/installed: $(VENV)/python-ready requirements.txt
	@echo "Installing the pinned dependencies into $(VENV) (about a minute, once)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt requirements-bench.txt
	@echo "Installing the tools for tests into $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/installed-postgres: $(VENV)/installed requirements-postgres.txt
	@echo "Installing the adapter for PostgreSQL into $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements-postgres.txt
	@touch $@

$(VENV)/installed-spark: $(VENV)/installed requirements-spark.txt
	@echo "Installing Spark and its adapter into $(VENV) (Spark is large: some minutes)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements-spark.txt
	@touch $@
