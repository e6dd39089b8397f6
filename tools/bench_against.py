"""Measure what a change costs: the full build of this checkout beside that of another revision.

    python tools/bench.py --against main [--events 10000000] [--runs 2] [--exclude "int_key_events+ int_active_days+"]

The revision is checked out beside the data and is gone again when the program ends. Both builds read the same events
and the same event_taxonomy.csv (this checkout's), with the same Python packages, and take turns, so that a machine that
others use is slow for both. Of this checkout models may be left out, which the other one does not have yet.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bench_events
from bench_programs import (
    PROJECT,
    Cost,
    Failed,
    Program,
    console,
    data_of,
    dbt,
    least_cost,
    machine,
    measured,
    show_costs,
    show_models,
    step,
)

HERE = "this checkout"


def against(revision: str, events: int, runs: int, folder: Path, without: str = "") -> int:
    """Measures and prints both builds; gives the exit code. This checkout's is `without` some models (--exclude of dbt).
    Raises Failed, also where there is no such revision."""
    commit = commit_of(revision)
    data, one_event = data_of(events, folder), data_of(1, folder)
    with checked_out(commit, folder / "against" / "checkout") as other:
        projects = {revision: other, HERE: PROJECT}
        for name, project in projects.items():
            with step(f"{name}, to warm up"):
                measured(build(name, project, one_event, folder, without))
        start = take_turns(projects, one_event, "one event", runs, folder, without)
        whole = take_turns(projects, data, "all events", runs, folder, without)
    for name in projects:
        show_models(place(name, folder) / "target", f"Where {name} spends it")
    costs = {name: (start[name], whole[name]) for name in projects}
    less = f" (this checkout without {without})" if without else ""
    show_costs(f"{events:,} events, dbt run{less}, {machine()}", costs, revision, f"times {revision}")
    console.print(verdict(revision, costs[HERE], costs[revision]), markup=False)
    return 0


def commit_of(revision: str) -> str:
    """The commit that a revision (branch, tag, hash) stands for. Raises Failed where there is none."""
    ended = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if ended.returncode != 0:
        raise Failed(f"no such revision: {revision}; name a branch, a tag or a commit of this repository")
    return ended.stdout.strip()


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """The project at that commit, in `folder` for as long as it is needed. Raises Failed where git cannot."""
    # Of a run that was interrupted.
    git("worktree", "remove", "--force", "--force", str(folder))
    ended = git("worktree", "add", "--force", "--detach", str(folder), commit)
    if ended.returncode != 0:
        raise Failed(f"git cannot check out {commit}: {ended.stderr.strip().splitlines()[-1]}")
    try:
        yield folder
    finally:
        git("worktree", "remove", "--force", "--force", str(folder))


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs git in the project and gives how it ended."""
    return subprocess.run(["git", *arguments], cwd=PROJECT, text=True, capture_output=True)


def place(name: str, folder: Path) -> Path:
    """Where one of the two builds has its warehouse and what dbt writes: always the same, so that each parses once."""
    path = folder / "against" / ("this" if name == HERE else "other")
    path.mkdir(parents=True, exist_ok=True)
    return path


def build(name: str, project: Path, data: Path, folder: Path, without: str = "") -> Program:
    """`dbt run` of the project in that folder, of this checkout without the models that `without` names."""
    of_project = {"DBT_PROJECT_DIR": str(project), "DBT_PROFILES_DIR": str(project)}
    own = place(name, folder)
    as_of = bench_events.LAST_DAY.isoformat()
    chosen = ["--exclude", *without.split()] if without and name == HERE else []
    return dbt(data, own, own / "dbt.duckdb", as_of, *chosen, name=name, project=project, **of_project)


def take_turns(
    projects: dict[str, Path], data: Path, what: str, runs: int, folder: Path, without: str
) -> dict[str, Cost]:
    """The least that each build took of so many runs on `data`, by name."""
    costs: dict[str, list[Cost]] = {name: [] for name in projects}
    for run in range(runs):
        for name, project in projects.items():
            with step(f"{name}, {what}" + (f", {run + 1} of {runs}" if runs > 1 else "")):
                costs[name].append(measured(build(name, project, data, folder, without)))
    return {name: least_cost(own) for name, own in costs.items()}


def verdict(revision: str, here: tuple[Cost, Cost], there: tuple[Cost, Cost]) -> str:
    """How many times the other build this one takes, in one line; each given as its cost on one event and on all."""
    ratios = []
    for unit in ("seconds", "cpu_seconds"):
        mine, other = (getattr(whole, unit) - getattr(start, unit) for start, whole in (here, there))
        if mine <= 0 or other <= 0:
            return "Too few events: the start-up varies by more than they cost."
        ratios.append(mine / other)
    return f"This checkout takes {ratios[0]:.2f} times {revision} ({ratios[1]:.2f} in CPU seconds)."
