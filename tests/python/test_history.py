"""Who was in which segment when: the stays, whatever the order in which days are evaluated, and what they make."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import jinja2
import pytest
from conftest import PROJECT, Run, run_program
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_folder import put_rows

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


# The models' SQL against plain Python, for any memberships in any order of evaluation.

DAY_ONE = date(2024, 3, 28)
USERS = ("ann", "bob", "cid")
# A flag that comes later, in a set with three others, and a set whose segments are values of the data.
FLAGS = ("low", "mid", "high")
UNITS = [("level", flag) for flag in FLAGS] + [("place", "all")]


JINJA = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])


def refuse(message: str) -> None:
    """What dbt does with an error that a macro raises."""
    raise ValueError(message)


class Engine:
    """The models about history in a DuckDB in memory, rendered with sets of the test's own."""

    def __init__(self, week_start: str = "monday", zone: str = "UTC") -> None:
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
            "create table segments.int_user_segments (as_of_date date, user_id varchar, combination_key ubigint)"
        )
        self.db.execute(
            "create table segments.int_combination_segments (as_of_date date, combination_key ubigint, people bigint, "
            "segment_set varchar, segment varchar)"
        )
        self.db.execute(
            "create table segments.int_segment_combinations (as_of_date date, combination_key ubigint, people bigint, "
            "level integer, in_place boolean)"
        )
        # A materialization is no macro; Jinja alone does not know the word.
        cross_db = "".join(
            text
            for text in (path.read_text("utf-8") for path in (PROJECT / "macros" / "cross_db").glob("*.sql"))
            if "{% materialization" not in text
        )
        segments = PROJECT / "macros" / "segments"
        text = "".join(
            (segments / f"{name}.sql").read_text("utf-8")
            for name in ("evaluated_as", "of_purpose", "replace_stays", "segment_columns", "set_group")
        )
        self.flags: tuple[str, ...] = FLAGS
        self.sets_there = ["level", "place"]
        self.env: dict[str, object] = {}
        self.run_started = "2030-01-01"
        self.templates: dict[str, jinja2.Template] = {}
        self.context = {
            "return": lambda value: value,
            "config": lambda **_: "",
            "dbt": {"type_string": lambda: "varchar"},
            "adapter": {"dispatch": lambda name, _: self.context[f"default__{name}"]},
            "var": {"week_start": week_start, "timezone": zone, "segment_sets": self.sets_there}.__getitem__,
            "exceptions": SimpleNamespace(raise_compiler_error=refuse),
            "env_var": lambda name, default="": self.env.get(name, default),
            "ref": self.relation,
            "source": lambda schema, table: f"{schema}.{table}",
            "this": HISTORY,
            "is_incremental": self.has_history,
            "range_to_evaluate": lambda: self.env.get("range"),
            "requested_as_of_date": lambda: None,
            "run_started_at_utc": lambda: f"timestamp '{self.run_started}'",
            "segment_sets": self.sets,
        }
        macros = JINJA.from_string(cross_db + text).make_module(self.context)
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
        of_membership = (PROJECT / "models" / "membership" / f"{name}.sql").is_file()
        return f"segments.{name}" if of_membership else f"intermediate.{name}"

    def sets(self) -> list[dict]:
        """The sets, with the flags that are defined at present."""
        flags = [{"name": flag} for flag in self.flags]
        level = {"name": "level", "kind": "flags", "overlap": "exclusive", "segments": flags}
        place = {"name": "place", "kind": "attribute", "overlap": "exclusive", "segments": [{"name": None}]}
        return [one for one in (level, place) if one["name"] in self.sets_there]

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
        """A run of dbt for `newest`, with the members that `world` gives for a day; gives the evaluated days."""
        db = self.db
        db.execute("delete from intermediate.int_half_hours")
        db.execute("insert into intermediate.int_half_hours values (?)", [newest])
        days = db.execute(self.model("intermediate", "int_as_of_dates", **env)).fetchall()
        days = sorted(day for (day,) in days)
        tables = ("int_as_of_dates", "int_user_segments", "int_combination_segments", "int_segment_combinations")
        for table in tables:
            db.execute(f"delete from {self.relation(table)}")
        db.executemany("insert into intermediate.int_as_of_dates values (?)", [[day] for day in days])
        rows = [
            [day, user, name, segment]
            for day in days
            for (name, segment), users in world[day].items()
            for user in users
            if name in self.sets_there and (name != "level" or segment in self.flags)
        ]
        # Each user is a combination of their own.
        keys = {(day, user): key for key, (day, user) in enumerate(sorted({(row[0], row[1]) for row in rows}))}
        for (day, user), key in keys.items():
            db.execute("insert into segments.int_user_segments values (?, ?, ?)", [day, user, key])
            db.execute("insert into segments.int_segment_combinations values (?, ?, 1, 0, true)", [day, key])
        for day, user, name, segment in rows:
            values = [day, keys[day, user], name, segment]
            db.execute("insert into segments.int_combination_segments values (?, ?, 1, ?, ?)", values)
        planned = self.model("membership", "int_evaluations", **env)
        db.execute(f"create or replace view segments.int_evaluations as {planned}")
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


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
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


# Weeks that begin on a Monday or on a Sunday: 29 December 2024 was a Sunday, 1 January 2025 a Wednesday.

WEEKS = [
    # The day, the Monday and the Sunday that its week begins with.
    ("2024-12-21", "2024-12-16", "2024-12-15"),
    ("2024-12-22", "2024-12-16", "2024-12-22"),
    ("2024-12-23", "2024-12-23", "2024-12-22"),
    ("2024-12-28", "2024-12-23", "2024-12-22"),
    ("2024-12-29", "2024-12-23", "2024-12-29"),
    ("2024-12-30", "2024-12-30", "2024-12-29"),
    ("2024-12-31", "2024-12-30", "2024-12-29"),
    ("2025-01-01", "2024-12-30", "2024-12-29"),
    ("2025-01-04", "2024-12-30", "2024-12-29"),
    ("2025-01-05", "2024-12-30", "2025-01-05"),
    ("2025-01-06", "2025-01-06", "2025-01-05"),
    # A year that begins with a Sunday, after one that ends with a Saturday; and the end of February in a leap year.
    ("2022-12-31", "2022-12-26", "2022-12-25"),
    ("2023-01-01", "2022-12-26", "2023-01-01"),
    ("2024-02-29", "2024-02-26", "2024-02-25"),
    ("2024-03-02", "2024-02-26", "2024-02-25"),
    ("2024-03-03", "2024-02-26", "2024-03-03"),
]


@pytest.mark.parametrize("week_start", ["monday", "sunday"])
def test_a_week_begins_where_the_settings_say(week_start):
    engine = Engine(week_start)
    for day, *starts in WEEKS:
        expected = date.fromisoformat(starts[week_start == "sunday"])
        in_sql = [
            engine.sql(f"""{{{{ first_day_of_period('{period}', "date '{day}'") }}}}""")
            for period in ("day", "week", "month")
        ]
        found = engine.db.execute(f"select {', '.join(in_sql)}").fetchone()
        this = date.fromisoformat(day)
        # Dates, none of which is a timestamp: that is equal to no date.
        assert found == (this, expected, this.replace(day=1)), day
    null = engine.sql("{{ first_day_of_period('week', 'cast(null as date)') }}")
    assert engine.db.execute(f"select {null}").fetchone() == (None,)


def test_no_other_day_begins_a_week():
    with pytest.raises(ValueError, match="vars.week_start is 'saturday'; write monday or sunday"):
        Engine("saturday").sql("{{ first_day_of_period('week', 'valid_from') }}")


# Ann comes on a Friday, moves on the Sunday and on the first day of the year. Bob comes on the Saturday, moves on the
# next Sunday and on the Monday after it. Cid comes on the first of the Sundays and is gone on that Monday.
TURN_OF_THE_YEAR = [
    ("ann", "level", "low", "2024-12-27", "2024-12-29"),
    ("ann", "level", "mid", "2024-12-29", "2025-01-01"),
    ("ann", "level", "high", "2025-01-01", None),
    ("bob", "level", "low", "2024-12-28", "2025-01-05"),
    ("bob", "level", "mid", "2025-01-05", "2025-01-06"),
    ("bob", "level", "high", "2025-01-06", None),
    ("cid", "level", "mid", "2024-12-29", "2025-01-06"),
]
# From where to where, at the end of which period, counted by hand.
MOVES = {
    "monday": [
        ("2024-12-23", "(none)", "low", 1),
        ("2024-12-23", "(none)", "mid", 2),
        ("2024-12-30", "low", "mid", 1),
        ("2024-12-30", "mid", "high", 1),
        ("2025-01-06", "mid", "(none)", 1),
        ("2025-01-06", "mid", "high", 1),
    ],
    "sunday": [
        ("2024-12-22", "(none)", "low", 2),
        ("2024-12-29", "(none)", "mid", 1),
        ("2024-12-29", "low", "high", 1),
        ("2025-01-05", "low", "high", 1),
        ("2025-01-05", "mid", "(none)", 1),
    ],
    "month": [
        ("2024-12-01", "(none)", "low", 1),
        ("2024-12-01", "(none)", "mid", 2),
        ("2025-01-01", "low", "high", 1),
        ("2025-01-01", "mid", "(none)", 1),
        ("2025-01-01", "mid", "high", 1),
    ],
    "day": [
        ("2024-12-27", "(none)", "low", 1),
        ("2024-12-28", "(none)", "low", 1),
        ("2024-12-29", "(none)", "mid", 1),
        ("2024-12-29", "low", "mid", 1),
        ("2025-01-01", "mid", "high", 1),
        ("2025-01-05", "low", "mid", 1),
        ("2025-01-06", "mid", "(none)", 1),
        ("2025-01-06", "mid", "high", 1),
    ],
}


@pytest.mark.parametrize("week_start", ["monday", "sunday"])
def test_moves_are_counted_from_the_end_of_a_period_to_the_end_of_the_next(week_start):
    engine = Engine(week_start)
    columns = "user_id varchar, segment_set varchar, segment varchar, valid_from date, valid_to date"
    engine.db.execute(f"create table {HISTORY} ({columns})")
    engine.db.executemany(f"insert into {HISTORY} values (?, ?, ?, ?, ?)", TURN_OF_THE_YEAR)
    found = engine.db.execute(engine.model("marts", "fct_segment_transitions")).fetchall()
    expected = {
        (period, date.fromisoformat(start), "level", *move)
        for period in ("day", "week", "month")
        for start, *move in MOVES[week_start if period == "week" else period]
    }
    assert set(found) == expected and len(found) == len(expected)


# Real runs on the sample.

TOOL = PROJECT / "tools" / "backfill.py"


@pytest.fixture(scope="module")
def backfill(clean_env) -> Callable[..., Run]:
    """`backfill(warehouse, "backfill", "2024-06-01", "2024-06-05")` does what make does, after Python `before` it."""

    def run(warehouse: Path, what: str, first: str, last: str, only: str = "", before: str = "", **own: str) -> Run:
        code = f"import sys; sys.path.insert(0, {str(TOOL.parent)!r}); import backfill, history, os; {before}\n"
        code += f"sys.exit(backfill.main([{what!r}, '--from', {first!r}, '--to', {last!r}, '--set', {only!r}]))"
        env = clean_env | {"WAREHOUSE": str(warehouse)} | {name: str(value) for name, value in own.items()}
        return run_program([sys.executable, "-c", code], env)

    return run


@pytest.fixture
def warehouse(built_sample, tmp_path) -> Path:
    """A copy of the built sample, to change."""
    return Path(shutil.copyfile(built_sample, tmp_path / built_sample.name))


def tables(warehouse: Path, *without: str) -> dict[str, list[tuple]]:
    """All rows of the tables about history."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return {
            name: connection.execute(f"select {', '.join(columns)} from marts.{name} order by all").fetchall()
            for name, columns in TABLES.items()
            if name not in without
        }


def test_daily_runs_and_a_catch_up_and_a_backfill_give_the_same(dbt, backfill, built_sample, warehouse, tmp_path):
    days = {"first": ("2024-06-27",), "daily": ("2024-06-28", "2024-06-29"), "caught up": ("2024-06-29",)}
    for name, of_runs in days.items():
        own = tmp_path / name / built_sample.name
        own.parent.mkdir()
        if name != "first":
            shutil.copyfile(tmp_path / "first" / built_sample.name, own)
        for day in of_runs:
            ran = dbt("run", env={"WAREHOUSE": own, "AS_OF": day})
            assert ran.code == 0, ran.output
    ran = backfill(warehouse, "backfill", "2024-06-27", "2024-06-29")
    assert (ran.code, ran.output.split(". ")[0]) == (0, "2 days of 2024-06-27 to 2024-06-29 filled"), ran.output
    daily = tables(tmp_path / "daily" / built_sample.name)
    assert tables(tmp_path / "caught up" / built_sample.name) == daily == tables(warehouse)
    assert {row[0] for row in daily["fct_segment_daily"]} == {date(2024, 6, 27), date(2024, 6, 28), date(2024, 6, 29)}
    # The marts of the latest day are as they were, and so are the metrics that they are made of.
    for table in ("marts.dim_users", "marts.fct_segment_membership", "intermediate.int_user_metrics"):
        with duckdb.connect(str(built_sample), read_only=True) as connection:
            before = connection.execute(f"from {table} order by all").fetchall()
        assert ran.rows(f"from {table} order by all") == before, table
    # Nothing is left to do.
    ran = backfill(warehouse, "backfill", "2024-06-27", "2024-06-29")
    assert ran.output.startswith("2024-06-27 to 2024-06-29: nothing was missing"), ran.output
    assert tables(warehouse) == daily


SMALL_STEPS = "history.MOST_METRICS_ROWS = 1800"


@pytest.fixture(scope="module")
def undisturbed(backfill, built_sample, tmp_path_factory) -> dict[str, list[tuple]]:
    """The history after a backfill of four days, two a step, the first one alone."""
    own = Path(shutil.copyfile(built_sample, tmp_path_factory.mktemp("undisturbed") / built_sample.name))
    ran = backfill(own, "backfill", "2024-06-24", "2024-06-27", before=SMALL_STEPS)
    assert ran.code == 0, ran.output
    return tables(own)


@pytest.mark.parametrize("commands", [2, 3, 4, 5])
def test_a_backfill_that_was_killed_goes_on_and_ends_where_an_undisturbed_one_does(
    backfill, warehouse, undisturbed, commands
):
    # Two days a step, the first one alone; dbt reads the project, then does the steps, then what is made of them.
    kill = (
        f"{SMALL_STEPS}; run = history.Dbt.run; done = []\n"
        "def and_kill(self, *a):\n"
        "    result = run(self, *a); done.append(a)\n"
        f"    if len(done) == {commands}: os.kill(os.getpid(), 9)\n"
        "    return result\n"
        "history.Dbt.run = and_kill"
    )
    assert backfill(warehouse, "backfill", "2024-06-24", "2024-06-27", before=kill).code == -signal.SIGKILL
    ran = backfill(warehouse, "backfill", "2024-06-24", "2024-06-27", before=SMALL_STEPS)
    assert ran.code == 0, ran.output
    nothing = "2024-06-24 to 2024-06-27: nothing"
    left = {2: "3 days", 3: "1 days", 4: nothing, 5: nothing}
    assert ran.output.startswith(left[commands]), ran.output
    assert tables(warehouse) == undisturbed
    assert ran.rows("select distinct as_of_date from intermediate.int_user_metrics") == [(date(2024, 6, 29),)]


def test_what_arrives_later_changes_no_history_until_it_is_restated(dbt, backfill, warehouse, tmp_path):
    ran = backfill(warehouse, "backfill", "2024-06-26", "2024-06-28")
    assert ran.code == 0, ran.output
    before = tables(warehouse)
    raw = tmp_path / "raw"
    shutil.copytree(PROJECT / "seeds" / "sample", raw)
    with (raw / "events.csv").open("a", encoding="utf-8") as events:
        names = (raw / "events.csv").read_text("utf-8").splitlines()[0].split(",")
        for number in range(1, 28):
            known = {"event_id": f"late {number}", "event_name": "page_viewed", "user_id": "u_late"}
            known["event_at"] = f"2024-06-{number:02}T10:00:00Z"
            events.write(",".join(known.get(name, "") for name in names) + "\n")
    own = {"RAW_DATA": str(raw), "TAXONOMY": str(PROJECT / "seeds" / "event_taxonomy.csv")}
    ran = dbt("run", "--full-refresh", env={"WAREHOUSE": warehouse, **own})
    assert ran.code == 0, ran.output
    after = tables(warehouse)
    assert after[HISTORY.split(".")[1]] == before[HISTORY.split(".")[1]]
    latest = date(2024, 6, 29)
    past = [[row for row in found["fct_segment_daily"] if row[0] < latest] for found in (before, after)]
    assert past[0] == past[1] and past[0]
    # The marts of the latest day know it, and the sizes of that day count them.
    assert ran.rows("select engagement from marts.dim_users where user_id = 'u_late'") == [("core",)]
    assert after["fct_segment_daily"] != before["fct_segment_daily"]

    ran = backfill(warehouse, "restate", "2024-06-27", "2024-06-28", "engagement", **own)
    assert ran.code == 0, ran.output
    stays = f"select segment_set, segment, valid_from, valid_to from {HISTORY} where user_id = 'u_late' order by all"
    # 25 and 26 active days of 28 make a core user; the last evaluated day stays as it was found.
    assert ran.rows(stays) == [("engagement", "core", date(2024, 6, 27), latest)]
    recorded = ran.rows("select from_date, to_date, segment_set from marts.fct_restatements")
    assert recorded == [(date(2024, 6, 27), date(2024, 6, 28), "engagement")]
    others = f"select * from {HISTORY} where user_id <> 'u_late' and segment_set <> 'engagement' order by all"
    assert ran.rows(others) == [row for row in before[HISTORY.split(".")[1]] if row[1] != "engagement"]
    ran = dbt("test", "--select", "assert_mart_stays_never_overlap", "assert_mart_stays_leave_no_gap",
              env={"WAREHOUSE": warehouse, **own})  # fmt: skip
    assert ran.code == 0, ran.output


def test_a_new_segment_gets_its_past_and_one_that_is_gone_ends(clean_env, warehouse, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".*", "target", "logs", "*.duckdb*"))
    env = clean_env | {"WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(tmp_path / "target")}
    dbt, tool = str(Path(sys.executable).with_name("dbt")), str(project / "tools" / "backfill.py")
    range_ = ["--from", "2024-06-27", "--to", "2024-06-28"]
    ran = run_program([sys.executable, tool, "backfill", *range_], env, project)
    assert ran.code == 0, ran.output
    before = ran.rows(f"select * from {HISTORY} where segment <> 'cart_abandoner' order by all")

    # checkout_abandoner stays, cart_abandoner is renamed: to the project one goes and one comes.
    for name in ("seg_cart.sql", "_seg_cart.yml"):
        file = project / "models" / "segments" / name
        file.write_text(re.sub(r"\bcart_abandoner\b", "left_cart", file.read_text("utf-8")), "utf-8")
    ran = run_program([dbt, "run", "--select", "int_as_of_dates+"], env | {"AS_OF": "2024-06-30"}, project)
    assert ran.code == 0, ran.output
    abandoners = f"from {HISTORY} where segment = 'cart_abandoner'"
    gone = ran.rows(f"select distinct valid_to {abandoners} and valid_to >= '2024-06-30'")
    assert gone == [(date(2024, 6, 30),)]
    assert ran.rows(f"select 1 {abandoners} and valid_to is null") == []
    assert ran.rows(f"select min(valid_from) from {HISTORY} where segment = 'left_cart'") == [(date(2024, 6, 30),)]

    range_ = ["--from", "2024-06-27", "--to", "2024-06-29"]
    ran = run_program([sys.executable, tool, "backfill", *range_, "--set", "cart"], env, project)
    assert (ran.code, ran.output[:6]) == (0, "3 days"), ran.output
    sizes = (
        "select as_of_date, members, members_entered, members_left from marts.fct_segment_daily "
        "where segment = '{}' and as_of_date < '2024-06-30' order by 1"
    )
    assert ran.rows(sizes.format("left_cart")) == ran.rows(sizes.format("cart_abandoner"))
    assert len(ran.rows(sizes.format("left_cart"))) == 3
    # No other segment was written again.
    now = ran.rows(f"select * from {HISTORY} where segment not in ('left_cart', 'cart_abandoner') "
                   "and valid_from < '2024-06-30'")  # fmt: skip
    until = date(2024, 6, 30)
    assert sorted((row[:4] + (None if row[4] == until else row[4],) for row in now), key=str) == sorted(before, key=str)


def test_a_day_of_the_past_is_answered_beside_the_warehouse(clean_env, dbt, backfill, warehouse, tmp_path):
    ran = backfill(warehouse, "backfill", "2024-06-10", "2024-06-11")
    assert ran.code == 0, ran.output

    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    before = files()
    env = clean_env | {"WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(tmp_path.parent / f"{tmp_path.name}-target")}
    ran = run_program([sys.executable, str(PROJECT / "tools" / "as_of.py"), "--date", "2024-06-10"], env)
    assert ran.code == 0, ran.output
    assert files() == before
    assert "As of 2024-06-10: " in ran.output
    marts = Path(env["DBT_TARGET_PATH"]) / "as_of"
    with duckdb.connect(str(marts / "marts.duckdb"), read_only=True) as connection:
        users = connection.execute("from dim_users order by all").fetchall()
        days = connection.execute("select distinct as_of_date from fct_segment_daily").fetchall()
        stays = connection.execute(f"select max(valid_from), max(valid_to) from {HISTORY[6:]}").fetchall()
    assert days == [(date(2024, 6, 10),)] and stays == [(date(2024, 6, 10), None)]
    assert (marts / "dim_users.parquet").is_file() and not (marts / "copy").exists()
    direct = dbt("run", "--select", "+dim_users", env={"AS_OF": "2024-06-10"})
    assert users == direct.rows("from marts.dim_users order by all")


@pytest.mark.parametrize(
    ("first", "last", "only", "said"),
    [
        ("soon", "2024-06-05", "", "FROM: 'soon' is no date; write it as 2024-06-30"),
        ("2024-06-01", "2024-02-30", "", "TO: '2024-02-30' is no date; write it as 2024-06-30"),
        ("2024-06-01", "", "", "TO: which day? Write TO=2024-06-30"),
        ("2024-06-05", "2024-06-01", "", "FROM: 2024-06-05 is after TO (2024-06-01); exchange them"),
        ("2020-06-05", "2024-06-01", "", "FROM: 2020-06-05 is before the first event (20"),
        ("2024-06-05", "2024-06-30", "", "TO: 2024-06-30 is after the last day that was evaluated (2024-06-29)"),
        ("2024-06-05", "2024-06-06", "moods", "SET: there is no segment set 'moods'; use one of "),
    ],
)
def test_what_cannot_be_done_is_one_line(backfill, built_sample, first, last, only, said):
    ran = backfill(built_sample, "backfill", first, last, only)
    assert ran.code == 1 and ran.output.startswith(said) and ran.output.count("\n") == 1, ran.output


def test_no_past_day_is_made_of_what_a_killed_run_left(clean_env, dbt, backfill, tmp_path):
    raw = tmp_path / "raw"
    days = [date(2024, 6, day) for day in range(1, 11)]
    rows = [{"event_id": str(day), "event_name": "page_viewed", "event_at": f"{day} 10:00:00", "user_id": "ann"}
            for day in days]  # fmt: skip
    put_rows(raw / "events" / "1.csv", rows[:8])
    own = {"WAREHOUSE": str(tmp_path / "warehouse.duckdb"), "RAW_DATA": str(raw)}
    assert dbt("run", env=own).code == 0
    put_rows(raw / "events" / "2.csv", rows[8:])
    # As far as a run came that was killed: half hours know of the new days, what is made of them does not.
    assert dbt("run", "--select", "+int_half_hours", env=own).code == 0
    before = tables(Path(own["WAREHOUSE"]))
    as_of = [sys.executable, str(PROJECT / "tools" / "as_of.py"), "--date", "2024-06-05"]
    for ran in (
        backfill(own["WAREHOUSE"], "backfill", "2024-06-05", "2024-06-06", RAW_DATA=raw),
        backfill(own["WAREHOUSE"], "restate", "2024-06-08", "2024-06-08", RAW_DATA=raw),
        run_program(as_of, clean_env | own | {"DBT_TARGET_PATH": str(tmp_path / "target")}),
    ):
        said = f"WAREHOUSE: the last run of {own['WAREHOUSE']} did not come to its end; make run ends it\n"
        assert (ran.code, ran.output) == (1, said)
    assert tables(Path(own["WAREHOUSE"])) == before
    assert dbt("run", env=own).code == 0
    ran = backfill(own["WAREHOUSE"], "backfill", "2024-06-05", "2024-06-06", RAW_DATA=raw)
    assert ran.code == 0, ran.output


def test_without_a_history_there_is_nothing_to_fill(backfill, tmp_path):
    ran = backfill(tmp_path / "none.duckdb", "backfill", "2024-06-01", "2024-06-02")
    assert ran.code == 1 and ran.output.endswith("none.duckdb; make run builds it\n")


def test_a_long_pause_is_caught_up_in_steps(clean_env, dbt, tmp_path):
    own = tmp_path / "warehouse.duckdb"
    assert dbt("run", env={"WAREHOUSE": own, "AS_OF": "2024-06-22"}).code == 0
    code = (
        f"import sys; sys.path.insert(0, {str(TOOL.parent)!r}); import history; history.MOST_METRICS_ROWS = 1800\n"
        "import backfill; sys.exit(backfill.main(['catch-up']))"
    )
    ran = run_program([sys.executable, "-c", code], clean_env | {"WAREHOUSE": str(own)})
    assert (ran.code, ran.output) == (0, "catching up: 6 days since 2024-06-22\n")
    days = "select distinct as_of_date from runs.evaluations order by 1"
    assert [row[0].day for row in ran.rows(days)] == [22, 23, 24, 25, 26, 27, 28]
    ran = dbt("run", env={"WAREHOUSE": own})
    assert [row[0].day for row in ran.rows(days)] == [22, 23, 24, 25, 26, 27, 28, 29]
    assert ran.rows("select distinct as_of_date from intermediate.int_user_metrics") == [(date(2024, 6, 29),)]


@pytest.mark.parametrize("removed, kept", [("level", ("place", "x")), ("place", ("level", "low"))])
def test_a_set_that_the_project_no_longer_has_ends(removed, kept):
    engine = Engine()
    members = {("level", "low"): {"ann"}, ("place", "x"): {"ann"}}
    days = [DAY_ONE + timedelta(days=number) for number in range(3)]
    world = dict.fromkeys(days, members)
    engine.run(world, days[0])
    engine.sets_there.remove(removed)
    engine.run(world, days[1])
    gone = (removed, {"level": "low", "place": "x"}[removed])
    expected = sorted([("ann", *kept, days[0], None), ("ann", *gone, days[0], days[1])], key=str)
    assert engine.stays() == expected
    # It comes back, and is another stay.
    engine.sets_there.append(removed)
    engine.run(world, days[2])
    assert engine.stays() == sorted([*expected, ("ann", *gone, days[2], None)], key=str)


@pytest.mark.parametrize(
    "days, zone, run_started, expected",
    [
        ("2024-06-01 2024-06-02 2024-06-03", "UTC", "2024-06-03 00:00:00", "2024-06-02"),
        ("2024-06-01 2024-06-02 2024-06-03", "UTC", "2024-06-02 23:59:59", "2024-06-01"),
        ("2024-06-01 2024-06-02 2024-06-03", "America/New_York", "2024-06-03 03:59:59", "2024-06-01"),
        ("2024-06-01 2024-06-02 2024-06-03", "America/New_York", "2024-06-03 04:00:00", "2024-06-02"),
        ("2024-06-01 2024-06-02 2024-06-03", "UTC", "2030-01-01 00:00:00", "2024-06-03"),
        # Nothing is over: who begins today begins with today.
        ("2024-06-01 2024-06-02", "UTC", "2024-06-01 23:59:59", "2024-06-01"),
        # Nor is what a clock dates decades back the newest day: all days since would have been missed the next day.
        ("1970-01-01 2024-06-03", "UTC", "2024-06-03 12:00:00", "2024-06-02"),
        ("", "UTC", "2024-06-03 12:00:00", ""),
    ],
)
def test_the_as_of_date_is_the_newest_day_that_is_over(days, zone, run_started, expected):
    engine = Engine(zone=zone)
    engine.run_started = run_started
    for day in days.split() and [*days.split(), "2099-01-01"]:
        engine.db.execute("insert into intermediate.int_half_hours values (?)", [day])
    found = engine.db.execute(engine.model("intermediate", "int_as_of_dates")).fetchall()
    assert found == [(date.fromisoformat(day),) for day in expected.split()]


@pytest.mark.parametrize(
    "evaluated_from, expected",
    [
        # Days between others, or after them.
        (0, [(0, 1), (2, 3), (4, 4), (5, 5), (6, 7)]),
        # Everybody's stays begin earlier by the first day, and by none of those after it.
        (1, [(0, 0), (1, 2), (3, 4), (5, 5), (6, 7)]),
        (20, [(0, 0), (1, 2), (3, 4), (5, 5), (6, 7)]),
    ],
)
def test_days_go_in_steps_that_have_no_gap(monkeypatch, evaluated_from, expected):
    monkeypatch.syspath_prepend(str(TOOL.parent))
    import backfill

    days = [DAY_ONE + timedelta(days=number) for number in (0, 1, 2, 3, 4, 7, 9, 10)]
    first_evaluated = DAY_ONE + timedelta(days=evaluated_from)
    found = [(days.index(first), days.index(last)) for first, last in backfill.steps(days, 2, first_evaluated)]
    assert found == expected
    assert list(backfill.steps([], 2, first_evaluated)) == []
