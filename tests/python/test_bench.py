"""The benchmark compares like with like: every program in it gives the project's own rows, on 100,000 events; and a
daily run those of a full build, on fewer. Another revision is built from its own files."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import bench
import bench_against
import bench_daily
import bench_events
import bench_scale
import bench_sets
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
    for program in ("floor.sql", "dbt, the same tables", "dbt run", "polars", "pandas"):
        assert len([line for line in printed.splitlines() if program in line and " GB" in line]) == 1
    # 100,000 events cost dbt less than its start-up varies by.
    assert re.search(r"dbt takes [0-9.]+ times the floor for its tables: (within|over) the 1.5 that|Too few", printed)


def test_the_verdict():
    assert bench.verdict(10, 15) == "dbt takes 1.50 times the floor for its tables: within the 1.5 that is allowed."
    assert bench.verdict(10, 15.1) == "dbt takes 1.51 times the floor for its tables: over the 1.5 that is allowed."
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


def test_there_is_something_to_compare_in_every_metric_and_set(built):
    with duckdb.connect(str(built / "dbt.duckdb"), read_only=True) as con:
        metrics = con.execute("describe intermediate.int_user_metrics").fetchall()
        # These need inputs that the benchmark has none of.
        without = {"plan", "last_nps_score", "days_since_last_nps"}
        names = [f'"{name}"' for name, *_ in metrics if name not in without]
        values = con.execute(
            f"select {', '.join(f'count(distinct {name})' for name in names)} from intermediate.int_user_metrics"
        ).fetchone()
        few = {name: count for name, count in zip(names, values) if count < 2}
        assert few == {'"as_of_date"': 1}
        said = dict(
            con.execute(
                "select segment_set || ': ' || segment, count(*) from marts.fct_segment_membership group by all"
            ).fetchall()
        )
        shared, others = con.execute(
            "select count(*) filter (top_search_term_90d <> 'other'), count(*) filter (top_search_term_90d = 'other') "
            "from intermediate.int_user_metrics"
        ).fetchone()
        again = con.execute(
            "select count(*) from intermediate.int_user_totals "
            "where first_sign_up_date is not null and unsubscribed_date is null and person_key in "
            "(select person_key from intermediate.int_person_days where last_unsubscribe_at is not null)"
        ).fetchone()[0]
    assert shared > 30 and others > 30 and again > 0
    for segment in (
        "journey: aware", "journey: signed_up", "journey: activated", "journey: adopted", "journey: advocate",
        "core_workflow: completer", "core_workflow: occasional_completer", "core_workflow: stuck",
        "monetization: engaged_nonbuyer", "monetization: revenue_at_risk",
        "prompt_response: uncontacted", "prompt_response: responsive", "prompt_response: lukewarm",
        "contact_pressure: do_not_disturb", "session_depth: short", "session_depth: medium", "session_depth: long",
        "content_affinity: undecided", "shopping_interest: none", "search_interest: none", "search_interest: other",
        "value_tier: high", "value_tier: mid", "value_tier: low", "country: CH", "signup_cohort: unknown",
    ):  # fmt: skip
        assert said.get(segment, 0) > 0, segment


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update int_user_metrics set sessions_7d = sessions_7d + 1 where user_id = (select min(user_id) from "
         "int_user_metrics)", "dbt run: sessions_7d: 1 people"),
        ("update int_user_metrics set country = null where country = 'CH'", "dbt run: country: "),
        ("delete from int_user_metrics where user_id = (select min(user_id) from int_user_metrics)",
         "dbt run: days_since_first_active: 1 people"),
        ("alter table int_user_metrics drop column r_score", "dbt run: columns in one only: r_score"),
        ("update int_user_metrics set top_search_term_90d = 'other' where top_search_term_90d is null",
         "dbt run: top_search_term_90d: "),
        ("delete from memberships where segment = 'cart_abandoner'", "memberships are in dbt only"),
        ("update memberships set segment = 'none' where segment_set = 'shopping_interest'",
         "memberships are in floor.sql only"),
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
                min(event_at) filter (event_name in ('logged_in', 'signed_up')) as login_at
            from {relation} where anonymous_id is not null group by anonymous_id
        )
        where known_at is not null
        """
    )
    assert identified > 1_000 and anonymous_before > 0.3 * identified
    assert with_login > 0.9 * identified


def test_events_have_what_the_metrics_of_interests_and_messages_count(data):
    relation = events_of(data)
    for name, least in (
        ("signed_up", 500), ("cook_started", 3_000), ("meal_cooked", 3_000), ("email_sent", 1_000), ("push_sent", 500),
        ("email_opened", 500), ("push_opened", 100), ("friend_invited", 100), ("unsubscribed", 50),
    ):  # fmt: skip
        assert one_row(f"select count(*) from {relation} where event_name = '{name}'") >= (least,)
    without_category, without_query = one_row(
        "select count(*) filter (event_name in ('recipe_viewed', 'box_viewed', 'order_completed') "
        "and item_category is null), count(*) filter (event_name = 'search_performed' and search_query is null) "
        f"from {relation}"
    )
    assert (without_category, without_query) == (0, 0)
    # Terms of ten people or more, and of one alone; and one term in several spellings.
    shared, of_one, spellings, terms = one_row(
        f"""
        select
            count(*) filter (people >= 10), count(*) filter (people = 1), sum(spellings) filter (people >= 10),
            count(*) filter (people >= 10)
        from (
            select
                lower(trim(regexp_replace(search_query, ' +', ' ', 'g'))) as term,
                count(distinct coalesce(user_id, anonymous_id)) as people,
                count(distinct search_query) as spellings
            from {relation} where event_name = 'search_performed' group by term
        )
        """
    )
    assert shared > 100 and of_one > 100 and spellings > 1.5 * terms


def test_a_program_that_fails_is_one_line(tmp_path):
    program = bench.Program("broken", [sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path / "x", {})
    with pytest.raises(bench.Failed, match="broken ended with 1: no such thing"):
        bench.measured(program)


def test_another_revision_is_built_from_its_own_files_and_leaves_none(tmp_path):
    data, checkout = bench.data_of(1, tmp_path), tmp_path / "checkout"
    commit = bench_against.commit_of("HEAD")
    assert re.fullmatch("[0-9a-f]{40}", commit)
    # As an interrupted run leaves it.
    with pytest.raises(KeyboardInterrupt), bench_against.checked_out(commit, checkout):
        raise KeyboardInterrupt
    with bench_against.checked_out(commit, checkout) as other:
        (other / "models" / "marts" / "only_there.sql").write_text("select 7 as seven")
        program = bench_against.build("HEAD", other, data, tmp_path)
        bench.measured(replace(program, command=[*program.command, "--select", "only_there"]))
    with duckdb.connect(str(program.result), read_only=True) as con:
        assert con.execute("select seven from marts.only_there").fetchall() == [(7,)]
    ran = json.loads((program.result.parent / "target" / "run_results.json").read_text())["args"]
    assert Path(ran["project_dir"]) == checkout and Path(ran["profiles_dir"]) == checkout
    assert not checkout.exists()
    assert str(checkout) not in bench_against.git("worktree", "list").stdout


def test_both_builds_have_a_place_of_their_own(tmp_path):
    here = bench_against.build(bench_against.HERE, PROJECT, tmp_path, tmp_path)
    there = bench_against.build("main", tmp_path / "checkout", tmp_path, tmp_path)
    assert here.folder == PROJECT and there.folder == tmp_path / "checkout"
    assert here.result != there.result and here.env["DBT_TARGET_PATH"] != there.env["DBT_TARGET_PATH"]
    for same in ("RAW_DATA", "TAXONOMY", "AS_OF"):
        assert here.env[same] == there.env[same]


def test_models_are_left_out_of_this_checkout_alone(tmp_path):
    here, there = (
        bench_against.build(name, PROJECT, tmp_path, tmp_path, "int_key_events+ fct_funnel").command
        for name in (bench_against.HERE, "main")
    )
    assert here == [*there, "--exclude", "int_key_events+", "fct_funnel"]


def test_the_verdict_against_another_revision():
    def cost(start: tuple[float, float], whole: tuple[float, float]) -> tuple[bench.Cost, bench.Cost]:
        return bench.Cost(*start, 0.1), bench.Cost(*whole, 1.0)

    there = cost((10, 12), (20, 32))
    said = "This checkout takes 1.20 times main (1.10 in CPU seconds)."
    assert bench_against.verdict("main", cost((8, 10), (20, 32)), there) == said
    assert "Too few events" in bench_against.verdict("main", cost((8, 10), (8, 32)), there)
    assert "Too few events" in bench_against.verdict("main", there, cost((8, 10), (20, 9)))


def test_what_a_set_costs_is_the_difference_divided_by_the_sets():
    assert bench_sets.verdict((10.0, 16.0), (7.0, 10.0), 12) == "A set costs 250 ms a day (500 ms of CPU)."
    assert "Too few events" in bench_sets.verdict((7.0, 16.0), (7.0, 10.0), 12)


def test_the_size_of_a_table_is_its_rows_and_the_blocks_that_it_takes(tmp_path):
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:
        con.execute("create schema marts; create schema runs")
        con.execute("create table runs.few as select 1 as one")
        # Hashes cannot be compressed: eight bytes each.
        con.execute("create table marts.many as select hash(range) as number from range(1000000)")
    many, few = bench_scale.sizes_of(tmp_path / "w.duckdb")
    assert (many.table, many.rows, few.table, few.rows) == ("marts.many", 1_000_000, "runs.few", 1)
    assert 8_000_000 <= many.disk_bytes < 9_000_000 and few.disk_bytes == bench_scale.BLOCK_BYTES


def test_a_revision_that_does_not_exist_is_one_line(clean_env, tmp_path):
    ended = subprocess.run(
        [sys.executable, str(PROJECT / "tools" / "bench.py"), "--against", "no-such-revision"],
        env=clean_env | {"BENCH_DIR": str(tmp_path)}, text=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stdout == (
        "no such revision: no-such-revision; name a branch, a tag or a commit of this repository\n"
    )


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
    with duckdb.connect() as con:
        # The name that its views carry.
        con.execute(f"attach '{file}' as {bench_daily.WAREHOUSE} (read_only)")
        con.execute(f"use {bench_daily.WAREHOUSE}")
        return con.execute(sql).fetchall()


def test_the_daily_report_has_every_program_and_a_verdict_for_each_target(ran_daily):
    _, printed = ran_daily
    assert "Where the daily run spends it" in printed
    for program, beside in (
        ("full build", ""),
        ("daily run, 30 days", ""),
        ("daily run, 364 days", "full build"),
        ("daily run, 91 evaluated", "full build"),
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
        ("dbt", "daily", "delete from segments.int_latest_user_segments where lifecycle = 64",
         "memberships are in the full build only"),
        ("dbt", "daily", "update segments.int_latest_user_segments set as_of_date = as_of_date - 1",
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
