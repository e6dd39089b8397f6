"""What dbt cannot say of staging and intermediate: that each singular test fails when it should, that no value of the
input stops a run, and that nothing depends on threads or on what happened later.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from compiled_project import MODELS, TABLES, CompiledProject, Warehouse
from reference import EVENT_COLUMNS, Raw, Row, moment_of, rejection_reason, user_metrics

AS_OF = date(2024, 6, 10)
TAXONOMY = [
    {"event_name": "view", "event_type": "page_view", "is_activity": "true"},
    {"event_name": "buy", "event_type": "purchase", "is_activity": "true"},
    {"event_name": "refund", "event_type": "refund", "is_activity": "false"},
    {"event_name": "mail", "event_type": "message_sent", "is_activity": "false"},
]


def event(event_id: str, event_at: str, **others: str | None) -> Row:
    """A raw event of user u1 on device d1, unless told otherwise."""
    usual = {"event_id": event_id, "event_name": "view", "event_at": event_at, "user_id": "u1", "anonymous_id": "d1"}
    return dict.fromkeys(EVENT_COLUMNS) | usual | others


# Two people and a device; two sessions, two purchases, one of them on the as-of date; a message; an answer.
EVENTS = [
    event("e1", "2024-06-01 10:00:00"),
    event("e2", "2024-06-01 12:00:00", event_name="buy", revenue="10"),
    event("e3", "2024-06-10 10:00:00", event_name="buy", revenue="20"),
    event("e4", "2024-06-10 10:20:00"),
    event("e5", "2024-06-10 10:30:00", event_name="mail"),
    event("e6", "2024-06-09 10:00:00", user_id="u2", anonymous_id=None, event_name="buy", revenue="5"),
    event("e7", "2024-06-08 10:00:00", user_id=None, anonymous_id="d9"),
]
ANSWERS = [
    {"feedback_id": "f1", "user_id": "u1", "kind": "nps", "score": "9", "submitted_at": "2024-06-05 10:00:00"},
]
INPUT = Raw(events=EVENTS, feedback=ANSWERS, event_taxonomy=TAXONOMY)


@pytest.fixture(scope="module")
def compiled(dbt, clean_env) -> CompiledProject:
    """The project's SQL, ready to run."""
    return CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]))


@pytest.fixture(scope="module")
def built(dbt, clean_env) -> Warehouse:
    """A warehouse with what comes of INPUT, of an event that is sent three times and of one that is rejected; with the
    mart that says so."""
    health = "fct_input_health"
    ran = dbt("compile", "--select", *(f"+{model}" for model in (*MODELS, health)))
    assert ran.code == 0, ran.output
    own = Warehouse(Path(clean_env["DBT_TARGET_PATH"], "manifest.json").read_text(encoding="utf-8"))
    own.connection.execute(f"create schema if not exists {own.node(health)['schema']}")
    for node in own.in_order(health):
        if node not in own.models:
            own.create(node)
            own.models.append(node)
    nobodys = event("e8", "2024-06-08 10:00:00", user_id=None, anonymous_id=None)
    own.build(replace(INPUT, events=[*EVENTS, EVENTS[0], EVENTS[0], nobodys]), [AS_OF])
    return own


@pytest.fixture
def warehouse(built) -> Iterator[Warehouse]:
    """The same, to be spoilt: it is mended after the test."""
    built.connection.execute("begin")
    yield built
    built.connection.execute("rollback")


# Each singular test can fail ----------------------------------------------------------------------------------------

USABLE = "assert_stg_events_are_usable"
ONCE = "assert_int_events_are_counted_once"
APART = "assert_int_people_are_told_apart"
EVERYBODY = "assert_int_user_metrics_are_of_everybody_active"
NOT_LATER = "assert_int_nothing_is_later_than_the_as_of_date"
SESSIONS = "assert_int_sessions_hold_all_activity"
AGREE = "assert_int_user_metrics_agree_with_each_other"
ALL_THERE = "assert_raw_rows_are_all_accounted_for"
SINGULAR_TESTS = (USABLE, ONCE, APART, EVERYBODY, NOT_LATER, SESSIONS, AGREE, ALL_THERE)

# What is wrong, in which model: a select from right_rows, which are the model's own.
SPOILT = [
    (USABLE, "stg_events", "select * replace (null as event_id) from right_rows"),
    (USABLE, "stg_events", "select * replace ('' as event_name) from right_rows"),
    (USABLE, "stg_events", "select * replace (null as user_id, null as anonymous_id) from right_rows"),
    (USABLE, "stg_events", "select * replace (event_at + interval 25 hour as event_at) from right_rows"),
    (USABLE, "stg_events", "select * replace (null as received_at) from right_rows"),
    (ONCE, "int_events", "select * from right_rows union all select * from right_rows where event_id = 'e1'"),
    (ONCE, "int_events", "select * replace (null as event_date) from right_rows"),
    (ONCE, "int_events", "select * replace (event_type <> 'purchase' as is_activity) from right_rows"),
    (ONCE, "int_events", "select * replace (true as is_activity) from right_rows"),
    (APART, "int_people", "select * replace (1 as person_key) from right_rows"),
    (APART, "int_people", "select * replace (null as person_key) from right_rows"),
    (APART, "int_people", "select * replace (null as user_id) from right_rows"),
    (APART, "int_people", "select * from right_rows union all select * from right_rows where user_id = 'u2'"),
    (APART, "int_people", "select * from right_rows where user_id <> 'u2'"),
    (APART, "int_people", "select * replace (known_from - 1 as known_from) from right_rows"),
    (APART, "int_people", "select * replace (known_to - 1 as known_to) from right_rows"),
    (APART, "int_people", "select * replace (user_key as pair_key) from right_rows"),
    (EVERYBODY, "int_user_metrics", "select * from right_rows where user_id <> 'u2'"),
    (EVERYBODY, "int_user_metrics", "select * from right_rows union all select * from right_rows"),
    (EVERYBODY, "int_user_metrics", "select * replace (user_id || '!' as user_id) from right_rows"),
    (EVERYBODY, "int_user_metrics", "select * from right_rows where false"),
    (NOT_LATER, "int_people", "select * replace (known_from - 20 as known_from) from right_rows"),
    (NOT_LATER, "int_sessions", "select * replace (ended_at + interval 1 day as ended_at) from right_rows"),
    (NOT_LATER, "int_user_days", "select * replace (event_date as known_to) from right_rows"),
    (NOT_LATER, "int_user_metrics", "select * replace (-1 as days_since_last_nps) from right_rows"),
    (NOT_LATER, "int_user_metrics", "select * replace (-1 as days_since_last_purchase) from right_rows"),
    (SESSIONS, "int_sessions", "select * replace (events + 1 as events) from right_rows"),
    (SESSIONS, "int_sessions", "select * from right_rows where session_number = 1"),
    (SESSIONS, "int_sessions", "select * from right_rows union all select * from right_rows"),
    (SESSIONS, "int_sessions", "select * replace (ended_at - interval 1 hour as ended_at) from right_rows"),
    (SESSIONS, "int_user_days", "select * replace (events + 1 as events) from right_rows"),
    (SESSIONS, "int_user_days", "select * replace (sessions + 1 as sessions) from right_rows"),
    (SESSIONS, "int_user_days", "select * replace (session_seconds + 1 as session_seconds) from right_rows"),
    # A row is lost, wherever it is: clean, sent again, or rejected.
    (ALL_THERE, "base_generic__events", "select * from right_rows where event_id <> 'e2'"),
    (ALL_THERE, "base_generic__events", "select distinct * from right_rows"),
    (ALL_THERE, "base_generic__events", "select * from right_rows where rejection_reason is null"),
    (ALL_THERE, "base_generic__events", "select * from right_rows union all select * from right_rows"),
    (ALL_THERE, "stg_generic__events", "select * from right_rows where event_id <> 'e2'"),
    (ALL_THERE, "stg_generic__rejected_events", "select * from right_rows where false"),
    (ALL_THERE, "stg_events", "select * from right_rows where event_id <> 'e2'"),
    (ALL_THERE, "int_first_deliveries", "select * from right_rows where false"),
    (ALL_THERE, "int_first_deliveries", "select * from right_rows union all select * from right_rows"),
    (ALL_THERE, "int_unique_events", "select * from right_rows where event_id <> 'e1'"),
    (ALL_THERE, "int_events", "select * from right_rows where event_id <> 'e2'"),
    (ALL_THERE, "int_events", "select * from right_rows union all select * from right_rows where event_id = 'e2'"),
    *(
        (ALL_THERE, mart, f"select * replace ({wrong} as row_count) from right_rows")
        for mart in ("stg_generic__event_counts", "stg_generic__input_counts", "fct_input_health")
        for wrong in (
            "case when check_name = 'raw rows' then row_count - 1 else row_count end",
            "case when check_name like 'rejected: %' then row_count + 1 else row_count end",
            "case when check_name <> 'raw rows' then row_count end",
        )
    ),
    (ALL_THERE, "fct_input_health", "select * from right_rows where check_name <> 'duplicates'"),
    (ALL_THERE, "fct_input_health", "select * from right_rows where check_name <> 'clean'"),
]
# One wrong value for each fact that the metrics have to agree on.
WRONG_METRICS = [
    "days_since_last_active = days_since_first_active + 1",
    "days_since_last_active = null",
    "days_between_last_two_active_days = case when active_days_lifetime = 1 then 1 end",
    "days_between_last_two_active_days = 0",
    "active_days_7d = active_days_28d + 1",
    "active_days_28d = active_days_lifetime + 1",
    "active_days_28d = 0",
    "active_days_lifetime = 0",
    "mobile_active_days_90d = active_days_lifetime + 1",
    "desktop_active_days_90d = -1",
    "sessions_7d = sessions_28d + 1",
    "sessions_28d = sessions_lifetime + 1",
    "sessions_lifetime = 0",
    "events_28d = 0",
    "avg_session_minutes_28d = -1",
    "avg_session_minutes_28d = null",
    "purchase_days_28d = purchase_days_365d + 1",
    "purchase_days_365d = purchase_days_lifetime + 1",
    "purchases_lifetime = purchase_days_lifetime - 1",
    "days_since_first_purchase = days_since_last_purchase - 1",
    "days_since_first_purchase = days_since_first_active + 1",
    "days_since_last_purchase = null",
    "avg_purchase_day_revenue_repeat = case when purchase_days_lifetime = 1 then 1 else 0 end",
    "revenue_28d = null",
    "revenue_lifetime = null",
    "days_since_abandoned_cart = days_since_last_purchase + 1",
    "days_since_abandoned_checkout = days_since_last_purchase + 1",
    "r_score = 0",
    "f_score = 6",
    "m_score = null",
    "m_score = coalesce(m_score, 1)",
    "support_contacts_28d = -1",
    "searches_28d = null",
    "last_nps_score = 11",
    "last_nps_score = null",
    "days_since_last_nps = -1",
]


def test_every_singular_test_of_these_layers_is_tried():
    folder = Path(__file__).parents[1] / "singular"
    written = {file.stem for layer in ("int", "stg", "raw") for file in folder.glob(f"assert_{layer}_*.sql")}
    assert written == set(SINGULAR_TESTS)
    assert {test for test, _, _ in SPOILT} | {AGREE} == written


def test_all_singular_tests_pass_on_what_is_right(warehouse):
    assert {test: warehouse.failures(test) for test in SINGULAR_TESTS} == {test: [] for test in SINGULAR_TESTS}


@pytest.mark.parametrize(("test", "model", "wrong"), SPOILT)
def test_a_singular_test_fails_where_its_invariant_is_broken(warehouse, test, model, wrong):
    warehouse.spoil(model, wrong)
    if model.startswith("stg_generic__"):
        warehouse.create(warehouse.node("fct_input_health"))
    assert warehouse.failures(test) != []


@pytest.mark.parametrize("wrong", WRONG_METRICS)
def test_metrics_that_contradict_each_other_are_found(warehouse, wrong):
    warehouse.connection.execute(f"update intermediate.int_user_metrics set {wrong}")
    assert warehouse.failures(AGREE) != []


# No value stops a run -----------------------------------------------------------------------------------------------

ODD_TIMES = ["-infinity", "infinity", "290000-01-01 (BC)", "200000-01-01", "294247-01-10 04:00:54", "0001-01-01", ""]


@pytest.mark.parametrize("odd", ODD_TIMES)
@pytest.mark.parametrize("column", ["event_at", "received_at", "both"])
def test_a_time_that_no_calendar_has_is_no_time(compiled, odd, column):
    warehouse, settings = compiled.warehouse()
    row = event("odd", "2024-06-10 09:00:00", user_id="u2")
    row |= dict.fromkeys(("event_at", "received_at") if column == "both" else (column,), odd)
    raw = replace(INPUT, events=[*EVENTS, row])
    warehouse.build(raw, [AS_OF])
    rejected = warehouse.rows("select rejection_reason from staging.stg_generic__rejected_events")
    assert [reason for (reason,) in rejected] == [r for e in raw.events if (r := rejection_reason(e, settings))]
    assert warehouse.metrics(AS_OF) == user_metrics(raw, AS_OF, settings)


def test_an_answer_and_a_user_at_no_time_do_no_harm(compiled):
    warehouse, settings = compiled.warehouse()
    answer = {**ANSWERS[0], "feedback_id": "f2", "submitted_at": "-infinity", "score": "1"}
    user = dict.fromkeys(TABLES["users"]) | {"user_id": "u1", "updated_at": "infinity", "plan": "free"}
    raw = replace(INPUT, feedback=[*ANSWERS, answer], users=[user])
    warehouse.build(raw, [AS_OF])
    assert warehouse.metrics(AS_OF) == user_metrics(raw, AS_OF, settings)


def test_a_million_in_a_foreign_currency_is_converted(compiled):
    warehouse, settings = compiled.warehouse()
    raw = replace(
        INPUT,
        events=[event("e1", "2024-06-10 10:00:00", event_name="buy", revenue="950000", currency="EUR")],
        exchange_rates=[{"currency": "EUR", "day": "2024-06-10", "rate": "1.09"}],
    )
    warehouse.build(raw, [AS_OF])
    assert warehouse.metrics(AS_OF)["u1"]["revenue_28d"] == Decimal("1035500.0000")
    assert warehouse.metrics(AS_OF) == user_metrics(raw, AS_OF, settings)


@pytest.mark.parametrize("revenue", ["90000000000000", "-90000000000000", "900000000000"])
@pytest.mark.parametrize("rate", [None, "1.5", "9999999999"])
def test_amounts_beyond_all_money_do_not_stop_a_run(compiled, revenue, rate):
    warehouse, settings = compiled.warehouse()
    huge = {"event_name": "buy", "revenue": revenue, "currency": "EUR" if rate else None, "user_id": "u2"}
    # Twice in a half hour, and on another day: the sums are larger than each.
    times = ["2024-06-10 09:00:00", "2024-06-10 09:01:00", "2024-06-07 09:00:00"]
    raw = replace(
        INPUT,
        events=[*EVENTS, *(event(f"huge {at}", at, **huge) for at in times)],
        exchange_rates=[{"currency": "EUR", "day": "2024-06-10", "rate": rate}] if rate else [],
    )
    warehouse.build(raw, [AS_OF])
    found, expected = warehouse.metrics(AS_OF), user_metrics(raw, AS_OF, settings)
    # How much u2 paid is nobody's guess; how often, and everybody else's numbers, are as ever.
    assert found["u2"]["purchase_days_lifetime"] == 3
    scores = ("m_score",)
    assert {k: v for k, v in found["u1"].items() if k not in scores} == {
        k: v for k, v in expected["u1"].items() if k not in scores
    }


@pytest.mark.parametrize(
    "text", ["o'clock", 'say "hi"', "two\nlines", "\U0001f6d2\U0001f468‍\U0001f469‍\U0001f467", "ß", "x" * 1_000_000]
)
def test_any_text_goes_through_unharmed(compiled, text):
    warehouse, _ = compiled.warehouse()
    row = event("text " + text[:50], "2024-06-10 09:00:00", user_id=text[:50], properties=text, channel=text[:50])
    warehouse.build(replace(INPUT, events=[row]), [AS_OF])
    assert warehouse.rows("select properties from intermediate.int_events") == [(text,)]
    assert warehouse.metrics(AS_OF)[text[:50]]["channel"] == text[:50]


# Nothing depends on the machine, or on the future -------------------------------------------------------------------


def test_sessions_do_not_depend_on_how_threads_order_what_begins_together(compiled):
    # Each of 200,000 people: 10:00 alone, then three spans that begin together at 12:00, then 15:00. Where a window
    # sorts the three one way and the next window another, 12:00 ends up in the session of 10:00.
    people = 200_000
    warehouse = Warehouse(compiled.manifest("UTC"))
    warehouse.connection.execute("set threads = 4")
    warehouse.spoil(
        "int_person_half_hours",
        f"""
        select
            date '2024-06-10' as as_of_date, person as person_key, 1 as device_key, date '2024-06-10' as event_date,
            0 as days_ago, 1 as events,
            timestamp '2024-06-10 10:00:00' + to_minutes(span.begins) as first_activity_at,
            timestamp '2024-06-10 10:00:00' + to_minutes(span.ends) as last_activity_at
        from range({people}) as everybody (person)
        cross join (values (0, 0), (120, 120), (120, 140), (120, 125), (300, 300)) as span (begins, ends)
        order by hash(person, span.begins, span.ends)
        """,
    )
    found = warehouse.rows("select seconds, events, count(*) from intermediate.int_sessions group by all order by all")
    assert found == [(0, 1, 2 * people), (1200, 3, people)]


def test_the_key_of_a_persons_day_tells_of_every_column(warehouse):
    # A column that is missing in it would be kept in int_user_totals after it changed.
    columns = {name for name, *_ in warehouse.rows("describe intermediate.int_user_days")}
    (inside,) = re.findall(r"hash\(([^()]*)\) as row_key", warehouse.node("int_user_days")["compiled_code"])
    # The version stands for whose it is, on which device and from when to when.
    of_the_version = {"person_key", "device_key", "known_from", "known_to"}
    assert {name.strip() for name in inside.split(",")} == columns - of_the_version - {"row_key"}


def read(path: Path) -> list[Row]:
    """The rows of a CSV file, None where a value is empty."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: value or None for name, value in row.items()} for row in csv.DictReader(file, strict=True)]


def known_by(rows: list[Row], column: str, as_of: date) -> list[Row]:
    """The rows whose time is none or lies not after the end of the as-of date (UTC)."""
    end = datetime.combine(as_of, datetime.max.time())
    return [row for row in rows if (moment_of(row[column]) or end) <= end]


def test_what_happens_later_changes_no_metric(compiled, project):
    warehouse, _ = compiled.warehouse()
    folder, as_of = project / "seeds" / "sample", date(2024, 4, 4)
    everything = Raw(
        **{name: read(folder / f"{name}.csv") for name in ("events", "users", "aliases", "feedback", "exchange_rates")},
        event_taxonomy=read(project / "seeds" / "event_taxonomy.csv"),
    )
    by_then = replace(
        everything,
        events=known_by(everything.events, "event_at", as_of),
        users=known_by(everything.users, "updated_at", as_of),
        aliases=known_by(everything.aliases, "aliased_at", as_of),
        feedback=known_by(everything.feedback, "submitted_at", as_of),
    )
    assert len(by_then.events) < len(everything.events) and len(by_then.aliases) < len(everything.aliases)
    warehouse.build(everything, [as_of])
    found = warehouse.metrics(as_of)
    warehouse.build(by_then, [as_of])
    assert len(found) > 300
    assert warehouse.metrics(as_of) == found


def test_dates_evaluated_together_give_what_each_gives_alone(compiled):
    warehouse, settings = compiled.warehouse()
    dates = [date(2024, 5, 31), date(2024, 6, 1), date(2024, 6, 8), AS_OF, date(2025, 6, 11)]
    warehouse.build(INPUT, dates)
    together = {as_of: warehouse.metrics(as_of) for as_of in dates}
    for as_of in dates:
        warehouse.build(INPUT, [as_of])
        assert warehouse.metrics(as_of) == together[as_of] == user_metrics(INPUT, as_of, settings)
    assert [len(found) for found in together.values()] == [0, 1, 2, 3, 3]
