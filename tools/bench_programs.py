"""What the benchmarks share: programs in processes of their own, what they cost, and the data that they run on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import bench_events
import duckdb
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parent.parent
TAXONOMY = PROJECT / "seeds" / "event_taxonomy.csv"
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
    """Something that makes the metrics: its name and the command for a folder of data, run in `folder`. `result` is
    what it writes; it is not there when the program starts, or is a copy of `starts_from`."""

    name: str
    command: list[str]
    result: Path
    env: dict[str, str]
    starts_from: Path | None = None
    folder: Path = PROJECT


def measured(program: Program) -> Cost:
    """Runs the program, its old result removed first. Raises Failed with the last line that it printed."""
    for leftover in (program.result, Path(f"{program.result}.wal")):
        leftover.unlink(missing_ok=True)
    if program.starts_from:
        shutil.copyfile(program.starts_from, program.result)
        # Or the disk is still at it while the program is measured.
        os.sync()
    log = program.result.with_suffix(".log")
    with open(log, "w", encoding="utf-8") as output:
        started = monotonic()
        process = subprocess.Popen(
            program.command, cwd=program.folder, env=os.environ | program.env, stdout=output, stderr=subprocess.STDOUT
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


def least_of(program: Program, runs: int, what: str) -> Cost:
    """The least_cost of so many runs; `what` says on which data, for the person who waits."""
    costs = []
    for run in range(runs):
        with step(f"{program.name}, {what}" + (f", {run + 1} of {runs}" if runs > 1 else "")):
            costs.append(measured(program))
    return least_cost(costs)


def least_cost(costs: list[Cost]) -> Cost:
    """The least that one of several runs took, of each number; but the greatest memory of all of them."""
    return Cost(
        min(cost.seconds for cost in costs),
        min(cost.cpu_seconds for cost in costs),
        max(cost.peak_gb for cost in costs),
    )


def dbt(
    data: Path,
    folder: Path,
    warehouse: Path,
    as_of: str,
    *arguments: str,
    name: str = "dbt run",
    project: Path = PROJECT,
    **env: str,
) -> Program:
    """`dbt run` on `data`, of everything where no arguments say otherwise. dbt parses the project once for a `folder`
    and a `warehouse`, and again where one of them is another. `as_of` is empty for the newest day that is over. `project`
    is another checkout, which is called `name`."""
    paths = {
        "RAW_DATA": str(data), "TAXONOMY": str(TAXONOMY), "WAREHOUSE": str(warehouse),
        "DBT_TARGET_PATH": str(folder / "target"), "DBT_LOG_PATH": str(folder / "logs"),
    }  # fmt: skip
    # What the person may have set for a product of their own.
    asked = {"AS_OF": as_of, "EVALUATE_FROM": "", "EVALUATE_TO": "", "EVALUATE_SET": "", "RESTATE": ""}
    command = [str(Path(sys.executable).with_name("dbt")), "run", *arguments]
    return Program(name, command, warehouse, paths | asked | env, folder=project)


def membership_differences(
    con: duckdb.DuckDBPyConnection, one: tuple[str, str], other: tuple[str, str]
) -> list[str]:
    """How many memberships are in one relation only: a line for each side, none where they are the same. Each side is
    the name that a person knows it by, and the relation."""
    columns = "as_of_date, user_id, segment_set, segment"
    found = []
    for (name, here), (_, there) in ((one, other), (other, one)):
        (rows,) = con.execute(
            f"select count(*) from (select {columns} from {here} except all select {columns} from {there})"
        ).fetchone()
        if rows:
            found.append(f"{rows} memberships are in {name} only")
    return found


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


def model_seconds(target: Path) -> dict[str, float]:
    """How long each model took in the last dbt run, by name."""
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    return {result["unique_id"].rsplit(".", 1)[-1]: result["execution_time"] for result in results}


def show_models(target: Path, title: str = "Where dbt run spends it") -> None:
    """Prints the models that took longest."""
    # Not the title of the table: that would be broken where no model is shown.
    console.print(title)
    table = Table("model", "seconds")
    table.columns[1].justify = "right"
    for name, seconds in sorted(model_seconds(target).items(), key=lambda item: -item[1]):
        if seconds >= SHOWN_MODEL_SECONDS:
            table.add_row(name, f"{seconds:.2f}")
    console.print(table)


def show_costs(title: str, costs: dict[str, tuple[Cost, Cost]], reference: str, times: str) -> None:
    """Prints one line a program: what it took less its start-up, and how many times the one called `reference` that is,
    under the heading `times`; nothing there where that one did not run."""
    table = Table(title=title)
    table.add_column("program", no_wrap=True)
    for heading in ("seconds", times, "CPU seconds", times, "start-up", "peak memory"):
        table.add_column(heading, justify="right")
    for name, (start, whole) in costs.items():
        row = [name]
        for unit in ("seconds", "cpu_seconds"):
            net = getattr(whole, unit) - getattr(start, unit)
            row.append(f"{net:.1f}")
            if reference in costs:
                reference_start, reference_whole = costs[reference]
                beside = getattr(reference_whole, unit) - getattr(reference_start, unit)
                row.append(f"{net / beside:.2f}" if beside > 0 else "?")
            else:
                row.append("")
        table.add_row(*row, f"{start.seconds:.1f} s", f"{whole.peak_gb:.2f} GB")
    console.print(table)


def machine() -> str:
    """The machine in a few words, and a warning where others are using it."""
    busy = f", and busy: load {os.getloadavg()[0]:.1f}" if os.getloadavg()[0] > os.cpu_count() * 1.25 else ""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{os.cpu_count()} cores, {gigabytes:.0f} GB{busy}"
