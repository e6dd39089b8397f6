"""Who was in which segment when: the stays, whatever the order in which days are evaluated, and what is made of them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import jinja2
import pytest
import yaml
from conftest import PROJECT, Run, run_program
from hypothesis import given, settings
from hypothesis import strategies as st

HISTORY = "marts.fct_segment_membership_history"
TABLES = {
    "fct_segment_membership_history": ("user_id", "segment_set", "segment", "valid_from", "valid_to"),
    "fct_segment_changes": ("as_of_date", "user_id", "segment_set", "segment", "change", "from_segment"),
    "fct_segment_daily": (
        "as_of_date", "segment_set", "segment", "members", "share", "members_entered", "members_left",
        "members_change",
    ),
    "fct_segment_transitions": ("period", "period_start", "segment_set", "from_segment", "to_segment", "users"),
}  # fmt: skip
NO_STAYS_TWICE = "assert_mart_stays_never_overlap"
NO_GAPS = "assert_mart_stays_leave_no_gap"


# The models' SQL against plain Python, for any memberships in any order of evaluation.

DAY_ONE = date(2024, 3, 28)
USERS = ("ann", "bob", "cid")
# A flag that comes later, in a set with three others, and a set whose segments are values of the data.
FLAGS = ("low", "mid", "high")
UNITS = [("level", flag) for flag in FLAGS] + [("place", "all")]


JINJA = jinja2.Environment(extensions=["jinja2.ext.do"])


class Engine:
    """The models about history in a DuckDB in memory, rendered with sets of the test's own."""

    def __init__(self) -> None:
        self.db = duckdb.connect()
        self.db.execute("set threads = 1")
        for schema in ("runs", "intermediate", "segments", "marts"):
            self.db.execute(f"create schema {schema}")
        self.db.execute(
            "create table runs.evaluations (as_of_date date, segment_set varchar, segment varchar, people bigint, "
            "evaluated_at timestamp)"
        )
        self.db.execute("create table intermediate.int_half_hours (event_date date)")
        self.db.execute("create table intermediate.int_as_of_dates (as_of_date date)")
        self.db.execute("create table intermediate.int_user_metrics (as_of_date date, user_id varchar)")
        self.db.execute(
            "create table segments.int_segment_members (as_of_date date, user_id varchar, segment_set varchar, "
            "segment varchar)"
        )
        for name in ("level", "place"):
            self.db.execute(f"create table segments.seg_{name} (as_of_date date, user_id varchar)")
        cross_db = "".join(path.read_text("utf-8") for path in (PROJECT / "macros" / "cross_db").glob("*.sql"))
        segments = PROJECT / "macros" / "segments"
        runs = (PROJECT / "macros" / "evaluated_days.sql").read_text("utf-8")
        (record,) = re.findall(r"{% macro record_evaluations.*?endmacro %}", runs, re.DOTALL)
        text = "".join((segments / f"{name}.sql").read_text("utf-8") for name in ("evaluated_as", "replace_stays"))
        self.flags: tuple[str, ...] = FLAGS
        self.env: dict[str, object] = {}
        self.templates: dict[str, jinja2.Template] = {}
        self.context = {
            "return": lambda value: value,
            "config": lambda **_: "",
            "dbt": {"type_string": lambda: "varchar"},
            "adapter": {"dispatch": lambda name, _: self.context[f"default__{name}"]},
            "var": {"week_start": "monday", "timezone": "UTC"}.__getitem__,
            "env_var": lambda name, default="": self.env.get(name, default),
            "ref": self.relation,
            "source": lambda schema, table: f"{schema}.{table}",
            "this": HISTORY,
            "is_incremental": self.has_history,
            "range_to_evaluate": lambda: self.env.get("range"),
            "requested_as_of_date": lambda: None,
            "run_started_at_utc": lambda: "timestamp '2024-01-01'",
            "segment_sets": self.sets,
        }
        macros = JINJA.from_string(cross_db + text + record).make_module(self.context)
        self.context |= {name: macro for name, macro in vars(macros).items() if not name.startswith("_")}

    def sql(self, text: str, **env: object) -> str:
        """What dbt would make of it."""
        self.env = env
        if text not in self.templates:
            self.templates[text] = JINJA.from_string(text)
        return self.templates[text].render(self.context)

    @staticmethod
    def relation(name: str) -> str:
        """Where a model is."""
        if name.startswith(("fct_", "dim_")):
            return f"marts.{name}"
        return f"segments.{name}" if name.startswith(("seg_", "int_segment", "int_evaluations")) else f"intermediate.{name}"

    def sets(self) -> list[dict]:
        """The sets, with the flags that are defined at present."""
        level = {"name": "level", "kind": "flags", "overlap": "exclusive", "segments": [{"name": f} for f in self.flags]}
        return [level, {"name": "place", "kind": "attribute", "overlap": "exclusive", "segments": [{"name": None}]}]

    def has_history(self) -> bool:
        """Whether the first run was."""
        return bool(
            self.db.execute(
                "select 1 from information_schema.tables where table_name = 'fct_segment_membership_history'"
            ).fetchall()
        )

    def model(self, folder: str, name: str, **env: object) -> str:
        """The SQL of a model."""
        return self.sql((PROJECT / "models" / folder / f"{name}.sql").read_text("utf-8"), **env)

    def run(self, world: dict, newest: date, killed: str = "", **env) -> list[date]:
        """A run of dbt for `newest`, with the members that `world` gives for a day; gives the days that it evaluated."""
        db = self.db
        db.execute("delete from intermediate.int_half_hours")
        db.execute("insert into intermediate.int_half_hours values (?)", [newest])
        days = db.execute(self.model("intermediate", "int_as_of_dates", **env)).fetchall()
        days = sorted(day for (day,) in days)
        for table in ("intermediate.int_as_of_dates", "segments.int_segment_members", "segments.seg_level"):
            db.execute(f"delete from {table}")
        db.executemany("insert into intermediate.int_as_of_dates values (?)", [[day] for day in days])
        rows = [
            [day, user, name, segment]
            for day in days
            for (name, segment), users in world[day].items()
            for user in users
            if name != "level" or segment in self.flags
        ]
        if rows:
            db.executemany("insert into segments.int_segment_members values (?, ?, ?, ?)", rows)
            db.executemany("insert into segments.seg_level values (?, ?)", [row[:2] for row in rows])
        db.execute(f"create or replace view segments.int_evaluations as {self.model('membership', 'int_evaluations', **env)}")
        db.execute("begin")
        select = self.model("marts", "fct_segment_membership_history", **env)
        if self.has_history():
            db.execute(f"create or replace temp table new_stays as {select}")
            columns = [{"quoted": name} for name in TABLES["fct_segment_membership_history"]]
            arguments = {
                "target_relation": HISTORY,
                "temp_relation": "new_stays",
                "unique_key": ["user_id", "segment_set", "segment"],
                "dest_columns": columns,
            }
            db.execute(self.sql("{{ get_incremental_replace_stays_sql(" + repr(arguments) + ") }}"))
        else:
            db.execute(f"create table {HISTORY} as {select}")
        if killed == "before it wrote down what it did":
            db.execute("rollback")
            return []
        db.execute(self.sql("{{ record_evaluations() }}", **env))
        db.execute("commit")
        return days

    def stays(self) -> list[tuple]:
        """The history."""
        return sorted(self.db.execute(f"from {HISTORY}").fetchall(), key=str) if self.has_history() else []


class Reference:
    """What was found on each evaluated day, and the stays that follow from it: nothing is ever spliced."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], dict[date, set | None]] = {}

    def evaluate(self, world: dict, days: list[date], units: list, again: bool) -> None:
        """Keeps what is found on these days of these units; what was found before only `again`."""
        for unit in units:
            for day in days:
                known = self.found.setdefault(unit, {})
                if again or day not in known:
                    known[day] = {
                        (user, unit[0], segment)
                        for (name, segment), users in world[day].items()
                        for user in users
                        if name == unit[0] and unit[1] in (segment, "all")
                    }

    def end(self, units: list, first_new_day: date) -> None:
        """Nobody is in what is no longer defined."""
        for unit, known in self.found.items():
            if unit not in units and known[max(known)] is not None:
                known[first_new_day] = None

    def forget(self, units: list, days: list[date]) -> None:
        """A range that is written again does not have what is no longer defined."""
        for unit in units:
            known = self.found.get(unit, {})
            known |= {day: None for day in days if day in known}

    def last_day(self) -> date | None:
        """The last evaluated day."""
        return max((day for known in self.found.values() for day in known), default=None)

    def stays(self) -> list[tuple]:
        """The runs of days in each segment, over the days on which it was evaluated."""
        stays = []
        for known in self.found.values():
            open_since: dict[tuple, date] = {}
            for day in sorted(known):
                members = known[day] or set()
                for key in [key for key in open_since if key not in members]:
                    stays.append((*key, open_since.pop(key), day))
                for key in members:
                    open_since.setdefault(key, day)
            stays += [(*key, since, None) for key, since in open_since.items()]
        return sorted(stays, key=str)


def worlds(days: int) -> st.SearchStrategy:
    """Who is where on each day: one level and one place each, or nobody at all yet."""
    where = st.tuples(st.sampled_from([None, *FLAGS]), st.sampled_from([None, "north", "south", "other"]))
    return st.lists(st.tuples(*[where] * len(USERS)), min_size=days, max_size=days)


def as_world(drawn: list) -> dict:
    """The members of each segment by day."""
    world = {}
    for number, of_users in enumerate(drawn):
        members: dict[tuple[str, str], list[str]] = {}
        for user, (level, place) in zip(USERS, of_users):
            if level:
                members.setdefault(("level", level), []).append(user)
            if place:
                members.setdefault(("place", place), []).append(user)
        world[DAY_ONE + timedelta(days=number)] = members
    return world


DAYS = 9
STEP = st.tuples(
    st.sampled_from(["run", "run", "killed", "fill", "restate", "late data"]),
    st.integers(0, DAYS - 1),
    st.integers(0, DAYS - 1),
    st.sampled_from(["", "", "level", "place"]),
    st.sampled_from([FLAGS, FLAGS[:2], FLAGS]),
)


@settings(max_examples=40, deadline=None)
@given(worlds(DAYS), worlds(DAYS), st.lists(STEP, min_size=1, max_size=8))
def test_any_order_of_evaluation_gives_the_stays_that_follow_from_what_was_found(drawn, drawn_later, orders):
    engine, reference = Engine(), Reference()
    world = as_world(drawn)
    for what, one, other, only, flags in orders:
        engine.flags = flags
        units = [("level", flag) for flag in flags] + [("place", "all")]
        first, last = sorted((DAY_ONE + timedelta(days=one), DAY_ONE + timedelta(days=other)))
        before = reference.last_day()
        if what == "late data":
            world = as_world(drawn_later)
        elif what in ("run", "killed") or before is None:
            if what == "killed" and before is not None:
                engine.run(world, last, "before it wrote down what it did")
                continue
            days = [last]
            if before and before < last:
                days = [before + timedelta(days=number) for number in range(1, (last - before).days + 1)]
                reference.end(units, days[0])
            assert engine.run(world, last) == days
            reference.evaluate(world, days, units, again=False)
        else:
            last = min(last, before)
            if first > last:
                continue
            env = {"range": {"first": first, "last": last}, "EVALUATE_SET": only}
            if what == "restate":
                env["RESTATE"] = "1"
            days = engine.run(world, last, **env)
            wanted = [unit for unit in units if only in ("", unit[0])]
            if what == "restate":
                reference.forget([unit for unit in UNITS if unit not in units and only in ("", unit[0])], days)
            reference.evaluate(world, days, wanted, again=what == "restate")
        assert engine.stays() == reference.stays()
