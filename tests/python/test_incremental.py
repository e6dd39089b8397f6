"""Whatever arrives, in whatever batches and order: what is built batch by batch is what is built once from everything,
cell by cell. The SQL is the project's own, as dbt compiles it for a warehouse that was built before.

The examples are the same on every run; HYPOTHESIS_PROFILE=explore tries others, and more of them.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import hypothesis
import pytest
from compiled_project import MODELS, CompiledProject, Growing
from hypothesis import strategies as st
from raw_folder import EVENT, TAXONOMY_CSV, put, put_rows
from reference import Raw, Row
from test_metrics_reference import ZONES, inputs, profile

USABLE = {
    "users": {"user_id": "somebody"},
    "aliases": {"previous_id": "nobody", "user_id": "somebody"},
    "feedback": {"feedback_id": "f", "user_id": "somebody", "kind": "csat", "score": "1", "submitted_at": "2024-01-01"},
    "exchange_rates": {"currency": "SEK", "day": "2024-01-01", "rate": "0.1"},
}
COLUMNS = {
    "events": (
        "event_id", "event_name", "event_at", "received_at", "user_id", "anonymous_id", "device_type", "country",
        "language", "channel", "revenue", "currency",
    ),
    "users": ("user_id", "updated_at", "plan", "country", "language", "channel"),
    "aliases": ("previous_id", "user_id", "aliased_at"),
    "feedback": ("feedback_id", "user_id", "kind", "score", "submitted_at"),
    "exchange_rates": ("currency", "day", "rate"),
    "event_taxonomy": ("event_name", "event_type", "is_activity"),
}  # fmt: skip


# The marts that are functions of the data alone; the others are made of the history, or of what arrived.
MARTS = (
    "dim_users",
    "fct_segment_membership",
    "fct_segment_overlap",
    "fct_segment_profile",
    # What fct_retention counts, before it looks at the history. With it comes int_key_events, of which are funnels.
    "int_retention_periods",
)


@pytest.fixture(scope="module")
def compiled(dbt, clean_env) -> CompiledProject:
    """The project's SQL, ready to run in any time zone."""
    return CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]), (*MODELS, *MARTS))


def write(file: Path, table: str, rows: list[Row]) -> None:
    """Writes the rows of a table as a CSV file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as written:
        writer = csv.DictWriter(written, COLUMNS[table], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


class Inbox:
    """A folder in which files of events arrive, and the other tables grow."""

    def __init__(self, folder: Path, raw: Raw) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.raw, self.taxonomy = folder / "raw", raw, folder / "taxonomy.csv"
        self.folder.mkdir(parents=True)
        write(self.taxonomy, "event_taxonomy", raw.event_taxonomy)

    def put(self, name: str, rows: list[Row]) -> None:
        """A file of events, new or in place of one of that name."""
        write(self.folder / "events" / f"{name}.csv", "events", rows)

    def say(self, part: float) -> None:
        """The first part of the rows of the other tables, and one that can be used, as an input must have."""
        for table, usable in USABLE.items():
            rows = getattr(self.raw, table)
            write(self.folder / f"{table}.csv", table, [usable, *rows[: round(part * len(rows))]])


@st.composite
def arrivals(draw: Callable, zone: str) -> tuple[Raw, list[date], list[list[Row]]]:
    """The rows of all tables, the as-of dates, and the events in the batches in which they arrive. Each has one that
    can be used, as an input must."""
    raw, as_of_dates = draw(inputs(zone))
    usable = {"event_name": "view", "event_at": f"{as_of_dates[-1]} 12:00:00", "user_id": "somebody"}
    batches: list[list[Row]] = [[usable | {"event_id": f"batch {number}"}] for number in range(draw(st.integers(2, 4)))]
    for row in raw.events:
        draw(st.sampled_from(batches)).append(row)
    return raw, as_of_dates, batches


def check_equal(grown: Growing, compiled: CompiledProject, inbox: Inbox, zone: str, dates: list, built: Path) -> None:
    """Asserts that what grew is what one run makes of all the files that are there."""
    at_once = compiled.growing(zone, built)
    at_once.arrive(inbox.folder, inbox.taxonomy, zone, dates)
    found, expected = grown.contents(), at_once.contents()
    at_once.connection.close()
    assert all(expected[name] for name in ("int_user_metrics", *MARTS))
    for name, rows in expected.items():
        assert (name, set(found[name]) - set(rows), set(rows) - set(found[name])) == (name, set(), set())
        assert len(found[name]) == len(rows)


@pytest.mark.parametrize("zone", ZONES)
def test_batch_by_batch_is_all_at_once(compiled, built_sample, tmp_path, zone):
    # Not shrunk: an example takes a second, and a hundred of them the patience of whoever waits.
    @hypothesis.settings(profile, max_examples=max(8, profile.max_examples // 3), phases=[hypothesis.Phase.generate])
    @hypothesis.given(arrivals(zone), st.randoms(use_true_random=False))
    def agree(made_up, chance) -> None:
        raw, as_of_dates, batches = made_up
        inbox = Inbox(tmp_path / "inbox", raw)
        grown = compiled.growing(zone, built_sample)
        stored = sum(node["config"]["materialized"] == "incremental" for node in grown.models)
        order = chance.sample(range(len(batches)), len(batches))
        for number, batch in enumerate(order):
            inbox.say(number / len(batches))
            inbox.put(f"{batch}", batches[batch])
            # As-of dates come and go, as they do from day to day and in a backfill.
            dates = chance.sample(as_of_dates, chance.randint(1, len(as_of_dates)))
            if chance.random() < 0.3:
                # A run that dies after some of its models.
                grown.arrive(inbox.folder, inbox.taxonomy, zone, dates, until=chance.randrange(stored))
            grown.arrive(inbox.folder, inbox.taxonomy, zone, dates)
            if chance.random() < 0.3:
                grown.arrive(inbox.folder, inbox.taxonomy, zone, dates)
            if chance.random() < 0.3:
                inbox.put(f"{batch} again", batches[batch])
        inbox.say(1)
        grown.arrive(inbox.folder, inbox.taxonomy, zone, as_of_dates)
        check_equal(grown, compiled, inbox, zone, as_of_dates, built_sample)
        # A file is replaced by another one, and one is taken away.
        inbox.put("0", batches[-1])
        (inbox.folder / "events" / "1.csv").unlink()
        grown.arrive(inbox.folder, inbox.taxonomy, zone, as_of_dates)
        check_equal(grown, compiled, inbox, zone, as_of_dates, built_sample)
        grown.connection.close()

    agree()


def spoil(file: Path) -> None:
    """Makes every value of a Parquet file unreadable; what the file says of itself, its size and time stay."""
    pages = duckdb.execute(
        "select coalesce(dictionary_page_offset, data_page_offset), total_compressed_size "
        f"from parquet_metadata('{file}')"
    ).fetchall()
    before = file.stat()
    with file.open("r+b") as damaged:
        for offset, size in pages:
            damaged.seek(offset)
            damaged.write(b"\xff" * size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_of_the_events_only_files_of_changed_days_are_read(compiled, built_sample, folder, tmp_path):
    taxonomy = put(tmp_path / "taxonomy.csv", TAXONOMY_CSV)
    traits = {"anonymous_id": "d", "country": "DE", "language": "de", "channel": "ads", "device_type": "mobile"}
    for number in range(1, 31):
        day = traits | {"event_at": f"2024-05-{number:02} 10:00:00", "user_id": f"u{number}"}
        rows = [EVENT | day | {"event_id": f"{number}.{event}"} for event in range(100)]
        put_rows(folder / "events" / f"{number:02}.parquet", rows)
    grown = compiled.growing("UTC", built_sample)
    grown.arrive(folder, taxonomy, "UTC", [date(2024, 5, 30)])
    # All but the days around the 10th, and the file in which the plugin looks for an event that can be used.
    for number in {*range(2, 31)} - {*range(8, 13)}:
        spoil(folder / "events" / f"{number:02}.parquet")
    with pytest.raises(duckdb.Error):
        grown.rows("select max(user_id) from raw.events")
    late = EVENT | traits | {"event_id": "late", "event_at": "2024-05-10 11:00:00", "user_id": "u99"}
    put_rows(folder / "events" / "late.parquet", [late])
    grown.arrive(folder, taxonomy, "UTC", [date(2024, 5, 30)])
    assert set(grown.metrics(date(2024, 5, 30))) == {*(f"u{number}" for number in range(1, 31)), "u99"}
    assert grown.rows("select sum(all_events) from intermediate.int_half_hours") == [(3001,)]
