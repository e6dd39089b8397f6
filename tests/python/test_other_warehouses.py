"""tools/dialects.py: every model parses in the dialects of other warehouses, and the page about it says what is so.

Here with the forms of macros that are everybody's, compiled once; with those for PostgreSQL in
tests/postgres/test_verbs.py.
"""

from __future__ import annotations

import dialects
import pytest
from dialects import AS_COMPILED, END, FALLS_BACK_ON, PAGE, Compiled, Finding, as_markdown, compile_models, look
from sqlglot.errors import SqlglotError


@pytest.fixture(scope="module")
def found() -> dict[str, Finding]:
    """What the program finds in the project for each warehouse."""
    compiled = compile_models("")
    return {warehouse: look(compiled, warehouse, "default__") for warehouse in FALLS_BACK_ON}


def made(sql: str, forms: dict[str, str] | None = None) -> Compiled:
    """A project of one model."""
    return Compiled({"model": sql}, "duckdb", forms or {})


def test_every_model_parses_as_it_is_or_rewritten(found):
    assert list(found) == ["snowflake", "bigquery", "redshift", "databricks", "trino"]
    assert {warehouse: finding.rewritten for warehouse, finding in found.items() if finding.rewritten} == {}
    # All of them were looked at, and most need no rewriting anywhere.
    models = {path.stem for path in (dialects.PROJECT / "models").rglob("*.sql")}
    for finding in found.values():
        assert finding.compiled.models.keys() == models and all(finding.compiled.models.values())
        assert finding.as_compiled.keys() <= {"dim_segments"}


def test_a_warehouse_gets_the_forms_that_its_adapter_takes():
    assert FALLS_BACK_ON["redshift"] == "postgres" and FALLS_BACK_ON["databricks"] == "spark"
    everybodys, postgres = dialects.forms_of(""), dialects.forms_of("postgres")
    assert everybodys.keys() == postgres.keys()
    assert "epoch_us(" in everybodys["seconds_between"] and "epoch_us(" not in postgres["seconds_between"]
    # Of those that have one form, it is that.
    assert everybodys["try_integer"] == postgres["try_integer"] != ""


def test_the_page_says_what_the_program_says(found):
    table = PAGE.read_text("utf-8").split(AS_COMPILED)[1].split(END)[0].splitlines()
    assert [row.split(" | ")[0].strip("| ") for row in table[2:]] == list(FALLS_BACK_ON)
    for row, engine in zip(table[2:], FALLS_BACK_ON.values()):
        has_own = dialects.forms_of(engine) != dialects.forms_of("")
        assert f" | `{engine if has_own else 'default'}__` | " in row, "python tools/dialects.py --write"
    written = [row for row in table if "`default__`" in row]
    assert len(written) >= 3
    here = as_markdown(found).splitlines()
    assert [row for row in written if row not in here] == [], "python tools/dialects.py --write"


def test_a_model_that_does_not_parse_is_named_with_its_error():
    assert look(made("select a as b from t"), "snowflake", "").as_compiled == {}
    finding = look(made("select a b c from t"), "snowflake", "")
    assert finding.as_compiled.keys() == finding.rewritten.keys() == {"model"}
    # Two slashes divide on DuckDB, and begin a comment on Snowflake.
    finding = look(made("select cast(a // b as integer) as c from t"), "snowflake", "")
    assert finding.as_compiled.keys() == {"model"} and finding.rewritten == {}


@pytest.mark.parametrize("sql", ["", "select 1; select 2", "vacuum t", "explain analyze select 1"])
def test_what_sqlglot_lets_pass_without_understanding_it_counts_as_an_error(sql):
    with pytest.raises(SqlglotError):
        dialects.parsed(sql, "snowflake")


def test_functions_without_a_name_are_listed_with_the_macros_that_call_them():
    forms = {
        "a_macro": "{% macro default__a_macro(x) %}frobnicate({{ x }}){% endmacro %}",
        "frobnicate": "{% macro default__frobnicate(x) %}{{ frobnicate(x) }} + 1{% endmacro %}",
    }
    finding = look(made("select frobnicate(a), count(b), own.twiddle(c) from t", forms), "trino", "default__")
    assert finding.unknown == {"frobnicate": ["a_macro"], "twiddle": []}
    assert as_markdown({"trino": finding}).splitlines()[2] == (
        "| trino | `default__` | all | `frobnicate` (a_macro), `twiddle` (in a model) |"
    )
