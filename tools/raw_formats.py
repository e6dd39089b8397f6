"""How files of each format are read: which DuckDB table function, with which columns, for which of the files.

Nothing is guessed from the rows that happen to come first: a sniffed delimiter, type or header changes with the data.
A broken record never stops a run where the format lets it be passed over (CSV, one JSON object a line); it becomes a
row of nulls, which staging rejects and counts. A broken file does: `Unreadable`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb

FORMATS = {"parquet": "parquet", "csv": "csv", "json": "json", "ndjson": "json"}
# The longest record that is read, in bytes. DuckDB keeps twice as much for each thread.
LONGEST_RECORD = 16 * 1024 * 1024
CHUNK = 1024 * 1024
# The column in which the rows of a Parquet file say which file that is.
SOURCE_FILE = "_source_file"
# How files come packed. Of these only .gz is read.
PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".7z")
# What the first bytes of a file give away.
MAGIC = {
    b"PAR1": "Parquet; end its name in .parquet",
    b"\x1f\x8b": "gzip; unpack it, or end its name in .gz",
    b"PK\x03\x04": "a zip archive or a spreadsheet; save it as CSV",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
}


class Unreadable(Exception):
    """A file that cannot be read as what its name says. The message says which, why and what to do."""


@dataclass(frozen=True)
class Source:
    """Files that are read alike: by the table function `scan`, which gives `columns` (a lower-case name of the
    contract to the name as spelled in the files, and its DuckDB type)."""

    scan: str
    columns: dict[str, tuple[str, str]]


def format_of(file: Path) -> str | None:
    """parquet, csv or json by the file's ending, seen through .gz; None for any other file."""
    name = file.name.lower()
    known = FORMATS.get(name.removesuffix(".gz").rpartition(".")[2])
    return None if known == "parquet" and name.endswith(".gz") else known


def stem_of(file: Path) -> str:
    """`events` of events.csv, Events.csv.gz and events.xlsx: the name without its ending, one that is read or not."""
    name = file.name.lower()
    for ending in PACKED:
        name = name.removesuffix(ending)
    return name.rpartition(".")[0] or name


def sources_of(
    conn: duckdb.DuckDBPyConnection, format: str, files: list[Path], wanted: Iterable[str], scratch: Path
) -> list[Source]:
    """The sources that together give every record of `files`; `wanted` are the columns of the contract.

    Files that DuckDB would misread are copied, mended, to the folder `scratch`. Raises Unreadable, and duckdb.Error
    for what only DuckDB can find.
    """
    files = [file for file in files if format == "parquet" or file.stat().st_size > 0]
    for file in files:
        check_first_bytes(file)
    find = {"parquet": parquet_sources, "csv": csv_sources, "json": json_sources}[format]
    return find(conn, files, set(wanted), scratch)


# Parquet


def parquet_sources(
    conn: duckdb.DuckDBPyConnection, files: list[Path], wanted: set[str], scratch: Path
) -> list[Source]:
    """One source for all files of one schema. DuckDB's own `union_by_name` gives all files one type for a column, and
    fails, or empties a JSON text into the fields of another file's struct, where they have different ones."""
    schemas: dict[str, set[tuple]] = defaultdict(set)
    query = f"select file_name, name, type, duckdb_type, num_children from parquet_schema({path_list(files)})"
    for file, *column in conn.execute(query).fetchall():
        schemas[file].add(tuple(column))
    alike = defaultdict(list)
    for file in files:
        alike[frozenset(schemas[str(file)]), partition_columns(file)].append(file)
    sources = []
    for (_, partitions), group in alike.items():
        scan = f"read_parquet({path_list(group)}, {partition_options(partitions)}, filename = '{SOURCE_FILE}')"
        found = conn.execute(f"describe select * from {scan}").fetchall()
        # The first of two names that differ in case only; DuckDB renames the second.
        sources.append(Source(scan, {row[0].lower(): (row[0], row[1]) for row in reversed(found)}))
    return sources


# CSV


def csv_sources(conn: duckdb.DuckDBPyConnection, files: list[Path], wanted: set[str], scratch: Path) -> list[Source]:
    """One source for all files with the same header, as RFC 4180 has it: commas, double quotes, a header."""
    alike = defaultdict(list)
    for number, file in enumerate(files):
        start = first_bytes(file)
        header = read_header(file, start)
        ends = line_ends(file, start)
        if len(ends) > 1 or start[:1] in (b"\r", b"\n"):
            partitions = [part for part in file.parent.parts if "=" in part]
            file, ends = mended_csv(file, scratch.joinpath(str(number), *partitions, "mended.csv")), ["\n"]
        alike[tuple(header), tuple(ends), is_gzip(file), partition_columns(file)].append(file)
    sources = []
    for (header, ends, _, partitions), group in alike.items():
        names, columns = [], {}
        for number, field in enumerate(header):
            name = field.strip().lower()
            # Of two columns with one name the first counts.
            spelled = name if name in wanted and name not in columns else f"column {number}"
            names.append(spelled)
            columns.setdefault(name, (spelled, "VARCHAR"))
        listed = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in names)
        ending = "".join({"\n": "\\n", "\r": "\\r"}[character] for end in ends for character in end) or "\\n"
        scan = (
            f"read_csv({path_list(group)}, columns = {{{listed}}}, auto_detect = false, header = true, delim = ',', "
            f"quote = '\"', escape = '\"', new_line = '{ending}', max_line_size = {LONGEST_RECORD}, "
            f"compression = {compression(group[0])}, {partition_options(partitions)}, "
            "store_rejects = true, rejects_limit = 0)"
        )
        sources.append(Source(scan, columns | {name: (name, "VARCHAR") for name in partitions}))
    return sources


def read_header(file: Path, start: bytes) -> list[str]:
    """The names in the first record. Raises Unreadable for a header that is not separated by commas."""
    csv.field_size_limit(LONGEST_RECORD)
    text = start.decode("utf-8-sig", "replace")
    try:
        header = next((row for row in csv.reader(io.StringIO(text, newline="")) if row), [])
    except csv.Error:
        header = []
    if len(header) == 1 and (other := re.search(r"[;\t|]", header[0])):
        raise Unreadable(f"{file} separates columns by {other.group()!r}; write it with commas")
    return header


def line_ends(file: Path, start: bytes) -> list[str]:
    """The ways in which records end; more than one, and DuckDB stops or takes the whole file for its header.

    Raises Unreadable for a broken gzip file, which DuckDB reads up to the break as if that were all.
    """
    first = re.search(rb"\r\n|\n|\r", re.sub(rb'"[^"]*"', b"", start))
    if not first:
        check_gzip(file)
        return []
    styles, inside = {first.group()}, 0
    with opened(file) as stream:
        while chunk := read_chunk(file, stream):
            found = {b"\r\n": chunk.count(b"\r\n")}
            found |= {end: chunk.count(end) - found[b"\r\n"] for end in (b"\n", b"\r")}
            if {end for end, count in found.items() if count} - styles:
                # Only now is it worth to look at what lies outside quotes.
                outside = b" ".join(chunk.split(b'"')[inside::2])
                styles |= set(re.findall(rb"\r\n|\n|\r", outside))
            inside ^= chunk.count(b'"') & 1
    return sorted(style.decode() for style in styles)


def mended_csv(file: Path, copy: Path) -> Path:
    """Writes the records of `file` to `copy`, each ending in one line feed, a broken one without its values."""
    copy.parent.mkdir(parents=True)
    with opened(file) as stream, open(copy, "w", encoding="utf-8", errors="surrogateescape", newline="") as written:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        records = csv.reader(text, strict=True)
        writer = csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL)
        width = 0
        while True:
            try:
                record = next(records)
            except csv.Error:
                record = [""] * width
            except StopIteration:
                return copy
            width = width or len(record)
            if record:
                writer.writerow(record)


# JSON


def json_sources(conn: duckdb.DuckDBPyConnection, files: list[Path], wanted: set[str], scratch: Path) -> list[Source]:
    """One source for all files with the same layout and the same spelling of the contract's keys."""
    layouts = defaultdict(list)
    for file in files:
        check_gzip(file)
        options = (
            f"{json_layout(file)}, maximum_object_size = {LONGEST_RECORD}, compression = {compression(file)}, "
            f"{partition_options(partition_columns(file))}"
        )
        layouts[options, partition_columns(file)].append(file)
    sources = []
    for (options, partitions), group in layouts.items():
        for columns, alike in spellings(conn, group, options, wanted).items():
            # Not read_json: it parses in place, on past the end of a line that breaks off, and so spoils the next one.
            # At least one key is asked for: objects without a known one are rows all the same.
            asked = json.dumps({spelled: "VARCHAR" for _, spelled in columns} or {min(wanted): "VARCHAR"})
            scan = (
                f"(select unnest(from_json(json, {quoted(asked)})), * exclude (json) "
                f"from read_json_objects({path_list(alike)}, {options}))"
            )
            found = {name: (spelled, "VARCHAR") for name, spelled in columns}
            sources.append(Source(scan, found | {name: (name, "VARCHAR") for name in partitions}))
    return sources


def spellings(
    conn: duckdb.DuckDBPyConnection, files: list[Path], options: str, wanted: set[str]
) -> dict[tuple[tuple[str, str], ...], list[Path]]:
    """The files by how they spell the contract's keys; those without a record are left out. All records are looked
    through: DuckDB finds a key only as it is spelled, and rows need not have the same ones. Raises Unreadable for a
    file without an object."""
    # A null stands for a record that has no key: no object, or none that can be read.
    query = (
        "select distinct filename, unnest(coalesce(nullif(json_keys(json), []), [null])) "
        f"from read_json_objects({path_list(files)}, {options}, filename = true)"
    )
    keys: dict[str, set[str | None]] = defaultdict(set)
    for file, key in conn.execute(query).fetchall():
        keys[file].add(key)
    alike = defaultdict(list)
    for file in files:
        found = keys[str(file)]
        if found == {None}:
            raise Unreadable(f"{file} holds no JSON object; write one object a line, or an array of objects")
        columns: dict[str, str] = {}
        # Lower case sorts last, so it comes first here: the contract's own spelling wins over any other.
        for key in sorted((key for key in found if key), reverse=True):
            columns.setdefault(key.lower(), key)
        if columns:
            alike[tuple(sorted((name, key) for name, key in columns.items() if name in wanted))].append(file)
    return alike


def json_layout(file: Path) -> str:
    """The options that say how the objects of a JSON file follow each other."""
    start = first_bytes(file)
    text = start.decode("utf-8-sig", "replace").lstrip()
    if text.startswith("["):
        return "format = 'array'"
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        end = 0
    if "\n" in text[:end] or start.startswith(b"\xef\xbb\xbf"):
        return "format = 'unstructured'"
    # The one layout in which a broken record can be passed over.
    return "format = 'newline_delimited', ignore_errors = true"


# Files


def check_first_bytes(file: Path) -> None:
    """Raises Unreadable where a file's first bytes say that it is something else than its name says."""
    with open(file, "rb") as stream:
        start = stream.read(4)
    for magic, what in MAGIC.items():
        named_so = is_gzip(file) if magic == b"\x1f\x8b" else format_of(file) == "parquet" and magic == b"PAR1"
        if start.startswith(magic) and not named_so:
            raise Unreadable(f"{file} is {what}")
    if is_gzip(file) and not start.startswith(b"\x1f\x8b"):
        raise Unreadable(f"{file} is not gzip; take .gz off its name")


def check_gzip(file: Path) -> None:
    """Raises Unreadable for a gzip file that ends early or is damaged."""
    if is_gzip(file):
        with opened(file) as stream:
            while read_chunk(file, stream):
                pass


def first_bytes(file: Path) -> bytes:
    """The first part of what a file holds, unpacked."""
    with opened(file) as stream:
        return read_chunk(file, stream)


def read_chunk(file: Path, stream: BinaryIO) -> bytes:
    """The next part of a file, never cut between the two characters of a line end; empty at its end."""
    try:
        chunk = stream.read(CHUNK)
        return chunk + stream.read(1) if chunk.endswith(b"\r") else chunk
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Unreadable(f"{file} is a gzip file that ends early or is damaged; fetch it again") from None


def opened(file: Path) -> BinaryIO:
    """The file, unpacked where it is packed."""
    return gzip.open(file, "rb") if is_gzip(file) else open(file, "rb")


def is_gzip(file: Path) -> bool:
    return file.name.lower().endswith(".gz")


def compression(file: Path) -> str:
    return "'gzip'" if is_gzip(file) else "'uncompressed'"


def partition_columns(file: Path) -> tuple[str, ...]:
    """The columns that a path carries: `day` of events/day=2024-01-01/part.parquet."""
    return tuple(part.partition("=")[0].lower() for part in file.parent.parts if re.match(r"\w+=", part))


def partition_options(partitions: tuple[str, ...]) -> str:
    return f"hive_partitioning = {str(bool(partitions)).lower()}, hive_types_autocast = false"


def path_list(files: list[Path]) -> str:
    """The files as an SQL list. DuckDB takes *, ? and [ for patterns, in any path."""
    return "[" + ", ".join(quoted(re.sub(r"([*?\[])", r"[\1]", str(file))) for file in files) + "]"


def quoted(value: object) -> str:
    """A value as an SQL string."""
    return "'" + str(value).replace("'", "''") + "'"


def listed(values: Iterable[object]) -> str:
    """Values as an SQL list for `in`. An empty one is a list of the empty text, which no file is called."""
    return "(" + ", ".join(quoted(value) for value in list(values) or [""]) + ")"
