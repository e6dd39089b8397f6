"""Shows which users a change moves, before it is merged. `make diff BASE=main` calls it.

    python tools/diff.py --base main

Two warehouses are built in target/diff from the same raw data: `base`, the project as it was where this branch left
BASE, and `head`, the working tree as it lies on disk, committed or not. Head starts as a copy of base, and only the
models that the change can affect are built into it. What differs is printed as Markdown and written to
target/segment_diff.md. RAW_DATA, TAXONOMY, RETENTION_REPORTS, FUNNELS and AS_OF count as for `make run`; no other
warehouse is opened. Both are of DuckDB, whatever TARGET says: members are the same on each engine.

A failure is one line a cause, and exit code 1. That users move is no failure.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import duckdb
import yaml
from diff_compare import Comparison
from diff_markdown import Change, Version, nothing_to_compare, report
from raw_tables import DEFINITIONS, PROGRAMS, BadInput, Definition, asked_definitions, find_inputs
from rich.console import Console
from run import Outcome, cause, end, environment, events_of, note, progress_bar, started, today
from targets import ENGINES, DuckDb, unknown

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / "target" / "diff"
MARKDOWN = PROJECT / "target" / "segment_diff.md"
# Everything that decides who is in which segment. Where git sees no change in it, nothing is built.
DECIDES = (
    "dbt_project.yml", "profiles.yml", "packages.yml", "models", "macros", "seeds", "snapshots",
    *(f"tools/{program}" for program in PROGRAMS),
)  # fmt: skip
MOST_CAUSES_SHOWN = 5


class Failed(Exception):
    """What was asked for cannot be done. The message is a line a cause."""


@dataclass(frozen=True)
class Side:
    """One of the two versions: how a message names it, the folder of its project, and the one it is built in."""

    name: str
    project: Path
    folder: Path

    @property
    def warehouse(self) -> Path:
        """The same file name on both sides: DuckDB writes the name of the warehouse into every view."""
        return self.folder / "warehouse.duckdb"

    @property
    def manifest(self) -> dict:
        """What dbt knows of the project."""
        return json.loads((self.folder / "dbt" / "manifest.json").read_text(encoding="utf-8"))


def main() -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(description="Show which users the working tree moves between segments.")
    parser.add_argument("--base", default="main", help="the git revision to compare with (default: %(default)s)")
    arguments = parser.parse_args()
    # Standard output is the Markdown alone, so that it can be sent on.
    console = Console(stderr=True, highlight=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if (target := os.environ.get("TARGET")) and target not in ENGINES:
        console.print(unknown(target), style="red", markup=False, soft_wrap=True)
        return 1
    # Who is in which segment is the same on each engine, so that both sides are built where that is quickest.
    os.environ["TARGET"] = DuckDb.name
    try:
        markdown = diff(arguments.base, console)
    except (Failed, BadInput) as failure:
        # dbt's own errors have a heading.
        line = cause(str(failure)) if isinstance(failure, BadInput) else str(failure)
        console.print(line, style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped. The next run begins anew.", style="red")
        return 130
    print(markdown)
    console.print(f"Written to {MARKDOWN.relative_to(PROJECT)}", markup=False, soft_wrap=True)
    return 0


def diff(revision: str, console: Console) -> str:
    """Builds both sides and compares them; gives the Markdown. Raises Failed and BadInput."""
    commit = branch_point(revision)
    base_name = f"{revision} ({commit[:7]})"
    if not changed_files(commit):
        markdown = for_comment = nothing_to_compare(base_name)
    else:
        base = Side(f"BASE {base_name}", FOLDER / "base" / "project", FOLDER / "base")
        head = Side("the working tree", PROJECT, FOLDER / "head")
        build_base(base, commit, console)
        modified = build_head(head, base, console)
        with console.status("comparing"):
            check_tables(base)
            check_tables(head)
            comparison = Comparison(FOLDER / "comparison.duckdb", base.warehouse, head.warehouse)
            before = Version(base_name, base.manifest, proof_of(base, console))
            after = Version(head.name, head.manifest, proof_of(head, console))
            warehouses = tuple(str(side.warehouse.relative_to(PROJECT)) for side in (base, head))
            change = Change(before, after, modified, warehouses)
            markdown, for_comment = report(change, comparison)
            comparison.close()
    MARKDOWN.parent.mkdir(exist_ok=True)
    MARKDOWN.write_text(for_comment, encoding="utf-8")
    return markdown


# Git


def git(*arguments: str) -> bytes:
    """What git prints. Raises Failed with its last line, or where git or the repository is missing."""
    try:
        ended = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True)
    except FileNotFoundError:
        raise Failed("git is not installed; the base of a comparison comes from it") from None
    if ended.returncode:
        lines = ended.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise Failed(f"git {arguments[0]}: {lines[-1]}")
    return ended.stdout


def branch_point(revision: str) -> str:
    """The commit where this branch left `revision`: what happened there later is not this branch's doing. Raises
    Failed where git knows no such revision."""
    git("rev-parse", "--git-dir")
    try:
        commit = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    except Failed:
        raise Failed(
            f"BASE: git knows no revision '{revision}'; fetch it, or name another: make diff BASE=origin/main"
        ) from None
    try:
        return git("merge-base", commit, "HEAD").decode().strip()
    except Failed:
        # No common past, or a shallow clone that does not reach it.
        return commit


def changed_files(commit: str) -> list[str]:
    """The files that decide about segments and differ between the commit and the working tree, new ones included."""
    differ = git("diff", "--name-only", "--relative", commit, "--", *DECIDES)
    new = git("ls-files", "--others", "--exclude-standard", "--", *DECIDES)
    return sorted(set((differ + new).decode().splitlines()))


def export(commit: str, folder: Path) -> None:
    """Writes the project as it was in the commit into the folder. Neither the working tree nor git's own state is
    touched. Raises Failed where there was no project then."""
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(io.BytesIO(git("archive", "--format=zip", commit))) as archive:
        archive.extractall(folder)
    if not (folder / "dbt_project.yml").is_file():
        raise Failed(f"BASE: {commit[:7]} has no dbt_project.yml; name a later revision")


# Building


def build_base(base: Side, commit: str, console: Console) -> None:
    """Builds base, unless it stands there from the last time. Raises Failed with dbt's cause where it does not
    build, and BadInput for raw data that cannot be used."""
    stamp = base.folder / "made_of"
    raw_data = Path(os.environ.get("RAW_DATA") or PROJECT / "seeds" / "sample").resolve()
    asked = asked_definitions()
    # The project's own taxonomy, reports and funnels are of the commit, as its models are.
    own = [[known.own] for known in DEFINITIONS]
    found = find_inputs(raw_data, asked["event_taxonomy"], asked)
    inputs = [item.fingerprint() for item in found if item.files not in own]
    # The day counts too, where days are counted: an event that lies in the future today may not tomorrow, and tomorrow
    # another day is over.
    tools = [version(name) for name in ("dbt-core", "dbt-duckdb", "duckdb")]
    listed = "\n".join([commit, os.environ.get("AS_OF", ""), today().isoformat(), *tools, *inputs])
    made_of = hashlib.sha256(listed.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == made_of and base.warehouse.is_file():
        console.print(f"{base.name}: built before", markup=False)
        return
    stamp.unlink(missing_ok=True)
    (base.folder / "proof.json").unlink(missing_ok=True)
    remove_warehouse(base)
    export(commit, base.project)
    dbt(base, console, "run")
    stamp.write_text(made_of)


def build_head(head: Side, base: Side, console: Console) -> dict[str, str]:
    """Builds what the change can affect, on a copy of base. Gives the modified models and why each counts as one.
    Raises Failed with dbt's cause where the working tree does not build."""
    remove_warehouse(head)
    shutil.copyfile(base.warehouse, head.warehouse)
    state = ["--state", str(base.folder / "dbt")]
    listed = dbt(
        head, console, "ls", "--select", "state:modified", *state, "--resource-type", "model", "--output", "name"
    )
    modified = modified_models(base, head, listed)
    selected = [f"{name}+" for name in modified]
    if selected:
        dbt(head, console, "run", "--select", *selected)
    return modified


def remove_warehouse(side: Side) -> None:
    """Removes what an earlier run built."""
    side.folder.mkdir(parents=True, exist_ok=True)
    for leftover in (side.warehouse, Path(f"{side.warehouse}.wal")):
        leftover.unlink(missing_ok=True)


def modified_models(base: Side, head: Side, listed: list[str]) -> dict[str, str]:
    """The models that the change touches, and how: those that dbt found, and three kinds that it does not see."""
    before, after = base.manifest, head.manifest
    variables = changed_variables(base, head)
    sources = changed_sources(base, head)
    modified = {}
    for node_id, node in after["nodes"].items():
        if node["resource_type"] != "model":
            continue
        old = before["nodes"].get(node_id)
        used = sorted(name for name in variables if uses_variable(node, after["macros"], name))
        if node["name"] in listed:
            modified[node["name"]] = how_modified(old, node)
        elif used:
            modified[node["name"]] = f"reads {', '.join(f'vars.{name}' for name in used)}"
        elif old and set(old["depends_on"]["nodes"]) != set(node["depends_on"]["nodes"]):
            modified[node["name"]] = "reads other models"
        elif sources.intersection(after["sources"][parent]["name"] for parent in sources_of(node)):
            modified[node["name"]] = "its raw data differs"
    # dbt's order is not the same each time.
    return dict(sorted(modified.items()))


def how_modified(old: dict | None, node: dict) -> str:
    """In a word or two, what differs in a model that dbt counts as modified."""
    if old is None:
        return "new"
    if old["raw_code"] != node["raw_code"]:
        return "SQL"
    return "config" if old["unrendered_config"] != node["unrendered_config"] else "a macro, or its YAML"


def sources_of(node: dict) -> list[str]:
    """The ids of the sources that a model reads itself."""
    return [parent for parent in node["depends_on"]["nodes"] if parent.startswith("source.")]


def changed_variables(base: Side, head: Side) -> list[str]:
    """The vars of dbt_project.yml whose value differs. dbt's state:modified does not see them."""

    def variables(side: Side) -> dict:
        try:
            project = yaml.safe_load((side.project / "dbt_project.yml").read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise Failed(f"{side.name}: dbt_project.yml is no YAML: {' '.join(str(error).split())}") from None
        found = project.get("vars") or {}
        # Those of one package stand under its name.
        return found | (found.get(project.get("name")) or {})

    old, new = variables(base), variables(head)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def uses_variable(node: dict, macros: dict, name: str) -> bool:
    """Whether a model reads a var, in its own code or in a macro that it calls, however far down."""
    call = re.compile(rf"\bvar\(\s*['\"]{re.escape(name)}['\"]")
    seen, waiting = set(), list(node["depends_on"]["macros"])
    if call.search(node["raw_code"]):
        return True
    while waiting:
        macro = waiting.pop()
        if macro in seen or macro not in macros:
            continue
        seen.add(macro)
        if call.search(macros[macro]["macro_sql"]):
            return True
        waiting += macros[macro]["depends_on"]["macros"]
    return False


def changed_sources(base: Side, head: Side) -> set[str]:
    """The raw tables that hold something else on the two sides: the definitions that were edited, all of them where
    the programs that read files were."""

    def content(file: Path) -> bytes:
        return file.read_bytes() if file.is_file() else b""

    programs = [Path("tools", name) for name in PROGRAMS]
    if any(content(base.project / program) != content(head.project / program) for program in programs):
        return {source["name"] for source in head.manifest["sources"].values()}
    return {
        known.table.name
        for known in DEFINITIONS
        if content(definition_of(base, known)) != content(definition_of(head, known))
    }


def definition_of(side: Side, known: Definition) -> Path:
    """The taxonomy, the reports or the funnels that a side is built with. They are definitions like any other: where
    the file is one of the project, each side has its own."""
    asked = asked_definitions()[known.table.name]
    own = side.project / asked.relative_to(PROJECT) if asked.is_relative_to(PROJECT) else asked
    return own if own.is_file() else asked


def dbt(side: Side, console: Console, *arguments: str) -> list[str]:
    """Runs dbt on a side, shows how far it is, and gives the lines that it printed. Raises Failed with its causes."""
    if not console.is_terminal:
        console.print(f"{side.name}: {'building' if arguments[0] == 'run' else 'reading the project'}", markup=False)
    command = [str(Path(sys.executable).with_name("dbt")), "--log-format", "json", "--log-format-file", "text"]
    process = started([*command, *arguments, "--target", "duckdb"], side.project, environment_of(side))
    outcome, printed = Outcome(), []
    try:
        with progress_bar(console, 60) as progress:
            task = progress.add_task(f"{side.name}: reading the project", total=None)
            for event, info in events_of(process):
                if info["name"] == "LogStartLine":
                    what = f"{side.name}: {event['node_info']['node_name']}"
                    progress.update(task, description=what, completed=event["index"], total=event["total"])
                elif info["name"] == "PrintEvent":
                    printed.append(event["msg"])
                else:
                    note(event, info, outcome)
        code = process.wait()
    finally:
        end(process)
    if code:
        causes = list(outcome.causes.values()) or [f"dbt ended with code {code}; see {side.folder}/logs/dbt.log"]
        # Which side it is matters most: the base is not the person's own doing.
        raise Failed("\n".join(f"{side.name} does not build: {line}" for line in causes[:MOST_CAUSES_SHOWN]))
    return printed


def environment_of(side: Side) -> dict[str, str]:
    """The environment for a side's dbt: everything that it writes lies in the side's folder."""
    env = environment()
    return env | {
        # The sample may have been edited too: both sides read the one of the working tree.
        "RAW_DATA": env.get("RAW_DATA") or str(PROJECT / "seeds" / "sample"),
        **{known.setting: str(definition_of(side, known)) for known in DEFINITIONS},
        "WAREHOUSE": str(side.warehouse),
        "DBT_PROJECT_DIR": str(side.project),
        "DBT_PROFILES_DIR": str(side.project),
        "DBT_TARGET_PATH": str(side.folder / "dbt"),
        "DBT_LOG_PATH": str(side.folder / "logs"),
    }


def check_tables(side: Side) -> None:
    """Raises Failed where a side lacks a table that is compared."""
    with duckdb.connect(str(side.warehouse), read_only=True) as connection:
        there = {
            f"{schema}.{name}"
            for schema, name in connection.execute(
                "select table_schema, table_name from information_schema.tables"
            ).fetchall()
        }
    if missing := [table for table in Comparison.TABLES.values() if table not in there]:
        raise Failed(f"{side.name} has no {', no '.join(missing)}: there is nothing to compare")


# Proof


def proof_of(side: Side, console: Console) -> dict | str:
    """What the side's own tools/prove.py says: the sets, and the errors. In its place a few words where it says
    nothing."""
    tool, kept = side.project / "tools" / "prove.py", side.folder / "proof.json"
    if not tool.is_file():
        return "no proof tool"
    is_base = side.project != PROJECT
    if is_base and kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    console.print(f"{side.name}: proving", markup=False)
    ended = subprocess.run(
        [sys.executable, str(tool), "--json"], cwd=side.project, env=environment_of(side), capture_output=True
    )
    try:
        said = json.loads(ended.stdout)
        proof = {"sets": {found["name"]: found for found in said["sets"]}, "errors": said.get("errors") or []}
    except (ValueError, KeyError, TypeError):
        lines = (ended.stderr + ended.stdout).decode(errors="replace").strip().splitlines() or ["no output"]
        return f"the proof failed: {lines[-1].strip()}"
    if is_base:
        kept.write_text(json.dumps(proof), encoding="utf-8")
    return proof


if __name__ == "__main__":
    sys.exit(main())
