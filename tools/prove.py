"""Proves, without a row of data, that the segment sets are what they say: `make prove`, and before each commit.

    python tools/prove.py [--json] [--project FOLDER] [FILE ...]

With files (of models/segments) only their sets are proven. Ends with 1 where something is not proven.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from proof import Verdict, prove
from rich.console import Console
from segment_files import Invalid, read_metrics, read_sets


def main(arguments: list[str] | None = None) -> int:
    """Proves and prints. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Prove that the segment sets are what they say.")
    parser.add_argument("files", nargs="*", type=Path, help="only the sets of these files (default: all)")
    parser.add_argument("--project", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of lines")
    asked = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        verdicts, errors = judge(asked.project, asked.files)
    except Invalid as error:
        verdicts, errors = [], [str(error)]
    if asked.json:
        print(json.dumps({"sets": [as_json(verdict) for verdict in verdicts], "errors": errors}))
    else:
        show(console, verdicts, errors)
    return 1 if errors or not all(verdict.proven for verdict in verdicts) else 0


def judge(project: Path, files: list[Path]) -> tuple[list[Verdict], list[str]]:
    """The verdict on each set, and a line for each set that cannot be understood. Raises Invalid."""
    sets, errors = read_sets(project)
    metrics = read_metrics(project)
    wanted = {file.stem.removeprefix("_").removeprefix("seg_") for file in files}
    return [prove(found, metrics) for found in sets if not wanted or found.name in wanted], errors


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
