"""How views and tables are replaced on DuckDB: whole, whatever was there, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

# A model of each kind, and what it reads.
VIEW, TABLE, READ = "seg_cart", "dim_users", "int_user_metrics"
KINDS = f"""
    select table_name, table_type from information_schema.tables
    where table_name in ('{VIEW}', '{TABLE}') order by table_name
"""
THERE = "select table_schema, table_name from information_schema.tables order by all"
VIEW_SQL = f"select sql from duckdb_views() where view_name = '{VIEW}'"


@pytest.fixture
def warehouse(built_sample, tmp_path) -> Path:
    """A copy of the sample's warehouse."""
    return Path(shutil.copy(built_sample, tmp_path / "warehouse.duckdb"))


def members(warehouse: Path) -> tuple[list[tuple], list[tuple], list[tuple]]:
    """The rows of the view and of the table, and all that is in the warehouse."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return (
            connection.execute(f"from segments.{VIEW} order by all").fetchall(),
            connection.execute(f"from marts.{TABLE} order by all").fetchall(),
            connection.execute(THERE).fetchall(),
        )


@pytest.mark.parametrize(
    "before",
    [
        f"delete from marts.{TABLE}; create or replace view segments.{VIEW} as select 1 as other",
        # Each where the other kind was.
        f"drop table marts.{TABLE}; create view marts.{TABLE} as select 1 as other; "
        f"drop view segments.{VIEW}; create table segments.{VIEW} as select 1 as other",
    ],
    ids=["the same kind", "the other kind"],
)
def test_what_is_there_is_replaced_and_nothing_is_left_beside_it(dbt, warehouse, before):
    good = members(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(before)
    ran = dbt("run", "--select", VIEW, TABLE, env={"WAREHOUSE": warehouse})
    assert ran.code == 0, ran.output
    assert members(warehouse) == good
    assert ran.rows(KINDS) == [(TABLE, "BASE TABLE"), (VIEW, "VIEW")]


def test_what_was_there_stays_where_a_model_fails(dbt, warehouse):
    _, table, there = members(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        (view,) = connection.execute(VIEW_SQL).fetchone()
        # Both need columns that are not there any more.
        connection.execute(f"create table kept as select as_of_date, user_id from intermediate.{READ}")
        connection.execute(f"drop table intermediate.{READ}")
        connection.execute(f"create table intermediate.{READ} as from kept; drop table kept")
    # One after the other: the table would be skipped where the view fails.
    for model in (VIEW, TABLE):
        ran = dbt("run", "--select", model, env={"WAREHOUSE": warehouse})
        assert ran.code == 1 and "ERROR=1" in ran.output, ran.output
    assert ran.rows(f"from marts.{TABLE} order by all") == table
    assert ran.rows(VIEW_SQL) == [(view,)]
    assert ran.rows(THERE) == there
