"""Builds and tests everything, then shows what came out. `make run` calls it.

RAW_DATA, TAXONOMY, RETENTION_REPORTS, FUNNELS, AS_OF and WAREHOUSE are taken from the environment; paths are relative
to where the person is. TARGET names the engine (targets.py).
A failure is one line a cause, and exit code 1.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml
from failing_rows import keep_failing_rows
from history import Refused, what_is_known
from one_run import Busy
from raw_erasure import forgotten
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from short_of_room import AFTERWARDS, lacking
from targets import Engine, Unusable, engine_of

PROJECT = Path(__file__).resolve().parent.parent
# Of an attribute set the largest values are shown, the marts have them all.
MOST_VALUES_SHOWN = 3
MOST_CAUSES_SHOWN = 10
# What dbt tells of this test is a number of rows; which they are stands in the mart that it tests.
HEALTH_TEST = "segment_health_is_ok"
# The day that the marts answer for; fct_segment_daily may have later ones, where somebody asked for a day of the past.
LATEST = "(select max(as_of_date) from intermediate.int_as_of_dates)"
HEALTH_ROWS = f"""
    select check_name, status, value, previous_value, limit_value, segment_set, segment
    from marts.fct_segment_health
    where status <> 'ok' and as_of_date = {LATEST}
    order by check_name, segment_set, segment
"""
INPUT_TEST = "input_health_is_ok"
INPUT_ROWS = """
    select check_name, status, value, previous_value, limit_value
    from marts.fct_input_health
    where status <> 'ok'
    order by check_name
"""
UNLISTED = "event_name not in the taxonomy"
# In the files of the newest days that have such events: a run does not read all events again to say it.
MOST_UNLISTED_NAMES = """
    with days as (
        select event_date from intermediate.int_half_hours where unlisted_events > 0
        group by event_date order by event_date desc limit 7
    ),
    files as (
        select source_file from staging.stg_event_days where event_date in (select event_date from days)
    )
    select events.event_name, count(*) as events
    from staging.stg_events as events
    left join staging.stg_generic__event_taxonomy as listed on events.event_name = listed.event_name
    where listed.event_name is null and events.source_file in (select source_file from files)
    group by events.event_name
    order by 2 desc, 1
    limit 3
"""


@dataclass
class Outcome:
    """How dbt ended: its exit code, the causes of a failure and the warnings, a line for each node.

    `tests` are those that found rows (unique_id: name), in the run that dbt calls `invocation`. `short` has, for
    "memory" and "disk", what lacked it: in words, and the message.
    """

    code: int = 0
    causes: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)
    invocation: str = ""
    short: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def main() -> int:
    """Builds, then prints the summary or the causes of the failure. Returns the exit code."""
    console = Console(highlight=False)
    began = time.monotonic()
    env = environment()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        engine = engine_of(env)
    except Unusable as unusable:
        console.print(str(unusable), style="red", markup=False, soft_wrap=True)
        return 1
    try:
        with engine.only_run():
            if complaint := engine.load():
                outcome = Outcome(1, {"load": complaint})
            else:
                if is_long_pause(engine):
                    command = [sys.executable, str(PROJECT / "tools" / "backfill.py"), "catch-up"]
                    if code := subprocess.run(command, env=dict(engine.env)).returncode:
                        return code
                outcome = build(console, engine)
                name_rows(outcome, env)
                if outcome.code == 0:
                    finish(console, engine, outcome, began)
    except KeyboardInterrupt:
        console.print("Stopped. What was built so far stays; the next run builds it all again.", style="red")
        return 130
    except Busy as busy:
        outcome = Outcome(1, {"warehouse": str(busy)})
    except engine.errors as error:
        outcome = Outcome(1, {"engine": engine.said(error, "the run")})
    for lines, style in ((outcome.warnings, "yellow"), (outcome.causes, "red")):
        for line in list(lines.values())[:MOST_CAUSES_SHOWN]:
            console.print(line, style=style, markup=False, soft_wrap=True)
        if len(lines) > MOST_CAUSES_SHOWN:
            more = len(lines) - MOST_CAUSES_SHOWN
            where = f"{env['DBT_LOG_PATH']}/dbt.log, marts.fct_segment_health and marts.fct_input_health"
            console.print(f"and {more} more, see {where}", soft_wrap=True, markup=False)
    if outcome.code and (left := engine.left_for_readers()):
        console.print(left, soft_wrap=True, markup=False)
    return 1 if outcome.code else 0


def finish(console: Console, engine: Engine, outcome: Outcome, began: float) -> None:
    """Prints the summary and publishes the marts. Where that cannot be done, the outcome says why."""
    try:
        show_summary(console, engine, is_asked_for=bool(engine.env.get("AS_OF")))
        has_forgotten = engine.has_traces()
        for_readers = engine.publish(keep_before=not has_forgotten)
    except (OSError, *engine.errors) as error:
        outcome.code = 1
        outcome.causes["publish"] = f"Built and tested, but not published: {engine.said(error, 'the copy for readers')}"
        return
    try:
        if has_forgotten:
            engine.remove_traces()
    except (OSError, *engine.errors) as error:
        outcome.code = 1
        outcome.causes["rewrite"] = (
            "Built, tested and published, but deleted rows may still be in the warehouse's file: "
            f"{engine.said(error, 'writing it anew')}"
        )
        return
    seconds = time.monotonic() - began
    where = f"Tables: schema marts in {engine.place}"
    console.print(f"Built and tested in {seconds:.0f} s. {where}", soft_wrap=True, markup=False)
    console.print(for_readers + engine.also_published, soft_wrap=True, markup=False)


def environment() -> dict[str, str]:
    """The environment for dbt, which runs in the project's folder: so paths are made absolute."""
    env = dict(os.environ)
    env["WAREHOUSE"] = os.path.abspath(env.get("WAREHOUSE") or PROJECT / "warehouse.duckdb")
    env["DBT_LOG_PATH"] = os.path.abspath(env.get("DBT_LOG_PATH") or PROJECT / "logs")
    env["SPARK_WAREHOUSE"] = os.path.abspath(env.get("SPARK_WAREHOUSE") or PROJECT / "spark-warehouse")
    for name in ("RAW_DATA", "TAXONOMY", "RETENTION_REPORTS", "FUNNELS", "DBT_TARGET_PATH", "SPARK_RAW"):
        if env.get(name) and (name, env[name]) != ("SPARK_RAW", "none"):
            env[name] = os.path.abspath(env[name])
    return env


def is_long_pause(engine: Engine) -> bool:
    """Whether so many days may have been missed that they cannot be evaluated at once."""
    as_of = engine.env.get("AS_OF")
    try:
        known = what_is_known(engine)
        newest = date.fromisoformat(as_of) if as_of else today()
        if (newest - known.last_evaluated).days <= known.days_a_step:
            return False
        # Events of long ago are no pause: there are new days where there are new files.
        return bool(as_of) or engine.has_new_events()
    except (Refused, ValueError, *engine.errors):
        # No history yet; or dbt says better what is wrong.
        return False


# Building


def build(console: Console, engine: Engine) -> Outcome:
    """Runs `dbt build`, shows how far it is, and gives how it ended. Interrupted, it ends dbt first."""
    env = dict(engine.env)
    logs = ["--log-format", "json", "--log-format-file", "text", "--log-level-file", "info"]
    # Unit tests are about the SQL, not about the data that came in: they are for `make test`.
    command = [str(Path(sys.executable).with_name("dbt")), *logs, "build", "--exclude-resource-type", "unit_test"]
    command += engine.dbt_options
    dbt = started(command, PROJECT, env)
    outcome = Outcome()
    try:
        with progress_bar(console, 40) as progress:
            task = progress.add_task("reading the project and the raw data", total=None)
            layers: set[str] = set()
            for event, info in events_of(dbt):
                if info["name"] == "LogStartLine":
                    node = event["node_info"]
                    layer = node["node_relation"]["schema"]
                    progress.update(task, description=node["node_name"], completed=event["index"], total=event["total"])
                    if not console.is_terminal and node["resource_type"] == "model" and layer not in layers:
                        console.print(f"building {layer}")
                        layers.add(layer)
                else:
                    note(event, info, outcome)
        outcome.code = dbt.wait()
    finally:
        end(dbt)
    if outcome.code == -signal.SIGKILL:
        outcome.causes["dbt"] = (
            "memory: dbt was killed, as a machine does that has no memory left: set MEMORY_LIMIT to what is free "
            "(MEMORY_LIMIT=2GB); then run again"
        )
    if outcome.code and not outcome.causes:
        outcome.causes["dbt"] = f"dbt ended with code {outcome.code}; see {env['DBT_LOG_PATH']}/dbt.log"
    return outcome


def started(command: list[str], folder: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    """dbt, started in a session of its own: Ctrl-C reaches it once, from the program that started it."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


def progress_bar(console: Console, width: int) -> Progress:
    """A line that says what is being built and how far it is; it is gone when all is done."""
    return Progress(
        TextColumn(f"{{task.description:<{width}.{width}}}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def events_of(dbt: subprocess.Popen[str]) -> Iterator[tuple[dict, dict]]:
    """What dbt says, an event at a time: its data, and the info about it."""
    for line in dbt.stdout or ():
        try:
            event = json.loads(line)
            said = event["data"], event["info"]
        except (ValueError, TypeError, KeyError):
            # Printed by a library, past dbt's log.
            continue
        yield said


def note(event: dict, info: dict, outcome: Outcome) -> None:
    """Adds what an event says of a failure or a warning to the outcome."""
    outcome.invocation = info.get("invocation_id", outcome.invocation)
    if info["name"] == "MainEncounteredError":
        if kind := lacking(event["exc"]):
            setting = re.search(r"\b(RAW_DATA|TAXONOMY|RETENTION_REPORTS|FUNNELS): ", event["exc"])
            what = f"reading {setting.group(1)}" if setting else "dbt's own files"
            lacks(outcome, kind, what, event["exc"])
        else:
            outcome.causes["dbt"] = cause(event["exc"])
    elif info["name"] == "LogTestResult" and event["status"] in ("fail", "warn"):
        node = event["node_info"]["node_name"]
        word, lines = ("failed", outcome.causes) if event["status"] == "fail" else ("warns", outcome.warnings)
        # What a unit test found is a table of differences, not a number of rows.
        rows = "" if event["node_info"]["resource_type"] == "unit_test" else f" ({event['num_failures']} rows)"
        lines[node] = f"test {node} {word}{rows}: look with dbt test --select {node}"
        if rows:
            outcome.tests[event["node_info"].get("unique_id", node)] = node
    elif info["name"] == "RunResultError":
        node = event["node_info"]["node_name"]
        kind = lacking(event["msg"])
        if not kind and AFTERWARDS in event["msg"]:
            kind = next(iter(outcome.short), None)
        if kind:
            what = f"{event['node_info']['resource_type']} {node}"
            lacks(outcome, kind, what, event["msg"])
            return
        outcome.causes.setdefault(node, f"{event['node_info']['resource_type']} {node} failed: {cause(event['msg'])}")


def lacks(outcome: Outcome, kind: str, what: str, message: str) -> None:
    """Adds what lacked memory or disk to the one line about it, which is about the first of them."""
    found = outcome.short.setdefault(kind, [])
    found.append((what, message))
    (first, said_of_it), *others = found
    more = f" (and {len(others)} more)" if others else ""
    outcome.causes[kind] = engine_of(environment()).short_of(kind, said_of_it, first + more)


def name_rows(outcome: Outcome, env: dict[str, str]) -> None:
    """Says in the line of each test where the rows are that it found, and what health found in lines of its own."""
    target = Path(env.get("DBT_TARGET_PATH") or PROJECT / "target")
    for name, where in keep_failing_rows(outcome.tests, outcome.invocation, target, env).items():
        for lines in (outcome.causes, outcome.warnings):
            if name in lines:
                lines[name] = lines[name].replace(" rows)", f" rows, {where})", 1)
    # What came in first: what became of it may follow from that.
    engine = engine_of(env)
    for name_them in (name_input_rows, name_health_rows):
        try:
            name_them(outcome, engine)
        except (OSError, *engine.errors):
            # The line of the test itself stays, which says that something was found.
            pass


def told_of(outcome: Outcome, test: str) -> bool:
    """Takes the lines about a test out of the outcome, whose rows say it better. False where there is none."""
    told = [
        (lines, name) for lines in (outcome.warnings, outcome.causes) for name in lines if name.startswith(test)
    ]
    for lines, name in told:
        del lines[name]
    return bool(told)


def name_health_rows(outcome: Outcome, engine: Engine) -> None:
    """Puts a line for each finding about the health of the segments where the outcome has one for all of them."""
    with engine.connect() as connection:
        rows = connection.execute(HEALTH_ROWS).fetchall()
    # Segments of which the same was found are named together.
    found: dict[tuple, list[str]] = {}
    for *same, segment_set, segment in rows if told_of(outcome, HEALTH_TEST) else []:
        named = segment_set if segment == "all" else f"{segment_set} / {segment}"
        found.setdefault(tuple(same), []).append(named)
    for (check, status, *numbers), names in found.items():
        segments = ", ".join(names)
        lines = outcome.causes if status == "fail" else outcome.warnings
        lines[f"{check} {segments}"] = f"health {status}s: {check}: {health_words(check, *numbers)}: {segments}"


def name_input_rows(outcome: Outcome, engine: Engine) -> None:
    """The same of the events that came in."""
    with engine.connect() as connection:
        rows = connection.execute(INPUT_ROWS).fetchall()
    for check, status, *numbers in rows if told_of(outcome, INPUT_TEST) else []:
        lines = outcome.causes if status == "fail" else outcome.warnings
        lines[f"input: {check}"] = f"input {status}s: {input_words(check, *numbers)}"


def input_words(check: str, value: float | None, usual: float | None, limit: float) -> str:
    """What a check of fct_input_health found and what it expects, in words."""
    if check == "freshness":
        found = "no event was ever received" if value is None else f"no event was received for {value:,.0f} hours"
        return f"{found}, expected every {limit:g} hours (freshness)"
    if check == "volume":
        return (
            f"{value:,.0f} events on the newest complete day, {usual:,.0f} are usual on this weekday, by a factor of "
            f"{limit:g} at most (volume)"
        )
    if check == UNLISTED:
        return f"{value:,.0f} events have an {UNLISTED}: they count as other; list their names"
    column = check.partition(": ")[2]
    return f"no event that came last has a value in {column}, {usual:,.0f} would by what came before ({check})"


def health_words(check: str, value: float | None, previous: float | None, limit: float) -> str:
    """What a check of fct_segment_health found and what it expects, both numbers."""
    if check.startswith("event_type_arrives"):
        found = "never" if value is None else f"last {value:.0f} days ago"
        return f"{found}, expected every {limit:.0f} days"
    if check == "size_change":
        return f"{value:,.0f} members, {previous:,.0f} before, by a factor of {limit:g} at most"
    if check in ("max_share", "tiny_segments"):
        of_what = "of the set" if check == "max_share" else "of its segments hold less than 1 % each"
        return f"{value:.1%} {of_what}, {limit:.1%} at most"
    return f"{value:,.0f} members, {limit:,.0f} at least"


def cause(message: str) -> str:
    """The one line of a message of dbt that says what is wrong, without values that the engine quotes."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    for line in lines:
        if re.match(r"(RAW_DATA|TAXONOMY|RETENTION_REPORTS|FUNNELS|AS_OF|WAREHOUSE|MEMORY_LIMIT|BI_ROLE): ", line):
            return line
    file = next((f"{found.group(1)}: " for line in lines if (found := re.search(r" Error in .*\((.+)\)$", line))), "")
    said = [line for line in lines if not re.match(r"(\w+ Error( in .*)?$|> |LINE \d+:|\^)", line)] or lines
    text = " ".join(said[:2]) if said and said[0].endswith("Error") else "".join(said[:1])
    # A value that does not convert may be a person's id.
    if " Error: " in text:
        return file + re.sub(r"'[^']*'|(?<=value )\"[^\"]*\"", "'...'", text)
    return file + engine_of(os.environ).hidden(text)


def end(dbt: subprocess.Popen[str]) -> None:
    """Ends dbt if it still runs: as Ctrl-C would, so that it closes the warehouse; by force if it does not hear."""
    if dbt.poll() is None:
        dbt.send_signal(signal.SIGINT)
        try:
            dbt.wait(timeout=10)
        except subprocess.TimeoutExpired:
            dbt.kill()
            dbt.wait()


# Showing


def show_summary(console: Console, engine: Engine, is_asked_for: bool) -> None:
    """Prints the sizes of all segments at the as-of date, and what became of the input. `is_asked_for`: a person named
    the date."""
    with engine.connect() as connection:
        as_of_date, members = connection.execute(
            "select as_of_date, members from marts.fct_segment_daily where segment_set = 'all' "
            f"and as_of_date = {LATEST}"
        ).fetchone() or (None, 0)
        sizes = connection.execute(
            "select segment_set, segment, members, share from marts.fct_segment_daily "
            f"where segment_set <> 'all' and as_of_date = {LATEST} "
            "order by segment_set, members desc, segment"
        ).fetchall()
        attributes = connection.execute(
            "select distinct segment_set from marts.dim_segments where kind = 'attribute'"
        ).fetchall()
        health = connection.execute(
            "select input_table, check_name, row_count from marts.fct_input_health where row_count is not null "
            "order by input_table, check_name"
        ).fetchall()
        (newest,) = connection.execute("select max(event_date) from intermediate.int_half_hours").fetchone() or (None,)
        people, ids = forgotten(connection)
        unlisted = []
        if any(check == UNLISTED and count for _, check, count in health):
            unlisted = connection.execute(MOST_UNLISTED_NAMES).fetchall()
    console.print(segment_table([row for row in sizes if (row[0],) not in attributes]))
    if attributes:
        console.print(value_table([row for row in sizes if (row[0],) in attributes]))
    is_asked_for = is_asked_for or bool(project_variables().get("as_of_date"))
    clock = clock_words(as_of_date, newest, today(), is_asked_for)
    console.print(f"As of {as_of_date}: {members:,} people.{clock}", soft_wrap=True)
    for line in input_lines(health):
        console.print(line, soft_wrap=True, markup=False)
    if ids:
        console.print(f"Forgotten: {people:,} people ({ids:,} ids).", soft_wrap=True, markup=False)
    if unlisted:
        names = ", ".join(f"{name} ({count:,})" for name, count in unlisted)
        console.print(f"Newest of what the taxonomy does not list: {names}.", soft_wrap=True, markup=False)


def project_variables() -> dict[str, Any]:
    """The variables of dbt_project.yml."""
    return yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]


def today() -> date:
    """The day that it is now in the reporting time zone."""
    # DuckDB brings the time zones; a machine need not have them.
    return duckdb.execute("select cast(timezone(?, now()) as date)", [project_variables()["timezone"]]).fetchone()[0]


def clock_words(as_of_date: date | None, newest: date | None, today: date, is_asked_for: bool) -> str:
    """What a person would wonder at: an as-of date after today, or after the newest event; events after today, or of a
    day that is not over and was not asked for. Nothing else."""
    if as_of_date and as_of_date > today:
        return " That is after today: a clock is wrong, or AS_OF; AS_OF=2024-06-30 asks for a day."
    if as_of_date is None or newest is None:
        return ""
    if newest < as_of_date:
        return f" The newest event is of {newest}, {(as_of_date - newest).days:,} days before."
    # A day ahead are clocks of other zones, and those that are a little fast.
    if newest > today + timedelta(days=1):
        return f" The newest event is of {newest}, after today: a clock is wrong."
    if as_of_date < today <= newest and not is_asked_for:
        return f" {today} is not over, and not counted yet."
    return ""


def segment_table(sizes: list[tuple[str, str, int, float]]) -> Table:
    """One row a segment of flags, in the order in which dbt_project.yml lists the sets."""
    table = Table("segment set", "segment", box=None, pad_edge=False)
    table.add_column("members", justify="right")
    table.add_column("share", justify="right")
    for name, rows in in_order(sizes).items():
        for number, (_, segment, members, share) in enumerate(rows):
            table.add_row(name if number == 0 else "", segment, f"{members:,}", f"{share or 0:.1%}")
        table.add_section()
    return table


def value_table(sizes: list[tuple[str, str, int, float]]) -> Table:
    """One row an attribute set, with its largest values: there may be one for every country."""
    table = Table("attribute set", "largest values", box=None, pad_edge=False)
    for name, rows in in_order(sizes).items():
        values = [f"{segment} {share or 0:.0%}" for _, segment, _, share in rows[:MOST_VALUES_SHOWN]]
        if len(rows) > MOST_VALUES_SHOWN:
            values.append(f"{len(rows) - MOST_VALUES_SHOWN} more")
        table.add_row(name, escape(", ".join(values)))
    return table


def in_order(sizes: list[tuple[str, str, int, float]]) -> dict[str, list[tuple[str, str, int, float]]]:
    """The sizes by segment set, in the order in which dbt_project.yml lists the sets."""
    order = project_variables()["segment_sets"]
    by_set: dict[str, list[tuple[str, str, int, float]]] = {name: [] for name in order}
    for row in sizes:
        by_set.setdefault(row[0], []).append(row)
    return {name: rows for name, rows in by_set.items() if rows}


def input_lines(health: list[tuple[str, str, int]]) -> Iterator[str]:
    """What became of the raw rows, in lines a person reads: the events first, then whatever is not as it should be."""
    counts = {(source, check): count for source, check, count in health}
    prefix = "rejected: "
    rejected = {check[len(prefix):]: count for (_, check), count in counts.items() if check.startswith(prefix)}
    yield (
        f"Events: {counts['events', 'raw rows']:,} rows = {counts['events', 'clean']:,} clean"
        f" + {sum(rejected.values()):,} rejected + {counts['events', 'duplicates']:,} duplicates."
    )
    if rejected:
        reasons = sorted(rejected.items(), key=lambda item: (-item[1], item[0]))
        yield "Rejected: " + ", ".join(f"{count:,} {reason}" for reason, count in reasons) + "."
    findings = [
        f"{source}: {check} ({count:,})"
        for (source, check), count in counts.items()
        if count and check not in ("raw rows", "clean", "duplicates", UNLISTED) and not check.startswith(prefix)
    ]
    if findings:
        yield "Also: " + ", ".join(findings) + "."


if __name__ == "__main__":
    sys.exit(main())
