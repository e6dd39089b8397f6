"""Events are kept for as many days as asked: raw tables hold no others, and what was counted of earlier days stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest
import raw_retention
from compiled_project import CompiledProject
from raw_files import show_raw_tables
from raw_tables import BadInput, find_inputs
from raw_folder import TAXONOMY_CSV, put, put_rows


def event(id: str, user: str | None, day: str, **more: str) -> dict:
    return {"event_id": id, "event_name": "viewed", "event_at": f"{day} 10:00:00", "user_id": user,
            "anonymous_id": "d-" + (user or "?"), "received_at": f"{day} 10:00:01"} | more  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> Path:
    put(tmp_path / "taxonomy.csv", TAXONOMY_CSV)
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture
def conn() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def show(conn, folder: Path, retention: int | None) -> list[str]:
    """The ids of the events that are shown."""
    show_raw_tables(conn, find_inputs(folder, folder.parent / "taxonomy.csv"), retention=retention)
    return sorted(id or "-" for (id,) in conn.execute("select event_id from raw.events").fetchall())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_only_the_newest_days_are_shown_and_a_closed_day_stays_closed(folder, conn, ending):
    put_rows(folder / "events" / f"1.{ending}", [event(str(day), "u", f"2024-01-0{day}") for day in range(1, 6)])
    assert show(conn, folder, None) == ["1", "2", "3", "4", "5"]
    assert show(conn, folder, 2) == ["4", "5"]
    put_rows(folder / "events" / f"2.{ending}", [event("6", "u", "2024-01-06"), event("late", "u", "2024-01-04")])
    assert show(conn, folder, 2) == ["5", "6"]
    # More days asked for, or all: what is gone is gone.
    put_rows(folder / "events" / f"3.{ending}", [event("very late", "u", "2024-01-02")])
    assert show(conn, folder, 5) == ["5", "6"]
    assert show(conn, folder, None) == ["5", "6"]
    days = conn.execute("select distinct event_date from raw.event_days order by 1").fetchall()
    assert days == [(date(2024, 1, 5),), (date(2024, 1, 6),)]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("received_on", ["2024-01-05", "2099-01-01"])
def test_a_clock_that_runs_ahead_closes_no_day(folder, conn, ending, received_on):
    wrong = event("ahead", "u", "2099-01-01", received_at=f"{received_on} 10:00:00")
    put_rows(folder / "events" / f"1.{ending}", [event("4", "u", "2024-01-04"), event("5", "u", "2024-01-05"), wrong])
    assert show(conn, folder, 2) == ["4", "5", "ahead"]


def test_a_rejected_row_goes_by_the_time_of_its_receipt(folder, conn):
    odd = [
        event("old", "u", "2024-01-01", event_at="yesterday", received_at="2024-01-01 10:00:00"),
        event("new", "u", "2024-01-01", event_at="yesterday", received_at="2024-01-05 10:00:00"),
    ]
    put_rows(folder / "events.csv", [event("5", "u", "2024-01-05"), *odd])
    assert show(conn, folder, 1) == ["5", "new"]


@pytest.mark.parametrize("asked", ["0", "-1", "a week", True, 1.5])
def test_what_is_no_number_of_days_is_refused(asked):
    with pytest.raises(BadInput, match="event_retention_days"):
        raw_retention.days_to_keep(asked)


@pytest.fixture(scope="module")
def compiled(dbt, clean_env) -> CompiledProject:
    return CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]))


def test_what_was_counted_of_closed_days_stays(compiled, built_sample, folder):
    dates = [date(2024, 1, 8)]

    def day(number: int) -> list[dict]:
        rows = [event(f"{number}", "u", f"2024-01-0{number}"), event(f"v{number}", None, f"2024-01-0{number}")]
        return [*rows, rows[0]]

    kept, short = compiled.growing("UTC", built_sample), compiled.growing("UTC", built_sample)
    for number in range(1, 9):
        put_rows(folder / "events" / f"{number}.csv", day(number))
        for warehouse, days in ((kept, None), (short, 3)):
            warehouse.arrive(folder, folder.parent / "taxonomy.csv", "UTC", dates, retention=days)
    files = {number: str(folder / "events" / f"{number}.csv") for number in range(1, 9)}
    expected = kept.contents()
    found = short.contents()
    for name in expected:
        if name == "int_first_deliveries":
            assert {row for row in found[name]} == {
                row
                for row in expected[name]
                if date(2024, 1, 6) in row or date(2024, 1, 7) in row or date(2024, 1, 8) in row
            }
        elif name == "stg_generic__event_counts":
            # What the files hold that is kept: nothing of closed days.
            rows = {(file, count) for file, check, count in found[name] if check == "raw rows"}
            assert rows == {(file, 0 if number < 6 else 3) for number, file in files.items()}
        else:
            assert found[name] == expected[name], name
    # Nor does it matter that the files of closed days go.
    for number in range(1, 6):
        (folder / "events" / f"{number}.csv").unlink()
    short.arrive(folder, folder.parent / "taxonomy.csv", "UTC", dates, retention=3)
    gone = {files[number] for number in range(1, 6)}
    for name, rows in short.contents().items():
        assert rows == [row for row in found[name] if gone.isdisjoint(row)], name
    # In one go within the retention: the same half hours of the days that are open.
    at_once = compiled.growing("UTC", built_sample)
    at_once.arrive(folder, folder.parent / "taxonomy.csv", "UTC", dates, retention=3)
    open_days = "select * from intermediate.int_half_hours where event_date >= date '2024-01-06' order by all"
    assert at_once.rows(open_days) == short.rows(open_days)
    # A late event of a closed day is not taken, one of an open day is.
    put_rows(folder / "events" / "late.csv", [event("late", "u", "2024-01-02"), event("late too", "u", "2024-01-07")])
    short.arrive(folder, folder.parent / "taxonomy.csv", "UTC", dates, retention=3)
    counted = dict(
        short.rows("select event_date::varchar, sum(all_events) from intermediate.int_half_hours group by 1")
    )
    assert (counted["2024-01-02"], counted["2024-01-07"]) == (2, 3)


def test_what_is_made_of_kept_rows_is_built_anew_when_its_sql_changes(dbt, built_sample, tmp_path):
    warehouse = tmp_path / built_sample.name
    shutil.copyfile(built_sample, warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("update runs.stored_model_versions set version = 'an older one'")
        connection.execute("update intermediate.int_user_totals set sessions_lifetime = -1")
        connection.execute("update intermediate.int_half_hours set errors = -1")
    ran = dbt("run", "--vars", '{"event_retention_days": 3650}', env={"WAREHOUSE": warehouse})
    assert ran.code == 0, ran.output
    # Its rows may be all that is left of closed days; what is counted from them is not.
    assert ran.rows("select distinct errors from intermediate.int_half_hours") == [(-1,)]
    assert ran.rows("select min(sessions_lifetime) >= 0 from intermediate.int_user_totals") == [(True,)]
