"""Compares what two engines made of the same data, cell by cell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

from engines import Engine

# Columns that hold the run's own clock: there, or not there, on both.
CLOCKS = {("fct_restatements", "restated_at")}
# The value of a check that counts the hours up to the start of the run.
CLOCK_VALUES = {("fct_input_health", "value"): ("check_name", "freshness")}
# The keys of marts for which no test of dbt's states one.
KEYS = {"fct_input_health": ["input_table", "check_name"]}
SHOWN = 5


def marts_of(engine: Engine) -> dict[str, list[str]]:
    """The marts that dbt knows, by name, and the columns of which the key of each is made."""
    nodes = engine.nodes()
    keys = {
        node["attached_node"].split(".")[-1]: node["test_metadata"]["kwargs"]["columns"]
        for node in nodes
        if (node.get("test_metadata") or {}).get("name") == "mart_key_is_unique"
    }
    marts = [node["name"] for node in nodes if node["resource_type"] == "model" and node["schema"] == "marts"]
    return {name: keys.get(name) or KEYS.get(name, []) for name in sorted(marts)}


def differences(left: Engine, right: Engine, mart: str, key: list[str]) -> Iterator[str]:
    """What is not the same in a mart, a line each: the mart, the key, the column and both values."""
    columns = [engine.columns(mart) for engine in (left, right)]
    if columns[0] != columns[1]:
        yield f"{mart}: {left.name} has the columns {columns[0]}, {right.name} {columns[1]}"
        return
    places = [columns[0].index(name) for name in key] or list(range(len(columns[0])))
    rows = [rows_by_key(engine, mart, columns[0], places) for engine in (left, right)]
    for at in sorted(rows[0].keys() ^ rows[1].keys(), key=str):
        yield f"{mart}: {at} is a row of {(left if at in rows[0] else right).name} alone"
    for at in sorted(rows[0].keys() & rows[1].keys(), key=str):
        for name, one, other in zip(columns[0], rows[0][at], rows[1][at]):
            is_clock = (mart, name) in CLOCKS
            if (mart, name) in CLOCK_VALUES:
                column, value = CLOCK_VALUES[mart, name]
                is_clock = rows[0][at][columns[0].index(column)] == value
            if not ((one is None) == (other is None) if is_clock else same(one, other)):
                yield f"{mart}: {at}: {name} is {one!r} on {left.name} and {other!r} on {right.name}"


def rows_by_key(engine: Engine, mart: str, columns: list[str], places: list[int]) -> dict[tuple, tuple]:
    """The rows of a mart by their key. A mart without a key has its whole rows for it."""
    listed = ", ".join(columns)
    rows = engine.rows(f"select {listed} from marts.{mart}")
    found = {tuple(row[place] for place in places): row for row in rows}
    assert len(found) == len(rows), f"{mart} on {engine.name}: a key is there twice"
    return found


def same(one: object, other: object) -> bool:
    """Whether two values are the same: money to the cent, floating numbers to a billionth, all else exactly."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return abs(one - other) < Decimal("0.005")
    kinds = (bool, int, str, date, datetime, type(None))
    return type(one) is type(other) and isinstance(one, kinds) and one == other


def assert_equal(engines: list[Engine], when: str) -> None:
    """Every mart has the same columns, rows and cells on both."""
    marts = marts_of(engines[0])
    assert len(marts) >= 17 and marts == marts_of(engines[1])
    found = []
    for mart, key in marts.items():
        of_mart = list(differences(engines[0], engines[1], mart, key))
        found += of_mart[:SHOWN] + ([f"{mart}: {len(of_mart) - SHOWN} more"] if len(of_mart) > SHOWN else [])
    assert not found, f"{when}:\n" + "\n".join(found)
    # Nothing is equal to nothing.
    empty = [mart for mart in marts if not engines[1].rows(f"select 1 from marts.{mart} limit 1")]
    assert empty in ([], ["fct_restatements"]), empty
