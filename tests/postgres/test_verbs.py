"""The make verbs with TARGET=postgres: what they print and write is what they do on DuckDB.

The tests of this module follow one another, on one warehouse of each engine: two runs, of which the second has what
came late, then a restatement, a backfill and a past day.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from engines import PROJECT, Engine, Engines, run
from raw_data import SAMPLE, sample_without_events
from server_copy import copy_table
from targets import engine_of
from verbs import assert_documented, assert_equal_marts, assert_parses_as, assert_same_past_day, keep, verb

@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """The sample as raw data of one's own: of the events two thirds, the others are beside the folder."""
    folder = tmp_path_factory.mktemp("own") / "raw"
    folder.mkdir()
    sample_without_events(folder)
    header, *lines = (SAMPLE / "events.csv").read_text("utf-8").splitlines()
    late = lines[::3]
    soon = [line for number, line in enumerate(lines) if number % 3]
    for file, part in ((folder / "events" / "soon.csv", soon), (folder.parent / "late.csv", late)):
        file.write_text("\n".join([header, *part, ""]), "utf-8")
    return folder


@pytest.fixture(scope="module")
def engines(new: Engines) -> list[Engine]:
    """An empty warehouse of each engine."""
    return [new("duckdb"), new("postgres")]


@pytest.fixture(scope="module")
def printed(engines, raw) -> dict[str, list[str]]:
    """What each engine's second run printed, after which everything is built."""
    said = {}
    for day in ("2024-06-25", "2024-06-27"):
        for engine in engines:
            if (engine.name, day) == ("duckdb", "2024-06-25"):
                # Nobody looks at what this one prints.
                engine.build(RAW_DATA=str(raw), AS_OF=day)
                continue
            ran = verb(engine, "run.py", RAW_DATA=str(raw), AS_OF=day)
            assert ran.code == 0, ran.output
            said[engine.name] = ran.output.splitlines()
        if day == "2024-06-25":
            (raw.parent / "late.csv").rename(raw / "events" / "late.csv")
    return said


@pytest.fixture(scope="module")
def database(new: Engines) -> Engine:
    """A database in which nothing was built."""
    return new("postgres")


# Runs.


def test_two_runs_with_late_data_make_the_same_marts_on_both(engines, printed):
    assert_equal_marts(engines)
    days = "select as_of_date from runs.evaluations group by as_of_date order by as_of_date"
    assert [str(day) for (day,) in engines[1].rows(days)] == ["2024-06-25", "2024-06-26", "2024-06-27"]


def test_the_summary_is_the_same(engines, printed):
    def summary(name: str) -> list[str]:
        return [line for line in printed[name] if not line.startswith(("load: ", "Built and tested", "For BI: "))]

    assert summary("postgres") == summary("duckdb")
    assert any(line.startswith("As of 2024-06-27: ") for line in summary("postgres"))
    assert any(line.startswith("lifecycle ") for line in summary("postgres"))
    place = f"{engines[1].place} on {engines[1].env['PGHOST']}"
    assert [line.partition(" s. ")[2] for line in printed["postgres"] if line.startswith("Built and tested in ")] == [
        f"Tables: schema marts in {place}"
    ]
    assert f"For BI: schema marts of {place}" in printed["postgres"]
    assert any(line.startswith("load: events: 1 of 2 files") for line in printed["postgres"])


def test_its_documentation_knows_the_columns(engines, printed):
    assert_documented(engines[1])


def test_what_was_compiled_on_postgresql_parses_as_redshift(engines, printed):
    assert_parses_as(engines[1], "redshift")


def test_nobody_else_runs_meanwhile(engines, printed, raw):
    holder = subprocess.Popen(
        [sys.executable, "-c", "import os, targets\nwith targets.engine_of(os.environ).only_run():\n print('has it', "
         "flush=True)\n input()"],
        env=engines[1].env | {"TARGET": "postgres", "PYTHONPATH": str(PROJECT / "tools")}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout and holder.stdout.readline() == "has it\n"
    for program, *arguments in (("run.py",), ("backfill.py", "restate", "--from", "2024-06-25", "--to", "2024-06-25")):
        ran = verb(engines[1], program, *arguments, RAW_DATA=str(raw))
        (line,) = ran.output.splitlines()
        assert ran.code == 1 and f"is being built by another run (process {holder.pid} on " in line
    # However it ends, the lock is free.
    holder.kill()
    holder.wait()
    ran = verb(engines[1], "backfill.py", "backfill", "--from", "2024-06-27", "--to", "2024-06-27")
    assert (ran.code, ran.output.split(": ")[1]) == (0, "nothing was missing; no day filled. For BI"), ran.output


# Past days.


def test_a_restatement_writes_the_same_history(engines, printed, raw):
    for engine in engines:
        days = ("--from", "2024-06-25", "--to", "2024-06-26")
        ran = verb(engine, "backfill.py", "restate", *days, "--set", "engagement", RAW_DATA=str(raw))
        assert ran.code == 0 and ran.output.startswith("2 days of 2024-06-25 to 2024-06-26 restated. "), ran.output
    assert_equal_marts(engines)
    noted = "select from_date, to_date, segment_set from marts.fct_restatements"
    ((first, last, segment_set),) = engines[1].rows(noted)
    assert (str(first), str(last), segment_set) == ("2024-06-25", "2024-06-26", "engagement")
    # Every view that a rebuilt table took with it is there again.
    models = [node for node in engines[0].nodes() if node["resource_type"] == "model"]
    views = {node["name"] for node in models if node["config"]["materialized"] == "view"}
    there = {name for (name,) in engines[1].rows("select viewname from pg_views")}
    assert len(views) > 50 and views - there == set()


def test_a_backfill_that_was_killed_goes_on_where_it_was(engines, printed, raw):
    env = engines[1].env | {"TARGET": "postgres", "PYTHONPATH": str(PROJECT / "tools")}
    days = ["--from", "2024-06-15", "--to", "2024-06-18"]
    kill = (
        "import os, sys, signal, backfill, history\nhistory.MOST_METRICS_ROWS = 1\nrun, done = history.Dbt.run, []\n"
        "def and_kill(self, command, *arguments):\n"
        "    result = run(self, command, *arguments)\n"
        "    done.append(command)\n"
        "    if done.count('run') == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return result\n"
        f"history.Dbt.run = and_kill\nsys.exit(backfill.main(['backfill', *{days!r}]))"
    )
    assert run([sys.executable, "-c", kill], env).code == -9
    evaluated = "select count(distinct as_of_date) from runs.evaluations where as_of_date < '2024-06-20'"
    assert engines[1].rows(evaluated) == [(2,)]
    ran = verb(engines[1], "backfill.py", "backfill", *days)
    assert ran.code == 0 and ran.output.startswith("2 days of "), ran.output
    ran = verb(engines[0], "backfill.py", "backfill", *days, RAW_DATA=str(raw))
    assert ran.code == 0 and ran.output.startswith("4 days of "), ran.output
    assert_equal_marts(engines)


def test_a_past_day_is_answered_alike_and_beside_the_warehouse(engines, printed, raw):
    history = "select * from marts.fct_segment_membership_history order by 1, 2, 3, 4"
    before = engines[1].rows(history), engines[1].rows("select count(*) from pg_class"), engines[1].rows(
        "select max(as_of_date) from marts.dim_users"
    )
    assert_same_past_day(engines, "2024-06-24", raw)
    assert before == (
        engines[1].rows(history), engines[1].rows("select count(*) from pg_class"),
        engines[1].rows("select max(as_of_date) from marts.dim_users"),
    )  # fmt: skip
    assert not (Path(engines[1].env["DBT_TARGET_PATH"]) / "as_of" / "copy").exists()


def test_a_past_day_is_not_answered_from_other_data(engines, printed, raw, tmp_path):
    (line,) = verb(engines[1], "as_of.py", "--date", "2024-06-24").output.splitlines()
    assert line.startswith(f"RAW_DATA: {SAMPLE} is not what was loaded (events, ") and "make load" in line
    for landing, words in ((tmp_path / "none.duckdb", "there is no"), (other_landing(tmp_path), "is not the one")):
        ran = verb(engines[1], "as_of.py", "--date", "2024-06-24", RAW_DATA=str(raw), LANDING=str(landing))
        (line,) = ran.output.splitlines()
        assert ran.code == 1 and line.startswith("LANDING: ") and words in line
    ran = verb(engines[1], "as_of.py", "--date", "2020-01-01", RAW_DATA=str(raw))
    assert ran.code == 1 and ran.output.startswith("DATE: 2020-01-01 is before the first event")


def other_landing(folder: Path) -> Path:
    """A landing of another database."""
    with duckdb.connect(str(folder / "other.duckdb")) as connection:
        connection.execute("create schema raw")
        connection.execute("create table raw.landing as select 'another' as landing")
    return folder / "other.duckdb"


def test_history_is_copied_cell_by_cell(database, tmp_path):
    values = (
        "(null, '', '-', 'two\nlines, \"quoted\"', cast('2024-02-29' as date), timestamp '2024-01-01 10:00:00.000001', "
        "0.1::double precision, true, 9007199254740993), (1, null, '+', '😀', null, null, null, null, null)"
    )
    names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create schema odd")
        cursor.execute("create table odd.empty (a date)")
        cursor.execute(f"create table odd.kept as select * from (values {values}) as odd ({', '.join(names)})")
    postgres = engine_of(database.env | {"TARGET": "postgres"})
    with duckdb.connect() as copy, postgres.snapshot() as server:
        for _ in range(2):
            # What was there before is replaced.
            copy_table(copy, server, postgres, "odd.kept", tmp_path)
        copied = copy.execute("select * from odd.kept order by a nulls first").fetchall()
        copy_table(copy, server, postgres, "odd.absent", tmp_path)
        copy_table(copy, server, postgres, "odd.empty", tmp_path)
        assert copy.execute("select * from odd.empty").fetchall() == []
    assert copied == database.rows("select * from odd.kept order by a nulls first")
    assert [type(value) for value in copied[0][4:]] == [date, datetime, float, bool, int]
    assert not list(tmp_path.iterdir())


# What is said.


@pytest.mark.parametrize(
    "words", [("run.py",), ("backfill.py", "backfill", "--from", "2024-01-01", "--to", "2024-01-01"),
              ("as_of.py", "--date", "2024-01-01")],
)  # fmt: skip
def test_a_server_that_is_not_there_is_one_line(engines, tmp_path, words):
    ran = verb(engines[1], *words, PGHOST=str(tmp_path))
    (line,) = ran.output.splitlines()
    assert ran.code == 1 and "PostgreSQL: connection to server" in line


def test_a_database_without_a_history_is_one_line(new):
    empty = new("postgres")
    for words in (
        ("backfill.py", "backfill", "--from", "2024-01-01", "--to", "2024-01-01"), ("as_of.py", "--date", "2024-01-01"),
    ):  # fmt: skip
        ran = verb(empty, *words)
        (line,) = ran.output.splitlines()
        assert ran.code == 1 and line.startswith(f"PGDATABASE: {empty.place} on ")
        assert line.endswith("has no history yet; make run begins it")


def test_input_that_cannot_be_used_is_one_line_and_builds_nothing(new, tmp_path):
    empty = new("postgres")
    ran = verb(empty, "run.py", RAW_DATA=str(tmp_path / "none"))
    assert (ran.code, ran.output.splitlines()[0].partition("; ")[0]) == (
        1, f"RAW_DATA: there is no folder {tmp_path / 'none'}"
    )  # fmt: skip
    assert len(ran.output.splitlines()) == 1
    assert empty.rows("select count(*) from pg_namespace where nspname in ('staging', 'marts')") == [(0,)]


# The rows of failing tests.


def test_the_rows_of_failing_tests_are_kept_as_long_as_they_fail(database, tmp_path):
    rows = "select number as user_id from generate_series(1, {}) as number"
    said = keep(database, tmp_path, few=("fail", rows.format(1000), 1000), many=("warn", rows.format(1001), 1001))
    assert said == {"few": "see test_failures.few", "many": "1,000 of them in test_failures.many"}
    for table in ("few", "many"):
        assert database.rows(f"select count(*), max(user_id) from test_failures.{table}") == [(1000, 1000)]
    said = keep(database, tmp_path, few=("fail", rows.format(3), 3), many=("skipped", "", 0))
    assert said == {"few": "see test_failures.few"}
    assert database.rows("select count(*) from test_failures.few") == [(3,)]
    assert database.rows("select count(*) from test_failures.many") == [(1000,)]
    assert keep(database, tmp_path, few=("pass", "", 0), many=("pass", "", 0)) == {}
    assert database.rows("select count(*) from pg_namespace where nspname = 'test_failures'") == [(0,)]


def test_rows_that_cannot_be_kept_are_said_without_what_is_in_them(database, tmp_path):
    said = keep(database, tmp_path, bad=("fail", "select cast('a secret' as integer)", 1))
    assert said == {"bad": 'not stored: PostgreSQL: invalid input syntax for type integer: "..."'}
