"""Each macro of macros/cross_db means the same on DuckDB and on PostgreSQL (macro_cases.py)."""

from __future__ import annotations

import re
from collections.abc import Callable

import duckdb
import pytest
from engines import PROJECT, Engine, Engines
from macro_cases import GROUPS, assert_as_counted

@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def engine(request, new: Engines) -> Engine:
    """An engine that has been used once: what macros call is there."""
    engine = new(request.param)
    assert engine.load().code == 0
    ran = engine.dbt("run", "--select", "stg_generic__funnels")
    assert ran.code == 0, ran.output
    return engine


@pytest.fixture(params=GROUPS)
def group(request) -> tuple[dict, list[tuple[str, object]]]:
    """The variables of the project, and the cases for them."""
    return GROUPS[request.param]


def asked(engine: Engine) -> Callable[[str], list[tuple]]:
    """Runs a query as the engine does for dbt."""
    if engine.name == "postgres":
        return engine.rows
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    return lambda sql: connection.execute(sql).fetchall()


def test_a_macro_gives_what_was_counted_by_hand(engine, group):
    variables, cases = group
    assert_as_counted(engine, variables, cases, asked(engine))


def test_every_macro_of_cross_db_has_a_case():
    folder = PROJECT / "macros" / "cross_db"
    names = {
        name
        for file in folder.glob("*.sql")
        for name in re.findall(r"{% macro (\w+)\(", file.read_text("utf-8"))
        if "__" not in name
    }
    # These are no part of a query: what runs them are the builds of the other tests.
    names -= {
        "create_functions", "planner_settings", "name_types", "shows_the_sample", "grant_marts", "index_for_bi",
        "statements", "transaction", "run_each", "commit_what_was_done", "delete_rows", "delete_days", "update_rows",
        "delete_stale_rows", "mark_unfinished", "is_unfinished", "described", "days_of", "day_list", "empty_days",
        "replace_rows", "take_place", "empty_folder", "finish_replacements", "is_there", "record_evaluations",
        "pending_evaluations", "note_pending_evaluations", "finish_recording", "show_raw_folder", "forget_stays",
        "populations_of_erased", "write_kept_rows", "compute_once", "drop_scratch", "once", "longest_funnel",
        "and_on_stored_days", "and_from_first_day", "stored_day", "stored_day_of", "segments_as_rows",
        "drop_in_transaction",
    }  # fmt: skip
    called = " ".join(query for _, cases in GROUPS.values() for query, _ in cases)
    assert sorted(name for name in names if f"{name}(" not in called) == []
