"""Measure a daily run: what one day of new events costs beside a full build of the same data, beside the same day on a
short history, and beside the usual incremental layers (bench/textbook); and what a day of a backfill costs.

    python tools/bench.py --daily [--events 10000000] [--runs 3] [--backfill-days 90]

The events are put into a file for each day of receipt. The last one is kept back, the others are built, and what is
measured starts from a copy of that warehouse into whose folder the last file has come. What the same command costs on
three events, one for each of the last three days, is its start-up and is taken off.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import bench_events
import duckdb
from backfill import STEP
from bench_programs import (
    PROJECT,
    TAXONOMY,
    Cost,
    Failed,
    Program,
    console,
    data_of,
    dbt,
    least_of,
    machine,
    measured,
    membership_differences,
    quoted,
    show_models,
    step,
)
from rich.table import Table

MOST_OF_A_FULL_BUILD = 0.1
MOST_TIMES_A_SHORT_HISTORY = 1.5
MOST_TIMES_ONE_DAYS_SEGMENTS = 1
SHORT_HISTORY_DAYS = 30
BACKFILL_DAYS = 90
# 1 in 10,000 events carries an id that others carry too, and the textbook keeps one of them.
MOST_DIFFERENT = 0.001
# The name of what is measured on the whole year, and what stands for a ratio that cannot be had.
WHOLE, UNKNOWN = "all events", "?"
# What the file of the warehouse is called while it is built.
WAREHOUSE = "daily"

NEW_DAY = bench_events.LAST_DAY
DAY_BEFORE = NEW_DAY - timedelta(days=1)
# The newest day that neither the first build nor the daily run evaluates.
BACKFILL_TO = NEW_DAY - timedelta(days=2)

# One thread, and more open files than there are days: a single file a day.
SPLIT = """
set TimeZone = 'UTC'; set threads = 1; set partitioned_write_max_open_files = 1000;
copy (select *, cast(received_at as date) as day from read_parquet('{events}/*.parquet'))
to '{target}' (format parquet, partition_by (day))
"""
ONE_EVENT = """
copy (
    select * from read_parquet('{source}')
    where event_name = 'page_viewed' and cast(event_at as date) = date '{day}'
    order by event_at, event_id limit 1
) to '{target}' (format parquet)
"""


@dataclass(frozen=True)
class Net:
    """What something costs without its start-up, in seconds and in seconds of all cores; and the start-up."""

    seconds: float
    cpu_seconds: float
    start_up: float

    @staticmethod
    def of(start: Cost, whole: Cost, times: int = 1) -> Net:
        """Of a program that did it so many times."""
        return Net(
            (whole.seconds - start.seconds) / times, (whole.cpu_seconds - start.cpu_seconds) / times, start.seconds
        )


def kept_file(kept: Path, name: str, build: str, program: str = "dbt") -> Path:
    """Where the result of a program is kept: of the data called `name`, after one of its builds."""
    return kept / f"{name} {program} {build}.duckdb".replace(" ", "_")


class Inbox:
    """A folder into which files of events come, and the one path at which all warehouses are built from it: another
    path would make dbt parse the project again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.raw, self.warehouse = folder, folder / "raw", folder / "warehouse" / f"{WAREHOUSE}.duckdb"
        self.kept = folder / "kept"
        for place in (self.raw / "events", self.warehouse.parent, self.kept):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)

    def hold(self, files: list[Path]) -> None:
        """Lets the folder hold these files and no others."""
        shutil.rmtree(self.raw / "events")
        (self.raw / "events").mkdir()
        for file in files:
            # The same file, not a copy: a file with another time would be new to the warehouse.
            os.link(file, self.raw / "events" / file.name)

    def keep(self, name: str, build: str, program: str = "dbt") -> Path:
        """A copy of the result as it is now, to start from or to look into later."""
        result = self.warehouse if program == "dbt" else self.textbook().result
        return Path(shutil.copyfile(result, kept_file(self.kept, name, build, program)))

    def dbt(self, starts_from: Path | None = None, *arguments: str) -> Program:
        """`dbt run` with the files that the folder holds."""
        return replace(dbt(self.raw, self.folder, self.warehouse, "", *arguments), starts_from=starts_from)

    def backfill(self, starts_from: Path, days: int) -> Program:
        """tools/backfill.py for so many days."""
        first = BACKFILL_TO - timedelta(days=days - 1)
        command = [sys.executable, str(PROJECT / "tools" / "backfill.py"), "backfill"]
        command += ["--from", str(first), "--to", str(BACKFILL_TO)]
        return Program("backfill", command, self.warehouse, self.dbt().env, starts_from)

    def textbook(self, starts_from: Path | None = None) -> Program:
        """bench/textbook with the files that the folder holds."""
        result = self.folder / "textbook.duckdb"
        command = [sys.executable, __file__, "--textbook", str(self.raw), str(result)]
        return Program("textbook", command, result, {}, starts_from)


def daily(events: int, runs: int, folder: Path, backfill_days: int = BACKFILL_DAYS) -> int:
    """Measures and prints all of it; gives the exit code. Raises Failed."""
    split = split_of(events, folder)
    days = sorted(file for file in split.glob("*.parquet") if file.stem <= NEW_DAY.isoformat())
    inbox = Inbox(folder / "daily")
    few = [one_event(split, day, folder / "daily" / "few") for day in (BACKFILL_TO, DAY_BEFORE, NEW_DAY)]

    start = costs_of(inbox, "three events", few, runs, 1)
    year = costs_of(inbox, WHOLE, days, runs, backfill_days)
    short = costs_of(inbox, f"{SHORT_HISTORY_DAYS} days", days[-SHORT_HISTORY_DAYS - 1 :], runs, 0)
    with step("comparing the results"):
        found = compare(inbox.kept)

    show_models(inbox.kept, "Where the daily run spends it")
    full, one_day, past_day = "full build", "one day's segments", f"backfill, a day of {backfill_days}"
    year_run, short_run = f"daily run, {len(days) - 1} days", f"daily run, {SHORT_HISTORY_DAYS} days"
    filled_run = f"daily run, {backfill_days + 1} evaluated"
    textbook_full, textbook_daily = "textbook, full build", "textbook, daily run"
    rows = {
        full: Net.of(start["full build"], year["full build"]),
        short_run: Net.of(start["daily run"], short["daily run"]),
        year_run: Net.of(start["daily run"], year["daily run"]),
        filled_run: Net.of(start["after a backfill"], year["after a backfill"]),
        one_day: Net.of(start["segments"], year["segments"]),
        past_day: Net.of(start["backfill"], year["backfill"], backfill_days),
        textbook_full: Net.of(start["textbook, full build"], year["textbook, full build"]),
        textbook_daily: Net.of(start["textbook, daily run"], year["textbook, daily run"]),
    }
    beside = {
        year_run: [full, short_run],
        filled_run: [full, year_run],
        past_day: [one_day],
        textbook_full: [full],
        textbook_daily: [textbook_full, year_run],
    }
    show(f"{rows_in(days):,} events, {rows_in(days[-1:]):,} of them new, {machine()}", rows, beside)
    less_history = f"what it takes with {SHORT_HISTORY_DAYS} days of history"
    console.print(verdict("A daily run", rows[year_run], "the full build", rows[full], MOST_OF_A_FULL_BUILD))
    console.print(verdict("A daily run", rows[year_run], less_history, rows[short_run], MOST_TIMES_A_SHORT_HISTORY))
    console.print(verdict("A day of a backfill", rows[past_day], one_day, rows[one_day], MOST_TIMES_ONE_DAYS_SEGMENTS))
    console.print(what_the_textbook_misses(inbox.kept))
    for line in found:
        console.print(f"The results differ. {line}", markup=False)
    return 1 if found else 0


def costs_of(inbox: Inbox, name: str, files: list[Path], runs: int, backfill_days: int) -> dict[str, Cost]:
    """What each program costs on the history that `files` are, the last of them the new day: the daily run, and where
    `backfill_days` is not 0 all others. What they made is kept under `name`. Raises Failed."""
    inbox.hold(files[:-1])
    with step(f"dbt run, {name}, up to the day before"):
        measured(inbox.dbt())
    before = inbox.keep(name, "before")
    inbox.hold(files)
    costs = {"daily run": least_of(inbox.dbt(before), runs, f"{name}, the new day")}
    inbox.keep(name, "daily")
    if backfill_days:
        shutil.copyfile(inbox.folder / "target" / "run_results.json", inbox.kept / "run_results.json")
        costs["full build"] = least_of(inbox.dbt(), runs, f"{name}, full build")
        inbox.keep(name, "full")
        with step(f"dbt run, {name}, the new day without segments"):
            measured(inbox.dbt(before, "--exclude", "int_as_of_dates+"))
        ready = inbox.keep(name, "ready")
        costs["segments"] = least_of(inbox.dbt(ready, *STEP), runs, f"{name}, segments of the new day")
        ready.unlink()
        inbox.hold(files[:-1])
        costs["backfill"] = least_of(inbox.backfill(before, backfill_days), 1, f"{name}, {backfill_days} days")
        filled = inbox.keep(name, "filled")
        inbox.hold(files)
        costs["after a backfill"] = least_of(inbox.dbt(filled), runs, f"{name}, the new day after {backfill_days} more")
        filled.unlink()
        costs |= textbook_costs(inbox, name, files, runs)
    before.unlink()
    return costs


def textbook_costs(inbox: Inbox, name: str, files: list[Path], runs: int) -> dict[str, Cost]:
    """What the textbook costs on these files, at once and on the last day. What it made is kept under `name`."""
    costs = {"textbook, full build": least_of(inbox.textbook(), 1, f"{name}, full build")}
    inbox.keep(name, "full", "textbook")
    inbox.hold(files[:-1])
    with step(f"textbook, {name}, up to the day before"):
        measured(inbox.textbook())
    before = inbox.keep(name, "before", "textbook")
    inbox.hold(files)
    costs["textbook, daily run"] = least_of(inbox.textbook(before), runs, f"{name}, the new day")
    inbox.keep(name, "daily", "textbook")
    before.unlink()
    return costs


def run_textbook(data: Path, warehouse: Path) -> None:
    """Runs the scripts of bench/textbook in this process, on the tables that `warehouse` has from before, if any."""
    with duckdb.connect(str(warehouse)) as con:
        con.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
        con.execute(f"set variable events = '{quoted(data)}/events/*.parquet'")
        con.execute(f"set variable taxonomy = '{quoted(TAXONOMY)}'")
        for script in sorted((PROJECT / "bench" / "textbook").glob("*.sql")):
            con.execute(script.read_text(encoding="utf-8"))


# The events


def split_of(events: int, folder: Path) -> Path:
    """The folder with that many events in a file for each day of receipt, made now where it is not there."""
    data = data_of(events, folder)
    split = folder / "days" / str(events)
    made_by = hashlib.sha256(f"{(data / 'made_by').read_text()} {SPLIT}".encode()).hexdigest()
    stamp = split / "made_by"
    if not stamp.is_file() or stamp.read_text() != made_by:
        with step("making a file of each day"):
            shutil.rmtree(split, ignore_errors=True)
            split.parent.mkdir(exist_ok=True)
            # In a process of its own: Linux counts the greatest memory of this one as its children's.
            subprocess.run([sys.executable, __file__, "--split", str(data / "events"), str(split)], check=True)
            stamp.write_text(made_by)
    return split


def run_split(source: Path, split: Path) -> None:
    """Writes the events of the files in `source` into `split`, a file <day>.parquet for each day of receipt."""
    with duckdb.connect() as con:
        con.execute(SPLIT.format(events=quoted(source), target=quoted(split)))
    for folder in split.glob("day=*"):
        (file,) = folder.iterdir()
        file.rename(split / f"{folder.name.removeprefix('day=')}.parquet")
        folder.rmdir()


def one_event(split: Path, day: date, folder: Path) -> Path:
    """A file in `folder` with a single event of that day. Raises Failed where the day has none."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{day}.parquet"
    with duckdb.connect() as con:
        source = split / f"{day}.parquet"
        sql = ONE_EVENT.format(source=quoted(source), day=day, target=quoted(target))
        if not source.is_file() or con.execute(sql).fetchone() == (0,):
            raise Failed(f"no page was viewed on {day}; ask for more events")
    return target


def rows_in(files: list[Path]) -> int:
    """How many events the files hold."""
    names = ", ".join(f"'{quoted(file)}'" for file in files)
    (rows,) = duckdb.execute(f"select count(*) from read_parquet([{names}])").fetchone()
    return rows


# The results


def compare(kept: Path) -> list[str]:
    """What is not as it should be, a line each: the memberships of the daily run are those of the full build, and the
    textbook's full build finds as many people and active days as the project's."""
    with duckdb.connect() as con:
        for build in ("daily", "full"):
            copy_membership(con, kept, build)
        found = membership_differences(
            con, ("the daily run", "membership_daily"), ("the full build", "membership_full")
        )
        attach(con, kept, "dbt")
        attach(con, kept, "textbook")
        ours, theirs = (
            con.execute(f"select count(*), sum(active_days_28d) from {relation}").fetchone()
            for relation in ("dbt_full.intermediate.int_user_metrics", "textbook_full.user_metrics")
        )
    for what, our, their in zip(("people", "active days in 28"), ours, theirs, strict=True):
        if abs(our - their) > MOST_DIFFERENT * our:
            found.append(f"textbook: {their:,} {what}, and not {our:,}")
    return found


def what_the_textbook_misses(kept: Path) -> str:
    """How far the textbook's daily run is from its own full build, in one line."""
    with duckdb.connect() as con:
        attach(con, kept, "textbook")
        wrong, too_many, people = con.execute(
            """
            select
                count(*) filter (daily.active_days_lifetime is distinct from whole.active_days_lifetime),
                count(*) filter (whole.person_id is null),
                count(whole.person_id)
            from textbook_full.user_metrics as whole
            full join textbook_daily.user_metrics as daily on whole.person_id = daily.person_id
            """
        ).fetchone()
    return (
        f"After one day the textbook has other active days than its own full build for {wrong - too_many:,} of "
        f"{people:,} people, and {too_many:,} people too many."
    )


def copy_membership(con: duckdb.DuckDBPyConnection, kept: Path, build: str) -> None:
    """Makes the table membership_<build> of who is in which segment by that build of all events."""
    # It is a view, which carries the name of the warehouse that it was made in.
    con.execute(f"attach '{quoted(kept_file(kept, WHOLE, build))}' as {WAREHOUSE} (read_only)")
    con.execute(f"create temp table membership_{build} as from {WAREHOUSE}.marts.fct_segment_membership")
    con.execute(f"detach {WAREHOUSE}")


def attach(con: duckdb.DuckDBPyConnection, kept: Path, program: str) -> None:
    """Shows the results of a program's daily run and full build on all events as <program>_daily and <program>_full."""
    for build in ("daily", "full"):
        file = quoted(kept_file(kept, WHOLE, build, program))
        con.execute(f"attach '{file}' as {program}_{build} (read_only)")


def show(title: str, rows: dict[str, Net], beside: dict[str, list[str]]) -> None:
    """Prints a line for each of `rows`, and how many times the rows that it is set beside it costs."""
    table = Table(title=title)
    table.add_column("program")
    for heading in ("seconds", "CPU seconds", "start-up", "times", "times, CPU"):
        table.add_column(heading, justify="right")
    table.add_column("that of")
    for name, net in rows.items():
        cells = [name, f"{net.seconds:.2f}", f"{net.cpu_seconds:.2f}", f"{net.start_up:.1f} s"]
        if name not in beside:
            table.add_row(*cells)
        for other in beside.get(name, []):
            reference = rows[other]
            ratios = ratio(net.seconds, reference.seconds), ratio(net.cpu_seconds, reference.cpu_seconds)
            table.add_row(*cells, *ratios, other)
            cells = [""] * len(cells)
    console.print(table)


def ratio(cost: float, other: float) -> str:
    """How many times the other it is; UNKNOWN where the start-up varies by more than one of them."""
    return f"{cost / other:.2f}" if cost > 0 and other > 0 else UNKNOWN


def verdict(what: str, cost: Net, other: str, reference: Net, most: float) -> str:
    """Whether it costs at most `most` times the reference, in one line: by the clock, and said in CPU seconds, too, for
    a machine that others use."""
    times = ratio(cost.seconds, reference.seconds)
    if times == UNKNOWN:
        return f"{what} beside {other}: too few events; the start-up varies by more than they cost."
    word = "within" if cost.seconds <= most * reference.seconds else "over"
    cpu_times = ratio(cost.cpu_seconds, reference.cpu_seconds)
    return f"{what} takes {times} times {other} ({cpu_times} in CPU seconds): {word} the {most} that is allowed."


def main() -> None:
    """What tools/bench.py --daily starts as processes of their own."""
    parser = argparse.ArgumentParser(description="Parts of tools/bench.py --daily.")
    parts: dict[str, Callable[[Path, Path], None]] = {"textbook": run_textbook, "split": run_split}
    for name in parts:
        parser.add_argument(f"--{name}", nargs=2, type=Path, metavar=("FROM", "TO"))
    for name, paths in vars(parser.parse_args()).items():
        if paths:
            parts[name](*paths)


if __name__ == "__main__":
    main()
