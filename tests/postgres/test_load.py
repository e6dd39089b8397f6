"""tools/load.py: what it copies again and what not, what it says, and that PostgreSQL stays as it was where it fails."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from engines import Engine, Engines
from load import PROJECT

HEADER = ["event_id", "event_name", "event_at", "user_id", "anonymous_id", "properties"]
IDS = "select event_id from raw.events order by event_id"


def write(file: Path, *rows: tuple) -> None:
    """Writes events as a CSV file."""
    file.parent.mkdir(exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as written:
        csv.writer(written).writerows([HEADER, *rows])


def event(name: str, day: str = "2024-01-01", properties: str = "") -> tuple:
    return (name, "viewed", f"{day}T10:00:00Z", "somebody", "", properties)


@pytest.fixture
def raw(tmp_path) -> Path:
    """A folder of raw data, with two files of events."""
    folder = tmp_path / "raw"
    folder.mkdir()
    write(folder / "events" / "a.csv", event("a1"), event("a2"))
    write(folder / "events" / "b.csv", event("b1", "2024-01-02"))
    return folder


@pytest.fixture(scope="module")
def engine(new: Engines) -> Engine:
    """One database for all tests of this module: each begins with other files, which is what loads are about."""
    return new("postgres")


@pytest.fixture
def load(engine, raw):
    """Loads the folder, and gives what was said; a load that fails is an error, unless it is expected."""

    def run(code: int = 0, **env: str) -> str:
        ended = engine.load(**({"RAW_DATA": str(raw)} | env))
        assert ended.code == code, ended.output
        assert "Traceback" not in ended.output
        return ended.output

    return run


def versions(engine: Engine) -> list[tuple]:
    """Where each row of events lies: another place is a row that was written again."""
    return engine.rows("select event_id, ctid from raw.events order by event_id")


def test_only_files_that_changed_are_copied(engine, raw, load):
    assert "events: 2 of 2 files, 3 rows" in load()
    first = versions(engine)
    assert [name for name, _ in first] == ["a1", "a2", "b1"]
    assert "events: 0 of 2 files, 0 rows" in load()
    assert versions(engine) == first

    write(raw / "events" / "b.csv", event("b1", "2024-01-02"), event("b2", "2024-01-03"))
    write(raw / "events" / "c.csv", event("c1"))
    assert "events: 2 of 3 files, 3 rows" in load()
    assert engine.rows(IDS) == [("a1",), ("a2",), ("b1",), ("b2",), ("c1",)]
    assert versions(engine)[:2] == first[:2]

    (raw / "events" / "a.csv").unlink()
    assert "events: 0 of 2 files, 0 rows; 1 files gone" in load()
    assert engine.rows(IDS) == [("b1",), ("b2",), ("c1",)]


def test_text_arrives_as_it_was(engine, raw, load):
    odd = ['a "b", c', "two\nlines", "\\.", "x\n\\.\ny", "\\N", "NULL", "tab\there", "😀 ä", "{}"]
    write(raw / "events" / "a.csv", *[event(f"a{place}", properties=text) for place, text in enumerate(odd)])
    load()
    found = engine.rows("select properties from raw.events where event_id like 'a%' order by event_id")
    assert [text for (text,) in found] == odd
    assert engine.rows("select count(*) from raw.events where anonymous_id is null") == [(len(odd) + 1,)]


def test_a_bad_file_leaves_everything_as_it_was(engine, raw, load):
    load()
    before = versions(engine)
    write(raw / "events" / "c.csv", event("c1"))
    (raw / "users.csv").write_text("plan\nsecret\n", "utf-8")
    said = load(1).splitlines()
    assert said[-1].startswith("load: RAW_DATA: users has no column user_id") and "secret" not in said[-1]
    assert versions(engine) == before
    (raw / "users.csv").unlink()
    load()
    assert ("c1",) in engine.rows(IDS)


def test_a_server_that_is_not_there_is_one_line(load, tmp_path):
    said = load(1, PGHOST=str(tmp_path)).splitlines()
    assert len(said) == 1 and said[0].startswith("load: PostgreSQL: ")


def test_a_lost_landing_loses_no_day(engine, raw, load):
    load()
    days = dict(engine.rows("select event_date, load_number from raw.event_days"))
    Path(engine.env["LANDING"]).unlink()
    (raw / "events" / "b.csv").unlink()
    assert "all files are read again" in load()
    assert engine.rows(IDS) == [("a1",), ("a2",)]
    again = dict(engine.rows("select event_date, load_number from raw.event_days"))
    # Each day has another number than before: that of which there is nothing any more, too.
    assert again.keys() == days.keys() and all(again[day] > days[day] for day in days)


def test_a_landing_of_another_database_is_not_taken_for_this_one(engine, new, raw, load, tmp_path):
    load()
    other = new("postgres")
    assert other.load(RAW_DATA=str(raw)).code == 0
    write(raw / "events" / "a.csv", event("a3"))
    load()
    assert engine.rows(IDS) == [("a3",), ("b1",)]
    said = load(LANDING=other.env["LANDING"])
    assert "another one" in said and engine.rows(IDS) == [("a3",), ("b1",)]


def test_the_sample_and_events_of_ones_own_do_not_share_a_database(engine, new, load, raw):
    load()
    name = engine.env["PGDATABASE"]
    said = (
        f"load: RAW_DATA: it is not set, and {name} holds events of your own; set it to their folder, or name another "
        "PGDATABASE for the sample\n"
    )
    assert load(1, RAW_DATA="") == said
    assert engine.rows("select shows_the_sample from raw.landing") == [(False,)] and len(engine.rows(IDS)) == 3
    other = new("postgres")
    assert other.load(RAW_DATA="").code == 0
    name = other.env["PGDATABASE"]
    ended = other.load(RAW_DATA=str(raw))
    said = f"load: RAW_DATA: {name} holds the sample and its history; name another PGDATABASE for events of your own\n"
    assert (ended.code, ended.output) == (1, said)
    assert other.rows("select shows_the_sample from raw.landing") == [(True,)] and len(other.rows(IDS)) > 1000


@pytest.mark.parametrize("given", ["nonsense", "[1]", "null"])
def test_variables_that_are_no_object_are_one_line(given):
    command = [sys.executable, str(PROJECT / "tools" / "load.py"), "--vars", given]
    ran = subprocess.run(command, text=True, capture_output=True)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (1, "", 1), ran.stderr
    assert ran.stderr.startswith("load: --vars is no JSON object")
