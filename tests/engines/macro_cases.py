"""What each macro of macros/cross_db is called with, and what it gives, counted by hand; the same on every engine. The
SQL is what dbt compiles for the engine; each case is one query of one value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from engines import Engine

MARK = "-- case "


def call(macro: str, *arguments: object) -> str:
    """A call of a macro with these arguments, as a model writes it."""
    written = ", ".join("none" if argument is None else json.dumps(argument, ensure_ascii=False) for argument in arguments)
    return "{{ " + macro + "(" + written + ") }}"


def of(expression: str, rows: str = "") -> str:
    """A query for one value, of no table or of rows that are given."""
    return f"select {expression}" + (f" from (values {rows}) as given(a, b)" if rows else "")


def text(value: str | None) -> str:
    """A text, or a null of that type, in SQL."""
    return "cast(null as varchar)" if value is None else "cast('" + value.replace("'", "''") + "' as varchar)"


def day(value: str) -> str:
    return f"cast('{value}' as date)"


def at(value: str) -> str:
    return f"cast('{value}' as timestamp)"


def days(query: str) -> str:
    """The days that a series gives, as one text."""
    return f"select coalesce(string_agg(cast(d as varchar), ' ' order by d), '') from (select {query} as d) as s"


TIMES = [
    (None, None),
    ("", None),
    ("abc", None),
    ("2024-02-29", datetime(2024, 2, 29)),
    ("2023-02-29", None),
    ("2000-02-29", datetime(2000, 2, 29)),
    ("1900-02-29", None),
    ("2024-04-31", None),
    ("2024-13-01", None),
    ("2024-00-10", None),
    ("2024-01-00", None),
    ("2024-2-9", datetime(2024, 2, 9)),
    ("2024/01/02", datetime(2024, 1, 2)),
    ("2024/01-02", None),
    ("2024-01-01T10:00:00Z", datetime(2024, 1, 1, 10)),
    ("2024-02-29T10:00:00Z", datetime(2024, 2, 29, 10)),
    ("2024-01-01T10:00", datetime(2024, 1, 1, 10)),
    ("2024-01-01T10", None),
    ("2024-01-01 1:2:3", datetime(2024, 1, 1, 1, 2, 3)),
    (" 2024-01-01  10:00:00 ", datetime(2024, 1, 1, 10)),
    ("2024-01-01 10:00:00 UTC", datetime(2024, 1, 1, 10)),
    ("2024-01-01 10:00:00+02", datetime(2024, 1, 1, 8)),
    ("2024-01-01 10:00:00+02:00", datetime(2024, 1, 1, 8)),
    ("2024-01-01 10:00:00+0200", datetime(2024, 1, 1, 8)),
    ("2024-01-01 10:00:00-05:30", datetime(2024, 1, 1, 15, 30)),
    ("2024-01-01 00:30:00+01:00", datetime(2023, 12, 31, 23, 30)),
    ("2024-01-01 10:00:00 +02:00", None),
    ("2024-01-01 10:00:00+2", None),
    ("2024-01-01+02", None),
    ("2024-01-01 24:00:00", datetime(2024, 1, 2)),
    ("2024-01-01 24:00:01", None),
    ("2024-01-01 23:59:60", None),
    ("2024-01-01 10:60", None),
    ("2024-01-01 10:00:00.123456", datetime(2024, 1, 1, 10, 0, 0, 123456)),
    ("2024-01-01 10:00:00.9999999", datetime(2024, 1, 1, 10, 0, 0, 999999)),
    ("2024-01-01T10:00:00.5Z", datetime(2024, 1, 1, 10, 0, 0, 500000)),
    ("2024-01-01T10:00:00,5Z", None),
    ("0001-01-01", datetime(1, 1, 1)),
    ("0000-12-31", None),
    ("9999-12-31 23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ("9999-12-31T23:00:00-02:00", None),
    ("10000-01-01", None),
    ("1969-12-31 23:59:59", datetime(1969, 12, 31, 23, 59, 59)),
    ("infinity", None),
    ("now", None),
    ("yesterday", None),
    ("1/2/2024", None),
    ("20240101", None),
    ("1700000000", None),
    ("Jan 1 2024", None),
]
NUMBERS = [
    # The text, as decimal(18, 4), as integer by try_integer.
    (None, None, None),
    ("", None, None),
    ("7", 7, 7),
    ("7.0", 7, 7),
    (" 7 ", 7, 7),
    ("+7", 7, 7),
    ("-7", -7, -7),
    ("7.5", "7.5", None),
    (".5", "0.5", None),
    ("5.", 5, 5),
    ("1e3", 1000, 1000),
    ("1E-2", "0.01", None),
    ("0.00005", "0.0001", None),
    ("-0.00005", "-0.0001", None),
    ("0.00004999", 0, 0),
    ("99999999999999.9999", "99999999999999.9999", None),
    ("99999999999999.99995", None, None),
    ("2147483647", 2147483647, 2147483647),
    ("2147483648", 2147483648, None),
    ("-2147483648", -2147483648, -2147483648),
    ("1e400", None, None),
    ("1,000", None, None),
    ("NaN", None, None),
    ("inf", None, None),
    ("--7", None, None),
    ("7d", None, None),
    ("\u0663", None, None),
]
JSON = '{"plan": "pro", "n": 7, "yes": true, "nothing": null, "cart": {"items": [{"id": "a"}, {"id": "b"}]}, "a.b": "c"}'
OF_JSON = [
    (JSON, "plan", "pro"),
    (JSON, "n", "7"),
    (JSON, "yes", "true"),
    (JSON, "nothing", None),
    (JSON, "absent", None),
    (JSON, ["cart", "items", 1, "id"], "b"),
    (JSON, ["cart", "items", 2, "id"], None),
    (JSON, ["a.b"], "c"),
    ('{"it\'s": "quoted"}', ["it's"], "quoted"),
    ('{"a/b~c": "d"}', ["a/b~c"], "d"),
    ("{not json", "plan", None),
    ("", "plan", None),
    (None, "plan", None),
]
SHA_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

SUM = "{{ sum_of_hashes(hash64_of_all(['a'])) }}"
MANY_DIGITS = "(cast('150000000000000000000' as decimal(38, 0)))"
NO_DAY, NO_TIME, NO_TEXT = "cast(null as date)", "cast(null as timestamp)", text(None)
WIDE = "(cast(1 as bigint), 1), (4294967296, 1), (8589934592, 1), (-1, 1), (4294967297, 1)"
UTC: list[tuple[str, object]] = [
    # Days.
    (of(call("days_after", day("2024-02-28"), 1)), date(2024, 2, 29)),
    (of(call("days_after", day("2023-02-28"), 1)), date(2023, 3, 1)),
    (of(call("days_after", day("2024-01-01"), -1)), date(2023, 12, 31)),
    (of(call("days_after", NO_DAY, 1)), None),
    (of(call("days_between", day("2024-02-28"), day("2024-03-01"))), 2),
    (of(call("days_between", day("2024-03-01"), day("2024-02-28"))), -2),
    (of(call("days_between", day("1969-12-31"), day("1970-01-01"))), 1),
    (of(call("days_between", NO_DAY, day("1970-01-01"))), None),
    (days(call("days_from_to", day("2024-02-28"), day("2024-03-01"))), "2024-02-28 2024-02-29 2024-03-01"),
    (days(call("days_from_to", day("2024-03-01"), day("2024-03-01"))), "2024-03-01"),
    (days(call("days_from_to", day("2024-03-02"), day("2024-03-01"))), ""),
    (days(call("days_from_to", NO_DAY, day("2024-03-01"))), ""),
    (days(call("days_from_to", day("2024-03-01") + " - 1", day("2024-03-01"))), "2024-02-29 2024-03-01"),
    (of(call("first_day_of_period", "day", day("2024-02-29"))), date(2024, 2, 29)),
    (of(call("first_day_of_period", "week", day("2024-03-03"))), date(2024, 2, 26)),
    (of(call("first_day_of_period", "week", day("2024-03-04"))), date(2024, 3, 4)),
    (of(call("first_day_of_period", "month", day("2024-02-29"))), date(2024, 2, 1)),
    (of(call("first_day_of_period", "month", NO_DAY)), None),
    (of(call("month_of", day("2024-02-29"))), "2024-02"),
    (of(call("local_date", at("2024-02-29 23:59:59.999999"))), date(2024, 2, 29)),
    (of(call("local_date", NO_TIME)), None),
    # Moments.
    (of(call("half_hour_of", at("1970-01-01 00:00:00"))), 0),
    (of(call("half_hour_of", at("1970-01-01 00:29:59.999999"))), 0),
    (of(call("half_hour_of", at("1970-01-01 00:30:00"))), 1),
    (of(call("half_hour_of", at("1969-12-31 23:59:59.999999"))), -1),
    (of(call("half_hour_of", at("1969-12-31 23:29:59"))), -2),
    # 19,782 days of 48 half hours, and 24 of them.
    (of(call("half_hour_of", at("2024-02-29 12:00:00"))), 19782 * 48 + 24),
    (of(call("half_hour_of", NO_TIME)), None),
    (of(call("seconds_between", at("2024-02-28 23:59:59.999999"), at("2024-03-01"))), Decimal("86400.000001")),
    (of(call("seconds_between", at("2024-03-01"), at("2024-02-28 23:59:59.5"))), Decimal("-86400.5")),
    (of(call("seconds_between", NO_TIME, at("2024-03-01"))), None),
    # Values of groups.
    (of(call("second_largest", "a"), "(1, 1), (3, 1), (2, 1)"), 2),
    (of(call("second_largest", "a"), "(1, 1)"), None),
    (of(call("second_largest", "a"), "(1, 1), (cast(null as integer), 1)"), None),
    (of(call("value_at_max", "a", "b"), "('x', 1), ('y', 2), (null, 3)"), "y"),
    (of(call("value_at_min", "a", "b"), "('x', 1), ('y', 2), (null, 0)"), "x"),
    (of(call("value_at_max", "a", "b"), "('x', 1), ('y', 1), ('Z', 1)"), "y"),
    (of(call("value_at_min", "a", "b"), "('x', 1), ('y', 1), ('Z', 1)"), "Z"),
    (of(call("value_at_max", "a", "b"), "(cast(null as varchar), 1)"), None),
    # Text.
    (of(call("normalised_text", text("  Two \t\n  WORDS "))), "two words"),
    (of(call("normalised_text", text("ÄPFEL und Éclairs"))), "äpfel und éclairs"),
    (of(call("normalised_text", text(" \t "))), None),
    (of(call("normalised_text", NO_TEXT)), None),
    (of(call("text_literal", "it's \\ 😀")), "it's \\ 😀"),
    (of(call("text_literal", None)), None),
    (of(call("sha256_of", text("abc"))), SHA_OF_ABC),
    (of(call("sha256_of", text("ä")) + " = " + call("sha256_of", text("a"))), False),
    (of(call("sha256_of", NO_TEXT)), None),
    # Hashes: what they are differs, what they tell apart does not.
    (of(call("hash64", NO_TEXT)), None),
    (of(call("hash64", text("a")) + " = " + call("hash64", text("a"))), True),
    (of(call("hash64", text("a")) + " = " + call("hash64", text("b"))), False),
    (of(call("hash64_of_all", [NO_TEXT, NO_DAY]) + " is null"), False),
    (of(call("hash64_of_all", ["'a'", "'b'"]) + " = " + call("hash64_of_all", ["'a'", "'b'"])), True),
    (of(call("hash64_of_all", ["'a'", "'b'"]) + " = " + call("hash64_of_all", ["'b'", "'a'"])), False),
    (of(call("hash64_of_all", ["'a,'", "'b'"]) + " = " + call("hash64_of_all", ["'a'", "',b'"])), False),
    (of(call("hash64_of_all", ["''", "'b'"]) + " = " + call("hash64_of_all", [NO_TEXT, "'b'"])), False),
    # Wide numbers that are the same in their lower 32 bits, or where both halves are laid over each other.
    (of("count(distinct " + call("hash64", "a") + ")", WIDE), 5),
    (of("count(distinct " + call("hash64_of_all", ["a"]) + ")", WIDE), 5),
    # Rows in any order have one sum, and other rows another.
    *[
        (
            "select (" + of(SUM, "('x', 1), ('y', 1)") + ") = ("
            + of(SUM, other) + ")",
            is_same,
        )
        for other, is_same in [("('y', 1), ('x', 1)", True), ("('x', 1), ('z', 1)", False), ("('x', 1)", False)]
    ],
    # Comparisons.
    (of(call("same", "a", "b"), "(1, 1)"), True),
    (of(call("same", "a", "b"), "(1, cast(null as integer))"), False),
    (of(call("same", "a", "b"), "(cast(null as integer), cast(null as integer))"), True),
    # Types.
    (of(f"cast(1 as {call('type_double')}) / 3"), 1 / 3),
    (of(call("try_timestamp", at("2024-01-01 10:00:00"))), datetime(2024, 1, 1, 10)),
    (of(call("try_timestamp", at("infinity"))), None),
    (of(call("try_timestamp", day("2024-02-29"))), datetime(2024, 2, 29)),
    (
        of(call("try_timestamp", "cast('2024-01-01 10:00:00+02' as timestamp with time zone)")),
        datetime(2024, 1, 1, 8),
    ),
    (of(call("try_integer", "cast(7.0 as decimal(18, 4))")), 7),
    (of(call("try_integer", "cast(7.5 as decimal(18, 4))")), None),
    (of(call("try_number", "cast(1e20 as double precision)", "decimal(18, 4)")), None),
    (of(call("try_number", "cast(0.1 as double precision)", "decimal(18, 4)")), Decimal("0.1")),
    (of(call("json_number", text(JSON), "n")), Decimal(7)),
    (of(call("json_number", text(JSON), "plan")), None),
    *[(of(call("try_timestamp", text(given))), expected) for given, expected in TIMES],
    *[
        (of(call("try_number", text(given), "decimal(18, 4)")), None if number is None else Decimal(number))
        for given, number, _ in NUMBERS
    ],
    *[(of(call("try_integer", text(given))), whole) for given, _, whole in NUMBERS],
    *[(of(call("json_text", text(given), path)), expected) for given, path, expected in OF_JSON],
    # Sums of hashes are added up, too: they have more digits than any hash.
    (
        f"select cast({call('sum_of_hashes', 'a')} as varchar) from (values {MANY_DIGITS}, {MANY_DIGITS}) as given(a)",
        "300000000000000000000",
    ),
    # Whether there is such a row: by one value, by two.
    *[
        (f"select count(*) from (values (1, 2)) as given(a, b) where {call('none_of', *arguments)}", expected)
        for *arguments, expected in [
            ("a", "select 1 as x", 0),
            ("a", "select 2 as x", 1),
            (["a", "b"], "select 1 as x, 2 as y", 0),
            (["a", "b"], "select 2 as x, 1 as y union all select 1, 1", 1),
            (["a", "b + 1"], "select 1 as x, 3 as y", 0),
        ]
    ],
    # Of three days: those that a query gives, and those from its first one on. A query may give none.
    *[
        (
            "select count(*) from (values (date '2024-02-28'), (date '2024-02-29'), (date '2024-03-01')) as given(d) "
            + "where " + call(macro, "d", f"(select date '2024-02-29' as event_date{condition})"),
            expected,
        )
        for macro, condition, expected in [
            ("on_days", "", 1),
            ("on_days", " where 1 = 0", 0),
            ("from_first_day", "", 2),
            ("from_first_day", " union all select date '2024-03-01'", 2),
            ("from_first_day", " where 1 = 0", 0),
        ]
    ],
    (f"with one as {call('materialized')} (select 1 as a) select a from one", 1),
]

# Berlin: the day of 23 hours (2024-03-31) and that of 25 (2024-10-27), and weeks that begin on Sundays.
BERLIN: list[tuple[str, object]] = [
    (of(call("local_date", at("2024-03-30 22:59:59"))), date(2024, 3, 30)),
    (of(call("local_date", at("2024-03-30 23:00:00"))), date(2024, 3, 31)),
    (of(call("local_date", at("2024-03-31 21:59:59"))), date(2024, 3, 31)),
    (of(call("local_date", at("2024-03-31 22:00:00"))), date(2024, 4, 1)),
    (of(call("local_date", at("2024-10-26 22:00:00"))), date(2024, 10, 27)),
    (of(call("local_date", at("2024-10-27 22:59:59"))), date(2024, 10, 27)),
    (of(call("local_date", at("2024-10-27 23:00:00"))), date(2024, 10, 28)),
    (of(call("local_date", NO_TIME)), None),
    (of(call("first_day_of_period", "week", day("2024-03-02"))), date(2024, 2, 25)),
    (of(call("first_day_of_period", "week", day("2024-03-03"))), date(2024, 3, 3)),
    (of(call("first_day_of_period", "week", day("2024-03-04"))), date(2024, 3, 3)),
]
GROUPS = {
    "utc": ({}, UTC),
    "berlin": ({"timezone": "Europe/Berlin", "week_start": "sunday"}, BERLIN),
}


def assert_as_counted(
    engine: Engine, variables: dict, cases: list[tuple[str, object]], ask: Callable[[str], list[tuple]]
) -> None:
    """Each case gives on `engine` what is expected; `ask` runs a query there."""
    inline = "\n".join(f"{MARK}{number}\n{query}" for number, (query, _) in enumerate(cases))
    compiled = engine.dbt("--quiet", "compile", "--inline", inline, "--vars", json.dumps(variables))
    assert compiled.code == 0, compiled.output
    queries = re.split(rf"^{MARK}\d+$", compiled.output, flags=re.MULTILINE)[1:]
    assert len(queries) == len(cases)
    wrong = []
    for (call, expected), query in zip(cases, queries):
        ((value,),) = ask(query)
        is_number = isinstance(expected, int) and not isinstance(expected, bool)
        if value != expected or (not is_number and type(value) is not type(expected)):
            wrong.append(f"{call} gives {value!r}, not {expected!r}")
    assert not wrong, "\n".join(wrong)
