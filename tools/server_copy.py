"""A throw-away DuckDB warehouse in which a past day of a server's warehouse can be answered: `make as-of` needs one.

The raw data come from the landing, the DuckDB file by way of which tools/load.py filled the server; what is no function
of them, the history, is copied from the server. The rest is what dbt makes of the two: the same members on each engine.
The server is only read.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from history import PROJECT, Refused
from landing import landing_file
from raw_formats import quoted
from raw_tables import BadInput, asked_definitions, find_inputs

if TYPE_CHECKING:
    from targets import Server

# What runs wrote down, and the marts that keep what they had.
HISTORY = (
    "runs.evaluations", "runs.restatements", "marts.fct_segment_membership_history", "marts.fct_segment_health",
)  # fmt: skip
FILES = "select source_file, load_number, size, modified_ns from raw.event_files order by source_file"
ROWS_AT_A_TIME = 10_000


def copy_of_server(engine: Server, folder: Path) -> Path:
    """Makes the warehouse in `folder`, which is new. Raises Refused, and the errors of both databases."""
    load = f"make load TARGET={engine.name}"
    landing = landing_file(engine.name, engine.env)
    if not landing.is_file():
        raise Refused(f"LANDING: there is no {landing}, from which past days are answered; {load} makes it")
    folder.mkdir(parents=True)
    # Of the same name: DuckDB writes that into every view.
    copy = folder / landing.name
    with duckdb.connect(str(landing), read_only=True):
        for file in (landing, landing.with_name(f"{landing.name}.wal")):
            if file.exists():
                shutil.copyfile(file, folder / file.name)
    with duckdb.connect(str(copy)) as connection, engine.snapshot() as server:
        check(connection, server, landing, load)
        for table in HISTORY:
            copy_table(connection, server, engine, table, folder)
    return copy


def check(connection: duckdb.DuckDBPyConnection, server: Any, landing: Path, load: str) -> None:
    """Raises Refused where the copy of the landing is not what the server's tables were made of."""
    own = "select landing from raw.landing"
    if connection.execute(own).fetchall() != server.execute(own).fetchall():
        raise Refused(f"LANDING: {landing} is not the one that the warehouse was loaded from; {load} makes it so")
    if connection.execute(FILES).fetchall() != [tuple(row) for row in server.execute(FILES).fetchall()]:
        raise Refused(f"LANDING: {landing} is ahead of the warehouse: a load did not end well; {load} does it again")
    (first_open,) = server.execute("select max(first_open_day) from runs.retention").fetchone()
    if first_open:
        raise Refused(
            f"DATE: events of days before {first_open} are not kept (event_retention_days), and a past day is "
            "answered from events, unless the warehouse is of DuckDB"
        )
    folder = Path(os.environ.get("RAW_DATA") or PROJECT / "seeds" / "sample").resolve()
    asked = asked_definitions()
    known = dict(connection.execute("select table_name, fingerprint from raw.loaded_files").fetchall())
    try:
        inputs = find_inputs(folder, asked["event_taxonomy"], asked)
    except BadInput as error:
        raise Refused(str(error.msg)) from None
    if others := [item.table.name for item in inputs if known.get(item.table.name) != item.fingerprint()]:
        raise Refused(f"RAW_DATA: {folder} is not what was loaded ({', '.join(others)}); {load} first")


def copy_table(
    connection: duckdb.DuckDBPyConnection, server: Any, engine: Server, table: str, folder: Path
) -> None:
    """Replaces a table by what the server has in it, if it has it."""
    schema, name = table.split(".")
    columns = engine.columns(server, schema, name)
    if not columns:
        return
    connection.execute(f"create schema if not exists {schema}")
    if not connection.execute(
        f"select 1 from information_schema.tables where table_schema = '{schema}' and table_name = '{name}'"
    ).fetchone():
        listed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        connection.execute(f"create table {table} ({listed})")
    connection.execute(f"delete from {table}")
    names = ", ".join(f'"{column}"' for column in columns)
    shape = ", ".join(f"{quoted(column)}: 'varchar'" for column in columns)
    texts = ", ".join(engine.as_text(column) for column in columns)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        piece = Path(place, "rows.json")
        with piece.open("w", encoding="utf-8") as file:
            for row in rows_of(server.execute(f"select {texts} from {table}")):
                file.write(json.dumps(dict(zip(columns, row))) + "\n")
        connection.execute(
            f"insert into {table} ({names}) select {names} "
            f"from read_json({quoted(piece)}, format = 'newline_delimited', columns = {{{shape}}})"
        )


def rows_of(cursor: Any) -> Iterator[tuple]:
    """The rows of a query, some at a time."""
    while rows := cursor.fetchmany(ROWS_AT_A_TIME):
        yield from rows
