"""The project on DuckDB 2.0, beside the pinned 1.5: nothing in its SQL stands in the way of the next version.

The pin stays, since 2.0 writes files that BI tools on 1.x cannot open.
"""

from __future__ import annotations

import os
import subprocess
import sys

NEXT = "2.0.0"
# 2.0 opens the files of both versions.
MEMBERS = """
import sys, duckdb
warehouse = duckdb.connect(sys.argv[1], read_only=True)
print(duckdb.__version__)
for row in warehouse.execute("from marts.fct_segment_membership order by all").fetchall():
    print(*row)
"""


def test_everything_builds_and_gives_the_same_members(dbt, built_sample, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", str(tmp_path), f"duckdb=={NEXT}"], check=True)
    env = {"PYTHONPATH": str(tmp_path)}
    ran = dbt("build", env=env)
    assert ran.code == 0, ran.output

    def members(warehouse):
        ask = [sys.executable, "-c", MEMBERS, str(warehouse)]
        return subprocess.run(ask, check=True, env=os.environ | env, text=True, stdout=subprocess.PIPE).stdout

    found = members(ran.warehouse)
    assert found.startswith(NEXT) and found.count("\n") > 1000
    assert found == members(built_sample)
