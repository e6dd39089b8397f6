"""Funnels: each rule at its boundary with numbers counted by hand, all attempts tried by plain Python on made-up
events, and the sample user by user. The SQL is the project's own, as dbt compiles it.

The examples are the same on every run; HYPOTHESIS_PROFILE=explore tries others, and more of them.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median

import duckdb
import hypothesis
import pytest
from compiled_project import CompiledProject, Warehouse
from hypothesis import strategies as st
from test_metrics_reference import profile

START = datetime(2024, 6, 1, 10)
AS_OF = date(2024, 6, 30)
# What the taxonomy would say of the names.
TYPES = {
    "seen": "content_view",
    "looked": "content_view",
    "put in": "add_to_cart",
    "paid": "purchase",
    "subscribed": "purchase",
    "waved": "other",
    # A name that is also the word of a type, which it is not of.
    "search": "other",
    "found": "search",
}
# Those that are tables, each after those that it reads.
MODELS = ("int_key_event_kinds", "int_funnel_states", "int_funnel_attempts", "fct_funnel")
# An event: its name, and how many seconds after START.
Event = tuple[str, float]
# The steps of a funnel, and its window in seconds.
Funnel = tuple[list[str], int]


@pytest.fixture(scope="module")
def warehouse(dbt, clean_env) -> Warehouse:
    """The models of funnels in a DuckDB in memory."""
    return CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]), ("fct_funnel",)).warehouse()[0]


def attempts(
    warehouse: Warehouse, funnels: dict[str, Funnel], people: dict[int, list[Event]]
) -> dict[tuple[str, int], list[float]]:
    """The attempt that counts of each person at each funnel: when each step was taken, in seconds after START."""
    run = warehouse.connection.execute
    for table in ("raw.funnels", "intermediate.int_key_events", "intermediate.int_people"):
        run(f"delete from {table}")
    run("delete from intermediate.int_as_of_dates")
    run("insert into intermediate.int_as_of_dates values (?)", [AS_OF])
    warehouse.insert(
        "raw.funnels (funnel, step, event, window_seconds)",
        (
            (name, str(number), event, str(window))
            for name, (steps, window) in funnels.items()
            for number, event in enumerate(steps, 1)
        ),
    )
    warehouse.insert(
        "intermediate.int_key_events (pair_key, event_date, event_at, event_name, event_type)",
        (
            (person, at.date(), at, name, TYPES[name])
            for person, events in people.items()
            for name, at in ((name, START + timedelta(seconds=seconds)) for name, seconds in events)
        ),
    )
    warehouse.insert(
        "intermediate.int_people (pair_key, person_key, user_id, known_from, known_to)",
        ((person, person, f"u{person}", date(2024, 1, 1), date(9999, 12, 31)) for person in people),
    )
    for name in MODELS:
        warehouse.create(warehouse.node(name))
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for funnel, person, step, at in warehouse.rows(
        "select funnel, person_key, step, step_at from intermediate.int_funnel_attempts order by all"
    ):
        found[funnel, person].append((at - START).total_seconds())
        assert len(found[funnel, person]) == step
    return dict(found)


def one(warehouse: Warehouse, steps: list[str], window: int, events: list[Event]) -> list[float]:
    """The attempt of one person at one funnel; empty where there is none."""
    return attempts(warehouse, {"f": (steps, window)}, {1: events}).get(("f", 1), [])


# Worked examples.

SHOP = ["content_view", "add_to_cart", "purchase"]


@pytest.mark.parametrize(
    ("steps", "window", "events", "expected"),
    [
        # The window is counted from the first step, and its end is in.
        (SHOP, 100, [("seen", 0), ("put in", 50), ("paid", 100)], [0, 50, 100]),
        (SHOP, 100, [("seen", 0), ("put in", 50), ("paid", 100.000001)], [0, 50]),
        (SHOP, 100, [("seen", 0), ("put in", 100.000001), ("paid", 100.000002)], [0]),
        (SHOP, 0, [("seen", 0), ("put in", 0), ("paid", 0)], [0, 0, 0]),
        (SHOP, 0, [("seen", 0), ("put in", 0), ("paid", 0.000001)], [0, 0]),
        # The same instant counts, in whatever order the rows are; earlier does not.
        (SHOP, 100, [("paid", 5), ("put in", 5), ("seen", 5)], [5, 5, 5]),
        (SHOP, 100, [("put in", 4.999999), ("seen", 5), ("paid", 6)], [5]),
        # Other events lie between, and steps come again.
        (SHOP, 100, [("seen", 0), ("waved", 1), ("paid", 2), ("seen", 3), ("put in", 4), ("paid", 5)], [0, 4, 5]),
        # One who did not begin is not there.
        (SHOP, 100, [("put in", 0), ("paid", 1)], []),
        # The deepest attempt is not the first ...
        (SHOP, 100, [("seen", 0), ("put in", 10), ("seen", 200), ("put in", 210), ("paid", 220)], [200, 210, 220]),
        # ... nor the last; of equally deep ones the first, from its first beginning.
        (SHOP, 100, [("seen", 0), ("put in", 1), ("paid", 2), ("seen", 10), ("put in", 11), ("paid", 12)], [0, 1, 2]),
        (SHOP, 100, [("seen", 0), ("seen", 40), ("put in", 50)], [0, 50]),
        # Unless it began too early.
        (SHOP, 49, [("seen", 0), ("seen", 1), ("seen", 40), ("put in", 50)], [1, 50]),
        # A later start saves an attempt that would have run out of time.
        (SHOP, 60, [("seen", 0), ("put in", 50), ("seen", 55), ("put in", 70), ("paid", 110)], [55, 70, 110]),
        # A step is taken as early as it can be.
        (SHOP, 100, [("seen", 0), ("put in", 10), ("put in", 20), ("paid", 30), ("paid", 40)], [0, 10, 30]),
        # One event is one step: two purchases need two, which may be of one instant.
        (["purchase", "purchase"], 100, [("paid", 1)], [1]),
        (["purchase", "purchase"], 100, [("paid", 1), ("paid", 1)], [1, 1]),
        (["purchase", "purchase"], 100, [("paid", 1), ("subscribed", 7)], [1, 7]),
        (["purchase", "purchase", "purchase"], 100, [("paid", 1), ("paid", 1), ("paid", 3)], [1, 1, 3]),
        # A name and its type: the event of that name is for the step that takes nothing else.
        (["purchase", "paid"], 100, [("paid", 1), ("subscribed", 1)], [1, 1]),
        (["paid", "purchase"], 100, [("paid", 1), ("subscribed", 1)], [1, 1]),
        (["purchase", "paid"], 100, [("subscribed", 1), ("subscribed", 1)], [1]),
        (["paid", "purchase", "paid"], 100, [("paid", 1), ("subscribed", 1), ("paid", 1)], [1, 1, 1]),
        (["paid", "purchase", "paid"], 100, [("paid", 1), ("subscribed", 1), ("paid", 2)], [1, 1, 2]),
        # In between steps of another instant: there and back within one.
        (["content_view", "purchase", "content_view"], 100, [("seen", 1), ("paid", 1), ("looked", 1)], [1, 1, 1]),
        (["content_view", "purchase", "content_view"], 100, [("seen", 1), ("paid", 1)], [1, 1]),
        (["content_view", "purchase", "content_view"], 100, [("seen", 1), ("paid", 1), ("seen", 9)], [1, 1, 9]),
        # A name that is no type is the name of an event, be its type `other`.
        (["waved", "other"], 100, [("waved", 1), ("waved", 2)], [1, 2]),
        (["search", "other"], 100, [("search", 1), ("found", 1)], [1, 1]),
        (["search", "other"], 100, [("search", 1), ("search", 1)], []),
        # One step is a funnel, and ten are one.
        (["purchase"], 0, [("paid", 3), ("paid", 1)], [1]),
        (["waved"] * 10, 9, [("waved", second) for second in range(12)], list(range(10))),
        (["waved"] * 10, 8, [("waved", second) for second in range(12)], list(range(9))),
    ],
)
def test_worked_examples(warehouse, steps, window, events, expected):
    assert one(warehouse, steps, window, events) == expected
    assert one(warehouse, steps, window, events[::-1]) == expected


def test_users_conversion_and_median_counted_by_hand(warehouse):
    """Five people: all steps after 10 and 30 s, after 20 and 40 s, after 60 s and no more, one who only looked, and one
    who was never seen to look."""
    people = {
        1: [("seen", 0), ("put in", 10), ("paid", 40)],
        2: [("seen", 0), ("put in", 20), ("paid", 60)],
        3: [("seen", 0), ("put in", 60)],
        4: [("seen", 0)],
        5: [("paid", 0)],
    }
    attempts(warehouse, {"shop": (SHOP, 100), "nobody": (["subscribed", "paid"], 100)}, people)
    assert warehouse.rows("select * exclude (segment_set, segment) from marts.fct_funnel order by all") == [
        ("nobody", 1, "subscribed", 0, None, None, None),
        ("nobody", 2, "paid", 0, None, None, None),
        ("shop", 1, "content_view", 4, 1.0, None, None),
        # 10, 20 and 60; 30 and 40.
        ("shop", 2, "add_to_cart", 3, 0.75, 0.75, 20.0),
        ("shop", 3, "purchase", 2, 0.5, 2 / 3, 35.0),
    ]


def test_no_funnel_at_all(warehouse):
    assert attempts(warehouse, {}, {1: [("seen", 0)]}) == {}
    assert warehouse.rows("from marts.fct_funnel") == []


def test_a_device_is_the_users_who_logged_in_on_it_and_what_comes_after_the_as_of_date_is_not_there(warehouse):
    day = 86400
    people = {1: [("seen", 0)], 2: [("put in", 5)], 3: [("seen", 29 * day), ("put in", 29 * day + 14 * 3600)]}
    assert attempts(warehouse, {"f": (SHOP, 100 * day)}, people) == {("f", 1): [0], ("f", 3): [29 * day]}
    run = warehouse.connection.execute
    # From the 30th on device 1 is the user's; until then it was a person of its own.
    run("update intermediate.int_people set known_to = date '2024-06-30' where pair_key = 1")
    warehouse.insert(
        "intermediate.int_people (pair_key, person_key, user_id, known_from, known_to)",
        [(1, 2, "u2", date(2024, 6, 30), date(9999, 12, 31))],
    )
    steps = "select step, users from marts.fct_funnel order by step"
    for as_of, expected in (("2024-06-29", [(1, 1), (2, 0), (3, 0)]), ("2024-06-30", [(1, 2), (2, 1), (3, 0)])):
        run(f"update intermediate.int_as_of_dates set as_of_date = date '{as_of}'")
        for name in MODELS:
            warehouse.create(warehouse.node(name))
        assert warehouse.rows(steps) == expected


# Against plain Python that tries everything.


def matches(word: str, name: str) -> bool:
    """Whether a step asks for the event: a word is a type, if there is such a type, else a name."""
    return word == (TYPES[name] if word in TYPES.values() else name)


def best_attempt(steps: list[str], window: float, events: list[tuple[str, float]]) -> list[float]:
    """The deepest of all attempts there are, and of those the one whose times come first."""
    best: list[float] = []

    def go_on(taken: list[int]) -> None:
        nonlocal best
        times = [events[index][1] for index in taken]
        if (-len(times), times) < (-len(best), best):
            best = times
        if len(taken) == len(steps):
            return
        for index, (name, at) in enumerate(events):
            if index in taken or not matches(steps[len(taken)], name):
                continue
            if not taken or times[-1] <= at <= times[0] + window:
                go_on([*taken, index])

    go_on([])
    return best


WORDS = sorted({*TYPES, *TYPES.values()})
# Few moments, so that many events share one.
EVENTS = st.lists(st.tuples(st.sampled_from(sorted(TYPES)), st.integers(0, 5)), max_size=7)
FUNNELS = st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5), st.integers(0, 6))


def test_any_funnel_of_any_events(warehouse):
    @hypothesis.settings(profile, max_examples=max(60, profile.max_examples))
    @hypothesis.given(st.lists(EVENTS, min_size=1, max_size=6), st.lists(FUNNELS, min_size=1, max_size=4))
    def agree(lists: list[list[Event]], listed: list[Funnel]) -> None:
        people = dict(enumerate(lists))
        funnels = {f"f{number}": funnel for number, funnel in enumerate(listed)}
        expected = {
            (name, person): [float(at) for at in found]
            for name, (steps, window) in funnels.items()
            for person, events in people.items()
            if (found := best_attempt(steps, window, events))
        }
        assert attempts(warehouse, funnels, people) == expected

    agree()


def test_funnels_of_few_words_in_few_moments(warehouse):
    """Steps that ask for the same, for a name and for its type, all in one or two instants."""
    words = ["purchase", "paid", "subscribed"]
    events = st.lists(st.tuples(st.sampled_from(["paid", "subscribed"]), st.integers(0, 1)), max_size=6)
    funnels = st.tuples(st.lists(st.sampled_from(words), min_size=2, max_size=5), st.integers(0, 1))

    @hypothesis.settings(profile, max_examples=max(60, profile.max_examples))
    @hypothesis.given(st.lists(events, min_size=4, max_size=8), st.lists(funnels, min_size=2, max_size=5))
    def agree(lists: list[list[Event]], listed: list[Funnel]) -> None:
        people = dict(enumerate(lists))
        asked = {f"f{number}": funnel for number, funnel in enumerate(listed)}
        expected = {
            (name, person): [float(at) for at in found]
            for name, (steps, window) in asked.items()
            for person, of_person in people.items()
            if (found := best_attempt(steps, window, of_person))
        }
        assert attempts(warehouse, asked, people) == expected

    agree()


def test_a_person_with_a_hundred_thousand_events_is_done_in_seconds(warehouse):
    """Were each event compared with each other, it would be ten thousand million pairs."""
    attempts(warehouse, {"f": (SHOP, 3600)}, {1: [("seen", 0)]})
    warehouse.connection.execute(
        "insert into intermediate.int_key_events (pair_key, event_date, event_at, event_name, event_type) "
        "select 1, date '2024-06-02', timestamp '2024-06-02' + to_milliseconds(n * 100), "
        "case when n % 3 = 0 then 'put in' else 'seen' end, "
        "case when n % 3 = 0 then 'add_to_cart' else 'content_view' end from range(100000) as t(n)"
    )
    started = datetime.now()
    for name in MODELS:
        warehouse.create(warehouse.node(name))
    assert (datetime.now() - started).total_seconds() < 20
    assert warehouse.rows("select step, users from marts.fct_funnel order by step") == [(1, 1), (2, 1), (3, 0)]


# The sample, user by user.


def first_deepest(steps: list[str], window: float, events: list[tuple[str, str, datetime]]) -> list[datetime]:
    """The same for events of different instants, from each beginning as early as it can be."""
    best: list[datetime] = []
    for name, event_type, start in sorted(events, key=lambda event: event[2]):
        if steps[0] not in (name, event_type):
            continue
        times = [start]
        for word in steps[1:]:
            later = [at for *kind, at in events if word in kind and times[-1] < at <= start + timedelta(seconds=window)]
            if not later:
                break
            times.append(min(later))
        if len(times) > len(best):
            best = times
    return best


def test_the_sample_overall_and_by_segment(built_sample):
    with duckdb.connect(str(built_sample), read_only=True) as sample:
        events = defaultdict(list)
        for user, name, kind, at in sample.execute(
            "select distinct people.user_id, event_name, event_type, event_at "
            "from intermediate.int_person_key_events as events inner join intermediate.int_people as people "
            "on events.person_key = people.person_key "
            "inner join intermediate.int_as_of_dates on people.known_to > as_of_date and known_from <= as_of_date"
        ).fetchall():
            events[user].append((name, kind, at))
        segments = defaultdict(lambda: [("all", "all")])
        for user, *segment in sample.execute(
            "select user_id, segment_set, segment from marts.fct_segment_membership"
        ).fetchall():
            segments[user].append(tuple(segment))
        funnels = defaultdict(list)
        for funnel, event, window in sample.execute(
            "select funnel, event, window_seconds from staging.stg_generic__funnels order by funnel, step"
        ).fetchall():
            funnels[funnel].append((event, window))
        rows = sample.execute(
            "select funnel, segment_set, segment, step, event, users, conversion_from_first, conversion_from_previous, "
            "median_seconds_from_previous from marts.fct_funnel"
        ).fetchall()
    assert max(len(of_user) for of_user in events.values()) > 30
    expected = {}
    every_segment = {segment for user in [*segments, ""] for segment in segments[user]}
    for funnel, steps in funnels.items():
        took = defaultdict(list)
        for user, of_user in events.items():
            times = first_deepest([event for event, _ in steps], steps[0][1], of_user)
            for step, at in enumerate(times):
                for segment in segments[user]:
                    took[segment, step].append((at - times[max(0, step - 1)]).total_seconds())
        for segment in every_segment:
            users = [len(took[segment, step]) for step in range(len(steps))]
            for step, (event, _) in enumerate(steps):
                expected[funnel, *segment, step + 1] = (
                    event,
                    users[step],
                    pytest.approx(users[step] / users[0]) if users[0] else None,
                    pytest.approx(users[step] / users[step - 1]) if step and users[step - 1] else None,
                    pytest.approx(median(took[segment, step])) if step and users[step] else None,
                )
    assert {row[:4]: row[4:] for row in rows} == expected
    assert len(rows) == len(expected) > 300
    # The sample fills every funnel to its end, and has segments of which nobody came there.
    assert all(row[5] > 50 for row in rows if row[2] == "all") and any(row[5] == 0 for row in rows)
