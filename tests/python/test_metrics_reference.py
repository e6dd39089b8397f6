"""Every column of int_user_metrics, for every user, is what an independent reference in plain Python says: on the
sample, and on inputs that hypothesis makes up around the boundaries of time, identity and money.

The examples are the same on every run; HYPOTHESIS_PROFILE=explore tries others, and more of them.
"""

from __future__ import annotations

import csv
import math
import os
import random
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import hypothesis
import pytest
from compiled_project import CompiledProject, Warehouse
from hypothesis import strategies as st
from reference import (
    EVENT_COLUMNS,
    Raw,
    Row,
    Settings,
    clean_events,
    deduplicated,
    rejection_reason,
    user_metrics,
)

# New York changes its clocks, Kathmandu is 5 hours and 45 minutes ahead: its days begin inside a half hour of UTC.
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu")

repeatable = hypothesis.settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=36,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.data_too_large,
        hypothesis.HealthCheck.large_base_example,
    ],
)
hypothesis.settings.register_profile("repeatable", repeatable)
hypothesis.settings.register_profile("explore", repeatable, derandomize=False, max_examples=500)
profile = hypothesis.settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


# What is compared ---------------------------------------------------------------------------------------------------


def differences(expected: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]]) -> list[tuple]:
    """Every (user, column, expected, found) that is not equal; floating averages to 1e-9."""
    different = [(user, "is in", user in expected, user in found) for user in expected.keys() ^ found.keys()]
    for user in expected.keys() & found.keys():
        for column in expected[user].keys() | found[user].keys():
            left, right = expected[user].get(column, "no such column"), found[user].get(column, "no such column")
            both_float = isinstance(left, float) and isinstance(right, float)
            if left != right and not (both_float and math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)):
                different.append((user, column, left, right))
    return sorted(different, key=str)


def read(path: Path) -> list[Row]:
    """The rows of a CSV file, None where a value is empty."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: value or None for name, value in row.items()} for row in csv.DictReader(file, strict=True)]


@pytest.fixture(scope="module")
def sample(project) -> Raw:
    """The raw rows of the sample."""
    folder = project / "seeds" / "sample"
    tables = {name: read(folder / f"{name}.csv") for name in ("events", "users", "aliases", "feedback")}
    return Raw(
        **tables,
        exchange_rates=read(folder / "exchange_rates.csv"),
        event_taxonomy=read(project / "seeds" / "event_taxonomy.csv"),
    )


@pytest.fixture(scope="module")
def compiled(dbt, clean_env) -> CompiledProject:
    """The project's SQL, ready to run in any time zone."""
    return CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]))


# The sample ---------------------------------------------------------------------------------------------------------


def test_the_sample_as_built_equals_the_reference(built_sample, sample):
    with duckdb.connect(str(built_sample), read_only=True) as warehouse:
        as_of = warehouse.execute("select max(as_of_date) from intermediate.int_user_metrics").fetchone()[0]
        found = warehouse.execute("select * exclude (as_of_date) from intermediate.int_user_metrics")
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row)) for row in found.fetchall()]
    settings = Settings()
    assert as_of == max(settings.day(row["event_at"]) for row in deduplicated(sample, settings))
    assert len(rows) > 500
    assert differences(user_metrics(sample, as_of, settings), {row.pop("user_id"): row for row in rows}) == []


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_the_sample_at_an_earlier_date_equals_the_reference(compiled, sample, zone):
    warehouse, settings = compiled.warehouse(zone)
    # In the middle of the alias chain of the sample, and of its days: events, users and answers lie behind it.
    as_of = date(2024, 4, 4)
    warehouse.build(sample, [as_of])
    expected = user_metrics(sample, as_of, settings)
    assert len(expected) > 300
    assert differences(expected, warehouse.metrics(as_of)) == []


# Made-up inputs -----------------------------------------------------------------------------------------------------

TAXONOMY = [
    {"event_name": name, "event_type": kind, "is_activity": is_activity}
    for name, kind, is_activity in [
        ("view", "page_view", "true"),
        ("search", "search", None),
        ("cart", "add_to_cart", "true"),
        ("silent cart", "add_to_cart", "FALSE"),
        ("checkout", "checkout_start", "true"),
        ("buy", "purchase", "false"),
        ("refund", "refund", "true"),
        ("mail", "message_sent", "true"),
        ("opened", "message_opened", "false"),
        ("help", "support_view", "true"),
        ("call", "support_contact", "true"),
        ("oops", "error", "false"),
        ("read", "content_view", "true"),
        ("joined", "sign_up", "true"),
        ("began", "core_start", None),
        ("did", "core_action", "true"),
        ("did by itself", "core_action", "false"),
        ("left alone", "unsubscribe", "false"),
        ("invited", "referral", "true"),
    ]
]
NAMES = [row["event_name"] for row in TAXONOMY] + ["not in the taxonomy"]
# Weight on what sessions and purchases are made of, and on what follows each other.
EVENT_NAMES = NAMES + ["view", "buy", "buy", "buy", "cart", "cart", "checkout", "checkout", "read", "read", "search"]
MICROSECOND, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
# Days before the as-of date, one on each side of the windows' edges, and days after it.
DAYS_AGO = [0, 1, 2, 5, 6, 7, 8, 13, 14, 20, 21, 26, 27, 28, 89, 90, 364, 365, 400, -1]
# Times of a local day, around midnight and around the half hours; and what lies between two events.
TIMES = [timedelta(0), -15 * MINUTE, 15 * MINUTE, 120 * MINUTE, 180 * MINUTE, 720 * MINUTE, 1410 * MINUTE]
STEPS = [
    timedelta(0), timedelta(0), MICROSECOND, -MICROSECOND, 15 * MINUTE, 30 * MINUTE, 30 * MINUTE + MICROSECOND,
    60 * MINUTE,
]  # fmt: skip
# When an event was received, seen from when it happened.
DELAYS = [
    None, timedelta(0), timedelta(0), timedelta(hours=1), timedelta(days=3), -timedelta(days=1),
    -timedelta(days=1) - MICROSECOND, "no time",
]  # fmt: skip
# The change to summer time of New York, the change back, a leap day, the turn of a year.
ANCHORS = [date(2024, 3, 10), date(2024, 11, 3), date(2024, 2, 29), date(2025, 1, 1)]
# Who: mostly one of two users with devices that they share, so that much happens to the same person.
WHO = [
    ("u1", "d1"), ("u1", "d1"), ("u1", None), ("u2", "d1"), ("u3", "d1"), (None, "d1"), (None, "d1"), (None, "d2"),
    ("u2", "d2"), (None, None),
]  # fmt: skip
# Device type, country, language, channel.
SHOWN = [
    (None, None, None, None), (None, None, None, None), ("mobile", "de", "DE", "ads"), ("Tablet", "FR", "fr", "direct"),
    ("desktop", "de", None, "direct"), ("desktop", None, "en", "ads"), ("tv", "", "", ""),
]  # fmt: skip
REVENUES = [
    (None, None), ("10", None), ("10.00005", "USD"), ("-3.5", "usd"), ("7.25", "eur"), ("3", "EUR"), ("5", ""),
    # XXX is what ISO 4217 calls no currency: there is no rate for it.
    ("2", "XXX"), ("ten", None), ("0", None),
]  # fmt: skip
# What they viewed and bought, and what they searched for: mostly one term, or no ten people would share it.
CATEGORIES = ["soup", "soup", "Soup", "pie", None, ""]
TERMS = ["vegan"] * 6 + [" VEGAN ", "Vegan\t\n soup", "vegan soup", "crème", " ", "", None]


def written(draw: Callable, moment: datetime) -> str:
    """A time as one of the collectors writes it."""
    form = draw(st.sampled_from(["Z", "", "+05:45", "-03:00"]))
    if form in ("Z", ""):
        return moment.isoformat(sep="T" if form else " ") + form
    offset = timedelta(hours=5, minutes=45) if form == "+05:45" else -timedelta(hours=3)
    return (moment + offset).isoformat() + form


@st.composite
def moments(draw: Callable, zone: str, as_of: date, days_ago: list[int], times: list[timedelta]) -> datetime:
    """A UTC time on one of these days, by the clocks of the zone, near one of these times of the day."""
    day = as_of - timedelta(days=draw(st.sampled_from(days_ago)))
    midnight = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(timezone.utc).replace(tzinfo=None)
    return midnight + draw(st.sampled_from(times)) + draw(st.sampled_from(STEPS))


@st.composite
def happenings(draw: Callable, moment: st.SearchStrategy[datetime], number: int, before: list[dict]) -> dict:
    """An event and its time; every other one follows one from before, on the heels of it or in the same instant."""
    if before and draw(st.booleans()):
        event = dict(draw(st.sampled_from(before)))
        event["at"] += draw(st.sampled_from(STEPS))
        changed = draw(st.sampled_from(["nothing", "who", "shown"]))
    else:
        event, changed = {"at": draw(moment)}, "all"
    if changed in ("who", "all"):
        event["user_id"], event["anonymous_id"] = draw(st.sampled_from(WHO))
    if changed in ("shown", "all"):
        shown = draw(st.sampled_from(SHOWN))
        event |= dict(zip(("device_type", "country", "language", "channel"), shown))
    event["event_id"] = draw(st.sampled_from([f"e{number}"] * 8 + ["shared 1", "shared 2"]))
    event["event_name"] = draw(st.sampled_from(EVENT_NAMES))
    event["item_category"] = draw(st.sampled_from(CATEGORIES)) if event["event_name"] in ("read", "buy") else None
    event["search_query"] = draw(st.sampled_from(TERMS)) if event["event_name"] == "search" else None
    event["revenue"], event["currency"] = (
        draw(st.sampled_from(REVENUES)) if event["event_name"] in ("buy", "refund") else (None, None)
    )
    return event


def sent(draw: Callable, event: dict) -> Row:
    """The raw row of an event; one of many is no good."""
    delay = draw(st.sampled_from(DELAYS))
    row = dict.fromkeys(EVENT_COLUMNS) | event
    at = row.pop("at")
    row["event_at"] = written(draw, at)
    row["received_at"] = written(draw, at + delay) if isinstance(delay, timedelta) else delay
    spoilt = draw(st.sampled_from([None] * 20 + ["event_id", "event_name", "event_at", "everything"]))
    if spoilt == "everything":
        return dict.fromkeys(EVENT_COLUMNS)
    if spoilt:
        row[spoilt] = draw(st.sampled_from([None, "", "never"] if spoilt == "event_at" else [None, ""]))
    return row


def some(draw: Callable, row: dict[str, list | st.SearchStrategy]) -> list[Row]:
    """Up to five rows, each value one of those listed."""
    return [
        {
            name: draw(st.sampled_from(values)) if isinstance(values, list) else draw(values)
            for name, values in row.items()
        }
        for _ in range(draw(st.sampled_from([5, 3, 1, 0])))
    ]


@st.composite
def households(draw: Callable, zone: str, as_of: date, number: int) -> Raw:
    """A few people who share devices, and what the tables say of them. No id of theirs is in another household."""
    # Few days and times, or events would hardly ever meet.
    days_ago = [0] + draw(st.lists(st.sampled_from(DAYS_AGO), min_size=2, max_size=4))
    times = draw(st.lists(st.sampled_from(TIMES), min_size=1, max_size=2))
    moment = moments(zone, as_of, days_ago, times)
    text = st.builds(lambda at: at and at.isoformat() + "Z", st.one_of(moment, moment, st.none()))

    happened: list[dict] = []
    for n in range(draw(st.sampled_from([20, 20, 10, 5, 1]))):
        happened.append(draw(happenings(moment, n, happened)))
    rows = [sent(draw, event) for event in happened]
    # Deliveries repeated: as they were, or with another value in them.
    for _ in range(draw(st.sampled_from([3, 1, 0]))):
        again = dict(draw(st.sampled_from(happened)))
        changed = draw(st.sampled_from(["nothing", "event_name", "country", "at"]))
        if changed == "at":
            again["at"] += draw(st.sampled_from(STEPS))
        elif changed != "nothing":
            again[changed] = draw(st.sampled_from(EVENT_NAMES if changed == "event_name" else ["FR", "DE", None]))
        rows.append(sent(draw, again))
    users = some(
        draw,
        {
            "user_id": ["u1", "u1", "u2", "u3", ""],
            "updated_at": text,
            "signed_up_at": st.one_of(text, st.just("never")),
            "plan": [None, "", "free", "pro"],
            "country": [None, "de", "FR"],
            "language": [None, "EN", "fr"],
            "channel": [None, "ads", "direct"],
        },
    )
    feedback = some(
        draw,
        {
            "feedback_id": ["f1", "f2", "f3", "f4", None],
            "user_id": ["u1", "u1", "u1", "u2", None],
            "kind": ["nps", "nps", "NPS", "nps", "csat", None],
            "score": ["0", "6", "10", "11", "-1", None, "good"],
            "submitted_at": text,
        },
    )
    # An alias leads to a later name, so that none leads in a circle.
    pairs = [("u1", "u2"), ("u1", "u3"), ("u1", "u4"), ("u2", "u3"), ("u3", "u4"), ("u1", "u1"), ("anon:d1", "u1")]
    aliases = [
        {"previous_id": pair[0], "user_id": pair[1], "aliased_at": draw(text)}
        for pair in draw(st.lists(st.sampled_from(pairs), max_size=5))
    ]
    rates = [
        {"currency": "eur", "day": (as_of - timedelta(days=days)).isoformat(), "rate": rate}
        for days, rate in zip(days_ago, draw(st.permutations(["1.1", "1.33335", "0", "-1", "much"])))
    ]
    for row in (row for table in (rows, users, feedback, aliases) for row in table):
        for name in ("event_id", "user_id", "anonymous_id", "previous_id", "feedback_id"):
            row.update({name: f"{row[name]}.{number}"} if row.get(name) else {})
    return Raw(rows, users, aliases, feedback, rates)


@st.composite
def inputs(draw: Callable, zone: str) -> tuple[Raw, list[date]]:
    """The rows of all tables, and three as-of dates. A run of the SQL costs the same for one household and for six."""
    as_of = draw(st.sampled_from(ANCHORS))
    homes = [draw(households(zone, as_of, number)) for number in range(draw(st.sampled_from([6, 6, 6, 3, 1])))]
    tables = {name: [row for home in homes for row in getattr(home, name)] for name in vars(homes[0])}
    as_of_dates = [as_of, as_of - timedelta(days=1), as_of - timedelta(days=draw(st.sampled_from([2, 5, 7])))]
    return Raw(**tables | {"event_taxonomy": TAXONOMY}), as_of_dates


def shuffled(raw: Raw, seed: int) -> Raw:
    """The same rows in another order of arrival."""
    chance = random.Random(seed)
    return Raw(**{name: chance.sample(rows, len(rows)) for name, rows in vars(raw).items()})


def check(warehouse: Warehouse, settings: Settings, raw: Raw, as_of_dates: list[date]) -> None:
    """Asserts that the SQL and the reference agree on this input."""
    warehouse.build(raw, as_of_dates)
    for as_of in as_of_dates:
        assert differences(user_metrics(raw, as_of, settings), warehouse.metrics(as_of)) == []

    reasons = sorted(reason for row in raw.events if (reason := rejection_reason(row, settings)))
    rejected = warehouse.rows("select rejection_reason from staging.stg_generic__rejected_events order by 1")
    assert [reason for (reason,) in rejected] == reasons

    kept = sorted((event.id, event.day, event.at, event.type) for event in clean_events(raw, settings))
    in_sql = warehouse.rows("select event_id, event_date, event_at, event_type from intermediate.int_events")
    assert sorted(in_sql) == kept


@pytest.mark.parametrize("zone", ZONES)
def test_made_up_inputs_equal_the_reference(compiled, zone):
    warehouse, settings = compiled.warehouse(zone)

    @profile
    @hypothesis.given(inputs(zone))
    def agree(made_up: tuple[Raw, list[date]]) -> None:
        check(warehouse, settings, *made_up)

    agree()


def test_the_order_of_the_rows_changes_nothing(compiled):
    warehouse, _ = compiled.warehouse("America/New_York")

    @hypothesis.settings(profile, max_examples=profile.max_examples // 4)
    @hypothesis.given(inputs("America/New_York"), st.integers(0, 99))
    def agree(made_up: tuple[Raw, list[date]], seed: int) -> None:
        raw, as_of_dates = made_up
        warehouse.build(raw, as_of_dates)
        found = [warehouse.metrics(as_of) for as_of in as_of_dates]
        warehouse.build(shuffled(raw, seed), as_of_dates)
        # To the last bit: floating sums would depend on the order.
        assert [warehouse.metrics(as_of) for as_of in as_of_dates] == found

    agree()
