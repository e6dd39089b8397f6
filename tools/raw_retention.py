"""Keeps raw events for `event_retention_days` days, up to the newest day of events that is not after today; days before
are closed.

A closed day is in no raw table and no stored model of single events; what the stored models made of it stays as it was
built (models/intermediate/int_changed_days.sql leaves it out). `runs.retention` holds the first day that is open. It
only moves on: a closed day cannot be opened again by other settings, since its events may be gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
from raw_tables import BadInput


def prepare(conn: duckdb.DuckDBPyConnection) -> None:
    """Creates what is remembered."""
    conn.execute("create schema if not exists runs")
    conn.execute("create table if not exists runs.retention (first_open_day date)")


def days_to_keep(asked: Any) -> int | None:
    """The variable event_retention_days as a number, None for all days. Raises BadInput for what is no number."""
    if asked is None:
        return None
    if isinstance(asked, bool) or not str(asked).isdigit() or int(asked) < 1:
        raise BadInput(f"dbt_project.yml: event_retention_days is '{asked}'; write a number of days, or null for all")
    return int(asked)


def first_open_day(conn: duckdb.DuckDBPyConnection) -> str | None:
    """The first day whose events are kept, None where all are."""
    return conn.execute("select cast(max(first_open_day) as varchar) from runs.retention").fetchone()[0]


def move_on(conn: duckdb.DuckDBPyConnection, events: str, day_of: Callable[[str], str], clean: str, days: int) -> bool:
    """Closes the days that are too old beside the newest of `events` (SQL), and gives whether there were any. `day_of`
    gives SQL for the day of a time, `clean` is SQL for whether an event is one that is not rejected. What a clock dates
    after today closes nothing: it would take all that there is."""
    today = day_of("cast(now() as timestamp)")
    newest = f"select max({day_of('event_at')}) from ({events}) where {clean} and {day_of('event_at')} <= {today}"
    first = f"(select cast(({newest}) as date) - {days - 1})"
    later = f"coalesce({first} > (select max(first_open_day) from runs.retention), {first} is not null)"
    if not conn.execute(f"select {later}").fetchone()[0]:
        return False
    conn.execute(f"create or replace temp table opens_on as select {first} as first_open_day")
    conn.execute("delete from runs.retention")
    conn.execute("insert into runs.retention from opens_on")
    conn.execute("drop table opens_on")
    return True


def is_open(first_day: str, day_of) -> str:
    """SQL, never null, for whether an event is of a day that is kept. Where it has no time that can be read, the time
    of its receipt counts; where it has neither, it is kept: nobody can tell how old it is."""
    return f"coalesce(coalesce({day_of('event_at')}, {day_of('received_at')}) >= date '{first_day}', true)"


def delete_closed(conn: duckdb.DuckDBPyConnection, first_day: str, day_of) -> None:
    """Deletes what is of closed days from the table raw.events."""
    conn.execute(f"delete from raw.events where not {is_open(first_day, day_of)}")


def forget_closed_days(conn: duckdb.DuckDBPyConnection, first_day: str) -> None:
    """Takes closed days from the lists of days that raw_arrivals.py keeps."""
    for table in ("event_file_days", "event_days"):
        conn.execute(f"delete from raw.{table} where event_date < date '{first_day}'")
