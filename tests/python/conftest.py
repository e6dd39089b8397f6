"""Fixtures for tests that run dbt: each run has a warehouse, a target folder and an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import product
import pytest
from raw_files import show_raw_tables
from raw_folder import TAXONOMY_CSV
from raw_tables import find_inputs

PROJECT = Path(__file__).resolve().parents[2]
# What a person may have set for a project of their own, and no test wants.
OF_THE_PERSON = (
    "TARGET",
    "RAW_DATA",
    "TAXONOMY",
    "RETENTION_REPORTS",
    "FUNNELS",
    "AS_OF",
    "WAREHOUSE",
    "EVALUATE_FROM",
    "EVALUATE_TO",
    "EVALUATE_SET",
    "RESTATE",
)
# The target folders for which all warehouses have one path: the one that tests share, and some of their own (shown_at).
targets: list[Path] = []
PARSED = "partial_parse.msgpack"
# The --vars with which the project was parsed last.
parsed_with = [""]
# The modules that take minutes, the longest first. Two processes share the modules in this order: a long one that
# began last would be waited for by itself.
LONG = (
    "test_bench", "test_history", "test_killed", "test_real_data", "test_diff", "test_incremental",
    "test_metrics_reference", "test_when_things_go_wrong", "test_run", "test_marts", "test_health", "test_project",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the long modules first. The order within a module stays."""
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONG)))


@dataclass(frozen=True)
class Run:
    """How a program ended: its exit code, everything it printed, and the warehouse that it worked on."""

    code: int
    output: str
    warehouse: Path

    def rows(self, sql: str) -> list[tuple]:
        """What a query gives on the warehouse."""
        with duckdb.connect(str(self.warehouse), read_only=True) as warehouse:
            return warehouse.execute(sql).fetchall()


@pytest.fixture(scope="session")
def project() -> Path:
    """The folder of the project."""
    return PROJECT


@pytest.fixture(scope="session")
def clean_env(tmp_path_factory) -> dict[str, str]:
    """An environment in which nothing of the person's own is set, and dbt writes nothing into the project."""
    folder = tmp_path_factory.mktemp("dbt")
    targets.append(folder / "target")
    env = {name: value for name, value in os.environ.items() if name not in OF_THE_PERSON}
    return env | {
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }


@pytest.fixture(scope="session")
def dbt(clean_env, tmp_path_factory) -> Callable[..., Run]:
    """`dbt("build", "--select", "seg_cart", env={"AS_OF": "2024-03-01"})` runs dbt in the project and gives the Run.

    Where `env` names no WAREHOUSE the run gets a new one. A run that fails is given back like any other: look at its
    code.
    """

    def run(*arguments: str, env: dict[str, str] | None = None) -> Run:
        own = {name: str(value) for name, value in (env or {}).items()}
        own.setdefault("WAREHOUSE", str(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"))
        return run_program([str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments], clean_env | own)

    return run


@pytest.fixture(scope="session")
def make_run(clean_env) -> Callable[..., Run]:
    """`make_run(folder, WAREHOUSE="w.duckdb")` does what `make run` does, with a person who is in `folder`."""

    def run(folder: Path, **own: str | Path) -> Run:
        env = clean_env | {name: str(value) for name, value in own.items()}
        return run_program([sys.executable, str(PROJECT / "tools" / "run.py")], env, folder)

    return run


@pytest.fixture(scope="session")
def built_sample(dbt) -> Path:
    """The warehouse of the sample, built once for all tests. Read it; to change it, copy the file. It does not say
    whose events it holds: tests go on from it with others."""
    ran = dbt("run")
    assert ran.code == 0, ran.output
    with duckdb.connect(str(ran.warehouse)) as warehouse:
        warehouse.execute(f"update raw.loaded_files set fingerprint = 'any' where table_name = '{product.NOTE}'")
    return ran.warehouse


def run_program(command: list[str], env: dict[str, str], folder: Path = PROJECT) -> Run:
    """Runs a command in `folder` and gives how it ended."""
    warehouse, shown = folder / env["WAREHOUSE"], shown_at(env)
    own = {"WAREHOUSE": str(shown)} if shown else {}
    put_in_place(command[command.index("--vars") + 1] if "--vars" in command else "")
    ended = subprocess.run(
        command,
        cwd=folder,
        env=env | own,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
    )
    output = ended.stdout.replace(f"{shown.parent}/", f"{warehouse.parent}/") if shown else ended.stdout
    return Run(ended.returncode, output, warehouse)


def shown_at(env: dict[str, str]) -> Path | None:
    """Another path at which a program finds the WAREHOUSE: the same one for all warehouses of a name, through a link to
    the folder that it is in. dbt parses the whole project again, for ten seconds, when that path is not the one of the
    run before; a new target folder of a test's own gets what was parsed. None in any other target folder, which
    programs that are started without run_program use, too; and where the path is relative."""
    warehouse, target = Path(env["WAREHOUSE"]), Path(env.get("DBT_TARGET_PATH", ""))
    parsed = next((one / PARSED for one in targets if (one / PARSED).exists()), None)
    if parsed and not target.exists() and target.is_relative_to(parsed.parents[2]):
        target.mkdir(parents=True)
        shutil.copy(parsed, target)
        targets.append(target)
    if target not in targets or not warehouse.is_absolute() or not warehouse.parent.is_dir():
        return None
    link = targets[0].with_name("warehouse")
    link.unlink(missing_ok=True)
    link.symlink_to(warehouse.parent, target_is_directory=True)
    return link / warehouse.name


def put_in_place(variables: str) -> None:
    """In the target folder that tests share, puts what was parsed with these --vars in the place of what was parsed
    with others, which is kept: dbt would parse the whole project again, and then again without them."""
    before = parsed_with[-1]
    if targets and variables != before:
        folder = targets[0]
        kept, wanted = (folder / f"{zlib.crc32(one.encode())}.{PARSED}" for one in (before, variables))
        for now, then in ((folder / PARSED, kept), (wanted, folder / PARSED)):
            if now.exists():
                now.rename(then)
        parsed_with[-1] = variables


# A folder of raw files and a plain DuckDB that shows them, for tests that need no dbt.


@pytest.fixture
def folder(tmp_path) -> Path:
    """An empty RAW_DATA folder."""
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


@pytest.fixture
def conn() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory."""
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def show(conn, folder, tmp_path) -> Callable[..., None]:
    """Shows the folder's files as raw tables: `show()`, or `show("event_name,...")` with a taxonomy of its own."""

    def run(taxonomy: str = TAXONOMY_CSV) -> None:
        file = tmp_path / "taxonomy.csv"
        if not file.exists() or file.read_text() != taxonomy:
            file.write_text(taxonomy)
        show_raw_tables(conn, find_inputs(folder, file))

    return run
