"""Measure what a segment set costs: what is made of the metrics each day, with all sets and with every other one.

    python tools/bench.py --sets [--events 10000000] [--runs 3]

Everything is built once with each choice of sets, on the events and on a single one. Measured is what a daily run does
from there on from the metrics to the marts; what it takes on a single event, where a set costs dbt's bookkeeping alone,
is taken off.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import bench_events
import yaml
from bench_programs import PROJECT, Cost, console, data_of, dbt, least_of, machine, measured, step
from rich.table import Table

FROM_METRICS = ["--select", "int_user_segments+"]


def sets(events: int, runs: int, folder: Path) -> int:
    """Measures and prints it; gives the exit code. Raises Failed."""
    names = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["segment_sets"]
    data, one_event = data_of(events, folder), data_of(1, folder)
    choices = {"all": names, "every other": names[::2]}
    costs = {
        choice: [cost_of(chosen, source, choice, what, runs, folder / "sets") for source, what in
                 ((one_event, "one event"), (data, "all events"))]
        for choice, chosen in choices.items()
    }  # fmt: skip
    table = Table(title=f"{events:,} events, from the metrics to the marts, {machine()}")
    for heading in ("sets", "how many", "seconds", "CPU seconds", "start-up"):
        table.add_column(heading, justify="left" if heading == "sets" else "right")
    for choice, (start, whole) in costs.items():
        seconds, cpu_seconds = net(start, whole)
        table.add_row(
            choice, str(len(choices[choice])), f"{seconds:.2f}", f"{cpu_seconds:.2f}", f"{start.seconds:.1f} s"
        )
    console.print(table)
    more, fewer = net(*costs["all"]), net(*costs["every other"])
    console.print(verdict(more, fewer, len(names) - len(names[::2])))
    return 0


def cost_of(names: list[str], data: Path, choice: str, what: str, runs: int, folder: Path) -> Cost:
    """What a daily run of these sets costs from the metrics on, the least of `runs`; all was built before."""
    folder.mkdir(parents=True, exist_ok=True)
    warehouse = folder / "sets.duckdb"
    chosen = ["--vars", json.dumps({"segment_sets": names})]
    as_of = bench_events.LAST_DAY.isoformat()
    with step(f"dbt run, sets: {choice}, {what}"):
        measured(dbt(data, folder, warehouse, as_of, *chosen))
    built = Path(shutil.copyfile(warehouse, folder / "built.duckdb"))
    again = replace(dbt(data, folder, warehouse, as_of, *FROM_METRICS, *chosen), starts_from=built)
    return least_of(again, runs, f"sets: {choice}, {what}, from the metrics")


def net(start: Cost, whole: Cost) -> tuple[float, float]:
    """Seconds and CPU seconds without the start-up."""
    return whole.seconds - start.seconds, whole.cpu_seconds - start.cpu_seconds


def verdict(more: tuple[float, float], fewer: tuple[float, float], sets_more: int) -> str:
    """What one set more costs, in one line; seconds and CPU seconds of both choices, and by how many sets they differ."""
    seconds, cpu_seconds = ((m - f) / sets_more for m, f in zip(more, fewer, strict=True))
    if seconds <= 0 or cpu_seconds <= 0:
        return "Too few events: the start-up varies by more than a set costs."
    return f"A set costs {1000 * seconds:.0f} ms a day ({1000 * cpu_seconds:.0f} ms of CPU)."
