"""A run on Spark that is killed, dbt and driver together, between the steps that other engines take in one transaction:
the next run makes of it what would be there without that."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from engines import PROJECT, Engine, Engines, program
from equality import assert_equal
from raw_data import sample_in_two

# Where a run is killed: as soon as dbt is about to ask for this.
MOMENTS = (
    # The changed days are empty, their rows not written yet.
    "insert into intermediate.int_half_hours",
    # Rows that do not hold any more are gone.
    "insert into intermediate.int_people",
    # The history is written beside, and nothing is said of it yet.
    "create table runs.evaluations__pending",
    # The old history has gone, the new one has not its name yet.
    "alter table marts.fct_segment_membership_history__new rename",
    # The history is the new one; what was evaluated is not written down yet.
    "create table runs.evaluations__new",
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """The sample, as raw data of one's own, of which half of the events came."""
    return sample_in_two(tmp_path_factory.mktemp("raw"))


def run_until(engine: Engine, moment: str, env: dict[str, str]) -> None:
    """Runs dbt, and kills it and the driver when it is about to ask for `moment`."""
    running = subprocess.Popen(
        [program("dbt"), "--no-use-colors", "--log-level", "debug", "run", "--target", engine.name], cwd=PROJECT,
        env=engine.env | env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert running.stdout
    for line in running.stdout:
        if moment in line:
            os.kill(running.pid, signal.SIGKILL)
            engine.kill()
            break
    assert running.wait() == -signal.SIGKILL, f"it never asked for: {moment}"
    engine.start()


def test_the_run_after_a_killed_one_makes_up_for_it(new: Engines, raw):
    engines = [new("duckdb"), new("spark")]
    days = {"RAW_DATA": str(raw)}
    for engine in engines:
        engine.build(AS_OF="2024-06-25", **days)
    (raw / "second.csv").rename(raw / "events" / "second.csv")
    assert engines[1].load(**days).code == 0
    for moment in MOMENTS:
        run_until(engines[1], moment, days)
    for engine in engines:
        engine.build(**days)
    assert_equal(engines, "after runs that were killed")
    assert engines[1].rows("select count(distinct as_of_date) from runs.evaluations") == [(5,)]
    left = [name for _, name, _ in engines[1].rows("show tables in marts") if "__" in name]
    left += [name for _, name, _ in engines[1].rows("show tables in runs") if "__" in name]
    assert left == []
