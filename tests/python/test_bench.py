"""The benchmark compares like with like: every program in it gives the project's own rows, on 100,000 events."""

import re
import subprocess
import sys
from pathlib import Path

import bench
import bench_events
import duckdb
import pytest

PROJECT = Path(__file__).resolve().parents[2]

EVENTS = 100_000


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
    assert bench.verdict(0.1, -0.2) == bench.verdict(0, 1) == "Too few events: the start-up varies by more than they cost."


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
    assert people > 3_000 and buyers > 1_000 and with_session_time > 1_000


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
