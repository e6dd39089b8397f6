"""fct_segment_health says when a set dies: its events stop, a segment empties, grows too large, or jumps in size."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import yaml
from conftest import PROJECT, Run, run_program

TEST = "segment_health_is_ok"
ALL_ROWS = "select * from marts.fct_segment_health order by all"

BUYS, COMES, VIEWS = {"purchase"}, {"activity"}, {"content_view"}
EXPECTED_EVENTS = {
    "lifecycle": COMES,
    "engagement": COMES,
    "purchase_frequency": COMES | BUYS,
    "rfm": BUYS,
    "cart": {"add_to_cart", "checkout_start"} | BUYS,
    "support": {"support_contact", "support_view", "error"},
    "journey": {"sign_up", "core_action", "referral"},
    "core_workflow": {"core_start", "core_action"},
    # Answers are no events.
    "attitude": set(),
    "monetization": COMES | BUYS | {"core_action"},
    "prompt_response": {"message_sent", "message_opened"},
    "contact_pressure": {"message_sent", "message_opened", "unsubscribe", "sign_up"},
    "platform": COMES,
    "geography_device": COMES,
    "session_depth": COMES,
    "content_affinity": VIEWS,
    "shopping_interest": VIEWS | BUYS,
    "search_interest": {"search"},
    "value_tier": BUYS,
    # What users pay for comes from the application, not from events.
    "plan": set(),
    "channel": COMES,
    "language": COMES,
    "country": COMES,
    "device": COMES,
    "signup_cohort": {"sign_up"},
}


@pytest.fixture
def warehouse(built_sample, tmp_path) -> Path:
    """A copy of the built sample, to change."""
    return Path(shutil.copyfile(built_sample, tmp_path / built_sample.name))


@pytest.fixture(scope="module")
def own_project(tmp_path_factory) -> Path:
    """A copy of the project, in which YAML may be changed."""
    copy = tmp_path_factory.mktemp("health") / "project"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(".*", "target", "logs", "*.duckdb*"))
    return copy


@pytest.fixture
def in_own_project(own_project, clean_env, warehouse) -> Callable[..., Run]:
    """Runs a program there; afterwards the files of models/ and dbt_project.yml are as they were."""
    env = clean_env | {"WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(own_project / "target")}
    files = [own_project / "dbt_project.yml", *(own_project / "models").rglob("*.*")]
    kept = {file: file.read_bytes() for file in files}
    yield lambda *command, **own: run_program([str(part) for part in command], env | own, own_project)
    for file, content in kept.items():
        file.write_bytes(content)


def insert(file: Path, after: str, *lines: str) -> None:
    """Adds lines to a file, below the only one that is like `after`, and as far to the right."""
    text = file.read_text("utf-8")
    (found,) = re.findall(rf"^( *)({re.escape(after)})\n", text, re.MULTILINE)
    line = "".join(found) + "\n"
    file.write_text(text.replace(line, line + "".join(f"{found[0]}{one}\n" for one in lines), 1), "utf-8")


def flag_says(file: Path, flag: str, line: str) -> None:
    """Adds a line to config.meta of a flag."""
    before, after = file.read_text("utf-8").split(f"      - name: {flag}\n")
    assert "          meta:\n" in after
    after = after.replace("          meta:\n", f"          meta:\n            {line}\n", 1)
    file.write_text(f"{before}      - name: {flag}\n{after}", "utf-8")


# What is checked.


def test_every_segment_has_each_check_and_the_sample_is_well(built_sample):
    with duckdb.connect(str(built_sample), read_only=True) as connection:
        found = connection.execute("select segment_set, segment, check_name from marts.fct_segment_health").fetchall()
        sick = connection.execute("from marts.fct_segment_health where status <> 'ok'").fetchall()
        segments = connection.execute("select segment_set, segment from marts.fct_segment_daily").fetchall()
    of_each = ("min_members", "max_share", "not_empty", "size_change")
    expected = {(*segment, check) for segment in segments if segment[0] != "all" for check in of_each}
    expected |= {(name, "all", "tiny_segments") for name in EXPECTED_EVENTS}
    expected |= {
        (name, "all", f"event_type_arrives: {event}") for name, events in EXPECTED_EVENTS.items() for event in events
    }
    assert set(found) == expected and len(found) == len(expected)
    assert sick == []


def test_every_metric_says_which_events_it_rests_on_and_each_of_them_is_watched(built_sample):
    models = yaml.safe_load((PROJECT / "models" / "intermediate" / "_intermediate__models.yml").read_text("utf-8"))
    (columns,) = [model["columns"] for model in models["models"] if model["name"] == "int_user_metrics"]
    metrics = [column for column in columns if column["name"] not in ("as_of_date", "user_id")]
    said = {metric["name"]: metric.get("config", {}).get("meta", {}).get("event_types") for metric in metrics}
    assert [name for name, events in said.items() if not isinstance(events, list)] == []
    with duckdb.connect(str(built_sample), read_only=True) as connection:
        watched = connection.execute("select event_type from intermediate.int_event_arrivals").fetchall()
    assert sorted({event for events in said.values() for event in events}) == sorted(event for (event,) in watched)


def test_arrivals_are_what_the_events_say(built_sample):
    with duckdb.connect(str(built_sample), read_only=True) as connection:
        arrived = "select event_type, last_event_date, days_since_last_event from intermediate.int_event_arrivals"
        expected = (
            "select kind, max(event_date), max(as_of_date) - max(event_date) from ("
            "select event_type as kind, event_date "
            "from intermediate.int_events "
            "where event_type not in ('page_view', 'login', 'refund', 'message_clicked', 'other') union all "
            "select 'activity', event_date from intermediate.int_events where is_activity) "
            "cross join intermediate.int_as_of_dates where event_date <= as_of_date group by kind"
        )
        assert sorted(connection.execute(arrived).fetchall()) == sorted(connection.execute(expected).fetchall())


# One day after another.


def test_a_size_is_compared_with_the_day_built_before_and_a_day_built_again_is_the_same(dbt, warehouse):
    def on(day: str) -> list[tuple]:
        ran = dbt("run", "--select", "int_as_of_dates+", env={"AS_OF": day, "WAREHOUSE": warehouse})
        assert ran.code == 0, ran.output
        return ran.rows(ALL_ROWS)

    def sizes(rows: list[tuple], day: str) -> dict:
        """status, value, previous_value of each size_change on a day."""
        return {row[1:3]: row[4:7] for row in rows if str(row[0]) == day and row[3] == "size_change"}

    with duckdb.connect(str(warehouse), read_only=True) as connection:
        first = connection.execute(ALL_ROWS).fetchall()
    # The first build knows of no day before it; nor does a day in the past.
    assert {(status, before) for status, _, before in sizes(first, "2024-06-29").values()} == {("ok", None)}
    past = on("2024-03-01")
    assert {(status, before) for status, _, before in sizes(past, "2024-03-01").values()} == {("ok", None)}
    assert [row for row in past if str(row[0]) == "2024-06-29"] == first

    both = on("2024-06-29")
    assert len(both) == len(past)
    before, after = sizes(both, "2024-03-01"), sizes(both, "2024-06-29")
    assert {segment: size[2] for segment, size in after.items()} == {
        segment: before.get(segment, (None, None, None))[1] for segment in after
    }
    grown = {
        segment
        for segment, (_, now, then) in after.items()
        if then is not None and not 1 / 3 <= max(now, 10) / max(then, 10) <= 3
    }
    assert {segment for segment, size in after.items() if size[0] == "warn"} == grown
    assert ("lifecycle", "dormant") in grown

    assert on("2024-06-29") == both
    # A day between the two is compared with the first and leaves the other as it is.
    between = on("2024-05-01")
    assert [row for row in between if str(row[0]) != "2024-05-01"] == both
    assert sizes(between, "2024-05-01")["lifecycle", "dormant"][2] == before["lifecycle", "dormant"][1]


def test_nobody_and_none_of_the_events_is_a_result(dbt, tmp_path):
    # A mail that was sent is nobody's activity, and the one event that arrives.
    (tmp_path / "events.csv").write_text("event_id,event_name,event_at,user_id\n1,email_sent,2024-05-01,u1\n")
    env = {"RAW_DATA": tmp_path, "WAREHOUSE": tmp_path / "warehouse.duckdb"}
    ran = dbt("build", "--exclude", "resource_type:unit_test", env=env)
    assert ran.code == 0, ran.output
    assert ran.rows("select distinct check_name from marts.fct_segment_health where status = 'fail'") == []
    ill = "select segment_set, value from marts.fct_segment_health where status = 'warn' and check_name like 'event%'"
    missing = [(name, None) for name, types in EXPECTED_EVENTS.items() for _ in types - {"message_sent"}]
    assert sorted(ran.rows(ill)) == sorted(missing)


# What a person sees.


def test_make_run_names_what_is_not_well_with_both_numbers(in_own_project, own_project, tmp_path):
    # Purchases stop ten days before the others do. Of the six sets that rest on them one says how often they come.
    raw = tmp_path / "raw"
    shutil.copytree(PROJECT / "seeds" / "sample", raw)
    (events,) = raw.glob("events.*")
    kept = f"from '{events}' where not (event_name = 'order_completed' and event_at >= '2024-06-20')"
    duckdb.sql(f"copy (select * {kept}) to '{tmp_path / events.name}'")
    shutil.move(tmp_path / events.name, events)
    segments = own_project / "models" / "segments"
    insert(
        segments / "_seg_purchase_frequency.yml",
        "review_by: 2027-06-30",
        "health: {expected_days: {purchase: 2, activity: 3}}",
    )
    flag_says(segments / "_seg_engagement.yml", "core", "min_members: 100")
    flag_says(segments / "_seg_engagement.yml", "inactive", "max_share: 0.5")
    # Words in a comment are no metrics of the set.
    insert(segments / "seg_platform.sql", "final as (", "-- Not of purchase_days_28d.")

    ran = in_own_project(
        sys.executable,
        own_project / "tools" / "run.py",
        RAW_DATA=str(raw),
        TAXONOMY=str(PROJECT / "seeds" / "event_taxonomy.csv"),
        AS_OF="2024-07-02",
    )
    assert ran.code == 1, ran.output
    ((core, _), (_, share)) = ran.rows(
        "select members, share from marts.fct_segment_daily "
        "where segment in ('core', 'inactive') and as_of_date = '2024-07-02' order by segment"
    )
    said = [line for line in ran.output.splitlines() if line.startswith("health ")]
    assert {line for line in said if line.startswith("health fails: ")} == {
        "health fails: event_type_arrives: purchase: last 13 days ago, expected every 2 days: purchase_frequency",
        f"health fails: min_members: {core} members, 100 at least: engagement / core",
        f"health fails: max_share: {share:.1%} of the set, 50.0% at most: engagement / inactive",
    }
    warned = {line for line in said if line.startswith("health warns: ")}
    assert (
        "health warns: event_type_arrives: purchase: last 13 days ago, expected every 7 days: cart, monetization, rfm, "
        "shopping_interest, value_tier"
    ) in warned
    assert (
        "health warns: not_empty: 0 members, 1 at least: lifecycle / current, lifecycle / new, "
        "lifecycle / reactivated, lifecycle / resurrected"
    ) in warned
    assert "health warns: size_change: 0 members, 36 before, by a factor of 3 at most: lifecycle / current" in warned
    assert TEST not in ran.output


@pytest.mark.parametrize(
    ("status", "days_before", "code", "said"),
    [("fail", 0, 1, "FAIL 1"), ("warn", 0, 0, "WARN 1"), ("fail", 1, 0, "PASS"), ("ok", 0, 0, "PASS")],
)
def test_a_failing_row_of_the_latest_day_fails_and_a_warning_one_warns(dbt, warehouse, status, days_before, code, said):
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "insert into marts.fct_segment_health by name select * replace ('again' as segment, "
            f"'{status}' as status, as_of_date - {days_before} as as_of_date) from marts.fct_segment_health limit 1"
        )
    ran = dbt("test", "--select", f"test_name:{TEST}", env={"WAREHOUSE": warehouse})
    assert ran.code == code, ran.output
    assert f"1 of 1 {said}" in ran.output


# Bounds that nobody can keep.


SET_SAYS = "_seg_rfm.yml: config.meta.segment_set.health"


@pytest.mark.parametrize(
    ("of_set", "of_flag", "expected"),
    [
        ("{max_size: 2}", "", f"{SET_SAYS}.max_size is not known; use max_size_change, small_size, max_tiny_share,"),
        ("{max_tiny_share: true}", "", f"{SET_SAYS}.max_tiny_share is 'True'; write a number from 0 to 1"),
        ("{expected_days: {buy: 2}}", "", f"{SET_SAYS}.expected_days.buy: no metric rests on such events; use act"),
        ("", "max_share: 20", "_seg_rfm.yml, loyal: config.meta.max_share is '20'; write a number from 0 to 1"),
        ("", "may_be_empty: 3", "_seg_rfm.yml, loyal: config.meta.may_be_empty is '3'; write true or false"),
    ],
)
def test_a_bound_that_is_none_is_one_clear_line(in_own_project, own_project, of_set, of_flag, expected):
    file = own_project / "models" / "segments" / "_seg_rfm.yml"
    if of_set:
        insert(file, "review_by: 2027-06-30", f"health: {of_set}")
    else:
        flag_says(file, "loyal", of_flag)
    ran = in_own_project(Path(sys.executable).with_name("dbt"), "compile", "--select", "fct_segment_health")
    assert ran.code != 0 and f"models/segments/{expected}" in ran.output, ran.output
