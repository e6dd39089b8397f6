"""The conditions of macros/behaviours against plain Python, for any events; each boundary by hand; what is refused."""

from __future__ import annotations

import math
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest
import yaml
from conftest import PROJECT, run_program
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

AS_OF = date(2024, 3, 1)
# The day before has fewer events: what one date answers must not leak into another.
AS_OF_DATES = (AS_OF, AS_OF - timedelta(days=1))
COLUMNS = (
    "as_of_date date, user_id varchar, event_at timestamp, event_date date, days_ago integer, event_name varchar, "
    "event_type varchar, is_activity boolean, country varchar, revenue decimal(16, 4), properties varchar, "
    # Not used by the events here, but by the lines of the guide.
    "platform varchar, item_category varchar, quantity integer"
)
JINJA = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
repeatable = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Refused(Exception):
    """What dbt prints when a macro stops the compilation."""


class Behaviours:
    """The macros rendered as dbt would, and a DuckDB in memory with rows as int_person_events has them."""

    def __init__(self) -> None:
        self.db = duckdb.connect()
        self.db.execute("set threads = 1")
        self.db.execute(f"create table int_person_events ({COLUMNS})")
        files = [*(PROJECT / "macros" / "cross_db").glob("*.sql"), *(PROJECT / "macros" / "behaviours").glob("*.sql")]
        self.context: dict[str, Any] = {
            "return": lambda value: value,
            "dbt": {"type_string": lambda: "varchar"},
            "adapter": {"dispatch": lambda name, _: self.context[f"default__{name}"]},
            "var": {"timezone": "UTC", "week_start": "monday"}.__getitem__,
            "ref": lambda name: name,
            "modules": {"re": re},
            "exceptions": {"raise_compiler_error": self.refuse},
        }
        texts = [path.read_text("utf-8") for path in files]
        # A materialization is no macro; Jinja alone does not know the word.
        text = "".join(text for text in texts if "{% materialization" not in text)
        macros = JINJA.from_string(text).make_module(self.context)
        self.context |= {name: macro for name, macro in vars(macros).items() if not name.startswith("_")}

    @staticmethod
    def refuse(line: str) -> None:
        raise Refused(line)

    def sql(self, text: str) -> str:
        """What dbt would make of it. Raises Refused."""
        return JINJA.from_string(text).render(self.context)

    def fill(self, events: Iterable[dict]) -> None:
        """Replaces the rows by these events: each at every as-of date that is not before it."""
        self.db.execute("delete from int_person_events")
        rows = [
            [
                as_of, event["user"], event["at"], event["at"].date(), (as_of - event["at"].date()).days,
                event["name"], event["type"], event["is_activity"], event["country"], event["revenue"],
                event["properties"],
            ]
            for as_of in AS_OF_DATES
            for event in events
            if event["at"].date() <= as_of
        ]  # fmt: skip
        if rows:
            places = ", ".join([f"({', '.join('?' * 11)}, null, null, null)"] * len(rows))
            self.db.execute(f"insert into int_person_events values {places}", [cell for row in rows for cell in row])

    def columns(self, *expressions: str) -> dict[tuple[date, str], tuple]:
        """What these make of each person, as a model of metrics would."""
        selected = ",\n".join(f"{sql} as column_{place}" for place, sql in enumerate(expressions))
        rows = self.db.execute(
            f"select as_of_date, user_id, {selected} from int_person_events group by as_of_date, user_id"
        ).fetchall()
        return {row[:2]: row[2:] for row in rows}

    def one(self, text: str) -> Any:
        """What a macro makes of ann at AS_OF."""
        return self.columns(self.sql("{{ " + text + " }}"))[AS_OF, "ann"][0]


@pytest.fixture(scope="module")
def macros() -> Iterator[Behaviours]:
    """The macros, and no events yet."""
    made = Behaviours()
    yield made
    made.db.close()


KINDS = {
    "meal_cooked": ("core_action", True),
    "recipe_saved": ("core_action", True),
    "searched": ("search", True),
    "search": ("other", True),
    "error_shown": ("error", False),
    "o'clock; --": ("other", True),
}
ANY_TIME = "12:00:00"


def event(name: str = "meal_cooked", days_ago: int = 0, at: str = ANY_TIME, user: str = "ann", **more: Any) -> dict:
    """An event so many days before AS_OF."""
    moment = datetime.combine(AS_OF - timedelta(days=days_ago), time.fromisoformat(at))
    event_type, is_activity = KINDS[name]
    blank = {"country": None, "revenue": None, "properties": None}
    return {"user": user, "at": moment, "name": name, "type": event_type, "is_activity": is_activity} | blank | more


# What the macros mean, in plain Python.

CONDITIONS: dict[str | None, Callable[[dict], bool]] = {
    None: lambda _: True,
    "country = 'DE'": lambda row: row["country"] == "DE",
    "country <> 'DE'": lambda row: row["country"] not in (None, "DE"),
    "revenue > 0 or country = 'FR'": lambda row: (row["revenue"] or 0) > 0 or row["country"] == "FR",
}
TYPES = {kind for kind, _ in KINDS.values()}


def is_one_of(row: dict, words: str | list[str]) -> bool:
    """Whether the event is of a type, has a name, or is what a word for several says."""
    for word in [words] if isinstance(words, str) else words:
        if word == "any_event" or (word == "activity" and row["is_activity"]):
            return True
        if (row["type"] if word in TYPES else row["name"]) == word:
            return True
    return False


def matching(
    rows: list[dict], as_of: date, event: str | list[str], where: str | None = None, days: int | None = None,
    from_date: str | None = None, to_date: str | None = None, **_: Any,
) -> list[dict]:  # fmt: skip
    """The events that count."""
    first = as_of - timedelta(days=days - 1) if days else date.min
    return [
        row
        for row in rows
        if is_one_of(row, event) and CONDITIONS[where](row) and first <= row["at"].date()
        and (from_date or "0000") <= row["at"].date().isoformat() <= (to_date or "9999")
    ]  # fmt: skip


def performed(rows: list[dict], as_of: date, **said: Any) -> bool:
    times = len(matching(rows, as_of, **said))
    low, high = said.get("between") or (said.get("at_least") or 1, said.get("at_most") or 10**9)
    return times == said["exactly"] if said.get("exactly") else low <= times <= high


def not_performed(rows: list[dict], as_of: date, **said: Any) -> bool:
    return not matching(rows, as_of, **said)


def count_of(rows: list[dict], as_of: date, **said: Any) -> int:
    return len(matching(rows, as_of, **said))


def values(rows: list[dict], as_of: date, value: str, **said: Any) -> list[Decimal]:
    assert value == "revenue"
    return [row["revenue"] for row in matching(rows, as_of, **said) if row["revenue"] is not None]


def sum_of(rows: list[dict], as_of: date, **said: Any) -> Decimal:
    return sum(values(rows, as_of, **said), Decimal(0))


def average_of(rows: list[dict], as_of: date, **said: Any) -> float | None:
    found = values(rows, as_of, **said)
    return float(sum(found) / len(found)) if found else None


def min_of(rows: list[dict], as_of: date, **said: Any) -> Decimal | None:
    return min(values(rows, as_of, **said), default=None)


def max_of(rows: list[dict], as_of: date, **said: Any) -> Decimal | None:
    return max(values(rows, as_of, **said), default=None)


def distinct_of(rows: list[dict], as_of: date, **said: Any) -> int:
    return len(set(values(rows, as_of, **said)))


def with_values(rows: list[dict], as_of: date, **said: Any) -> list[tuple]:
    del said["value"]
    return [
        (row["at"], row["revenue"]) for row in matching(rows, as_of, **said) if row["revenue"] is not None
    ]  # fmt: skip


def first_of(rows: list[dict], as_of: date, **said: Any) -> Decimal | None:
    return min(with_values(rows, as_of, **said), default=(None, None))[1]


def last_of(rows: list[dict], as_of: date, **said: Any) -> Decimal | None:
    return max(with_values(rows, as_of, **said), default=(None, None))[1]


def first_time(rows: list[dict], as_of: date, event: Any, where: str | None = None, **window: Any) -> bool:
    ever = matching(rows, as_of, event, where)
    return bool(ever) and bool(matching([min(ever, key=lambda row: row["at"])], as_of, event, where, **window))


def stopped(rows: list[dict], as_of: date, event: Any, days: int, recent_days: int, where: str | None = None) -> bool:
    inside, recent = (matching(rows, as_of, event, where, days=span) for span in (days, recent_days))
    return bool(inside) and not recent


def restarted(rows: list[dict], as_of: date, event: Any, days: int, recent_days: int, where: str | None = None) -> bool:
    ever, inside, recent = (matching(rows, as_of, event, where, days=span) for span in (None, days, recent_days))
    return bool(recent) and len(inside) == len(recent) and len(ever) > len(inside)


def regularly(
    rows: list[dict], as_of: date, event: Any, periods: int, of_last: int, period_days: int, at_least: int = 1,
    where: str | None = None,
) -> bool:  # fmt: skip
    ends = [as_of - timedelta(days=period_days * period) for period in range(of_last)]
    return periods <= sum(
        len([row for row in matching(rows, as_of, event, where, days=None)
             if end - timedelta(days=period_days) < row["at"].date() <= end]) >= at_least
        for end in ends
    )  # fmt: skip


def more_of(
    rows: list[dict], as_of: date, event: Any, than: Any, times: float | None = None, where: str | None = None,
    than_where: str | None = None, **window: Any,
) -> bool:  # fmt: skip
    this, that = len(matching(rows, as_of, event, where, **window)), len(matching(rows, as_of, than, than_where, **window))
    return this > that and (times is None or this >= times * that)


def share_of(
    rows: list[dict], as_of: date, event: Any, of: Any, where: str | None = None, **window: Any
) -> float | None:
    whole = matching(rows, as_of, of, **window)
    return len(matching(whole, as_of, event, where)) / len(whole) if whole else None


# Any events, any arguments.

WORDS = st.sampled_from(
    ["core_action", "search", "meal_cooked", "o'clock; --", "activity", "error", "any_event", "other"]
)
EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(sorted(KINDS)),
        st.sampled_from([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        st.sampled_from(["00:00:00", ANY_TIME, "23:59:59.999999"]),
        st.sampled_from(["ann", "ann", "bob"]),
        country=st.sampled_from([None, "DE", "FR"]),
        revenue=st.sampled_from([None, Decimal("1.5"), Decimal("2"), Decimal("-2")]),
    ),
    min_size=1,
    max_size=14,
)
EVENT = {"event": st.one_of(WORDS, st.lists(WORDS, min_size=1, max_size=3))}
WHERE = {"where": st.sampled_from(list(CONDITIONS))}
DAY = st.integers(0, 9).map(lambda days: (AS_OF - timedelta(days=days)).isoformat())
WINDOWS = st.one_of(
    st.fixed_dictionaries({"days": st.integers(1, 10)}),
    st.tuples(DAY, DAY).map(lambda pair: {"from_date": min(pair), "to_date": max(pair)}),
    DAY.map(lambda day: {"from_date": day}),
    DAY.map(lambda day: {"to_date": day}),
)
ANY_WINDOW = st.one_of(WINDOWS, st.just({}))
SPANS = st.tuples(st.integers(1, 8), st.integers(1, 4)).map(lambda a: {"recent_days": a[0], "days": a[0] + a[1]})
BOUNDS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"at_least": st.integers(1, 3)}),
    st.fixed_dictionaries({"at_most": st.integers(1, 3)}),
    st.fixed_dictionaries({"exactly": st.integers(1, 3)}),
    st.tuples(st.integers(1, 3), st.integers(0, 2)).map(lambda a: {"between": [a[0], a[0] + a[1]]}),
    st.tuples(st.integers(1, 3), st.integers(0, 2)).map(lambda a: {"at_least": a[0], "at_most": a[0] + a[1]}),
)
PERIODS = st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(1, 3), st.integers(1, 2)).map(
    lambda a: {"periods": a[0], "of_last": a[0] + a[1], "period_days": a[2], "at_least": a[3]}
)
MORE = st.fixed_dictionaries(
    {"than": WORDS, "times": st.sampled_from([None, 1, 1.5, 2]), "than_where": st.sampled_from(list(CONDITIONS))}
)


def calls(*parts: Any) -> st.SearchStrategy[dict]:
    """Arguments put together from these."""
    strategies = [st.fixed_dictionaries(part) if isinstance(part, dict) else part for part in parts]
    return st.tuples(*strategies).map(lambda given: {key: value for one in given for key, value in one.items()})


USUAL = calls(EVENT, WHERE, ANY_WINDOW)
OF_VALUE = USUAL.map(lambda said: said | {"value": "revenue"})
ARGUMENTS = {
    performed: calls(EVENT, WHERE, ANY_WINDOW, BOUNDS),
    not_performed: USUAL,
    count_of: USUAL,
    sum_of: OF_VALUE,
    average_of: OF_VALUE,
    min_of: OF_VALUE,
    max_of: OF_VALUE,
    distinct_of: OF_VALUE,
    first_of: OF_VALUE,
    last_of: OF_VALUE,
    first_time: calls(EVENT, WHERE, WINDOWS),
    stopped: calls(EVENT, WHERE, SPANS),
    restarted: calls(EVENT, WHERE, SPANS),
    regularly: calls(EVENT, WHERE, PERIODS),
    more_of: calls(EVENT, WHERE, ANY_WINDOW, MORE),
    share_of: calls(EVENT, WHERE, ANY_WINDOW, st.sampled_from([{"of": "any_event"}, {"of": "activity"}])),
}


def public_macros() -> set[str]:
    """The macros that models call: all that know which arguments they have."""
    text = "".join(path.read_text("utf-8") for path in (PROJECT / "macros" / "behaviours").glob("*.sql"))
    return set(re.findall(r"refuse_unknown\('(\w+)'", text))


def test_every_condition_has_a_meaning_here():
    others = {"sequence_of", "trait_at", "top_percent", "top_n", "quantile_of"}
    assert public_macros() == {meaning.__name__ for meaning in ARGUMENTS} | others


def test_every_condition_is_in_the_model_of_examples_whose_unit_tests_run_on_any_engine():
    model = (PROJECT / "models" / "intermediate" / "int_behaviour_examples.sql").read_text("utf-8")
    assert public_macros() == public_macros() & set(re.findall(r"{{ (\w+)\(", model))


@pytest.mark.parametrize("meaning", ARGUMENTS, ids=lambda meaning: meaning.__name__)
def test_a_condition_means_what_it_says(macros, meaning):
    @repeatable
    @given(EVENTS, st.lists(ARGUMENTS[meaning], min_size=5, max_size=5))
    def holds(events: list[dict], several: list[dict]) -> None:
        macros.fill(events)
        found = macros.columns(*(macros.context[meaning.__name__](**said) for said in several))
        people = {(as_of, row["user"]) for as_of in AS_OF_DATES for row in events if row["at"].date() <= as_of}
        assert found.keys() == people
        for (as_of, user), answers in found.items():
            rows = [row for row in events if row["user"] == user and row["at"].date() <= as_of]
            for said, answer in zip(several, answers):
                expected = meaning(rows, as_of, **said)
                same = math.isclose(answer, expected) if isinstance(expected, float) and answer is not None else (
                    answer == expected
                )  # fmt: skip
                assert same, (said, as_of, user, expected, answer)

    holds()


# Each boundary by hand: a call, and by the days ago on which ann cooked whether it is true of her.

BOUNDARIES = [
    ("performed('core_action', days=7)", [[6], [0]], [[7]]),
    ("performed('core_action')", [[900]], []),
    ("performed('core_action', days=7, at_least=2)", [[0, 6], [1, 1, 1]], [[0], [6, 7]]),
    ("performed('core_action', days=7, at_most=2)", [[0], [0, 6], [0, 6, 7]], [[7], [0, 1, 2]]),
    ("performed('core_action', days=7, exactly=2)", [[0, 6], [0, 6, 7]], [[0], [0, 1, 2]]),
    ("performed('core_action', days=7, between=[2, 3])", [[0, 1], [0, 1, 2]], [[0], [0, 1, 2, 3]]),
    ("performed('core_action', from_date='2024-02-28', to_date='2024-02-29')", [[2], [1]], [[3], [0]]),
    ("not_performed('core_action', days=7)", [[7]], [[6], [0]]),
    ("first_time('core_action', days=7)", [[6], [0, 6]], [[7], [0, 7]]),
    ("first_time('core_action', from_date='2024-02-28', to_date='2024-02-29')", [[2], [1, 0]], [[3, 2], [0]]),
    ("stopped('core_action', days=28, recent_days=7)", [[7], [27], [27, 40]], [[6, 7], [28], [6]]),
    ("restarted('core_action', days=28, recent_days=7)", [[0, 28], [6, 28]], [[6], [7, 28], [6, 27, 28], [28], [7]]),
    ("regularly('core_action', periods=2, of_last=3, period_days=7)", [[6, 7], [0, 20], [13, 14]], [[0, 6], [0, 21]]),
    (
        "regularly('core_action', periods=1, of_last=2, period_days=7, at_least=2)",
        [[7, 13], [0, 6]],
        [[6, 7], [13, 14]],
    ),
    ("more_of('core_action', than='search', days=7)", [[0]], [[7]]),
    ("more_of('search', than='core_action')", [], [[0]]),
]


@pytest.mark.parametrize(
    ("call", "days_ago", "expected"),
    [(call, days, True) for call, yes, _ in BOUNDARIES for days in yes]
    + [(call, days, False) for call, _, no in BOUNDARIES for days in no],
)
def test_on_each_side_of_a_boundary(macros, call, days_ago, expected):
    macros.fill([event(days_ago=days) for days in days_ago])
    assert macros.one(call) is expected


def test_the_first_and_the_last_moment_of_a_window_are_in_it(macros):
    macros.fill([event(days_ago=6, at="00:00:00"), event(days_ago=0, at="23:59:59.999999")])
    assert macros.one("count_of('core_action', days=7)") == 2
    macros.fill([event(days_ago=7, at="23:59:59.999999")])
    assert macros.one("count_of('core_action', days=7)") == 0


def test_more_of_is_strictly_more_and_so_many_times_as_much(macros):
    cooked, searched = event(), event("searched")
    cases = [(0, 1, 0, 0), (1, 1, 0, 0), (2, 1, 1, 1), (3, 2, 1, 0), (4, 2, 1, 1), (1, 0, 1, 1)]
    for cooks, searches, more, twice in cases:
        macros.fill([cooked] * cooks + [searched] * searches)
        assert macros.one("more_of('core_action', than='search')") == bool(more)
        assert macros.one("more_of('core_action', than='search', times=2)") == bool(twice)


def test_a_condition_on_one_side_of_more_leaves_the_other_as_it_is(macros):
    macros.fill([event(country="DE"), event(country="FR"), event("searched")])
    assert macros.one("more_of('core_action', than='search')") is True
    # One meal cooked in Germany, and one search; none of the searches is from France.
    assert macros.one("""more_of('core_action', than='search', where="country = 'DE'")""") is False
    both = """more_of('core_action', than='search', where="country = 'DE'", than_where="country = 'FR'")"""
    assert macros.one(both) is True


def test_a_share_of_nothing_is_null(macros):
    macros.fill([event(days_ago=7)])
    assert macros.one("share_of('core_action', days=7)") is None
    macros.fill([event(days_ago=6), event("searched", days_ago=7)])
    assert macros.one("share_of('core_action', days=7)") == 1
    macros.fill([event(), event("searched"), event("error_shown"), event("error_shown")])
    assert macros.one("share_of('core_action')") == 0.25
    assert macros.one("share_of('core_action', of='activity')") == 0.5


def test_a_word_of_the_taxonomy_is_a_type_any_other_word_a_name(macros):
    macros.fill([event("search"), event("search"), event("searched")])
    assert macros.one("count_of('search')") == 1
    assert macros.one("count_of('any_event', where=\"event_name = 'search'\")") == 2
    assert macros.one("count_of(['search', 'meal_cooked', 'search_performed'])") == 1


def test_the_words_for_types_are_those_of_the_input(macros):
    from raw_files import EVENT_TYPES

    assert {macros.context["event_kind"](word) for word in EVENT_TYPES} == {"type"}
    kinds = [macros.context["event_kind"](word) for word in ("activity", "any_event", "meal_cooked")]
    assert kinds == ["activity", "any", "name"]
    text = (PROJECT / "macros" / "behaviours" / "matching.sql").read_text("utf-8")
    (types,) = re.findall(r"return\(\[(.*?)\]", text, re.DOTALL)
    assert set(re.findall(r"'(\w+)'", types)) == set(EVENT_TYPES)


def test_a_name_with_a_quote_is_a_name(macros):
    macros.fill([event("o'clock; --"), event()])
    assert macros.one('count_of("o\'clock; --")') == 1


# JSON.

JSON = [
    ('{"plan": "pro", "cart": {"total": "12.5", "items": [{"a.b": 7}]}}', "'plan'", "pro", None),
    ('{"plan": "pro", "cart": {"total": "12.5", "items": [{"a.b": 7}]}}', "'cart.total'", "12.5", Decimal("12.5")),
    ('{"plan": "pro", "cart": {"total": "12.5", "items": [{"a.b": 7}]}}', "['cart', 'items', 0, 'a.b']", "7", 7),
    ('{"a/b": {"c~d": {"e\'f\\"": "deep"}}}', "['a/b', 'c~d', 'e\\'f\"']", "deep", None),
    ('{"plan": null}', "'plan'", None, None),
    ('{"plan": true}', "'plan'", "true", None),
    ("[1]", "'plan'", None, None),
    ("no json {", "'plan'", None, None),
    (None, "'plan'", None, None),
]


@pytest.mark.parametrize(("properties", "path", "text", "number"), JSON)
def test_a_property_is_read_from_json(macros, properties, path, text, number):
    # In one column with good JSON: what is no JSON must not stop the query.
    macros.fill([event(properties=properties), event(user="bob", properties="{}")])
    assert macros.one(f"max_of(json_text('properties', {path}), 'core_action')") == text
    assert macros.one(f"max_of(json_number('properties', {path}), 'core_action')") == number


def test_a_property_is_a_condition(macros):
    macros.fill([event(properties='{"serves": 4}'), event(properties='{"serves": 2}'), event(properties="no")])
    assert macros.one("count_of('core_action', where=json_number('properties', 'serves') ~ ' >= 4')") == 1


# Sequences.


def sequence(macros: Behaviours, **said: Any) -> dict[tuple[date, str], datetime]:
    """The last completion by person."""
    rows = macros.db.execute(macros.context["sequence_of"](**said)).fetchall()
    assert len({row[:2] for row in rows}) == len(rows)
    return {row[:2]: row[2] for row in rows}


def chains(
    rows: list[dict], as_of: date, steps: list, without: Any = None, days: int | None = None, **spans: int
) -> datetime | None:
    """When the last chain was completed: every choice of events is tried."""
    seconds = {name.rsplit("_", 1)[0]: span * (86400 if name.endswith("days") else 1) for name, span in spans.items()}
    longest = {name: timedelta(seconds=span) for name, span in seconds.items()}
    rows = sorted(matching(rows, as_of, "any_event", days=days), key=lambda row: row["at"])

    def fits(row: dict, step: Any) -> bool:
        said = step if isinstance(step, dict) else {"event": step}
        return bool(matching([row], as_of, **said))

    unwanted = [row["at"] for row in rows if without is not None and fits(row, without)]
    completed = []
    for chain in combinations(rows, len(steps)):
        gaps = list(zip(chain, chain[1:]))
        if (
            all(fits(row, step) for row, step in zip(chain, steps))
            and all(one["at"] < two["at"] for one, two in gaps)
            and all(two["at"] - one["at"] <= longest.get("within", timedelta.max) for one, two in gaps)
            and chain[-1]["at"] - chain[0]["at"] <= longest.get("in_all", timedelta.max)
            and not any(one["at"] < moment < two["at"] for one, two in gaps for moment in unwanted)
        ):
            completed.append(chain[-1]["at"])
    return max(completed, default=None)


STEP = st.one_of(
    st.sampled_from(["core_action", "search", "meal_cooked", "error"]),
    st.just(["core_action", "search"]),
    st.just({"event": "activity", "where": "country = 'DE'"}),
)
STEPS = st.fixed_dictionaries(
    {"steps": st.lists(STEP, min_size=2, max_size=4)},
    optional={
        "without": STEP,
        "days": st.integers(2, 3),
        "within_seconds": st.sampled_from([1, 2, 3]),
        "in_all_seconds": st.sampled_from([3, 4, 5]),
    },
)
MOMENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(["meal_cooked", "meal_cooked", "searched", "searched", "error_shown", "recipe_saved"]),
        st.sampled_from([0, 0, 0, 1, 2, 3]),
        st.integers(0, 7).map(lambda second: f"12:00:0{second}"),
        st.sampled_from(["ann", "ann", "ann", "bob"]),
        country=st.sampled_from([None, "DE"]),
    ),
    min_size=2,
    max_size=12,
)


@settings(repeatable, max_examples=300)
@given(MOMENTS, STEPS)
# In 'one day' a chain goes over midnight, exactly a day long.
@example([event(days_ago=1), event("searched")], {"steps": ["core_action", "search"], "within_days": 1})
@example(
    [event(days_ago=1), event("searched", at="12:00:00.000001")], {"steps": ["core_action", "search"], "in_all_days": 1}
)
def test_a_sequence_is_found_whichever_events_make_it(macros, events, said):
    macros.fill(events)
    found = sequence(macros, **said)
    for as_of in AS_OF_DATES:
        for user in ("ann", "bob"):
            rows = [row for row in events if row["user"] == user and row["at"].date() <= as_of]
            assert found.get((as_of, user)) == chains(rows, as_of, **said), (as_of, user)


def told(story: str) -> list[dict]:
    """'C S . E': cooked, searched, nothing, an error, a second each; 'CS' at the same moment."""
    names = {"C": "meal_cooked", "S": "searched", "E": "error_shown"}
    return [
        event(names[letter], at=f"12:00:0{second}")
        for second, moment in enumerate(story.split())
        for letter in moment
        if letter != "."
    ]


@pytest.mark.parametrize(
    ("story", "said", "expected"),
    [
        ("C S", {}, True),
        ("S C", {}, False),
        ("CS", {}, False),
        ("CS S", {}, True),
        ("C . S", {"within_seconds": 2}, True),
        ("C . . S", {"within_seconds": 2}, False),
        ("C . . C S", {"within_seconds": 2}, True),
        ("C E S", {"without": "error"}, False),
        ("C E C S", {"without": "error"}, True),
        ("C S E", {"without": "error"}, True),
        ("CE S", {"without": "error"}, True),
        ("C SE", {"without": "error"}, True),
        ("C S E S", {"without": "error"}, True),
        ("C . S C", {"steps": ["core_action", "search", "core_action"], "within_seconds": 2}, True),
        ("C . S . C", {"steps": ["core_action", "search", "core_action"], "in_all_seconds": 3}, False),
        ("C . S . C", {"steps": ["core_action", "search", "core_action"], "in_all_seconds": 4}, True),
        # The first search is too far from the end, the second has no meal before it that is near enough.
        ("C S . . C C", {"steps": ["core_action", "search", "core_action"], "within_seconds": 2}, False),
        # The later beginning counts, though the step between is the same.
        ("C C S C", {"steps": ["core_action", "search", "core_action"], "in_all_seconds": 2}, True),
        ("C C", {"steps": ["core_action", "core_action"]}, True),
        ("C", {"steps": ["core_action", "core_action"]}, False),
    ],
)
def test_a_sequence_by_hand(macros, story, said, expected):
    macros.fill(told(story))
    assert ((AS_OF, "ann") in sequence(macros, **({"steps": ["core_action", "search"]} | said))) is expected


def test_all_steps_lie_in_the_window(macros):
    macros.fill([event(days_ago=3), event("searched", days_ago=2)])
    assert (AS_OF, "ann") not in sequence(macros, steps=["core_action", "search"], days=3)
    assert sequence(macros, steps=["core_action", "search"], days=4)[AS_OF, "ann"] == event(days_ago=2)["at"]


# Standing among all.

METRICS = st.lists(
    st.tuples(st.sampled_from(AS_OF_DATES), st.sampled_from([None, 0, 1, 2, 2, 5]), st.booleans()),
    min_size=1,
    max_size=12,
)


@repeatable
@given(METRICS, st.sampled_from([0.5, 10, 25, 50, 99]), st.integers(1, 4), st.integers(2, 5), st.booleans())
def test_standing_goes_by_how_many_do_better(macros, people, percent, n, quantiles, are_picked):
    columns_of = "as_of_date date, user_id integer, metric integer, picked boolean"
    macros.db.execute(f"create or replace table ranked ({columns_of})")
    rows = [[day, user, metric, picked] for user, (day, metric, picked) in enumerate(people)]
    macros.db.executemany("insert into ranked values (?, ?, ?, ?)", rows)
    said: dict[str, Any] = {"metric": "metric"} | ({"among": "picked"} if are_picked else {})
    columns = [
        macros.context["top_percent"](percent=percent, **said),
        macros.context["top_n"](n=n, **said),
        macros.context["quantile_of"](quantiles=quantiles, **said),
    ]
    found = macros.db.execute(f"select user_id, {', '.join(columns)} from ranked order by user_id").fetchall()
    for (user, *answers), (day, metric, picked) in zip(found, people, strict=True):
        others = [value for on, value, one in people if on == day and value is not None and (one or not are_picked)]
        if metric is None or (are_picked and not picked):
            expected = [False, False, None]
        else:
            better, worse = sum(value > metric for value in others), sum(value < metric for value in others)
            expected = [better * 100 < percent * len(others), better < n, 1 + quantiles * worse // len(others)]
        assert answers == expected, user


@pytest.mark.parametrize(
    ("call", "values", "expected"),
    [
        ("top_percent('metric', percent=20)", [9, 8, 7, 6, 5], [1, 0, 0, 0, 0]),
        ("top_percent('metric', percent=21)", [9, 8, 7, 6, 5], [1, 1, 0, 0, 0]),
        ("top_percent('metric', percent=20)", [9, 9, 9, 6, 5], [1, 1, 1, 0, 0]),
        ("top_n('metric', n=2)", [9, 8, 8, 7], [1, 1, 1, 0]),
        ("top_n('metric', n=2)", [9, 9, 8, 7], [1, 1, 0, 0]),
        ("top_n('-metric', n=1)", [9, 8, 7], [0, 0, 1]),
        ("quantile_of('metric', quantiles=5)", [9, 8, 7, 6, 5], [5, 4, 3, 2, 1]),
        ("quantile_of('metric', quantiles=2)", [9, 9, 9, 9], [1, 1, 1, 1]),
    ],
)
def test_equal_values_have_equal_answers(macros, call, values, expected):
    rows = ", ".join(f"({place}, {value})" for place, value in enumerate(values))
    source = f"(select date '2024-03-01' as as_of_date, * from (values {rows}) as t (user_id, metric))"
    answers = macros.db.execute(f"select {macros.sql('{{ ' + call + ' }}')} from {source} order by user_id").fetchall()
    assert [int(answer) for (answer,) in answers] == expected


# A trait as it was.


def traits(macros: Behaviours, call: str) -> dict[str, str | None]:
    """The trait of each person at AS_OF."""
    rows = macros.db.execute(macros.sql("{{ " + call + " }}")).fetchall()
    assert len({row[:2] for row in rows}) == len(rows)
    return {user: value for day, user, value in rows if day == AS_OF}


def test_a_trait_is_as_it_was_at_the_end_of_a_past_day(macros):
    db = macros.db
    db.execute("create or replace table int_as_of_dates as select unnest(?) as as_of_date", [list(AS_OF_DATES)])
    db.execute(
        "create or replace table stg_generic__users (user_id varchar, updated_at timestamp, plan varchar, "
        "country varchar, language varchar, channel varchar)"
    )
    db.execute(
        "insert into stg_generic__users (user_id, updated_at, plan) values ('ann', '2024-02-20 00:00', 'free'), "
        "('ann', '2024-02-25 23:59:59', 'trial'), ('ann', '2024-02-26 00:00', 'pro'), ('bob', null, 'free'), "
        "('cid', '2024-03-01', 'free'), ('old', '2024-02-21', 'gold')"
    )
    db.execute(
        "create or replace table int_aliases (previous_id varchar, user_id varchar, known_from date, known_to date)"
    )
    db.execute("insert into int_aliases values ('old', 'dora', '2024-03-01', '9999-12-31')")
    assert traits(macros, "trait_at('plan', days_before=5)") == {"ann": "trial", "bob": "free", "dora": "gold"}
    assert traits(macros, "trait_at('plan', days_before=4)") == {"ann": "pro", "bob": "free", "dora": "gold"}
    assert traits(macros, "trait_at('plan', days_before=11)") == {"bob": "free"}
    assert traits(macros, "trait_at('plan', on_date='2024-02-20')") == {"ann": "free", "bob": "free"}
    # Nothing that is later than the as-of date is known at it, whatever day is asked for.
    everything = macros.db.execute(macros.sql("{{ trait_at('plan', on_date='2099-01-01') }}")).fetchall()
    the_day_before = {row[1:] for row in everything if row[0] == AS_OF_DATES[1]}
    assert the_day_before == {("ann", "pro"), ("bob", "free"), ("old", "gold")}


# What is refused.

REFUSED = {
    "performed()": "performed: event is missing",
    "performed('')": "performed: event is ''",
    "performed([])": r"performed: event is '\[\]'; write an event, or a list",
    "performed(['search', none])": "performed: event is 'None'",
    "performed({'event': 'search'})": "write an event, or a list",
    "performed('search', dayz=7)": "performed: there is no argument dayz",
    "performed('search', none, 7, none, none, 1, none, none, none, 5)": "performed: too many arguments without a name",
    "performed('search', days=0)": "performed: days is 0; write a whole number from 1",
    "performed('search', days=-1)": "performed: days is -1",
    "performed('search', days=1.5)": r"performed: days is 1\.5",
    "performed('search', days='7')": "performed: days is 7; write a whole number",
    "performed('search', days=true)": "performed: days is True",
    "performed('search', days=weak)": "performed: days is ; write a whole number",
    "performed('search', at_least=0)": r"at_least is 0; write a whole number from 1; never is .* not_performed\(\)",
    "performed('search', at_least=-1)": "at_least is -1",
    "performed('search', at_most=0)": "at_most is 0",
    "performed('search', exactly=0)": r"exactly is 0.*not_performed\(\)",
    "performed('search', at_least=3, at_most=2)": "at_least 3 is above at_most 2",
    "performed('search', exactly=2, at_least=1)": "exactly and between stand alone",
    "performed('search', exactly=2, between=[1, 2])": "exactly and between stand alone",
    "performed('search', between=[3, 2])": r"between is \[3, 2\]; write the smaller one first",
    "performed('search', between=[0, 2])": "between is 0; write a whole number from 1",
    "performed('search', between=2)": "between is 2; write two whole numbers",
    "performed('search', where='')": "where is ''; write a condition",
    "performed('search', days=7, to_date='2024-01-01')": "days stands beside from_date or to_date",
    "performed('search', from_date='2024-02-02', to_date='2024-02-01')": "from_date 2024-02-02 is after to_date",
    "performed('search', from_date='2023-02-29')": "from_date is '2023-02-29', which is no date",
    "performed('search', to_date='1.2.2024')": "to_date is '1.2.2024', which is no date",
    "performed('search', to_date='2024-13-01')": "no date",
    "not_performed('search', at_least=1)": "not_performed: there is no argument at_least",
    "count_of('search', day=1)": "count_of: there is no argument day",
    "sum_of(event='search')": "sum_of: value is 'None'; write a column",
    "first_time('search')": "first_time: there is no window",
    "first_time('search', days=0)": "first_time: days is 0",
    "stopped('search', days=7)": "stopped: recent_days is None; write a whole number",
    "stopped('search', days=7, recent_days=7)": "stopped: recent_days is 7 and days is 7; .* smaller recent_days",
    "restarted('search', days=7, recent_days=28)": "restarted: recent_days is 28 and days is 7",
    "restarted('search', days=7, recent_days=0)": "restarted: recent_days is 0",
    "regularly('search', periods=4, of_last=3, period_days=7)": "regularly: periods 4 is above of_last 3",
    "regularly('search', periods=0, of_last=3, period_days=7)": "regularly: periods is 0",
    "regularly('search', periods=1, of_last=3, period_days=7, at_least=0)": "regularly: at_least is 0",
    "regularly('search', periods=1, of_last=3)": "regularly: period_days is None",
    "more_of('search')": "more_of: than is missing",
    "more_of('search', than='login', times=0.5)": r"more_of: times is 0\.5; write a number from 1",
    "more_of('search', than='login', times='2')": "more_of: times is 2",
    "share_of('search', of=['login', 'purchase'])": "share_of: search is none of login, purchase; add it to `of`",
    "share_of('tapped', of='swiped')": "share_of: tapped is none of swiped",
    "share_of('search', of=[])": "share_of: event is",
    "top_percent('revenue', percent=0)": "top_percent: percent is 0; write a number above 0 and below 100",
    "top_percent('revenue', percent=100)": "top_percent: percent is 100",
    "top_percent(percent=10)": "top_percent: metric is 'None'",
    "top_percent('revenue', percent=10, among='')": "top_percent: among is ''",
    "top_n('revenue', n=0)": "top_n: n is 0",
    "quantile_of('revenue', quantiles=1)": "quantile_of: quantiles is 1; write a whole number from 2",
    "quantile_of('revenue', parts=4)": "quantile_of: there is no argument parts",
    "trait_at('birth_year', days_before=1)": "trait_at: trait is 'birth_year'; write plan, country",
    "trait_at('plan')": "trait_at: write the past day as",
    "trait_at('plan', days_before=1, on_date='2024-01-01')": "one of them alone",
    "trait_at('plan', days_before=0)": "trait_at: days_before is 0",
    "trait_at('plan', on_date='2024-1-1')": "trait_at: on_date is '2024-1-1', which is no date",
    "sequence_of(['search'])": "sequence_of: steps is '.*'; write a list of two or more",
    "sequence_of('search')": "sequence_of: steps is 'search'",
    "sequence_of(['search', {'name': 'login'}])": "sequence_of: a step has name",
    "sequence_of(['search', []])": "sequence_of: event is",
    "sequence_of(['search', 'login'], within=5)": "sequence_of: there is no argument within",
    "sequence_of(['search', 'login'], within_days=0)": "sequence_of: within_days is 0",
    "sequence_of(['search', 'login'], within_days=1, within_seconds=5)": "within_seconds stands beside within_days",
    "sequence_of(['search', 'login'], within_days=2, in_all_days=1)": "longer than in_all_..., from the first",
    "sequence_of(['search', 'login'], within_days=8, days=7)": "within_... is longer than days",
    "sequence_of(['search', 'login'], in_all_days=8, days=7)": "in_all_... is longer than days",
    "sequence_of(['search', 'login'], days=0)": "sequence_of: days is 0",
    "json_text('properties', '')": "json_text: path is ''",
    "json_text('properties', 'a..b')": "json_text: path is 'a..b'",
    "json_number('properties', [])": "json_text: path is",
}


@pytest.mark.parametrize(("call", "line"), REFUSED.items(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_in_one_line(macros, call, line):
    with pytest.raises(Refused, match=line) as refused:
        macros.sql("{{ " + call + " }}")
    assert "\n" not in str(refused.value)


# The guide: every line of it, and the models that it shows, as dbt builds and `make prove` proves them.

GUIDE = (PROJECT / "docs" / "how_do_i_say.md").read_text("utf-8")


def lines_of_the_guide() -> list[str]:
    """What stands in its tables between double braces."""
    return [line for row in re.findall(r"^\|.*\|$", GUIDE, re.MULTILINE) for line in re.findall(r"`{{ (.*?) }}`", row)]


@pytest.mark.parametrize("line", lines_of_the_guide())
def test_every_line_of_the_guide_can_be_run(macros, line):
    macros.fill([event(), event("searched")])
    macros.db.execute("create or replace table int_as_of_dates as select unnest(?) as as_of_date", [list(AS_OF_DATES)])
    macros.db.execute(
        "create or replace table stg_generic__users (user_id varchar, updated_at timestamp, plan varchar, "
        "country varchar, language varchar, channel varchar)"
    )
    macros.db.execute(
        "create or replace table int_aliases (previous_id varchar, user_id varchar, known_from date, known_to date)"
    )
    name = line.split("(")[0]
    if name in ("sequence_of", "trait_at"):
        macros.db.execute(macros.sql("{{ " + line + " }}")).fetchall()
    elif name in ("top_percent", "top_n", "quantile_of"):
        source = "(select as_of_date, user_id, count(*) as meals_cooked_28d from int_person_events group by all)"
        macros.db.execute(f"select {macros.sql('{{ ' + line + ' }}')} from {source}").fetchall()
    else:
        macros.one(line)


def test_the_guide_shows_every_condition():
    assert {line.split("(")[0] for line in lines_of_the_guide()} == public_macros()


def test_conditions_and_metrics_agree_on_the_sample(macros, built_sample):
    """What int_user_metrics makes of the days of a person, the conditions make of the events."""
    said = {
        "days_since_first_active": "max_of('days_ago', 'activity')",
        "days_since_last_active": "min_of('days_ago', 'activity')",
        "active_days_7d": "distinct_of('event_date', 'activity', days=7)",
        "active_days_28d": "distinct_of('event_date', 'activity', days=28)",
        "purchase_days_365d": "distinct_of('event_date', 'purchase', days=365)",
        "purchases_lifetime": "count_of('purchase')",
        "revenue_365d": "sum_of('revenue', ['purchase', 'refund'], days=365)",
        "support_contacts_28d": "count_of('support_contact', days=28)",
        "errors_28d": "count_of('error', days=28)",
        "searches_28d": "count_of('search', days=28)",
    }
    columns = ", ".join(f"{macros.sql('{{ ' + call + ' }}')} as {metric}" for metric, call in said.items())
    with duckdb.connect(str(built_sample), read_only=True) as warehouse:
        warehouse.execute("set TimeZone = 'UTC'")
        of_events = warehouse.execute(
            f"select user_id, {columns} from intermediate.int_person_events group by as_of_date, user_id "
            "having bool_or(is_activity) order by user_id"
        ).fetchall()
        of_metrics = warehouse.execute(
            f"select user_id, {', '.join(said)} from intermediate.int_user_metrics order by user_id"
        ).fetchall()
    assert len(of_metrics) > 500
    assert of_events == of_metrics


@pytest.fixture(scope="module")
def project_of_the_guide(tmp_path_factory) -> Path:
    """A copy of the project with the models that the guide shows."""
    copy = tmp_path_factory.mktemp("guide") / "project"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "target", "logs", "*.duckdb*"))
    blocks = re.findall(r"```(?:sql|yaml)\n((?:--|#) (models/\S+?\.(?:sql|yml)).*?)```", GUIDE, re.DOTALL)
    for text, path in blocks:
        (copy / path).write_text(text, "utf-8")
    assert len(blocks) == 7
    settings_of_dbt = (copy / "dbt_project.yml").read_text("utf-8")
    settings_of_dbt = settings_of_dbt.replace("seed-paths: []", "seed-paths: [seeds/lists]")
    settings_of_dbt = settings_of_dbt.replace("  segment_sets:\n", "  segment_sets:\n    - cooking\n")
    (copy / "dbt_project.yml").write_text(settings_of_dbt, "utf-8")
    (copy / "seeds" / "lists").mkdir()
    (copy / "seeds" / "lists" / "beta_testers.csv").write_text("user_id\nu_0002\nu_0003\n", "utf-8")
    said = {"rationale": "shown", "action": "shown", "since": "2026-11-22"}
    flags = ("weekly_cook", "displeased_cook", "beta_candidate", "convinced_by_search")
    segment_set = {
        "name": "cooking", "kind": "flags", "overlap": "overlapping", "coverage": "partial",
        "population": {"description": "Everybody.", "sql": "days_since_first_active >= 0"},
        "objective": "shown", "owner": "kitchen@example.com", "review_by": "2099-01-01",
    }  # fmt: skip
    columns = [
        {"name": "as_of_date", "data_type": "date", "description": "The day."},
        {"name": "user_id", "data_type": "string", "description": "The person."},
        *({"name": flag, "data_type": "boolean", "description": "shown", "config": {"meta": said}} for flag in flags),
    ]
    config = {"contract": {"enforced": True}, "meta": {"segment_set": segment_set}}
    model = {"name": "seg_cooking", "description": "shown", "config": config, "columns": columns}
    (copy / "models" / "segments" / "_seg_cooking.yml").write_text(yaml.safe_dump({"models": [model]}), "utf-8")
    return copy


def test_the_models_of_the_guide_can_be_built(project_of_the_guide, built_sample, clean_env, tmp_path):
    warehouse = shutil.copy(built_sample, tmp_path / "warehouse.duckdb")
    env = clean_env | {"WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(tmp_path / "target")}
    selected = ["beta_testers", "int_user_metrics__cooking", "int_user_metrics__habits", "int_user_metrics__lists"]
    dbt = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "build", "--select", *selected, "seg_cooking"]
    ran = run_program(dbt, env, project_of_the_guide)
    assert ran.code == 0, ran.output
    # Each meal is one person's.
    (meals,) = ran.rows("select cast(sum(meals_cooked_28d) as bigint) from intermediate.int_user_metrics__cooking")
    assert meals[0] > 0
    assert [meals] == ran.rows(
        "select count(*) from intermediate.int_events cross join intermediate.int_as_of_dates "
        "where event_type = 'core_action' and event_date between as_of_date - 27 and as_of_date"
    )
    # A search is followed by a meal within a day.
    habits = ran.rows(
        "select user_id from intermediate.int_user_metrics__habits where searched_then_cooked_28d order by 1"
    )
    assert habits and habits == ran.rows(
        """
        select distinct meal.user_id
        from intermediate.int_person_events as meal
        inner join intermediate.int_person_events as search on meal.user_id = search.user_id
        where
            meal.event_type = 'core_action' and meal.days_ago < 28
            and search.event_type = 'search' and search.days_ago < 28
            and meal.event_at > search.event_at and meal.event_at <= search.event_at + interval 24 hours
        order by 1
        """
    )
    assert ran.rows("select user_id from intermediate.int_user_metrics__lists order by 1") == [("u_0002",), ("u_0003",)]
    members = ran.rows(
        "select count(case when weekly_cook then 1 end), count(case when displeased_cook then 1 end), "
        "count(case when beta_candidate then 1 end), count(*) from segments.seg_cooking"
    )
    assert all(0 < count < members[0][-1] for count in members[0][:-1]), members


def test_the_set_of_the_guide_is_proven_and_so_is_one_that_reads_it(project_of_the_guide, clean_env, tmp_path):
    copy = shutil.copytree(project_of_the_guide, tmp_path / "project")
    sets = copy / "models" / "segments"
    nested = (sets / "seg_cooking.sql").read_text("utf-8").replace("int_user_metrics__cooking", "seg_cooking")
    flags = re.compile(r"        -- Three weeks of four.*?as convinced_by_search\n", re.DOTALL)
    flag = "        -- Who cooks weekly, by the other set.\n        coalesce(cooking.weekly_cook, false) as reader\n"
    (sets / "seg_readers.sql").write_text(flags.sub(flag, nested), "utf-8")
    declared = yaml.safe_load((sets / "_seg_cooking.yml").read_text("utf-8"))
    (model,) = declared["models"]
    model["name"], model["config"]["meta"]["segment_set"]["name"] = "seg_readers", "readers"
    model["columns"] = [*model["columns"][:2], model["columns"][2] | {"name": "reader"}]
    (sets / "_seg_readers.yml").write_text(yaml.safe_dump(declared), "utf-8")
    settings_of_dbt = (copy / "dbt_project.yml").read_text("utf-8")
    listed = settings_of_dbt.replace("    - cooking\n", "    - cooking\n    - readers\n")
    (copy / "dbt_project.yml").write_text(listed, "utf-8")
    files = [f"models/segments/seg_{name}.sql" for name in ("cooking", "readers")]
    tool = [sys.executable, str(copy / "tools" / "prove.py"), *files]
    ran = run_program(tool, clean_env | {"WAREHOUSE": "none"}, copy)
    assert (ran.code, "2 of 2 sets proven." in ran.output) == (0, True), ran.output


def test_dbt_refuses_in_one_line(dbt):
    ran = dbt("compile", "--quiet", "--inline", "select {{ performed('search', dayz=7) }}")
    assert ran.code != 0
    assert "performed: there is no argument dayz; docs/how_do_i_say.md lists those there are" in ran.output
