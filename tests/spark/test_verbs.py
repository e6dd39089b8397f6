"""The make verbs with TARGET=spark: what they print and write is what they do on DuckDB.

The tests of this module follow one another, on one warehouse of each engine with a thousand events: a run, a backfill,
a restatement and a past day.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from engines import PROJECT, Engine, Engines, clean_env, run
from raw_data import SAMPLE, sample_without_events
from server_copy import copy_table
from targets import SparkError, engine_of
from verbs import assert_documented, assert_equal_marts, assert_parses_as, assert_same_past_day, keep, verb


def python(program: str, env: dict[str, str]) -> subprocess.Popen[str]:
    """Starts a program of a few lines that may import what is in tools/."""
    return subprocess.Popen(
        [sys.executable, "-c", program], env=env | {"PYTHONPATH": str(PROJECT / "tools")}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """The sample as raw data of one's own, with one event of twenty."""
    folder = sample_without_events(tmp_path_factory.mktemp("raw"))
    header, *lines = (SAMPLE / "events.csv").read_text("utf-8").splitlines()
    (folder / "events" / "few.csv").write_text("\n".join([header, *lines[::20], ""]), "utf-8")
    return folder


@pytest.fixture(scope="module")
def engines(new: Engines) -> list[Engine]:
    """An empty warehouse of each engine."""
    return [new("duckdb"), new("spark")]


@pytest.fixture(scope="module")
def printed(engines, raw) -> dict[str, list[str]]:
    """What the first run of each engine printed."""
    said = {}
    for engine in engines:
        ran = verb(engine, "run.py", RAW_DATA=str(raw), AS_OF="2024-06-29")
        assert ran.code == 0, ran.output
        said[engine.name] = ran.output.splitlines()
    return said


# Without a run.


def test_the_sample_and_events_of_ones_own_do_not_share_a_warehouse(engines, raw, tmp_path):
    env = engines[1].env | {
        "TARGET": "spark", "SPARK_RAW": str(tmp_path / "raw"), "LANDING": str(tmp_path / "landing.duckdb"),
    }  # fmt: skip
    command = [sys.executable, str(PROJECT / "tools" / "load.py")]
    assert run(command, env).code == 0
    ended = run(command, env | {"RAW_DATA": str(raw)})
    said = f"{tmp_path / 'raw'} holds the sample and its history; name another SPARK_RAW for events of your own"
    assert (ended.code, ended.output) == (1, f"load: RAW_DATA: {said}\n")


@pytest.mark.parametrize(
    "words", [("run.py",), ("backfill.py", "backfill", "--from", "2024-01-01", "--to", "2024-01-01"),
              ("as_of.py", "--date", "2024-01-01")],
)  # fmt: skip
def test_a_server_that_is_not_there_is_one_line(engines, words):
    ran = verb(engines[1], *words, SPARK_REMOTE="sc://127.0.0.1:1/;token=secret")
    (line,) = ran.output.splitlines()
    said = "SPARK_REMOTE: no Spark Connect server answers at sc://127.0.0.1:1: "
    assert ran.code == 1 and said in line and "secret" not in line


def test_a_warehouse_without_a_history_is_one_line(engines):
    for words in (
        ("backfill.py", "backfill", "--from", "2024-01-01", "--to", "2024-01-01"), ("as_of.py", "--date", "2024-01-01"),
    ):  # fmt: skip
        ran = verb(engines[1], *words)
        (line,) = ran.output.splitlines()
        place = f"{engines[1].place} ({engines[1].env['SPARK_REMOTE']})"
        assert (ran.code, line) == (1, f"SPARK_WAREHOUSE: {place} has no history yet; make run begins it")


def test_input_that_cannot_be_used_is_one_line_and_builds_nothing(engines, tmp_path):
    ran = verb(engines[1], "run.py", RAW_DATA=str(tmp_path / "none"))
    (line,) = ran.output.splitlines()
    assert ran.code == 1 and line.startswith(f"RAW_DATA: there is no folder {tmp_path / 'none'}; ")
    assert engines[1].rows("show schemas") == [("default",)]


def test_nobody_else_runs_meanwhile(engines, raw):
    holder = python(
        "import os, targets\nwith targets.engine_of(os.environ).only_run():\n print('has it', flush=True)\n input()",
        engines[1].env | {"TARGET": "spark"},
    )
    assert holder.stdout and holder.stdout.readline() == "has it\n"
    for program, *arguments in (("run.py",), ("backfill.py", "restate", "--from", "2024-06-25", "--to", "2024-06-25")):
        ran = verb(engines[1], program, *arguments, RAW_DATA=str(raw))
        (line,) = ran.output.splitlines()
        said = f"SPARK_WAREHOUSE: {engines[1].place} is being built by another run (process {holder.pid} on "
        assert ran.code == 1 and line.startswith(said)
    # However it ends, the lock is free: see the runs that follow.
    holder.kill()
    holder.wait()


def test_history_is_copied_cell_by_cell(engines, tmp_path):
    names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
    values = (
        "(cast(null as int), '', '-', 'two\\nlines, \"quoted\"', date '2024-02-29', "
        "timestamp '2024-01-01 10:00:00.000001', double(0.1), true, 9007199254740993), "
        "(1, null, '+', '😀', null, null, null, null, null)"
    )
    spark = engine_of(engines[1].env | {"TARGET": "spark"})
    with duckdb.connect() as copy, spark.connect(read_only=False) as server:
        server.execute("create schema odd")
        server.execute("create table odd.empty (a date)")
        server.execute(f"create table odd.kept as select * from (values {values}) as odd ({', '.join(names)})")
        for _ in range(2):
            # What was there before is replaced.
            copy_table(copy, server, spark, "odd.kept", tmp_path)
        copied = copy.execute("select * from odd.kept order by a nulls first").fetchall()
        kept = server.execute("select * from odd.kept order by a nulls first").fetchall()
        copy_table(copy, server, spark, "odd.absent", tmp_path)
        copy_table(copy, server, spark, "odd.empty", tmp_path)
        assert copy.execute("select * from odd.empty").fetchall() == []
        server.execute("drop schema odd cascade")
    assert copied == kept and [type(value) for value in copied[0][4:]] == [date, datetime, float, bool, int]
    assert not list(tmp_path.iterdir())


def test_what_spark_says_is_one_line_without_values(engines):
    spark = engine_of(engines[1].env | {"TARGET": "spark"})
    said = {}
    with spark.connect() as session:
        for sql in (
            "select map('a secret', 1, 'a secret', 2)", "select 'it''s a secret' from nowhere.at_all",
            "select 'a secret' 'and' more 'secret'",
        ):  # fmt: skip
            with pytest.raises(SparkError) as caught:
                session.execute(sql).fetchall()
            said[sql] = spark.said(caught.value, "it")
            assert isinstance(caught.value, spark.not_there) == ("nowhere" in sql)
    assert all(line.startswith("Spark: [") and "secret" not in line for line in said.values()), said
    assert not any("\n" in line for line in said.values())
    short = spark.said(SparkError("[INTERNAL] java.lang.OutOfMemoryError: Java heap space"), "table x")
    assert short.startswith("memory: Spark has too little for table x: ")


# The rows of failing tests.


def test_the_rows_of_failing_tests_are_kept_as_long_as_they_fail(engines, tmp_path):
    spark = engines[1]

    def stored(name: str) -> list[tuple]:
        return spark.rows(f"select count(*) from test_failures.{name}")

    rows = "select id as user_id from range(1, {})"
    said = keep(spark, tmp_path, few=("fail", rows.format(1001), 1000), many=("warn", rows.format(1002), 1001))
    assert said == {"few": "see test_failures.few", "many": "1,000 of them in test_failures.many"}
    assert stored("few") == stored("many") == [(1000,)]
    said = keep(spark, tmp_path, few=("fail", rows.format(4), 3), many=("skipped", "", 0))
    assert said == {"few": "see test_failures.few"}
    assert stored("few") == [(3,)] and stored("many") == [(1000,)]
    assert keep(spark, tmp_path, few=("pass", "", 0), many=("pass", "", 0)) == {}
    assert ("test_failures",) not in spark.rows("show schemas")
    assert not list(Path(spark.place).glob("test_failures.db/*"))


def test_rows_that_cannot_be_kept_are_said_without_what_is_in_them(engines, tmp_path):
    said = keep(engines[1], tmp_path, bad=("fail", "select map('a secret', 1, 'a secret', 2)", 1))
    assert said["bad"].startswith("not stored: Spark: [DUPLICATED_MAP_KEY] ") and "secret" not in said["bad"]


# Runs and past days.


def test_a_run_prints_the_same_summary_and_makes_the_same_marts(engines, printed):
    def summary(name: str) -> list[str]:
        # Several models are built at once; hours pass.
        others = ("load: ", "building ", "Built and tested", "For BI: ")
        return [line for line in printed[name] if not line.startswith(others) and "(freshness)" not in line]

    assert summary("spark") == summary("duckdb")
    assert any(line.startswith("As of 2024-06-29: ") for line in summary("spark"))
    assert any(line.startswith("lifecycle ") for line in summary("spark"))
    place = f"{engines[1].place} ({engines[1].env['SPARK_REMOTE']})"
    assert [line.partition(" s. ")[2] for line in printed["spark"] if line.startswith("Built and tested in ")] == [
        f"Tables: schema marts in {place}"
    ]
    assert f"For BI: schema marts of {place}" in printed["spark"]
    assert_equal_marts(engines)


def test_its_documentation_knows_the_columns(engines, printed):
    assert_documented(engines[1])


def test_what_was_compiled_on_spark_parses_as_databricks(engines, printed):
    assert_parses_as(engines[1], "databricks")


def test_a_backfill_and_a_restatement_write_the_same_history(engines, printed, raw):
    for engine in engines:
        days = ("--from", "2024-06-26", "--to", "2024-06-27")
        ran = verb(engine, "backfill.py", "backfill", *days, RAW_DATA=str(raw))
        assert ran.code == 0 and ran.output.startswith("2 days of 2024-06-26 to 2024-06-27 filled. "), ran.output
        # What was filled is not filled again.
        days = ("--from", "2024-06-27", "--to", "2024-06-27", "--set", "engagement")
        ran = verb(engine, "backfill.py", "restate", *days, RAW_DATA=str(raw))
        assert ran.code == 0 and ran.output.startswith("1 days of 2024-06-27 to 2024-06-27 restated. "), ran.output
    assert_equal_marts(engines)
    noted = "select from_date, to_date, segment_set from marts.fct_restatements"
    assert engines[1].rows(noted) == [(date(2024, 6, 27), date(2024, 6, 27), "engagement")]
    days = "select distinct as_of_date from marts.fct_segment_daily order by 1"
    assert [day.day for (day,) in engines[1].rows(days)] == [26, 27, 29]


def test_a_past_day_is_answered_alike_and_beside_the_warehouse(engines, printed, raw, tmp_path):
    history = "select * from marts.fct_segment_membership_history order by 1, 2, 3, 4"
    before = engines[1].rows(history)
    assert_same_past_day(engines, "2024-06-25", raw)
    assert before == engines[1].rows(history)
    ran = verb(engines[1], "as_of.py", "--date", "2024-06-25", RAW_DATA=str(raw), LANDING=str(tmp_path / "none.duckdb"))
    (line,) = ran.output.splitlines()
    assert ran.code == 1 and line.startswith("LANDING: there is no ") and "make load TARGET=spark" in line


# A driver of one's own.


def test_a_driver_that_a_verb_starts_is_open_to_its_own_programs_alone(tmp_path):
    env = clean_env("spark", tmp_path) | {
        "TARGET": "spark", "MASTER": "local[1]", "SPARK_WAREHOUSE": str(tmp_path / "warehouse"),
        "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_PARTITIONS": "1", "TZ": "UTC",
    }  # fmt: skip
    ask = (
        "import os, sys, targets\nengine = targets.engine_of(os.environ)\n"
        "try:\n"
        "    with engine.connect() as session:\n"
        "        print(session.execute('select 1 + 1').fetchall(), engine.env['SPARK_REMOTE'], flush=True)\n"
        "    input()\n"
        "except engine.errors as error:\n"
        "    print(engine.said(error, 'it'), flush=True)\n"
    )
    holder = python(ask, env)
    try:
        assert holder.stdout
        gave, _, address = holder.stdout.readline().rpartition(" ")
        assert gave == "[(2,)]" and "/;token=" in address
        own = {name: value for name, value in env.items() if name != "MASTER"} | {"SPARK_REMOTE": address.strip()}
        said = [
            python(ask, asked).communicate("\n")[0]
            for asked in (own, own | {"SPARK_REMOTE": address.partition("/;")[0]}, env)
        ]
        assert said[0].startswith("[(2,)] ")
        assert len(said[1].splitlines()) == 1 and said[1].startswith("Spark: ") and "[(2,)]" not in said[1]
        # Without a server the files of the metastore let in one driver.
        assert len(said[2].splitlines()) == 1 and said[2].startswith("SPARK_WAREHOUSE: the metastore in "), said[2]
    finally:
        holder.communicate("\n")
    # It ended its driver: the next one comes in.
    after, _ = python(ask, env).communicate("\n")
    assert after.startswith("[(2,)] "), after
