"""A dbt-duckdb plugin: shows the files of a folder as the tables of schema `raw`.

The folder is `RAW_DATA` (default: the sample in seeds/sample), the taxonomy `TAXONOMY` (default:
seeds/event_taxonomy.csv). dbt-duckdb calls `Plugin.configure_connection` once when it opens the warehouse, so that
`dbt build` and every other command see the same tables, however they were started.

Parquet becomes a view, read in place and narrowly; CSV and JSON become tables, parsed once, and again only when a file
changed. Everything is checked before anything is replaced: an input that cannot be used is one line
(`BadInput`), and the tables of the last good input stay.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError

PROJECT = Path(__file__).resolve().parent.parent
FORMATS = {"parquet": "parquet", "csv": "csv", "json": "json", "ndjson": "json"}
EVENT_TYPES = (
    "page_view content_view search sign_up login core_start core_action add_to_cart checkout_start purchase refund "
    "support_contact support_view error message_sent message_opened message_clicked unsubscribe referral other"
).split()


class BadInput(DbtRuntimeError):
    """An input that cannot be used. The message is one line: what, where, what to do."""


@dataclass(frozen=True)
class Table:
    """What the project reads of one input table. Columns that are not listed here are dropped."""

    name: str
    text: tuple[str, ...]
    times: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    required: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return self.text + self.times + self.numbers


TABLES = (
    Table(
        "events",
        text=(
            "event_id", "event_name", "user_id", "anonymous_id", "session_id", "platform", "device_type", "os",
            "country", "language", "channel", "page_path", "referrer", "item_category", "search_query", "currency",
            "properties",
        ),  # fmt: skip
        times=("event_at", "received_at"),
        numbers=("quantity", "revenue"),
        keys=("event_id", "event_name", "event_at"),
        required=True,
    ),
    Table(
        "users",
        text=("user_id", "plan", "country", "language", "channel"),
        times=("updated_at", "signed_up_at"),
        numbers=("birth_year",),
        keys=("user_id",),
    ),
    Table("aliases", text=("previous_id", "user_id"), times=("aliased_at",), keys=("previous_id", "user_id")),
    Table(
        "feedback",
        text=("feedback_id", "user_id", "kind", "comment"),
        times=("submitted_at",),
        numbers=("score",),
        keys=("feedback_id", "user_id", "kind", "score", "submitted_at"),
    ),
    Table(
        "exchange_rates", text=("currency",), times=("day",), numbers=("rate",), keys=("currency", "day", "rate")
    ),
    Table(
        "event_taxonomy",
        text=("event_name", "event_type", "is_activity"),
        keys=("event_name", "event_type"),
        required=True,
    ),
)


@dataclass
class Input:
    """The files of one table: `files` all of one `format`; none where an optional table is absent."""

    table: Table
    format: str = "none"
    files: list[Path] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """How an error names it: the file, or the first of many."""
        more = f" (and {len(self.files) - 1} more)" if len(self.files) > 1 else ""
        return f"{self.files[0]}{more}"

    def fingerprint(self) -> str:
        """Changes when a file is added, removed, replaced or written to, or when this program is."""
        digest = hashlib.sha256(Path(__file__).read_bytes())
        for file in self.files:
            stat = file.stat()
            digest.update(f"{file}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def find_inputs(folder: Path, taxonomy: Path) -> list[Input]:
    """The files of every table in `folder`, and the taxonomy. Raises BadInput for a folder that is missing or empty,
    a table in two formats or in two places, and a required table that is absent."""
    if not folder.is_dir():
        raise BadInput(f"RAW_DATA: there is no folder {folder}; name one that holds events.parquet, .csv or .json")
    inputs = [find_table(table, folder) for table in TABLES if table.name != "event_taxonomy"]
    if not taxonomy.is_file():
        raise BadInput(f"TAXONOMY: there is no file {taxonomy}; copy seeds/event_taxonomy.csv and edit it")
    taxonomy_format = format_of(taxonomy)
    if taxonomy_format is None:
        raise BadInput(f"TAXONOMY: {taxonomy} is none of {', '.join(FORMATS)}; copy seeds/event_taxonomy.csv")
    inputs.append(Input(TABLES[-1], taxonomy_format, [taxonomy]))
    return inputs


def find_table(table: Table, folder: Path) -> Input:
    """The files of one table: `<table>.<ext>`, or everything below `<table>/`."""
    beside = [file for file in sorted(folder.iterdir()) if file.is_file() and stem_of(file) == table.name]
    below = sorted(file for file in (folder / table.name).rglob("*") if file.is_file() and format_of(file))
    files = beside + below
    if not files:
        if table.required:
            raise BadInput(
                f"RAW_DATA: no {table.name} in {folder}; put {table.name}.parquet (or csv, json, ndjson, each also "
                f".gz) or a folder {table.name}/ of such files there"
            )
        return Input(table)
    formats = sorted({format_of(file) for file in files})
    if len(formats) > 1:
        raise BadInput(f"RAW_DATA: {table.name} is there as {' and as '.join(formats)} in {folder}; keep one format")
    if len(beside) > 1 or (beside and below):
        raise BadInput(
            f"RAW_DATA: {table.name} is there twice, {beside[0].name} and {(beside[1:] + below)[0].relative_to(folder)};"
            f" keep one, or put both in {table.name}/"
        )
    return Input(table, formats[0], files)


def format_of(file: Path) -> str | None:
    """parquet, csv or json by the file's ending, seen through .gz; None for any other file."""
    parts = file.name.lower().removesuffix(".gz").rsplit(".", 1)
    known = FORMATS.get(parts[-1]) if len(parts) == 2 else None
    return None if known == "parquet" and file.name.lower().endswith(".gz") else known


def stem_of(file: Path) -> str | None:
    """`events` of events.csv and events.csv.gz; None where the ending is not one that is read."""
    return file.name.removesuffix(".gz").rsplit(".", 1)[0] if format_of(file) else None


def quoted(value: object) -> str:
    """A value as an SQL string."""
    return "'" + str(value).replace("'", "''") + "'"


# RFC 4180, nothing guessed: a sniffed delimiter or type changes with the rows that happen to come first. Lines that
# cannot be read are set aside by store_rejects and become rows of nulls, which staging counts as rejected.
CSV_OPTIONS = (
    "all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"', max_line_size = 16777216, "
    "store_rejects = true, rejects_limit = 0"
)


def scans(item: Input) -> list[str]:
    """The DuckDB table functions that together read the files of `item`."""
    if item.format == "csv":
        return [f"read_csv({quoted(file)}, {CSV_OPTIONS})" for file in item.files]
    files = "[" + ", ".join(quoted(file) for file in item.files) + "]"
    if item.format == "parquet":
        return [f"read_parquet({files}, union_by_name = true)"]
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in item.table.columns)
    return [
        # A malformed line becomes a row of nulls; an array is read whole or not at all.
        f"read_json({quoted(file)}, columns = {{{columns}}}, maximum_object_size = 67108864, "
        + ("format = 'array')" if first_character(file) == "[" else "format = 'newline_delimited', ignore_errors = true)")
        for file in item.files
    ]


def first_character(file: Path) -> str:
    """The first character of a text file that is no white space; empty for an empty file."""
    opened = gzip.open(file, "rb") if file.name.endswith(".gz") else open(file, "rb")
    with opened as lines:
        return lines.read(4096).decode("utf-8-sig", "replace").lstrip()[:1]


def contract_columns(item: Input, found: dict[str, str]) -> str:
    """The select list that gives the contract's columns, in its order, from a file with the columns `found`
    (lower-case name to DuckDB type). Absent columns are null; types that staging cannot read become text."""
    listed = []
    for name in item.table.columns:
        kind = found.get(name)
        if kind is None:
            expression = "cast(null as varchar)"
        elif kind == "TIMESTAMP WITH TIME ZONE" and name in item.table.times:
            # The same instant in UTC, without the calendar arithmetic of a cast (60 times as fast).
            expression = f'make_timestamp(epoch_us("{name}"))'
        elif (name in item.table.times and kind.startswith(("TIMESTAMP", "DATE"))) or (
            name in item.table.numbers and kind.startswith(("DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "UHUGEINT"))
            or name in item.table.numbers and kind.endswith("INT") or kind in ("INTEGER", "UINTEGER")
            and name in item.table.numbers
        ):
            expression = f'"{name}"'
        elif kind.startswith(("STRUCT", "MAP", "LIST", "UNION")) or kind.endswith("]"):
            expression = f'cast(to_json("{name}") as varchar)'
        else:
            expression = f'cast("{name}" as varchar)'
        listed.append(f'{expression} as "{name}"')
    return ", ".join(listed)


class Plugin(BasePlugin):
    """What dbt-duckdb loads; see the module's docstring."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        folder = Path(os.environ.get("RAW_DATA") or PROJECT / "seeds" / "sample").resolve()
        taxonomy = Path(os.environ.get("TAXONOMY") or PROJECT / "seeds" / "event_taxonomy.csv").resolve()
        show_raw_tables(conn, find_inputs(folder, taxonomy))


def show_raw_tables(conn: duckdb.DuckDBPyConnection, inputs: list[Input]) -> None:
    """Creates raw.<table> for every input that changed since it was last read. Nothing is replaced unless all of them
    can be used. Raises BadInput."""
    conn.execute("set TimeZone = 'UTC'")
    conn.execute("begin")
    try:
        conn.execute("create schema if not exists raw")
        conn.execute("create table if not exists raw.loaded_files (table_name varchar, fingerprint varchar)")
        known = dict(conn.execute("select table_name, fingerprint from raw.loaded_files").fetchall())
        changed = [item for item in inputs if known.get(item.table.name) != item.fingerprint()]
        for item in changed:
            show(conn, item)
        if any(item.table.name == "event_taxonomy" for item in changed):
            check_taxonomy(conn, inputs[-1])
        if any(item.table.name == "aliases" for item in changed):
            check_aliases(conn)
        for item in changed:
            conn.execute("delete from raw.loaded_files where table_name = ?", [item.table.name])
            conn.execute("insert into raw.loaded_files values (?, ?)", [item.table.name, item.fingerprint()])
        conn.execute("commit")
    except BaseException:
        conn.execute("rollback")
        raise


def show(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Replaces raw.<table> by what the files of `item` hold."""
    name = f"raw.{item.table.name}"
    for kind in ("view", "table"):
        if conn.execute(
            "select 1 from information_schema.tables where table_schema = 'raw' and table_name = ? and table_type = ?",
            [item.table.name, {"view": "VIEW", "table": "BASE TABLE"}[kind]],
        ).fetchone():
            conn.execute(f"drop {kind} {name}")
    try:
        if item.format == "parquet":
            source = scans(item)[0]
            conn.execute(f"create view {name} as select {columns_of(conn, item, source)} from {source}")
        else:
            empty = ", ".join(f"cast(null as varchar) as \"{column}\"" for column in item.table.columns)
            conn.execute(f"create table {name} as select {empty} where false")
            for source in scans(item):
                conn.execute(f"insert into {name} select {columns_of(conn, item, source)} from {source}")
                keep_unreadable_lines(conn, item)
    except duckdb.Error as error:
        first_line = str(error).strip().splitlines()[0]
        raise BadInput(
            f"RAW_DATA: {item.shown} cannot be read as {item.format}: {first_line}; mend the file or its ending"
        ) from None
    check_rows(conn, item)


def columns_of(conn: duckdb.DuckDBPyConnection, item: Input, source: str) -> str:
    """The contract's columns as this source gives them. Raises BadInput where a key column is missing."""
    found = {row[0].lower(): row[1] for row in conn.execute(f"describe select * from {source}").fetchall()}
    missing = [key for key in item.table.keys if key not in found]
    if item.table.name == "events" and not {"user_id", "anonymous_id"} & set(found):
        missing.append("user_id or anonymous_id")
    if missing:
        raise BadInput(
            f"RAW_DATA: {item.table.name} has no column {', '.join(missing)} in {item.shown} (it has "
            f"{', '.join(sorted(found))[:200]}); rename the column, or map it as examples/ does"
        )
    return contract_columns(item, found)


def keep_unreadable_lines(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """One row of nulls for every line of the CSV just read that does not parse: rejected later, never lost."""
    if item.format == "csv":
        names = ", ".join(f'"{column}"' for column in item.table.columns)
        nulls = ", ".join("null" for _ in item.table.columns)
        conn.execute(
            f"insert into raw.{item.table.name} ({names}) "
            f"select {nulls} from (select distinct scan_id, file_id, line from reject_errors)"
        )
        conn.execute("drop table if exists reject_errors")
        conn.execute("drop table if exists reject_scans")


def check_rows(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Raises BadInput for a required table without a row, and for one none of whose rows has its keys."""
    if not item.files:
        return
    keys = " and ".join(f'"{key}" is not null' for key in item.table.keys)
    rows, usable = conn.execute(
        f"select (select count(*) from raw.{item.table.name}), exists (select 1 from raw.{item.table.name} where {keys})"
    ).fetchone()
    if rows == 0 and item.table.required:
        raise BadInput(f"RAW_DATA: {item.shown} holds no row; {item.table.name} needs at least one")
    if rows > 0 and not usable:
        raise BadInput(
            f"RAW_DATA: none of the {rows} rows in {item.shown} has {', '.join(item.table.keys)}; is it a file of "
            f"{item.table.name}?"
        )


def check_taxonomy(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Raises BadInput for an event_type that is not known and for an event_name that is listed twice."""
    unknown = conn.execute(
        "select event_name, event_type from raw.event_taxonomy where event_type not in (select unnest(?)) "
        "or event_type is null order by 1 limit 1",
        [list(EVENT_TYPES)],
    ).fetchone()
    if unknown:
        raise BadInput(
            f"TAXONOMY: {item.shown} gives {unknown[0]!r} the event_type {unknown[1]!r}; use one of {', '.join(EVENT_TYPES)}"
        )
    twice = conn.execute(
        "select event_name, count(*) from raw.event_taxonomy group by 1 having count(*) > 1 order by 1 limit 1"
    ).fetchone()
    if twice:
        raise BadInput(f"TAXONOMY: {item.shown} lists {twice[0]!r} {twice[1]} times; keep one line a name")
    flag = conn.execute(
        "select event_name, is_activity from raw.event_taxonomy where is_activity is not null "
        "and lower(is_activity) not in ('true', 'false') order by 1 limit 1"
    ).fetchone()
    if flag:
        raise BadInput(f"TAXONOMY: {item.shown} gives {flag[0]!r} is_activity {flag[1]!r}; use true or false")


def check_aliases(conn: duckdb.DuckDBPyConnection) -> None:
    """Raises BadInput for a cycle of aliases. The ids themselves are people's: the message counts, and does not name
    them. A row that aliases an id to itself says nothing and is passed over."""
    # A node is on no cycle when nothing that leads to it is left: peel those off until nothing changes.
    edges = set(
        conn.execute(
            "select distinct previous_id, user_id from raw.aliases where previous_id <> user_id"
        ).fetchall()
    )
    while edges:
        sources = {previous for previous, _ in edges}
        kept = {edge for edge in edges if edge[1] in sources}
        if kept == edges:
            raise BadInput(
                f"RAW_DATA: aliases lead in a circle among {len(sources)} ids; remove the row that leads back "
                "(select * from raw.aliases where previous_id in (select user_id from raw.aliases) finds them)"
            )
        edges = kept
