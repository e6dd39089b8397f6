"""Proofs of segment sets: seeded mistakes are found, correct sets of any shape pass, and the prover agrees with DuckDB.

Each set is written into a project of its own, as a person would write it: SQL, YAML, and its line in dbt_project.yml.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pytest
import yaml
import z3
from hypothesis import given, settings
from hypothesis import strategies as st
from lineage import meant
from logic import MEANINGS, Row, Truth, Undecidable, comparison, truth
from proof import Verdict
from prove import judge
from segment_files import Invalid, parse_condition
from sqlglot import exp, parse_one

PROJECT = Path(__file__).resolve().parents[2]

METRICS = {
    "as_of_date": "date",
    "user_id": "string",
    "days_since_first_active": "integer",
    "days_since_last_active": "integer",
    "active_days_7d": "integer",
    "active_days_28d": "integer",
    "days_since_last_purchase": "integer",
    "purchase_days_28d": "integer",
    "purchase_days_lifetime": "integer",
    "mobile_active_days_90d": "integer",
    "desktop_active_days_90d": "integer",
    "support_views_28d": "integer",
    "support_contacts_28d": "integer",
    "last_nps_score": "integer",
    "r_score": "integer",
    "f_score": "integer",
    "revenue_28d": "decimal(18, 4)",
    "avg_session_minutes_28d": "double",
    "plan": "string",
    "country": "string",
    "signed_up_on": "date",
    "is_employee": "boolean",
}
FACTS = {
    "last_active": "days_since_last_active between 0 and days_since_first_active",
    "active_days": "active_days_7d between 0 and active_days_28d and active_days_7d <= 7 and active_days_28d <= 28",
    "active_days_fit": "(active_days_7d > 0) = (days_since_last_active < 7)",
    "purchases": "purchase_days_28d between 0 and purchase_days_lifetime",
    "buyers": "(purchase_days_lifetime = 0) = (days_since_last_purchase is null) "
    "and coalesce(days_since_last_purchase >= 0, true)",
    "devices": "mobile_active_days_90d >= 0 and desktop_active_days_90d >= 0",
    "support": "support_views_28d >= 0 and support_contacts_28d >= 0",
    "scores": "case when purchase_days_lifetime = 0 then r_score is null and f_score is null "
    "else r_score between 1 and 5 and f_score between 1 and 5 end",
    "nps": "last_nps_score is null or last_nps_score between 0 and 10",
    "money": "revenue_28d is not null and avg_session_minutes_28d >= 0",
}


TODAY = date(2026, 6, 30)
SAID = {"rationale": "a reason", "action": "an action", "since": "2026-01-31"}


@dataclass
class Project:
    """A folder with sets to be proven."""

    folder: Path

    def add(self, name: str, flags: dict[str, str], overlap="exclusive", coverage="total", where="", population="",
            kind="flags", sql="", **meta) -> None:  # fmt: skip
        """Writes a set: a condition for each flag, or the whole `sql`."""
        lines = [f"        {condition} as {flag}" for flag, condition in flags.items()]
        sql = sql or (
            "with metrics as (\n\n    select * from {{ ref('int_user_metrics') }}\n"
            + (f"    where {where}\n" if where else "")
            + "\n),\n\nfinal as (\n\n    select\n        as_of_date,\n        user_id,\n\n"
            + ",\n\n".join(lines)
            + "\n    from metrics\n\n)\n\nselect * from final\n"
        )
        columns = [{"name": key, "data_type": type_} for key, type_ in (("as_of_date", "date"), ("user_id", "string"))]
        type_ = "boolean" if kind == "flags" else "string"
        columns += [
            {"name": flag, "data_type": type_, "description": "What it means.", "config": {"meta": dict(SAID)}}
            for flag in flags
        ]
        declared = {
            "name": name, "kind": kind, "overlap": overlap, "coverage": coverage,
            "objective": "why", "owner": "who@example.com", "review_by": "2027-06-30",
            "population": {"description": "Everybody.",
            "sql": population or where or "days_since_first_active >= 0"}, **meta,
        }  # fmt: skip
        model = {"name": f"seg_{name}", "config": {"meta": {"segment_set": declared}}, "columns": columns}
        self.write(f"models/segments/seg_{name}.sql", sql)
        self.write(f"models/segments/_seg_{name}.yml", yaml.safe_dump({"models": [model]}, sort_keys=False))
        listed = yaml.safe_load((self.folder / "dbt_project.yml").read_text())
        listed["vars"]["segment_sets"].append(name)
        self.write("dbt_project.yml", yaml.safe_dump(listed))

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text, encoding="utf-8")

    def verdict(self) -> Verdict:
        """Of the one set. Raises AssertionError where it cannot be understood."""
        verdicts, errors = judge(self.folder, [], TODAY)
        assert errors == []
        return verdicts[0]

    def errors(self) -> list[str]:
        """What is said of sets that cannot be understood."""
        try:
            return judge(self.folder, [], TODAY)[1]
        except Invalid as error:
            return [str(error)]


@pytest.fixture
def project(tmp_path) -> Project:
    found = Project(tmp_path)
    found.write("dbt_project.yml", "vars: {segment_sets: []}\n")
    model = {
        "name": "int_user_metrics",
        "config": {"meta": {"facts": FACTS}},
        "columns": [{"name": name, "data_type": type_} for name, type_ in METRICS.items()],
    }
    found.write("models/intermediate/_models.yml", yaml.safe_dump({"models": [model]}, sort_keys=False))
    found.write("tests/singular/assert_int_user_metrics_agree_with_each_other.sql", "select 1 where false")
    return found


# Seeded mistakes ----------------------------------------------------------------------------------------------------

BANDS = {"often": "active_days_28d >= 14", "seldom": "active_days_28d between 1 and 13", "never": "active_days_28d = 0"}
# What is wrong, in which flags (and declarations); words of the failure, and of the row that shows it.
MISTAKES = {
    "overlap at one value": (
        {**BANDS, "seldom": "active_days_28d between 1 and 14"}, {}, "often and", "overlap", "active_days_28d = 14"),
    "gap of one day": (
        {**BANDS, "seldom": "active_days_28d between 1 and 12"}, {}, "no flag is true", "", "active_days_28d = 13"),
    "gap between literals that are far apart": (
        {"in": "active_days_28d <= 3", "out": "active_days_28d >= 20"}, {}, "no flag is true", "",
        "active_days_28d = 4"),
    "null flag that data may not show": (
        {"lately": "days_since_last_purchase <= 7"}, {"coverage": "partial", "overlap": "overlapping"},
        "lately can be null", "", "days_since_last_purchase is null"),
    "overlap only through or": (
        {"a": "active_days_28d = 0 or purchase_days_28d >= 2", "b": "active_days_28d > 0"}, {}, "overlap", "",
        "purchase_days_28d = 2"),
    "between with swapped ends": (
        {**BANDS, "seldom": "active_days_28d between 13 and 1"}, {}, "seldom can never be true", "", ""),
    "decimal between whole steps": (
        {"much": "revenue_28d >= 10", "little": "revenue_28d < 9.5"}, {}, "no flag is true", "", "revenue_28d = 9.5"),
    "comparison of a count with a decimal": (
        {"a": "active_days_28d > 13.5", "b": "active_days_28d <= 14"}, {}, "overlap", "", "active_days_28d = 14"),
    "text equality leaves out other texts": (
        {"paid": "coalesce(plan, 'free') = 'pro'", "free": "coalesce(plan, 'free') = 'free'"}, {}, "no flag is true",
        "",
        "plan = something else"),
    "text in two lists": (
        {"a": "coalesce(country, '') in ('DE', 'AT')", "b": "coalesce(country, '') in ('CH', 'AT')"},
        {"coverage": "partial"}, "overlap", "", "country = AT"),
    "dead flag": (
        {"dead": "active_days_28d > 28", **BANDS}, {}, "dead can never be true", "", ""),
    "dead flag because of facts": (
        {"dead": "active_days_7d > active_days_28d"}, {"coverage": "partial"}, "dead can never be true", "", ""),
    "flag that everybody has": (
        {"all": "active_days_28d >= 0"}, {}, "all can never be false", "", ""),
    "two columns compared": (
        {"mobile": "mobile_active_days_90d >= desktop_active_days_90d",
         "desktop": "desktop_active_days_90d >= mobile_active_days_90d"}, {}, "overlap", "",
         "mobile_active_days_90d = 0"),
    "multiples of a column, off by one": (
        {"mobile": "mobile_active_days_90d >= 4 * desktop_active_days_90d",
         "both": "mobile_active_days_90d < 4 * desktop_active_days_90d - 1"}, {}, "no flag is true", "", ""),
    "sum of columns": (
        {"much": "support_views_28d + support_contacts_28d >= 3",
         "little": "support_views_28d <= 1 and support_contacts_28d <= 1"}, {}, "no flag is true", "", ""),
    "date compared": (
        {"old": "coalesce(signed_up_on < date '2024-03-01', true)",
        "new": "coalesce(signed_up_on > date '2024-03-01', false)"},
        {}, "no flag is true", "", "signed_up_on = 2024-03-01"),
    "a not that forgets a null": (
        {"other": "not (plan = 'pro')"}, {"coverage": "partial"}, "other can be null", "", "plan is null"),
    "not in with a null in the column": (
        {"abroad": "country not in ('DE', 'AT')"}, {"coverage": "partial"}, "abroad can be null", "",
        "country is null"),
    "boolean column": (
        {"staff": "is_employee", "user": "not coalesce(is_employee, false)"}, {}, "staff can be null", "", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_seeded_mistake_is_found_with_a_row_that_shows_it(project, name):
    flags, declared, words, more, shown = MISTAKES[name]
    project.add("checked", flags, **declared)
    verdict = project.verdict()
    assert not verdict.proven
    failures = [failure for failure in verdict.failures if words in failure.line and more in failure.line]
    assert failures, [failure.line for failure in verdict.failures]
    assert failures[0].line.startswith("models/segments/seg_checked.sql")
    if shown:
        details = "\n".join(failures[0].details)
        assert shown in details, details
        assert "given in a unit test:  - {user_id: shown, " in details


def test_a_failure_shows_both_lines_both_conditions_and_a_row_that_yaml_reads(project):
    project.add("checked", {**BANDS, "seldom": "active_days_28d between 1 and 14"})
    failure = project.verdict().failures[0]
    path = "models/segments/seg_checked.sql"
    assert failure.line == f"{path}:13 often and {path}:15 seldom overlap"
    assert failure.details[:3] == (
        "often: active_days_28d >= 14", "seldom: active_days_28d BETWEEN 1 AND 14", "as with active_days_28d = 14",
    )  # fmt: skip
    given, comes = [yaml.safe_load(line.partition(":  - ")[2]) for line in failure.details[3:]]
    assert given == {"user_id": "shown", "active_days_28d": 14}
    assert comes == {"user_id": "shown", "often": True, "seldom": True, "never": False}


def test_one_flag_within_another_is_said(project):
    project.add("checked", {"some": "active_days_28d >= 1", "many": "active_days_28d >= 7"}, coverage="partial")
    assert project.verdict().failures[0].line.endswith("overlap; every many is a some")


def test_a_condition_that_changes_nothing_is_named_with_the_fact_that_makes_it_so(project):
    project.add("checked", {
        "gone": "days_since_last_active >= 7 and active_days_7d = 0",
        "here": "days_since_last_active < 7 and days_since_last_active < 30",
    })  # fmt: skip
    verdict = project.verdict()
    assert verdict.proven
    path = "models/segments/seg_checked.sql"
    assert set(verdict.notes) == {
        f"{path}:13: gone would be the same without `days_since_last_active >= 7`, because of active_days_fit",
        f"{path}:13: gone would be the same without `active_days_7d = 0`, because of active_days, active_days_fit",
        f"{path}:15: here would be the same without `days_since_last_active < 30`",
    }  # fmt: skip


def test_a_population_that_sql_and_yaml_see_differently_is_found(project):
    bands = {"new": "days_since_last_purchase <= 7", "old": "days_since_last_purchase > 7"}
    project.add("checked", bands, where="purchase_days_lifetime >= 1", population="purchase_days_lifetime >= 2")
    lines = [failure.line for failure in project.verdict().failures]
    assert any("has rows for users who are not in the population" in line for line in lines), lines


def test_a_proof_names_the_facts_that_it_rests_on_and_fails_without_them(project):
    flags = {"new": "days_since_last_purchase <= 7", "old": "days_since_last_purchase > 7"}
    project.add("checked", flags, where="purchase_days_lifetime >= 1")
    verdict = project.verdict()
    assert verdict.proven and "buyers" in verdict.facts
    file = project.folder / "models/intermediate/_models.yml"
    model = yaml.safe_load(file.read_text())
    del model["models"][0]["config"]["meta"]["facts"]["buyers"]
    file.write_text(yaml.safe_dump(model))
    assert not project.verdict().proven


# No false alarm -----------------------------------------------------------------------------------------------------

RFM = {f"r{r}_f{f}": f"r_score = {r} and f_score = {f}" for r in range(1, 6) for f in range(1, 6)}
WHO_BOUGHT = {"where": "purchase_days_lifetime >= 1"}
CORRECT = {
    "bands": (BANDS, {}),
    "bands with strict lines": ({"low": "active_days_28d < 7", "high": "active_days_28d > 6"}, {}),
    "bands by not": ({"in": "active_days_28d >= 7", "out": "not (active_days_28d >= 7)"}, {}),
    "one flag and the rest": ({"one": "active_days_28d = 1", "rest": "active_days_28d <> 1"}, {}),
    "rfm grid of 25": (RFM, WHO_BOUGHT),
    "rfm bands": ({
        "best": "r_score between 4 and 5 and f_score between 4 and 5",
        "rest": "r_score between 1 and 3 or f_score between 1 and 3",
    }, WHO_BOUGHT),
    "nullable metric, asked first": ({
        "buyer": "days_since_last_purchase is not null and days_since_last_purchase <= 30",
        "lapsed": "days_since_last_purchase is not null and days_since_last_purchase > 30",
        "none": "days_since_last_purchase is null",
    }, {}),
    "nullable metric, by coalesce": ({
        "promoter": "coalesce(last_nps_score, -1) >= 9", "passive": "coalesce(last_nps_score, -1) between 7 and 8",
        "detractor": "coalesce(last_nps_score, -1) between 0 and 6", "unsurveyed": "last_nps_score is null",
    }, {}),
    "null known from another metric": ({
        "lately": "purchase_days_lifetime > 0 and days_since_last_purchase <= 7",
    }, {"coverage": "partial"}),
    "money": ({"much": "revenue_28d >= 99.95", "little": "revenue_28d < 99.95"}, {}),
    "minutes": ({"long": "avg_session_minutes_28d >= 30", "short": "avg_session_minutes_28d < 30"}, {}),
    "texts": ({
        "paid": "coalesce(plan, 'none') in ('pro', 'team')", "free": "coalesce(plan, 'none') not in ('pro', 'team')",
    }, {}),
    "texts and their absence": ({
        "home": "plan is not null and plan = 'pro'", "other": "plan is not null and plan <> 'pro'",
        "none": "plan is null",
    }, {}),
    "days": ({
        "before": "signed_up_on is not null and signed_up_on < date '2024-03-01'",
        "after": "signed_up_on is not null and signed_up_on >= date '2024-03-01'", "never": "signed_up_on is null",
    }, {}),
    "shares of two columns": ({
        "mobile": "mobile_active_days_90d > 2 * desktop_active_days_90d",
        "desktop": "desktop_active_days_90d > 2 * mobile_active_days_90d",
        "both": "mobile_active_days_90d <= 2 * desktop_active_days_90d "
        "and desktop_active_days_90d <= 2 * mobile_active_days_90d",
    }, {}),
    "sums": ({
        "often": "support_views_28d + support_contacts_28d >= 3",
        "seldom": "support_views_28d + support_contacts_28d < 3",
    }, {}),
    "differences": ({
        "slower": "active_days_28d - active_days_7d >= 10", "faster": "active_days_28d - active_days_7d <= 9",
    }, {}),
    "gap that facts close": ({
        "week": "active_days_7d >= 1", "month": "days_since_last_active between 7 and 27",
        "gone": "days_since_last_active >= 28",
    }, {}),
    "true and false": ({"staff": "is_employee is true", "users": "is_employee is not true"}, {}),
    "overlapping and partial": ({
        "asks": "support_contacts_28d >= 1", "reads": "support_views_28d >= 1",
        "asks_much": "support_contacts_28d >= 3",
    }, {"overlap": "overlapping", "coverage": "partial"}),
    "nested and, or, not": ({
        "a": "(active_days_28d >= 7 and not (purchase_days_28d = 0 or plan is null)) or last_nps_score is not null",
        "b": "not ((active_days_28d >= 7 and not (purchase_days_28d = 0 or plan is null)) "
        "or last_nps_score is not null)",
    }, {}),
    "null-safe comparison": ({
        "same": "plan is not distinct from country", "different": "plan is distinct from country",
    }, {}),
    "attribute": (
        {"segment": "coalesce(plan, 'unknown') || ' / ' || coalesce(country, 'unknown')"}, {"kind": "attribute"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CORRECT)
def test_a_correct_set_raises_no_alarm(project, name):
    flags, declared = CORRECT[name]
    project.add("checked", flags, **declared)
    verdict = project.verdict()
    assert verdict.proven, verdict.failures


def test_a_set_may_read_a_second_model_of_metrics(project):
    types = {"as_of_date": "date", "user_id": "string", "videos_28d": "integer"}
    typed = [{"name": name, "data_type": type_} for name, type_ in types.items()]
    model = {"name": "int_user_metrics__video", "columns": typed,
             "config": {"meta": {"facts": {"videos": "videos_28d >= 0"}}}}  # fmt: skip
    project.write("models/intermediate/_video.yml", yaml.safe_dump({"models": [model]}))
    project.write("tests/singular/assert_int_user_metrics__video_agree_with_each_other.sql", "select 1 where false")
    sql = """
with metrics as (

    select * from {{{{ ref('int_user_metrics') }}}}

),

video as (

    select * from {{{{ ref('int_user_metrics__video') }}}}

),

final as (

    select
        metrics.as_of_date,
        metrics.user_id,
        {viewer} as viewer
    from metrics
    left join video
        on metrics.as_of_date = video.as_of_date and metrics.user_id = video.user_id

)

select * from final
"""
    flags, partial = {"viewer": ""}, {"coverage": "partial"}
    project.add("checked", flags, sql=sql.format(viewer="coalesce(video.videos_28d, 0) >= 3"), **partial)
    assert project.verdict().proven
    project.write("models/segments/seg_checked.sql", sql.format(viewer="video.videos_28d >= 3"))
    assert "viewer can be null" in project.verdict().failures[0].line
    inner = sql.format(viewer="videos_28d >= 3").replace("left join", "inner join")
    project.write("models/segments/seg_checked.sql", inner)
    lines = [failure.line for failure in project.verdict().failures]
    assert len(lines) == 1 and "leaves out users of the population" in lines[0]


WRONG_FORMS = {
    "a where after the flags": (("select * from final", "select * from final where not often"), "end the file in"),
    "a sample of the metrics": (("from metrics\n", "from metrics tablesample 10 percent\n"), "is no import CTE"),
    "a sample in the import": (
        ("{{ ref('int_user_metrics') }}", "{{ ref('int_user_metrics') }} tablesample 10 percent"),
        "does more than import"),
    "columns that a CTE renames": (
        ("with metrics as", "with metrics (as_of_date, user_id, country) as"), "renames its columns"),
    "another column for the key": (("        user_id,", "        plan as user_id,"), "the first two are"),
    "nothing to read from": (("    from metrics\n", ""), "reads nothing"),
    "a case in the where": (
        ("    select * from {{ ref('int_user_metrics') }}", "    select * from {{ ref('int_user_metrics') }}\n"
         "    where case when days_since_first_active >= 0 then true else false end"), "has a case"),
    "a computed threshold in the where": (
        ("    from metrics\n", "    from metrics\n    where days_since_first_active >= 1 - 1\n"), "is no literal"),
    "a threshold that is chosen": (("active_days_28d >= 14", "active_days_28d >= coalesce(14, 3)"), "is no literal"),
    "a group": (("    from metrics\n", "    from metrics\n    group by all\n"), "groups, orders or limits"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_FORMS)
def test_nothing_is_proven_of_another_form_than_a_set_has(project, name):
    (old, new), words = WRONG_FORMS[name]
    project.add("checked", BANDS)
    replace_in(project.folder / "models/segments/seg_checked.sql", [(old, new)])
    [line] = project.errors()
    assert line.startswith("models/segments/seg_checked.sql") and words in line


JOINS = {
    "left join video on metrics.as_of_date = video.as_of_date and metrics.user_id = video.user_id and video.n > 3":
        "on as_of_date and user_id, and on nothing else",
    "left join video on metrics.as_of_date = video.as_of_date or metrics.user_id = video.user_id":
        "on as_of_date and user_id, and on nothing else",
    "left join video on metrics.user_id = metrics.user_id and metrics.as_of_date = video.as_of_date":
        "on as_of_date and user_id, and on nothing else",
    "left join video on metrics.user_id = video.user_id": "on as_of_date and user_id, and on nothing else",
    "anti join video on metrics.as_of_date = video.as_of_date and metrics.user_id = video.user_id":
        "only inner and left joins",
    "cross join video": "only inner and left joins",
    "right join video on metrics.as_of_date = video.as_of_date and metrics.user_id = video.user_id":
        "only inner and left joins",
    "left join video using (as_of_date, user_id)": "only inner and left joins",
}  # fmt: skip


@pytest.mark.parametrize("join", JOINS)
def test_a_join_by_anything_but_the_keys_is_refused(project, join):
    project.add("checked", {"often": "metrics.active_days_28d >= 14"}, coverage="partial")
    replace_in(project.folder / "models/segments/seg_checked.sql", [
        ("final as (", "video as (\n\n    select * from {{ ref('int_user_metrics') }}\n\n),\n\nfinal as ("),
        ("        as_of_date,\n        user_id,", "        metrics.as_of_date,\n        metrics.user_id,"),
        ("    from metrics\n", f"    from metrics\n    {join}\n"),
    ])  # fmt: skip
    [line] = project.errors()
    assert JOINS[join] in line


NOT_PROVEN = {
    "texts that are joined": ({"dead": "coalesce(plan, '') || 'x' = 'pro'"}, "outside of what can be proven"),
    "a double against a decimal": ({"a": "avg_session_minutes_28d >= revenue_28d"}, "compares a double with a decimal"),
    "a double that looks exact": ({"a": "revenue_28d + 3e-1 > 7"}, "computes with what is no exact number"),
    "more than the type holds": ({"a": "active_days_28d < 3000000000"}, ""),
    "a product too large for its type": ({"a": "days_since_first_active * 1000000 > 7"}, ""),
    "a day that DuckDB does not read": ({"a": "signed_up_on > date '20240301'"}, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_PROVEN)
def test_what_the_engine_sees_otherwise_is_not_proven(project, name):
    flags, words = NOT_PROVEN[name]
    project.add("checked", flags, coverage="partial", overlap="overlapping")
    verdict = project.verdict()
    assert not verdict.proven
    assert any(words in failure.line for failure in verdict.failures)


def test_the_last_day_of_the_calendar_and_the_keys_are_no_trouble(project):
    project.add("checked", {"old": "coalesce(signed_up_on, date '9999-12-31') < date '2024-01-01'"}, coverage="partial")
    project.add("dated", {"new": "as_of_date >= date '2024-01-01'"}, coverage="partial")
    verdicts, errors = judge(project.folder, [], TODAY)
    assert errors == [] and all(verdict.proven for verdict in verdicts), verdicts


def test_two_files_of_one_name_and_a_flag_described_twice_are_refused(project):
    project.add("checked", BANDS)
    project.write("models/segments/sub/seg_checked.sql", "select 1")
    assert any("two sets of one name" in line for line in project.errors())
    (project.folder / "models/segments/sub/seg_checked.sql").unlink()
    path = project.folder / "models/segments/_seg_checked.yml"
    documents = yaml.safe_load(path.read_text())
    documents["models"][0]["columns"].append(documents["models"][0]["columns"][-1])
    path.write_text(yaml.safe_dump(documents))
    assert project.errors() == ["models/segments/_seg_checked.yml: never is described twice; keep one"]


@pytest.mark.parametrize(
    "text",
    ["models: {}", "- a list", "models: [{name: seg_checked, config: {meta: [x]}}]",
     "models: [{name: seg_checked, config: {meta: {segment_set: x}}}]",
     "models: [{name: seg_checked, columns: [a], config: {meta: {segment_set: {name: checked, kind: flags, "
     "overlap: exclusive, coverage: total, population: {sql: 'active_days_28d >= 0'}}}}}]",
     "models: [{name: seg_checked, config: {meta: {segment_set: {name: checked, kind: flags, overlap: exclusive, "
     "coverage: total, population: all}}}}]"],
)  # fmt: skip
def test_yaml_of_another_shape_is_one_line_and_other_sets_are_proven_all_the_same(project, text):
    project.add("checked", BANDS)
    project.add("fine", BANDS)
    project.write("models/segments/_seg_checked.yml", text)
    ran = run("--project", project.folder)
    assert ran.returncode == 1 and "Traceback" not in ran.stdout, ran.stdout
    assert "seg_checked" in ran.stdout


def test_a_file_that_names_no_set_is_an_error(project):
    project.add("checked", BANDS)
    ran = run("--project", project.folder, "models/segments/seg_chekced.sql")
    assert ran.returncode == 1 and "chekced: there is no such set" in ran.stdout


def test_facts_that_nothing_tests_are_refused(project):
    project.add("checked", BANDS)
    model = {"name": "int_user_metrics__video", "columns": [{"name": "videos_28d", "data_type": "integer"}],
             "config": {"meta": {"facts": {"videos": "videos_28d >= 0"}}}}  # fmt: skip
    project.write("models/intermediate/_video.yml", yaml.safe_dump({"models": [model]}))
    assert "nothing tests the facts of int_user_metrics__video" in project.errors()[0]


# What is refused ----------------------------------------------------------------------------------------------------

REFUSED = {
    "case when active_days_28d > 1 then true else false end": "has a case",
    "{{ var('x') }} > active_days_28d": "Jinja other than ref()",
    "active_days_28d >= 3 + 4": "3 + 4 is no literal",
    "active_days_28d >= (select 7)": "computes over rows",
    "signed_up_on < current_date": "reads CURRENT_DATE",
    "7 > 3": "compares no metric",
    "active_days_28d >= ": "no SQL that can be read",
    "rank() over (order by active_days_28d) < 10": "computes over rows",
}
UNDECIDED = {
    "plan like 'pro%'": "plan LIKE 'pro%' is outside of what can be proven",
    "plan not like 'pro%'": "outside of what can be proven",
    "lower(plan) = 'pro'": "LOWER(plan) is outside of what can be proven",
    "active_days_28d % 2 = 0": "outside of what can be proven",
    "active_days_28d * active_days_7d > 9": "multiplies two metrics",
    "avg_session_minutes_28d + 1 > 3": "computes with what is no exact number",
    "plan > 'a'": "compares text",
    "active_days_28d = 'often'": "compares text with whole",
    "days_since_lost > 3": "days_since_lost is no column of metrics; is it days_since_last",
    "active_days_28d": "is no condition",
    "cast(active_days_28d as varchar) = '3'": "outside of what can be proven",
    "active_days_28d in (select 1)": "computes over rows",
}


@pytest.mark.parametrize("condition", REFUSED)
def test_what_a_definition_may_not_contain_is_one_line_with_file_and_line(project, condition):
    project.add("checked", {"flag": condition})
    [line] = project.errors()
    assert line.startswith("models/segments/seg_checked.sql:1") and REFUSED[condition] in line


@pytest.mark.parametrize("condition", UNDECIDED)
def test_what_cannot_be_decided_is_named_and_never_passed(project, condition):
    project.add("checked", {"flag": condition}, coverage="partial")
    verdicts, errors = judge(project.folder, [], TODAY)
    said = [failure.line for verdict in verdicts for failure in verdict.failures] + errors
    assert len(said) == 1 and UNDECIDED[condition] in said[0], said
    assert said[0].startswith("models/segments/seg_checked.sql:13")


def test_a_set_never_disappears(project):
    project.add("checked", BANDS)
    project.write("models/segments/seg_stray.sql", "select 1")
    assert "the set is not listed" in project.errors()[0]
    (project.folder / "models/segments/seg_stray.sql").unlink()
    (project.folder / "models/segments/seg_checked.sql").rename(project.folder / "models/segments/seg_other.sql")
    assert any("there is no models/segments/seg_checked.sql" in line for line in project.errors())


def test_flags_without_yaml_and_yaml_without_flags_are_named_with_their_lines(project):
    project.add("checked", BANDS)
    path = project.folder / "models/segments/_seg_checked.yml"
    described = yaml.safe_load(path.read_text())
    gone = described["models"][0]["columns"].pop()
    path.write_text(yaml.safe_dump(described))
    assert project.errors() == [
        "models/segments/seg_checked.sql:17: never is not described; add it to columns in "
        "models/segments/_seg_checked.yml"
    ]
    described["models"][0]["columns"] += [gone, {"name": "extra", "data_type": "boolean"}]
    path.write_text(yaml.safe_dump(described))
    assert project.errors()[0].endswith(
        "models/segments/seg_checked.sql has no column extra; add it there, or remove it here"
    )


def test_two_sets_of_one_name_are_refused(project):
    project.add("checked", BANDS)
    project.write("dbt_project.yml", "vars: {segment_sets: [checked, checked]}\n")
    assert project.errors() == ["dbt_project.yml: vars.segment_sets lists checked twice; keep one line"]


def test_yaml_that_cannot_be_read_is_one_line(project):
    project.add("checked", BANDS)
    project.write("models/segments/_seg_checked.yml", "models: [\n")
    assert project.errors()[0].startswith("models/segments/_seg_checked.yml:2: no YAML that can be read")


# The prover and DuckDB ----------------------------------------------------------------------------------------------

VALUES = {
    "whole": st.none() | st.integers(-3, 9),
    "money": st.none() | st.decimals(-2, 5, places=2, allow_nan=False),
    "word": st.none() | st.sampled_from(["a", "b", "c", ""]),
    "day": st.none() | st.dates(min_value=date(2024, 2, 27), max_value=date(2024, 3, 2)),
    "yes": st.none() | st.booleans(),
}
TYPES = {
    "whole": "integer",
    "other": "integer",
    "money": "decimal(18, 4)",
    "word": "string",
    "day": "date",
    "yes": "boolean",
}
NUMBER = st.sampled_from(["whole", "other", "money", "3", "-1", "2.5", "null", "2 * whole", "whole + other",
"other - 1",
                          "coalesce(whole, 0)", "-other"])  # fmt: skip
TEXT = st.sampled_from(["word", "'a'", "'b'", "null", "coalesce(word, 'a')"])
DAY = st.sampled_from(["day", "date '2024-02-29'", "cast('2024-03-01' as date)"])
SIGN = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
SAME = st.sampled_from(["=", "<>", "is distinct from", "is not distinct from"])
ATOM = st.one_of(
    st.builds("{} {} {}".format, NUMBER, SIGN, NUMBER),
    st.builds("{} {} {}".format, NUMBER, SAME, NUMBER),
    st.builds("{} {} {}".format, TEXT, SAME, TEXT),
    st.builds("{} {} {}".format, DAY, SIGN, DAY),
    st.builds("{} between {} and {}".format, NUMBER, NUMBER, NUMBER),
    st.builds("{} not between {} and {}".format, NUMBER, NUMBER, NUMBER),
    st.builds("{} in ({})".format, st.sampled_from(["whole", "money"]), st.sampled_from(["1, 2", "3, null", "-1"])),
    st.builds("word {} ({})".format, st.sampled_from(["in", "not in"]), st.sampled_from(["'a', 'b'", "'c', null"])),
    st.builds(
        "{} {}".format, st.sampled_from(["whole", "word", "day", "yes"]), st.sampled_from(["is null", "is not null"])
    ),
    st.sampled_from(
        ["yes", "yes is true", "yes is not false", "true", "(whole > 1) = (other > 1)", "coalesce(whole > 1, yes)"]
    ),
)
CONDITION = st.recursive(
    ATOM,
    lambda inner: st.one_of(
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("not ({})".format, inner),
        st.builds("coalesce({}, false)".format, inner.map(lambda text: f"({text})")),
    ),
    max_leaves=6,
)
POINT = st.fixed_dictionaries({**VALUES, "other": VALUES["whole"]})
ENGINE = duckdb.connect()


@settings(max_examples=400, deadline=None)
@given(condition=CONDITION, point=POINT)
def test_any_condition_means_to_the_prover_what_it_means_to_duckdb(condition, point):
    def sql(name):
        value = point[name]
        text = "null" if value is None else f"'{value}'" if name in ("word", "day") else str(value).lower()
        return f"cast({text} as {TYPES[name].replace('string', 'varchar')}) as {name}"

    [(said,)] = ENGINE.execute(f"select {condition} from (select {', '.join(map(sql, TYPES))})").fetchall()
    row = Row({"metrics": TYPES})
    meaning = truth(parse_condition(condition, "here"), row)
    solver = z3.Solver()
    for name, value in point.items():
        column = row.column(exp.column(name))
        if isinstance(column, Truth):
            solver.add(column.is_null if value is None else column.is_true if value else column.is_false)
        elif value is None:
            solver.add(column.is_null)
        else:
            term = (
                row.text(value).term
                if name == "word"
                else value.toordinal()
                if name == "day"
                else z3.RealVal(str(value))
            )
            solver.add(z3.Not(column.is_null), column.term == term)
    assert solver.check() == z3.sat
    goal = meaning.is_null if said is None else meaning.is_true if said else meaning.is_false
    solver.add(z3.Not(goal))
    assert solver.check() == z3.unsat, (condition, point, said)


def test_a_prover_that_is_wrong_is_found_by_duckdb(project, monkeypatch):
    wrong = comparison(lambda left, right: left > right, True)
    monkeypatch.setitem(MEANINGS, exp.GTE, wrong)
    project.add("checked", {"often": "active_days_28d >= 14", "seldom": "active_days_28d <= 14"})
    verdict = project.verdict()
    assert not verdict.proven and "DuckDB" in verdict.failures[0].line


# The program --------------------------------------------------------------------------------------------------------


def run(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, str(PROJECT / "tools" / "prove.py"), *map(str, arguments)]
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_the_sets_of_the_project_are_proven():
    ran = run()
    assert ran.returncode == 0, ran.stdout
    listed = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["segment_sets"]
    assert ran.stdout.endswith(f"{len(listed)} of {len(listed)} sets proven.\n")
    assert "would be the same without" not in ran.stdout


def test_the_exit_code_and_the_lines_say_what_is_wrong(project):
    project.add("checked", {**BANDS, "seldom": "active_days_28d between 1 and 14"})
    project.add("fine", BANDS)
    ran = run("--project", project.folder)
    assert ran.returncode == 1
    assert "seg_fine: never null, none dead, exclusive, total" in ran.stdout
    assert ran.stdout.endswith("1 of 2 sets proven.\n")
    assert run("--project", project.folder, project.folder / "models/segments/seg_fine.sql").returncode == 0
    told = json.loads(run("--project", project.folder, "--json").stdout)
    assert [found["proven"] for found in told["sets"]] == [False, True]


def test_the_prover_refuses_what_it_does_not_know():
    with pytest.raises(Undecidable):
        truth(
            exp.Like(this=exp.column("word"), expression=exp.Literal.string("a"), negate=True), Row({"metrics": TYPES})
        )


# What is declared ---------------------------------------------------------------------------------------------------


def edited(project: Project, change) -> list[str]:
    """The failures of the set once `change` was made to what its YAML says of it."""
    path = project.folder / "models/segments/_seg_checked.yml"
    documents = yaml.safe_load(path.read_text())
    change(documents["models"][0])
    path.write_text(yaml.safe_dump(documents, sort_keys=False))
    verdict = project.verdict()
    return [failure.line for failure in verdict.failures]


def set_meta(model):
    return model["config"]["meta"]["segment_set"]


def flag_meta(model):
    return model["columns"][2]["config"]["meta"]


MISSING = {
    "objective": lambda model: set_meta(model).pop("objective"),
    "owner": lambda model: set_meta(model).update(owner=" "),
    "review_by": lambda model: set_meta(model).update(review_by="soon"),
    "population.description": lambda model: set_meta(model)["population"].update(description=""),
    "description": lambda model: model["columns"][2].update(description=None),
    "rationale": lambda model: flag_meta(model).pop("rationale"),
    "action": lambda model: flag_meta(model).update(action=""),
    "since": lambda model: flag_meta(model).update(since="spring"),
}


@pytest.mark.parametrize("key", MISSING)
def test_what_a_set_does_not_declare_is_named_with_its_line(project, key):
    project.add("checked", BANDS)
    [line] = edited(project, MISSING[key])
    assert line.startswith("models/segments/_seg_checked.yml:") and key in line


@pytest.mark.parametrize(
    ("today", "failures", "warnings"),
    [("2027-05-30", 0, 0), ("2027-05-31", 0, 1), ("2027-06-30", 0, 1), ("2027-07-30", 0, 1), ("2027-07-31", 1, 0)],
)
def test_a_review_is_a_warning_30_days_before_its_day_and_a_failure_30_days_after(project, today, failures, warnings):
    project.add("checked", BANDS)
    [verdict], _ = judge(project.folder, [], date.fromisoformat(today))
    assert (len(verdict.failures), len(verdict.notes)) == (failures, warnings)
    assert all("due on 2027-06-30" in line for line in (*verdict.notes, *(found.line for found in verdict.failures)))


# Sensitive columns --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """The project, with a metric that is made of the year of birth two models upstream."""
    folder = tmp_path_factory.mktemp("copied") / "project"
    for name in ("models", "macros", "tests/generic", "tests/singular"):
        shutil.copytree(PROJECT / name, folder / name)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / name, folder / name)
    replace_in(folder / "models/intermediate/int_user_traits.sql", [
        ("        users.plan,\n", "        users.plan,\n        2026 - users.birth_year as generation,\n"),
        ("        person_key,\n        plan,\n", "        person_key,\n        plan,\n        generation,\n"),
    ])  # fmt: skip
    replace_in(folder / "models/intermediate/int_user_metrics.sql", [
        ("        traits.plan,\n", "        traits.plan,\n        traits.generation as ripeness,\n"),
    ])  # fmt: skip
    replace_in(folder / "models/intermediate/_intermediate__models.yml", [
        ("      - name: plan\n        data_type: string\n", "      - name: ripeness\n        data_type: integer\n"
         "        description: How ripe.\n      - name: plan\n        data_type: string\n"),
    ])  # fmt: skip
    replace_in(folder / "models/segments/seg_support.sql", [
        (
            "errors_28d >= 3 as technical_trouble",
            "errors_28d >= 3\n        and coalesce(ripeness, 0) > 40 as technical_trouble",
        ),
    ])  # fmt: skip
    return folder


def replace_in(file: Path, changes: list[tuple[str, str]]) -> None:
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, (file, old, text.count(old))
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def test_a_sensitive_column_two_models_upstream_is_found_and_may_be_exempted_with_a_reason(copied):
    ran = run("--project", copied)
    assert ran.returncode == 1, ran.stdout
    [line] = [line for line in ran.stdout.splitlines() if "rests on birth_year" in line]
    assert line.startswith("models/segments/seg_support.sql:19: technical_trouble rests on birth_year")
    assert "int_user_metrics.ripeness from int_user_traits.generation from stg_generic__users.birth_year" in line
    replace_in(copied / "models/segments/_seg_support.yml", [
        ("      - name: technical_trouble\n", "      - name: technical_trouble\n        # exempted\n"),
    ])  # fmt: skip
    documents = yaml.safe_load((copied / "models/segments/_seg_support.yml").read_text())
    column = next(column for column in documents["models"][0]["columns"] if column["name"] == "technical_trouble")
    column["config"]["meta"]["sensitive_exemption"] = "Agreed with the privacy officer: the help line is for them."
    (copied / "models/segments/_seg_support.yml").write_text(yaml.safe_dump(documents))
    assert "rests on birth_year" not in run("--project", copied).stdout


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        ("ntile(5) over (partition by plan order by birth_year)", {"plan", "birth_year"}),
        ("rank() over (order by birth_year)", {"birth_year"}),
        ("row_number() over (partition by user_id order by birth_year)", set()),
        ("first_value(plan) over (order by birth_year)", {"plan"}),
        ("case when birth_year > 1990 then plan end", {"plan", "birth_year"}),
    ],
)
def test_the_order_of_a_window_counts_where_it_is_part_of_the_value(expression, columns):
    assert {column.name for column in meant(parse_one(expression, dialect="duckdb"))} == columns


def test_a_sensitive_metric_is_found_by_its_own_name(copied):
    listed = copied / "dbt_project.yml"
    text = listed.read_text()
    listed.write_text(text.replace("sensitive_columns: [gender,", "sensitive_columns: [errors_28d, gender,"))
    ran = run("--project", copied, copied / "models/segments/seg_support.sql")
    listed.write_text(text)
    assert "silent_sufferer rests on errors_28d" in ran.stdout


def test_metrics_that_dbt_cannot_compile_are_one_line(copied):
    broken = copied / "models/intermediate/int_user_metrics.sql"
    text = broken.read_text()
    broken.write_text(text.replace("ref('int_person_states')", "ref('int_nobody')"))
    ran = run("--project", copied)
    broken.write_text(text)
    assert ran.returncode == 1 and ran.stdout.startswith("dbt cannot compile the metrics: ")
    assert "int_nobody" in ran.stdout.splitlines()[0]
