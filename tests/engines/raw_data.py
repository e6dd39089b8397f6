"""Raw data for tests on several engines: the sample, whole or as it would have arrived."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from engines import PROJECT

SAMPLE = PROJECT / "seeds" / "sample"
# What is received up to these days, in UTC, is in the batch.
LAST_DAYS = ("2024-06-20", "2024-06-21", "2024-06-25", "9999-12-31")
# A project whose days are not those of UTC, with a day of 23 hours, and that keeps no single event for long: of the
# sample's six months the first two are closed, but for what is stored by day.
ELSEWHERE = ("--vars", json.dumps({"timezone": "America/New_York", "event_retention_days": 120}))


def batches(folder: Path) -> list[Path]:
    """Writes the events of the sample as four files into `folder`, and gives them in the order of arrival."""
    with (SAMPLE / "events.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    received, happened = header.index("received_at"), header.index("event_at")
    parts: list[list[list[str]]] = [[] for _ in LAST_DAYS]
    for number, row in enumerate(rows):
        day = (row[received] or row[happened])[:10]
        part = next(place for place, last in enumerate(LAST_DAYS) if day <= last)
        parts[2 if part == 0 and number % 50 == 0 else part].append(row)
    assert all(len(part) > 50 for part in parts)
    files = []
    for number, part in enumerate(parts):
        files.append(folder / f"batch_{number + 1}.csv")
        with files[-1].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *part])
    return files


def sample_without_events(folder: Path) -> Path:
    """Writes all of the sample but its events into `folder`, with a folder for these, and gives it."""
    (folder / "events").mkdir()
    for file in SAMPLE.glob("*.csv"):
        if file.name != "events.csv":
            (folder / file.name).write_bytes(file.read_bytes())
    return folder


def whole_sample(folder: Path) -> Path:
    """Writes all of the sample into `folder`, and gives it."""
    for file in SAMPLE.glob("*.csv"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def sample_in_two(folder: Path) -> Path:
    """Writes the sample into `folder`, of its events the odd lines, and gives it; the even ones are in second.csv beside
    the folder of events."""
    first, _ = halves(sample_without_events(folder))
    first.rename(folder / "events" / "first.csv")
    return folder


def halves(folder: Path) -> list[Path]:
    """Writes the events of the sample as two files into `folder`: odd lines, even lines."""
    header, *lines = (SAMPLE / "events.csv").read_text("utf-8").splitlines()
    files = []
    for name, part in (("first", lines[::2]), ("second", lines[1::2])):
        files.append(folder / f"{name}.csv")
        files[-1].write_text("\n".join([header, *part, ""]), "utf-8")
    return files
