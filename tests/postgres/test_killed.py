"""A run on PostgreSQL that is killed at any of its steps: the next one makes of it what would be there without that."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from engines import PROJECT, Engine, Engines, program
from equality import differences, marts_of
from raw_data import sample_in_two

# Where a run is killed: as soon as dbt says that it begins, or has done, this.
MOMENTS = (
    "START sql incremental model intermediate.int_half_hours",
    "OK created sql incremental model intermediate.int_half_hours",
    "OK created sql incremental model intermediate.int_people",
    "START sql incremental model marts.fct_segment_membership_history",
    "OK created sql incremental model marts.fct_segment_membership_history",
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """The sample, as raw data of one's own, of which half of the events came."""
    return sample_in_two(tmp_path_factory.mktemp("raw"))


def run_until(engine: Engine, moment: str, env: dict[str, str]) -> None:
    """Runs dbt, and kills it when it says `moment`."""
    running = subprocess.Popen(
        [program("dbt"), "--no-use-colors", "run", "--target", engine.name], cwd=PROJECT, env=engine.env | env,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert running.stdout
    for line in running.stdout:
        if moment in line:
            os.kill(running.pid, signal.SIGKILL)
            break
    assert running.wait() == -signal.SIGKILL, f"it never said: {moment}"


def test_the_run_after_a_killed_one_makes_up_for_it(new: Engines, raw):
    engines = [new("postgres"), new("postgres")]
    days = {"RAW_DATA": str(raw)}
    for engine in engines:
        engine.build(AS_OF="2024-06-25", **days)
    (raw / "second.csv").rename(raw / "events" / "second.csv")
    killed, whole = engines
    for moment in MOMENTS:
        assert killed.load(**days).code == 0
        run_until(killed, moment, days)
    for engine in engines:
        engine.build(**days)
    for mart, key in marts_of(whole).items():
        assert list(differences(killed, whole, mart, key))[:5] == []
    assert killed.rows("select count(distinct as_of_date) from runs.evaluations") == [(5,)]
