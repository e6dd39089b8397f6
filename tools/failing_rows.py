"""Keeps the rows of tests that failed or warned, in schema `test_failures` of the warehouse.

dbt's own `--store-failures` writes a table for every test on every run. Here a test that passes costs nothing: the
query of one that did not is run once more. The rows may hold ids of people: they are in the warehouse alone, never in
what is published, and they go as soon as the test passes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from targets import Engine, engine_of

SCHEMA = "test_failures"
MOST_ROWS = 1_000


def keep_failing_rows(found: dict[str, str], invocation: str, target: Path, env: dict[str, str]) -> dict[str, str]:
    """Stores the rows of the tests in `found` (unique_id: name) and drops those of tests that pass now or are gone.

    Gives for each name where its rows are, in words, or why they are not stored. `invocation` is dbt's id of the run
    whose results `target` has to hold. It raises nothing: what the tests found has to be told in any case.
    """
    engine = engine_of(env)
    try:
        results = results_of(invocation, target)
        # What did not run now has not been refuted.
        kept = {name_of(result) for result in results.values() if result["status"] in ("skipped", "error")}
        if not found and not stored(engine) - kept:
            return {}
        with engine.connect(read_only=False) as connection:
            forget(connection, kept - set(found.values()), engine)
            return {name: keep(connection, name, results.get(test), engine) for test, name in found.items()}
    except (OSError, ValueError, KeyError, *engine.errors) as error:
        return {name: f"not stored: {engine.said(error, 'storing them')}" for name in found.values()}


def results_of(invocation: str, target: Path) -> dict[str, dict]:
    """What dbt left of each test, by its unique_id. Raises ValueError where that is of another run."""
    left = json.loads((target / "run_results.json").read_text("utf-8"))
    if left["metadata"]["invocation_id"] != invocation:
        raise ValueError(f"{target}/run_results.json is of another run")
    return {result["unique_id"]: result for result in left["results"] if result["unique_id"].startswith("test.")}


def name_of(result: dict) -> str:
    """The name of a test: the third part of test.<project>.<name>.<hash>."""
    return result["unique_id"].split(".")[2]


def stored(engine: Engine) -> set[str]:
    """The tests whose rows are there."""
    with engine.connect() as connection:
        return engine.tables(connection, SCHEMA)


def forget(connection: Any, kept: set[str], engine: Engine) -> None:
    """Drops every table but those in `kept`, and the schema with the last one."""
    before = engine.tables(connection, SCHEMA)
    for name in before - kept:
        connection.execute(f"drop table {SCHEMA}.{engine.quoted(name)}")
    if before and not before & kept:
        connection.execute(f"drop schema {SCHEMA}")


def keep(connection: Any, name: str, result: dict | None, engine: Engine) -> str:
    """Stores what the query of a test gives, and says how much of it is where, or why it is not."""
    sql = (result or {}).get("compiled_code")
    if not sql:
        return "not stored: dbt left no query of it"
    try:
        connection.execute(f"create schema if not exists {SCHEMA}")
        query = f"select * from (\n{sql}\n) as found limit {MOST_ROWS}"
        connection.execute(f"create table {SCHEMA}.{engine.quoted(name)} as {query}")
    except engine.errors as error:
        return f"not stored: {engine.said(error, 'storing them')}"
    # How many there are dbt has counted.
    cut = ((result or {}).get("failures") or 0) > MOST_ROWS
    return f"{MOST_ROWS:,} of them in {SCHEMA}.{name}" if cut else f"see {SCHEMA}.{name}"
