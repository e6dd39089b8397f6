"""The same events on DuckDB and on a Spark cluster: every mart is equal, cell by cell, after a full build and after
each of three runs with what came late; and these runs read the folders of changed days of the events, and no others.

The events of the sample arrive in four batches, by the time at which they were received; of the first batch one in
fifty is held back, and comes with the third.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from engines import Engine, Engines
from equality import assert_equal
from raw_data import batches, sample_without_events

# What reads raw events in a run that is not the first.
READERS = (
    "int_half_hours", "int_interest_days", "int_key_events", "int_first_deliveries", "int_identities",
    "int_event_traits",
)  # fmt: skip
SCAN = re.compile(r"^\(\d+\) Scan parquet spark_catalog\.raw\.events\b.*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """A folder of raw data without events."""
    return sample_without_events(tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="module")
def built(new: Engines, raw, tmp_path_factory) -> tuple[list[Engine], dict[int, str]]:
    """A warehouse of each engine after all batches, and what was not equal after each."""
    engines = [new("duckdb"), new("spark")]
    unequal = {}
    for number, file in enumerate(batches(tmp_path_factory.mktemp("batches")), start=1):
        (raw / "events" / file.name).write_bytes(file.read_bytes())
        for engine in engines:
            engine.build(RAW_DATA=str(raw))
        try:
            assert_equal(engines, f"after batch {number}")
        except AssertionError as error:
            unequal[number] = str(error)
    return engines, unequal


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_marts_are_equal_after_each_run(built, batch):
    assert batch not in built[1], built[1][batch]


def test_every_missed_day_was_evaluated(built):
    days = "select count(distinct as_of_date), min(as_of_date) from marts.fct_segment_daily"
    ((evaluated, first),) = built[0][1].rows(days)
    # The first day of all, and each day from then to the last one.
    assert (evaluated, str(first)) == (10, "2024-06-20")


@pytest.mark.parametrize("model", READERS)
def test_a_later_run_reads_the_folders_of_changed_days_alone(built, model):
    engine = built[0][1]
    folder = Path(engine.env["DBT_TARGET_PATH"], "compiled", "user_segments", "models", "intermediate")
    sql = (folder / f"{model}.sql").read_text("utf-8")
    # What is there already is not looked for again in the plan: the table itself has changed since.
    ((plan,),) = engine.rows(f"explain formatted {sql}")
    scans = SCAN.findall(plan)
    assert scans, plan
    for scan in scans:
        filters = re.search(r"PartitionFilters: \[(.*)\]", scan)
        assert filters and re.search(r"event_day#\d+ (?:IN|INSET|=) ", filters.group(1)), scan
    ((folders,),) = engine.rows("select count(distinct event_day) from raw.events")
    read = set(re.findall(r"date '(\d{4}-\d\d-\d\d)'", sql))
    assert len(read) < folders / 4
