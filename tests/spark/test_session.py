"""dbt as the driver itself, by method session with MASTER on the throw-away cluster; and dbt with a Thrift server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from engines import PROJECT, clean_env, program, run
from server import throwaway_cluster

SERVER = PROJECT / "tests" / "spark" / "server.py"
MODELS = ("stg_generic__users", "+int_aliases")


def build_models(folder: Path, times: int, **connection: str) -> list[tuple]:
    """Loads the sample and builds MODELS so many times by a connection; gives the aliases, by the files of the table."""
    env = clean_env("spark", folder) | connection | {
        "SPARK_WAREHOUSE": str(folder / "warehouse"),
        "SPARK_PARTITIONS": "2",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "LANDING": str(folder / "landing.duckdb"),
        "TARGET": "spark",
    }  # fmt: skip
    loaded = run([sys.executable, str(PROJECT / "tools" / "load.py")], env)
    assert loaded.code == 0, loaded.output
    for _ in range(times):
        ran = run([program("dbt"), "--no-use-colors", "run", "--target", "spark", "--select", *MODELS], env)
        assert ran.code == 0 and "PASS=" in ran.output, ran.output
    files = str(folder / "warehouse" / "intermediate.db" / "tables" / "int_aliases" / "*.parquet")
    return duckdb.execute("from read_parquet(?) order by all", [files]).fetchall()


def test_models_are_built_by_a_session_on_the_cluster_and_by_a_thrift_server(cluster, tmp_path):
    by_session = build_models(tmp_path / "session", 1, MASTER=cluster.master)
    # Both workers had an executor of it.
    for number in (1, 2):
        assert list((cluster.folder / f"worker_{number}").glob("app-*/*/stderr")), f"worker {number} did nothing"
    server, port = cluster.start_driver("thrift", tmp_path / "thrift" / "warehouse", thrift=True)
    try:
        # Twice: a table is written over where it lies, which is a setting of the session.
        address = {"SPARK_METHOD": "thrift", "SPARK_HOST": "127.0.0.1", "SPARK_PORT": port, "SPARK_USER": "analyst"}
        by_thrift = build_models(tmp_path / "thrift", 2, **address)
    finally:
        server.end()
    assert by_session and by_thrift == by_session


def test_a_verb_does_not_take_a_thrift_server(tmp_path):
    env = clean_env("spark", tmp_path) | {"TARGET": "spark", "SPARK_METHOD": "thrift"}
    ended = run([sys.executable, str(PROJECT / "tools" / "run.py")], env)
    assert ended.code == 1 and ended.output.count("SPARK_METHOD: with thrift dbt alone") == 1, ended.output
    assert len(ended.output.splitlines()) == 1


@pytest.mark.parametrize(
    "missing, said",
    [("java", "Java is missing"), ("an old java", "Java 17 or newer is needed")],
)
def test_what_is_missing_is_one_line(tmp_path, missing, said):
    env = clean_env("spark", tmp_path) | {"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path)}
    if missing == "an old java":
        java = tmp_path / "java"
        java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n", "utf-8")
        java.chmod(0o755)
    ended = subprocess.run([sys.executable, str(SERVER)], env=env, capture_output=True, text=True)
    assert ended.returncode == 1 and ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1 and said in ended.stderr


def test_nothing_is_left_of_a_cluster():
    with throwaway_cluster() as own:
        assert own.folder.is_dir() and len(running(own.port)) == 3
    assert not own.folder.exists()
    assert running(own.port) == []


def running(port: int) -> list[str]:
    """The processes of a cluster that run: its master, and workers that were told where it is."""
    listed = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if f"--port {port}" in line or f"spark://127.0.0.1:{port}" in line]
