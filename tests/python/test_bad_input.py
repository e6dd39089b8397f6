"""Bad input from end to end: one line that says what to do, an exit code, and the last good warehouse as it was.

What can be wrong with files is tested one by one in test_raw_files.py; here is one of each kind, through dbt.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import duckdb
import pytest


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Where all tests of this file have their warehouse: dbt reads the whole project again when its path changes."""
    return tmp_path_factory.mktemp("bad_input")


@pytest.fixture
def good(place, built_sample) -> Path:
    """A warehouse that was built from the sample."""
    return Path(shutil.copyfile(built_sample, place / "warehouse.duckdb"))


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def assert_one_line(output: str, expected: str) -> None:
    """Asserts that one line of what was printed fits the pattern, that nothing else is about it, and no traceback."""
    setting = expected.split(":")[0]
    lines = [line for line in output.splitlines() if f"{setting}: " in line]
    assert len(lines) == 1 and re.search(expected, lines[0]), output
    assert "Traceback" not in output and "Error" not in output, output


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"RAW_DATA": "not_parquet"}, "RAW_DATA: .*events.parquet cannot be read as parquet .*; mend the file"),
        ({"TAXONOMY": "taxonomy.csv"}, "TAXONOMY: .*taxonomy.csv gives 'page_viewed' the event_type 'page'; use"),
        ({"AS_OF": "30.6.2024"}, "AS_OF: '30.6.2024' is no date; write it as 2024-06-30"),
        ({"AS_OF": "2023-02-29"}, "AS_OF: '2023-02-29' is no date; write it as 2024-06-30"),
        ({"AS_OF": "2000-01-01"}, r"AS_OF: 2000-01-01 is before the first event \(2023-\d\d-\d\d\); ask for"),
    ],
    ids=lambda value: next(iter(value.items()))[1] if isinstance(value, dict) else "",
)
def test_one_line_and_nothing_is_touched(make_run, good, tmp_path, setting, expected):
    (tmp_path / "not_parquet").mkdir()
    (tmp_path / "not_parquet" / "events.parquet").write_text("event_id,event_name,event_at,user_id\n")
    (tmp_path / "taxonomy.csv").write_text("event_name,event_type\npage_viewed,page\n")
    before = digest(good)
    ran = make_run(tmp_path, WAREHOUSE=good, **setting)
    assert ran.code == 1
    assert_one_line(ran.output, expected)
    assert digest(good) == before and not good.with_suffix(".duckdb.wal").exists()


def test_dbt_itself_says_it_as_well(dbt, good, tmp_path):
    before = digest(good)
    ran = dbt("build", env={"RAW_DATA": tmp_path / "nowhere", "WAREHOUSE": good})
    assert ran.code != 0
    lines = [line for line in ran.output.splitlines() if "RAW_DATA: " in line]
    assert len(lines) == 1 and re.search("there is no folder .*nowhere; name the one that holds events", lines[0])
    assert "Traceback" not in ran.output
    assert digest(good) == before


def test_a_warehouse_that_somebody_else_has_open(make_run, good, tmp_path):
    before = digest(good)
    with duckdb.connect(str(good)):
        ran = make_run(tmp_path, WAREHOUSE=good)
    assert ran.code == 1
    expected = r"WAREHOUSE: .*warehouse.duckdb cannot be opened: it is open in another program \(.*python.*\); close it"
    assert_one_line(ran.output, expected)
    assert digest(good) == before
