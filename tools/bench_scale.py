"""Measure how cost and size grow: a full build, a daily run, and each table that they leave behind.

    python tools/bench.py --scale [--events 10000000] [--runs 1]

The events come as for --daily (bench_daily.py): a file for each day of receipt. The full build has all of them but the
last, which is the new day. What the same commands cost on three events is their start-up, and is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
from bench_daily import BACKFILL_TO, DAY_BEFORE, NEW_DAY, WHOLE, Inbox, one_event, rows_in, split_of
from bench_programs import Cost, console, least_of, machine, measured, step
from rich.table import Table

# DuckDB gives a column of a row group whole blocks, of which small tables share some.
BLOCK_BYTES = 262_144
# A table with fewer bytes is not worth a line.
SHOWN_BYTES = 1_000_000


@dataclass(frozen=True)
class Size:
    """A table of the warehouse: its rows, and the bytes of its blocks on disk."""

    table: str
    rows: int
    disk_bytes: int


def scale(events: int, runs: int, folder: Path) -> int:
    """Measures and prints it; gives the exit code. Raises Failed."""
    split = split_of(events, folder)
    days = sorted(file for file in split.glob("*.parquet") if file.stem <= NEW_DAY.isoformat())
    inbox = Inbox(folder / "scale")
    few = [one_event(split, day, folder / "scale" / "few") for day in (BACKFILL_TO, DAY_BEFORE, NEW_DAY)]
    # The first run parses the project, which is no part of a start-up.
    inbox.hold(few)
    with step(f"{inbox.dbt().name}, to warm up"):
        measured(inbox.dbt())
    start, whole = costs_of(inbox, few, "three events", runs), costs_of(inbox, days, WHOLE, runs)
    sizes = sizes_of(inbox.warehouse)
    people = next(size.rows for size in sizes if size.table == "intermediate.int_user_metrics")
    raw_bytes = sum(file.stat().st_size for file in days)

    table = Table(title=f"{rows_in(days):,} events, {rows_in(days[-1:]):,} of them new, {people:,} people, {machine()}")
    for heading in ("program", "seconds", "CPU seconds", "start-up", "peak memory"):
        table.add_column(heading, justify="left" if heading == "program" else "right")
    for name, cost in whole.items():
        seconds, cpu_seconds = cost.seconds - start[name].seconds, cost.cpu_seconds - start[name].cpu_seconds
        table.add_row(
            name, f"{seconds:.1f}", f"{cpu_seconds:.1f}", f"{start[name].seconds:.1f} s", f"{cost.peak_gb:.2f} GB"
        )
    console.print(table)
    show_sizes(sizes, rows_in(days), raw_bytes)
    return 0


def costs_of(inbox: Inbox, files: list[Path], name: str, runs: int) -> dict[str, Cost]:
    """What a full build of all files but the last costs, and a daily run of that one. The warehouse of the daily run is
    left. Raises Failed."""
    inbox.hold(files[:-1])
    full = least_of(inbox.dbt(), runs, f"{name}, full build of the days before")
    before = inbox.keep(name, "before")
    inbox.hold(files)
    daily = least_of(inbox.dbt(before), runs, f"{name}, the new day")
    before.unlink()
    return {"full build": full, "daily run": daily}


def sizes_of(warehouse: Path) -> list[Size]:
    """The tables of a warehouse, the largest first."""
    with duckdb.connect(str(warehouse), read_only=True) as con:
        names = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where not internal order by all"
        ).fetchall()
        sizes = []
        for (name,) in names:
            (rows,) = con.execute(f"select count(*) from {name}").fetchone()
            (blocks,) = con.execute(
                f"select count(distinct block_id) from pragma_storage_info('{name}') where persistent"
            ).fetchone()
            sizes.append(Size(name, rows, blocks * BLOCK_BYTES))
    return sorted(sizes, key=lambda size: -size.disk_bytes)


def show_sizes(sizes: list[Size], events: int, raw_bytes: int) -> None:
    """Prints a line for each table that is worth one."""
    table = Table(title="What lies on disk")
    for heading in ("table", "rows", "rows per 1,000 events", "MB"):
        table.add_column(heading, justify="left" if heading == "table" else "right")
    table.add_row("the files of events", f"{events:,}", "1,000", f"{raw_bytes / 1e6:.0f}")
    for size in sizes:
        if size.disk_bytes >= SHOWN_BYTES:
            table.add_row(
                size.table, f"{size.rows:,}", f"{1000 * size.rows / events:,.0f}", f"{size.disk_bytes / 1e6:.0f}"
            )
    table.add_row("all tables", "", "", f"{sum(size.disk_bytes for size in sizes) / 1e6:.0f}")
    console.print(table)
