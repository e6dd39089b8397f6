"""What `make load TARGET=spark` writes: schema `raw` as folders of Parquet files, which a run of dbt shows as tables
(macros/cross_db/raw_folder.sql). No Spark is needed for it, only a folder that all of Spark's processes see at the same
path (SPARK_RAW, default: `raw` in SPARK_WAREHOUSE).

    events/event_day=2024-06-30/<file>-<load>-0.parquet   the rows of one file and day, so that days can be read alone
    <table>/<load>.parquet                                every other table, written whole
    landing.json                                          which load is there, and whether all of it is

New files are first written to `_new`, which Spark does not look into. Then landing.json says what is to be moved and
removed, that is done, and it says that all is there: a load that dies on the way is made up for by the next one, and no
run reads half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
from landing import columns_of
from raw_formats import path_list, quoted
from raw_tables import BadInput

EVENTS = "events"
LANDING = "landing.json"
NEW = "_new"
NUMBERS = {
    "HUGEINT": "decimal(38, 0)", "UHUGEINT": "decimal(38, 0)", "UBIGINT": "decimal(20, 0)", "UINTEGER": "bigint",
    "USMALLINT": "integer", "UTINYINT": "smallint",
}  # fmt: skip


class RawFolder:
    """The folder from which Spark reads schema raw. `state` is what landing.json said when it was opened."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.moves: list[tuple[str, str]] = []
        self.removals: list[str] = []
        place.mkdir(parents=True, exist_ok=True)
        self.state = self.read_state()
        if self.state and not self.state["complete"]:
            self.switch(self.state)
        shutil.rmtree(place / NEW, ignore_errors=True)

    def read_state(self) -> dict[str, Any]:
        """What landing.json says; nothing where there is none."""
        try:
            return json.loads((self.place / LANDING).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            file = self.place / LANDING
            raise BadInput(f"SPARK_RAW: {file} cannot be read; remove the folder {self.place}") from None

    def query(self, table: str, columns: str) -> str | None:
        """SQL of DuckDB for a table as it was last loaded; None where it is not there."""
        return query_of(self.place, table, columns)

    def switch(self, state: dict[str, Any]) -> None:
        """Moves and removes what `state` lists, as far as that is not done, and says that all is there."""
        for source, target in state["moves"]:
            if (self.place / NEW / source).exists():
                (self.place / target).parent.mkdir(parents=True, exist_ok=True)
                os.replace(self.place / NEW / source, self.place / target)
        for name in state["removals"]:
            (self.place / name).unlink(missing_ok=True)
            if not any((self.place / name).parent.glob("*")):
                (self.place / name).parent.rmdir()
        self.state = state | {"complete": True, "moves": [], "removals": []}
        self.write_state(self.state)

    def write_state(self, state: dict[str, Any]) -> None:
        """Replaces landing.json, at once; one line, as Spark reads it."""
        beside = self.place / f"_{LANDING}"
        beside.write_text(json.dumps(state) + "\n", "utf-8")
        os.replace(beside, self.place / LANDING)


def folder_of_raw_tables(env: Mapping[str, str] = os.environ) -> Path:
    """Where the raw tables are."""
    warehouse = env.get("SPARK_WAREHOUSE") or "spark-warehouse"
    return Path(env.get("SPARK_RAW") or Path(warehouse, "raw")).resolve()


def query_of(place: Path, table: str, columns: str) -> str | None:
    """SQL of DuckDB for a table in a folder of raw tables; None where it is not there."""
    files = sorted((place / table).glob("*.parquet"))
    return f"select {columns} from read_parquet({path_list(files)})" if files else None


def copy_to_folder(
    conn: duckdb.DuckDBPyConnection, folder: RawFolder, landing: str, tables: list[tuple[str, str]],
    notes: tuple[str, ...], is_own_data: bool, zone: str, day: str,
) -> None:  # fmt: skip
    """Makes the folder what the landing is: of the events only files that came, changed or went, all else whole. Of
    `notes` nothing is said. `day` is the SQL of an event's day."""
    load = "load_" + uuid.uuid4().hex[:12]
    new = folder.place / NEW
    (new / EVENTS).mkdir(parents=True)
    moves: list[tuple[str, str]] = []
    removals: list[str] = []
    columns = columns_of(conn, "raw", EVENTS)
    shape = json.dumps([columns, zone, landing])
    known = {}
    if folder.state.get("events") == shape:
        query = folder.query("event_files", "source_file, load_number, size, modified_ns")
        known = {file: tuple(stamp) for file, *stamp in conn.execute(query).fetchall()} if query else {}
    there = {
        file: tuple(stamp)
        for file, *stamp in conn.execute(
            "select source_file, load_number, size, modified_ns from raw.event_files order by source_file"
        ).fetchall()
    }
    files = [file for file in there if known.get(file) != there[file]]
    row_count = sum(copy_file(conn, new / EVENTS, file, columns, day, load) for file in files)
    keep = {key_of(file) for file in there if file not in files}
    for file in sorted((folder.place / EVENTS).glob("*/*.parquet")):
        if file.name.split("-")[0] not in keep:
            removals.append(str(file.relative_to(folder.place)))
    for file in sorted((new / EVENTS).rglob("*.parquet")):
        moves.append((str(file.relative_to(new)), str(file.relative_to(new))))
    gone = len([file for file in known if file not in there])
    and_gone = f"; {gone} files gone" if gone else ""
    print(f"load: events: {len(files)} of {len(there)} files, {row_count:,} rows{and_gone}", flush=True)
    for schema, table in tables:
        rows = copy_whole(conn, new, schema, table, load)
        moves.append((f"{table}.parquet", f"{table}/{load}.parquet"))
        removals += [str(file.relative_to(folder.place)) for file in (folder.place / table).glob("*.parquet")]
        if schema == "raw" and table not in notes:
            print(f"load: {table}: {rows:,} rows", flush=True)
    shapes = json.dumps([shape, [(name, columns_of(conn, schema, name)) for schema, name in tables]])
    state = {
        "load": load, "shape": "shape_" + hashlib.sha256(shapes.encode()).hexdigest()[:12], "complete": False,
        "landing": landing, "shows_the_sample": not is_own_data, "events": shape,
        "zone": zone, "place": str(folder.place),
        "tables": " ".join(f"{schema}.{table}" for schema, table in tables), "moves": moves, "removals": removals,
    }  # fmt: skip
    folder.write_state(state)
    folder.switch(state)
    shutil.rmtree(new, ignore_errors=True)


def copy_file(
    conn: duckdb.DuckDBPyConnection, into: Path, file: str, columns: dict[str, str], day: str, load: str
) -> int:
    """Writes the events of one file, a folder for each of their days, and gives how many there are."""
    (rows,) = conn.execute(
        f"copy (select {values_of(columns)}, {day} as event_day from raw.events where source_file = {quoted(file)}) "
        f"to {quoted(into)} (format parquet, compression zstd, partition_by (event_day), overwrite_or_ignore true, "
        f"filename_pattern '{key_of(file)}-{load}-{{i}}')"
    ).fetchone()
    return rows


def copy_whole(conn: duckdb.DuckDBPyConnection, into: Path, schema: str, table: str, load: str) -> int:
    """Writes a table as one file, and gives how many rows it has."""
    columns = columns_of(conn, schema, table)
    target = quoted(into / f"{table}.parquet")
    query = f"select {values_of(columns)} from {schema}.{table}"
    return conn.execute(f"copy ({query}) to {target} (format parquet, compression zstd)").fetchone()[0]


def key_of(file: str) -> str:
    """What the names of the files that hold the events of `file` begin with; nobody can read a person's id in it."""
    return hashlib.sha256(file.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def values_of(columns: dict[str, str]) -> str:
    """The columns as Spark can take them."""
    return ", ".join(f'{value_of(name, kind)} as "{name}"' for name, kind in columns.items())


def value_of(name: str, kind: str) -> str:
    """SQL of DuckDB for a column as Spark can take it."""
    column = f'"{name}"'
    if name == "id_key":
        # Keys of the ids of forgotten people: hashes as DuckDB has them, which say nothing here, and are left out.
        return "cast(null as bigint)"
    if kind.startswith(("TIMESTAMP", "DATETIME")):
        # With a zone it is a moment to Spark, too; the session's is UTC.
        return f"cast({column} as timestamp with time zone)"
    return f"cast({column} as {NUMBERS[kind]})" if kind in NUMBERS else column
