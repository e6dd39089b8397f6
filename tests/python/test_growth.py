"""Growth accounting, active users and stickiness: numbers counted by hand, and plain Python for whatever people do and
whichever segments they are in."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import hypothesis
import pytest
from compiled_project import CompiledProject
from conftest import PROJECT, run_program
from hypothesis import strategies as st
from reference import Raw
from test_history import HISTORY, JINJA, Engine
from test_intermediate import TAXONOMY, event
from test_metrics_reference import profile

STATES = ("new", "returning", "resurrecting", "dormant")
EVERYBODY = ("all", "all")
PERIODS = {"day": 28, "week": 12, "month": 12}
# Each after those that it reads.
MODELS = (
    ("intermediate", "int_active_days"),
    ("intermediate", "int_periods"),
    ("membership", "int_evaluated_segments"),
    ("membership", "int_segment_spells"),
    ("membership", "int_spell_segments"),
    ("membership", "int_latest_combination_segments"),
    ("marts", "fct_growth_accounting"),
    ("marts", "fct_active_users"),
    ("marts", "fct_stickiness"),
)
Activity = dict[str, list[date]]
# user_id, segment_set, segment, valid_from, valid_to.
Stay = tuple[str, str, str, date, "date | None"]
# as_of_date, segment_set, segment, people.
Evaluation = tuple[date, str, str, "int | None"]


class Growth(Engine):
    """The marts in a DuckDB in memory, made of active days and a history of the test's own."""

    def __init__(self, week_start: str = "monday", periods: dict | None = None) -> None:
        super().__init__(week_start)
        variables = {
            "week_start": week_start,
            "stickiness_periods": periods or PERIODS,
            "monthly_activity_threshold": 4,
            # In one group, or one of them among what the project no longer has.
            "segment_sets": ["level", "place"] if week_start == "monday" else ["level"],
        }
        files = ("behaviours/refuse", "end_of_time", "segments/set_group")
        text = "".join((PROJECT / "macros" / f"{name}.sql").read_text("utf-8") for name in files)
        self.context["var"] = variables.__getitem__
        macros = JINJA.from_string(text).make_module(self.context)
        self.context |= {name: macro for name, macro in vars(macros).items() if not name.startswith("_")}
        self.db.execute(
            "create table intermediate.int_person_days (as_of_date date, person_key ubigint, event_date date, "
            "events integer)"
        )
        columns = "user_id varchar, segment_set varchar, segment varchar, valid_from date, valid_to date"
        self.db.execute(f"create table {HISTORY} ({columns})")
        self.db.execute("create table marts.dim_segments (segment_set varchar, segment varchar)")

    def insert(self, table: str, rows: list) -> None:
        """Replaces the rows of a table."""
        self.db.execute(f"delete from {table}")
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self.db.executemany(f"insert into {table} values ({places})", rows)

    def build(
        self,
        activity: Activity,
        as_of: date,
        stays: list[Stay] | None = None,
        evaluations: list[Evaluation] | None = None,
        members: dict[str, list[tuple[str, str]]] | None = None,
    ) -> None:
        """Makes the marts. `members`: the segments of each user on the latest date; people who are in none, too."""
        members = {user: [] for user in activity} | (members or {})
        self.insert("intermediate.int_as_of_dates", [[as_of - timedelta(days=1)], [as_of]])
        self.db.execute("delete from intermediate.int_person_days")
        for user, days in activity.items():
            for day in days:
                for date_of_row in (as_of - timedelta(days=1), as_of):
                    # As known the day before, somebody else was active: nobody must ask.
                    known_as = user if date_of_row == as_of else f"once {user}"
                    # A day on two devices, one of which sent nothing that is activity.
                    for events in (2, 0, 1):
                        values = [date_of_row, known_as, day, events]
                        self.db.execute("insert into intermediate.int_person_days values (?, hash(?), ?, ?)", values)
            # What is no activity makes no day active.
            values = [as_of, user, as_of - timedelta(days=400), 0]
            self.db.execute("insert into intermediate.int_person_days values (?, hash(?), ?, ?)", values)
        self.insert(HISTORY, stays or [])
        people = {day: [day, *EVERYBODY, 9, None] for day, *_ in evaluations or []}
        self.insert("runs.evaluations", [*people.values(), *([*row, None] for row in evaluations or [])])
        combinations = {user: number for number, user in enumerate(members)}
        self.insert("segments.int_user_segments", [[as_of, user, number] for user, number in combinations.items()])
        self.insert(
            "segments.int_combination_segments",
            [[as_of, combinations[user], 1, *segment] for user, listed in members.items() for segment in listed],
        )
        catalogue = {EVERYBODY} | {segment for listed in members.values() for segment in listed}
        self.insert("marts.dim_segments", sorted(catalogue))
        for folder, name in MODELS:
            self.db.execute(f"create or replace table {self.relation(name)} as {self.model(folder, name)}")

    def growth(self, period: str, segment: tuple[str, str] = EVERYBODY) -> dict[date, tuple[int, ...]]:
        """The users in each state, by the start of the period. Raises AssertionError where a row is there twice."""
        rows = self.db.execute(
            "select period_start, state, users from marts.fct_growth_accounting "
            "where period = ? and segment_set = ? and segment = ?",
            [period, *segment],
        ).fetchall()
        users = {(start, state): number for start, state, number in rows}
        assert len(users) == len(rows) and {state for _, state in users} <= set(STATES)
        return {start: tuple(users[start, state] for state in STATES) for start, _ in users}

    def active(self, segment: tuple[str, str] = EVERYBODY) -> dict[date, tuple]:
        """dau, wau, mau and dau_over_mau by day."""
        rows = self.db.execute(
            "select as_of_date, dau, wau, mau, dau_over_mau from marts.fct_active_users "
            "where segment_set = ? and segment = ?",
            segment,
        ).fetchall()
        assert len({row[0] for row in rows}) == len(rows)
        return {day: tuple(numbers) for day, *numbers in rows}

    def stickiness(self, period: str, segment: tuple[str, str] = EVERYBODY) -> dict[int, int]:
        """The users by the number of periods in which they were active, but for the numbers that nobody has."""
        rows = self.db.execute(
            "select window_periods, active_periods, users from marts.fct_stickiness "
            "where period = ? and segment_set = ? and segment = ?",
            [period, *segment],
        ).fetchall()
        assert sorted(row[1] for row in rows) == list(range(1, rows[0][0] + 1))
        return {number: users for _, number, users in rows if users}


@pytest.fixture(scope="module", params=["monday", "sunday"])
def week_start(request) -> str:
    """The first day of a week."""
    return request.param


@pytest.fixture(scope="module")
def marts(week_start) -> Iterator[Growth]:
    """The marts, empty as yet."""
    own = Growth(week_start)
    yield own
    own.db.close()


def days(*texts: str) -> list[date]:
    """Days, written as 2024-02-29."""
    return [date.fromisoformat(text) for text in texts]


def by_day(written: dict[str, tuple]) -> dict[date, tuple]:
    """The same by date."""
    return {date.fromisoformat(day): numbers for day, numbers in written.items()}


# Counted by hand: around the 29 February of a leap year, a Thursday, on Tuesday, 5 March; ann came once in the year
# before. 25 February and 3 March are Sundays.

AS_OF = date(2024, 3, 5)
ACTIVITY = {
    "ann": days("2023-12-31", "2024-02-26", "2024-02-29", "2024-03-01", "2024-03-05"),
    "bob": days("2024-02-25", "2024-03-03"),
    "cid": days("2024-03-04"),
}
# new, returning, resurrecting, dormant; in all other periods nobody.
GROWTH = {
    "day": {
        "2023-12-31": (1, 0, 0, 0),
        "2024-01-01": (0, 0, 0, 1),
        "2024-02-25": (1, 0, 0, 0),
        "2024-02-26": (0, 0, 1, 1),
        "2024-02-27": (0, 0, 0, 1),
        "2024-02-29": (0, 0, 1, 0),
        # The day before was 29 February.
        "2024-03-01": (0, 1, 0, 0),
        "2024-03-02": (0, 0, 0, 1),
        "2024-03-03": (0, 0, 1, 0),
        "2024-03-04": (1, 0, 0, 1),
        "2024-03-05": (0, 0, 1, 1),
    },
    "month": {
        "2023-12-01": (1, 0, 0, 0),
        "2024-01-01": (0, 0, 0, 1),
        "2024-02-01": (1, 0, 1, 0),
        "2024-03-01": (1, 2, 0, 0),
    },
    "monday": {
        "2023-12-25": (1, 0, 0, 0),
        "2024-01-01": (0, 0, 0, 1),
        "2024-02-19": (1, 0, 0, 0),
        "2024-02-26": (0, 1, 1, 0),
        # bob is dormant in a week that has begun yesterday.
        "2024-03-04": (1, 1, 0, 1),
    },
    "sunday": {
        "2023-12-31": (1, 0, 0, 0),
        "2024-01-07": (0, 0, 0, 1),
        "2024-02-25": (1, 0, 1, 0),
        "2024-03-03": (1, 2, 0, 0),
    },
}
NUMBER_OF_PERIODS = {"day": 66, "month": 4, "monday": 11, "sunday": 10}


@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_growth_as_counted_by_hand(marts, week_start, period):
    marts.build(ACTIVITY, AS_OF)
    found = marts.growth(period)
    name = week_start if period == "week" else period
    assert {start: numbers for start, numbers in found.items() if any(numbers)} == by_day(GROWTH[name])
    # Zero rows from the first period to the last.
    assert len(found) == NUMBER_OF_PERIODS[name]
    step = {"day": 1, "week": 7}.get(period)
    assert not step or max(found) - min(found) == timedelta(days=step * (len(found) - 1))


def test_active_users_as_counted_by_hand(marts):
    marts.build(ACTIVITY, AS_OF)
    found = marts.active()
    assert sorted(found) == [date(2023, 12, 31) + timedelta(days=number) for number in range(66)]
    expected = {
        "2023-12-31": (1, 1, 1, 1.0),
        # The seventh day of 31 December is the last one that counts it, of 28 the twenty-eighth.
        "2024-01-06": (0, 1, 1, 0.0),
        "2024-01-07": (0, 0, 1, 0.0),
        "2024-01-27": (0, 0, 1, 0.0),
        "2024-01-28": (0, 0, 0, None),
        "2024-02-24": (0, 0, 0, None),
        "2024-02-25": (1, 1, 1, 1.0),
        "2024-02-26": (1, 2, 2, 0.5),
        "2024-02-29": (1, 2, 2, 0.5),
        # bob's 25 February is the first of these seven days, and not one of the next seven, in which he comes again.
        "2024-03-02": (0, 2, 2, 0.0),
        "2024-03-03": (1, 2, 2, 0.5),
        "2024-03-05": (1, 3, 3, 1 / 3),
    }
    assert {day: found[day] for day in by_day(expected)} == by_day(expected)


# Who was in what; evaluated were the flags low and high on three days and the values of place on the last one.
LOW, HIGH, X, Y = ("level", "low"), ("level", "high"), ("place", "x"), ("place", "y")
FEB_29, MAR_1, MAR_3 = days("2024-02-29", "2024-03-01", "2024-03-03")
STAYS: list[Stay] = [
    ("ann", *LOW, FEB_29, MAR_3),
    ("ann", *HIGH, MAR_3, None),
    ("bob", *LOW, FEB_29, AS_OF),
    ("cid", *HIGH, AS_OF, None),
    ("ann", *X, AS_OF, None),
    # Who is somebody else by now, and was in a value that nobody has any more.
    ("anon:1", *Y, FEB_29, AS_OF),
]
EVALUATIONS: list[Evaluation] = [
    *((day, *segment, 3) for day in (FEB_29, MAR_3, AS_OF) for segment in (LOW, HIGH)),
    (AS_OF, "place", "all", 3),
]
GROWTH_OF_SEGMENTS = {
    ("month", *LOW): {"2024-02-01": (1, 0, 1, 0), "2024-03-01": (0, 0, 0, 0)},
    ("month", *HIGH): {"2024-02-01": (0, 0, 0, 0), "2024-03-01": (1, 1, 0, 0)},
    ("month", *X): {"2024-03-01": (0, 1, 0, 0)},
    ("day", *LOW): {"2024-02-29": (0, 0, 1, 0), "2024-03-03": (0, 0, 1, 0), "2024-03-05": (0, 0, 0, 0)},
    ("day", *HIGH): {"2024-02-29": (0, 0, 0, 0), "2024-03-03": (0, 0, 0, 0), "2024-03-05": (0, 0, 1, 1)},
    ("day", *X): {"2024-03-05": (0, 0, 1, 0)},
    ("monday", *LOW): {"2024-02-26": (0, 1, 0, 0), "2024-03-04": (0, 0, 0, 0)},
    ("monday", *HIGH): {"2024-02-26": (0, 0, 1, 0), "2024-03-04": (1, 1, 0, 0)},
    ("monday", *X): {"2024-03-04": (0, 1, 0, 0)},
    # The week before ends on 2 March, which was not evaluated.
    ("sunday", *LOW): {"2024-03-03": (0, 0, 0, 0)},
    ("sunday", *HIGH): {"2024-03-03": (1, 1, 0, 0)},
    ("sunday", *X): {"2024-03-03": (0, 1, 0, 0)},
}


def test_segments_are_those_at_the_end_of_the_period_where_that_day_was_evaluated(marts, week_start):
    marts.build(ACTIVITY, AS_OF, STAYS, EVALUATIONS)
    for segment in (LOW, HIGH, X, Y):
        for period in PERIODS:
            expected = GROWTH_OF_SEGMENTS.get((week_start if period == "week" else period, *segment), {})
            assert marts.growth(period, segment) == by_day(expected), (period, segment)
    # And everybody is as without segments.
    assert marts.growth("month") == by_day(GROWTH["month"])


def test_active_users_of_segments_are_of_evaluated_days(marts):
    marts.build(ACTIVITY, AS_OF, STAYS, EVALUATIONS)
    expected = {
        LOW: {"2024-02-29": (1, 2, 2, 0.5), "2024-03-03": (1, 1, 1, 1.0), "2024-03-05": (0, 0, 0, None)},
        # What ann did before she was in it counts.
        HIGH: {"2024-02-29": (0, 0, 0, None), "2024-03-03": (0, 1, 1, 0.0), "2024-03-05": (1, 2, 2, 0.5)},
        X: {"2024-03-05": (1, 1, 1, 1.0)},
        Y: {},
    }
    assert {segment: marts.active(segment) for segment in expected} == {
        segment: by_day(numbers) for segment, numbers in expected.items()
    }


def test_what_was_evaluated_later_or_is_no_more_defined_has_no_rows(marts):
    # As of 3 March, with a history that goes on; and `low` was taken out of the project on that day.
    evaluations = [row if row[:3] != (MAR_3, *LOW) else (*row[:3], None) for row in EVALUATIONS]
    marts.build(ACTIVITY | {"cid": []}, MAR_3, STAYS, evaluations)
    assert list(marts.growth("day", LOW)) == [FEB_29]
    assert sorted(marts.growth("day", HIGH)) == [FEB_29, MAR_3]
    assert list(marts.active(LOW)) == [FEB_29]
    assert marts.growth("day", X) == marts.active(X) == {}


# Counted by hand: the first period that each window holds, and the last that it does not.
AT_THE_EDGES = {
    "now_and_first_day": days("2024-02-07", "2024-03-05"),
    "first_day": days("2024-02-07"),
    "day_before": days("2024-02-06"),
    "first_monday": days("2023-12-18"),
    "sunday_before": days("2023-12-17"),
    "saturday_before": days("2023-12-16"),
    "first_month": days("2023-04-01"),
    "month_before": days("2023-03-31"),
}


def test_stickiness_as_counted_by_hand(marts, week_start):
    marts.build(AT_THE_EDGES, AS_OF)
    assert marts.stickiness("day") == {1: 1, 2: 1}
    assert marts.stickiness("week") == {"monday": {1: 3, 2: 1}, "sunday": {1: 4, 2: 1}}[week_start]
    assert marts.stickiness("month") == {1: 6, 2: 1}


def test_stickiness_of_segments_is_of_the_members_of_the_day(marts):
    # dan is in a segment and was never active; the history says nothing here.
    members = {"ann": [HIGH, X], "cid": [HIGH], "dan": [LOW]}
    marts.build(ACTIVITY, AS_OF, members=members)
    assert marts.stickiness("day") == {1: 1, 2: 1, 4: 1}
    assert marts.stickiness("day", HIGH) == {1: 1, 4: 1}
    assert marts.stickiness("day", X) == {4: 1}
    assert marts.stickiness("day", LOW) == {}
    assert marts.stickiness("month", HIGH) == {1: 1, 3: 1}
    assert marts.db.execute("select count(*) from marts.fct_stickiness").fetchone() == (4 * (28 + 12 + 12),)


def test_the_window_of_stickiness_is_a_variable():
    own = Growth(periods={"day": 2, "week": 1, "month": 30})
    own.build(ACTIVITY | {"old": days("2021-10-01"), "older": days("2021-09-30")}, AS_OF)
    # Yesterday and today; this week; 30 months back to October 2021.
    assert own.stickiness("day") == {1: 2}
    assert own.stickiness("week") == {1: 2}
    assert own.stickiness("month") == {1: 2, 2: 1, 3: 1}


@pytest.mark.parametrize("wrong", [0, -1, "28", None, 1.5])
def test_a_window_that_is_none_is_refused(wrong):
    own = Growth(periods=PERIODS | {"week": wrong})
    with pytest.raises(ValueError, match="^vars.stickiness_periods: week is .*; write a whole number from 1"):
        own.model("marts", "fct_stickiness")


def test_nobody_at_all_is_a_result(marts):
    marts.build({}, AS_OF)
    for mart in ("fct_growth_accounting", "fct_active_users"):
        assert marts.db.execute(f"from marts.{mart}").fetchall() == []
    assert marts.stickiness("day") == {}


def test_days_that_were_evaluated_before_anybody_came_have_no_rows(marts):
    # A backfill reached back to the day before the first activity; and a product in which nobody ever came.
    before, first = days("2024-02-28", "2024-02-29")
    evaluations = [(day, *LOW, 0) for day in (before, first)]
    marts.build({"ann": [first]}, first, [("ann", *LOW, first, None)], evaluations)
    assert marts.active(LOW) == {first: (1, 1, 1, 1.0)}
    assert list(marts.growth("day", LOW)) == [first]
    marts.build({}, first, [], evaluations)
    assert marts.active(LOW) == marts.growth("day", LOW) == {}


# Whatever people do, against plain Python.


def start_of(period: str, day: date, week_start: str) -> date:
    """The first day of the period that a day lies in."""
    if period == "week":
        return day - timedelta(days=day.weekday() if week_start == "monday" else day.isoweekday() % 7)
    return day.replace(day=1) if period == "month" else day


def expected_growth(activity: Activity, as_of: date, week_start: str, inside: Callable, evaluated: dict) -> dict:
    """The rows of fct_growth_accounting: users by segment, period, period_start and state."""
    rows: dict[tuple, int] = {}
    first = min((day for listed in activity.values() for day in listed), default=None)
    calendar = [first + timedelta(days=n) for n in range((as_of - first).days + 1)] if first else []
    for period in PERIODS:
        starts = sorted({start_of(period, day, week_start) for day in calendar})
        for number, start in enumerate(starts):
            before = starts[number - 1] if number else None
            last = max(day for day in calendar if start_of(period, day, week_start) == start)
            states = {}
            for user, listed in activity.items():
                active = {start_of(period, day, week_start) for day in listed}
                if start in active:
                    was_there = "returning" if before in active else "resurrecting"
                    states[user] = was_there if min(active) < start else "new"
                elif before in active:
                    states[user] = "dormant"
            for segment in [EVERYBODY, *evaluated.get(last, ())]:
                members = [user for user in states if segment == EVERYBODY or inside(user, segment, last)]
                counted = Counter(states[user] for user in members)
                rows |= {(*segment, period, start, state): counted[state] for state in STATES}
    return rows


def expected_active(activity: Activity, as_of: date, inside: Callable, evaluated: dict) -> dict:
    """The rows of fct_active_users: dau, wau and mau by day and segment."""
    first = min((day for listed in activity.values() for day in listed), default=None)
    calendar = [first + timedelta(days=n) for n in range((as_of - first).days + 1)] if first else []
    rows = {}
    for day in sorted({*calendar, *evaluated}):
        for segment in [*([EVERYBODY] if day in calendar else []), *evaluated.get(day, ())]:
            members = [user for user in activity if segment == EVERYBODY or inside(user, segment, day)]
            rows[day, *segment] = tuple(
                sum(any(0 <= (day - one).days < window for one in activity[user]) for user in members)
                for window in (1, 7, 28)
            )
    return rows


def expected_stickiness(activity: Activity, as_of: date, week_start: str) -> dict[str, Counter]:
    """The users of everybody, by period and number of periods."""
    found = {}
    for period, window in PERIODS.items():
        starts: list[date] = []
        day = as_of
        while len(starts) < window:
            if start_of(period, day, week_start) not in starts:
                starts.append(start_of(period, day, week_start))
            day -= timedelta(days=1)
        active = [{start_of(period, one, week_start) for one in listed} & set(starts) for listed in activity.values()]
        found[period] = Counter(len(one) for one in active if one)
    return found


USERS = ("ann", "bob", "cid")


@st.composite
def lives(draw: Callable) -> tuple[Activity, date, dict[date, dict[str, dict[str, str]]]]:
    """What people do up to an as-of date; and for each evaluated day the segment of each set that they were in, where
    they were in one. A set that is missing was not evaluated."""
    as_of = draw(st.dates(date(2024, 2, 20), date(2024, 4, 10)))
    back = st.integers(0, 90) | st.sampled_from([6, 7, 27, 28, 365])
    activity = {user: sorted({as_of - timedelta(days=n) for n in draw(st.lists(back, max_size=12))}) for user in USERS}
    evaluated = {}
    for back_to in draw(st.sets(st.integers(0, 40), max_size=8)):
        of_sets = {}
        for name, segments in (("level", ("low", "high")), ("place", ("x", "y", "z"))):
            if draw(st.booleans()):
                chosen = {user: draw(st.sampled_from([None, *segments])) for user in USERS}
                of_sets[name] = {user: segment for user, segment in chosen.items() if segment}
        evaluated[as_of - timedelta(days=back_to)] = of_sets
    return activity, as_of, evaluated


def history_of(evaluated: dict) -> tuple[list[Stay], list[Evaluation]]:
    """The stays that follow from what was found on each day, and what was evaluated."""
    stays: list[Stay] = []
    evaluations: list[Evaluation] = []
    for name in ("level", "place"):
        days_of_set = sorted(day for day, of_sets in evaluated.items() if name in of_sets)
        flags = ["low", "high"] if name == "level" else ["all"]
        evaluations += [(day, name, flag, 3) for day in days_of_set for flag in flags]
        for user in USERS:
            since: dict[str, date] = {}
            for day in days_of_set:
                now = evaluated[day][name].get(user)
                for segment in [one for one in since if one != now]:
                    stays.append((user, name, segment, since.pop(segment), day))
                if now:
                    since.setdefault(now, day)
            stays += [(user, name, segment, day, None) for segment, day in since.items()]
    return stays, evaluations


def test_whatever_people_do_the_marts_are_what_plain_python_counts(marts, week_start):
    @hypothesis.settings(profile, phases=[hypothesis.Phase.generate])
    @hypothesis.given(lives())
    def agree(life) -> None:
        activity, as_of, evaluated = life
        stays, evaluations = history_of(evaluated)
        marts.build(activity, as_of, stays, evaluations)
        segments = {
            day: [
                *([LOW, HIGH] if "level" in of_sets else []),
                *(("place", value) for value in sorted(set(of_sets.get("place", {}).values()))),
            ]
            for day, of_sets in evaluated.items()
        }

        def inside(user: str, segment: tuple[str, str], day: date) -> bool:
            return evaluated[day][segment[0]].get(user) == segment[1]

        rows = marts.db.execute(
            "select (segment_set, segment, period, period_start, state), users from marts.fct_growth_accounting"
        ).fetchall()
        growth = dict(rows)
        assert growth == expected_growth(activity, as_of, week_start, inside, segments) and len(growth) == len(rows)
        rows = marts.db.execute(
            "select (as_of_date, segment_set, segment), (dau, wau, mau) from marts.fct_active_users"
        ).fetchall()
        assert dict(rows) == expected_active(activity, as_of, inside, segments) and len(dict(rows)) == len(rows)
        for period, counted in expected_stickiness(activity, as_of, week_start).items():
            assert marts.stickiness(period) == counted
            # Who was active is in one of three states; who was active before is in one of two.
            active = 0
            for _, (new, returning, resurrecting, dormant) in sorted(marts.growth(period).items()):
                assert returning + dormant == active
                active = new + returning + resurrecting

    agree()


# From raw events, in a zone with summer time: counted by hand. 10 March 2024 has 23 hours in New York, from 05:00 to
# 04:00 UTC; 3 November has 25, from 04:00 to 05:00 UTC. Both are Sundays.

NEW_YORK = "America/New_York"
AT_THE_CHANGE = [
    event("e1", "2024-03-10 04:59:59", user_id="ann", anonymous_id=None),
    event("e2", "2024-03-11 03:59:59", user_id="ann", anonymous_id=None),
    event("e3", "2024-03-11 04:00:00", user_id="bob", anonymous_id=None),
    # A device, which cid logs in on later: it was cid from the beginning.
    event("e4", "2024-11-03 04:00:00", user_id=None, anonymous_id="d1"),
    event("e5", "2024-11-04 04:59:59", user_id="cid", anonymous_id="d1"),
    event("e6", "2024-11-04 05:00:00", user_id="dan", anonymous_id=None),
    # No activity.
    event("e7", "2024-11-04 06:00:00", user_id="ann", anonymous_id=None, event_name="mail"),
]


@pytest.fixture(scope="module")
def new_york(dbt, clean_env) -> Callable[[str], list[tuple]]:
    """The marts of everybody in New York on 4 November 2024: gives the rows of a query."""
    names = ("fct_growth_accounting", "fct_active_users", "fct_stickiness")
    compiled = CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]), names)
    warehouse, _ = compiled.warehouse(NEW_YORK)
    warehouse.build(Raw(events=AT_THE_CHANGE, event_taxonomy=TAXONOMY), [date(2024, 11, 4)])
    return warehouse.rows


def test_a_day_of_23_hours_and_one_of_25_are_days(new_york):
    rows = new_york(
        "select period, cast(period_start as varchar), state, users from marts.fct_growth_accounting "
        "where users > 0 and segment_set = 'all' order by all"
    )
    assert rows == sorted(
        [
            ("day", "2024-03-09", "new", 1),
            ("day", "2024-03-10", "returning", 1),
            ("day", "2024-03-11", "new", 1),
            ("day", "2024-03-11", "dormant", 1),
            ("day", "2024-03-12", "dormant", 1),
            ("day", "2024-11-03", "new", 1),
            ("day", "2024-11-04", "new", 1),
            ("day", "2024-11-04", "dormant", 1),
            ("week", "2024-03-04", "new", 1),
            ("week", "2024-03-11", "new", 1),
            ("week", "2024-03-11", "dormant", 1),
            ("week", "2024-03-18", "dormant", 1),
            ("week", "2024-10-28", "new", 1),
            ("week", "2024-11-04", "new", 1),
            ("week", "2024-11-04", "dormant", 1),
            ("month", "2024-03-01", "new", 2),
            ("month", "2024-04-01", "dormant", 2),
            ("month", "2024-11-01", "new", 2),
        ]
    )


def test_windows_count_days_across_a_change_of_the_clock(new_york):
    rows = new_york(
        "select cast(as_of_date as varchar), dau, wau, mau from marts.fct_active_users where segment_set = 'all'"
    )
    found = {day: tuple(numbers) for day, *numbers in rows}
    expected = {
        "2024-03-09": (1, 1, 1),
        "2024-03-10": (1, 1, 1),
        "2024-03-11": (1, 2, 2),
        "2024-03-16": (0, 2, 2),
        "2024-03-17": (0, 1, 2),
        "2024-03-18": (0, 0, 2),
        "2024-04-06": (0, 0, 2),
        "2024-04-07": (0, 0, 1),
        "2024-04-08": (0, 0, 0),
        "2024-11-03": (1, 1, 1),
        "2024-11-04": (1, 2, 2),
    }
    assert {day: found[day] for day in expected} == expected
    # From 9 March to 4 November, one row a day: 23 of March, 4 of November, and 214 of the months between.
    assert len(found) == 23 + 214 + 4


def test_stickiness_is_of_days_in_the_zone(new_york):
    rows = new_york(
        "select period, active_periods, users from marts.fct_stickiness where users > 0 and segment_set = 'all'"
    )
    assert sorted(rows) == [("day", 1, 2), ("month", 1, 4), ("week", 1, 2)]


# Real runs on the sample.

PLAIN = """
with active as (
    select distinct people.user_id, days.event_date
    from intermediate.int_user_days as days
    inner join (select distinct person_key, user_id from intermediate.int_people) as people using (person_key)
    where days.events > 0 and days.known_from <= date '2024-06-29' and days.known_to > date '2024-06-29'
)
select
    evaluated.as_of_date, stays.segment_set, stays.segment,
    count(distinct case when active.event_date = evaluated.as_of_date then active.user_id end),
    count(distinct case when active.event_date > evaluated.as_of_date - 7 then active.user_id end),
    count(distinct case when active.event_date > evaluated.as_of_date - 28 then active.user_id end)
from (select distinct as_of_date from runs.evaluations) as evaluated
inner join marts.fct_segment_membership_history as stays
    on evaluated.as_of_date >= stays.valid_from and evaluated.as_of_date < coalesce(stays.valid_to, date '9999-12-31')
left join active on stays.user_id = active.user_id and active.event_date <= evaluated.as_of_date
group by all
"""


def test_a_backfill_makes_the_rows_of_segments(built_sample, clean_env, tmp_path):
    warehouse = shutil.copy(built_sample, tmp_path / "warehouse.duckdb")
    asked = ["backfill", "--from", "2024-05-31", "--to", "2024-06-01"]
    program = [sys.executable, str(PROJECT / "tools" / "backfill.py"), *asked]
    ran = run_program(program, clean_env | {"WAREHOUSE": str(warehouse)})
    assert ran.code == 0, ran.output
    rows = ran.rows("select * exclude (dau_over_mau) from marts.fct_active_users where segment_set <> 'all'")
    found = {row[:3]: row[3:] for row in rows}
    expected = {row[:3]: row[3:] for row in ran.rows(PLAIN)}
    assert {day for day, *_ in expected} == set(days("2024-05-31", "2024-06-01", "2024-06-29"))
    # Nobody is in a flag that plain SQL does not find.
    assert found == {row: (0, 0, 0) for row in found} | expected
    # May and the day of the run were evaluated on their last day, and no month before.
    starts = "select distinct period_start from marts.fct_growth_accounting where segment = 'core' and period = 'month'"
    assert sorted(ran.rows(starts)) == [(day,) for day in days("2024-05-01", "2024-06-01")]
