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
    # What fct_segment_membership, a view, shows.
    "int_latest_user_segments",
    "fct_segment_overlap",
    "fct_segment_profile",
    # What fct_retention counts, before it looks at the history. With it comes int_key_events, of which are funnels.
    "int_retention_periods",
)


@pytest.fixture(scope="module")
def compiled(dbt, clean_env) -> CompiledProject:
    """The project's SQL, ready to run in any time zone. Attempts at funnels are stored, too; there may be none."""
    return CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]), (*MODELS, *MARTS, "int_funnel_attempts"))


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
    # Not shrunk: an example takes ten seconds, and a hundred of them the patience of whoever waits.
    @hypothesis.settings(profile, max_examples=max(8, profile.max_examples // 4), phases=[hypothesis.Phase.generate])
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
                grown.arrive(inbox.folder, inbox.taxonomy, zone, dates, until=chance.randrange(stored), ends=False)
            grown.arrive(inbox.folder, inbox.taxonomy, zone, dates, ends=False)
            if chance.random() < 0.3:
                grown.arrive(inbox.folder, inbox.taxonomy, zone, dates, ends=False)
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


FUNNEL = ["funnel", "step", "event", "window_seconds"]


def test_attempts_at_funnels_follow_events_that_come_late_devices_that_are_identified_and_what_is_asked(
    compiled, built_sample, folder, tmp_path
):
    """Of u1 an event comes late, device d turns out to be u2's, u3 stays as they are, u4's event is taken back."""
    taxonomy = put(tmp_path / "taxonomy.csv", TAXONOMY_CSV)
    funnels = tmp_path / "funnels.csv"

    def ask(*steps: tuple[str, int]) -> None:
        lines = [",".join(FUNNEL), *(f"f,{number},{event},{window}" for number, (event, window) in enumerate(steps, 1))]
        put(funnels, "\n".join(lines) + "\n")

    def at(time: str, event_id: str, **who: str) -> Row:
        return EVENT | {"user_id": None, "event_id": event_id, "event_at": f"2024-05-{time}"} | who

    def attempts(*days: int) -> dict[str, int]:
        """The deepest step of each person, by one run for these days of May."""
        dates = [date(2024, 5, day) for day in days]
        grown.arrive(folder, taxonomy, "UTC", dates, asked={"funnels": funnels})
        at_once = compiled.growing("UTC", built_sample)
        at_once.arrive(folder, taxonomy, "UTC", dates, asked={"funnels": funnels})
        assert grown.contents()["int_funnel_attempts"] == at_once.contents()["int_funnel_attempts"]
        at_once.connection.close()
        return dict(
            grown.rows(
                "select user_id, max(step) from intermediate.int_funnel_attempts as attempts inner join "
                "(select distinct person_key, user_id from intermediate.int_people) as people "
                "on attempts.person_key = people.person_key group by user_id"
            )
        )

    ask((EVENT["event_name"], 3600), (EVENT["event_name"], 3600))
    rows = [
        at("01 10:00:00", "1", user_id="u1"),
        at("01 10:00:00", "2", anonymous_id="d"),
        at("01 10:00:00", "3", user_id="u3"),
        at("01 11:00:00", "4", user_id="u3"),
    ]
    put_rows(folder / "events" / "1.csv", rows)
    put_rows(folder / "events" / "2.csv", [at("01 10:30:00", "5", user_id="u4"), at("01 10:30:01", "6", user_id="u4")])
    grown = compiled.growing("UTC", built_sample)
    assert attempts(1) == {"u1": 1, "anon:d": 1, "u3": 2, "u4": 2}
    late = [at("01 10:59:00", "7", user_id="u1"), at("02 09:00:00", "8", user_id="u2", anonymous_id="d")]
    put_rows(folder / "events" / "3.csv", late)
    put_rows(folder / "events" / "2.csv", [at("01 10:30:00", "5", user_id="u4")])
    assert attempts(1, 2) == {"u1": 2, "u2": 1, "u3": 2, "u4": 1}
    # The day before: the device is nobody's, and what it did is its own.
    assert attempts(1) == {"u1": 2, "anon:d": 1, "u3": 2, "u4": 1}
    # An hour is no longer in time for u3, and 23 hours are for u2.
    ask((EVENT["event_name"], 3599), (EVENT["event_name"], 3599))
    assert attempts(2) == {"u1": 2, "u2": 1, "u3": 1, "u4": 1}
    ask((EVENT["event_name"], 82800), (EVENT["event_name"], 82800))
    assert attempts(2) == {"u1": 2, "u2": 2, "u3": 2, "u4": 1}
    ask(("nothing", 60))
    assert attempts(2) == {}
    grown.connection.close()


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
