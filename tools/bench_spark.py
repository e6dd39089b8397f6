"""Measure on Spark what --scale measures on DuckDB: a load and a full build, those of one more day, and the tables; and
compare the marts with those that DuckDB makes of the same two runs.

    python tools/bench.py --scale-spark [--events 1000000]

Spark runs on this machine (MASTER, local[*] where it is not set) with 6 GB for its driver, unless PYSPARK_SUBMIT_ARGS
says otherwise. Seconds are those of the clock, with the start of dbt and of Spark: what Java takes is not this
process's. The program ends with 1 where a mart is not the same.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import duckdb
from bench_daily import NEW_DAY, Inbox, rows_in, split_of
from bench_programs import PROJECT, Cost, Failed, Program, console, machine, measured, quoted, step
from bench_scale import Size, show_sizes
from rich.table import Table

MEMORY = "--driver-memory 6g pyspark-shell"
# For one machine; 200 pieces of a few thousand rows each would be mostly overhead.
PARTITIONS = "8"
# What says how long ago something was when it was asked.
CLOCKS = {"fct_input_health": "check_name <> 'freshness'"}


def scale_on_spark(events: int, folder: Path) -> int:
    """Measures and prints it; gives the exit code. Raises Failed."""
    split = split_of(events, folder)
    days = sorted(file for file in split.glob("*.parquet") if file.stem <= NEW_DAY.isoformat())
    inbox = Inbox(folder / "spark")
    costs = costs_of(inbox, days, f"{events:,} events")
    table = Table(title=f"{rows_in(days):,} events, {rows_in(days[-1:]):,} of them new, Spark, {machine()}")
    for heading in ("program", "seconds"):
        table.add_column(heading, justify="left" if heading == "program" else "right")
    for name, cost in costs.items():
        table.add_row(name, f"{cost.seconds:.1f}")
    console.print(table)
    show_sizes(sizes_of(inbox.folder / "tables"), rows_in(days), sum(file.stat().st_size for file in days))
    with step("the same runs on DuckDB"):
        inbox.hold(days[:-1])
        measured(inbox.dbt())
        before = inbox.keep("duckdb", "before")
        inbox.hold(days)
        measured(inbox.dbt(before))
    with step("comparing the marts"):
        found, compared = differences(inbox.warehouse, inbox.folder / "tables")
    for line in found:
        console.print(f"The results differ. {line}", markup=False)
    if not found:
        console.print(f"The {compared} marts that are tables are the same on both, cell by cell.")
    return 1 if found else 0


def differences(warehouse: Path, tables: Path) -> tuple[list[str], int]:
    """How the marts that are tables in a DuckDB file differ from those of Spark's folder, a line for each that does
    (floating numbers to seven digits); and how many were compared. Raises Failed where Spark has no such table."""
    found = []
    with duckdb.connect() as con:
        con.execute(f"set TimeZone = 'UTC'; attach '{quoted(warehouse)}' as warehouse (read_only)")
        marts = con.execute(
            "select table_name from duckdb_tables() where database_name = 'warehouse' and schema_name = 'marts'"
        ).fetchall()
        for (mart,) in marts:
            described = f"select column_name, column_type from (describe warehouse.marts.{mart})"
            types = dict(con.execute(described).fetchall())
            columns = ", ".join(
                # Rounded in binary: half a microsecond, say, would lie between two decimal numbers.
                f"cast({name} as {'real' if kind == 'DOUBLE' else kind})"
                for name, kind in types.items()
            )
            both = [
                f"select {columns} from {relation} where {CLOCKS.get(mart, 'true')}"
                for relation in (f"warehouse.marts.{mart}", parquet_of(con, tables, mart, set(types)))
            ]
            duckdb_only, spark_only = con.execute(
                f"select (select count(*) from ({both[0]} except all {both[1]})), "
                f"(select count(*) from ({both[1]} except all {both[0]}))"
            ).fetchone()
            if duckdb_only or spark_only:
                found.append(f"{mart}: rows on DuckDB only: {duckdb_only}, on Spark only: {spark_only}")
    return found, len(marts)


def parquet_of(con: duckdb.DuckDBPyConnection, tables: Path, mart: str, columns: set[str]) -> str:
    """The relation that reads a mart of Spark. Raises Failed where there is none."""
    # Of two folders that take turns, the one that is empty has no columns of the mart.
    for name in (mart, f"{mart}__2"):
        relation = f"read_parquet('{quoted(tables / 'marts.db' / 'tables' / name)}/**/*.parquet')"
        try:
            there = {row[0] for row in con.execute(f"select column_name from (describe from {relation})").fetchall()}
        except duckdb.IOException:
            continue
        if there == columns:
            return relation
    raise Failed(f"Spark has no table marts.{mart} with the columns that it has on DuckDB")


def costs_of(inbox: Inbox, files: list[Path], name: str) -> dict[str, Cost]:
    """What it costs to load and to build all files but the last, and then that one. Raises Failed."""
    warehouse, landing = inbox.folder / "tables", inbox.folder / "landing.duckdb"
    shutil.rmtree(warehouse, ignore_errors=True)
    landing.unlink(missing_ok=True)
    env = inbox.dbt().env | {
        "TARGET": "spark", "SPARK_WAREHOUSE": str(warehouse), "LANDING": str(landing), "SPARK_RAW": "",
        "SPARK_PARTITIONS": os.environ.get("SPARK_PARTITIONS") or PARTITIONS,
        "PYSPARK_SUBMIT_ARGS": os.environ.get("PYSPARK_SUBMIT_ARGS") or MEMORY,
    }  # fmt: skip
    load = Program("load", [sys.executable, str(PROJECT / "tools" / "load.py")], inbox.folder / "load", env)
    command = [*inbox.dbt().command, "--target", "spark"]
    build = Program("dbt run", command, inbox.folder / "build", env)
    costs = {}
    for held, of_days in ((files[:-1], "full"), (files, "new day")):
        inbox.hold(held)
        for program in (load, build):
            with step(f"{program.name}, {name}, {of_days}"):
                costs[f"{program.name}, {of_days}"] = measured(program)
    return costs


def sizes_of(warehouse: Path) -> list[Size]:
    """The tables below a warehouse of Spark, the largest first."""
    sizes = []
    with duckdb.connect() as con:
        for folder in sorted(warehouse.glob("*.db/tables/*")):
            files = list(folder.rglob("*.parquet"))
            if files:
                (rows,) = con.execute(
                    "select sum(num_rows) from parquet_file_metadata(?)", [f"{folder}/**/*.parquet"]
                ).fetchone()
                name = f"{folder.parts[-3].removesuffix('.db')}.{folder.name.removesuffix('__2')}"
                sizes.append(Size(name, rows, sum(file.stat().st_size for file in files)))
    return sorted(sizes, key=lambda size: -size.disk_bytes)
