"""The comparison of two engines itself: what it finds, and how it says it."""

from __future__ import annotations

import duckdb
import pytest
from engines import Engine, Engines
from equality import differences

ROW = "('a', 1, true, 2.50, 0.1, 'ä', timestamp '2024-03-31 01:00:00.000001', date '2024-02-29')"
COLUMNS = "name, amount, is_there, revenue, rate, said, seen_at, day"


def with_mart(engine: Engine, *rows: str) -> Engine:
    """The engine with a mart of these rows."""
    with duckdb.connect(engine.place) as connection:
        connection.execute("create schema if not exists marts")
        connection.execute(f"create or replace table marts.a_mart as from (values {', '.join(rows)}) as t ({COLUMNS})")
        connection.execute("alter table marts.a_mart alter rate type double")
        connection.execute("alter table marts.a_mart alter revenue type decimal(18, 4)")
    return engine


@pytest.fixture(scope="module")
def pair(new: Engines) -> list[Engine]:
    """Two warehouses."""
    return [new("duckdb"), new("duckdb")]


def test_equal_is_equal_to_the_cent_and_to_a_billionth(pair):
    one = with_mart(pair[0], ROW)
    close = with_mart(pair[1], ROW.replace("2.50", "2.5049").replace("0.1,", "0.1000000000001,"))
    assert list(differences(one, close, "a_mart", ["name"])) == []


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        (" 1,", " 2,", "amount is 1 on duckdb and 2 on duckdb"), (" 1,", " null,", "amount is 1 on duckdb and None"),
        ("true", "false", "is_there is True"), ("2.50", "2.51", "revenue is Decimal('2.5000')"),
        ("0.1,", "0.10000001,", "rate is 0.1 on duckdb and 0.10000001"), ("'ä'", "'a'", "said is 'ä'"),
        ("000001'", "000002'", "seen_at is datetime"), ("02-29", "02-28", "day is datetime.date(2024, 2, 29)"),
    ],
)  # fmt: skip
def test_a_difference_is_told_with_mart_key_and_both_values(pair, here, there, said):
    assert here in ROW
    one, other = with_mart(pair[0], ROW), with_mart(pair[1], ROW.replace(here, there))
    (line,) = differences(one, other, "a_mart", ["name"])
    assert line.startswith(f"a_mart: ('a',): {said}")


def test_a_row_that_is_missing_and_columns_that_differ_are_told(pair):
    one, other = with_mart(pair[0], ROW, ROW.replace("'a'", "'b'")), with_mart(pair[1], ROW)
    assert list(differences(one, other, "a_mart", ["name"])) == ["a_mart: ('b',) is a row of duckdb alone"]
    with duckdb.connect(other.place) as connection:
        connection.execute("alter table marts.a_mart drop day")
    (line,) = differences(one, other, "a_mart", ["name"])
    assert line.startswith("a_mart: duckdb has the columns ['name', ")
