"""Whose events a warehouse holds: those of the sample, or those of the person's own product.

A history cannot be computed again, and one of two products is of no use: in a warehouse that holds the one, a run with
the other would end everybody's stays. The sample is what is built where RAW_DATA is not set, so that to forget the
variable once would be enough.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

# Where the sample is, in this checkout or another: `make diff` has two.
SAMPLE = ("seeds", "sample")
# Beside the files that were read, in raw.loaded_files.
NOTE = "sample"


def is_sample_asked() -> bool:
    """Whether a run would read seeds/sample."""
    asked = os.environ.get("RAW_DATA")
    return not asked or Path(asked).resolve().parts[-2:] == SAMPLE


def holds_sample(conn: duckdb.DuckDBPyConnection) -> bool | None:
    """Whether a warehouse of DuckDB was built from the sample; None where nobody knows, as of a new one."""
    there = "select 1 from information_schema.tables where table_schema = 'raw' and table_name = 'loaded_files'"
    if not conn.execute(there).fetchone():
        return None
    row = conn.execute(f"select fingerprint from raw.loaded_files where table_name = '{NOTE}'").fetchone()
    return {"true": True, "false": False}.get(row[0]) if row else None


def note_product(conn: duckdb.DuckDBPyConnection) -> None:
    """Writes down whose events are there now, where nothing is written yet."""
    is_sample = "true" if is_sample_asked() else "false"
    conn.execute(
        f"insert into raw.loaded_files select '{NOTE}', '{is_sample}' "
        f"where not exists (select 1 from raw.loaded_files where table_name = '{NOTE}')"
    )


def complaint(held_sample: bool | None, warehouse: str, setting: str) -> str | None:
    """Why a warehouse that holds the sample (or does not, or nobody knows) cannot take the events that are asked for, in
    one line; None where it can. `setting` is the variable that names the warehouse."""
    if held_sample is None or held_sample == is_sample_asked():
        return None
    if held_sample:
        return f"RAW_DATA: {warehouse} holds the sample and its history; name another {setting} for events of your own"
    asked = "it names the sample" if os.environ.get("RAW_DATA") else "it is not set"
    return (
        f"RAW_DATA: {asked}, and {warehouse} holds events of your own; set it to their folder, or name another "
        f"{setting} for the sample"
    )
