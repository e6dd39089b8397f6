"""Turns the raw files of a data set in examples/ into input tables that RAW_DATA can name.

    python tools/map_example.py NAME SOURCE_FOLDER OUT_FOLDER

Runs examples/NAME/mapping.sql on DuckDB with the variable `source` set to SOURCE_FOLDER, and writes every table and
view that the mapping leaves (temporary ones are its own affair) to OUT_FOLDER/<table>.parquet.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import duckdb

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


class CannotMap(Exception):
    """A mapping that cannot be run. The message is one line: what, where, what to do."""


def map_example(name: str, source: Path, out: Path) -> dict[str, int]:
    """Writes the input tables of the example `name` to the folder `out` and gives the number of rows of each.

    Raises CannotMap for an example or a folder that is not there, raw files that the mapping cannot read, a mapping
    that makes no event, and a folder that cannot be written to. Nothing is written unless the whole mapping ran.
    """
    mapping = EXAMPLES / name / "mapping.sql"
    if not mapping.is_file():
        known = sorted(file.parent.name for file in EXAMPLES.glob("*/mapping.sql"))
        raise CannotMap(f"NAME: there is no example {name!r}; use one of {', '.join(known)}")
    if not source.is_dir():
        raise CannotMap(f"SOURCE_FOLDER: there is no folder {source}; examples/{name}/README.md says where the data is")
    with duckdb.connect() as conn:
        try:
            rows = run_mapping(conn, mapping, source)
        except duckdb.Error as error:
            raise CannotMap(f"SOURCE_FOLDER: {source} is not what examples/{name} reads: {first_line(error)}") from None
        if not rows.get("events"):
            raise CannotMap(f"SOURCE_FOLDER: examples/{name}/mapping.sql makes no row of events from {source}")
        try:
            write_tables(conn, list(rows), out)
        except (OSError, duckdb.Error) as error:
            raise CannotMap(f"OUT_FOLDER: cannot write to {out}: {first_line(error)}; name another folder") from None
    return rows


def run_mapping(conn: duckdb.DuckDBPyConnection, mapping: Path, source: Path) -> dict[str, int]:
    """Runs the SQL of a mapping and gives the tables and views that it leaves, with their numbers of rows."""
    # A timestamp without a zone is UTC, on every machine.
    conn.execute("set TimeZone = 'UTC'")
    conn.execute("set variable source = ?", [str(source)])
    conn.execute(mapping.read_text(encoding="utf-8"))
    tables = conn.execute(
        "select table_name from information_schema.tables "
        "where table_catalog = current_database() and table_schema = 'main' order by table_name"
    ).fetchall()
    return {table: conn.execute(f'select count(*) from "{table}"').fetchone()[0] for (table,) in tables}


def write_tables(conn: duckdb.DuckDBPyConnection, tables: list[str], out: Path) -> None:
    """Writes each table of the connection to a Parquet file in `out`, all of them or none."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    try:
        for table in tables:
            # Written beside it first: a reader of OUT_FOLDER never sees half a file.
            unfinished = out / f".{table}.parquet.{os.getpid()}"
            written.append((unfinished, out / f"{table}.parquet"))
            unfinished.touch()
            conn.table(table).write_parquet(str(unfinished))
        for unfinished, finished in written:
            unfinished.replace(finished)
    finally:
        for unfinished, _ in written:
            unfinished.unlink(missing_ok=True)


def first_line(error: Exception) -> str:
    """What an error says, without the excerpt of SQL below it."""
    return str(error).strip().splitlines()[0]


def main() -> int:
    """Runs the program; gives its exit code."""
    parser = argparse.ArgumentParser(description="Turns the raw files of a data set in examples/ into input tables.")
    parser.add_argument("name", metavar="NAME", help="a folder of examples/")
    parser.add_argument("source", metavar="SOURCE_FOLDER", type=Path, help="where the raw files are")
    parser.add_argument("out", metavar="OUT_FOLDER", type=Path, help="where the Parquet files go")
    given = parser.parse_args()
    try:
        rows = map_example(given.name, given.source, given.out)
    except CannotMap as problem:
        print(problem, file=sys.stderr)
        return 1
    counted = ", ".join(f"{count:,} rows of {table}" for table, count in rows.items())
    print(f"{given.name}: {counted} in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
