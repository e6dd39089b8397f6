"""Proves, without a row of data, that the segment sets are what they say: `make prove`, and before each commit.

    python tools/prove.py [--json] [--project FOLDER] [FILE ...]

With files (of models/segments) only their sets are proven. Ends with 1 where something is not proven, or where what a
set declares is missing, out of date, or rests on a column that vars.sensitive_columns lists.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from declarations import declared, is_empty
from lineage import Origins, origins, way_to
from proof import Failure, Verdict, prove
from rich.console import Console
from segment_files import Flag, Invalid, Metrics, SegmentSet, read_metrics, read_sets, read_yaml
from sqlglot import exp


def main(arguments: list[str] | None = None) -> int:
    """Proves and prints. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Prove that the segment sets are what they say.")
    parser.add_argument("files", nargs="*", type=Path, help="only the sets of these files (default: all)")
    parser.add_argument("--project", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of lines")
    parser.add_argument("--today", type=date.fromisoformat, default=date.today(), help="for review_by (default: today)")
    asked = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        verdicts, errors = judge(asked.project.resolve(), asked.files, asked.today)
    except Invalid as error:
        verdicts, errors = [], [str(error)]
    if asked.json:
        print(json.dumps({"sets": [as_json(verdict) for verdict in verdicts], "errors": errors}))
    else:
        show(console, verdicts, errors)
    return 1 if errors or not all(verdict.proven for verdict in verdicts) else 0


def judge(project: Path, files: list[Path], today: date) -> tuple[list[Verdict], list[str]]:
    """The verdict on each set, and a line for each set that cannot be understood. Raises Invalid."""
    sets, errors = read_sets(project)
    metrics = read_metrics(project)
    wanted = {file.stem.removeprefix("_").removeprefix("seg_").removesuffix("_unit_tests") for file in files}
    names = {found.name for found in sets}
    for name in sorted(wanted - names):
        if not any(f"seg_{name}." in error for error in errors):
            errors.append(f"{name}: there is no such set; name a file of models/segments")
    sets = [found for found in sets if not wanted or found.name in wanted]
    sensitive = {
        name.lower() for name in (read_yaml(project, "dbt_project.yml").get("vars") or {}).get(SENSITIVE) or []
    }
    models = sorted({model for found in sets for model in found.models.values()})
    known = origins(project, models) if sensitive and models else {}
    verdicts = []
    for found in sets:
        verdict = prove(found, metrics)
        try:
            failures, warnings = declared(project, found, today)
            failures += sensitive_flags(found, metrics, known, sensitive)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            failures, warnings = [f"{found.yaml_path}: not in the form of a set ({error}); copy that of another"], []
        verdict.failures += [Failure(line) for line in failures]
        verdict.notes += warnings
        verdicts.append(verdict)
    return verdicts, errors


SENSITIVE = "sensitive_columns"


def sensitive_flags(
    found: SegmentSet, metrics: dict[str, Metrics], known: Origins, sensitive: set[str]
) -> Iterator[str]:
    """A line for each flag that rests on a sensitive column, near or far, and does not say why it may."""
    for flag in found.flags:
        said = (found.columns[flag.name].get("config") or {}).get("meta") or {}
        ways = [way for column in read_by(found, flag, metrics) if (way := way_to(known, column, sensitive))]
        if ways and is_empty(said.get("sensitive_exemption")):
            way = " from ".join(".".join(column) for column in ways[0])
            yield (
                f"{found.where(flag)}: {flag.name} rests on {ways[0][-1][1]}, which vars.{SENSITIVE} lists ({way}); "
                "use another metric, or write the reason into config.meta.sensitive_exemption of the flag"
            )


def read_by(found: SegmentSet, flag: Flag, metrics: dict[str, Metrics]) -> list[tuple[str, str]]:
    """The metrics that decide whether a user has a flag: model and column."""
    columns = [*flag.condition.find_all(exp.Column), *found.filter.find_all(exp.Column)]
    read = []
    for column in columns:
        for alias, model in found.models.items():
            if column.table in ("", alias) and model in metrics and column.name in metrics[model].columns:
                read.append((model, column.name))
    return read


def as_json(verdict: Verdict) -> dict:
    return {
        "name": verdict.name,
        "proven": verdict.proven,
        "failures": [failure.line for failure in verdict.failures],
        "facts": sorted(verdict.facts),
        "notes": verdict.notes,
    }


def show(console: Console, verdicts: list[Verdict], errors: list[str]) -> None:
    """One line a proven set; a failure with the definitions and the row that shows it."""
    for verdict in verdicts:
        if verdict.proven:
            rests = f"; rests on {', '.join(sorted(verdict.facts))}" if verdict.facts else ""
            console.print(f"seg_{verdict.name}: {', '.join(verdict.claims)}{rests}", markup=False)
        for note in verdict.notes:
            console.print(note, style="yellow", markup=False)
        for failure in verdict.failures:
            console.print(failure.line, style="red", markup=False)
            for detail in failure.details:
                console.print(f"    {detail}", markup=False)
    for error in errors:
        console.print(error, style="red", markup=False)
    proven = sum(verdict.proven for verdict in verdicts)
    console.print(f"{proven} of {len(verdicts) + len(errors)} sets proven.")


if __name__ == "__main__":
    sys.exit(main())
