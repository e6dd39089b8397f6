"""A run or a backfill that is killed, at any moment and as often as it may be: the warehouse stays readable, and the
one that comes to its end leaves what an undisturbed one would have, cell by cell.

Killed with SIGKILL, which no program hears, when dbt begins with one of its models or some milliseconds later: the
moments are drawn, and the same on every run. No moment is drawn from before, when dbt reads the project, which takes
longer than what comes until it is killed: one process reads it, and every run that is killed is forked from that one.
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
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import duckdb
import pytest
from conftest import PROJECT
from publish import publish

# Daily runs end on the day after the last of the days that were there.
CUT = "2024-06-27"
# A line tells of each model that begins, and of each hook. A day of the backfill is a step of its own.
NURSERY = f"""
import os, sys, threading
sys.path.insert(0, {str(PROJECT / "tools")!r})
import backfill, history
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli import main as cli

def tell(event):
    if event.info.name in ("LogStartLine", "LogHookStartLine"):
        print("START", flush=True)

runner = cli.dbtRunner
os.chdir(history.PROJECT)
manifest = runner().invoke(["--quiet", "--log-level", "none", "parse"]).result
cli.dbtRunner = lambda **options: runner(callbacks=[tell], **options | {{"manifest": manifest}})
history.MOST_METRICS_ROWS = 0
assert manifest and DuckDBConnectionManager._ENV is None and threading.active_count() == 1

def daily():
    return 0 if cli.dbtRunner().invoke(["--quiet", "--log-level", "none", "run"]).success else 1

def past():
    return backfill.main(["backfill", "--from", "2024-06-15", "--to", "2024-06-18"])

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = {{"daily": daily, "past": past}}[line.strip()]()
            sys.stdout.flush()
        finally:
            os._exit(code)
    print("CHILD", child, flush=True)
    print("ENDED", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
DAYS_TO_FILL = 4


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
    """The rows of every table that the project keeps, and of every mart, sorted; but for when something was done."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where table_schema = 'marts' or (table_type = 'BASE TABLE' "
            "and table_schema in ('raw', 'staging', 'intermediate', 'segments', 'runs')) order by 1"
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


class Nursery:
    """Starts runs on a warehouse, each a process of its own, from one that has read the project."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            env=env,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, what: str, after: int = 0, milliseconds: int = 0) -> tuple[int, str]:
        """Runs "daily" or "past" and gives its exit code, and what it printed. Where `after` is not 0, kills it when it
        has begun with that many models and those milliseconds are over; the code is no SIGKILL where it ended first."""
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        begun, child, printed = 0, 0, ""
        for line in self.process.stdout:
            printed += line
            if line.startswith("CHILD "):
                child = int(line.split()[1])
            elif line.startswith("ENDED "):
                return int(line.split()[1]), printed
            begun += line == "START\n"
            if child and after and begun >= after:
                time.sleep(milliseconds / 1000)
                after = 0
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        raise AssertionError(printed)

    def close(self) -> None:
        """Ends the process, which waits for no run any more."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def nursery(clean_env, project) -> Iterator[Callable[[dict[str, str]], Nursery]]:
    """`nursery(env)` gives a Nursery with these settings; none is left when the test ends."""
    begun = []

    def begin(env: dict[str, str]) -> Nursery:
        begun.append(Nursery(clean_env | {name: str(value) for name, value in env.items()}, project))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def test_a_daily_run_killed_twenty_times(dbt, begun, deliveries, nursery, tmp_path):
    chance = random.Random(20)
    calm = Path(shutil.copy(begun, tmp_path / "warehouse.duckdb"))
    env = {"RAW_DATA": str(deliveries[1])}
    assert dbt("run", env=env | {"WAREHOUSE": calm}).code == 0
    expected = contents(calm)
    assert len(expected) > 20
    (tmp_path / "disturbed").mkdir()
    disturbed = tmp_path / "disturbed" / "warehouse.duckdb"
    runs = nursery(env | {"WAREHOUSE": disturbed})
    for _ in range(2):
        shutil.copy(begun, disturbed)
        disturbed.with_name("warehouse.duckdb.wal").unlink(missing_ok=True)
        died = 0
        for _ in range(10):
            code, printed = runs.run("daily", chance.randrange(1, 54), chance.randrange(120))
            assert code in (0, -signal.SIGKILL), printed
            died += code != 0
            # Whoever looks can read what is there.
            with duckdb.connect(str(disturbed), read_only=True) as connection:
                people = connection.execute("select count(*) from marts.dim_users").fetchone()
            assert people and people[0] > 500
        assert died > 5
        assert dbt("run", env=env | {"WAREHOUSE": disturbed}).code == 0
        found = contents(disturbed)
        assert found.keys() == expected.keys()
        assert [table for table in expected if found[table] != expected[table]] == []


def past(warehouse: Path) -> dict[date, set[tuple]]:
    """Who was in which segment on each evaluated day, by the stays, and what was noted of the day."""
    found: dict[date, set[tuple]] = {}
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for day, *fact in connection.execute(
            "select as_of_date, segment_set, segment, cast(people as varchar) from runs.evaluations union all "
            "select days.as_of_date, stays.segment_set, stays.segment, stays.user_id "
            "from (select distinct as_of_date from runs.evaluations) as days "
            "inner join marts.fct_segment_membership_history as stays on stays.valid_from <= days.as_of_date "
            "and (stays.valid_to is null or stays.valid_to > days.as_of_date)"
        ).fetchall():
            found.setdefault(day, set()).add(tuple(fact))
    return found


def latest(file: Path, schema: str) -> list[list[tuple]]:
    """The marts of the latest day, which a backfill has nothing to do with."""
    with duckdb.connect(str(file), read_only=True) as connection:
        tables = ("dim_users", "fct_segment_membership", "fct_segment_overlap", "fct_segment_profile")
        return [connection.execute(f"from {schema}.{table} order by all").fetchall() for table in tables]


def test_a_backfill_killed_twenty_times(nursery, begun, deliveries, tmp_path):
    chance = random.Random(20)
    ways, runs = {}, {}
    for name in ("calm", "disturbed"):
        (tmp_path / name).mkdir()
        ways[name] = Path(shutil.copy(begun, tmp_path / name / "warehouse.duckdb"))
        publish(ways[name])
        runs[name] = nursery({"RAW_DATA": deliveries[0], "WAREHOUSE": ways[name]})
    code, printed = runs["calm"].run("past")
    assert code == 0 and f"{DAYS_TO_FILL} days of" in printed, printed
    expected, people = past(ways["calm"]), latest(begun, "marts")
    assert len(expected) == DAYS_TO_FILL + 1 and all(people)

    # One chain: each begins with what the one before left. The first day that it does takes some forty models, the next
    # one the seven of them that are tables: some die in the midst of each.
    died, done = 0, [1]
    for _ in range(30):
        code, printed = runs["disturbed"].run("past", chance.randrange(1, 74), chance.randrange(1000))
        assert code in (0, -signal.SIGKILL), printed
        died += code != 0
        # Whoever looks can read what was there, and of the past whole days.
        assert latest(ways["disturbed"], "marts") == people
        assert latest(tmp_path / "disturbed" / "published" / "marts.duckdb", "main") == people
        found = past(ways["disturbed"])
        assert {day: expected[day] for day in found} == found
        done.append(len(found))
        if died == 20:
            break
    assert died == 20
    # Nothing is lost from one to the next, and they died in the midst of it.
    assert done == sorted(done) and len(set(done)) > 2
    code, printed = runs["disturbed"].run("past")
    assert code == 0, printed
    left, right = contents(ways["disturbed"]), contents(ways["calm"])
    assert left.keys() == right.keys()
    assert {"marts.fct_segment_changes", "marts.fct_segment_transitions", "marts.fct_segment_daily"} < left.keys()
    assert [table for table in right if left[table] != right[table]] == []
