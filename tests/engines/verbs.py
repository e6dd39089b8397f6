"""What the tests of the make verbs share, on whichever engine: calling one, and comparing what it left."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path

import duckdb
from dialects import AS_COMPILED, END, PAGE, Compiled, as_markdown, forms_of, look
from engines import PROJECT, Ended, Engine, run
from equality import CLOCK_VALUES, CLOCKS, differences, marts_of, same
from failing_rows import keep_failing_rows

# The keys of marts in whose whole rows a clock is.
WITHOUT_CLOCK = {"fct_restatements": ["from_date", "to_date", "segment_set"]}


def verb(engine: Engine, program: str, *arguments: str, **env: str) -> Ended:
    """Does what make does for a verb."""
    command = [sys.executable, str(PROJECT / "tools" / program), *arguments]
    ended = run(command, engine.env | {"TARGET": engine.name, "COLUMNS": "200"} | env)
    engine.look_anew()
    return ended


def assert_equal_marts(engines: list[Engine]) -> None:
    """Every mart has the same cells on both, restatements too."""
    found = []
    for mart, key in marts_of(engines[0]).items():
        found += differences(*engines, mart, WITHOUT_CLOCK.get(mart, key))
    assert not found, "\n".join(found[:20])


def assert_same_past_day(engines: list[Engine], day: str, raw: Path) -> None:
    """`make as-of` prints the same of a day, and leaves the same marts, whichever of the two engines it asks."""
    said = []
    for engine in engines:
        ran = verb(engine, "as_of.py", "--date", day, RAW_DATA=str(raw))
        assert ran.code == 0, ran.output
        said.append([line for line in ran.output.splitlines() if not line.startswith(f"The marts of {day}: ")])
    assert said[0] == said[1] and any(line.startswith(f"As of {day}: ") for line in said[0])
    one, other = (marts_of_a_day(engine) for engine in engines)
    assert one.keys() == other.keys() and len(one) > 16
    for name, (columns, rows) in one.items():
        assert columns == other[name][0] and len(rows) == len(other[name][1]), name
        for left_row, right_row in zip(rows, other[name][1]):
            for column, left, right in zip(columns, left_row, right_row):
                of_check, value = CLOCK_VALUES.get((name, column), ("", ""))
                is_clock = (name, column) in CLOCKS or (of_check and left_row[columns.index(of_check)] == value)
                assert is_clock or same(left, right), (name, column, left, right)


def marts_of_a_day(engine: Engine) -> dict[str, tuple[list[str], list[tuple]]]:
    """The columns and the rows, sorted, of each mart that `make as-of` left."""
    with duckdb.connect(str(Path(engine.env["DBT_TARGET_PATH"]) / "as_of" / "marts.duckdb"), read_only=True) as marts:
        names = [name for (name,) in marts.execute("select table_name from information_schema.tables").fetchall()]
        return {
            name: ([column[0] for column in found.description], found.fetchall())
            for name in sorted(names)
            for found in [marts.execute(f'from "{name}" order by all')]
        }


def assert_documented(engine: Engine) -> None:
    """What `make docs` does knows the columns of what is there."""
    ran = engine.dbt("docs", "generate", "--static")
    assert ran.code == 0, ran.output
    target = Path(engine.env["DBT_TARGET_PATH"])
    nodes = json.loads((target / "catalog.json").read_text("utf-8"))["nodes"]
    for model in ("dim_users", "fct_segment_membership", "int_user_metrics"):
        assert {"as_of_date", "user_id"} <= set(nodes[f"model.user_segments.{model}"]["columns"]), model
    assert (target / "static_index.html").stat().st_size > 1_000_000


def assert_parses_as(engine: Engine, dialect: str) -> None:
    """What was compiled on an engine parses in the dialect of a warehouse that falls back on its macros, as the page of
    other warehouses says."""
    models = {node["name"]: node["compiled_code"] for node in engine.nodes() if node["resource_type"] == "model"}
    assert len(models) > 100
    finding = look(Compiled(models, engine.name, forms_of(engine.name)), dialect, f"{engine.name}__")
    assert finding.as_compiled == {}
    (row,) = as_markdown({dialect: finding}).splitlines()[2:]
    assert row in PAGE.read_text("utf-8").split(AS_COMPILED)[1].split(END)[0].splitlines()


def keep(engine: Engine, folder: Path, **tests: tuple[str, str, int]) -> dict[str, str]:
    """What is said of the rows of tests, which are (status, query, number of rows) by name; they are kept."""
    invocation = uuid.uuid4().hex
    results = [
        {"unique_id": f"test.user_segments.{name}.0", "status": status, "compiled_code": sql, "failures": rows}
        for name, (status, sql, rows) in tests.items()
    ]
    left = {"metadata": {"invocation_id": invocation}, "results": results}
    (folder / "run_results.json").write_text(json.dumps(left), "utf-8")
    found = {f"test.user_segments.{name}.0": name for name, (status, *_) in tests.items() if status in ("fail", "warn")}
    said = keep_failing_rows(found, invocation, folder, engine.env | {"TARGET": engine.name})
    engine.look_anew()
    return said
