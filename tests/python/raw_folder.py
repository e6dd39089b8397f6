"""A folder of raw files for tests: writing them, and what tools/raw_files.py shows of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet

TAXONOMY_CSV = "event_name,event_type,is_activity\nviewed,page_view,true\nbought,purchase,true\n"
EVENT = {"event_id": "e1", "event_name": "viewed", "event_at": "2024-01-01T10:00:00Z", "user_id": "u1"}


def rows(conn, columns: str = "*", table: str = "events") -> list[tuple]:
    """Rows of a raw table, sorted as text."""
    return sorted(conn.execute(f"select {columns} from raw.{table}").fetchall(), key=str)


def put(file: Path, content: str | bytes) -> Path:
    """Writes a file as it is, and gives it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def put_rows(file: Path, records: list[dict]) -> Path:
    """Writes records in the format that the file's name says."""
    name = file.name.removesuffix(".gz")
    columns = list(dict.fromkeys(key for record in records for key in record))
    if name.endswith(".parquet"):
        return put_parquet(file, records, columns)
    if name.endswith(".csv"):
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        content = text.getvalue().encode()
    elif name.endswith(".ndjson"):
        content = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
    else:
        content = json.dumps(records, indent=1).encode()
    return put(file, gzip.compress(content) if file.name.endswith(".gz") else content)


def put_parquet(file: Path, records: list[dict], columns: list[str]) -> Path:
    """Writes records, all values text, as Parquet."""

    def text(value: object) -> str:
        return "null" if value is None else "'" + str(value).replace("'", "''") + "'"

    values = ", ".join("(" + ", ".join(text(record.get(column)) for column in columns) + ")" for record in records)
    names = ", ".join(f'cast({column} as varchar) as "{column}"' for column in columns)
    return put_query(file, f"select {names} from (values {values}) as t({', '.join(columns)})")


def put_query(file: Path, query: str) -> Path:
    """Writes what a query gives as Parquet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"copy ({query}) to '{str(file).replace(chr(39), chr(39) * 2)}' (format parquet)")
    return file


def put_not_utf8(file: Path, record: dict[str, str | bytes]) -> Path:
    """Writes a record as Parquet whose text columns hold whatever bytes they are given."""
    columns = {}
    for name, value in record.items():
        sent = pyarrow.array([value.encode() if isinstance(value, str) else value], pyarrow.binary())
        columns[name] = pyarrow.StringArray.from_buffers(1, *sent.buffers()[1:])
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file
