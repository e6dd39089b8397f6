"""Measure on Spark what --scale measures on DuckDB: a load and a full build, those of one more day, and the tables.

    python tools/bench.py --scale-spark [--events 1000000]

Spark runs on this machine (MASTER, local[*] where it is not set) with 6 GB for its driver, unless PYSPARK_SUBMIT_ARGS
says otherwise. Seconds are those of the clock, with the start of dbt and of Spark: what Java takes is not this
process's.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import duckdb
from bench_daily import NEW_DAY, Inbox, rows_in, split_of
from bench_programs import PROJECT, Cost, Program, console, machine, measured, step
from bench_scale import Size, show_sizes
from rich.table import Table

MEMORY = "--driver-memory 6g pyspark-shell"
# For one machine; 200 pieces of a few thousand rows each would be mostly overhead.
PARTITIONS = "8"


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
    return 0


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
