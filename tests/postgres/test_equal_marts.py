"""The same events on DuckDB and on PostgreSQL: every mart is equal, cell by cell, after a full build and after each of
three runs with what came late, and so are the numbers of people who were moved; also in a project with days of another
zone that does not keep events for ever.

The events of the sample arrive in four batches, by the time at which they were received; of the first batch one in
fifty is held back, and comes with the third.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from engines import Engine, Engines
from equality import assert_equal
from raw_data import ELSEWHERE, batches, sample_without_events


@pytest.fixture
def raw(tmp_path_factory) -> Path:
    """A folder of raw data without events."""
    return sample_without_events(tmp_path_factory.mktemp("raw"))


@pytest.fixture
def engines(new: Engines) -> list[Engine]:
    """An empty warehouse of each engine."""
    return [new("duckdb"), new("postgres")]


@pytest.mark.parametrize("project", [(), ELSEWHERE], ids=["as it comes", "elsewhere"])
def test_marts_are_equal_after_every_run(engines, raw, tmp_path, project):
    for number, file in enumerate(batches(tmp_path)):
        (raw / "events" / file.name).write_bytes(file.read_bytes())
        for engine in engines:
            engine.build(project=project, RAW_DATA=str(raw))
        assert_equal(engines, f"after batch {number + 1}")
    days = "select count(distinct as_of_date), min(as_of_date) from marts.fct_segment_daily"
    ((evaluated, first),) = engines[1].rows(days)
    # The first day of all, and each day from then to the last one.
    assert (evaluated, str(first)) == (10, "2024-06-20")
