"""How many rows of a file of events have a value in each column of the contract.

A column that used to have values and has none in what arrived last went missing on the way, or was renamed: nothing
else would say so, since a missing column is null. Parquet says in its own statistics how many values are null, so that
nothing is read; of CSV and JSON the rows that were just loaded are counted.

raw.event_file_columns keeps what was counted before: a file that is written to again is compared with what it was, a
file that is gone still says which columns had values.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import duckdb
from raw_formats import listed, partition_columns, path_list, quoted
from raw_tables import Input

# Rows of one insert: the text of a statement is parsed in memory.
INSERTED_AT_ONCE = 20_000


def note_columns(conn: duckdb.DuckDBPyConnection, item: Input, files: list[Path], load: int) -> None:
    """Writes down what `files` have in each column, once raw.events shows them. Of each file the count before this one
    stays, older ones go."""
    if not files:
        return
    columns = item.table.columns
    conn.execute(
        "delete from raw.event_file_columns as old where exists (select 1 from raw.event_file_columns as newer "
        "where newer.source_file = old.source_file and newer.load_number > old.load_number) "
        f"and source_file in {listed(files)}"
    )
    if item.format == "parquet":
        found = counted_by_parquet(conn, files, columns)
    else:
        found = counted_in_rows(conn, files, columns)
    rows = [
        f"({quoted(file)}, {load}, '{column}', {found[file, ''] or 0}, {found[file, column] or 0})"
        for file in files
        for column in columns
    ]
    for start in range(0, len(rows), INSERTED_AT_ONCE):
        values = ", ".join(rows[start : start + INSERTED_AT_ONCE])
        conn.execute(f"insert into raw.event_file_columns values {values}")


def counted_by_parquet(
    conn: duckdb.DuckDBPyConnection, files: list[Path], columns: tuple[str, ...]
) -> dict[tuple[Path, str], int | None]:
    """The rows with a value by file and column, and all rows as the column ''. Counts only where a file has no
    statistics."""
    by_name = {str(file): file for file in files}
    found: dict[tuple[Path, str], int | None] = defaultdict(int)
    for name, row_count in conn.execute(
        f"select file_name, num_rows from parquet_file_metadata({path_list(files)})"
    ).fetchall():
        found[by_name[name], ""] = row_count
    # Not known: a nested column, of which there are statistics of the parts, and one that is there twice. A text is
    # empty in all rows where the first and the last of its values are.
    statistics = (
        "select file_name, lower(split_part(path_in_schema, ', ', 1)) as column_name, "
        "sum(case when stats_min_value = '' and stats_max_value = '' then 0 "
        "else row_group_num_rows - stats_null_count end) as filled, "
        "count(distinct path_in_schema) = 1 "
        "and bool_and(stats_null_count is not null and position(', ' in path_in_schema) = 0) as is_known "
        f"from parquet_metadata({path_list(files)}) group by all"
    )
    unknown: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    to_count: dict[Path, list[str]] = defaultdict(list)
    for name, column, filled, is_known in conn.execute(statistics).fetchall():
        if column in columns and is_known:
            found[by_name[name], column] = filled
        elif column in columns:
            to_count[by_name[name]].append(column)
    for file, names in to_count.items():
        unknown[tuple(sorted(names))].append(file)
    for names, alike in unknown.items():
        counted = counted_in_rows(conn, alike, names)
        found.update({key: count for key, count in counted.items() if key[1]})
    for file in files:
        # The path gives it to every row, whatever is in the file.
        for column in partition_columns(file):
            found[file, column] = found[file, ""]
    return found


def counted_in_rows(
    conn: duckdb.DuckDBPyConnection, files: list[Path], columns: tuple[str, ...]
) -> dict[tuple[Path, str], int | None]:
    """The same, counted in the rows of raw.events; an empty text is no value."""
    by_name = {str(file): file for file in files}
    counts = ", ".join(f"""count(nullif(cast("{column}" as varchar), ''))""" for column in columns)
    query = (
        f"select source_file, count(*), {counts} from raw.events where source_file in {listed(files)} "
        "group by source_file"
    )
    found: dict[tuple[Path, str], int | None] = defaultdict(int)
    for name, *numbers in conn.execute(query).fetchall():
        found.update({(by_name[name], column): number for column, number in zip(("", *columns), numbers)})
    return found
