"""Checks of what the product-analytics marts are asked for: retention_reports and funnels.

A word that nothing knows, a step that is missing or a window that is none would otherwise be a report full of zeros.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import duckdb
from raw_tables import BadInput, Input

CHOICES = {
    "period": ("day", "week", "month"),
    "mode": ("first_time", "recurring"),
    "bound": ("on", "on_or_after"),
}
# Words for events that stand for too many of them to be kept one by one.
NOT_SINGLE = ("activity", "any_event")


def rows_of(conn: duckdb.DuckDBPyConnection, item: Input) -> Iterator[dict[str, str | None]]:
    """The rows of a small raw table, values as text; an empty text is none. Rows without any value are passed over."""
    columns = item.table.columns
    listed = ", ".join(f"nullif(trim(cast({column} as varchar)), '')" for column in columns)
    for values in conn.execute(f"select {listed} from raw.{item.table.name} order by all").fetchall():
        if any(value is not None for value in values):
            yield dict(zip(columns, values))


def whole_number(text: str | None) -> int | None:
    """The whole number that a text says, from 0; None where it says none."""
    text = (text or "").removesuffix(".0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def bad(item: Input, what: str, do: str) -> BadInput:
    """One line: the setting and the file, what is wrong in it, what to do."""
    return BadInput(f"{item.setting}: {item.shown} {what}; {do}")


def refuse_gaps(item: Input, row: dict[str, str | None], name: str) -> None:
    """Raises BadInput for a row in which a value is missing."""
    if missing := [column for column in item.table.columns if row[column] is None]:
        of = f"{item.table.columns[0]} {name!r}" if name else "a row"
        raise bad(item, f"gives {of} no {', no '.join(missing)}", "fill in every column")


def check_retention_reports(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Raises BadInput for a report that says less, or something else, than a report can, and for one there twice."""
    names: Counter[str] = Counter()
    for row in rows_of(conn, item):
        name = row["report"] or ""
        refuse_gaps(item, row, name)
        names[name] += 1
        for column, choices in CHOICES.items():
            if row[column] not in choices:
                raise bad(item, f"gives report {name!r} the {column} {row[column]!r}", f"use {' or '.join(choices)}")
        for column in ("start_event", "return_event"):
            if row[column] == "any_event":
                raise bad(
                    item,
                    f"gives report {name!r} the {column} 'any_event'",
                    "use a type, a name of an event, or activity",
                )
        if (whole_number(row["min_occurrences"]) or 0) < 1:
            raise bad(
                item, f"gives report {name!r} min_occurrences {row['min_occurrences']!r}", "use a whole number from 1"
            )
    if twice := [name for name, times in names.items() if times > 1]:
        raise bad(item, f"has the report {twice[0]!r} {names[twice[0]]} times", "keep one line a report")


def check_funnels(conn: duckdb.DuckDBPyConnection, item: Input) -> None:
    """Raises BadInput for steps that are not 1, 2, 3 ..., each once, and for a window that is none or not the same in
    all steps of a funnel."""
    steps: dict[str, list[int]] = {}
    windows: dict[str, set[int]] = {}
    for row in rows_of(conn, item):
        name = row["funnel"] or ""
        refuse_gaps(item, row, name)
        step, window = whole_number(row["step"]), whole_number(row["window_seconds"])
        if not step:
            raise bad(item, f"gives funnel {name!r} the step {row['step']!r}", "use a whole number from 1")
        if window is None:
            raise bad(
                item,
                f"gives funnel {name!r} window_seconds {row['window_seconds']!r}",
                "use a whole number of seconds from 0",
            )
        if row["event"] in NOT_SINGLE:
            raise bad(
                item,
                f"gives step {step} of funnel {name!r} the event {row['event']!r}",
                "use a type or a name of an event: a funnel is made of single events",
            )
        steps.setdefault(name, []).append(step)
        windows.setdefault(name, set()).add(window)
    for name, found in steps.items():
        if len(windows[name]) > 1:
            raise bad(
                item,
                f"gives funnel {name!r} different window_seconds",
                "a funnel has one window, counted from its first step: write it in every line",
            )
        if sorted(found) != list(range(1, len(found) + 1)):
            listed = ", ".join(str(step) for step in sorted(found))
            raise bad(item, f"gives funnel {name!r} the steps {listed}", "number them 1, 2, 3 and so on, each once")


def check_longest_funnel(conn: duckdb.DuckDBPyConnection, item: Input, most: object) -> None:
    """Raises BadInput for a funnel with more steps than vars.max_funnel_steps, and where that is no number."""
    if not isinstance(most, int) or most < 1:
        raise BadInput(f"FUNNELS: vars.max_funnel_steps of dbt_project.yml is {most!r}; write a whole number from 1")
    counts = Counter(row["funnel"] for row in rows_of(conn, item))
    if longer := sorted(name for name, count in counts.items() if name and count > most):
        raise bad(
            item,
            f"gives funnel {longer[0]!r} {counts[longer[0]]} steps, more than {most}",
            "shorten it, or raise vars.max_funnel_steps in dbt_project.yml",
        )
