"""Tests of tools/run.py, what `make run` calls: a person's whole way from files to a table of segments."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml
from conftest import PROJECT, Run, run_program
from raw_folder import put_rows

LIFECYCLE = {"new", "current", "reactivated", "resurrected", "at_risk_weekly", "at_risk_monthly", "dormant"}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory) -> Path:
    """Where all runs of this file build: dbt reads the whole project again when its path changes."""
    return tmp_path_factory.mktemp("run") / "warehouse.duckdb"


@pytest.fixture(scope="module")
def first(make_run, warehouse) -> Run:
    """The first run of somebody who just cloned the project."""
    ran = make_run(warehouse.parent, WAREHOUSE=warehouse.name)
    assert ran.code == 0, ran.output
    return ran


@pytest.fixture
def built(first, warehouse, tmp_path_factory) -> Path:
    """The warehouse as the first run left it."""
    kept = warehouse.with_suffix(".kept")
    if not kept.exists():
        shutil.copyfile(warehouse, kept)
    return Path(shutil.copyfile(kept, warehouse))


def lifecycle(output: str) -> dict[str, int]:
    """The members of the lifecycle segments as printed."""
    sizes = re.findall(r"^(?:lifecycle)? +([a-z_]+) +([\d,]+) +[\d.]+%$", output, re.MULTILINE)
    return {name: int(members.replace(",", "")) for name, members in sizes if name in LIFECYCLE}


def test_the_sample_from_scratch(first, warehouse, project):
    sets = yaml.safe_load((project / "dbt_project.yml").read_text())["vars"]["segment_sets"]
    lines = first.output.splitlines()
    assert [name for name in sets if not any(re.match(rf"{name} +\w", line) for line in lines)] == []
    (as_of,) = re.findall(r"^As of (\d{4}-\d\d-\d\d): ([\d,]+) people\.$", first.output, re.MULTILINE)
    assert [as_of[0]] == [str(row[0]) for row in first.rows("select max(as_of_date) from marts.fct_segment_daily")]
    sizes = lifecycle(first.output)
    assert set(sizes) == LIFECYCLE and min(sizes.values()) > 0
    assert sum(sizes.values()) == int(as_of[1].replace(",", ""))
    assert "Events: 20,190 rows = 19,866 clean + 54 rejected + 270 duplicates." in lines
    assert "15 neither user_id nor anonymous_id, 12 no event_id" in first.output
    assert re.search(rf"^Built and tested in \d+ s\. Tables: schema marts in {warehouse}$", first.output, re.MULTILINE)
    assert len(lines) < 90


def test_the_second_run_gives_the_same(first, make_run, warehouse, built):
    second = make_run(warehouse.parent, WAREHOUSE=warehouse)

    def said(run: Run) -> list[str]:
        return [line for line in run.output.splitlines() if "Built and tested" not in line]

    assert said(second) == said(first)


def test_a_day_in_the_past(make_run, warehouse, built):
    ran = make_run(warehouse.parent, WAREHOUSE=warehouse, AS_OF="2024-03-01")
    assert ran.code == 0, ran.output
    assert "As of 2024-03-01: " in ran.output
    sizes = lifecycle(ran.output)
    (people,) = ran.rows(
        "select count(*) from intermediate.int_user_metrics where as_of_date = date '2024-03-01' "
        "and days_since_first_active >= 0"
    )
    assert sum(sizes.values()) == people[0] > 0


def test_no_events_in_the_window_is_a_result(first, make_run, tmp_path):
    # A warehouse of its own: in the other one all the days up to then would have been missed.
    ran = make_run(tmp_path, WAREHOUSE=tmp_path / "warehouse.duckdb", AS_OF="2030-01-01")
    assert ran.code == 0, ran.output
    assert "As of 2030-01-01: " in ran.output
    assert {name: members for name, members in lifecycle(ran.output).items() if members} == {
        "dormant": sum(lifecycle(first.output).values())
    }


def test_the_day_that_is_not_over_is_not_answered_for(make_run, tmp_path):
    # Three runs take less than these minutes: midnight is waited for.
    while (datetime.now(timezone.utc) + timedelta(minutes=5)).date() > datetime.now(timezone.utc).date():
        time.sleep(10)
    today = datetime.now(timezone.utc).date()
    # The last of them by a clock that is wrong, in what it sends and where it is received.
    days = [today - timedelta(days=2), today - timedelta(days=1), today, date(2099, 1, 1)]
    events = [
        {"event_id": str(day), "event_name": "page_viewed", "event_at": f"{day} 00:00:00", "user_id": f"user of {day}",
         "received_at": f"{day} 00:00:01"}
        for day in days
    ]  # fmt: skip
    own = {"RAW_DATA": tmp_path / "raw", "WAREHOUSE": tmp_path / "warehouse.duckdb"}
    put_rows(tmp_path / "raw" / "events.csv", events[:3])
    ran = make_run(tmp_path, **own)
    assert f"As of {days[1]}: 2 people. {today} is not over, and not counted yet." in ran.output, ran.output
    put_rows(tmp_path / "raw" / "events.csv", events)
    ran = make_run(tmp_path, **own)
    assert f"As of {days[1]}: 2 people. The newest event is of 2099-01-01, after today: a clock is wrong." in ran.output
    ran = make_run(tmp_path, **own, AS_OF=today)
    assert f"As of {today}: 3 people." in ran.output and ran.code == 0, ran.output
    evaluated = "select distinct as_of_date from runs.evaluations order by 1"
    with duckdb.connect(str(own["WAREHOUSE"]), read_only=True) as connection:
        assert connection.execute(evaluated).fetchall() == [(days[1],), (today,)]


def test_a_persons_own_files_however_dirty(make_run, tmp_path):
    good = {"event_name": "page_viewed", "event_at": "2024-05-01T10:00:00Z", "received_at": "2024-05-01T10:00:01Z"}
    ids = ["1", "o'neill", 'say "x"', "two\nlines", "🍕", "ünï", "null", "a;b,c", "anon:1", "  "]
    events = [good | {"event_id": f"good {number}", "user_id": id} for number, id in enumerate(ids)]
    events += [events[0]] * 2
    events[0]["properties"] = {"text": 'é"\n' * 300_000}
    bad = {
        # The last two lie outside the years 1 to 9999, which no calendar here has.
        "event_at is no timestamp": [
            "1714557600", "soon", "2024-13-01", "2024-05-01T25:00:00Z", "infinity", "294246-01-01",
        ],  # fmt: skip
        "event_at more than a day after received_at": ["2024-05-03", "9999-12-31"],
        "no event_at": [None],
    }
    for reason, values in bad.items():
        events += [good | {"event_id": f"{reason} {value}", "user_id": "1", "event_at": value} for value in values]
    events += [good, {"event_id": "nobody"} | good, {"event_id": "x", "user_id": "1"}]
    odd = {"quantity": "two", "revenue": "1e300", "received_at": "then", "country": "d" * 999, "platform": [1, {}]}
    bought = {"event_id": "odd", "event_name": "order_completed", "user_id": "1", "currency": "🍕"}
    events += [good | bought | odd, good | bought | {"event_id": "odd 2", "revenue": -0.005, "quantity": 1e12}]
    # The first day that an engine knows must not make a window overflow.
    events += [good | {"event_id": "old", "user_id": "old", "event_at": "0001-01-01", "received_at": None}]
    folder = tmp_path / "my own files"
    (folder / "events").mkdir(parents=True)
    lines = [json.dumps(event, ensure_ascii=False) for event in events]
    (folder / "events" / "1.ndjson").write_text("\n".join([*lines, "{broken", ""]))
    (folder / "users.csv").write_text("user_id,updated_at,plan,birth_year\n1,never,free,n/a\n1,,plus\n,,,\n")
    answers = {
        "": ["f,1,nps,9,2024-05-01", "f,1,nps,0,2024-05-01", "f,1,NPS,10,2024-05-01", "f,1,csat,11,2024-05-01"],
        "no feedback_id or no user_id": [",1,stars,,", "f,,nps,11,never"],
        "kind is none of nps, csat, ces": ["f,1,stars,5,2024-05-01", "f,1,,5,2024-05-01"],
        "no score": ["f,1,nps,,2024-05-01"],
        "score does not parse": ["f,1,nps,ten,2024-05-01"],
        "nps score outside 0 to 10": ["f,1,nps,11,2024-05-01", "f,1,Nps,-1,2024-05-01"],
        "no submitted_at": ["f,1,nps,8,", 'f,1,nps,8,""'],
        "submitted_at does not parse": ["f,1,nps,8,x"],
    }
    lines = ["feedback_id,user_id,kind,score,submitted_at", *(line for lines in answers.values() for line in lines), ""]
    (folder / "feedback.csv").write_text("\n".join(lines))
    ran = make_run(tmp_path, RAW_DATA="my own files", WAREHOUSE="my own.duckdb")
    assert ran.code == 0, ran.output
    assert "As of 2024-05-01: " in ran.output
    assert re.search(r"^Events: (\d+) rows = 13 clean \+ \d+ rejected \+ 2 duplicates\.$", ran.output, re.MULTILINE)
    health = {
        (source, check): count
        for source, check, count in ran.rows("select input_table, check_name, row_count from marts.fct_input_health")
    }
    assert {reason: health["events", f"rejected: {reason}"] for reason in bad} == {
        reason: len(values) for reason, values in bad.items()
    }
    assert health["events", "raw rows"] == len(events) + 1
    assert health["events", "rejected: unreadable or empty row"] == 1
    assert health["events", "rejected: neither user_id nor anonymous_id"] == 1
    assert (health["events", "quantity does not parse"], health["events", "revenue does not parse"]) == (2, 1)
    assert health["events", "received_at does not parse"] == 1
    assert health["events", "purchase or refund without an exchange rate"] == 1
    assert (health["users", "raw rows"], health["users", "no user_id"]) == (3, 2)
    assert (health["users", "updated_at does not parse"], health["users", "birth_year does not parse"]) == (1, 1)
    assert {check: count for (source, check), count in health.items() if source == "feedback" and count} == {
        check or "raw rows": len(lines) if check else sum(map(len, answers.values()))
        for check, lines in answers.items()
    }
    assert ran.rows("select last_nps_score from marts.dim_users where user_id = '1'") == [(10,)]
    people = {row[0] for row in ran.rows("select user_id from marts.dim_users")}
    assert people == {*ids, "old"}


def test_a_warehouse_has_one_product(make_run, dbt, built, clean_env, tmp_path):
    raw, warehouse, sample = tmp_path / "raw", tmp_path / "mine.duckdb", tmp_path / "warehouse.duckdb"
    shutil.copyfile(built, sample)
    raw.mkdir()
    (raw / "events.csv").write_text(
        "event_id,event_name,event_at,user_id\n1,page_viewed,2023-05-01T10:00:00Z,me\n2,page_viewed,2023-05-02,you\n"
    )
    said = f"RAW_DATA: {sample} holds the sample and its history; name another WAREHOUSE for events of your own"
    ran = make_run(tmp_path, RAW_DATA=raw, WAREHOUSE=sample)
    assert ran.code == 1 and ran.output.splitlines()[0] == said
    ran = dbt("test", "--select", "seg_cart", env={"RAW_DATA": raw, "WAREHOUSE": sample})
    assert ran.code == 2 and said in ran.output
    assert sample.read_bytes() == built.read_bytes()

    ran = make_run(tmp_path, RAW_DATA=raw, WAREHOUSE=warehouse)
    assert ran.code == 0, ran.output
    said = (
        f"RAW_DATA: it is not set, and {warehouse} holds events of your own; set it to their folder, or name another "
        "WAREHOUSE for the sample"
    )
    before = warehouse.read_bytes()
    ran = make_run(tmp_path, WAREHOUSE=warehouse)
    assert ran.code == 1 and ran.output.splitlines()[0] == said
    for words in (
        ("backfill.py", "backfill", "--from", "2023-05-01", "--to", "2023-05-01"), ("as_of.py", "--date", "2023-05-01"),
    ):  # fmt: skip
        command = [sys.executable, str(PROJECT / "tools" / words[0]), *words[1:]]
        ended = subprocess.run(command, env=clean_env | {"WAREHOUSE": str(warehouse)}, text=True, capture_output=True)
        assert (ended.returncode, ended.stdout) == (1, f"{said}\n"), ended.stderr
    assert warehouse.read_bytes() == before


def test_a_taxonomy_of_ones_own(make_run, first, warehouse, built, project, tmp_path):
    counts = (
        "select (select count(*) from intermediate.int_events where event_name = 'recipe_viewed'), "
        "(select sum(purchases_lifetime) from intermediate.int_user_metrics)"
    )
    ((views, purchases),) = first.rows(counts)
    listed = (project / "seeds" / "event_taxonomy.csv").read_text()
    own = listed.replace("recipe_viewed,content_view,true", "recipe_viewed,purchase,false")
    (tmp_path / "my taxonomy.csv").write_text(own)
    ran = make_run(tmp_path, WAREHOUSE=warehouse, TAXONOMY="my taxonomy.csv")
    assert ran.code == 0 and own != listed and views > 0 < purchases, ran.output
    assert ran.rows(counts) == [(views, purchases + views)]
    assert lifecycle(ran.output) == lifecycle(first.output)


# A collector with names of its own, and without some of the contract's columns.
CLICKS_SOURCES = "sources: [{name: clicks, schema: clicks_as_sent, tables: [{name: events, identifier: hits}]}]"
CLICKS_BASE = """
with typed as (

    select
        uuid as event_id,
        type as event_name,
        {{ try_timestamp('ts') }} as event_at,
        {{ try_timestamp('ts') }} as received_at,
        account as user_id,
        visitor as anonymous_id,
        {{ try_number('amount', 'decimal(16, 4)') }} as revenue,
        {{ try_integer('null') }} as quantity,
        ts as event_at_as_sent,
        ts as received_at_as_sent,
        -- It sits in a table: there is no file to read again.
        '' as source_file,
        {% for column in (
            'session_id', 'platform', 'device_type', 'os', 'country', 'language', 'channel', 'page_path', 'referrer',
            'item_category', 'search_query', 'currency', 'properties'
        ) %}
        cast(null as {{ dbt.type_string() }}) as {{ column }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ source('clicks', 'events') }}

)

select
    *,
    case
        when event_id is null then 'no event_id'
        when event_at is null then 'event_at is no timestamp'
        when user_id is null and anonymous_id is null then 'neither user_id nor anonymous_id'
    end as rejection_reason
from typed
"""
CLICKS_COUNTS = """
select 'events' as input_table, 'raw rows' as check_name, count(*) as row_count from {{ source('clicks', 'events') }}
union all
select 'events', 'rejected: ' || rejection_reason, count(*)
from {{ ref('base_clicks__events') }}
where rejection_reason is not null
group by rejection_reason
"""
# All of a day is read again where a row of it came, or was received.
CLICKS_DAYS = """
select
    '' as source_file,
    {{ local_date('event_at') }} as event_date,
    cast(count(*) as {{ dbt.type_string() }}) || ' ' || cast(max(received_at) as {{ dbt.type_string() }}) as day_version
from {{ ref('stg_clicks__events') }}
group by 2
"""
CLICKS = """
create schema clicks_as_sent;
create table clicks_as_sent.hits as
from (
    values
    ('c1', 'page_viewed', '2022-01-01 10:00:00', null, 'v1', null),
    ('c2', 'order_completed', '2024-06-28 10:00:00', 'click user', 'v1', '12.5'),
    ('c2', 'order_completed', '2024-06-28 10:00:00', 'click user', 'v1', '12.5'),
    ('c3', 'page_viewed', '2024-06-28 10:10:00', 'click user', 'v1', null),
    (null, 'page_viewed', '2024-06-28 10:10:00', 'click user', 'v1', null),
    ('c4', 'page_viewed', 'soon', 'click user', 'v1', null),
    ('c5', 'page_viewed', '2024-06-28 10:10:00', null, null, null)
) as sent (uuid, type, ts, account, visitor, amount)
"""


def test_a_second_collector_is_an_addition(first, clean_env, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".*", "target", "logs", "*.duckdb*"))
    clicks, generic = project / "models" / "staging" / "clicks", project / "models" / "staging" / "generic"
    clicks.mkdir()
    (clicks / "_clicks__sources.yml").write_text(CLICKS_SOURCES)
    (clicks / "base_clicks__events.sql").write_text(CLICKS_BASE)
    (clicks / "stg_clicks__input_counts.sql").write_text(CLICKS_COUNTS)
    (clicks / "stg_clicks__event_days.sql").write_text(CLICKS_DAYS)
    for model in ("events", "rejected_events"):
        text = (generic / f"stg_generic__{model}.sql").read_text()
        # It gives no stored_day: that is the generic collector's, whose files are stored by day.
        text = text.replace("base_generic__", "base_clicks__").replace(",\n        stored_day", "")
        (clicks / f"stg_clicks__{model}.sql").write_text(text)
    settings = project / "dbt_project.yml"
    lines = settings.read_text().replace("  collectors:\n", "  collectors:\n    - clicks\n")
    settings.write_text(lines)

    # What the sample alone comes to.
    health = "select input_table, check_name, row_count from marts.fct_input_health"
    alone = {(source, check): count for source, check, count in first.rows(health)}
    ((people,),) = first.rows("select count(*) from marts.dim_users")

    warehouse = tmp_path / "clicks.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(CLICKS)
    env = clean_env | {"WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(tmp_path / "target")}
    dbt = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors"]
    ran = run_program([*dbt, "build", "--exclude", "resource_type:unit_test"], env, project)
    assert ran.code == 0, ran.output
    assert "PASS assert_raw_rows_are_all_accounted_for" in ran.output

    ((total,),) = ran.rows("select count(*) from marts.dim_users")
    assert total == people + 1
    metrics = (
        "select days_since_first_active, active_days_lifetime, sessions_lifetime, purchases_lifetime, revenue_lifetime "
        "from intermediate.int_user_metrics where user_id = 'click user'"
    )
    assert ran.rows(metrics) == [(910, 2, 2, 1, Decimal("12.5"))]
    rejected = "select event_id, rejection_reason from staging.stg_clicks__rejected_events order by event_id"
    assert ran.rows(rejected) == [
        ("c4", "event_at is no timestamp"), ("c5", "neither user_id nor anonymous_id"), (None, "no event_id"),
    ]  # fmt: skip
    ((total_of_day,),) = ran.rows(
        "select sum(all_events) from intermediate.int_half_hours where event_date = date '2024-06-28'"
    )
    together = {(source, check): count for source, check, count in ran.rows(health)}
    more = {key: together[key] - alone[key] for key in together if together[key] != alone[key]}
    assert more == {
        ("events", "raw rows"): 7,
        ("events", "clean"): 3,
        ("events", "duplicates"): 1,
        **{("events", f"rejected: {reason}"): 1 for _, reason in ran.rows(rejected)},
    }

    # A row that comes later is read, with its day.
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "insert into clicks_as_sent.hits values "
            "('c6', 'page_viewed', '2024-06-28 10:20:00', 'click user', 'v1', null)"
        )
    ran = run_program([*dbt, "run"], env, project)
    assert ran.code == 0, ran.output
    assert ran.rows("select sum(all_events) from intermediate.int_half_hours where event_date = date '2024-06-28'") == [
        (total_of_day + 1,)
    ]

    # A row that this collector's staging loses is missed.
    (test,) = (tmp_path / "target" / "compiled").rglob("assert_raw_rows_are_all_accounted_for.sql")
    with duckdb.connect(str(warehouse)) as connection:
        assert connection.execute(test.read_text()).fetchall() == []
        connection.execute("create table kept as from staging.base_clicks__events where event_id <> 'c3'")
        connection.execute("create or replace view staging.base_clicks__events as from kept")
        assert len(connection.execute(test.read_text()).fetchall()) == 1

    # The first event of all is this collector's.
    ran = run_program([*dbt, "run", "--select", "stg_events"], env | {"AS_OF": "2021-12-31"}, project)
    assert ran.code != 0 and "AS_OF: 2021-12-31 is before the first event (2022-01-01)" in ran.output, ran.output


def test_ctrl_c_ends_it(clean_env, project, warehouse, built):
    running = subprocess.Popen(
        [sys.executable, "tools/run.py"],
        cwd=project,
        env=clean_env | {"WAREHOUSE": str(warehouse)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell that started the tests in the background has them ignore Ctrl-C; a person's terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for line in running.stdout:
        if line == "building intermediate\n":
            break
    running.send_signal(signal.SIGINT)
    started = time.monotonic()
    rest = running.stdout.read()
    assert running.wait() == 130 and time.monotonic() - started < 20
    assert rest.splitlines()[-1].startswith("Stopped.") and "Traceback" not in rest
    # dbt is gone too: nobody holds the warehouse.
    duckdb.connect(str(warehouse)).close()


def test_what_a_failed_test_looks_like(monkeypatch):
    """The causes that a person is told, from what dbt says of each kind of failure."""
    from run import Outcome, note

    outcome = Outcome()

    def node(kind: str, name: str) -> dict:
        return {"node_info": {"resource_type": kind, "node_name": name}}

    note(node("test", "t") | {"status": "fail", "num_failures": 3}, {"name": "LogTestResult"}, outcome)
    note(node("test", "t") | {"msg": "Got 3 results, configured to fail if != 0"}, {"name": "RunResultError"}, outcome)
    note(node("test", "w") | {"status": "warn", "num_failures": 1}, {"name": "LogTestResult"}, outcome)
    note(node("unit_test", "u") | {"status": "fail", "num_failures": 1}, {"name": "LogTestResult"}, outcome)
    broken = "Runtime Error in model m (models/m.sql)\n  Conversion Error: Could not convert string 'secret' to INT32"
    note(node("model", "m") | {"msg": broken}, {"name": "RunResultError"}, outcome)
    odd = 'Runtime Error in model n (models/n.sql)\n  Conversion Error: Casting value "secret" to type DATE failed'
    note(node("model", "n") | {"msg": odd}, {"name": "RunResultError"}, outcome)
    refused = "Compilation Error\n  Model 'a' depends on a node named 'b'"
    note({"exc": refused}, {"name": "MainEncounteredError"}, outcome)
    assert outcome.warnings == {"w": "test w warns (1 rows): look with dbt test --select w"}
    assert outcome.causes == {
        "t": "test t failed (3 rows): look with dbt test --select t",
        "u": "test u failed: look with dbt test --select u",
        "m": "model m failed: models/m.sql: Conversion Error: Could not convert string '...' to INT32",
        "n": "model n failed: models/n.sql: Conversion Error: Casting value '...' to type DATE failed",
        "dbt": "Model 'a' depends on a node named 'b'",
    }
