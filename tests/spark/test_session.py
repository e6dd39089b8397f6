"""dbt as the driver itself: method session with MASTER, on the throw-away cluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from engines import PROJECT, clean_env, run

SERVER = PROJECT / "tests" / "spark" / "server.py"


def test_models_are_built_by_a_session_on_the_cluster(cluster, tmp_path):
    env = clean_env("spark", tmp_path) | {
        "MASTER": cluster.master,
        "SPARK_WAREHOUSE": str(tmp_path / "warehouse"),
        "SPARK_PARTITIONS": "2",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "LANDING": str(tmp_path / "landing.duckdb"),
        "TARGET": "spark",
    }
    loaded = run([sys.executable, str(PROJECT / "tools" / "load.py")], env)
    assert loaded.code == 0, loaded.output
    dbt = str(Path(sys.executable).with_name("dbt"))
    ran = run([dbt, "--no-use-colors", "run", "--target", "spark", "--select", "stg_generic__users", "+int_aliases"], env)
    assert ran.code == 0 and "PASS=" in ran.output, ran.output
    # Both workers had an executor of it.
    for number in (1, 2):
        assert list((cluster.folder / f"worker_{number}").glob("app-*/*/stderr")), f"worker {number} did nothing"


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
