"""Which input tables there are, what the project reads of each, and which files of a folder hold them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from dbt_common.exceptions import DbtRuntimeError
from raw_formats import FORMATS, format_of, stem_of


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
    Table("consents", text=("user_id", "purpose", "granted"), times=("at",), keys=("user_id", "purpose", "granted")),
)
# Never shown as a table: of who asks to be forgotten no id is kept (raw_erasure.py).
DELETION_REQUESTS = Table("deletion_requests", text=("user_id", "anonymous_id"), times=("requested_at",))
TAXONOMY = Table(
    "event_taxonomy",
    text=("event_name", "event_type", "is_activity"),
    keys=("event_name", "event_type"),
    required=True,
)
# What the product-analytics marts are asked for. A file with a header alone asks for nothing.
RETENTION_REPORTS = Table(
    "retention_reports",
    text=("report", "period", "start_event", "return_event", "mode", "bound"),
    numbers=("min_occurrences",),
    keys=("report", "period", "start_event", "return_event", "mode", "bound", "min_occurrences"),
)
FUNNELS = Table(
    "funnels",
    text=("funnel", "event"),
    numbers=("step", "window_seconds"),
    keys=("funnel", "step", "event", "window_seconds"),
)
SEEDS = Path(__file__).resolve().parent.parent / "seeds"


@dataclass(frozen=True)
class Definition:
    """A file that says what is meant, or asked for, rather than what happened: the variable that names another one,
    and the project's own."""

    table: Table
    setting: str
    own: Path


DEFINITIONS = (
    Definition(TAXONOMY, "TAXONOMY", SEEDS / "event_taxonomy.csv"),
    Definition(RETENTION_REPORTS, "RETENTION_REPORTS", SEEDS / "retention_reports.csv"),
    Definition(FUNNELS, "FUNNELS", SEEDS / "funnels.csv"),
)


# The programs that decide what is read of the files.
PROGRAMS = (
    "raw_arrivals.py", "raw_columns.py", "raw_erasure.py", "raw_files.py", "raw_formats.py", "raw_reports.py",
    "raw_retention.py", "raw_tables.py",
)  # fmt: skip


@dataclass
class Input:
    """The files of one table: `files` all of one `format`; none where an optional table is absent."""

    table: Table
    format: str = "none"
    files: list[Path] = field(default_factory=list)

    @property
    def setting(self) -> str:
        """The variable that a person changes to mend it."""
        return next((known.setting for known in DEFINITIONS if known.table is self.table), "RAW_DATA")

    @property
    def shown(self) -> str:
        """How an error names it: the file, or the first of many."""
        more = f" (and {len(self.files) - 1} more)" if len(self.files) > 1 else ""
        return f"{self.files[0]}{more}"

    def fingerprint(self) -> str:
        """Changes when a file is added, removed, replaced or written to, or when these programs are."""
        digest = hashlib.sha256(program_fingerprint().encode())
        for file in self.files:
            stat = file.stat()
            digest.update(f"{file}|{stat.st_size}|{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def program_fingerprint() -> str:
    """Changes when the programs do that read files: what they read is then read again."""
    digest = hashlib.sha256()
    for program in PROGRAMS:
        digest.update(Path(__file__).with_name(program).read_bytes())
    return digest.hexdigest()


def find_inputs(folder: Path, taxonomy: Path, asked: dict[str, Path] | None = None) -> list[Input]:
    """The files of every table in `folder`, the taxonomy, and what the marts are asked for: `asked` names the files of
    retention_reports and funnels, the project's own where it does not. Raises BadInput for a folder that is missing or
    empty, a table in two formats, in two places or with an ending that is not read, and a required table that is
    absent."""
    if not folder.is_dir():
        what = f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}"
        raise BadInput(f"RAW_DATA: {what}; name the one that holds events.parquet (or csv, json, ndjson)")
    named = {"event_taxonomy": taxonomy} | (asked or {})
    definitions = [find_definition(known, named.get(known.table.name, known.own)) for known in DEFINITIONS]
    return [find_input(table, folder) for table in (*TABLES, DELETION_REQUESTS)] + definitions


def asked_definitions() -> dict[str, Path]:
    """The files of definitions that the environment names, and the project's own for the others."""
    return {known.table.name: Path(os.environ.get(known.setting) or known.own).resolve() for known in DEFINITIONS}


def find_definition(known: Definition, file: Path) -> Input:
    """The one file of a definition. Raises BadInput where it is none, is empty (who wants to ask for nothing leaves its
    header), or has an ending that is not read."""
    copy = f"copy seeds/{known.own.name}"
    if not file.is_file():
        raise BadInput(f"{known.setting}: there is no file {file}; {copy} and edit it")
    if not file.stat().st_size:
        raise BadInput(f"{known.setting}: {file} is empty; {copy}")
    kind = format_of(file)
    if kind is None:
        raise BadInput(f"{known.setting}: {file} is none of {', '.join(FORMATS)}; {copy}")
    return Input(known.table, kind, [file])


def find_input(table: Table, folder: Path) -> Input:
    """The files of one table: `<table>.<ext>`, or everything below `<table>/`. A file of that name alone with another
    ending is refused: it was meant to be read."""
    named_so = [file for file in sorted(folder.iterdir()) if file.is_file() and stem_of(file) == table.name]
    beside = [file for file in named_so if format_of(file)]
    below = files_below(folder / table.name)
    files = beside + below
    if not files:
        if named_so:
            raise BadInput(
                f"RAW_DATA: {named_so[0]} has no ending that is read; save it as parquet, csv, json or ndjson (the "
                f"last three also .gz), or give it a name that is not {table.name}"
            )
        if table.required:
            raise BadInput(
                f"RAW_DATA: no {table.name} in {folder}; put {table.name}.parquet (or csv, json, ndjson, the last "
                f"three also .gz) or a folder {table.name}/ of such files there"
            )
        return Input(table)
    formats = sorted({str(format_of(file)) for file in files})
    if len(formats) > 1:
        raise BadInput(f"RAW_DATA: {table.name} is there as {' and as '.join(formats)} in {folder}; keep one format")
    if len(beside) > 1 or (beside and below):
        other = (beside[1:] + below)[0].relative_to(folder)
        raise BadInput(
            f"RAW_DATA: {table.name} is there twice in {folder}, as {beside[0].name} and {other}; keep one, or put "
            f"both into {table.name}/"
        )
    return Input(table, formats[0], files)


def files_below(folder: Path) -> list[Path]:
    """The files of a known format in a folder and its folders. Names that start with a dot or an underscore are not
    data: Spark, Hive and macOS leave such files behind."""
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name[0] not in "._"]
        found += [Path(place, name) for name in names if name[0] not in "._" and format_of(Path(name))]
    return sorted(found)
