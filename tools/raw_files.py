"""A dbt-duckdb plugin: shows the files of a folder as the tables of schema `raw`.

The folder is `RAW_DATA` (default: the sample in seeds/sample), the taxonomy `TAXONOMY` (default:
seeds/event_taxonomy.csv), what the marts are asked for `RETENTION_REPORTS` and `FUNNELS` (of the same names in seeds/).
dbt-duckdb calls `Plugin.configure_connection` once when it opens the warehouse, so that `dbt build` and every other
command see the same tables, however they were started.

Parquet becomes a view, read in place and narrowly; CSV and JSON become tables, parsed once, and again only when a file
changed: of the events that one file alone (raw_arrivals.py remembers which files were read). Everything is checked
before anything is replaced: an input that cannot be used is one line (`BadInput`), and the tables of the last good
input stay. No message shows a value of a person's row. `AS_OF` is checked with them: a day for which the new input has
no answer leaves the old one as it is.
Rows of people who asked to be forgotten are never shown (raw_erasure.py), nor events of closed days (raw_retention.py).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import product
import raw_erasure
import raw_retention
import yaml
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags
from raw_arrivals import Arrivals, find_arrivals, note_arrivals, note_days, note_shorter_files
from raw_columns import note_columns
from raw_formats import SOURCE_FILE, Source, Unreadable, quoted, sources_of
from raw_reports import check_funnels, check_longest_funnel, check_retention_reports
from raw_tables import (
    DELETION_REQUESTS,
    FUNNELS,
    RETENTION_REPORTS,
    TAXONOMY,
    BadInput,
    Input,
    Table,
    asked_definitions,
    find_inputs,
    program_fingerprint,
)

PROJECT = Path(__file__).resolve().parent.parent
EVENT_TYPES = (
    "page_view", "content_view", "search", "sign_up", "login", "core_start", "core_action", "add_to_cart",
    "checkout_start", "purchase", "refund", "support_contact", "support_view", "error", "message_sent",
    "message_opened", "message_clicked", "unsubscribe", "referral", "other",
)  # fmt: skip
# A change of one of these may lead from a forgotten person to further ids of theirs.
FIND_PEOPLE = {"events", "aliases", "deletion_requests", "hash of ids"}
NUMBERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
    "FLOAT", "DOUBLE", "DECIMAL",
)  # fmt: skip


def time_of(column: str) -> str:
    """SQL for a time in UTC, null where it is none that a calendar has; macros/cross_db/try_timestamp.sql says why."""
    text = f"cast(try_cast(cast({column} as varchar) as timestamp with time zone) as timestamp)"
    time = f"case when typeof({column}) = 'VARCHAR' then {text} else try_cast({column} as timestamp) end"
    years = "timestamp '0001-01-01' and timestamp '9999-12-31 23:59:59.999999'"
    return f"case when {time} between {years} then {time} end"


def day_of(column: str, zone: str) -> str:
    """SQL for the day of a time in the time zone `zone`, as macros/cross_db/local_date.sql has it."""
    if zone == "UTC":
        return f"cast({time_of(column)} as date)"
    return f"cast(timezone('{zone}', timezone('UTC', {time_of(column)})) as date)"


# Why staging would reject an event, null for one that it takes. The same rules as base_generic__events.sql, needed
# before there is a base_generic__events: a run must not replace good tables by none.
REJECTION_REASON = f"""
    case
        when
            coalesce(event_id, '') = '' and coalesce(event_name, '') = '' and event_at is null
            and coalesce(user_id, '') = '' and coalesce(anonymous_id, '') = ''
            then 'unreadable or empty row'
        when coalesce(event_id, '') = '' then 'no event_id'
        when coalesce(event_name, '') = '' then 'no event_name'
        when event_at is null then 'no event_at'
        when {time_of("event_at")} is null then 'event_at is no timestamp'
        when coalesce(user_id, '') = '' and coalesce(anonymous_id, '') = '' then 'neither user_id nor anonymous_id'
        when {time_of("event_at")} > coalesce({time_of("received_at")}, cast(now() as timestamp)) + interval '1' day
            then 'event_at more than a day after received_at'
    end
"""


class Plugin(BasePlugin):
    """What dbt-duckdb loads; see the module's docstring."""

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Called before the warehouse is opened: what can be refused without it is."""
        folder = Path(os.environ.get("RAW_DATA") or PROJECT / "seeds" / "sample").resolve()
        asked = asked_definitions()
        self.inputs = find_inputs(folder, asked["event_taxonomy"], asked)
        self.variables = project_variables()
        self.retention = raw_retention.days_to_keep(self.variables.get("event_retention_days"))
        self.as_of = None if self.variables.get("as_of_date") else asked_day(os.environ.get("AS_OF"))
        self.warehouse = creds.path
        check_warehouse(creds.path, config)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Called when the warehouse has been opened."""
        if limit := os.environ.get("MEMORY_LIMIT"):
            set_memory_limit(conn, limit)
        # Another collector's events may be older; macros/check_as_of_date.sql sees them all.
        alone = self.variables["collectors"] == ["generic"]
        as_of = self.as_of if alone else None
        longest = self.variables["max_funnel_steps"]
        if line := product.complaint(product.holds_sample(conn), self.warehouse, "WAREHOUSE"):
            raise BadInput(line)
        show_raw_tables(conn, self.inputs, as_of, self.variables["timezone"], self.retention, longest)
        product.note_product(conn)


def project_variables() -> dict[str, Any]:
    """The variables of dbt_project.yml, and those given with --vars, which win."""
    listed = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    return listed | (getattr(get_flags(), "VARS", None) or {})


def asked_day(asked: str | None) -> str | None:
    """The as-of date that was asked for, None for none. Raises BadInput for what is no date."""
    if not asked:
        return None
    try:
        if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", asked):
            return date.fromisoformat(asked).isoformat()
    except ValueError:
        pass
    raise BadInput(f"AS_OF: '{asked}' is no date; write it as 2024-06-30")


def set_memory_limit(conn: duckdb.DuckDBPyConnection, limit: str) -> None:
    """Holds DuckDB to `limit` (2GB); without it, DuckDB takes 80 % of the machine. Raises BadInput for no size."""
    size = limit.replace("'", "''")
    try:
        conn.execute(f"set memory_limit = '{size}'")
        # What is freed goes back to the machine at once, or the process holds a quarter more than the limit.
        conn.execute("set allocator_background_threads = true")
        conn.execute("set allocator_flush_threshold = '16MB'")
        conn.execute("set allocator_bulk_deallocation_flush_threshold = '16MB'")
    except duckdb.Error:
        raise BadInput(f"MEMORY_LIMIT: '{limit}' is no size; write it as 2GB") from None


def check_warehouse(path: str, config: dict[str, Any]) -> None:
    """Raises BadInput for a warehouse that cannot be opened. dbt would say so with a page of traceback."""
    if "'" in path or '"' in path:
        raise BadInput(f"WAREHOUSE: {path} has a quote in it, which dbt cannot take; name another file")
    try:
        duckdb.connect(path, config=config).close()
    except duckdb.Error as error:
        line = str(error).strip().splitlines()[0].partition(": ")[2]
        if holder := re.search(r"Conflicting lock is held in (.*?) \(PID (\d+)\)", line):
            program, process = Path(holder.group(1)).name, holder.group(2)
            line = f"it is open in another program ({program}, process {process}); close it there"
        raise BadInput(f"WAREHOUSE: {path} cannot be opened: {line}") from None


def show_raw_tables(
    conn: duckdb.DuckDBPyConnection,
    inputs: list[Input],
    as_of: str | None = None,
    zone: str = "UTC",
    retention: int | None = None,
    max_funnel_steps: int = 10,
) -> None:
    """Creates raw.<table> for every input that changed since it was last read. Nothing is replaced unless all of them
    can be used, hold events up to the day `as_of` in the time zone `zone`, and no funnel has more than
    `max_funnel_steps`. Raises BadInput."""
    conn.execute("set TimeZone = 'UTC'")
    conn.execute("begin")
    try:
        conn.execute("create schema if not exists raw")
        conn.execute("create table if not exists raw.loaded_files (table_name varchar, fingerprint varchar)")
        conn.execute("create table if not exists raw.given_inputs (table_name varchar)")
        hash_changed = raw_erasure.prepare(conn)
        raw_retention.prepare(conn)
        known = dict(conn.execute("select table_name, fingerprint from raw.loaded_files").fetchall())
        fingerprints = {item.table.name: item.fingerprint() for item in inputs}
        changed = {name for name, fingerprint in fingerprints.items() if known.get(name) != fingerprint}
        if hash_changed:
            changed.add("hash of ids")
        if retention and known.get("event_retention_days") != str(retention):
            fingerprints["event_retention_days"] = str(retention)
            changed |= {"event_retention_days", "events"}
        shown = [item for item in inputs if item.table is not DELETION_REQUESTS]
        for item in inputs:
            if item.table is DELETION_REQUESTS and item.table.name in changed:
                with one_line(item):
                    read_requests(conn, item)
        if retention or raw_retention.first_open_day(conn) or has_requests(conn) or raw_erasure.anybody(conn):
            show_what_is_left(conn, shown, changed, zone, retention)
        else:
            for item in shown:
                if item.table.name in changed:
                    with one_line(item):
                        if item.table.name == "events":
                            show_events(conn, item, zone)
                        else:
                            show(conn, item)
                        check(conn, item)
        for item in shown:
            if item.table.name in changed:
                # An input without a row is not the same as none: nobody has consented in one.
                conn.execute(f"delete from raw.given_inputs where table_name = '{item.table.name}'")
                if item.files:
                    conn.execute(f"insert into raw.given_inputs values ('{item.table.name}')")
            if as_of and item.table.name == "events":
                with one_line(item):
                    check_as_of(conn, as_of, zone)
            if item.table is FUNNELS:
                check_longest_funnel(conn, item, max_funnel_steps)
        for name in changed:
            # Values are written out: binding one makes DuckDB import pandas, which takes longer than all of this.
            conn.execute(f"delete from raw.loaded_files where table_name = '{name}'")
            if name in fingerprints:
                conn.execute(f"insert into raw.loaded_files values ('{name}', '{fingerprints[name]}')")
        conn.execute("drop table if exists deletion_requests")
        conn.execute("commit")
    except BaseException:
        # Where the commit itself failed (a full disk) there is nothing to roll back, and that is what has to be said.
        with suppress(duckdb.Error):
            conn.execute("rollback")
        raise


def show(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Replaces raw.<table> by what the files of `item` hold. Raises BadInput, or what one_line() makes one of."""
    drop(conn, item.table)
    if item.format == "parquet":
        conn.execute(f"create view raw.{item.table.name} as {parquet_rows(conn, item)}")
    else:
        create_empty(conn, item.table, f"raw.{item.table.name}")
        insert_rows(conn, item, f"raw.{item.table.name}")


def show_events(conn: duckdb.DuckDBPyConnection, item: Input, zone: str) -> None:
    """Lets raw.events hold what the files of `item` do, each row with its file, and notes which days that touches.
    Only what changed is read. Raises what show() raises."""
    arrivals = arrivals_of(conn, item, zone)
    if item.format == "parquet":
        drop(conn, item.table)
        conn.execute(f"create view raw.events as {parquet_rows(conn, item)}")
    else:
        make_room(conn, item, arrivals)
        insert_rows(conn, item, "raw.events", arrivals.read)
    load = note_arrivals(conn, arrivals, day_of("event_at", zone))
    note_columns(conn, item, arrivals.read, load)


def show_what_is_left(
    conn: duckdb.DuckDBPyConnection, items: list[Input], changed: set[str], zone: str, retention: int | None
) -> None:
    """Does for all of `items` what show() and show_events() do, where people were forgotten or days are closed: no row
    of either is shown, nor written into the warehouse to be deleted again. Raises what they raise."""

    def day(column: str) -> str:
        return day_of(column, zone)

    clean = f"({REJECTION_REASON}) is null"
    by_name = {item.table.name: item for item in items}
    events = by_name["events"]
    if not changed:
        return
    look_for_people = (has_requests(conn) or raw_erasure.anybody(conn)) and bool(changed & FIND_PEOPLE)
    # Parquet is read in place: what is shown of it is said anew each time. Of the others, only what is new is read.
    changed = changed | {item.table.name for item in items if item.format == "parquet"}
    incoming: dict[str, str] = {}
    arrivals = Arrivals()
    for item in items:
        name = item.table.name
        if name in changed:
            with one_line(item):
                if name == "events":
                    arrivals = arrivals_of(conn, item, zone)
                if item.format == "parquet":
                    incoming[name] = parquet_rows(conn, item)
                else:
                    create_empty(conn, item.table, f"temp.incoming_{name}")
                    insert_rows(conn, item, f"temp.incoming_{name}", arrivals.read if name == "events" else None)
                    incoming[name] = f"select * from temp.incoming_{name}"
    if events.format != "parquet" and "events" in changed:
        make_room(conn, events, arrivals)

    everything = dict(incoming)
    for name in ("events", "aliases"):
        # Events that were read before, and did not change, are in the table alone.
        if name not in incoming:
            everything[name] = f"select * from raw.{name}"
        elif name == "events" and events.format != "parquet":
            everything[name] = f"{incoming[name]} union all select * from raw.events"
    theirs, moved_on = None, False
    with one_line(events):
        if retention and "events" in changed:
            moved_on = raw_retention.move_on(conn, everything["events"], day, clean, retention)
        first_day = raw_retention.first_open_day(conn)
        if look_for_people:
            links = everything["events"]
            if first_day and exists(conn, "intermediate", "int_identities"):
                links = f"{links} union all {seen_on_closed_days(events.table)}"
            if not has_requests(conn):
                create_empty(conn, DELETION_REQUESTS, "temp.deletion_requests")
            if raw_erasure.find_people(conn, links, everything["aliases"], time_of, day, clean):
                conn.execute(
                    f"create or replace temp table their_days as select distinct {day('event_at')} as event_date "
                    f"from ({everything['events']}) where {raw_erasure.is_newly_erased()}"
                )
                theirs = "select event_date from temp.their_days"

    for item in items:
        name = item.table.name
        with one_line(item):
            left = raw_erasure.without_erased(conn, name, incoming[name]) if name in incoming else ""
            if left and name == "events" and first_day:
                left = f"select * from ({left}) where {raw_retention.is_open(first_day, day)}"
            if item.format == "parquet":
                drop(conn, item.table)
                conn.execute(f"create view raw.{name} as {left}")
            else:
                if left and name != "events":
                    drop(conn, item.table)
                    create_empty(conn, item.table, f"raw.{name}")
                elif name in raw_erasure.PERSONAL or name == "events":
                    raw_erasure.delete_erased(conn, name)
                    if name == "events" and first_day:
                        raw_retention.delete_closed(conn, first_day, day)
                if left:
                    conn.execute(f"insert into raw.{name} {left}")
                    conn.execute(f"drop table temp.incoming_{name}")
            if name == "events":
                load = note_arrivals(conn, arrivals, day("event_at"))
                note_columns(conn, item, arrivals.read, load)
                if theirs:
                    note_days(conn, theirs, load)
                    conn.execute("drop table temp.their_days")
                if theirs:
                    note_shorter_files(conn, load)
                if moved_on:
                    note_shorter_files(conn, load, first_day)
                if first_day:
                    raw_retention.forget_closed_days(conn, first_day)
            if name in changed:
                check(conn, item)
    raw_erasure.clear(conn)


def seen_on_closed_days(table: Table) -> str:
    """SQL for who used which device, as events, of days whose events are gone."""
    known = {"user_id": "user_id", "anonymous_id": "anonymous_id", "event_at": "first_seen_at", "event_id": "'-'",
             "event_name": "'-'"}  # fmt: skip
    columns = ", ".join(f"{known.get(name, 'null')} as {name}" for name in table.columns)
    return f"select {columns}, null as source_file from intermediate.int_identities"


def arrivals_of(conn: duckdb.DuckDBPyConnection, item: Input, zone: str) -> Arrivals:
    """Which files of events are to be read, and notes how they are."""
    how = f"as {item.format}, days in {zone}, {program_fingerprint()}"
    before = conn.execute(
        "select fingerprint from raw.loaded_files where table_name = 'how events are read'"
    ).fetchone()
    arrivals = find_arrivals(conn, item, afresh=before != (how,))
    conn.execute("delete from raw.loaded_files where table_name = 'how events are read'")
    conn.execute(f"insert into raw.loaded_files values ('how events are read', {quoted(how)})")
    return arrivals


def make_room(conn: duckdb.DuckDBPyConnection, item: Input, arrivals: Arrivals) -> None:
    """Removes what was read before of files that are to be read again, or are gone, from the table raw.events."""
    if arrivals.afresh:
        drop(conn, item.table)
        create_empty(conn, item.table, "raw.events")
    for file in arrivals.stale if not arrivals.afresh else []:
        conn.execute(f"delete from raw.events where source_file = {quoted(file)}")


def parquet_rows(conn: duckdb.DuckDBPyConnection, item: Input) -> str:
    """SQL for the rows of Parquet files, in the columns of the contract; of events, each with its file."""
    more = f", {SOURCE_FILE} as source_file" if item.table.name == "events" else ""
    with tempfile.TemporaryDirectory() as scratch:
        sources = sources_of(conn, item.format, item.files, item.table.columns, Path(scratch))
    check_columns(item, sources)
    return " union all ".join(
        f"select {contract_columns(item.table, source)}{more} from {source.scan}" for source in sources
    )


def insert_rows(conn: duckdb.DuckDBPyConnection, item: Input, into: str, files: list[Path] | None = None) -> None:
    """Inserts the rows of CSV or JSON files into a table: of `files` alone, each with its file, or of all."""
    with tempfile.TemporaryDirectory() as scratch:
        # Events are read file by file: DuckDB does not say which file a row is of where that had to be mended first.
        batches = [item.files] if files is None else [[file] for file in files]
        all_sources = []
        for number, batch in enumerate(batches):
            more = "" if files is None else f", {quoted(str(batch[0]))}"
            sources = []
            if batch:
                place = Path(scratch, str(number))
                sources = sources_of(conn, item.format, batch, item.table.columns, place)
            if files is None:
                check_columns(item, sources)
            all_sources += sources
            for source in sources:
                conn.execute(
                    f"insert into {into} select {contract_columns(item.table, source)}{more} from {source.scan}"
                )
                keep_unreadable_lines(conn, item, into, more)
        if files is not None:
            check_columns(item, all_sources)


def read_requests(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Reads the requests to be forgotten into the temporary table `deletion_requests`. Raises what show() raises, and
    for a request that names nobody: it may be somebody's whose id could not be read."""
    create_empty(conn, item.table, "temp.deletion_requests")
    if item.format == "parquet":
        conn.execute(f"insert into temp.deletion_requests {parquet_rows(conn, item)}")
    elif item.files:
        insert_rows(conn, item, "temp.deletion_requests")
    if nameless := raw_erasure.nameless_requests(conn):
        raise BadInput(
            f"RAW_DATA: {nameless} rows of {item.shown} have neither user_id nor anonymous_id, or cannot be read; "
            "mend them, or nobody knows who is to be forgotten"
        )


def has_requests(conn: duckdb.DuckDBPyConnection) -> bool:
    """Whether there are requests that were not read before."""
    return exists(conn, "main", "deletion_requests") and any_row(conn, "temp.deletion_requests")


def exists(conn: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    """Whether there is such a table; temporary ones are in schema main."""
    listed = f"from information_schema.tables where table_schema = '{schema}' and table_name = '{table}'"
    return conn.execute(f"select exists ({listed})").fetchone()[0]


def drop(conn: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Removes raw.<table>, be it a table or a view."""
    kinds = (
        f"select table_type from information_schema.tables where table_schema = 'raw' and table_name = '{table.name}'"
    )
    for (kind,) in conn.execute(kinds).fetchall():
        conn.execute(f"drop {'view' if kind == 'VIEW' else 'table'} raw.{table.name}")


def create_empty(conn: duckdb.DuckDBPyConnection, table: Table, name: str) -> None:
    """Creates the table `name` with the columns of `table`, without rows; in place of a temporary one."""
    nothing = contract_columns(table, Source("", {}))
    more = ", cast(null as varchar) as source_file" if table.name == "events" else ""
    how = "create or replace temp table" if name.startswith("temp.") else "create table"
    conn.execute(f"{how} {name} as select {nothing}{more} where false")


@contextmanager
def one_line(item: Input) -> Iterator[None]:
    """Raises BadInput for whatever goes wrong while the files of `item` are read."""
    try:
        yield
    except Unreadable as error:
        raise BadInput(f"{item.setting}: {error}") from None
    except OSError as error:
        raise BadInput(f"{item.setting}: {error.filename or item.shown} cannot be read: {error.strerror}") from None
    except duckdb.OutOfMemoryException:
        # Nothing is wrong with the file.
        raise
    except duckdb.Error as error:
        raise BadInput(f"{item.setting}: {reason_of(error, item)}; mend the file, or its ending") from None


def reason_of(error: duckdb.Error, item: Input) -> str:
    """What DuckDB says of a file that it cannot read, in one line and without the values that it quotes."""
    line = re.split(r", but got|: value |: \"", str(error).strip().splitlines()[0].partition(": ")[2])[0].strip(" .")
    file = next((file for file in item.files if str(file) in str(error)), None)
    return f"{file or item.shown} cannot be read as {item.format} ({line})"


def contract_columns(table: Table, source: Source) -> str:
    """The select list that gives the columns of `table`, in its order, from `source`. Absent ones are null; times and
    numbers keep their type, everything else is text."""
    listed = []
    for name in table.columns:
        spelled, kind = source.columns.get(name, (None, "VARCHAR"))
        column = f'"{spelled}"' if spelled else "null"
        family = kind.split("(")[0]
        if kind == "TIMESTAMP WITH TIME ZONE" and name in table.times:
            # The same instant in UTC, without the calendar arithmetic of a cast (60 times as fast).
            column = f"make_timestamp(epoch_us({column}))"
        elif family in ("STRUCT", "MAP", "UNION", "VARIANT") or kind.endswith("]"):
            column = f"cast(to_json({column}) as varchar)"
        elif family in ("DOUBLE", "FLOAT") and name not in table.numbers:
            # Ids that pandas made numbers of, because one was missing: 17 is not 17.0, and NaN is nobody.
            whole = f"try_cast({column} as hugeint)"
            text = f"cast(case when {column} = {whole} then {whole} end as varchar)"
            column = f"coalesce({text}, cast(nullif({column}, 'nan') as varchar))"
        elif family == "BLOB":
            # Text that an older program wrote without saying that it is text.
            column = f"coalesce(try(decode({column})), cast({column} as varchar))"
        elif not (
            (name in table.times and kind.startswith(("TIMESTAMP", "DATE")))
            or (name in table.numbers and family in NUMBERS)
        ):
            column = f"cast({column} as varchar)"
        listed.append(f'{column} as "{name}"')
    return ", ".join(listed)


def keep_unreadable_lines(conn: duckdb.DuckDBPyConnection, item: Input, into: str, more_values: str) -> None:
    """One row of nulls for every record of the CSV just read that does not parse: rejected later, never lost."""
    if item.format == "csv":
        nulls = contract_columns(item.table, Source("", {}))
        conn.execute(
            f"insert into {into} "
            f"select {nulls}{more_values} from (select distinct scan_id, file_id, line from reject_errors)"
        )
        conn.execute("drop table if exists reject_errors")
        conn.execute("drop table if exists reject_scans")


def check_columns(item: Input, sources: list[Source]) -> None:
    """Raises BadInput where none of the files has a key column."""
    found = {name for source in sources for name in source.columns}
    missing = [key for key in item.table.keys if key not in found]
    if item.table.name in ("events", "deletion_requests") and not {"user_id", "anonymous_id"} & found:
        missing.append("user_id or anonymous_id")
    if sources and missing:
        # Only names of the contract are shown: the first line of a file without a header is a person's row.
        known = [name for name in item.table.columns if name in found]
        others = len(found) - len(known)
        raise BadInput(
            f"{item.setting}: {item.table.name} has no column {', no '.join(missing)} in {item.shown}; it has "
            f"{', '.join(known) or 'none that is known'} and {others} more: rename them, or map them as examples/ does"
        )


def check(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Raises BadInput for rows of which no use can be made: none, none with its keys, or none that fit together."""
    if not item.files:
        return
    name = f"raw.{item.table.name}"
    if item.table.name == "events" and raw_erasure.anybody(conn) and not any_row(conn, name):
        # All of them asked to be forgotten.
        return
    if item.table.required and not any_row(conn, name):
        raise BadInput(f"{item.setting}: {item.shown} holds no row; {item.table.name} needs at least one")
    if item.table.name == "events":
        check_events(conn, item)
        return
    keys = " and ".join(f"{key} is not null" for key in item.table.keys)
    query = f"select exists (select 1 from {name}) and not exists (select 1 from {name} where {keys})"
    if conn.execute(query).fetchone()[0]:
        raise BadInput(
            f"{item.setting}: no row of {item.shown} has {', '.join(item.table.keys)}; is it a file of "
            f"{item.table.name}?"
        )
    if item.table.name == "aliases":
        check_aliases(conn, item)
    if item.table is TAXONOMY:
        check_taxonomy(conn, item)
    if item.table is RETENTION_REPORTS:
        check_retention_reports(conn, item)
    if item.table is FUNNELS:
        check_funnels(conn, item)


def any_row(conn: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether a table holds a row."""
    return conn.execute(f"select exists (select 1 from {name})").fetchone()[0]


def check_events(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Raises BadInput when every event would be rejected. Stops at the first that would not."""
    if conn.execute(f"select exists (select 1 from raw.events where ({REJECTION_REASON}) is null)").fetchone()[0]:
        return
    reasons = conn.execute(
        f"select count(*) as events, {REJECTION_REASON} as reason from raw.events "
        "group by reason order by events desc, reason"
    ).fetchall()
    counted = ", ".join(f"{events} x {reason}" for events, reason in reasons)
    raise BadInput(f"RAW_DATA: every row of {item.shown} would be rejected ({counted}); is it a file of events?")


def check_as_of(conn: duckdb.DuckDBPyConnection, as_of: str, zone: str) -> None:
    """Raises BadInput where no clean event had happened by the end of `as_of`. Stops at the first that had."""
    day = day_of("event_at", zone)
    clean = f"from raw.events where ({REJECTION_REASON}) is null"
    if conn.execute(f"select exists (select 1 {clean} and {day} <= date '{as_of}')").fetchone()[0]:
        return
    first = conn.execute(f"select cast(min({day}) as varchar) {clean}").fetchone()[0]
    raise BadInput(f"AS_OF: {as_of} is before the first event ({first}); ask for that day or a later one")


def check_taxonomy(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Raises BadInput for an event_type that is not known and for an event_name that is listed twice."""
    unknown = conn.execute(
        f"select event_name, event_type from raw.event_taxonomy where event_type not in {EVENT_TYPES} "
        "or (event_type is null and event_name is not null) order by 1 limit 1"
    ).fetchone()
    if unknown:
        raise BadInput(
            f"TAXONOMY: {item.shown} gives {unknown[0]!r} the event_type {unknown[1] or ''!r}; use one of "
            f"{', '.join(EVENT_TYPES)}"
        )
    twice = conn.execute(
        "select event_name, count(*) from raw.event_taxonomy where event_name is not null "
        "group by 1 having count(*) > 1 order by 1 limit 1"
    ).fetchone()
    if twice:
        raise BadInput(f"TAXONOMY: {item.shown} lists {twice[0]!r} {twice[1]} times; keep one line a name")
    flag = conn.execute(
        "select event_name, is_activity from raw.event_taxonomy where lower(is_activity) not in ('true', 'false') "
        "order by 1 limit 1"
    ).fetchone()
    if flag:
        raise BadInput(f"TAXONOMY: {item.shown} gives {flag[0]!r} is_activity {flag[1]!r}; use true or false")


def check_aliases(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Raises BadInput for a cycle of aliases. The ids themselves are people's: the message counts, and does not name
    them. A row that aliases an id to itself says nothing and is passed over."""
    # Links of a chain: what leads nowhere further can be on no cycle, and is nearly all there is.
    links = conn.execute(
        "select distinct previous_id, user_id from raw.aliases "
        "where previous_id <> user_id and user_id in (select previous_id from raw.aliases where previous_id <> user_id)"
    ).fetchall()
    leading_here: dict[str, list[str]] = {}
    ways_on: dict[str, int] = {}
    for previous, user in links:
        leading_here.setdefault(user, []).append(previous)
        ways_on[previous] = ways_on.get(previous, 0) + 1
    # From the ends backwards: an id whose every way on has ended is on no cycle; what is left leads into one.
    ended = [user for user in leading_here if user not in ways_on]
    while ended:
        for previous in leading_here.get(ended.pop(), []):
            ways_on[previous] -= 1
            if ways_on[previous] == 0:
                ended.append(previous)
    circling = sum(1 for ways in ways_on.values() if ways)
    if circling:
        raise BadInput(
            f"RAW_DATA: aliases in {item.shown} lead in a circle ({circling} ids never come to an end); remove the "
            "row that leads back to a previous_id"
        )
