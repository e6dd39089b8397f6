"""Says how far the SQL of the models is from other warehouses: what parses in their dialects, and what does not.

    python tools/dialects.py [--rewritten] [--write]

Nothing is run on any of these warehouses. Each model is compiled as dbt would compile it for the warehouse, with those
forms of macros/cross_db that its adapter takes; then sqlglot parses it in the dialect of the warehouse. What does not
parse is named, and so are functions that sqlglot takes for such because of their parentheses alone. What does not parse
as it is has to when sqlglot has rewritten it; else this ends with 1. `--rewritten` (minutes) lets sqlglot rewrite
all models, and a second, stricter parser (sqlfluff) read the result. `--write` puts the tables into
docs/other_warehouses.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "other_warehouses.md"
# Between these the page has what this program says.
AS_COMPILED, REWRITTEN, END = "<!-- as compiled -->\n", "<!-- rewritten -->\n", "<!-- end -->\n"
# The adapter of a warehouse looks for macros of its own, then for those of the engine that it was made from.
FALLS_BACK_ON = {"snowflake": "", "bigquery": "", "redshift": "postgres", "databricks": "spark", "trino": ""}
# In whose words the forms are written: those that are everybody's were written for DuckDB.
WRITTEN_FOR = {"": "duckdb", "postgres": "postgres", "spark": "spark"}
FORM = re.compile(r"{%-?\s*macro (?:(\w+?)__)?(\w+)\(.*?endmacro", re.DOTALL)


@dataclass(frozen=True)
class Compiled:
    """The models as dbt compiles them with the forms of one engine: their SQL by name, the dialect that it is in, and
    the text of the forms that were taken, by the name of the macro."""

    models: dict[str, str]
    dialect: str
    forms: dict[str, str]


@dataclass
class Finding:
    """What became of the models in the dialect of a warehouse. `forms` are those that its adapter takes."""

    forms: str
    compiled: Compiled
    # The models that do not parse as they are compiled, and those that do not when rewritten, either: with the error.
    as_compiled: dict[str, str] = field(default_factory=dict)
    rewritten: dict[str, str] = field(default_factory=dict)
    # Functions that sqlglot has no name for, and the macros that call them.
    unknown: dict[str, list[str]] = field(default_factory=dict)


def main() -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(description="How far the SQL of the models is from other warehouses.")
    parser.add_argument("--rewritten", action="store_true", help="rewrite all, and let sqlfluff read it, too (minutes)")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.relative_to(PROJECT)}")
    asked = parser.parse_args()
    try:
        found = findings(compile_models)
    except Failed as failed:
        print(f"dialects: {failed}", file=sys.stderr)
        return 1
    tables = {AS_COMPILED: as_markdown(found)}
    if asked.rewritten:
        tables[REWRITTEN] = rewritten_as_markdown(found)
    for table in tables.values():
        print(table)
    for warehouse, finding in found.items():
        for name, error in finding.as_compiled.items():
            print(f"{warehouse}: {name}: {finding.rewritten.get(name) or f'parses rewritten; as compiled: {error}'}")
    if asked.write:
        page = PAGE.read_text("utf-8")
        for mark, table in tables.items():
            before, after = page.split(mark)
            page = before + mark + table + END + after.split(END, 1)[1]
        PAGE.write_text(page, "utf-8")
    return 1 if any(finding.rewritten for finding in found.values()) else 0


# Compiling


class Failed(Exception):
    """The project does not compile; the message is what dbt says of it."""


def forms_of(engine: str) -> dict[str, str]:
    """The text of each macro of cross_db in the form that an adapter takes which falls back on `engine` ('': none)."""
    chosen: dict[str, str] = {}
    for file in sorted((PROJECT / "macros" / "cross_db").glob("*.sql")):
        found = {(prefix, name): text[0] for text in FORM.finditer(file.read_text("utf-8"))
                 for prefix, name in [text.groups(default="")]}  # fmt: skip
        for prefix, name in found:
            if prefix in ("", "default"):
                wanted = [(form, name) for form in (engine, "default") if form and (form, name) in found]
                chosen[name] = found[wanted[0] if wanted else (prefix, name)]
    return chosen


def compile_models(engine: str) -> Compiled:
    """Compiles the models with the forms that are `engine`'s ('': with those that are everybody's). dbt does it on
    DuckDB, which needs no server, in a copy of the project where these forms are called DuckDB's. Raises Failed."""
    forms = forms_of(engine)
    dialect = WRITTEN_FOR[engine] if forms != forms_of("") else WRITTEN_FOR[""]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        copy = folder / "project"
        copy.mkdir()
        for part in ("dbt_project.yml", "profiles.yml", "models", "tests", "seeds", "tools"):
            (copy / part).symlink_to(PROJECT / part)
        shutil.copytree(PROJECT / "macros", copy / "macros")
        for file in (copy / "macros" / "cross_db").glob("*.sql"):
            text = re.sub(r"(macro )duckdb__", r"\1left_out__", file.read_text("utf-8"))
            file.write_text(FORM.sub(partial(as_duckdbs, engine), text), "utf-8")
        own = {"RAW_DATA", "TAXONOMY", "RETENTION_REPORTS", "FUNNELS", "AS_OF", "EVALUATE_FROM", "EVALUATE_TO"}
        env = {name: value for name, value in os.environ.items() if name not in own}
        env |= {
            "WAREHOUSE": str(folder / "warehouse.duckdb"),
            "DBT_PROJECT_DIR": str(copy),
            "DBT_PROFILES_DIR": str(copy),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "NO_COLOR": "1",
        }
        dbt = str(Path(sys.executable).with_name("dbt"))
        command = [dbt, "--quiet", "compile", "--target", "duckdb", "--select", "resource_type:model"]
        ended = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True)
        if ended.returncode:
            raise Failed(" ".join((ended.stdout + ended.stderr).split()))
        nodes = json.loads((folder / "target" / "manifest.json").read_text("utf-8"))["nodes"].values()
    models = {node["name"]: node["compiled_code"] for node in nodes if node["resource_type"] == "model"}
    return Compiled(dict(sorted(models.items())), dialect, forms)


def as_duckdbs(engine: str, form: re.Match[str]) -> str:
    """The text of a form, under DuckDB's name if it is `engine`'s. Not if it asks the warehouse: there is none."""
    if form[1] != engine or "run_query(" in form[0]:
        return form[0]
    return form[0].replace(f"{engine}__", "duckdb__", 1)


# Parsing


def findings(compiled_with: Callable[[str], Compiled]) -> dict[str, Finding]:
    """What became of the models, for each warehouse. What is the same for several is compiled once. Raises Failed."""
    done: dict[str, Compiled] = {}
    found = {}
    for warehouse, engine in FALLS_BACK_ON.items():
        engine = engine if forms_of(engine) != forms_of("") else ""
        if engine not in done:
            done[engine] = compiled_with(engine)
        found[warehouse] = look(done[engine], warehouse, f"{engine}__" if engine else "default__")
    return found


def look(compiled: Compiled, warehouse: str, forms: str) -> Finding:
    """Parses the models in the dialect of the warehouse; where that fails, what sqlglot makes of them for it."""
    finding = Finding(forms, compiled)
    unknown: set[str] = set()
    for name, sql in compiled.models.items():
        try:
            unknown |= unknown_functions(parsed(sql, warehouse))
        except SqlglotError as error:
            finding.as_compiled[name] = first_line(error)
            try:
                unknown |= unknown_functions(parsed(rewritten(parsed(sql, compiled.dialect), warehouse)[0], warehouse))
            except SqlglotError as again:
                finding.rewritten[name] = first_line(again)
    finding.unknown = {function: macros_calling(function, compiled.forms) for function in sorted(unknown)}
    return finding


def parsed(sql: str, dialect: str) -> exp.Expression:
    """The one statement that the SQL is. Raises SqlglotError where it is none, or where sqlglot gives up on it and
    keeps its text (a Command)."""
    statements = sqlglot.parse(sql, read=dialect, error_level=ErrorLevel.RAISE)
    if len(statements) != 1 or isinstance(statements[0], (exp.Command, type(None))):
        raise SqlglotError("it is not one statement that sqlglot understands")
    return statements[0]


def rewritten(tree: exp.Expression, warehouse: str) -> tuple[str, set[str]]:
    """SQL in the words of the warehouse, and what sqlglot says it cannot put so."""
    generator = sqlglot.Dialect.get_or_raise(warehouse).generator(pretty=True, unsupported_level=ErrorLevel.IGNORE)
    return generator.generate(tree), set(generator.unsupported_messages)


def unknown_functions(tree: exp.Expression) -> set[str]:
    """The functions that sqlglot took for functions because of their parentheses alone."""
    return {call.name.lower() for call in tree.find_all(exp.Anonymous)}


def macros_calling(function: str, forms: dict[str, str]) -> list[str]:
    """The macros of cross_db in whose form the function stands. create_functions makes them; it does not call them."""
    call = re.compile(rf"\b{function}\s*\(", re.IGNORECASE)
    in_sql = {name: re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", text, flags=re.DOTALL) for name, text in forms.items()}
    return sorted(name for name, text in in_sql.items() if name != "create_functions" and call.search(text))


def first_line(error: Exception) -> str:
    """What is wrong, without the excerpt."""
    return (str(error).strip().splitlines() or ["no reason given"])[0]


def refused_by_sqlfluff(models: dict[str, str], dialect: str) -> dict[str, str]:
    """The models that sqlfluff does not parse in a dialect, and where the first piece of each begins."""
    from sqlfluff.core import FluffConfig, Linter

    overrides = {"dialect": dialect, "templater": "raw", "large_file_skip_byte_limit": 0}
    linter = Linter(config=FluffConfig(overrides=overrides))
    refused = {}
    for name, sql in models.items():
        result = linter.parse_string(sql + "\n")
        variant = result.root_variant()
        if variant and variant.tree:
            pieces = [piece.raw for piece in variant.tree.recursive_crawl("unparsable")]
        else:
            pieces = [str(error) for error in result.violations] or ["no reason given"]
        if pieces:
            refused[name] = " ".join(pieces[0].split())[:100]
    return refused


# Saying it


def as_markdown(found: dict[str, Finding]) -> str:
    """The table of what parses as it is compiled."""
    unnamed = "functions that sqlglot has no name for (macros)"
    rows = [("warehouse", "forms of `cross_db`", "parse as compiled", unnamed)]
    for warehouse, finding in found.items():
        unknown = [f"`{name}` ({', '.join(macros) or 'in a model'})" for name, macros in finding.unknown.items()]
        rows.append((warehouse, f"`{finding.forms}`", all_but(finding.as_compiled), ", ".join(unknown) or "none"))
    return markdown(rows)


def rewritten_as_markdown(found: dict[str, Finding]) -> str:
    """The table of what sqlglot makes of all models, and what sqlfluff says of that. Takes minutes."""
    rows = [("warehouse", "parse again", "sqlglot cannot rewrite", "parse with sqlfluff")]
    for warehouse, finding in found.items():
        refused, unsupported, made = {}, set(), {}
        for name, sql in finding.compiled.models.items():
            try:
                made[name], said = rewritten(parsed(sql, finding.compiled.dialect), warehouse)
                unsupported |= said
                parsed(made[name], warehouse)
            except SqlglotError as error:
                refused[name] = first_line(error)
        by_sqlfluff = refused_by_sqlfluff(made, warehouse)
        for name, excerpt in by_sqlfluff.items():
            print(f"{warehouse}: {name}: sqlfluff stops at: {excerpt}", flush=True)
        cannot = sorted({in_short(line) for line in unsupported})
        rows.append((warehouse, all_but(refused), "; ".join(cannot) or "nothing", all_but(by_sqlfluff)))
    return markdown(rows)


def markdown(rows: list[tuple[str, ...]]) -> str:
    """A table, the headings first."""
    heading, *others = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (heading, ("---",) * len(heading), *others))


def all_but(models: Iterable[str]) -> str:
    """Which models do, where these do not."""
    names = [f"`{name}`" for name in models]
    return f"all but {', '.join(names)}" if names else "all"


def in_short(message: str) -> str:
    """What sqlglot cannot rewrite, without what the row of the table says already."""
    argument = re.match(r"Argument '(\w+)' is not supported for expression '(\w+)'", message)
    if argument:
        return f"{argument[1]} of {argument[2]}"
    return re.sub(r" (?:translation )?not supported.*", "", message).replace("'", "")


if __name__ == "__main__":
    sys.exit(main())
