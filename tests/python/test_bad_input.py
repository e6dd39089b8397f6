"""Bad input from end to end: one line that says what to do, an exit code, and the last good warehouse as it was.

What can be wrong with files is tested one by one in test_raw_files.py; here is one of each kind, through dbt.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import duckdb
import pytest
from raw_folder import put_not_utf8


# A good row, and one of 1970 that is nobody's.
EVENTS = "event_id,event_name,event_at,user_id\ne1,page_viewed,2024-05-01,u1\ne2,page_viewed,1970-01-01,\n"


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
        ({"FUNNELS": "funnels.csv"}, "FUNNELS: .*funnels.csv gives funnel 'f' the steps 1, 3; number them 1, 2, 3"),
        ({"AS_OF": "30.6.2024"}, "AS_OF: '30.6.2024' is no date; write it as 2024-06-30"),
        ({"AS_OF": "2023-02-29"}, "AS_OF: '2023-02-29' is no date; write it as 2024-06-30"),
        ({"AS_OF": "2000-01-01"}, r"AS_OF: 2000-01-01 is before the first event \(2023-\d\d-\d\d\); ask for"),
        # The new files have a row of 1970, which is rejected.
        (
            {"RAW_DATA": "new", "AS_OF": "2000-01-01"},
            r"AS_OF: 2000-01-01 is before the first event \(2024-05-01\); ask for that day or a later one",
        ),
        ({"RAW_DATA": "spreadsheet"}, "RAW_DATA: .*users.xlsx has no ending that is read; save it as parquet, csv,"),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
def test_one_line_and_nothing_is_touched(make_run, good, tmp_path, setting, expected):
    (tmp_path / "not_parquet").mkdir()
    (tmp_path / "not_parquet" / "events.parquet").write_text("event_id,event_name,event_at,user_id\n")
    (tmp_path / "taxonomy.csv").write_text("event_name,event_type\npage_viewed,page\n")
    (tmp_path / "funnels.csv").write_text("funnel,step,event,window_seconds\nf,1,login,60\nf,3,purchase,60\n")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "events.csv").write_text(EVENTS)
    (tmp_path / "spreadsheet").mkdir()
    (tmp_path / "spreadsheet" / "events.csv").write_text(EVENTS)
    (tmp_path / "spreadsheet" / "users.xlsx").write_bytes(b"PK\x03\x04rest")
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


def test_the_variable_is_checked_as_well_in_a_warehouse_without_views(dbt, tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS)
    # The first event is of midnight UTC: in Pago Pago that is the day before.
    variables = json.dumps({"as_of_date": "2024-04-29", "timezone": "Pacific/Pago_Pago"})
    # What is asked for with --vars counts, not the environment.
    env = {"RAW_DATA": tmp_path, "AS_OF": "2000-01-01"}
    ran = dbt("run", "--select", "stg_generic__users", "--vars", variables, env=env)
    assert ran.code != 0
    (line,) = [line.strip() for line in ran.output.splitlines() if "AS_OF: " in line]
    assert line == "AS_OF: 2024-04-29 is before the first event (2024-04-30); ask for that day or a later one"
    assert ran.rows("select count(*) from information_schema.tables where table_schema = 'staging'") == [(0,)]


def test_text_in_parquet_that_is_no_utf8_leaves_the_marts(make_run, good, tmp_path):
    event = {"event_id": "e1", "event_name": "page_viewed", "event_at": "2024-05-01", "user_id": "u1"}
    put_not_utf8(tmp_path / "events.parquet", event | {"properties": b'{"secret": "o\'neill" \xff value "x"'})

    def marts() -> list[list[tuple]]:
        with duckdb.connect(str(good), read_only=True) as warehouse:
            names = warehouse.execute(
                "select table_name from information_schema.tables "
                "where table_schema = 'marts' and table_type = 'BASE TABLE' order by 1"
            ).fetchall()
            return [warehouse.execute(f"from marts.{name} order by all").fetchall() for (name,) in names]

    before = marts()
    ran = make_run(tmp_path, WAREHOUSE=good, RAW_DATA=tmp_path)
    assert ran.code == 1
    (line,) = [line for line in ran.output.splitlines() if not line.startswith("building ")]
    assert re.search(r"Invalid string encoding found in Parquet file \".*events.parquet\"", line), line
    assert "secret" not in ran.output and "neill" not in ran.output and "Traceback" not in ran.output
    assert before and marts() == before


def test_a_warehouse_that_somebody_else_has_open(make_run, good, tmp_path):
    before = digest(good)
    with duckdb.connect(str(good)):
        ran = make_run(tmp_path, WAREHOUSE=good)
    assert ran.code == 1
    expected = r"WAREHOUSE: .*warehouse.duckdb cannot be opened: it is open in another program \(.*python.*\); close it"
    assert_one_line(ran.output, expected)
    assert digest(good) == before
