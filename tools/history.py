"""What the tools for past days share: what the warehouse says of its history, and dbt in this process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from targets import Engine, engine_of

PROJECT = Path(__file__).resolve().parent.parent
# Rows of the models that have one a person (or a half hour of one) and day: what a step may hold in memory.
MOST_METRICS_ROWS = 2_000_000
MOST_HALF_HOURS = 13_000_000

# Days that a run was to build and that are not written down as built: macros/runs/built_days.sql.
NOT_BUILT = """
    select count(*)
    from intermediate.int_changed_days as changed
    left join runs.built_days as built
        on changed.cause = built.cause and changed.event_date = built.event_date
    where coalesce(changed.version, '') <> coalesce(built.version, '')
"""


class Refused(Exception):
    """What was asked for cannot be done; the message is one line for the person."""


@dataclass(frozen=True)
class Known:
    """What the warehouse says of its history."""

    # The day that the marts answer for.
    latest: date
    first_event: date
    first_evaluated: date
    last_evaluated: date
    evaluated: set[tuple[date, str, str]]
    days_a_step: int


def day(name: str, text: str) -> date:
    """A day that a person wrote. Raises Refused."""
    try:
        if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    if not text:
        raise Refused(f"{name}: which day? Write {name}=2024-06-30")
    raise Refused(f"{name}: '{text}' is no date; write it as 2024-06-30")


def what_is_known(engine: Engine) -> Known:
    """Reads the state of the history. Raises Refused where there is none, or it is of other events than asked for."""
    if not engine.exists():
        raise Refused(f"{engine.setting}: there is no {engine.place}; make run builds it")
    with engine.connect() as connection:
        if complaint := engine.complaint(connection):
            raise Refused(complaint)
        try:
            evaluated = connection.execute("select as_of_date, segment_set, segment from runs.evaluations").fetchall()
            days = connection.execute(
                "select (select max(as_of_date) from marts.dim_users), "
                "cast(min(as_of_date - days_since_first_active) as date) from intermediate.int_user_metrics"
            ).fetchone() or (None, None)
        except engine.not_there:
            evaluated, days = [], (None, None)
        latest, first_event = days
        if not evaluated or latest is None:
            raise Refused(f"{engine.setting}: {engine.place} has no history yet; make run begins it")
        evaluated_days = [row[0] for row in evaluated]
        first_evaluated, last_evaluated = min(evaluated_days), max(evaluated_days)
        (people,) = connection.execute("select max(people) from runs.evaluations").fetchone()
        half_hours = engine.row_estimate(connection, "intermediate", "int_half_hours")
    days_a_step = max(1, min(MOST_METRICS_ROWS // max(1, people), MOST_HALF_HOURS // max(1, half_hours)))
    return Known(latest, first_event, first_evaluated, last_evaluated, set(evaluated), days_a_step)


def refuse_half_built(engine: Engine) -> None:
    """Raises Refused where the last run died before all that is stored was built: a past day would be made of events
    that one model knows and another does not, and its history would stay so."""
    with engine.connect() as connection:
        try:
            (days,) = connection.execute(NOT_BUILT).fetchone()
        except engine.not_there:
            return
    if days:
        raise Refused(f"{engine.setting}: the last run of {engine.place} did not come to its end; make run ends it")


@contextmanager
def range_of_days(first: date, last: date) -> Iterator[None]:
    """dbt evaluates these days in place of the as-of date."""
    os.environ.update(EVALUATE_FROM=str(first), EVALUATE_TO=str(last))
    try:
        yield
    finally:
        del os.environ["EVALUATE_FROM"], os.environ["EVALUATE_TO"]


class Dbt:
    """dbt in this process: the project is read once, for any number of commands."""

    def __init__(self, engine: Engine | None = None) -> None:
        """Reads the project, for the engine that TARGET names unless it is given. Raises Refused where it is broken."""
        # Takes a second, and --help does not need it.
        from dbt.cli.main import dbtRunner

        os.chdir(PROJECT)
        self.engine = engine or engine_of(os.environ)
        self.new_runner = dbtRunner
        self.manifest = None
        self.manifest = self.run("parse")

    def run(self, command: str, *arguments: str) -> object:
        """Runs a command and gives its result. Raises Refused with the first cause of a failure."""
        from run import cause

        runner = self.new_runner(manifest=self.manifest)
        ended = runner.invoke(["--quiet", "--log-level", "none", command, *arguments, *self.engine.dbt_options])
        if ended.exception:
            if isinstance(ended.exception, KeyboardInterrupt):
                raise KeyboardInterrupt
            raise Refused(cause(str(ended.exception)))
        if not ended.success:
            failed = [one for one in ended.result.results if one.status in ("error", "fail")]
            if not failed:
                raise Refused("dbt failed")
            # What is run by its name, and not built, has no node.
            name = failed[0].node.name if hasattr(failed[0], "node") else arguments[0]
            raise Refused(f"{name} failed: {cause(failed[0].message or '')}")
        return ended.result

    def close(self) -> None:
        """Lets go of the warehouse, which dbt keeps open between commands."""
        self.engine.close_dbt()

    def segments(self) -> dict[str, list[str]]:
        """The sets of the project and what is evaluated in each: its flags, or `all` for a set of values."""
        sets = {}
        for node in self.manifest.nodes.values():
            said = node.config.meta.get("segment_set") if node.resource_type == "model" else None
            if said:
                flags = [
                    column.name for column in node.columns.values() if (column.data_type or "").lower() == "boolean"
                ]
                sets[said["name"]] = flags if said["kind"] == "flags" else ["all"]
        return sets
