"""Measure the project: what dbt costs over the fastest script that gives the same tables, and how much memory it takes.

    python tools/bench.py [--events 10000000] [--runs 2] [--peers]   dbt beside bench/floor.sql (and pandas and polars)
    python tools/bench.py --memory [--events 50000000]               dbt with memory_limit 2 GB

Every program runs in a process of its own, once on a single event and then on the data; the seconds of the first are
its start-up, and are taken off. The fastest of the runs counts. Data and results are kept in BENCH_DIR (default
target/bench). The program ends with 1 where the results of two programs differ, or one of them fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import duckdb
from rich.console import Console
from rich.table import Table

import bench_events

PROJECT = Path(__file__).resolve().parent.parent
TAXONOMY = PROJECT / "seeds" / "event_taxonomy.csv"
AS_OF = bench_events.LAST_DAY.isoformat()
MOST_TIMES_THE_FLOOR = 1.5
MEMORY_LIMIT, MOST_GB = "2GB", 2.5
# A model that takes less is not worth a line.
SHOWN_MODEL_SECONDS = 0.2

console = Console()


class Failed(Exception):
    """A program that is measured did not end well. The message is one line."""


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds on the clock, seconds of all cores together, and its greatest memory in GB."""

    seconds: float
    cpu_seconds: float
    peak_gb: float


@dataclass(frozen=True)
class Program:
    """Something that makes the metrics: its name and the command for a folder of data. `result` is what it writes."""

    name: str
    command: list[str]
    result: Path
    env: dict[str, str]


def measured(program: Program) -> Cost:
    """Runs the program, its old result removed first. Raises Failed with the last line that it printed."""
    for leftover in (program.result, Path(f"{program.result}.wal")):
        leftover.unlink(missing_ok=True)
    log = program.result.with_suffix(".log")
    with open(log, "w", encoding="utf-8") as output:
        started = monotonic()
        process = subprocess.Popen(
            program.command, cwd=PROJECT, env=os.environ | program.env, stdout=output, stderr=subprocess.STDOUT
        )
        # Of this process alone, with the children that it waited for: exact, where sampling would miss a peak.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        lines = log.read_text(encoding="utf-8").strip().splitlines() or ["no output"]
        raise Failed(f"{program.name} ended with {process.returncode}: {lines[-1].strip()} (all of it: {log})")
    # Bytes on macOS, KiB on Linux.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak / 1e9)


def dbt(data: Path, folder: Path, memory_limit: str | None = None) -> Program:
    """`dbt run` of everything on `data`. The paths are the same for any data, so that dbt parses the project once."""
    warehouse = folder / "dbt.duckdb"
    env = {
        "RAW_DATA": str(data), "TAXONOMY": str(TAXONOMY), "AS_OF": AS_OF, "WAREHOUSE": str(warehouse),
        "DBT_TARGET_PATH": str(folder / "target"), "DBT_LOG_PATH": str(folder / "logs"),
    }  # fmt: skip
    if memory_limit:
        env["MEMORY_LIMIT"] = memory_limit
    return Program("dbt run", [str(Path(sys.executable).with_name("dbt")), "run"], warehouse, env)


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


def quoted(path: Path) -> str:
    """A path inside an SQL string."""
    return str(path).replace("'", "''")


def data_of(events: int, folder: Path) -> Path:
    """The folder with that many events, made now where it is not there from before."""
    data = folder / "data" / str(events)
    made_by = hashlib.sha256(Path(bench_events.__file__).read_bytes()).hexdigest()
    stamp = data / "made_by"
    if not stamp.is_file() or stamp.read_text() != made_by:
        with step(f"making {events:,} events"):
            # In a process of its own: Linux counts the greatest memory of this one as its children's.
            command = [sys.executable, bench_events.__file__, str(data), "--events", str(events)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            stamp.write_text(made_by)
    return data


class step:
    """Says what is being done, and at the end how long it took."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> step:
        self.started = monotonic()
        self.status = console.status(f"{self.what} ...")
        self.status.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.status.stop()
        console.print(f"{self.what}: {monotonic() - self.started:.1f} s")


def cost_of(
    make: Callable[[Path, Path], Program], folder: Path, data: Path, one_event: Path, runs: int
) -> tuple[Cost, Cost]:
    """What the program that `make(data, folder)` gives costs on a single event and on the data, fastest of `runs`."""

    def fastest(source: Path, what: str) -> Cost:
        program = make(source, folder)
        costs = []
        for run in range(runs):
            with step(f"{program.name}, {what}" + (f", {run + 1} of {runs}" if runs > 1 else "")):
                costs.append(measured(program))
        return min(costs, key=lambda cost: cost.seconds)

    # Whatever is read from disk or parsed for the first time is neither.
    with step(f"{make(one_event, folder).name}, to warm up"):
        measured(make(one_event, folder))
    return fastest(one_event, "one event"), fastest(data, "all events")


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
        columns = "as_of_date, user_id, segment_set, segment"
        memberships = (
            f"(select {columns} from floor.main.memberships)",
            f"(select {columns} from dbt.marts.fct_segment_membership)",
        )
        for one, other in (memberships, memberships[::-1]):
            rows = con.execute(f"select count(*) from (from {one} except all from {other})").fetchone()[0]
            if rows:
                where = "floor.sql" if one == memberships[0] else "dbt"
                found.append(f"dbt run: {rows} memberships are in {where} only")
        for library in peers:
            relation = f"read_parquet('{quoted(folder / library)}.parquet')"
            found += [f"{library}: {line}" for line in differences(con, "floor.main.int_user_metrics", relation)]
        return found


def model_seconds(target: Path) -> dict[str, float]:
    """How long each model took in the last dbt run, by name."""
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    return {result["unique_id"].rsplit(".", 1)[-1]: result["execution_time"] for result in results}


def show_models(target: Path) -> None:
    """Prints the models that took longest."""
    table = Table("model", "seconds", title="Where dbt run spends it")
    table.columns[1].justify = "right"
    for name, seconds in sorted(model_seconds(target).items(), key=lambda item: -item[1]):
        if seconds >= SHOWN_MODEL_SECONDS:
            table.add_row(name, f"{seconds:.2f}")
    console.print(table)


def show_costs(title: str, costs: dict[str, tuple[Cost, Cost]]) -> None:
    """Prints one line a program: what it took less its start-up, and how many times the floor that is."""
    table = Table(title=title)
    table.add_column("program")
    for heading in ("seconds", "times the floor", "CPU seconds", "times the floor", "start-up", "peak memory"):
        table.add_column(heading, justify="right")
    for name, (start, whole) in costs.items():
        row = [name]
        for unit in ("seconds", "cpu_seconds"):
            net = getattr(whole, unit) - getattr(start, unit)
            row.append(f"{net:.1f}")
            if "floor.sql" in costs:
                floor_start, floor_whole = costs["floor.sql"]
                row.append(f"{net / (getattr(floor_whole, unit) - getattr(floor_start, unit)):.2f}")
            else:
                row.append("")
        table.add_row(*row, f"{start.seconds:.1f} s", f"{whole.peak_gb:.2f} GB")
    console.print(table)


def speed(events: int, runs: int, peers: list[str], folder: Path) -> int:
    """dbt beside the floor and the peers; gives the exit code."""
    data, one_event = data_of(events, folder), data_of(1, folder)
    costs = {"floor.sql": cost_of(floor, folder, data, one_event, runs)}
    costs["dbt run"] = cost_of(dbt, folder, data, one_event, runs)
    for library in peers:
        costs[library] = cost_of(
            lambda source, target, library=library: peer(library, source, target), folder, data, one_event, 1
        )
    with step("comparing the results"):
        found = compare(folder, peers)

    show_models(folder / "target")
    show_costs(f"{events:,} events, {machine()}", costs)
    (floor_start, floor_whole), (start, whole) = costs["floor.sql"], costs["dbt run"]
    console.print(verdict(floor_whole.seconds - floor_start.seconds, whole.seconds - start.seconds))
    for line in found:
        console.print(f"The results differ. {line}", markup=False)
    return 1 if found else 0


def verdict(floor_seconds: float, dbt_seconds: float) -> str:
    """Whether dbt is within the target, in one line; both in seconds less the program's start-up, which varies by more
    than few events cost."""
    if floor_seconds <= 0 or dbt_seconds <= 0:
        return "Too few events: the start-up varies by more than they cost."
    ratio = dbt_seconds / floor_seconds
    word = "within" if ratio <= MOST_TIMES_THE_FLOOR else "over"
    return f"dbt run takes {ratio:.2f} times the floor: {word} the {MOST_TIMES_THE_FLOOR} that is allowed."


def memory(events: int, folder: Path) -> int:
    """dbt alone, held to MEMORY_LIMIT; gives the exit code."""
    data, one_event = data_of(events, folder), data_of(1, folder)
    costs = cost_of(lambda source, target: dbt(source, target, MEMORY_LIMIT), folder, data, one_event, 1)
    show_models(folder / "target")
    show_costs(f"{events:,} events, memory_limit {MEMORY_LIMIT}, {machine()}", {"dbt run": costs})
    verdict = "within" if costs[1].peak_gb <= MOST_GB else "over"
    console.print(f"dbt run takes {costs[1].peak_gb:.2f} GB: {verdict} the {MOST_GB} GB that are allowed.")
    return 0


def machine() -> str:
    """The machine in a few words, and a warning where others are using it."""
    busy = f", and busy: load {os.getloadavg()[0]:.1f}" if os.getloadavg()[0] > os.cpu_count() * 1.25 else ""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{os.cpu_count()} cores, {gigabytes:.0f} GB{busy}"


def main() -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(description="Measure the project beside the fastest script for the same tables.")
    parser.add_argument("--events", type=int, help="how many (default: 10 million, with --memory 50 million)")
    parser.add_argument("--runs", type=int, default=2, help="the fastest of so many counts (default: %(default)s)")
    parser.add_argument("--peers", action="store_true", help="pandas and polars as well (requirements-bench.txt)")
    parser.add_argument("--memory", action="store_true", help=f"dbt alone, with memory_limit {MEMORY_LIMIT}")
    parser.add_argument("--floor", nargs=2, type=Path, metavar=("DATA", "WAREHOUSE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
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
        return speed(
            arguments.events or 10_000_000, arguments.runs, ["polars", "pandas"] if arguments.peers else [], folder
        )
    except Failed as failure:
        console.print(str(failure), markup=False)
        return 1


if __name__ == "__main__":
    sys.exit(main())
