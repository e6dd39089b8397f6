"""Retention: cohorts and returns counted by hand, any report against plain Python, segments at the time. The SQL is the
project's own, as dbt compiles it.

The examples are the same on every run; HYPOTHESIS_PROFILE=explore tries others, and more of them.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import hypothesis
import pytest
from compiled_project import CompiledProject, Warehouse, event_rows
from hypothesis import strategies as st
from reference import Raw
from test_metrics_reference import profile

TAXONOMY = [
    {"event_name": "view", "event_type": "page_view", "is_activity": "true"},
    {"event_name": "join", "event_type": "sign_up", "is_activity": "true"},
    {"event_name": "buy", "event_type": "purchase", "is_activity": "true"},
    {"event_name": "order", "event_type": "purchase", "is_activity": "true"},
    {"event_name": "mail", "event_type": "message_sent", "is_activity": "false"},
]
TYPES = {row["event_name"]: row["event_type"] for row in TAXONOMY}
MODELS = ("fct_retention", "int_user_metrics")
REPORT_COLUMNS = ("report", "period", "start_event", "return_event", "mode", "bound", "min_occurrences")


class Retention:
    """The models that fct_retention is made of, in a DuckDB in memory, with reports and a history of the test's own."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def build(
        self,
        events: list[tuple[str, str, str]],
        as_of: str,
        reports: list[tuple],
        history: tuple[list, list] = ([], []),
    ) -> dict[tuple, dict[int, tuple[int, int]]]:
        """What comes of events (who, what, when) and reports: for each report, set, segment and cohort the users of the
        cohort and who came back of them, by offset. `history`: the stays, and the evaluated days."""
        run = self.warehouse.connection.execute
        run("delete from raw.retention_reports")
        into = f"raw.retention_reports ({', '.join(REPORT_COLUMNS)})"
        self.warehouse.insert(into, (tuple(map(str, row)) for row in reports))
        run("delete from runs.evaluations")
        self.warehouse.build(Raw(events=event_rows(events), event_taxonomy=TAXONOMY), [date.fromisoformat(as_of)])
        self.warehouse.put_history(*history)
        for name in ("int_evaluated_segments", "int_segment_spells", "int_spell_segments", "fct_retention"):
            self.warehouse.create(self.warehouse.node(name))
        found: dict[tuple, dict[int, tuple[int, int]]] = defaultdict(dict)
        for *key, cohort, offset, users, returning, rate in self.warehouse.rows(
            "select report, segment_set, segment, cohort_start, period_offset, cohort_users, returning_users, rate "
            "from marts.fct_retention"
        ):
            assert offset not in found[(*key, str(cohort))]
            assert rate == returning / users and 0 <= rate <= 1
            found[(*key, str(cohort))][offset] = (users, returning)
        return dict(found)


@pytest.fixture(scope="module")
def compiled(dbt, clean_env) -> CompiledProject:
    """The project's SQL, ready to run in any time zone."""
    return CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]), MODELS)


@pytest.fixture(scope="module")
def retention(compiled) -> Retention:
    """Days in UTC, weeks from Monday."""
    return Retention(compiled.warehouse()[0])


def series(rows: dict[int, tuple[int, int]]) -> list[tuple[int, int]]:
    """The cohort and who came back, offset by offset from 0. Raises KeyError where one is missing."""
    return [rows[offset] for offset in range(len(rows))]


# Worked examples.

# Ann comes in three weeks of four, Bob in the first alone, Cid begins in the second; Dan only gets mail.
VISITS = [
    ("ann", "view", "2024-06-03 00:00:00"),
    ("ann", "view", "2024-06-16 23:59:59.999999"),
    ("ann", "view", "2024-06-24 12:00:00"),
    ("bob", "view", "2024-06-09 23:59:59.999999"),
    ("bob", "mail", "2024-06-12 10:00:00"),
    ("cid", "view", "2024-06-10 00:00:00"),
    ("cid", "view", "2024-06-17 00:00:00"),
    ("dan", "mail", "2024-06-05 10:00:00"),
]


def test_weeks_of_activity_counted_by_hand(retention):
    found = retention.build(VISITS, "2024-06-26", [("r", "week", "activity", "activity", "first_time", "on", 1)])
    assert {key: series(rows) for key, rows in found.items()} == {
        # Weeks of 3, 10, 17 and 24 June: Ann and Bob; Ann; none; Ann.
        ("r", "all", "all", "2024-06-03"): [(2, 2), (2, 1), (2, 0), (2, 1)],
        ("r", "all", "all", "2024-06-10"): [(1, 1), (1, 1), (1, 0)],
    }
    over = "select period_offset, is_period_complete from marts.fct_retention where cohort_start = '2024-06-03'"
    assert sorted(retention.warehouse.rows(over)) == [(0, True), (1, True), (2, True), (3, False)]


@pytest.mark.parametrize(("as_of", "weeks", "is_over"), [("2024-06-29", 4, False), ("2024-06-30", 4, True)])
def test_the_last_day_of_a_week_ends_it(retention, as_of, weeks, is_over):
    found = retention.build(VISITS, as_of, [("r", "week", "activity", "activity", "first_time", "on", 1)])
    assert len(found["r", "all", "all", "2024-06-03"]) == weeks
    last = f"select is_period_complete from marts.fct_retention where period_offset = {weeks - 1}"
    assert retention.warehouse.rows(last) == [(is_over,)]


def test_what_happens_after_the_as_of_date_is_not_there(retention):
    found = retention.build(VISITS, "2024-06-16", [("r", "week", "activity", "activity", "first_time", "on", 1)])
    assert series(found["r", "all", "all", "2024-06-03"]) == [(2, 2), (2, 1)]
    found = retention.build(VISITS, "2024-06-15", [("r", "week", "activity", "activity", "first_time", "on", 1)])
    assert series(found["r", "all", "all", "2024-06-03"]) == [(2, 2), (2, 0)]


def test_on_or_after_and_how_often_within_one_period(retention):
    events = [
        ("ann", "join", "2024-01-31 10:00:00"),
        ("ann", "buy", "2024-02-01 10:00:00"),
        ("ann", "order", "2024-02-29 10:00:00"),
        ("ann", "buy", "2024-04-01 10:00:00"),
        ("bob", "join", "2024-01-01 00:00:00"),
        ("bob", "buy", "2024-03-31 10:00:00"),
        ("bob", "buy", "2024-04-01 10:00:00"),
        ("cid", "join", "2024-02-10 10:00:00"),
    ]
    found = retention.build(
        events,
        "2024-05-02",
        [
            ("on 1", "month", "sign_up", "purchase", "first_time", "on", 1),
            ("after 1", "month", "sign_up", "purchase", "first_time", "on_or_after", 1),
            ("on 2", "month", "join", "purchase", "first_time", "on", 2),
            ("after 2", "month", "join", "purchase", "first_time", "on_or_after", 2),
            ("by name", "month", "join", "buy", "first_time", "on", 1),
        ],
    )
    january = {report: series(rows) for (report, *_, cohort), rows in found.items() if cohort == "2024-01-01"}
    assert january == {
        # January to May: Ann in February and April, Bob in March and April.
        "on 1": [(2, 0), (2, 1), (2, 1), (2, 2), (2, 0)],
        "after 1": [(2, 2), (2, 2), (2, 2), (2, 2), (2, 0)],
        # Ann twice in February; Bob's two are in two months.
        "on 2": [(2, 0), (2, 1), (2, 0), (2, 0), (2, 0)],
        "after 2": [(2, 1), (2, 1), (2, 0), (2, 0), (2, 0)],
        # Ann's of February is a buy, Bob's both are.
        "by name": [(2, 0), (2, 1), (2, 1), (2, 2), (2, 0)],
    }
    assert series(found["on 1", "all", "all", "2024-02-01"]) == [(1, 0)] * 4


def test_first_time_looks_at_all_that_was_before_and_recurring_at_each_period(retention):
    events = [
        ("ann", "buy", "2023-11-30 10:00:00"),
        ("ann", "buy", "2024-01-05 10:00:00"),
        ("bob", "buy", "2024-01-06 10:00:00"),
        ("bob", "buy", "2024-01-07 10:00:00"),
        ("bob", "buy", "2024-02-01 10:00:00"),
    ]
    found = retention.build(
        events,
        "2024-02-10",
        [
            ("first", "month", "purchase", "purchase", "first_time", "on", 1),
            ("each", "month", "purchase", "purchase", "recurring", "on", 1),
            ("later", "month", "purchase", "purchase", "recurring", "on_or_after", 1),
        ],
    )
    assert {(report, cohort): series(rows) for (report, *_, cohort), rows in found.items()} == {
        # A month in which nobody began is no cohort, and still a period.
        ("first", "2023-11-01"): [(1, 1), (1, 0), (1, 1), (1, 0)],
        ("first", "2024-01-01"): [(1, 1), (1, 1)],
        ("each", "2023-11-01"): [(1, 1), (1, 0), (1, 1), (1, 0)],
        ("each", "2024-01-01"): [(2, 2), (2, 1)],
        ("each", "2024-02-01"): [(1, 1)],
        ("later", "2023-11-01"): [(1, 1), (1, 1), (1, 1), (1, 0)],
        ("later", "2024-01-01"): [(2, 2), (2, 1)],
        ("later", "2024-02-01"): [(1, 1)],
    }


def test_days_of_23_and_25_hours(compiled):
    """Berlin: 31 March 2024 has 23 hours, from 23:00 to 22:00 UTC, and 27 October 25, from 22:00 to 23:00."""
    berlin = Retention(compiled.warehouse("Europe/Berlin")[0])
    events = [
        ("ann", "view", "2024-03-30 22:59:59.999999"),
        ("bob", "view", "2024-03-30 23:00:00"),
        ("bob", "view", "2024-03-31 21:59:59.999999"),
        ("cid", "view", "2024-03-31 22:00:00"),
        ("dan", "view", "2024-10-26 22:00:00"),
        ("dan", "view", "2024-10-27 22:59:59.999999"),
        ("eve", "view", "2024-10-27 23:00:00"),
    ]
    found = berlin.build(events, "2024-10-28", [("r", "day", "activity", "activity", "first_time", "on", 1)])
    assert {cohort: rows[0] for (*_, cohort), rows in found.items()} == {
        "2024-03-30": (1, 1),
        "2024-03-31": (1, 1),
        "2024-04-01": (1, 1),
        "2024-10-27": (1, 1),
        "2024-10-28": (1, 1),
    }
    assert all(returning == 0 for rows in found.values() for offset, (_, returning) in rows.items() if offset)
    # From 30 March to 28 October.
    assert len(found["r", "all", "all", "2024-03-30"]) == 2 + 30 + 31 + 30 + 31 + 31 + 30 + 28


def test_weeks_from_sunday(dbt, clean_env):
    variables = ("--vars", '{"week_start": "sunday"}')
    selected = [f"+{model}" for model in MODELS]
    assert dbt("compile", "--select", *selected, *variables).code == 0
    manifest = Path(clean_env["DBT_TARGET_PATH"], "manifest.json").read_text(encoding="utf-8")
    sunday = Retention(Warehouse(manifest, MODELS))
    found = sunday.build(VISITS, "2024-06-26", [("r", "week", "activity", "activity", "first_time", "on", 1)])
    assert {cohort: series(rows) for (*_, cohort), rows in found.items()} == {
        # Weeks of 2, 9, 16 and 23 June: Ann on the 3rd, 16th and 24th; Bob begins on Sunday the 9th, with Cid, who
        # comes back on the 17th.
        "2024-06-02": [(1, 1), (1, 0), (1, 1), (1, 1)],
        "2024-06-09": [(2, 2), (2, 1), (2, 0)],
    }


def test_nothing_asked_and_nothing_there(retention):
    assert retention.build(VISITS, "2024-06-26", []) == {}
    assert retention.build([], "2024-06-26", [("r", "week", "activity", "activity", "first_time", "on", 1)]) == {}


def test_of_a_mail_the_cohort_is_who_got_one_active_or_not(retention):
    found = retention.build(VISITS, "2024-06-26", [("r", "week", "mail", "activity", "first_time", "on", 1)])
    assert series(found["r", "all", "all", "2024-06-03"]) == [(1, 0)] * 4
    assert series(found["r", "all", "all", "2024-06-10"]) == [(1, 0)] * 3


# Segments at the time.

WEEKLY = [("r", "week", "activity", "activity", "recurring", "on", 1)]


def test_segments_are_those_of_the_first_start_event_of_the_period(retention):
    events = [
        ("ann", "view", "2024-06-04 10:00:00"),
        ("ann", "view", "2024-06-05 10:00:00"),
        ("ann", "view", "2024-06-11 10:00:00"),
        ("bob", "view", "2024-06-04 10:00:00"),
        ("cid", "view", "2024-06-05 10:00:00"),
    ]
    stays = [
        # Half-open: on the 4th Ann is new, from the 5th on current.
        ("ann", "lifecycle", "new", date(2024, 6, 4), date(2024, 6, 5)),
        ("ann", "lifecycle", "current", date(2024, 6, 5), None),
        ("bob", "lifecycle", "new", date(2024, 6, 4), None),
        ("bob", "geography_device", "DE / mobile", date(2024, 6, 4), None),
        ("cid", "lifecycle", "new", date(2024, 6, 4), None),
    ]
    evaluated = [
        (date(2024, 6, 4), "lifecycle", "new", 2),
        (date(2024, 6, 4), "lifecycle", "current", 2),
        # A set of values is evaluated as a whole.
        (date(2024, 6, 4), "geography_device", "all", 2),
        (date(2024, 6, 11), "lifecycle", "new", 2),
        # Not defined any more on the 11th; the 5th was not evaluated.
        (date(2024, 6, 11), "lifecycle", "current", None),
    ]
    found = retention.build(events, "2024-06-12", WEEKLY, (stays, evaluated))
    assert {key[1:]: series(rows) for key, rows in found.items()} == {
        ("all", "all", "2024-06-03"): [(3, 3), (3, 1)],
        ("all", "all", "2024-06-10"): [(1, 1)],
        # Ann, on the 4th, and Bob; Cid came on a day without evaluation.
        ("lifecycle", "new", "2024-06-03"): [(2, 2), (2, 1)],
        ("geography_device", "DE / mobile", "2024-06-03"): [(1, 1), (1, 0)],
    }
    # Had the 11th been evaluated for it:
    evaluated[-1] = (date(2024, 6, 11), "lifecycle", "current", 1)
    found = retention.build(events, "2024-06-12", WEEKLY, (stays, evaluated))
    assert series(found["r", "lifecycle", "current", "2024-06-10"]) == [(1, 1)]


# Against plain Python.


def first_day(period: str, day: date) -> date:
    """The first day of the period that the day lies in, weeks from Monday."""
    return {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[period]


def expected_retention(events: list[tuple[str, str, str]], as_of: date, report: tuple) -> dict[str, list[tuple]]:
    """The users of each cohort of a report and who came back of them, by offset."""
    _, period, start, back, mode, bound, least = report
    did = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for user, name, at in events:
        day = datetime.fromisoformat(at).date()
        if day <= as_of:
            for word in {name, TYPES[name], "" if name == "mail" else "activity"} & {start, back}:
                did[word][user][first_day(period, day)] += 1
    cohorts = defaultdict(set)
    for user, periods in did[start].items():
        for begun in [min(periods)] if mode == "first_time" else list(periods):
            cohorts[begun].add(user)
    found = {}
    for begun, users in cohorts.items():
        days = [begun + timedelta(days=number) for number in range((as_of - begun).days + 1)]
        periods = sorted({first_day(period, day) for day in days})
        found[str(begun)] = [
            (
                len(users),
                sum(
                    any(
                        did[back][user][later] >= least
                        for later in ([one] if bound == "on" else [other for other in periods if other >= one])
                    )
                    for user in users
                ),
            )
            for one in periods
        ]
    return found


WORDS = ["activity", "sign_up", "purchase", "buy", "mail", "view"]
REPORTS = st.tuples(
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
    st.sampled_from(["first_time", "recurring"]),
    st.sampled_from(["on", "on_or_after"]),
    st.integers(1, 3),
)
MADE_UP = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cid"]),
        st.sampled_from(sorted(TYPES)),
        st.integers(0, 75 * 24).map(lambda hours: str(datetime(2023, 12, 20) + timedelta(hours=hours))),
    ),
    min_size=1,
    max_size=25,
)


def test_any_report_of_any_events(retention):
    @hypothesis.settings(profile, max_examples=max(15, profile.max_examples // 2))
    @hypothesis.given(MADE_UP, st.lists(REPORTS, min_size=3, max_size=8))
    def agree(events: list[tuple[str, str, str]], listed: list[tuple]) -> None:
        reports = [(f"r{number}", *report) for number, report in enumerate(listed)]
        found = retention.build(events, "2024-02-20", reports)
        expected = {
            (report[0], "all", "all", cohort): rows
            for report in reports
            for cohort, rows in expected_retention(events, date(2024, 2, 20), report).items()
        }
        assert {key: series(rows) for key, rows in found.items()} == expected

    agree()
