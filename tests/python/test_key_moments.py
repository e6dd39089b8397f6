"""Key moments: each counted by hand at its boundaries, days against plain Python that looks at every day, the segment
at the time. The SQL is the project's own, as dbt compiles it.

The examples are the same on every run; HYPOTHESIS_PROFILE=explore tries others, and more of them.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import hypothesis
import pytest
from compiled_project import CompiledProject, Warehouse, event_rows
from hypothesis import strategies as st
from reference import Raw
from test_metrics_reference import profile

TAXONOMY = [
    {"event_name": "view", "event_type": "page_view", "is_activity": "true"},
    {"event_name": "join", "event_type": "sign_up", "is_activity": "true"},
    {"event_name": "enter", "event_type": "login", "is_activity": "true"},
    {"event_name": "cook", "event_type": "core_action", "is_activity": "true"},
    {"event_name": "buy", "event_type": "purchase", "is_activity": "true"},
    {"event_name": "mail", "event_type": "message_sent", "is_activity": "false"},
]
USER_COLUMNS = ("user_id", "updated_at", "signed_up_at", "plan", "country", "language", "channel", "birth_year")
# Who did what, and when.
Event = tuple[str, str, str]
# A moment: its day, its time or None, and the days since the sign-up or None.
Moment = tuple[str, str | None, int | None]


class KeyMoments:
    """The models that fct_key_moments is made of, in a DuckDB in memory, with a history of the test's own."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def build(
        self, events: list[Event], as_of: str, users: list[dict] | None = None, history: tuple[list, list] = ([], [])
    ) -> dict[tuple[str, str], Moment]:
        """The moments by user and name."""
        said = [dict.fromkeys(USER_COLUMNS) | row for row in users or []]
        raw = Raw(events=event_rows(events), users=said, event_taxonomy=TAXONOMY)
        self.warehouse.connection.execute("delete from runs.evaluations")
        self.warehouse.build(raw, [date.fromisoformat(day) for day in as_of.split()])
        self.warehouse.put_history(*history)
        for name in ("int_evaluated_segments", "int_segment_spells", "int_spell_segments", "fct_key_moments"):
            self.warehouse.create(self.warehouse.node(name))
        found = self.warehouse.rows(
            "select user_id, moment, moment_date, moment_at, days_since_sign_up from marts.fct_key_moments"
        )
        assert len({row[:2] for row in found}) == len(found)
        return {
            (user, moment): (str(day), str(at) if at else None, days) for user, moment, day, at, days in found
        }


@pytest.fixture(scope="module")
def compiled(dbt, clean_env) -> CompiledProject:
    """The project's SQL, ready to run in any time zone."""
    return CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]), ("fct_key_moments",))


@pytest.fixture(scope="module")
def moments(compiled) -> KeyMoments:
    """Days in UTC."""
    return KeyMoments(compiled.warehouse()[0])


def visits(days: list[str], name: str = "view", user: str = "ann") -> list[Event]:
    """An event at ten on each of the days."""
    return [(user, name, f"{day} 10:00:00") for day in days]


def days_of(found: dict[tuple[str, str], Moment], user: str = "ann") -> dict[str, str]:
    """The day of each moment of a user."""
    return {moment: day for (whose, moment), (day, *_) in found.items() if whose == user}


# Events.


def test_moments_that_are_events(moments):
    events = [
        ("ann", "mail", "2024-06-01 08:00:00"),
        ("ann", "enter", "2024-06-02 09:59:59.999999"),
        ("ann", "join", "2024-06-02 10:00:00"),
        ("ann", "join", "2024-06-03 10:00:00"),
        ("ann", "enter", "2024-06-04 10:00:00"),
        ("ann", "enter", "2024-06-05 10:00:00"),
        ("ann", "cook", "2024-06-07 23:59:59.999999"),
        ("ann", "cook", "2024-06-08 10:00:00"),
        ("ann", "buy", "2024-06-01 12:00:00"),
        ("ann", "buy", "2024-06-09 12:00:00"),
        ("ann", "buy", "2024-06-09 13:00:00"),
        ("bob", "buy", "2024-06-09 12:00:00"),
        ("bob", "buy", "2024-06-09 12:00:00"),
        ("bob", "enter", "2024-06-09 12:00:00"),
        # Never active: not in dim_users, and not here.
        ("cid", "mail", "2024-06-09 12:00:00"),
    ]
    assert moments.build(events, "2024-06-10") == {
        ("ann", "first_seen"): ("2024-06-01", "2024-06-01 08:00:00", -1),
        ("ann", "signed_up"): ("2024-06-02", "2024-06-02 10:00:00", 0),
        ("ann", "first_login_after_sign_up"): ("2024-06-04", "2024-06-04 10:00:00", 2),
        ("ann", "activated"): ("2024-06-07", "2024-06-07 23:59:59.999999", 5),
        ("ann", "first_purchase"): ("2024-06-01", "2024-06-01 12:00:00", -1),
        ("ann", "second_purchase"): ("2024-06-09", "2024-06-09 12:00:00", 7),
        # Active on the 1st (buy), 2nd, 3rd and 4th.
        ("ann", "monthly_activity_threshold"): ("2024-06-04", None, 2),
        # Two purchases in one instant are two; a login without a sign-up comes after none.
        ("bob", "first_seen"): ("2024-06-09", "2024-06-09 12:00:00", None),
        ("bob", "first_purchase"): ("2024-06-09", "2024-06-09 12:00:00", None),
        ("bob", "second_purchase"): ("2024-06-09", "2024-06-09 12:00:00", None),
    }


def test_what_the_application_says_of_the_sign_up_counts_as_in_force(moments):
    events = [
        ("ann", "join", "2024-06-02 10:00:00"),
        ("ann", "enter", "2024-06-03 10:00:00"),
        ("ann", "enter", "2024-06-01 10:00:00"),
        ("bob", "join", "2024-06-02 10:00:00"),
        ("cid", "join", "2024-06-02 10:00:00"),
    ]
    users = [
        {"user_id": "ann", "signed_up_at": "2024-06-01 10:00:00", "updated_at": "2024-06-02 10:00:00"},
        # Said after the as-of date.
        {"user_id": "ann", "signed_up_at": "2024-05-01 10:00:00", "updated_at": "2024-06-11 00:00:00"},
        # A day that is still to come, and a record that says nothing of it.
        {"user_id": "bob", "signed_up_at": "2024-06-11 00:00:00"},
        {"user_id": "cid", "plan": "free"},
        {"user_id": "nobody", "signed_up_at": "2024-06-01 10:00:00"},
    ]
    found = moments.build(events, "2024-06-10", users)
    assert found["ann", "signed_up"] == ("2024-06-01", "2024-06-01 10:00:00", 0)
    # In the instant of the sign-up.
    assert found["ann", "first_login_after_sign_up"] == ("2024-06-01", "2024-06-01 10:00:00", 0)
    assert found["bob", "signed_up"] == found["cid", "signed_up"] == ("2024-06-02", "2024-06-02 10:00:00", 0)
    assert {user for user, _ in found} == {"ann", "bob", "cid"}
    found = moments.build(events, "2024-06-11", users)
    assert found["ann", "signed_up"] == ("2024-05-01", "2024-05-01 10:00:00", 0)
    assert found["ann", "first_seen"] == ("2024-06-01", "2024-06-01 10:00:00", 31)
    assert found["bob", "signed_up"] == ("2024-06-11", "2024-06-11 00:00:00", 0)


def test_days_of_23_and_25_hours(compiled):
    """Berlin: 31 March 2024 ends at 22:00 UTC, 27 October at 23:00."""
    berlin = KeyMoments(compiled.warehouse("Europe/Berlin")[0])
    events = [
        ("ann", "join", "2024-03-31 21:59:59.999999"),
        ("ann", "cook", "2024-03-31 22:00:00"),
        ("bob", "join", "2024-10-26 22:00:00"),
        ("bob", "cook", "2024-10-27 22:59:59.999999"),
        ("bob", "buy", "2024-10-27 23:00:00"),
    ]
    found = berlin.build(events, "2024-10-28")
    assert found["ann", "signed_up"] == ("2024-03-31", "2024-03-31 21:59:59.999999", 0)
    assert found["ann", "activated"] == ("2024-04-01", "2024-03-31 22:00:00", 1)
    assert found["bob", "activated"] == ("2024-10-27", "2024-10-27 22:59:59.999999", 0)
    assert found["bob", "first_purchase"] == ("2024-10-28", "2024-10-27 23:00:00", 1)


# Days.


@pytest.mark.parametrize(
    ("days", "as_of", "expected"),
    [
        # Three days in three weeks, a week apart: on the third.
        (["06-01", "06-08", "06-15"], "06-30", "06-15"),
        (["06-01", "06-08", "06-15"], "06-14", None),
        # The 8th and the 9th are in one week until the 15th, on which nothing was cooked.
        (["06-01", "06-08", "06-09"], "06-15", "06-15"),
        (["06-01", "06-08", "06-09"], "06-14", None),
        # Three days in a row lie in two weeks at most, wherever these begin.
        (["06-01", "06-02", "06-03"], "06-30", None),
        # Four weeks of 7 days: from the 1st to the 28th, not to the 29th.
        (["06-01", "06-15", "06-28"], "06-30", "06-28"),
        (["06-01", "06-15", "06-29"], "06-30", None),
        (["06-01", "06-14", "06-28"], "06-30", "06-28"),
        (["06-01", "06-09", "06-17"], "06-30", "06-17"),
        # Twice a day is one day.
        (["06-01", "06-01", "06-08", "06-08"], "06-30", None),
        # The first of several.
        (["03-01", "03-08", "03-15", "06-01", "06-08", "06-15"], "06-30", "03-15"),
    ],
)
def test_habit(moments, days, as_of, expected):
    found = days_of(moments.build(visits([f"2024-{day}" for day in days], "cook"), f"2024-{as_of}"))
    assert found.get("habit") == (f"2024-{expected}" if expected else None)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (["06-01", "06-02", "06-03", "06-04", "06-05"], "06-04"),
        (["06-01", "06-02", "06-03"], None),
        # Four days, in two months; then four in one.
        (["05-30", "05-31", "06-01", "06-02"], None),
        (["05-30", "05-31", "06-01", "06-02", "06-03", "06-30"], "06-30"),
        (["06-01", "06-01", "06-01", "06-01"], None),
        (["04-01", "04-02", "04-03", "04-30", "06-01", "06-02", "06-03", "06-04"], "04-30"),
    ],
)
def test_monthly_activity_threshold(moments, days, expected):
    found = days_of(moments.build(visits([f"2024-{day}" for day in days]), "2024-06-30"))
    assert found.get("monthly_activity_threshold") == (f"2024-{expected}" if expected else None)


@pytest.mark.parametrize(
    ("days", "as_of", "dormant", "came_back"),
    [
        # 30 days after 1 April is 1 May.
        (["04-01"], "04-30", None, None),
        (["04-01"], "05-01", "05-01", None),
        (["04-01"], "06-30", "05-01", None),
        # Who comes on that very day was never dormant, and still came back after 30 days; a day earlier is neither.
        (["04-01", "04-30"], "04-30", None, None),
        (["04-01", "05-01"], "05-01", None, "05-01"),
        (["04-01", "05-02"], "05-02", "05-01", "05-02"),
        # The last time.
        (["01-01", "03-01", "03-02"], "03-31", "01-31", "03-01"),
        (["01-01", "03-01", "03-02"], "04-01", "04-01", "03-01"),
        (["01-01", "03-01", "05-01"], "05-02", "03-31", "05-01"),
    ],
)
def test_dormant_and_back(moments, days, as_of, dormant, came_back):
    events = [*visits([f"2024-{day}" for day in days]), ("ann", "mail", f"2024-{as_of} 09:00:00")]
    found = days_of(moments.build(events, f"2024-{as_of}"))
    assert found.get("went_dormant") == (f"2024-{dormant}" if dormant else None)
    assert found.get("came_back") == (f"2024-{came_back}" if came_back else None)


# The segment at the time.


def test_the_segment_is_what_the_history_holds_for_the_day_where_it_was_evaluated(moments):
    events = [("ann", "join", "2024-06-01 10:00:00"), ("ann", "buy", "2024-06-02 10:00:00")]
    events += [("ann", "cook", "2024-06-03 10:00:00")]
    stays = [
        ("ann", "lifecycle", "new", date(2024, 6, 1), date(2024, 6, 2)),
        ("ann", "lifecycle", "current", date(2024, 6, 2), None),
        ("ann", "engagement", "light", date(2024, 6, 1), None),
        ("ann", "cart", "cart_abandoner", date(2024, 6, 1), None),
    ]
    evaluated = [
        (date(2024, 6, 1), "lifecycle", "new", 1),
        (date(2024, 6, 2), "lifecycle", "new", 1),
        (date(2024, 6, 2), "lifecycle", "current", 1),
        (date(2024, 6, 2), "engagement", "light", None),
        (date(2024, 6, 1), "cart", "cart_abandoner", 1),
    ]
    moments.build(events, "2024-06-04", history=(stays, evaluated))
    rows = moments.warehouse.rows("select moment, lifecycle, engagement from marts.fct_key_moments order by moment")
    assert rows == [
        # The 3rd was not evaluated; on the 2nd the other set was not defined.
        ("activated", None, None),
        ("first_purchase", "current", None),
        ("first_seen", "new", None),
        ("signed_up", "new", None),
    ]
    columns = [name for name, *_ in moments.warehouse.rows("describe marts.fct_key_moments")]
    assert "cart" not in columns and "geography_device" not in columns


def test_of_several_as_of_dates_the_latest_counts(moments):
    found = moments.build(visits(["2024-04-01", "2024-05-05"], "buy"), "2024-04-02 2024-05-04 2024-05-05")
    assert days_of(found) == {
        "first_seen": "2024-04-01",
        "first_purchase": "2024-04-01",
        "second_purchase": "2024-05-05",
        "went_dormant": "2024-05-01",
        "came_back": "2024-05-05",
    }


def test_in_the_sample_dormant_and_resurrected_are_those_of_the_lifecycle(built_sample):
    with duckdb.connect(str(built_sample), read_only=True) as sample:
        # The first run evaluates the latest day alone: whoever came to one of the two on it.
        query = (
            "select lifecycle, count(*) from marts.fct_key_moments where moment = '{}' and moment_date = "
            "(select max(as_of_date) from marts.dim_users) group by all"
        )
        assert [row[0] for row in sample.execute(query.format("went_dormant")).fetchall()] == ["dormant"]
        assert [row[0] for row in sample.execute(query.format("came_back")).fetchall()] == ["resurrected"]
        seen = "select user_id from marts.fct_key_moments where moment = 'first_seen' order by 1"
        users = sample.execute("select user_id from marts.dim_users order by 1").fetchall()
        assert sample.execute(seen).fetchall() == users and len(users) > 500
        names = "select count(distinct moment) from marts.fct_key_moments"
        assert sample.execute(names).fetchone() == (10,)


# Against plain Python that asks of every day what was true on it.


def expected_days(active: set[date], cooked: set[date], as_of: date) -> dict[str, date]:
    """The moments that are days, looked for from the first day to the last."""
    found: dict[str, date] = {}
    days = [min(active) + timedelta(days=number) for number in range((as_of - min(active)).days + 1)]
    before = None
    for day in days:
        weeks = sum(any(day - timedelta(days=7 * week + back) in cooked for back in range(7)) for week in range(4))
        if weeks >= 3:
            found.setdefault("habit", day)
        if day in active:
            if sum(day.replace(day=1) <= other <= day for other in active) == 4:
                found.setdefault("monthly_activity_threshold", day)
            if before and (day - before).days >= 30:
                found["came_back"] = day
            before = day
        elif before and (day - before).days == 30:
            found["went_dormant"] = day
    return found


def test_any_days(moments):
    chosen = st.sets(st.integers(0, 120), min_size=1, max_size=14)

    @hypothesis.settings(profile, max_examples=max(15, profile.max_examples // 2))
    @hypothesis.given(st.lists(st.tuples(chosen, st.sets(st.integers(0, 40), max_size=10)), min_size=4, max_size=8))
    def agree(people: list[tuple[set[int], set[int]]]) -> None:
        first, as_of = datetime(2023, 12, 1), date(2024, 4, 10)
        events, expected = [], {}
        for number, (seen, cooked) in enumerate(people):
            user = f"u{number}"
            for name, numbers in (("view", seen), ("cook", cooked)):
                events += [(user, name, str(first + timedelta(days=one, hours=one % 24))) for one in numbers]
            dates = [{first.date() + timedelta(days=one) for one in numbers} for numbers in (seen | cooked, cooked)]
            expected |= {(user, name): str(day) for name, day in expected_days(*dates, as_of).items()}
        found = moments.build(events, str(as_of))
        assert {key: day for key, (day, at, _) in found.items() if at is None} == expected

    agree()
