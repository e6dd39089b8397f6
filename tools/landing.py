"""The landing: the small DuckDB file by way of which tools/load.py brings raw data to a server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

PROJECT = Path(__file__).resolve().parent.parent


def landing_file(target: str, env: Mapping[str, str]) -> Path:
    """Where it is for an engine: where LANDING says, else a file of the engine's own."""
    return Path(env.get("LANDING") or PROJECT / "target" / "landing" / f"{target}.duckdb").resolve()


def columns_of(conn: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, str]:
    """The columns of a table in it, and their types in DuckDB."""
    return dict(
        conn.execute(
            "select column_name, data_type from information_schema.columns "
            f"where table_schema = '{schema}' and table_name = '{table}' order by ordinal_position"
        ).fetchall()
    )
