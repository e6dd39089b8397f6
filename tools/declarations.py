"""What the YAML of a set has to say: who owns it, why each line is there, when it is looked at again."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from segment_files import KEYS, SegmentSet, as_day, line_of

# Of a set, and of each of its segments.
SET_KEYS = ("objective", "owner", "review_by")
SEGMENT_KEYS = ("rationale", "action", "since")
# A review that is due is a warning this long before its day, and a failure this long after.
GRACE = timedelta(days=30)


def declared(project: Path, found: SegmentSet, today: date) -> tuple[list[str], list[str]]:
    """What is missing or wrong in the YAML of a set, and what will be soon: lines with file, line and what to do."""
    failures, warnings = [], []

    def line(pattern: str) -> str:
        return f"{found.yaml_path}:{line_of(project / found.yaml_path, pattern)}"

    for key in SET_KEYS:
        if is_empty(found.meta.get(key)):
            failures.append(f"{line('segment_set:')}: segment_set.{key} is missing; write it")
    if is_empty((found.meta.get("population") or {}).get("description")):
        failures.append(f"{line('population:')}: population.description is missing; say in words who is meant")
    for name, column in found.columns.items():
        if name in KEYS:
            continue
        where = line(rf"name: ['\"]?{name}['\"]?\s*$")
        said = (column.get("config") or {}).get("meta") or {}
        if is_empty(column.get("description")):
            failures.append(f"{where}: {name} has no description; say what it means")
        for key in SEGMENT_KEYS:
            if is_empty(said.get(key)):
                failures.append(f"{where}: {name} has no config.meta.{key}; write it")
        if not is_empty(said.get("since")) and as_day(said["since"]) is None:
            failures.append(f"{where}: since of {name} is {said['since']}; write a day as 2026-06-30")
    if not is_empty(found.meta.get("review_by")):
        where, day = line("review_by:"), as_day(found.meta["review_by"])
        if day is None:
            failures.append(f"{where}: review_by is {found.meta['review_by']}; write a day as 2026-06-30")
        elif today > day + GRACE:
            failures.append(f"{where}: the review of seg_{found.name} was due on {day}; look at it and set a new day")
        elif today >= day - GRACE:
            verb = "was" if today > day else "is"
            warnings.append(
                f"{where}: the review of seg_{found.name} {verb} due on {day}; ask {found.meta.get('owner')}"
            )
    return failures, warnings


def is_empty(value: Any) -> bool:
    return value is None or not str(value).strip()
