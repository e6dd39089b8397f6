"""TARGET: which engine the make verbs work on, and what is said where that cannot be."""

from __future__ import annotations

import sys

import pytest
from conftest import PROJECT, run_program
from targets import DuckDb, Unusable, engine_of


@pytest.mark.parametrize("program", ["run.py", "backfill.py", "as_of.py", "diff.py"])
def test_an_unknown_target_is_one_line_that_lists_the_known_ones(clean_env, tmp_path, program):
    arguments = ["backfill"] if program == "backfill.py" else []
    env = clean_env | {"TARGET": "oracle", "WAREHOUSE": str(tmp_path / "w.duckdb")}
    ran = run_program([sys.executable, str(PROJECT / "tools" / program), *arguments], env)
    (line,) = ran.output.splitlines()
    assert ran.code == 1 and line.startswith("TARGET: there is no 'oracle'; use one of duckdb, postgres, spark")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("env", [{}, {"TARGET": ""}, {"TARGET": "duckdb"}])
def test_duckdb_is_the_default(env):
    engine = engine_of(env | {"WAREHOUSE": "somewhere.duckdb"})
    assert isinstance(engine, DuckDb) and engine.place == "somewhere.duckdb"
    # Of dbt nothing else is asked than ever.
    assert engine.dbt_options == ()


@pytest.mark.parametrize(("target", "client"), [("postgres", "psycopg2"), ("spark", "pyspark")])
def test_an_engine_without_its_client_is_one_line(monkeypatch, target, client):
    monkeypatch.setitem(sys.modules, client, None)
    with pytest.raises(Unusable, match=f"^TARGET: {target} needs {client}: .*requirements-{target}.txt$"):
        engine_of({"TARGET": target})
