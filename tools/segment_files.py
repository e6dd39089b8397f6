"""Reads the segment sets as a reviewer does: the SQL of models/segments and the YAML beside it, without a warehouse.

What DESIGN calls the form of a set is checked here, since nothing can be proven of what has another form: import CTEs,
one select of as_of_date, user_id and one condition a flag, no Jinja but ref(), no `case`, thresholds written out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import sqlglot
import yaml
from sqlglot import exp
from sqlglot.errors import SqlglotError

SEGMENTS = Path("models") / "segments"
METRICS = Path("models") / "intermediate"
UNIT_TESTS = Path("tests") / "unit"
SINGULAR_TESTS = Path("tests") / "singular"
KEYS = ("as_of_date", "user_id")
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
# Ten times as fast where it was built.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
KINDS = {"flags": "boolean", "attribute": "string"}


class Invalid(Exception):
    """A file that cannot be understood or breaks a rule: one line that says where, what and what to do."""


@dataclass(frozen=True)
class Flag:
    """One segment: its name, its condition, and the line of the SQL file on which it is named."""

    name: str
    condition: exp.Expression
    line: int

    @property
    def sql(self) -> str:
        """The condition in one line, without its comments."""
        return self.condition.sql(dialect="duckdb", comments=False)


@dataclass
class SegmentSet:
    """A set as its two files say. `filter` is what its SQL keeps of the metrics, `population` what its YAML says of it;
    `models` are the metrics models by the name that the columns carry, `optional` those that are
    joined, so that a user may have no row in them, and `inner` those that then leave the user out."""

    name: str
    path: str
    yaml_path: str
    kind: str
    overlap: str
    coverage: str
    meta: dict[str, Any]
    columns: dict[str, dict[str, Any]]
    flags: list[Flag]
    models: dict[str, str]
    optional: set[str]
    inner: set[str]
    filter: exp.Expression
    population: exp.Expression
    unit_tests: list[dict[str, Any]] = field(default_factory=list)

    def where(self, flag: Flag) -> str:
        """`models/segments/seg_x.sql:12`."""
        return f"{self.path}:{flag.line}"


@dataclass(frozen=True)
class Metrics:
    """A metrics model: the types of its columns by name, and the facts that are true of every row."""

    name: str
    columns: dict[str, str]
    facts: dict[str, exp.Expression]


def declared_sets(project: Path) -> list[str]:
    """The sets listed in dbt_project.yml. Raises Invalid where the file cannot be read or lists a set twice."""
    settings = read_yaml(project, "dbt_project.yml")
    names = (settings.get("vars") or {}).get("segment_sets") or []
    for name in names:
        if names.count(name) > 1:
            raise Invalid(f"dbt_project.yml: vars.segment_sets lists {name} twice; keep one line")
    return names


def read_sets(project: Path) -> tuple[list[SegmentSet], list[str]]:
    """All sets of the project, and one line for each that cannot be understood. A set that is listed but has no file,
    or has a file and is not listed, is such a line: none goes missing."""
    sets, errors = [], []
    unit_tests.cache_clear()
    listed = declared_sets(project)
    files: dict[str, Path] = {}
    for file in sorted((project / SEGMENTS).rglob("*.sql")):
        name = file.stem.removeprefix("seg_")
        if name in files:
            both = " and ".join(found.relative_to(project).as_posix() for found in (files[name], file))
            errors.append(f"{both} are two sets of one name; rename one")
        files[name] = file
    for name in listed:
        if name not in files:
            errors.append(f"dbt_project.yml: vars.segment_sets lists {name}, but there is no {SEGMENTS}/seg_{name}.sql")
    for name, file in files.items():
        path = file.relative_to(project).as_posix()
        if not file.stem.startswith("seg_"):
            errors.append(f"{path}: a file here is a segment set; call it seg_{name}.sql, or move it")
        elif name not in listed:
            errors.append(f"{path}: the set is not listed; add {name} to vars.segment_sets in dbt_project.yml")
        else:
            try:
                sets.append(read_set(project, file))
            except Invalid as error:
                errors.append(str(error))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                errors.append(f"{path}: its YAML is not in the form of a set ({error}); copy the form of another set")
    return sorted(sets, key=lambda found: listed.index(found.name)), errors


def read_set(project: Path, file: Path) -> SegmentSet:
    """The set that `file` and the YAML beside it define. Raises Invalid."""
    path, name = file.relative_to(project).as_posix(), file.stem.removeprefix("seg_")
    yaml_path = file.with_name(f"_seg_{name}.yml").relative_to(project).as_posix()
    if not (project / yaml_path).is_file():
        raise Invalid(f"{path}: there is no {yaml_path}; write what the set and its segments mean there")
    documents = read_yaml(project, yaml_path)
    models = [model for model in documents.get("models") or [] if model.get("name") == file.stem]
    if len(models) != 1:
        raise Invalid(f"{yaml_path}: {len(models)} models are called {file.stem}; describe it once")
    model = models[0]
    meta = ((model.get("config") or {}).get("meta") or {}).get("segment_set") or {}
    if meta.get("name") != name:
        raise Invalid(f"{yaml_path}: segment_set.name is {meta.get('name')}; write {name}, as in the name of the file")
    overlaps, coverages = ("exclusive", "overlapping"), ("total", "partial")
    for key, words in (("kind", tuple(KINDS)), ("overlap", overlaps), ("coverage", coverages)):
        if meta.get(key) not in words:
            raise Invalid(f"{yaml_path}: segment_set.{key} is {meta.get(key)}; write {' or '.join(words)}")
    if "purpose" in meta and not re.fullmatch("[a-z][a-z_]*", str(meta["purpose"])):
        raise Invalid(
            f"{yaml_path}: segment_set.purpose is {meta['purpose']}; write one lower-case word, as analytics, or leave "
            "it out"
        )
    population = str((meta.get("population") or {}).get("sql") or "")
    if not population:
        raise Invalid(f"{yaml_path}: segment_set.population.sql is missing; write the condition that picks the users")

    try:
        found = read_select((project / file).read_text(encoding="utf-8"), path)
    except UnicodeDecodeError:
        raise Invalid(f"{path}: no UTF-8; save the file as UTF-8") from None
    except RecursionError:
        raise Invalid(
            f"{path}: a condition of more parts than can be read; what it needs is a missing metric"
        ) from None
    picks = parse_condition(population, f"{yaml_path}: population.sql")
    check_form(picks, f"{yaml_path}: population.sql")
    described = [column.get("name") for column in model.get("columns") or []]
    for column in described:
        if described.count(column) > 1:
            raise Invalid(f"{yaml_path}: {column} is described twice; keep one")
    columns = {column.get("name"): column for column in model.get("columns") or []}
    check_same_columns(project, path, yaml_path, found.flags, columns, KINDS[meta["kind"]])
    return SegmentSet(
        name, path, yaml_path, meta["kind"], meta["overlap"], meta["coverage"], meta, columns, found.flags,
        found.models, found.optional, found.inner, found.filter, picks,
        [test for test in unit_tests(project) if test.get("model") == file.stem],
    )  # fmt: skip


@cache
def unit_tests(project: Path) -> list[dict[str, Any]]:
    """The unit tests beside the sets, and those too large for that. Raises Invalid."""
    files = [file for folder in (SEGMENTS, UNIT_TESTS) for file in sorted((project / folder).rglob("*.yml"))]
    return [
        test
        for file in files
        for test in read_yaml(project, file.relative_to(project).as_posix()).get("unit_tests") or []
    ]


def check_same_columns(
    project: Path, path: str, yaml_path: str, flags: list[Flag], columns: dict[str, dict[str, Any]], type_: str
) -> None:
    """Raises Invalid where SQL and YAML do not name the same flags, each of `type_`."""
    for flag in flags:
        if flag.name not in columns:
            raise Invalid(f"{path}:{flag.line}: {flag.name} is not described; add it to columns in {yaml_path}")
    names = {flag.name for flag in flags} | set(KEYS)
    for name, column in columns.items():
        line = line_of(project / yaml_path, rf"name: ['\"]?{re.escape(str(name))}['\"]?\s*$")
        if name not in names:
            raise Invalid(f"{yaml_path}:{line}: {path} has no column {name}; add it there, or remove it here")
        if name not in KEYS and str(column.get("data_type")).lower() != type_:
            raise Invalid(f"{yaml_path}:{line}: data_type of {name} is {column.get('data_type')}; write {type_}")


# SQL


@dataclass
class Select:
    """What the SQL of a set says; see SegmentSet."""

    flags: list[Flag]
    models: dict[str, str]
    optional: set[str]
    inner: set[str]
    filter: exp.Expression


def read_select(text: str, path: str) -> Select:
    """Takes the text of a set apart. Raises Invalid for another form than a set has."""
    tree = parse(without_refs(text, path), path)
    ctes = {cte.alias: cte.this for cte in tree.ctes}
    if any(cte.args["alias"].args.get("columns") for cte in tree.ctes):
        raise Invalid(f"{path}: a CTE renames its columns; call them what they are called where they come from")
    if not ctes or not is_star_of(tree, [list(ctes)[-1]]) or tree.args.get("where"):
        raise Invalid(f"{path}: end the file in `select * from final`, with the select of the flags as the CTE final")
    final = ctes.pop(list(ctes)[-1])

    imports: dict[str, str] = {}
    filters: list[exp.Expression] = []
    for alias, cte in ctes.items():
        table = cte.find(exp.Table)
        if table is None or not table.name.startswith(REF) or not is_star_of(cte, [table.name]):
            raise Invalid(f"{path}: CTE {alias} does more than import; write `select * from` a ref(), with a where")
        imports[alias] = table.name.removeprefix(REF)
        if where := cte.args.get("where"):
            check_form(where.this, f"{path}: the where of {alias}")
            filters.append(qualified(where.this, alias))
    models, optional, inner = from_and_joins(final, imports, path)
    if where := final.args.get("where"):
        check_form(where.this, f"{path}: the where of final")
        filters.append(where.this)

    flags = []
    for position, column in enumerate(final.expressions):
        line = max(line_in(column), 1)
        name = column.alias_or_name
        if position < len(KEYS):
            if not isinstance(column, exp.Column) or name != KEYS[position]:
                raise Invalid(f"{path}:{line}: column {position + 1} is {name}; the first two are as_of_date, user_id")
        elif not isinstance(column, exp.Alias):
            raise Invalid(f"{path}:{line}: {column.sql()} has no name; end the condition in ` as <segment>`")
        else:
            check_form(column.this, f"{path}:{line}: {name}")
            flags.append(Flag(name, column.this, column.args["alias"].meta.get("line", line)))
    if not flags:
        raise Invalid(f"{path}: the set has no segment; write a condition and ` as <segment>` under user_id")
    for flag in flags:
        if [other.name for other in flags].count(flag.name) > 1:
            raise Invalid(f"{path}:{flag.line}: two columns are called {flag.name}; rename one")
    return Select(flags, models, optional, inner, exp.and_(*filters) if filters else exp.true())


REF = "ref_to_"


def without_refs(text: str, path: str) -> str:
    """The text with a plain name for every ref(), line for line. Raises Invalid for any other Jinja."""
    plain = re.sub(r"\{\{\s*ref\(\s*(['\"])(\w+)\1\s*\)\s*\}\}", rf"{REF}\2", text)
    if jinja := re.search(r"\{[{%#]", plain):
        line = plain[: jinja.start()].count("\n") + 1
        raise Invalid(f"{path}:{line}: Jinja other than ref(); write the SQL out, so that a reviewer reads all of it")
    return plain


def parse(sql: str, path: str) -> exp.Select:
    """The one select that `sql` is. Raises Invalid with the line where it cannot be read."""
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect="duckdb") if tree is not None]
    except SqlglotError as error:
        found = (getattr(error, "errors", None) or [{}])[0]
        said = found.get("description") or str(error).splitlines()[0]
        raise Invalid(f"{path}:{found.get('line') or 1}: no SQL that can be read ({said.strip(' .')})") from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Select):
        raise Invalid(f"{path}: the file is not one select")
    return trees[0]


def parse_condition(sql: str, where: str) -> exp.Expression:
    """A condition on its own. Raises Invalid."""
    try:
        return sqlglot.parse_one(sql, dialect="duckdb", into=exp.Condition)
    except SqlglotError:
        raise Invalid(f"{where}: no condition that can be read: {' '.join(sql.split())}") from None


def is_star_of(select: exp.Expression, names: list[str]) -> bool:
    """Whether it is `select * from <name>`, perhaps with a where, and nothing else."""
    known = {"expressions", "from_", "from", "where", "with_", "with", "kind"}
    if not isinstance(select, exp.Select) or any(value for key, value in select.args.items() if key not in known):
        return False
    start = select.args.get("from_") or select.args.get("from")
    return (
        len(select.expressions) == 1
        and isinstance(select.expressions[0], exp.Star)
        and not any(select.expressions[0].args.values())
        and start is not None
        and is_plain(start.this)
        and start.this.name in names
    )


def from_and_joins(
    final: exp.Expression, imports: dict[str, str], path: str
) -> tuple[dict[str, str], set[str], set[str]]:
    """The models that the select of the flags reads, by alias; which of them are joined, and which of those by an inner
    join. Raises Invalid."""
    known = {"expressions", "from_", "from", "joins", "where", "kind"}
    if not isinstance(final, exp.Select) or any(value for key, value in final.args.items() if key not in known):
        raise Invalid(f"{path}: the select of the flags groups, orders or limits; what it needs is a missing metric")
    joins = final.args.get("joins") or []
    start = final.args.get("from_") or final.args.get("from")
    if start is None:
        raise Invalid(f"{path}: the select of the flags reads nothing; write `from metrics`")
    models: dict[str, str] = {}
    for table in [start.this, *(join.this for join in joins)]:
        if not is_plain(table) or table.name not in imports:
            raise Invalid(f"{path}: the select of the flags reads {table.sql()}, which is no import CTE")
        models[table.alias_or_name] = imports[table.name]
    _, *others = models
    inner = set()
    for join in joins:
        given = {key for key, value in join.args.items() if value}
        sides = (str(join.args.get("side") or ""), str(join.args.get("kind") or ""))
        if given - {"this", "on", "side", "kind"} or sides not in (("", ""), ("", "INNER"), ("LEFT", "")):
            raise Invalid(f"{path}: {join.sql().strip()}: only inner and left joins are understood")
        if not is_on_keys(join.args.get("on"), join.this.alias_or_name, models):
            raise Invalid(f"{path}: join {join.this.sql()} on as_of_date and user_id, and on nothing else")
        if sides[0] != "LEFT":
            inner.add(join.this.alias_or_name)
    return models, set(others), inner


def is_on_keys(on: exp.Expression | None, joined: str, models: dict[str, str]) -> bool:
    """Whether a join compares the two keys of the joined model with those of another, and nothing else."""
    if not isinstance(on, exp.And):
        return False
    keys = []
    for part in (on.this, on.expression):
        sides = (part.this, part.expression) if isinstance(part, exp.EQ) else ()
        if len(sides) != 2 or not all(isinstance(side, exp.Column) for side in sides):
            return False
        tables = {side.table for side in sides}
        if sides[0].name != sides[1].name or joined not in tables or len(tables) != 2 or not tables <= set(models):
            return False
        keys.append(sides[0].name)
    return sorted(keys) == sorted(KEYS)


def is_plain(table: exp.Expression) -> bool:
    """Whether it is the name of a table, perhaps with another, and nothing else: no sample, no schema."""
    return isinstance(table, exp.Table) and {key for key, value in table.args.items() if value} <= {"this", "alias"}


def qualified(condition: exp.Expression, alias: str) -> exp.Expression:
    """The condition with its columns named as those of `alias`."""
    named = condition.copy()
    for column in named.find_all(exp.Column):
        column.set("table", exp.to_identifier(alias))
    return named


def check_form(condition: exp.Expression, where: str) -> None:
    """Raises Invalid for what a definition may not contain."""
    if condition.find(exp.Case, exp.If):
        raise Invalid(f"{where} has a case, which ranks overlaps silently; write independent conditions")
    if condition.find(exp.Query, exp.Window, exp.AggFunc):
        raise Invalid(f"{where} computes over rows; what it needs is a missing metric")
    for clock in (exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime, exp.Rand):
        if found := condition.find(clock):
            raise Invalid(f"{where} reads {found.sql()}; every day is counted from the as-of date, in a metric")
    for part in condition.find_all(*COMPARISONS, exp.Between, exp.In):
        if not part.find(exp.Column):
            raise Invalid(f"{where}: {part.sql()} compares no metric")
    for part in condition.find_all(exp.Coalesce):
        if not part.find(exp.Column):
            raise Invalid(f"{where}: {part.sql()} is no literal; write the value itself")
    for part in condition.find_all(*ARITHMETIC):
        if not part.find(exp.Column):
            raise Invalid(f"{where}: {part.sql()} is no literal; write the threshold itself")


def line_in(node: exp.Expression) -> int:
    """The first line of a node, 0 where the parser kept none."""
    lines = [found.meta["line"] for found in node.find_all(exp.Identifier) if "line" in found.meta]
    return min(lines, default=0)


# YAML


def read_metrics(project: Path) -> dict[str, Metrics]:
    """The models in models/intermediate whose YAML gives their columns a type, by name; and the sets themselves, whose
    flags another set may read. Raises Invalid."""
    found = read_flags(project)
    for file in sorted((project / METRICS).rglob("*.yml")):
        path = file.relative_to(project).as_posix()
        for model in read_yaml(project, path).get("models") or []:
            typed = {
                column["name"]: str(column["data_type"]).lower()
                for column in model.get("columns") or []
                if column.get("data_type")
            }
            declared = (((model.get("config") or {}).get("meta") or {}).get("facts")) or {}
            facts = {
                name: parse_condition(str(sql), f"{path}: fact {name} of {model['name']}")
                for name, sql in declared.items()
            }
            test = SINGULAR_TESTS / f"assert_{model['name']}_agree_with_each_other.sql"
            if facts and not (project / test).is_file():
                raise Invalid(
                    f"{path}: nothing tests the facts of {model['name']}; write {test} as for int_user_metrics"
                )
            if typed:
                found[model["name"]] = Metrics(model["name"], typed, facts)
    return found


def read_flags(project: Path) -> dict[str, Metrics]:
    """The columns of the sets, by the name of the model. A YAML of another shape gives none: read_sets() says so."""
    found = {}
    for file in sorted((project / SEGMENTS).rglob("*.yml")):
        try:
            said = read_yaml(project, file.relative_to(project).as_posix())
        except Invalid:
            continue
        models = said.get("models") if isinstance(said, dict) else None
        for model in models if isinstance(models, list) else []:
            columns = model.get("columns") if isinstance(model, dict) else None
            typed = {
                str(column["name"]): str(column["data_type"]).lower()
                for column in (columns if isinstance(columns, list) else [])
                if isinstance(column, dict) and column.get("name") and column.get("data_type")
            }
            if typed and isinstance(model.get("name"), str):
                found[model["name"]] = Metrics(model["name"], typed, {})
    return found


def read_yaml(project: Path, path: str) -> dict[str, Any]:
    """What a YAML file of the project says. Raises Invalid."""
    try:
        return yaml.load((project / path).read_text(encoding="utf-8"), Loader=LOADER) or {}
    except OSError as error:
        raise Invalid(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise Invalid(f"{path}: no UTF-8; save the file as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise Invalid(f"{path}{line}: no YAML that can be read ({getattr(error, 'problem', error)})") from None


def line_of(file: Path, pattern: str) -> int:
    """The number of the first line that fits `pattern`, else 1."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if re.search(pattern, line)), 1)


def as_day(value: object) -> date | None:
    """The day that YAML gave as a day or as text; None for anything else."""
    try:
        return value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        return None
