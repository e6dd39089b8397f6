"""The test of segment sets (tests/generic/segment_set_is_valid.sql) fails for each fault that it is there to find.

A small dbt project of its own holds a set for each fault, and some without fault; dbt tests all of them in one run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
SEGMENTS = PROJECT / "models" / "segments"
TEST = "segment_set_is_valid"

EARLIER, TODAY = "2024-06-29", "2024-06-30"
# Ids that would be seen if dbt printed them.
ANN, BOB, CAT = "ann@private.example", "bob@private.example", "cat@private.example"
# as_of_date, user_id, purchase_days_lifetime. The population of every set here is the buyers: ann on both days, bob.
METRICS = [(EARLIER, ANN, 1), (TODAY, ANN, 1), (TODAY, BOB, 2), (TODAY, CAT, 0)]

# A set of two flags in which every buyer has one.
RIGHT = [(EARLIER, ANN, True, False), (TODAY, ANN, True, False), (TODAY, BOB, False, True)]
FLAGS = {"red": "boolean", "blue": "boolean"}
DECLARED = {
    "kind": "flags",
    "overlap": "exclusive",
    "coverage": "total",
    "population": {"description": "Buyers.", "sql": "purchase_days_lifetime >= 1"},
}
LOOSE = DECLARED | {"overlap": "overlapping", "coverage": "partial"}
ATTRIBUTE = DECLARED | {"kind": "attribute"}


@dataclass(frozen=True)
class Case:
    """A set: its rows, what its YAML says, and the failing rows (as_of_date, user_id, check, segments) or the error."""

    rows: list[tuple]
    failures: list[tuple] = field(default_factory=list)
    error: str = ""
    declared: dict = field(default_factory=lambda: DECLARED)
    columns: dict[str, str] = field(default_factory=lambda: FLAGS)


CASES = {
    # Nothing to find.
    "right": Case(RIGHT),
    "right_overlapping_partial": Case(
        [RIGHT[0], (TODAY, ANN, True, True), (TODAY, BOB, False, False)], declared=LOOSE
    ),
    "right_overlapping_total": Case(
        [RIGHT[0], (TODAY, ANN, True, True), RIGHT[2]], declared=DECLARED | {"overlap": "overlapping"}
    ),
    "right_exclusive_partial": Case(
        [*RIGHT[:2], (TODAY, BOB, False, False)], declared=DECLARED | {"coverage": "partial"}
    ),
    "right_attribute": Case(
        [(EARLIER, ANN, "x"), (TODAY, ANN, "x"), (TODAY, BOB, "y")], declared=ATTRIBUTE, columns={"segment": "string"}
    ),
    # A fault each.
    "more_than_one_flag": Case(
        [*RIGHT[:2], (TODAY, BOB, True, True)],
        [(TODAY, BOB, "more_than_one_flag", "red blue")],
    ),
    "more_than_one_flag_in_a_partial_set": Case(
        [*RIGHT[:2], (TODAY, BOB, True, True)],
        [(TODAY, BOB, "more_than_one_flag", "red blue")],
        declared=DECLARED | {"coverage": "partial"},
    ),
    "no_flag": Case(
        [*RIGHT[:2], (TODAY, BOB, False, False)],
        [(TODAY, BOB, "no_flag", "")],
    ),
    "no_flag_in_an_overlapping_set": Case(
        [*RIGHT[:2], (TODAY, BOB, False, False)],
        [(TODAY, BOB, "no_flag", "")],
        declared=DECLARED | {"overlap": "overlapping"},
    ),
    "null_beside_a_true_flag": Case(
        [*RIGHT[:2], (TODAY, BOB, True, None)],
        [(TODAY, BOB, "flag_is_null", "blue")],
    ),
    "null_where_any_flag_may_be_false": Case(
        [*RIGHT[:2], (TODAY, BOB, None, None)],
        [(TODAY, BOB, "flag_is_null", "red blue")],
        declared=LOOSE,
    ),
    "null_hides_no_other_fault": Case(
        [(EARLIER, ANN, True, False, False), (TODAY, ANN, True, False, False), (TODAY, BOB, True, True, None)],
        [(TODAY, BOB, "flag_is_null", "green"), (TODAY, BOB, "more_than_one_flag", "red blue")],
        columns=FLAGS | {"green": "boolean"},
    ),
    "row_is_not_unique": Case(
        [*RIGHT, RIGHT[2]],
        [(TODAY, BOB, "row_is_not_unique", "")],
    ),
    "user_is_missing": Case(
        RIGHT[:2],
        [(TODAY, BOB, "user_is_missing", "")],
    ),
    "user_is_missing_on_one_day": Case(
        RIGHT[1:],
        [(EARLIER, ANN, "user_is_missing", "")],
    ),
    "user_is_not_in_population": Case(
        [*RIGHT, (TODAY, CAT, True, False)],
        [(TODAY, CAT, "user_is_not_in_population", "")],
    ),
    "user_is_not_in_population_on_one_day": Case(
        [*RIGHT, (EARLIER, BOB, True, False)],
        [(EARLIER, BOB, "user_is_not_in_population", "")],
    ),
    "row_of_nobody": Case(
        [*RIGHT, (TODAY, None, True, False)],
        [(TODAY, None, "user_is_not_in_population", "")],
    ),
    "segment_is_null": Case(
        [(EARLIER, ANN, "x"), (TODAY, ANN, "x"), (TODAY, BOB, None)],
        [(TODAY, BOB, "segment_is_null", "")],
        declared=ATTRIBUTE,
        columns={"segment": "string"},
    ),
    "attribute_row_is_not_unique": Case(
        [(EARLIER, ANN, "x"), (TODAY, ANN, "x"), (TODAY, BOB, "x"), (TODAY, BOB, "y")],
        [(TODAY, BOB, "row_is_not_unique", "")],
        declared=ATTRIBUTE,
        columns={"segment": "string"},
    ),
    # YAML from which no test can be made: an error, so that no such set goes untested.
    "undeclared": Case(RIGHT, error="kind is missing; write flags or attribute", declared={}),
    "unknown_kind": Case(RIGHT, error="kind is 'flag'; write flags or attribute", declared=DECLARED | {"kind": "flag"}),
    "no_overlap": Case(
        RIGHT, error="overlap is missing; write exclusive or overlapping", declared=DECLARED | {"overlap": None}
    ),
    "unknown_overlap": Case(
        RIGHT, error="overlap is 'none'; write exclusive or overlapping", declared=DECLARED | {"overlap": "none"}
    ),
    "unknown_coverage": Case(
        RIGHT, error="coverage is 'all'; write total or partial", declared=DECLARED | {"coverage": "all"}
    ),
    "overlapping_attribute": Case(
        [(TODAY, ANN, "x")],
        error="overlap is 'overlapping'; write exclusive",
        declared=ATTRIBUTE | {"overlap": "overlapping"},
        columns={"segment": "string"},
    ),
    "no_population": Case(RIGHT, error="population.sql is missing", declared=DECLARED | {"population": None}),
    "flag_of_another_type": Case(
        RIGHT, error="flag_of_another_type.blue: data_type is 'integer'", columns=FLAGS | {"blue": "integer"}
    ),
    "attribute_of_another_name": Case(
        [(TODAY, ANN, "x")],
        error="attribute_of_another_name.country: data_type is 'string'",
        declared=ATTRIBUTE,
        columns={"country": "string"},
    ),
    "no_columns": Case(RIGHT, error="no segment is documented under columns", columns={}),
}


@dataclass(frozen=True)
class Result:
    """What dbt said of one test, and the rows that it counted as failures."""

    status: str
    message: str
    rows: list[tuple]


def literal(value: object) -> str:
    """Gives a value as SQL."""
    if value is None:
        return "null"
    return f"'{value}'" if isinstance(value, str) else str(value).lower()


def table(rows: list[tuple], columns: dict[str, str]) -> str:
    """Gives a select of rows of as_of_date, user_id and the columns (name to type)."""
    types = {"as_of_date": "date", "user_id": "text", **columns}
    casts = ", ".join(f"cast({name} as {type_}) as {name}" for name, type_ in types.items())
    values = ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in rows)
    return f"select {casts} from (values {values}) as given ({', '.join(types)})"


def write_project(folder: Path) -> None:
    """Writes a dbt project with the test and a set for each case."""
    (folder / "tests" / "generic").mkdir(parents=True)
    shutil.copy(PROJECT / "tests" / "generic" / f"{TEST}.sql", folder / "tests" / "generic")
    (folder / "dbt_project.yml").write_text(
        """\
name: faults
profile: faults
flags: {send_anonymous_usage_stats: false}
# The sets are part of their tests' queries: dbt has nothing to build, and what it compiled runs anywhere.
models: {faults: {+materialized: ephemeral}}
""",
        "utf-8",
    )
    (folder / "profiles.yml").write_text(
        'faults: {target: it, outputs: {it: {type: duckdb, path: ":memory:", threads: 1}}}\n', "utf-8"
    )
    models = folder / "models"
    models.mkdir()
    (models / "int_user_metrics.sql").write_text(table(METRICS, {"purchase_days_lifetime": "integer"}), "utf-8")
    documented = []
    for name, case in CASES.items():
        columns = case.columns or FLAGS
        (models / f"{name}.sql").write_text(table(case.rows, columns), "utf-8")
        columns = {"as_of_date": "date", "user_id": "string", **case.columns} if case.columns else {}
        documented.append({
            "name": name,
            "config": {"meta": {"segment_set": case.declared}},
            "data_tests": [TEST],
            "columns": [{"name": column, "data_type": type_} for column, type_ in columns.items()],
        })
    (models / "sets.yml").write_text(yaml.safe_dump({"models": documented}), "utf-8")


@pytest.fixture(scope="module")
def ran(clean_env, tmp_path_factory) -> tuple[str, dict[str, Result]]:
    """Everything that dbt printed while it ran the tests of all cases, and their results by case."""
    folder = tmp_path_factory.mktemp("faults")
    write_project(folder)
    dbt = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "test"]
    env = clean_env | {"DBT_TARGET_PATH": str(folder / "target")}
    printed = subprocess.run(
        dbt, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300
    ).stdout
    path = folder / "target" / "run_results.json"
    assert path.exists(), printed
    results = {}
    for result in json.loads(path.read_text("utf-8"))["results"]:
        name = result["unique_id"].split(".")[2].removeprefix(f"{TEST}_").removesuffix("_")
        rows = [] if result["status"] == "error" else duckdb.sql(result["compiled_code"]).fetchall()
        found = sorted((str(day), *others) for day, *others in rows)
        results[name] = Result(result["status"], result["message"] or "", found)
    return printed, results


@pytest.mark.parametrize("name", CASES)
def test_finds_what_is_wrong_and_nothing_else(ran, name):
    case, result = CASES[name], ran[1][name]
    if case.error:
        assert result.status == "error"
        assert f"models/sets.yml, {name}" in result.message
        assert case.error in result.message
    else:
        assert result.rows == case.failures
        assert result.status == ("fail" if case.failures else "pass"), result.message


def test_prints_no_user_id(ran):
    assert "user_is_missing" in ran[0]
    assert "private.example" not in ran[0]


def test_every_set_carries_the_test():
    listed = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]["segment_sets"]
    tested = [
        model["name"]
        for path in SEGMENTS.glob("*.yml")
        for model in yaml.safe_load(path.read_text("utf-8")).get("models", [])
        if TEST in model.get("data_tests", [])
    ]
    written = [path.stem for path in SEGMENTS.glob("*.sql")]
    assert sorted(tested) == sorted(written) == sorted(f"seg_{name}" for name in listed)
