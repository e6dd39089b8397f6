"""The benchmark compares like with like: every program in it gives the project's own rows, on 100,000 events; and a
daily run those of a full build, on fewer."""

import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import bench
import bench_daily
import bench_events
import duckdb
import pytest

PROJECT = Path(__file__).resolve().parents[2]

EVENTS = 100_000
# dbt starts 14 times for them, which takes far longer than they do.
DAILY_EVENTS = 20_000


def events_of(folder: Path) -> str:
    """The generated events of a folder as a relation."""
    return f"read_parquet('{folder}/events/*.parquet')"


def one_row(sql: str) -> tuple:
    """The only row of a query."""
    return duckdb.connect().execute(sql).fetchone()


@pytest.fixture(scope="module")
def ran(clean_env, tmp_path_factory) -> tuple[Path, str]:
    """The folder that `bench.py --peers` worked in, and what it printed."""
    folder = tmp_path_factory.mktemp("bench")
    ended = subprocess.run(
        [sys.executable, str(PROJECT / "tools" / "bench.py"), "--events", str(EVENTS), "--runs", "1", "--peers"],
        env=clean_env | {"BENCH_DIR": str(folder)}, text=True, capture_output=True, timeout=600,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder, ended.stdout


@pytest.fixture(scope="module")
def built(ran) -> Path:
    """The folder with the results of dbt, floor.sql, polars and pandas on these events."""
    return ran[0]


@pytest.fixture(scope="module")
def data(built) -> Path:
    """The folder with the events."""
    return built / "data" / str(EVENTS)


def test_the_report_has_every_program_and_the_verdict(ran):
    _, printed = ran
    for line in ("floor.sql, all events: ", "dbt run, one event: ", "times the floor", "Where dbt run spends it"):
        assert line in printed
    for program in ("floor.sql", "dbt run", "polars", "pandas"):
        assert len([line for line in printed.splitlines() if program in line and " GB" in line]) == 1
    # 100,000 events cost dbt less than its start-up varies by.
    assert re.search(r"dbt run takes [0-9.]+ times the floor: (within|over) the 1.5 that is allowed|Too few", printed)


def test_the_verdict():
    assert bench.verdict(10, 15) == "dbt run takes 1.50 times the floor: within the 1.5 that is allowed."
    assert bench.verdict(10, 15.1) == "dbt run takes 1.51 times the floor: over the 1.5 that is allowed."
    too_few = "Too few events: the start-up varies by more than they cost."
    assert bench.verdict(0.1, -0.2) == bench.verdict(0, 1) == too_few


def test_all_programs_give_the_same_metrics_and_memberships(built):
    assert bench.compare(built, ["polars", "pandas"]) == []
    people, buyers, with_session_time = (
        duckdb.connect(str(built / "dbt.duckdb"), read_only=True)
        .execute(
            "select count(*), count(r_score), count(*) filter (avg_session_minutes_28d > 0) "
            "from intermediate.int_user_metrics"
        )
        .fetchone()
    )
    assert people > 3_000 and buyers > 1_000 and with_session_time > 300


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update int_user_metrics set sessions_7d = sessions_7d + 1 where user_id = (select min(user_id) from "
         "int_user_metrics)", "dbt run: sessions_7d: 1 people"),
        ("update int_user_metrics set country = null where country = 'CH'", "dbt run: country: "),
        ("delete from int_user_metrics where user_id = (select min(user_id) from int_user_metrics)",
         "dbt run: days_since_first_active: 1 people"),
        ("alter table int_user_metrics drop column r_score", "dbt run: columns in one only: r_score"),
        ("delete from memberships where segment = 'cart_abandoner'", "memberships are in dbt only"),
    ],
)  # fmt: skip
def test_a_difference_is_seen(built, tmp_path, change, said):
    for name in ("dbt.duckdb", "floor.duckdb"):
        (tmp_path / name).write_bytes((built / name).read_bytes())
    with duckdb.connect(str(tmp_path / "floor.duckdb")) as con:
        con.execute(change)
    assert any(said in line for line in bench.compare(tmp_path, []))


def test_the_generator_gives_the_number_asked_for_and_the_same_rows_again(data, tmp_path):
    (rows,) = one_row(f"select count(*) from {events_of(data)}")
    assert abs(rows - EVENTS) <= EVENTS / 100
    bench_events.write_events(tmp_path, EVENTS)
    again = one_row(f"select count(*) from (from {events_of(data)} except all from {events_of(tmp_path)})")
    assert again == (0,)
    bench_events.write_events(tmp_path, 1)
    assert one_row(f"select count(*) from {events_of(tmp_path)}") == (1,)
    with pytest.raises(ValueError, match="ask for 1 or more"):
        bench_events.write_events(tmp_path, 0)


def test_the_events_are_those_of_a_product(data):
    relation = events_of(data)
    listed = f"(select event_name from read_csv('{PROJECT}/seeds/event_taxonomy.csv'))"
    unlisted, nameless, first, last = one_row(
        f"select count(*) filter (event_name not in (from {listed})), "
        "count(*) filter (user_id is null and anonymous_id is null), "
        f"min(event_at)::date, max(event_at)::date from {relation}"
    )
    assert (unlisted, nameless) == (0, 0)
    # Sessions of the last evening run on: what is after the as-of date must not count.
    assert first >= bench_events.FIRST_DAY and last > bench_events.LAST_DAY
    again, reused, late = one_row(
        f"""
        select
            (select count(*) - count(distinct (event_id, event_at)) from {relation}),
            (select count(*) from (select 1 from {relation} group by event_id having count(distinct event_at) > 1)),
            (select count(*) from {relation} where received_at > event_at + interval 1 hour)
        """
    )
    assert 0.003 * EVENTS <= again <= 0.005 * EVENTS
    assert reused >= 1
    assert 0.005 * EVENTS <= late <= 0.02 * EVENTS
    # Most devices that logged in were there before, and every one of them sent its login.
    identified, anonymous_before, with_login = one_row(
        f"""
        select count(*), count(*) filter (first_at < known_at), count(*) filter (login_at = known_at)
        from (
            select
                min(event_at) as first_at,
                min(event_at) filter (user_id is not null) as known_at,
                min(event_at) filter (event_name = 'logged_in') as login_at
            from {relation} where anonymous_id is not null group by anonymous_id
        )
        where known_at is not null
        """
    )
    assert identified > 1_000 and anonymous_before > 0.3 * identified
    assert with_login > 0.9 * identified


def test_a_program_that_fails_is_one_line(tmp_path):
    program = bench.Program("broken", [sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path / "x", {})
    with pytest.raises(bench.Failed, match="broken ended with 1: no such thing"):
        bench.measured(program)


@pytest.fixture(scope="module")
def ran_daily(clean_env, tmp_path_factory) -> tuple[Path, str]:
    """The folder that `bench.py --daily` worked in, and what it printed."""
    folder = tmp_path_factory.mktemp("bench_daily")
    ended = subprocess.run(
        [sys.executable, str(PROJECT / "tools" / "bench.py"), "--daily", "--events", str(DAILY_EVENTS), "--runs", "1"],
        env=clean_env | {"BENCH_DIR": str(folder), "AS_OF": "2024-01-01"}, text=True, capture_output=True, timeout=900,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder, ended.stdout


@pytest.fixture(scope="module")
def kept(ran_daily) -> Path:
    """The folder with what the daily run, the full build and the textbook made."""
    return ran_daily[0] / "daily" / "kept"


def rows_of(kept: Path, program: str, build: str, sql: str) -> list[tuple]:
    """What a query gives on one of the results."""
    file = bench_daily.kept_file(kept, bench_daily.WHOLE, build, program)
    with duckdb.connect(str(file), read_only=True) as con:
        return con.execute(sql).fetchall()


def test_the_daily_report_has_every_program_and_a_verdict_for_each_target(ran_daily):
    _, printed = ran_daily
    assert "Where the daily run spends it" in printed
    for program, beside in (
        ("full build", ""),
        ("daily run, 30 days", ""),
        ("daily run, 364 days", "full build"),
        ("one day's segments", ""),
        ("backfill, a day of 90", "one day's segments"),
        ("textbook, full build", "full build"),
        ("textbook, daily run", "textbook, full build"),
    ):
        (line,) = [line for line in printed.splitlines() if line.startswith(f"│ {program} ")]
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        assert all(re.fullmatch(r"-?[0-9]+\.[0-9]{2}", cell) for cell in cells[1:3])
        ratios, other = cells[4:6], cells[6]
        assert other == beside
        assert all(re.fullmatch(r"[0-9]+\.[0-9]{2}|\?" if beside else "", ratio) for ratio in ratios)
    # A day of so few events costs dbt less than its start-up varies by.
    for target in (
        "A daily run .* the full build", "A daily run .* with 30 days of history",
        "A day of a backfill .* one day's segments",
    ):  # fmt: skip
        assert re.search(rf"{target}(: too few events| \(.* in CPU seconds\): (within|over) the )", printed)
    assert re.search(r"other active days than its own full build for [0-9,]+ of [0-9,]+ people", printed)


def test_the_daily_verdict():
    def net(seconds: float, cpu_seconds: float) -> bench_daily.Net:
        return bench_daily.Net(seconds, cpu_seconds, 5.0)

    assert (
        bench_daily.verdict("A daily run", net(2, 3), "the full build", net(20, 40), 0.1)
        == "A daily run takes 0.10 times the full build (0.07 in CPU seconds): within the 0.1 that is allowed."
    )
    assert "0.11 times the full build (? in CPU seconds): over the 0.1" in bench_daily.verdict(
        "A daily run", net(2.1, -1), "the full build", net(20, 40), 0.1
    )
    for cost, reference in ((-0.2, 10), (3, 0)):
        assert "A daily run beside the full build: too few events" in bench_daily.verdict(
            "A daily run", net(cost, 1), "the full build", net(reference, 1), 0.1
        )


def test_the_start_up_is_taken_off_before_days_are_divided():
    start, whole = bench.Cost(5, 6, 0.1), bench.Cost(95, 186, 1.0)
    assert bench_daily.Net.of(start, whole, 90) == bench_daily.Net(1, 2, 5)


def test_a_daily_run_makes_what_a_full_build_makes(kept):
    assert bench_daily.compare(kept) == []
    members = "select count(*), count(distinct segment) from marts.fct_segment_membership"
    ((rows, segments),) = rows_of(kept, "dbt", "daily", members)
    assert rows > 2_000 and segments > 20
    # The one is a warehouse that was built the day before, the other is not.
    evaluated = "select distinct as_of_date from runs.evaluations order by 1"
    assert rows_of(kept, "dbt", "daily", evaluated) == [(date(2024, 6, 29),), (date(2024, 6, 30),)]
    assert rows_of(kept, "dbt", "full", evaluated) == [(date(2024, 6, 30),)]


def test_the_textbook_counts_what_the_project_counts_when_it_is_built_at_once(kept):
    # None of these events shares its event_id with another one on another day, which the textbook would drop.
    columns = (
        "count(*), sum(active_days_28d), sum(active_days_lifetime), sum(sessions_lifetime), "
        "sum(purchase_days_lifetime), sum(revenue_lifetime), sum(errors_28d)"
    )
    ours = rows_of(kept, "dbt", "full", f"select {columns} from intermediate.int_user_metrics")
    assert rows_of(kept, "textbook", "full", f"select {columns} from user_metrics") == ours
    assert ours[0][0] > 500
    segments = (
        "select segment_set, segment, count(*) from {} where segment_set in "
        "('lifecycle', 'engagement', 'purchase_frequency', 'support', 'cart') group by all order by all"
    )
    assert rows_of(kept, "textbook", "full", segments.format("segment_membership")) == rows_of(
        kept, "dbt", "full", segments.format("marts.fct_segment_membership")
    )


@pytest.mark.parametrize(
    ("program", "build", "change", "said"),
    [
        ("dbt", "daily", "delete from marts.fct_segment_membership where segment_set = 'lifecycle'",
         "memberships are in the full build only"),
        ("dbt", "daily", "update marts.fct_segment_membership set as_of_date = as_of_date - 1",
         "memberships are in the daily run only"),
        ("textbook", "full", "delete from user_metrics where person_id < '8'", "textbook: "),
    ],
)  # fmt: skip
def test_a_difference_of_the_daily_run_is_seen(kept, tmp_path, program, build, change, said):
    for file in kept.glob(bench_daily.WHOLE.replace(" ", "_") + "_*.duckdb"):
        shutil.copyfile(file, tmp_path / file.name)
    with duckdb.connect(str(bench_daily.kept_file(tmp_path, bench_daily.WHOLE, build, program))) as con:
        con.execute(change)
    assert any(said in line for line in bench_daily.compare(tmp_path))


def test_each_day_of_receipt_has_one_file_and_no_event_is_lost(ran_daily):
    data, split = (ran_daily[0] / name / str(DAILY_EVENTS) for name in ("data", "days"))
    days = f"read_parquet('{split}/*.parquet', filename = true)"
    assert one_row(f"select count(*) from {days}") == one_row(f"select count(*) from {events_of(data)}")
    assert one_row(f"select count(distinct filename) = count(distinct received_at::date) from {days}") == (True,)
    assert one_row(f"select count(*) from {days} where not contains(filename, received_at::date::varchar)") == (0,)


def test_a_day_without_an_event_to_start_from_is_one_line(tmp_path):
    with pytest.raises(bench.Failed, match="no page was viewed on 2024-06-30; ask for more events"):
        bench_daily.one_event(tmp_path, date(2024, 6, 30), tmp_path / "few")
