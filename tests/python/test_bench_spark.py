"""The comparison of Spark's marts with DuckDB's that tools/bench.py --scale-spark makes."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from bench_programs import Failed
from bench_spark import differences

MARTS = """
create schema marts;
create table marts.fct_segment_daily as
select * from (values (date '2024-06-30', 'core', 3, 0.1234565::double), (date '2024-06-30', 'casual', 5, null))
as daily (as_of_date, segment, users, share);
create table marts.fct_input_health as
select * from (values ('freshness', 1.0), ('volume', 2.0)) as health (check_name, value);
create view marts.fct_segment_changes as select 1 as one;
"""
# The same in another order, a float that was added up in another one, and another clock.
SPARK = {
    "fct_segment_daily": """
        values (date '2024-06-30', 'casual', 5, null), (date '2024-06-30', 'core', 3, 0.1234565::double - 1e-16)
        """,
    "fct_input_health": "values ('volume', 2.0), ('freshness', 7.0)",
}
COLUMNS = {"fct_segment_daily": "as_of_date, segment, users, share", "fct_input_health": "check_name, value"}


@pytest.fixture
def warehouse(tmp_path) -> Path:
    """A DuckDB file with two marts that are tables, and one that is a view."""
    with duckdb.connect(str(tmp_path / "daily.duckdb")) as con:
        con.execute(MARTS)
    return tmp_path / "daily.duckdb"


def spark_tables(folder: Path, suffix: str = "", **instead: str) -> Path:
    """A folder as Spark writes it, with the marts of SPARK, or others of the same names `instead`."""
    for mart, rows in (SPARK | instead).items():
        place = folder / "tables" / "marts.db" / "tables" / f"{mart}{suffix}"
        place.mkdir(parents=True)
        duckdb.execute(f"copy (select * from ({rows}) as of_mart ({COLUMNS[mart]})) to '{place}/part-0.parquet'")
    return folder / "tables"


def test_marts_are_the_same_in_any_order_and_whenever_they_were_asked_for(warehouse, tmp_path):
    assert differences(warehouse, spark_tables(tmp_path)) == ([], 2)


def test_of_two_folders_that_take_turns_the_one_that_holds_the_mart_is_read(warehouse, tmp_path):
    tables = spark_tables(tmp_path, "__2")
    for mart in SPARK:
        empty = tables / "marts.db" / "tables" / mart
        empty.mkdir()
        duckdb.execute(f"copy (select 1 as nothing where 1 = 0) to '{empty}/part-0.parquet'")
    assert differences(warehouse, tables) == ([], 2)


def test_a_cell_that_is_not_the_same_is_found(warehouse, tmp_path):
    tables = spark_tables(tmp_path, fct_input_health="values ('volume', 2.5), ('freshness', 1.0)")
    assert differences(warehouse, tables) == (["fct_input_health: rows on DuckDB only: 1, on Spark only: 1"], 2)


def test_a_row_that_is_there_twice_is_found(warehouse, tmp_path):
    rows = SPARK["fct_segment_daily"] + ", (date '2024-06-30', 'casual', 5, null)"
    tables = spark_tables(tmp_path, fct_segment_daily=rows)
    assert differences(warehouse, tables)[0] == ["fct_segment_daily: rows on DuckDB only: 0, on Spark only: 1"]


def test_a_mart_that_spark_does_not_have_is_an_error(warehouse, tmp_path):
    with pytest.raises(Failed, match="no table marts.fct_"):
        differences(warehouse, tmp_path)
