"""A run that is killed, at any moment and as often as it may be: the warehouse stays readable, and the run that comes
to its end leaves what an undisturbed one would have, cell by cell.

Killed with SIGKILL, which no program hears, when dbt begins with one of its models or some milliseconds later: the
moments are drawn, and the same on every run.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

# Daily runs end on the day after the last of the days that were there.
CUT = "2024-06-27"


@pytest.fixture(scope="module")
def deliveries(project, tmp_path_factory) -> tuple[Path, Path]:
    """The sample up to a day, and all of it: what arrived later lies in a file of its own."""
    sample = project / "seeds" / "sample"
    first, everything = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("everything")
    with (sample / "events.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    for folder, parts in ((first, [False]), (everything, [False, True])):
        for late in parts:
            target = folder / "events" / f"{'late' if late else 'early'}.csv"
            target.parent.mkdir(exist_ok=True)
            with target.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, reader.fieldnames)
                writer.writeheader()
                writer.writerows(row for row in rows if ((row["received_at"] or row["event_at"]) >= CUT) == late)
        for name in ("users", "aliases", "feedback", "exchange_rates"):
            shutil.copy(sample / f"{name}.csv", folder)
    return first, everything


@pytest.fixture(scope="module")
def begun(dbt, deliveries) -> Path:
    """A warehouse of the first delivery."""
    ran = dbt("run", env={"RAW_DATA": deliveries[0]})
    assert ran.code == 0, ran.output
    return ran.warehouse


def contents(warehouse: Path) -> dict[str, list[tuple]]:
    """The rows of every table that the project keeps, sorted; but for when something was done."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables where table_type = 'BASE TABLE' "
            "and table_schema in ('raw', 'staging', 'intermediate', 'segments', 'marts', 'runs') order by 1"
        ).fetchall()
        found = {}
        for (table,) in tables:
            # What was new to a run is not what was new to the one that came to its end.
            if table in ("intermediate.int_changed_days", "intermediate.int_as_of_dates"):
                continue
            columns = [row[0] for row in connection.execute(f"describe {table}").fetchall()]
            # The metrics are of the days that a run evaluates: a day that a killed run wrote down is not done again.
            latest = " where as_of_date = (select max(as_of_date) from intermediate.int_as_of_dates)"
            where = latest if table == "intermediate.int_user_metrics" else ""
            kept = [column for column in columns if column not in ("evaluated_at", "restated_at", "modified_ns")]
            if table == "marts.fct_input_health":
                # How long ago the newest event was received depends on when it is asked.
                kept = ["input_table", "check_name", "status", "row_count"]
            listed = ", ".join(f'"{column}"' for column in kept)
            found[table] = sorted(connection.execute(f"select {listed} from {table}{where}").fetchall(), key=str)
    return found


def kill(command: list[str], env: dict[str, str], folder: Path, after: int, milliseconds: int) -> bool:
    """Runs a command of dbt and kills it when it has begun with that many models. False where it ended first."""
    process = subprocess.Popen(
        command,
        env=env,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    begun = 0
    for line in process.stdout or ():
        begun += " START " in line
        if begun == after:
            time.sleep(milliseconds / 1000)
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.communicate()
    return process.returncode == -signal.SIGKILL


@pytest.fixture
def killed(clean_env, project, begun, tmp_path) -> Callable[..., None]:
    """`killed(warehouse, env, chance, times)` begins a run as often, and kills it each time."""

    def run(warehouse: Path, env: dict[str, str], chance: random.Random, times: int) -> None:
        dbt = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "run"]
        died = 0
        for _ in range(times):
            died += kill(dbt, clean_env | env, project, chance.randrange(1, 54), chance.randrange(120))
            # Whoever looks can read what is there.
            with duckdb.connect(str(warehouse), read_only=True) as connection:
                people = connection.execute("select count(*) from marts.dim_users").fetchone()
            assert people and people[0] > 500
        assert died > times / 2

    return run


def test_a_daily_run_killed_twenty_times(dbt, begun, deliveries, killed, tmp_path):
    chance = random.Random(20)
    calm = Path(shutil.copy(begun, tmp_path / "warehouse.duckdb"))
    env = {"RAW_DATA": str(deliveries[1])}
    assert dbt("run", env=env | {"WAREHOUSE": calm}).code == 0
    expected = contents(calm)
    assert len(expected) > 20
    (tmp_path / "disturbed").mkdir()
    disturbed = tmp_path / "disturbed" / "warehouse.duckdb"
    for _ in range(2):
        shutil.copy(begun, disturbed)
        disturbed.with_name("warehouse.duckdb.wal").unlink(missing_ok=True)
        killed(disturbed, env | {"WAREHOUSE": str(disturbed)}, chance, 10)
        assert dbt("run", env=env | {"WAREHOUSE": disturbed}).code == 0
        found = contents(disturbed)
        assert found.keys() == expected.keys()
        assert [table for table in expected if found[table] != expected[table]] == []
