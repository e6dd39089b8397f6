"""Answers for a day in the past, in a copy of the warehouse: `make as-of DATE=2024-05-01` calls it.

The warehouse, its history and what is published of it stay as they are. The marts of that day are put into
`target/as_of/`: marts.duckdb, and a Parquet file each. The copy is of DuckDB, whatever the engine of the warehouse.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

import duckdb
from history import Dbt, Refused, day, range_of_days, refuse_half_built, what_is_known
from one_run import Busy
from publish import copy_marts
from rich.console import Console
from run import PROJECT, environment, show_summary
from targets import DuckDb, Engine, Unusable, engine_of


def main() -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(description="Answer for a day in the past.")
    parser.add_argument("--date", default="")
    asked = parser.parse_args()
    console = Console(highlight=False)
    env = environment()
    os.environ.update(env)
    for name in ("AS_OF", "EVALUATE_FROM", "EVALUATE_TO", "EVALUATE_SET", "RESTATE"):
        os.environ.pop(name, None)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(env.get("DBT_TARGET_PATH") or PROJECT / "target") / "as_of"
    try:
        engine = engine_of(env)
    except Unusable as unusable:
        console.print(str(unusable), style="red", markup=False, soft_wrap=True)
        return 1
    try:
        answer(engine, asked.date, folder, console)
    except (Refused, Busy) as refused:
        console.print(str(refused), style="red", markup=False, soft_wrap=True)
        return 1
    except (OSError, duckdb.Error, *engine.errors) as error:
        console.print(f"as-of: {engine.first_line(error)}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.", style="red")
        return 130
    finally:
        # As large as the warehouse itself.
        shutil.rmtree(folder / "copy", ignore_errors=True)
    return 0


def answer(engine: Engine, text: str, folder: Path, console: Console) -> None:
    """Prints the summary of the day and writes its marts. Raises Refused."""
    asked = day("DATE", text)
    known = what_is_known(engine)
    if engine.name == DuckDb.name:
        # Of a server the landing and the history are taken, and nothing that it built.
        refuse_half_built(engine)
    if asked < known.first_event:
        raise Refused(f"DATE: {asked} is before the first event ({known.first_event}); ask for that day or a later one")
    newest = max(known.latest, known.last_evaluated)
    if asked > newest:
        said = f"{asked} is after the last day that was built ({newest})"
        raise Refused(f"DATE: {said}; ask for that day or an earlier one")
    shutil.rmtree(folder, ignore_errors=True)
    copy, selected = engine.day_copy(folder / "copy")
    os.environ |= {"TARGET": DuckDb.name, "WAREHOUSE": str(copy)}
    answering = DuckDb(os.environ)
    with console.status(f"building {asked}"), range_of_days(asked, asked):
        dbt = Dbt(answering)
        # What is known of later days is not part of the answer.
        dbt.run("run-operation", "forget_after", "--args", f"{{day: '{asked}'}}")
        dbt.run("run", *selected)
        dbt.close()
        copy_marts(copy, folder)
    show_summary(console, answering, is_asked_for=True)
    console.print(f"The marts of {asked}: {folder}/marts.duckdb, and a Parquet file each", soft_wrap=True, markup=False)


if __name__ == "__main__":
    sys.exit(main())
