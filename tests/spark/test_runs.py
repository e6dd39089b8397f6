"""The same events on DuckDB and on a Spark cluster: every mart is equal, cell by cell, after a full build with all tests
of dbt, after each of three runs with what came late, the first of them killed at several moments before, and after a
person was forgotten; and later runs read the folders of changed days of the events, and no others.

The events of the sample arrive in four batches, by the time at which they were received; of the first batch one in
fifty is held back, and comes with the third. The days are those of New York, and the events of old ones are not kept:
the verbs (test_verbs.py) run in a project as it comes.

A run on Spark takes minutes: all tests of this file share two warehouses, and each begins where the one before ended.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import duckdb
import pytest
from engines import PROJECT, Engine, Engines, program
from equality import assert_equal
from raw_data import ELSEWHERE, batches, sample_without_events

# Where a run is killed: as soon as dbt is about to ask for this; and the models that are built up to there.
HISTORY = "fct_segment_membership_history"
MOMENTS = (
    # The changed days are empty, their rows not written yet.
    ("insert into intermediate.int_half_hours", "+int_half_hours"),
    # Rows that do not hold any more are gone.
    ("insert into intermediate.int_people", "+int_people"),
    # The history is written beside, and nothing is said of it yet.
    ("create table runs.evaluations__pending", f"+{HISTORY}"),
    # The old history has gone, the new one has not its name yet. What it reads is there.
    (f"alter table marts.{HISTORY}__new rename", HISTORY),
    # The history is the new one; what was evaluated is not written down yet.
    ("create table runs.evaluations__new", HISTORY),
)
# What a driver may collect at most while models are built, to hand a small table to all workers, too. None of the large
# ones fits into it, few as the sample's events are.
MOST_COLLECTED = {"maxResultSize": "512k"}
LARGE = ("raw.events", "intermediate.int_half_hours", "intermediate.int_user_days")
# What reads raw events in a run that is not the first.
READERS = (
    "int_half_hours", "int_interest_days", "int_key_events", "int_first_deliveries", "int_identities",
    "int_event_traits", "stg_generic__event_counts",
)  # fmt: skip
# What reads the half hours, a quarter of the events: of a person who gained a device all of that device's are needed.
READERS_OF_HALF_HOURS = ("int_identities", "int_user_days")
SCAN = r"^\(\d+\) Scan parquet spark_catalog\.{}\b.*?(?=\n\n|\Z)"


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """A folder of raw data, to which batches of events are added."""
    return sample_without_events(tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="module")
def arriving(tmp_path_factory) -> list[Path]:
    """The batches, in the order of arrival."""
    return batches(tmp_path_factory.mktemp("batches"))


@pytest.fixture(scope="module")
def engines(new: Engines) -> list[Engine]:
    """An empty warehouse of each engine."""
    return [new("duckdb"), new("spark")]


def arrive(file: Path, raw: Path) -> None:
    """Puts a batch where events are looked for."""
    (raw / "events" / file.name).write_bytes(file.read_bytes())


def run_until(engine: Engine, moment: str, models: str, env: dict[str, str]) -> None:
    """Runs dbt, and kills it and the driver when it is about to ask for `moment`."""
    command = [program("dbt"), "--no-use-colors", "--log-level", "debug", "run", "--target", engine.name]
    running = subprocess.Popen(
        [*command, "--select", models, *ELSEWHERE], cwd=PROJECT, env=engine.env | env, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert running.stdout
    for line in running.stdout:
        if moment in line:
            os.kill(running.pid, signal.SIGKILL)
            engine.kill()
            break
    assert running.wait() == -signal.SIGKILL, f"it never asked for: {moment}"
    engine.start(**MOST_COLLECTED)


def everything(engine: Engine) -> str:
    """All that is in the files below the warehouse, as text. Parquet is read as such: its pages are compressed."""
    place = Path(engine.place)
    found = []
    for file in sorted(place.rglob("*")):
        if file.suffix == ".parquet" and file.is_file():
            (rows,) = duckdb.execute("select coalesce(string_agg(cast(r as varchar), ' '), '') from read_parquet(?) as r",
                                     [str(file)]).fetchone()  # fmt: skip
            found.append(rows)
        elif file.is_file() and "metastore" not in file.relative_to(place).parts:
            found.append(file.read_bytes().decode("utf-8", "replace"))
    return " ".join(found)


def collect_all_again(engine: Engine) -> None:
    """Gives the engine a driver that collects what it is asked for, as the comparison of marts needs it."""
    engine.kill()
    engine.start()


def test_a_full_build_passes_all_tests_collects_nothing_large_and_is_equal(engines, raw, arriving):
    arrive(arriving[0], raw)
    engines[1].kill()
    engines[1].start(**MOST_COLLECTED)
    for engine in engines:
        engine.build("build", project=ELSEWHERE, RAW_DATA=str(raw))
    for table in LARGE:
        with pytest.raises(Exception, match="maxResultSize"):
            engines[1].rows(f"select * from {table}")
    collect_all_again(engines[1])
    assert_equal(engines, "after the first batch")


def test_a_run_with_late_data_that_was_killed_is_made_up_for(engines, raw, arriving):
    arrive(arriving[1], raw)
    env = {"RAW_DATA": str(raw)}
    assert engines[1].load(*ELSEWHERE, **env).code == 0
    for moment, models in MOMENTS:
        run_until(engines[1], moment, models, env)
    for engine in engines:
        engine.build(project=ELSEWHERE, **env)
    collect_all_again(engines[1])
    assert_equal(engines, "after the second batch, and runs that were killed")
    left = [name for schema in ("marts", "runs") for _, name, _ in engines[1].rows(f"show tables in {schema}")]
    assert left and not [name for name in left if "__" in name]


def test_a_run_with_events_of_long_ago_is_equal(engines, raw, arriving):
    arrive(arriving[2], raw)
    for engine in engines:
        engine.build(project=ELSEWHERE, RAW_DATA=str(raw))
    assert_equal(engines, "after the third batch")


def test_a_last_run_is_equal_and_every_missed_day_was_evaluated(engines, raw, arriving):
    arrive(arriving[3], raw)
    for engine in engines:
        engine.build(project=ELSEWHERE, RAW_DATA=str(raw))
    assert_equal(engines, "after the fourth batch")
    days = "select count(distinct as_of_date), min(as_of_date) from marts.fct_segment_daily"
    ((evaluated, first),) = engines[1].rows(days)
    # The first day of all, and each day from then to the last one.
    assert (evaluated, str(first)) == (10, "2024-06-20")


def scans_of(engine: Engine, model: str, table: str) -> tuple[str, list[str]]:
    """The SQL that a model had in the last run, and by which days each of its reads of a table leaves folders out."""
    (node,) = [node for node in engine.nodes() if node["name"] == model]
    folder = Path(engine.env["DBT_TARGET_PATH"], "compiled", "user_segments")
    sql = (folder / node["original_file_path"]).read_text("utf-8")
    # What is there already is not looked for again in the plan: the table itself has changed since.
    ((plan,),) = engine.rows(f"explain formatted {sql}")
    scans = re.findall(SCAN.format(re.escape(table)), plan, re.DOTALL | re.MULTILINE)
    assert scans, plan
    filters = [re.search(r"PartitionFilters: \[(.*)\]", scan) for scan in scans]
    assert all(filters), scans
    return sql, [found.group(1) for found in filters if found]


@pytest.mark.parametrize("model", READERS)
def test_a_later_run_reads_the_folders_of_changed_days_alone(engines, model):
    engine = engines[1]
    sql, filters = scans_of(engine, model, "raw.events")
    for of_scan in filters:
        assert re.search(r"event_day#\d+ (?:IN|INSET|=) ", of_scan), of_scan
    ((folders,),) = engine.rows("select count(distinct event_day) from raw.events")
    read = set(re.findall(r"date '(\d{4}-\d\d-\d\d)'", sql))
    # A file of which a day is closed is counted again, with all its days.
    assert len(read) < folders / 4 or model == "stg_generic__event_counts"


@pytest.mark.parametrize("model", READERS_OF_HALF_HOURS)
def test_a_later_run_reads_no_half_hours_from_before_the_first_that_it_needs(engines, model):
    _, filters = scans_of(engines[1], model, "intermediate.int_half_hours")
    for of_scan in filters:
        assert re.search(r"event_date#\d+ >= \d{4}-\d\d-\d\d", of_scan), of_scan


def test_nothing_of_a_forgotten_person_is_left(engines, raw):
    """In any file of the warehouse, the folder of raw tables or the landing."""
    spark = engines[1]
    ((user, device),) = spark.rows(
        "select user_id, min(anonymous_id) from intermediate.int_identities where user_id is not null "
        "and anonymous_id is not null group by user_id having count(*) > 1 order by user_id limit 1"
    )
    before = everything(spark)
    assert user in before and device in before
    requests = f"user_id,anonymous_id,requested_at\n{user},,2024-06-30T00:00:00Z\n"
    (raw / "deletion_requests.csv").write_text(requests, "utf-8")
    for engine in engines:
        ended = engine.load(*ELSEWHERE, RAW_DATA=str(raw))
        assert ended.code == 0 and user not in ended.output and device not in ended.output, ended.output
        engine.build(project=ELSEWHERE, RAW_DATA=str(raw))
    after = everything(spark)
    assert user not in after and device not in after
    landing = Path(spark.env["LANDING"]).read_bytes()
    assert user.encode() not in landing and device.encode() not in landing
    assert_equal(engines, "after forgetting")
    # Whom it forgot it knows without the landing, too.
    Path(spark.env["LANDING"]).unlink()
    (raw / "deletion_requests.csv").unlink()
    assert spark.load(*ELSEWHERE, RAW_DATA=str(raw)).code == 0
    assert user not in everything(spark)
