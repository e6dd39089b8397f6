"""Measure the project: what dbt costs over the fastest script that gives the same tables, how much memory it takes, and
what a daily run costs, or a change.

    python tools/bench.py [--events 10000000] [--runs 2] [--peers]   dbt beside bench/floor.sql (and pandas and polars)
    python tools/bench.py --memory [--events 50000000]               dbt with memory_limit 2 GB
    python tools/bench.py --daily [--events 10000000]                a daily run beside a full build (bench_daily.py)
    python tools/bench.py --against REVISION [--exclude MODELS]      this checkout beside another (bench_against.py)
    python tools/bench.py --sets [--events 10000000]                 what a segment set costs (bench_sets.py)
    python tools/bench.py --scale [--events 10000000]                cost, and size of each table (bench_scale.py)
    python tools/bench.py --scale-spark [--events 1000000]           the same on Spark (bench_spark.py)

Every program runs in a process of its own, once on a single event and then on the data; the seconds of the first are
its start-up, and are taken off. The least of the runs counts. Data and results are kept in BENCH_DIR (default
target/bench). The program ends with 1 where the results of two programs differ, or one of them fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import bench_against
import bench_daily
import bench_events
import bench_scale
import bench_spark
import bench_sets
import duckdb
from bench_programs import (
    PROJECT,
    TAXONOMY,
    Cost,
    Failed,
    Program,
    console,
    data_of,
    least_of,
    machine,
    measured,
    membership_differences,
    quoted,
    show_costs,
    show_models,
    step,
)
from bench_programs import dbt as dbt_on

AS_OF = bench_events.LAST_DAY.isoformat()
MOST_TIMES_THE_FLOOR = 1.5
MEMORY_LIMIT, MOST_GB = "2GB", 2.5
# What the table calls dbt with the floor's tables alone.
SAME = "dbt, the same tables"


def dbt(data: Path, folder: Path, memory_limit: str | None = None) -> Program:
    """`dbt run` of everything on `data`. The paths are the same for any data, so that dbt parses the project once."""
    limit = {"MEMORY_LIMIT": memory_limit} if memory_limit else {}
    return dbt_on(data, folder, folder / "dbt.duckdb", AS_OF, **limit)


def same_tables(data: Path, folder: Path) -> Program:
    """dbt with the models that the floor's tables need, and no others."""
    chosen = ("--select", "+int_user_metrics", "+fct_segment_membership")
    return dbt_on(data, folder, folder / "same.duckdb", AS_OF, *chosen, name=SAME)


def floor(data: Path, folder: Path) -> Program:
    """bench/floor.sql on `data`."""
    result = folder / "floor.duckdb"
    return Program("floor.sql", [sys.executable, __file__, "--floor", str(data), str(result)], result, {})


def peer(library: str, data: Path, folder: Path) -> Program:
    """The script of another library on `data`."""
    result = folder / f"{library}.parquet"
    script = PROJECT / "bench" / f"{library}_metrics.py"
    return Program(library, [sys.executable, str(script), str(data / "events"), AS_OF, str(result)], result, {})


def run_floor(data: Path, warehouse: Path) -> None:
    """Runs bench/floor.sql in this process; makes its tables in `warehouse`."""
    with duckdb.connect(str(warehouse)) as con:
        con.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
        con.execute(f"set variable events = '{quoted(data)}/events/**/*.parquet'")
        con.execute(f"set variable taxonomy = '{quoted(TAXONOMY)}'")
        con.execute(f"set variable as_of_date = date '{AS_OF}'")
        con.execute((PROJECT / "bench" / "floor.sql").read_text(encoding="utf-8"))


def cost_of(
    make: Callable[[Path, Path], Program], folder: Path, data: Path, one_event: Path, runs: int
) -> tuple[Cost, Cost]:
    """What the program that `make(data, folder)` gives costs on a single event and on the data, the least of
    `runs`."""
    # Whatever is read from disk or parsed for the first time is neither.
    with step(f"{make(one_event, folder).name}, to warm up"):
        measured(make(one_event, folder))
    return least_of(make(one_event, folder), runs, "one event"), least_of(make(data, folder), runs, "all events")


def differences(con: duckdb.DuckDBPyConnection, left: str, right: str) -> list[str]:
    """How two relations with the columns of int_user_metrics differ: one line a column, none where they are the same.
    Decimals and averages are compared to a millionth: pandas has no decimals, and sums in another order."""
    columns = con.execute(f"describe select * from {left}").fetchall()
    other = {row[0] for row in con.execute(f"describe select * from {right}").fetchall()}
    if unlike := {row[0] for row in columns} ^ other:
        return [f"columns in one only: {', '.join(sorted(unlike))}"]
    found = []
    for name, kind, *_ in columns:
        l, r = f'l."{name}"', f'r."{name}"'
        if kind in ("VARCHAR", "DATE"):
            differs = f"cast({l} as varchar) is distinct from cast({r} as varchar)"
        else:
            differs = f"(({l} is null) <> ({r} is null) or abs(cast({l} as double) - cast({r} as double)) > 1e-6)"
        people, one = con.execute(
            f"select count(*), any_value(format('{{}} and {{}}', {l}, {r})) "
            f"from {left} as l full join {right} as r on l.user_id = r.user_id where {differs}"
        ).fetchone()
        if people:
            found.append(f"{name}: {people} people, for instance {one}")
    return found


def compare(folder: Path, peers: list[str]) -> list[str]:
    """The differences of all results in `folder` from the floor's, each with the name of the program."""
    with duckdb.connect() as con:
        con.execute(f"attach '{quoted(folder / 'floor.duckdb')}' as floor (read_only)")
        con.execute(f"attach '{quoted(folder / 'dbt.duckdb')}' as dbt (read_only)")
        found = [
            f"dbt run: {line}"
            for line in differences(con, "floor.main.int_user_metrics", "dbt.intermediate.int_user_metrics")
        ]
        found += [
            f"dbt run: {line}"
            for line in membership_differences(
                con, ("floor.sql", "floor.main.memberships"), ("dbt", "dbt.marts.fct_segment_membership")
            )
        ]
        for library in peers:
            relation = f"read_parquet('{quoted(folder / library)}.parquet')"
            found += [f"{library}: {line}" for line in differences(con, "floor.main.int_user_metrics", relation)]
        return found


def speed(events: int, runs: int, peers: list[str], folder: Path) -> int:
    """dbt beside the floor and the peers; gives the exit code."""
    data, one_event = data_of(events, folder), data_of(1, folder)
    costs = {"floor.sql": cost_of(floor, folder, data, one_event, runs)}
    costs[SAME] = cost_of(same_tables, folder, data, one_event, runs)
    costs["dbt run"] = cost_of(dbt, folder, data, one_event, runs)
    for library in peers:
        costs[library] = cost_of(
            lambda source, target, library=library: peer(library, source, target), folder, data, one_event, 1
        )
    with step("comparing the results"):
        found = compare(folder, peers)

    show_models(folder / "target")
    show_costs(f"{events:,} events, {machine()}", costs, "floor.sql", "times the floor")
    (floor_start, floor_whole), (start, whole) = costs["floor.sql"], costs[SAME]
    console.print(verdict(floor_whole.seconds - floor_start.seconds, whole.seconds - start.seconds))
    for line in found:
        console.print(f"The results differ. {line}", markup=False)
    return 1 if found else 0


def verdict(floor_seconds: float, dbt_seconds: float) -> str:
    """Whether dbt is within the target for the floor's tables, in one line; both in seconds less the program's start-up,
    which varies by more than few events cost."""
    if floor_seconds <= 0 or dbt_seconds <= 0:
        return "Too few events: the start-up varies by more than they cost."
    ratio = dbt_seconds / floor_seconds
    word = "within" if ratio <= MOST_TIMES_THE_FLOOR else "over"
    return f"dbt takes {ratio:.2f} times the floor for its tables: {word} the {MOST_TIMES_THE_FLOOR} that is allowed."


def memory(events: int, folder: Path) -> int:
    """dbt alone, held to MEMORY_LIMIT; gives the exit code."""
    data, one_event = data_of(events, folder), data_of(1, folder)
    costs = cost_of(lambda source, target: dbt(source, target, MEMORY_LIMIT), folder, data, one_event, 1)
    show_models(folder / "target")
    title = f"{events:,} events, memory_limit {MEMORY_LIMIT}, {machine()}"
    show_costs(title, {"dbt run": costs}, "floor.sql", "times the floor")
    verdict = "within" if costs[1].peak_gb <= MOST_GB else "over"
    console.print(f"dbt run takes {costs[1].peak_gb:.2f} GB: {verdict} the {MOST_GB} GB that are allowed.")
    return 0


def main() -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(description="Measure the project beside the fastest script for the same tables.")
    parser.add_argument("--events", type=int, help="how many (default: 10 million, with --memory 50 million)")
    parser.add_argument("--runs", type=int, help="the least of so many counts (default: 2, with --daily and --sets 3)")
    parser.add_argument("--peers", action="store_true", help="pandas and polars as well (requirements-bench.txt)")
    parser.add_argument("--memory", action="store_true", help=f"dbt alone, with memory_limit {MEMORY_LIMIT}")
    parser.add_argument("--daily", action="store_true", help="a daily run beside a full build, and a backfill")
    parser.add_argument("--backfill-days", type=int, metavar="N", help="how many (default: 90, at most 362)")
    parser.add_argument("--against", metavar="REVISION", help="the full build here beside that of another revision")
    parser.add_argument("--exclude", default="", metavar="MODELS", help="models that --against leaves out here")
    parser.add_argument("--sets", action="store_true", help="what is made of the metrics, with all sets and with half")
    parser.add_argument("--scale", action="store_true", help="a full build, a daily run, and the size of each table")
    parser.add_argument("--scale-spark", action="store_true", help="the same on Spark (requirements-spark.txt, Java 17)")
    parser.add_argument("--floor", nargs=2, type=Path, metavar=("DATA", "WAREHOUSE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.backfill_days is not None and not 1 <= arguments.backfill_days <= 362:
        parser.error(f"--backfill-days: {arguments.backfill_days} days; the events have 1 to 362 to fill")
    if arguments.floor:
        run_floor(*arguments.floor)
        return 0

    folder = Path(os.environ.get("BENCH_DIR") or PROJECT / "target" / "bench").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # Spilled files of a run that was interrupted.
    shutil.rmtree(folder / "dbt.duckdb.tmp", ignore_errors=True)
    try:
        if arguments.memory:
            return memory(arguments.events or 50_000_000, folder)
        events = arguments.events or 10_000_000
        if arguments.daily:
            return bench_daily.daily(
                events, arguments.runs or 3, folder, arguments.backfill_days or bench_daily.BACKFILL_DAYS
            )
        if arguments.against:
            return bench_against.against(arguments.against, events, arguments.runs or 2, folder, arguments.exclude)
        if arguments.sets:
            return bench_sets.sets(events, arguments.runs or 3, folder)
        if arguments.scale:
            return bench_scale.scale(events, arguments.runs or 1, folder)
        if arguments.scale_spark:
            return bench_spark.scale_on_spark(arguments.events or 1_000_000, folder)
        return speed(events, arguments.runs or 2, ["polars", "pandas"] if arguments.peers else [], folder)
    except Failed as failure:
        console.print(str(failure), markup=False)
        return 1


if __name__ == "__main__":
    sys.exit(main())
