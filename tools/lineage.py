"""Which columns a metric is made of, back to the raw tables: read from the compiled SQL of the models.

A column comes from every column in its expression, and from those by which rows are picked (where, having). Keys of
joins and the order of windows are left out: they say which row is meant, not what is known of a person, and would lead
from every column to every other. What was found is kept in target/prove until a file of the project changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from segment_files import Invalid
from sqlglot import exp, parse_one
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

Column = tuple[str, str]
# Functions of a window whose order says which row is meant; that of all others (a rank, a sum) is part of the value.
WHICH_ROW = (exp.RowNumber, exp.FirstValue, exp.LastValue, exp.Lag, exp.Lead)
Origins = dict[str, dict[str, list[Column]]]


def origins(project: Path, models: list[str]) -> Origins:
    """For each model that `models` are made of, and each of its columns: the columns of other models, or of raw tables,
    that it comes from. Raises Invalid where dbt cannot compile the models."""
    kept = project / "target" / "prove" / "lineage.json"
    fingerprint = fingerprint_of(project, models)
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found["fingerprint"] == fingerprint:
            return {model: {name: [tuple(at) for at in ats] for name, ats in columns.items()}
                    for model, columns in found["origins"].items()}  # fmt: skip
    except (OSError, ValueError, KeyError):
        pass
    traced = traced_back(compiled(project, models))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"fingerprint": fingerprint, "origins": traced}), encoding="utf-8")
    return traced


def way_to(origins: Origins, start: Column, wanted: set[str]) -> list[Column] | None:
    """The shortest way from a column back to one whose name is in `wanted`, or itself; None where there is none."""
    ways = [[start]]
    seen = {start}
    for way in ways:
        model, name = way[-1]
        if name.lower() in wanted:
            return way
        for origin in origins.get(model, {}).get(name, []):
            if origin not in seen:
                seen.add(origin)
                ways.append([*way, origin])
    return None


def fingerprint_of(project: Path, models: list[str]) -> str:
    """Changes when what dbt compiles does."""
    digest = hashlib.sha256(repr(sorted(models)).encode())
    digest.update(Path(__file__).read_bytes())
    files = [project / "dbt_project.yml"]
    for folder in ("models", "macros"):
        files += sorted(file for file in (project / folder).rglob("*") if file.suffix in (".sql", ".yml"))
    for file in files:
        if "segments" not in file.relative_to(project).parts[:2]:
            digest.update(file.as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


def compiled(project: Path, models: list[str]) -> dict:
    """dbt's manifest with the SQL of these models and all that they read. Raises Invalid."""
    target = project / "target" / "prove"
    command = [
        str(Path(sys.executable).with_name("dbt")), "--quiet", "--no-use-colors", "compile", "--target", "lint",
        "--target-path", str(target), "--log-path", str(target), "--no-introspect",
        "--select", *(f"+{model}" for model in models),
    ]  # fmt: skip
    # The linter's warehouse is in memory, so that no real one is opened.
    ran = subprocess.run(command, cwd=project, env=os.environ | {"DBT_PROJECT_DIR": str(project)}, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    if ran.returncode != 0:
        lines = [re.sub(r"^\d\d:\d\d:\d\d", "", line).strip() for line in ran.stdout.splitlines()]
        said = next(
            (line for line in lines if line and not re.search(r"Encountered an error|Error( in .*)?$", line)), ""
        )
        raise Invalid(f"dbt cannot compile the metrics: {said}; see what `dbt compile` says")
    return json.loads((target / "manifest.json").read_text(encoding="utf-8"))


def traced_back(manifest: dict) -> Origins:
    """The origins of every column of every compiled model."""
    named = {relation(node): node["name"] for node in (*manifest["nodes"].values(), *manifest["sources"].values())
             if node["resource_type"] in ("model", "source")}  # fmt: skip
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for source in manifest["sources"].values():
        if columns := {name.lower(): "varchar" for name in source["columns"]}:
            schema.setdefault(source["schema"], {})[source["identifier"]] = columns
    found: Origins = {}
    for node in in_order(manifest["nodes"]):
        tree = parse_one(node["compiled_code"], dialect="duckdb")
        for table in tree.find_all(exp.Table):
            table.set("catalog", None)
        tree = qualify(tree, dialect="duckdb", schema=schema, validate_qualify_columns=False, quote_identifiers=False)
        scope = build_scope(tree)
        names = [column.alias_or_name.lower() for column in outputs(scope)]
        found[node["name"]] = {
            name: sorted({(named.get(at, at), column) for at, column in traced(scope, place)})
            for place, name in enumerate(names)
        }
        schema.setdefault(node["schema"], {})[node["alias"]] = {name: "varchar" for name in names}
    return found


def in_order(nodes: dict[str, dict]) -> Iterator[dict]:
    """The compiled models, each after those that it reads."""
    done: set[str] = set()

    def visit(key: str) -> Iterator[dict]:
        if key in done or key not in nodes:
            return
        done.add(key)
        for parent in nodes[key]["depends_on"].get("nodes", []):
            yield from visit(parent)
        if nodes[key]["resource_type"] == "model" and nodes[key].get("compiled_code"):
            yield nodes[key]

    for key in nodes:
        yield from visit(key)


def relation(node: dict) -> str:
    return f"{node['schema']}.{node.get('alias') or node.get('identifier')}"


def outputs(scope: Scope) -> list[exp.Expression]:
    """The columns that a scope gives."""
    return scope.expression.selects


def traced(scope: Scope, place: int, seen: frozenset[tuple[int, int]] = frozenset()) -> set[Column]:
    """Where the column at `place` of a scope comes from: tables and their columns."""
    if (id(scope), place) in seen:
        return set()
    seen |= {(id(scope), place)}
    if scope.set_operation_scopes:
        return {origin for part in scope.set_operation_scopes for origin in traced(part, place, seen)}
    columns = list(meant(scope.expression.selects[place]))
    for clause in ("where", "having", "qualify"):
        if found := scope.expression.args.get(clause):
            columns += meant(found)
    found_origins = set()
    for column in columns:
        source = scope.sources.get(column.table)
        if isinstance(source, exp.Table):
            found_origins.add((f"{source.db}.{source.name}", column.name.lower()))
        elif isinstance(source, Scope):
            names = [output.alias_or_name.lower() for output in outputs(source)]
            if column.name.lower() in names:
                found_origins |= traced(source, names.index(column.name.lower()), seen)
    return found_origins


def meant(expression: exp.Expression) -> Iterator[exp.Column]:
    """The columns of an expression but for those that only say which row of a window is meant."""
    for column in expression.find_all(exp.Column):
        above, window = column, column.find_ancestor(exp.Window)
        while above.parent is not None and above.parent is not window:
            above = above.parent
        if window is None or above.arg_key == "this" or not isinstance(window.this, WHICH_ROW):
            yield column
