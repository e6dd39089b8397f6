"""fct_input_health says when the input is not what it used to be: no event is received, far more or fewer than usual, a
column has no values, a name is not listed. And a run counts what arrived, and nothing else.
"""

from __future__ import annotations

import re
import shutil
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import jinja2
import pytest
from compiled_project import CompiledProject
from conftest import PROJECT
from raw_folder import put, put_rows

TEST = "input_health_is_ok"
ILL = "select check_name from marts.fct_input_health where status <> 'ok' order by check_name"
FIRST_DAY = date(2024, 6, 1)
TAXONOMY = "event_name,event_type,is_activity\nview,page_view,true\n"
COUNTS = "select source_file, check_name, row_count from staging.stg_generic__event_counts order by all"


def events_of(days: range, events: int = 20, **others: str) -> list[dict]:
    """So many events on each of these days, all alike but for `others`."""
    usual = {"event_name": "page_viewed", "user_id": "u1", "page_path": "/"} | others
    return [
        {"event_id": f"{day} {number}", "event_at": f"{FIRST_DAY + timedelta(day)} 10:00:00"} | usual
        for day in days
        for number in range(events)
    ]


# From files to a line.


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_three_deliveries_of_which_the_last_is_not_as_usual(dbt, make_run, tmp_path, ending):
    env = {"RAW_DATA": tmp_path / "raw", "WAREHOUSE": tmp_path / "warehouse.duckdb"}
    for number, days in enumerate((range(15), range(15, 28))):
        put_rows(tmp_path / "raw" / "events" / f"{number}.{ending}", events_of(days))
        ran = dbt("run", "--select", "+fct_input_health", env=env)
        assert ran.code == 0, ran.output
        # They are of 2024.
        assert ran.rows(ILL) == [("freshness",)]
    # Nothing has a page_path; Saturday has six events, and Sunday three with a name that nobody listed.
    sunday = range(29, 30)
    last = events_of(range(28, 29), 6) + events_of(sunday, 17) + events_of(sunday, 20, event_name="o'new")[17:]
    for event in last:
        del event["page_path"]
    put_rows(tmp_path / "raw" / "events" / f"2.{ending}", last)
    ran = make_run(tmp_path, **env)
    assert ran.code == 0, ran.output
    said = [line for line in ran.output.splitlines() if line.startswith("input ")]
    freshness = said.pop(2)
    assert re.fullmatch(
        r"input warns: no event was received for [\d,]{6,} hours, expected every 48 hours .+", freshness
    )
    assert said == [
        "input warns: no event that came last has a value in page_path, 26 would by what came before "
        "(column without values: page_path)",
        "input warns: 3 events have an event_name not in the taxonomy: they count as other; list their names",
        "input warns: 6 events on the newest complete day, 20 are usual on this weekday, by a factor of 3 at most "
        "(volume)",
    ]
    assert "Newest of what the taxonomy does not list: o'new (3)." in ran.output
    assert TEST not in ran.output


def test_the_sample_is_well(built_sample):
    with duckdb.connect(str(built_sample), read_only=True) as connection:
        assert connection.execute(ILL).fetchall() == []
        checks = connection.execute("select check_name from marts.fct_input_health").fetchall()
    assert {("freshness",), ("volume",), ("column without values: user_id",)} <= set(checks)


@pytest.mark.parametrize(("status", "code", "said"), [("fail", 1, "FAIL 1"), ("warn", 0, "WARN 1"), ("ok", 0, "PASS")])
def test_what_fails_fails_and_what_warns_warns(dbt, built_sample, tmp_path, status, code, said):
    warehouse = Path(shutil.copyfile(built_sample, tmp_path / built_sample.name))
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(f"update marts.fct_input_health set status = '{status}' where check_name = 'volume'")
    ran = dbt("test", "--select", f"test_name:{TEST}", env={"WAREHOUSE": warehouse})
    assert ran.code == code, ran.output
    assert f"1 of 1 {said}" in ran.output


def test_a_check_that_fails_is_a_cause(built_sample, tmp_path):
    from run import Outcome, name_input_rows
    from targets import DuckDb

    warehouse = Path(shutil.copyfile(built_sample, tmp_path / built_sample.name))
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "update marts.fct_input_health set status = 'fail', value = null, limit_value = 48 "
            "where check_name = 'freshness'"
        )
    outcome = Outcome(causes={f"{TEST}_x": "test failed"})
    engine = DuckDb({"WAREHOUSE": str(warehouse)})
    name_input_rows(outcome, engine)
    said = "input fails: no event was ever received, expected every 48 hours (freshness)"
    assert (outcome.causes, outcome.warnings) == ({"input: freshness": said}, {})
    untold = Outcome()
    name_input_rows(untold, engine)
    assert untold == Outcome()


def test_source_freshness_can_be_asked(dbt, built_sample, tmp_path):
    warehouse = Path(shutil.copyfile(built_sample, tmp_path / built_sample.name))
    ran = dbt("source", "freshness", env={"WAREHOUSE": warehouse})
    assert ran.code == 0 and "WARN freshness of generic.events" in ran.output, ran.output
    (now,) = duckdb.sql("select cast(now() as timestamp)").fetchone()
    # The second is of a clock that is wrong, and says nothing.
    received = (now - timedelta(hours=47), now + timedelta(days=9))
    sent = [event | {"received_at": str(at)} for event, at in zip(events_of(range(1), 2), received)]
    put_rows(tmp_path / "raw" / "events.parquet", sent)
    ran = dbt("source", "freshness", env={"WAREHOUSE": warehouse, "RAW_DATA": tmp_path / "raw"})
    assert ran.code == 0 and "PASS freshness of generic.events" in ran.output, ran.output


# A run counts what arrived.


@pytest.fixture(scope="module")
def compiled(dbt, clean_env) -> CompiledProject:
    """The project's SQL, ready to run."""
    return CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]))


def test_a_file_is_counted_once_until_it_or_the_rules_change(compiled, built_sample, tmp_path):
    grown, raw = compiled.growing("UTC", built_sample), tmp_path / "raw"
    taxonomy = put(tmp_path / "taxonomy.csv", TAXONOMY)

    def arrive() -> dict[tuple[str, str], int]:
        """The counts after a run, by the number of the file and the check."""
        grown.arrive(raw, taxonomy, "UTC", [FIRST_DAY])
        return {(Path(file).stem, check): count for file, check, count in grown.rows(COUNTS) if count}

    put_rows(raw / "events" / "1.csv", events_of(range(2)))
    put_rows(raw / "events" / "2.csv", events_of(range(2, 3)) + events_of(range(1), 1, event_name=""))
    counted = {("1", "raw rows"): 40, ("2", "raw rows"): 21, ("2", "rejected: no event_name"): 1}
    assert arrive() == counted
    # Whoever reads the first file again will find nothing.
    grown.connection.execute("delete from raw.events where source_file like '%1.csv'")
    put_rows(raw / "events" / "2.csv", events_of(range(2, 3)))
    put_rows(raw / "events" / "3.csv", events_of(range(3, 4)))
    counted = {("1", "raw rows"): 40, ("2", "raw rows"): 20, ("3", "raw rows"): 20}
    assert arrive() == counted
    (raw / "events" / "3.csv").unlink()
    del counted["3", "raw rows"]
    assert arrive() == counted
    # By other rules.
    grown.connection.execute("update staging.stg_generic__event_counts set file_version = file_version || '!'")
    assert arrive() == {("2", "raw rows"): 20}
    grown.connection.close()


# Settings.


def bounds(sample: bool = False, **said: object) -> dict:
    """What the macro makes of vars.input_health. Raises ValueError for what it refuses."""

    class Returned(Exception):
        pass

    def give_back(value: object) -> None:
        raise Returned(value)

    def refuse(message: str) -> None:
        raise ValueError(message)

    usual = {"max_hours_since_last_event": 48, "max_volume_change": 3, "min_expected_values": 10}
    text = (PROJECT / "macros" / "input_health_bounds.sql").read_text("utf-8")
    context = {
        "var": lambda name: usual | said,
        "return": give_back,
        "shows_the_sample": lambda: sample,
        "exceptions": SimpleNamespace(raise_compiler_error=refuse),
    }
    macros = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(text).make_module(context)
    with pytest.raises(Returned) as returned:
        macros.input_health_bounds()
    return returned.value.args[0]


def test_bounds_are_those_that_were_set():
    said = bounds(fail_on=["volume"])
    assert said["max_hours_since_last_event"] == 48
    assert said["beyond"] == {
        "freshness": "warn",
        "volume": "fail",
        "column without values": "warn",
        "event_name not in the taxonomy": "warn",
    }
    assert bounds(sample=True)["max_hours_since_last_event"] is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"max_volume_change": None}, "vars.input_health.max_volume_change is 'None'; write a number"),
        ({"max_hours_since_last_event": "48"}, "vars.input_health.max_hours_since_last_event is '48'; write a number"),
        ({"min_expected_values": -1}, "vars.input_health.min_expected_values is '-1'; write a number"),
        ({"fail_on": ["speed"]}, "vars.input_health.fail_on: 'speed' is no check; use freshness, volume,"),
    ],
)
def test_a_bound_that_is_none_is_one_clear_line(said, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        bounds(**said)
