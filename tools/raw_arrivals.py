"""Which files of events are new since the last run, and which event days they touch.

A day's events are read again when a file that holds some of them came, changed or went: the days of all other files
stay as they were built. Tables of schema raw remember what was there:

    event_files         a file that was read, its size, the time when it was last written to, and the load that read it
    event_file_days     the days of which a file holds events: where a day's events are to be found
    event_days          the load that last touched a day; its number only ever grows
    event_file_columns  how many rows of a file have a value in each column (raw_columns.py)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from raw_formats import listed, quoted
from raw_tables import Input

TABLES = (
    "create table if not exists raw.event_files (source_file varchar, size bigint, modified_ns bigint)",
    "alter table raw.event_files add column if not exists load_number integer",
    "create table if not exists raw.event_file_days (source_file varchar, event_date date)",
    "create table if not exists raw.event_days (event_date date, load_number integer)",
    "create table if not exists raw.event_file_columns "
    "(source_file varchar, load_number integer, column_name varchar, row_count bigint, filled_rows bigint)",
)
# A file need not hold a day, and a load that only took files away reads none: so both are asked, and neither forgets.
NEXT_LOAD = """
    select 1 + coalesce(max(load_number), 0)
    from (
        select load_number from raw.event_days
        union all select load_number from raw.event_files
        union all select load_number from raw.event_file_columns
    )
"""


@dataclass
class Arrivals:
    """What is to be done: the files to `read`, those of which what was read before is `stale`, and whether nothing that
    was read before can be kept (`afresh`)."""

    read: list[Path] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    afresh: bool = False


def find_arrivals(conn: duckdb.DuckDBPyConnection, item: Input, afresh: bool) -> Arrivals:
    """Compares the files of `item` with those that were read. A file that was written to again is stale, and to be
    read."""
    for table in TABLES:
        conn.execute(table)
    rows = conn.execute("select source_file, size, modified_ns from raw.event_files").fetchall()
    known = {file: (size, modified) for file, size, modified in rows}
    there = {str(file): stamp(file) for file in item.files}
    return Arrivals(
        read=[file for file in item.files if afresh or known.get(str(file)) != there[str(file)]],
        stale=[file for file in known if afresh or known[file] != there.get(file)],
        afresh=afresh,
    )


def note_arrivals(conn: duckdb.DuckDBPyConnection, arrivals: Arrivals, event_date: str) -> int:
    """Writes down what was read, once raw.events shows it, and gives the number of the load; `event_date` is the SQL
    for the day of one of its rows."""
    (load,) = conn.execute(NEXT_LOAD).fetchone() or (1,)
    stale, new = listed(arrivals.stale), listed(arrivals.read)
    conn.execute(
        f"create temp table touched as select event_date from raw.event_file_days where source_file in {stale}"
    )
    conn.execute(f"delete from raw.event_files where source_file in {stale}")
    conn.execute(f"delete from raw.event_file_days where source_file in {stale}")
    for file in arrivals.read:
        size, modified = stamp(file)
        conn.execute(f"insert into raw.event_files values ({quoted(file)}, {size}, {modified}, {load})")
    conn.execute(
        "insert into raw.event_file_days select source_file, event_date from ("
        f"select distinct source_file, {event_date} as event_date from raw.events where source_file in {new}"
        ") where event_date is not null"
    )
    conn.execute(f"insert into touched select event_date from raw.event_file_days where source_file in {new}")
    note_days(conn, "select event_date from touched", load)
    conn.execute("drop table touched")
    return load


def note_days(conn: duckdb.DuckDBPyConnection, days: str, load: int) -> None:
    """Writes down that a load touched the days that `days` gives, which is SQL for a column event_date."""
    conn.execute(f"delete from raw.event_days where event_date in ({days})")
    conn.execute(
        f"insert into raw.event_days select distinct event_date, {load} from ({days}) where event_date is not null"
    )


def note_shorter_files(conn: duckdb.DuckDBPyConnection, load: int, first_day: str | None = None) -> None:
    """Writes down that files hold less than they did: what was counted in them is counted again. With `first_day`,
    those alone that hold events of days before it."""
    shorter = f"(select source_file from raw.event_file_days where event_date < date '{first_day}')"
    conn.execute(
        f"update raw.event_files set load_number = {load}" + (f" where source_file in {shorter}" if first_day else "")
    )


def stamp(file: Path) -> tuple[int, int]:
    """What changes when somebody writes to a file: its size, and the time in nanoseconds."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns
