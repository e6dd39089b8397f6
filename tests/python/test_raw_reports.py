"""What the files of retention reports and funnels may say: one clear line for whatever they may not, and nothing is
replaced; a change of them builds anew what it has to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from raw_files import EVENT_TYPES, PROJECT, show_raw_tables
from raw_folder import EVENT, TAXONOMY_CSV, put, put_rows, rows
from raw_tables import DEFINITIONS, BadInput, find_inputs

REPORT = "report,period,start_event,return_event,mode,bound,min_occurrences"
FUNNEL = "funnel,step,event,window_seconds"
GOOD_REPORT = "weekly,week,activity,viewed,first_time,on,1"
GOOD_FUNNEL = "shop,1,content_view,60\nshop,2,bought,60"


@pytest.fixture
def asked(folder, conn, tmp_path):
    """`asked(reports="...", funnels="...")` shows the folder with these lines in place of good ones."""
    put_rows(folder / "events.csv", [EVENT])
    taxonomy = put(tmp_path / "taxonomy.csv", TAXONOMY_CSV)

    def run(reports: str = GOOD_REPORT, funnels: str = GOOD_FUNNEL, most: object = 10) -> None:
        files = {
            "retention_reports": put(tmp_path / "my_reports.csv", f"{REPORT}\n{reports}\n"),
            "funnels": put(tmp_path / "my_funnels.csv", f"{FUNNEL}\n{funnels}\n"),
        }
        show_raw_tables(conn, find_inputs(folder, taxonomy, files), max_funnel_steps=most)

    return run


def test_what_can_be_said(asked, conn):
    asked(
        "a,day,sign_up,any name,first_time,on,1\nb,month,activity,activity,recurring,on_or_after,20",
        # In any order; a window of nothing is one instant.
        "f,2,other,0\nf,1,any name,0\ng,1,purchase,999999",
    )
    assert len(rows(conn, "*", "retention_reports")) == 2 and len(rows(conn, "*", "funnels")) == 3
    asked("", "")
    assert rows(conn, "*", "retention_reports") == rows(conn, "*", "funnels") == []
    asked(funnels="\n".join(f"f,{step},login,60" for step in range(1, 11)))


REPORTS = {
    "a period": ("r,year,login,login,first_time,on,1", ["report 'r' the period 'year'", "use day or week or month"]),
    "a mode": ("r,day,login,login,once,on,1", ["the mode 'once'", "use first_time or recurring"]),
    "a bound": ("r,day,login,login,first_time,after,1", ["the bound 'after'", "use on or on_or_after"]),
    "zero times": ("r,day,login,login,first_time,on,0", ["min_occurrences '0'", "use a whole number from 1"]),
    "less than none": ("r,day,login,login,first_time,on,-1", ["min_occurrences '-1'"]),
    "half a time": ("r,day,login,login,first_time,on,1.5", ["min_occurrences '1.5'"]),
    "no number": ("r,day,login,login,first_time,on,twice", ["min_occurrences 'twice'"]),
    "twice": (f"{GOOD_REPORT}\n{GOOD_REPORT}", ["has the report 'weekly' 2 times", "keep one line a report"]),
    "no event": (
        f"{GOOD_REPORT}\nr,day,,login,first_time,on,1",
        ["gives report 'r' no start_event", "fill in every column"],
    ),
    "no name": (f"{GOOD_REPORT}\n,day,login,login,first_time,on,1", ["gives a row no report"]),
    "any event": ("r,day,login,any_event,first_time,on,1", ["the return_event 'any_event'", "or activity"]),
}
FUNNELS = {
    "a gap": ("f,1,login,60\nf,3,purchase,60", ["gives funnel 'f' the steps 1, 3", "number them 1, 2, 3"]),
    "from zero": ("f,0,login,60\nf,1,purchase,60", ["the step '0'", "use a whole number from 1"]),
    "from two": ("f,2,login,60", ["the steps 2"]),
    "a step twice": ("f,1,login,60\nf,1,login,60\nf,2,login,60", ["the steps 1, 1, 2", "each once"]),
    "half a step": ("f,1.5,login,60", ["the step '1.5'"]),
    "no step": ("f,,login,60\ng,1,login,60", ["gives funnel 'f' no step"]),
    "a negative window": ("f,1,login,-1", ["window_seconds '-1'", "use a whole number of seconds from 0"]),
    "a window that is none": ("f,1,login,a day", ["window_seconds 'a day'"]),
    "two windows": ("f,1,login,60\nf,2,login,61", ["gives funnel 'f' different window_seconds", "one window"]),
    "activity": ("f,1,activity,60", ["step 1 of funnel 'f' the event 'activity'", "made of single events"]),
    "eleven steps": ("\n".join(f"f,{step},login,60" for step in range(1, 12)), ["11 steps, more than 10"]),
}


CASES = [*(f"reports: {name}" for name in REPORTS), *(f"funnels: {name}" for name in FUNNELS)]


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_is_one_line_and_replaces_nothing(asked, folder, conn, case):
    asked()
    kind, name = case.split(": ")
    before = [rows(conn, "*", table) for table in ("events", "retention_reports", "funnels", "loaded_files")]
    put_rows(folder / "events.csv", [EVENT | {"event_id": "new"}])
    lines, expected = (REPORTS if kind == "reports" else FUNNELS)[name]
    with pytest.raises(BadInput) as raised:
        asked(**{kind: lines})
    message = raised.value.msg
    assert f"{'RETENTION_REPORTS' if kind == 'reports' else 'FUNNELS'}: " in message and f"my_{kind}.csv" in message
    assert [part for part in expected if part not in message] == []
    assert message.splitlines() == [message] and len(message) < 500
    assert [rows(conn, "*", table) for table in ("events", "retention_reports", "funnels", "loaded_files")] == before


def test_the_longest_funnel_is_asked_for_anew_where_the_setting_changes(asked):
    asked()
    with pytest.raises(BadInput, match="FUNNELS: .*'shop' 2 steps, more than 1; shorten it, or raise vars.max_funnel"):
        asked(most=1)
    for wrong in (0, "many", None):
        with pytest.raises(BadInput, match="vars.max_funnel_steps of dbt_project.yml is .*write a whole number from 1"):
            asked(most=wrong)


@pytest.mark.parametrize("known", DEFINITIONS, ids=lambda known: known.setting)
def test_a_file_that_is_none(known, folder, tmp_path):
    files = {other.table.name: other.own for other in DEFINITIONS}
    put(tmp_path / "sheet.xlsx", "x")
    put(tmp_path / "empty.csv", "")
    for wrong in ("nowhere.csv", "sheet.xlsx", "empty.csv"):
        with pytest.raises(BadInput, match=f"{known.setting}: .*{wrong}.*copy seeds/{known.own.name}"):
            asked = files | {known.table.name: tmp_path / wrong}
            find_inputs(folder, asked["event_taxonomy"], asked)


def test_the_projects_own_files_use_words_that_every_product_has(conn, folder, tmp_path):
    """Types and activity: a name of one product's events would be an empty report in any other."""
    put_rows(folder / "events.csv", [EVENT])
    show_raw_tables(conn, find_inputs(folder, put(tmp_path / "taxonomy.csv", TAXONOMY_CSV)))
    words = {word for row in rows(conn, "start_event, return_event", "retention_reports") for word in row}
    words |= {word for (word,) in rows(conn, "event", "funnels")}
    assert words <= {*EVENT_TYPES, "activity"} and {"activity", "purchase", "core_action", "sign_up"} < words


def test_own_files_are_read_and_other_words_build_all_days_anew(make_run, built_sample, tmp_path):
    warehouse = Path(shutil.copy(built_sample, tmp_path / "warehouse.duckdb"))
    (tmp_path / "mine.csv").write_text(f"{FUNNEL}\nmine,1,recipe_viewed,60\nmine,2,timer_set,60\n")
    own = {"FUNNELS": "mine.csv", "RETENTION_REPORTS": str(PROJECT / "seeds" / "retention_reports.csv")}
    names = "select event_name, count(*) from intermediate.int_key_events group by 1"
    ran = make_run(tmp_path, WAREHOUSE=warehouse, **own)
    assert ran.code == 0, ran.output
    kept = dict(ran.rows(names))
    # All of the past, not the days that are new; and nothing of what is not asked for any more.
    counted = dict(ran.rows("select event_name, count(*) from intermediate.int_events group by 1"))
    asked = ("recipe_viewed", "timer_set", "signed_up", "logged_in", "meal_cooked", "order_completed")
    assert kept == {name: counted[name] for name in asked}
    assert ran.rows("select distinct funnel from marts.fct_funnel") == [("mine",)]
    # Another window asks for nothing else: no day is built anew.
    (tmp_path / "mine.csv").write_text(f"{FUNNEL}\nmine,1,recipe_viewed,600\nmine,2,timer_set,600\n")
    ran = make_run(tmp_path, WAREHOUSE=warehouse, **own)
    assert ran.code == 0, ran.output
    assert ran.rows("select count(*) from intermediate.int_changed_days") == [(0,)]
    # Nothing asked at all.
    (tmp_path / "mine.csv").write_text(f"{FUNNEL}\n")
    (tmp_path / "none.csv").write_text(f"{REPORT}\n")
    ran = make_run(tmp_path, WAREHOUSE=warehouse, FUNNELS="mine.csv", RETENTION_REPORTS="none.csv")
    assert ran.code == 0, ran.output
    assert ran.rows("select (select count(*) from marts.fct_funnel), count(*) from marts.fct_retention") == [(0, 0)]
    assert set(dict(ran.rows(names))) == {"signed_up", "logged_in", "meal_cooked", "order_completed"}
