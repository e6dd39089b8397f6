"""Runs the project on an engine, and reads what it made: the same words for DuckDB and for the engines that are servers
(tests/postgres, tests/spark)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

PROJECT = Path(__file__).resolve().parents[2]
# What a person may have set for a project of their own, and no test wants.
OF_THE_PERSON = (
    "RAW_DATA", "TAXONOMY", "RETENTION_REPORTS", "FUNNELS", "AS_OF", "WAREHOUSE", "LANDING", "EVALUATE_FROM",
    "EVALUATE_TO", "EVALUATE_SET", "RESTATE", "TARGET", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE",
    "PGSCHEMA", "PGOPTIONS", "BI_ROLE", "MASTER", "SPARK_REMOTE", "SPARK_WAREHOUSE", "SPARK_RAW", "SPARK_PARTITIONS",
    "SPARK_HOME", "SPARK_METHOD", "SPARK_HOST", "SPARK_PORT", "SPARK_USER", "HIVE_METASTORE_URIS",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code and everything it printed."""

    code: int
    output: str


@dataclass(frozen=True)
class Engine:
    """A warehouse of DuckDB: `place` is its file. Other engines say what differs."""

    name: str
    place: str
    env: dict[str, str]

    def dbt(self, *arguments: str, **env: str) -> Ended:
        """Runs dbt."""
        return run([program("dbt"), "--no-use-colors", *arguments, "--target", self.name], self.env | env)

    def load(self, *arguments: str, **env: str) -> Ended:
        """Makes the raw tables show the files of RAW_DATA; on DuckDB dbt does so itself."""
        if self.name == "duckdb":
            return Ended(0, "")
        command = [sys.executable, str(PROJECT / "tools" / "load.py"), *arguments]
        return run(command, self.env | {"TARGET": self.name} | env)

    def build(self, command: str = "run", *arguments: str, project: tuple[str, ...] = (), **env: str) -> None:
        """Loads what is in RAW_DATA, and builds everything. `project` is said to both, the arguments to dbt alone."""
        for ended in (self.load(*project, **env), self.dbt(command, *project, *arguments, **env)):
            assert ended.code == 0, ended.output

    def look_anew(self) -> None:
        """Forgets what a session of this process may remember of tables that others have written since."""

    def rows(self, sql: str) -> list[tuple]:
        """What a query gives."""
        with duckdb.connect(self.place, read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def columns(self, mart: str) -> list[str]:
        """The columns of a mart, in their order."""
        rows = self.rows(
            "select column_name from information_schema.columns "
            f"where table_schema = 'marts' and table_name = '{mart}' order by ordinal_position"
        )
        return [name for (name,) in rows]

    def nodes(self) -> list[dict]:
        """All that dbt knew of the project's models and tests when it last ran."""
        manifest = Path(self.env["DBT_TARGET_PATH"]) / "manifest.json"
        return list(json.loads(manifest.read_text("utf-8"))["nodes"].values())


def program(name: str) -> str:
    """The path of a program of the virtual environment."""
    return str(Path(sys.executable).with_name(name))


def run(command: list[str], env: dict[str, str]) -> Ended:
    """Runs a command in the project."""
    ended = subprocess.run(
        command, cwd=PROJECT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800
    )
    return Ended(ended.returncode, ended.stdout)


def clean_env(name: str, folder: Path) -> dict[str, str]:
    """The environment without what a person has set, and with folders of dbt's own in `folder`."""
    env = {key: value for key, value in os.environ.items() if key not in OF_THE_PERSON}
    return env | {
        "DBT_TARGET_PATH": str(folder / name / "target"),
        "DBT_LOG_PATH": str(folder / name / "logs"),
        "NO_COLOR": "1",
    }


def new_duckdb(folder: Path) -> Engine:
    """A new, empty warehouse of DuckDB."""
    place = str(folder / "warehouse.duckdb")
    return Engine("duckdb", place, clean_env("duckdb", folder) | {"WAREHOUSE": place})


Engines = Callable[..., Engine]
