"""Loads the files of RAW_DATA into PostgreSQL, as schema `raw`, for `dbt build --target postgres`; with TARGET=spark
into the folder from which Spark reads them (load_spark.py).

The files are read, checked and cleaned by the same program that shows them to dbt on DuckDB (raw_files.py), in a small
DuckDB file of its own, the landing (LANDING, default target/landing/<target>.duckdb). From there they are copied into
PostgreSQL: of the events only files that came, changed or went, every other table whole. All of it is one transaction.

The landing can be lost: what PostgreSQL knows of forgotten people, closed days and earlier loads is taken into the next
one. It holds people's data as schema raw does, and is to be kept as safe.

    raw.landing   which landing schema raw was filled from, and whether that showed seeds/sample

The connection is that of dbt: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import load_spark
import product
import raw_arrivals
import raw_erasure
import raw_retention
from landing import columns_of, landing_file
from one_run import Busy, only_run
from raw_files import PROJECT, asked_day, day_of, project_variables, set_memory_limit, show_raw_tables
from raw_formats import listed, quoted
from raw_tables import BadInput, asked_definitions, find_inputs

TARGETS = ("postgres", "spark")
TARGET = os.environ.get("TARGET") or TARGETS[0]
try:
    import psycopg2
except ImportError:
    if TARGET == "postgres":
        sys.exit("load: psycopg2 is missing; pip install -r requirements-postgres.txt")

# What is copied whole, each time: small tables that say what was read.
NOTES = ("event_files", "event_file_days", "event_days", "event_file_columns", "given_inputs")
# The tables of schema runs that the landing makes and models read.
OF_RUNS = ("erased_ids", "retention")
# What a new landing has to know of earlier loads: the table, its columns, and where they go.
ERASED = "kind, id_hash, person, requested_at, is_requested, erased_at"
REMEMBERED = (
    ("runs.erased_ids", ERASED, f"runs.erased_ids ({ERASED})"),
    ("runs.retention", "first_open_day", "runs.retention"),
    ("raw.event_days", "event_date, load_number", "raw.event_days"),
    (
        "raw.event_file_columns", "source_file, load_number, column_name, row_count, filled_rows",
        "raw.event_file_columns",
    ),
)  # fmt: skip
TYPES = {
    "VARCHAR": 'text collate "C"', "DATE": "date", "BOOLEAN": "boolean", "DOUBLE": "double precision",
    "FLOAT": "real", "TINYINT": "smallint", "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint",
}  # fmt: skip
# Bytes of files that are copied as one piece: so much room is needed beside the landing.
ONE_PIECE = 256 * 1024 * 1024


def main() -> int:
    """Loads, and says in one line what is wrong where that cannot be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vars", default="{}", help="variables of dbt_project.yml that are otherwise, as for dbt")
    try:
        given = dict(json.loads(parser.parse_args().vars))
    except (TypeError, ValueError):
        print("load: --vars is no JSON object; write it as '{\"timezone\": \"Europe/Berlin\"}'", file=sys.stderr)
        return 1
    if TARGET not in TARGETS:
        print(f"load: TARGET is '{TARGET}'; write {' or '.join(TARGETS)}", file=sys.stderr)
        return 1
    landing = landing_file(TARGET, os.environ)
    try:
        landing.parent.mkdir(parents=True, exist_ok=True)
        with only_run(landing):
            (load if TARGET == "postgres" else load_for_spark)(landing, project_variables() | given)
            if raw_erasure.has_traces(landing):
                print("load: rewriting the landing, so that nothing of forgotten people is left in it", flush=True)
                raw_erasure.rewrite(landing)
    except BadInput as error:
        print(f"load: {error.msg}", file=sys.stderr)
        return 1
    except Busy as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"load: {error.filename or landing} cannot be used: {error.strerror}", file=sys.stderr)
        return 1
    except duckdb.Error as error:
        print(f"load: LANDING: {landing}: {str(error).strip().splitlines()[0]}", file=sys.stderr)
        return 1
    except Exception as error:
        if TARGET != "postgres" or not isinstance(error, psycopg2.Error):
            raise
        print(f"load: PostgreSQL: {reason_of(error)}", file=sys.stderr)
        return 1
    return 0


def load(landing: Path, variables: dict[str, Any]) -> None:
    """Reads what is new into the landing, and copies it. Raises BadInput, OSError and the errors of both
    databases; PostgreSQL is then as it was."""
    began = time.monotonic()
    read = reader(variables)
    postgres = connect()
    try:
        with postgres, postgres.cursor() as cursor:
            # Two loads at a time would each delete what the other one copies.
            cursor.execute("select pg_advisory_xact_lock(hashtext('user_segments: load'))")
            known, held_sample = loaded_from(cursor)
            if line := product.complaint(held_sample, os.environ.get("PGDATABASE") or "postgres", "PGDATABASE"):
                raise BadInput(line)
            with open_landing(landing, known, lambda conn: remember(conn, cursor)) as conn:
                read(conn)
                copy_all(conn, cursor, landing.parent, not product.is_sample_asked())
    finally:
        postgres.close()
    print(f"load: done in {time.monotonic() - began:.1f} s", flush=True)


def load_for_spark(landing: Path, variables: dict[str, Any]) -> None:
    """The same into the folder from which Spark reads. Raises BadInput, OSError and duckdb.Error; what was loaded
    before is then as it was."""
    began = time.monotonic()
    read = reader(variables)
    place = load_spark.folder_of_raw_tables()
    place.parent.mkdir(parents=True, exist_ok=True)
    with only_run(place, "SPARK_RAW"):
        folder = load_spark.RawFolder(place)
        setting = "SPARK_RAW" if os.environ.get("SPARK_RAW") else "SPARK_WAREHOUSE"
        if line := product.complaint(folder.state.get("shows_the_sample"), str(place), setting):
            raise BadInput(line)

        def remember_all(conn: duckdb.DuckDBPyConnection) -> None:
            prepare_notes(conn)
            for table, columns, into in REMEMBERED:
                if query := folder.query(table.split(".")[1], columns):
                    if table == "raw.event_days":
                        query = f"select event_date, 1 + max(load_number) over () from ({query})"
                    conn.execute(f"insert into {into} {query}")

        with open_landing(landing, folder.state.get("landing"), remember_all) as conn:
            read(conn)
            load_spark.copy_to_folder(
                conn, folder, str(landing_of(conn)), list(tables_of(conn)), NOTES,
                not product.is_sample_asked(), variables["timezone"], day_of("event_at", variables["timezone"]),
            )  # fmt: skip
    print(f"load: done in {time.monotonic() - began:.1f} s", flush=True)


def reader(variables: dict[str, Any]) -> Callable[[duckdb.DuckDBPyConnection], None]:
    """What reads RAW_DATA into a landing. Raises BadInput for what can be refused before one is opened."""
    folder = Path(os.environ.get("RAW_DATA") or PROJECT / "seeds" / "sample").resolve()
    asked = asked_definitions()
    inputs = find_inputs(folder, asked["event_taxonomy"], asked)
    retention = raw_retention.days_to_keep(variables.get("event_retention_days"))
    as_of = asked_day(os.environ.get("AS_OF")) if variables["collectors"] == ["generic"] else None

    def read(conn: duckdb.DuckDBPyConnection) -> None:
        if limit := os.environ.get("MEMORY_LIMIT"):
            set_memory_limit(conn, limit)
        print(f"load: reading {folder}", flush=True)
        show_raw_tables(conn, inputs, as_of, variables["timezone"], retention, variables["max_funnel_steps"])

    return read


def connect():
    """A connection as profiles.yml has it. Raises psycopg2.Error."""
    return psycopg2.connect(
        host=os.environ.get("PGHOST") or "localhost",
        port=os.environ.get("PGPORT") or "5432",
        user=os.environ.get("PGUSER") or "postgres",
        password=os.environ.get("PGPASSWORD") or None,
        dbname=os.environ.get("PGDATABASE") or "postgres",
    )


def reason_of(error: Any) -> str:
    """What PostgreSQL says, in one line and without the values that it quotes."""
    line = (error.diag.message_primary or str(error).strip() or "it closed the connection").splitlines()[0]
    return re.sub(r"(invalid [^:]*): \".*", r"\1", line)


def loaded_from(cursor) -> tuple[str | None, bool | None]:
    """The landing from which schema raw was filled, and whether that showed the sample; None where nothing was loaded
    yet."""
    for schema in ("raw", "runs"):
        cursor.execute(f"create schema if not exists {schema}")
    cursor.execute("create table if not exists raw.landing (landing text, shows_the_sample boolean)")
    cursor.execute("select landing, shows_the_sample from raw.landing")
    return cursor.fetchone() or (None, None)


def open_landing(
    file: Path, known: str | None, remember_all: Callable[[duckdb.DuckDBPyConnection], None]
) -> duckdb.DuckDBPyConnection:
    """Opens the landing from which the warehouse was filled (`known`). Where it is gone, or another one, a new one is
    begun, which knows what the warehouse has to remember."""
    if file.exists() and known is not None:
        with duckdb.connect(str(file)) as conn:
            own = landing_of(conn)
        if own != known:
            file.unlink()
    is_new = not file.exists()
    conn = duckdb.connect(str(file))
    file.chmod(0o600)
    conn.execute("set TimeZone = 'UTC'")
    conn.execute("set preserve_insertion_order = false")
    if landing_of(conn) is None:
        conn.execute("begin")
        conn.execute("create schema if not exists raw")
        conn.execute("create table raw.landing as select " + quoted(uuid.uuid4().hex) + " as landing")
        if is_new and known is not None:
            print("load: the landing is gone or another one; all files are read again", flush=True)
            remember_all(conn)
        conn.execute("commit")
    return conn


def landing_of(conn: duckdb.DuckDBPyConnection) -> str | None:
    """What tells a landing from others; None in a new one."""
    there = "select 1 from information_schema.tables where table_schema = 'raw' and table_name = 'landing'"
    if not conn.execute(there).fetchone():
        return None
    return conn.execute("select landing from raw.landing").fetchone()[0]


def prepare_notes(conn: duckdb.DuckDBPyConnection) -> None:
    """Makes the tables of what is remembered."""
    raw_erasure.prepare(conn)
    raw_retention.prepare(conn)
    for table in raw_arrivals.TABLES:
        conn.execute(table)


def remember(conn: duckdb.DuckDBPyConnection, cursor) -> None:
    """Takes what PostgreSQL knows of earlier loads into a new landing. Every day counts as touched: nobody can tell
    what became of the files since."""
    prepare_notes(conn)
    for table, columns, into in REMEMBERED:
        cursor.execute(f"select to_regclass('{table}') is not null")
        if not cursor.fetchone()[0]:
            continue
        if table == "raw.event_days":
            columns = "event_date, (select 1 + max(load_number) from raw.event_days)"
        cursor.execute(f"select {columns} from {table}")
        rows = cursor.fetchall()
        if rows:
            conn.executemany(f"insert into {into} values ({', '.join('?' * len(rows[0]))})", rows)


# Copying


def copy_all(conn: duckdb.DuckDBPyConnection, cursor, scratch: Path, is_own_data: bool) -> None:
    """Makes schema raw, and what models read of schema runs, what they are in the landing."""
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        piece = Path(place, "piece.csv")
        copy_events(conn, cursor, piece)
        for schema, table in tables_of(conn):
            row_count = copy_whole(conn, cursor, schema, table, piece)
            if schema == "raw" and table not in NOTES:
                print(f"load: {table}: {row_count:,} rows", flush=True)
    cursor.execute("delete from raw.landing")
    cursor.execute("insert into raw.landing values (%s, %s)", (landing_of(conn), not is_own_data))


def tables_of(conn: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """The tables that are copied whole."""
    left_out = ("events", "landing", "loaded_files")
    for (name,) in conn.execute(
        f"select table_name from information_schema.tables where table_schema = 'raw' and table_name not in {left_out} "
        "order by table_name"
    ).fetchall():
        yield "raw", name
    for name in OF_RUNS:
        yield "runs", name


def copy_events(conn: duckdb.DuckDBPyConnection, cursor, piece: Path) -> None:
    """Copies the events of files that are not in PostgreSQL as they are in the landing, and deletes those of files that
    are gone."""
    columns = columns_of(conn, "raw", "events")
    is_new = create(cursor, "raw", "events", columns)
    if is_new:
        cursor.execute("create index on raw.events (source_file)")
    cursor.execute("select to_regclass('raw.event_files') is not null")
    known: dict[str, tuple] = {}
    if not is_new and cursor.fetchone()[0]:
        cursor.execute("select source_file, load_number, size, modified_ns from raw.event_files")
        known = {file: tuple(stamp) for file, *stamp in cursor.fetchall()}
    rows = conn.execute(
        "select source_file, load_number, size, modified_ns from raw.event_files order by source_file"
    ).fetchall()
    there = {file: tuple(stamp) for file, *stamp in rows}
    stale = sorted(file for file in known if known[file] != there.get(file))
    new = [file for file in there if known.get(file) != there[file]]
    if stale:
        cursor.execute("delete from raw.events where source_file = any(%s)", (stale,))
    row_count = 0
    for files in pieces(new, {file: stamp[1] for file, stamp in there.items()}):
        row_count += copy(conn, cursor, "raw", "events", columns, piece, f"where source_file in {listed(files)}")
    gone = len([file for file in known if file not in there])
    print(
        f"load: events: {len(new)} of {len(there)} files, {row_count:,} rows" + (f"; {gone} files gone" if gone else ""),
        flush=True,
    )
    if new or stale:
        cursor.execute("analyze raw.events")


def pieces(files: Iterable[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    """The files in groups, of which none is larger than ONE_PIECE, unless one file alone is."""
    group: list[str] = []
    size = 0
    for file in files:
        if group and size + sizes[file] > ONE_PIECE:
            yield group
            group, size = [], 0
        group.append(file)
        size += sizes[file]
    if group:
        yield group


def copy_whole(conn: duckdb.DuckDBPyConnection, cursor, schema: str, table: str, piece: Path) -> int:
    """Replaces the rows of a table by those in the landing, and gives how many these are."""
    columns = columns_of(conn, schema, table)
    if not create(cursor, schema, table, columns):
        cursor.execute(f"delete from {schema}.{table}")
    return copy(conn, cursor, schema, table, columns, piece)


def create(cursor, schema: str, table: str, columns: dict[str, str]) -> bool:
    """Makes the table where it is missing, or has other columns: with whatever reads it, which dbt makes again. Gives
    whether it did."""
    wanted = ", ".join(f'"{name}" {type_of(kind)}' for name, kind in columns.items())
    # Its columns as text, in the comment of the table: what PostgreSQL calls a type is not what it was asked for.
    cursor.execute("select obj_description(to_regclass(%s), 'pg_class')", (f"{schema}.{table}",))
    comment = f"Filled by tools/load.py: {wanted}"
    if cursor.fetchone()[0] == comment:
        return False
    cursor.execute(f"drop table if exists {schema}.{table} cascade")
    cursor.execute(f"create table {schema}.{table} ({wanted})")
    cursor.execute(f"comment on table {schema}.{table} is {quoted(comment)}")
    return True


def type_of(kind: str) -> str:
    """What PostgreSQL calls a type of DuckDB's."""
    if kind.startswith(("TIMESTAMP", "DATETIME")):
        return "timestamp with time zone" if "ZONE" in kind else "timestamp"
    if kind == "UBIGINT":
        # Keys of the ids of forgotten people: hashes as DuckDB has them, which say nothing here, and are left out.
        return "bigint"
    return TYPES.get(kind, "numeric")


def copy(
    conn: duckdb.DuckDBPyConnection, cursor, schema: str, table: str, columns: dict[str, str], piece: Path,
    where: str = "",
) -> int:  # fmt: skip
    """Copies rows by way of a file, and gives how many."""
    values = ", ".join(f'{value_of(name, kind)} as "{name}"' for name, kind in columns.items())
    (row_count,) = conn.execute(
        f"copy (select {values} from {schema}.{table} {where}) to {quoted(piece)} (format csv, header false)"
    ).fetchone()
    with piece.open("rb") as file:
        cursor.copy_expert(f"copy {schema}.{table} from stdin (format csv)", file)
    piece.unlink()
    return row_count


def value_of(name: str, kind: str) -> str:
    """SQL of DuckDB for a column as PostgreSQL can take it."""
    column = f'"{name}"'
    if kind == "VARCHAR":
        # No text of PostgreSQL's can hold it, and no id has it.
        return f"replace({column}, chr(0), '')"
    if kind == "UBIGINT":
        return "null"
    if kind.startswith("TIMESTAMP"):
        # Years that PostgreSQL does not know, or writes otherwise, stay what they are to staging: no times.
        first, last = "'0001-01-01'", "'9999-12-31 23:59:59.999999'"
        return f"case when {column} between {first} and {last} then {column} when {column} is not null then 'infinity' end"
    return column


if __name__ == "__main__":
    sys.exit(main())
