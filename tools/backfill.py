"""Writes the history of past days: `make backfill` fills what is missing in a range, `make restate` writes it again.

The days go through the same models as those of a daily run, some days at a time, in one process of dbt. Each step is
one transaction that also writes down which days it did (runs.evaluations), so that a run which was stopped, however,
goes on where it was when it is started again.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from datetime import date, timedelta

from history import Dbt, Known, Refused, day, range_of_days, refuse_half_built, what_is_known
from one_run import Busy
from rich.console import Console
from run import environment, progress_bar
from targets import Engine, Unusable, engine_of

HISTORY = "fct_segment_membership_history"
# What is between the as-of dates and the history. The marts of the latest day are none of them.
STEP = ["--select", f"int_as_of_dates+,+{HISTORY}"]
# Views are as they were; to create them takes longer than to evaluate a day of a small product.
NEXT_STEP = [*STEP, "--exclude", "config.materialized:view"]
VIEWS = "int_as_of_dates+,config.materialized:view"
# The metrics as they were, and what is made of the history.
LAST_STEP = [*STEP, f"{HISTORY}+1,fct_segment_changes", "fct_segment_daily", "fct_segment_transitions",
             "fct_restatements", "int_as_of_dates+,+fct_growth_accounting", "int_as_of_dates+,+fct_active_users",
             "fct_retention", "fct_key_moments", "--exclude", HISTORY]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(description="Write the history of past days.")
    parser.add_argument("what", choices=["backfill", "restate", "catch-up"])
    parser.add_argument("--from", dest="first", default="")
    parser.add_argument("--to", dest="last", default="")
    parser.add_argument("--set", dest="segment_set", default="")
    asked = parser.parse_args(arguments)
    console = Console(highlight=False)
    env = environment()
    os.environ.update(env)
    # No other run's settings count here.
    for name in ("AS_OF", "EVALUATE_FROM", "EVALUATE_TO", "EVALUATE_SET", "RESTATE"):
        if name != "AS_OF" or asked.what != "catch-up":
            os.environ.pop(name, None)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        engine = engine_of(env)
    except Unusable as unusable:
        console.print(str(unusable), style="red", markup=False, soft_wrap=True)
        return 1
    try:
        if asked.what == "catch-up":
            # Part of a daily run, which has the warehouse.
            catch_up(engine, console)
        else:
            with engine.only_run():
                backfill(engine, asked, console)
    except (Refused, Busy) as refused:
        console.print(str(refused), style="red", markup=False, soft_wrap=True)
        return 1
    except (OSError, *engine.errors) as error:
        line = engine.first_line(error)
        console.print(f"{asked.what}: {line}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on from here.", style="red")
        return 130
    return 0


def backfill(engine: Engine, asked: argparse.Namespace, console: Console) -> None:
    """Evaluates the days of a range: those without a history, or all of them in a restatement. Raises Refused."""
    first, last = day("FROM", asked.first), day("TO", asked.last)
    if first > last:
        raise Refused(f"FROM: {first} is after TO ({last}); exchange them")
    known = what_is_known(engine)
    refuse_half_built(engine)
    if first < known.first_event:
        raise Refused(f"FROM: {first} is before the first event ({known.first_event}); ask for that day or a later one")
    if last > known.last_evaluated:
        raise Refused(
            f"TO: {last} is after the last day that was evaluated ({known.last_evaluated}); ask for that day or an "
            "earlier one: make run goes on from there"
        )
    dbt = Dbt(engine)
    sets = dbt.segments()
    if asked.segment_set and asked.segment_set not in sets:
        raise Refused(f"SET: there is no segment set {asked.segment_set!r}; use one of {', '.join(sets)}")
    wanted = {asked.segment_set: sets[asked.segment_set]} if asked.segment_set else sets
    restate = asked.what == "restate"
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    if not restate:
        segments = [(name, segment) for name, listed in wanted.items() for segment in listed]
        days = [one for one in days if any((one, *segment) not in known.evaluated for segment in segments)]
    done = "restated" if restate else "filled"
    if asked.segment_set:
        os.environ["EVALUATE_SET"] = asked.segment_set
    if restate:
        os.environ["RESTATE"] = "1"
    evaluate(dbt, days, known, console, selection(engine, STEP))
    for name in ("EVALUATE_SET", "RESTATE"):
        os.environ.pop(name, None)
    if restate:
        said = f"{{first: '{first}', last: '{last}', segment_set: '{asked.segment_set or 'all'}'}}"
        dbt.run("run-operation", "record_restatement", "--args", said)
    # Readers of the warehouse find the metrics of the day that the marts are about.
    with range_of_days(known.latest, known.latest):
        dbt.run("run", *selection(engine, LAST_STEP))
    dbt.close()
    for_readers = engine.publish()
    about = f"{len(days):,} days of {first} to {last}" if days else f"{first} to {last}: nothing was missing; no day"
    console.print(f"{about} {done}. {for_readers}", soft_wrap=True, markup=False)


def catch_up(engine: Engine, console: Console) -> None:
    """Before a daily run: evaluates the days that were missed, all but the last, if they are more than one step. Raises
    Refused."""
    dbt = Dbt(engine)
    # How far the events go is known when they are read.
    dbt.run("run", "--select", "+int_as_of_dates", "+int_user_days", "int_event_traits")
    dbt.close()
    known = what_is_known(engine)
    with engine.connect() as connection:
        rows = connection.execute("select as_of_date from intermediate.int_as_of_dates order by 1").fetchall()
    days = [row[0] for row in rows]
    if len(days) > known.days_a_step:
        console.print(f"catching up: {len(days) - 1:,} days since {known.last_evaluated}", soft_wrap=True)
        os.environ.pop("AS_OF", None)
        # All that this drops the run itself makes again.
        evaluate(dbt, days[:-1], known, console, STEP)


def evaluate(dbt: Dbt, days: list[date], known: Known, console: Console, options: list[str]) -> None:
    """Runs the models for these days, some at a time; `options` say which."""
    with progress_bar(console, 40) as progress:
        task = progress.add_task("", total=len(days))
        for first, last in steps(days, known.days_a_step, known.first_evaluated):
            progress.update(task, description=f"{first} to {last}")
            with range_of_days(first, last):
                dbt.run("run", *options)
            progress.update(task, advance=(last - first).days + 1)
            if not dbt.engine.drops_views:
                options = NEXT_STEP


def selection(engine: Engine, options: list[str]) -> list[str]:
    """The options of a step; with the views that an engine drops when something is built that they read."""
    return ["--select", VIEWS, *options[1:]] if engine.drops_views else options


def steps(days: list[date], days_a_step: int, first_evaluated: date) -> Iterator[tuple[date, date]]:
    """The days in runs without a gap, none longer than a step: the first and the last day of each.

    A day before all that were evaluated is a step of its own, if it comes first: everybody's stays begin earlier by it
    and are written anew, which takes the memory of several other days. Those after it change what people changed.
    """
    start = 0
    for number, one in enumerate(days):
        after = days[number + 1] if number + 1 < len(days) else None
        everybody = number == 0 and one < first_evaluated
        if everybody or after != one + timedelta(days=1) or number + 1 - start == days_a_step:
            yield days[start], one
            start = number + 1


if __name__ == "__main__":
    sys.exit(main())
