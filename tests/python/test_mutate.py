"""Small mistakes in definitions are noticed, in this project and in general; and the unit tests fail here as in dbt."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mutate import changed
from segment_files import parse_condition, read_metrics, read_sets
from unit_tests import UnitTests

PROJECT = Path(__file__).resolve().parents[2]

NAMES = {"sessions_7d", "sessions_28d", "sessions_lifetime", "errors_28d", "plan"}


def run(project: Path, *files: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(PROJECT / "tools" / "mutate.py"), "--project", str(project), *files]
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_no_small_mistake_in_the_sets_of_the_project_goes_unnoticed():
    ran = run(PROJECT)
    assert ran.returncode == 0, ran.stdout
    listed = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["segment_sets"]
    lines = ran.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"seg_{name}" for name in listed]
    assert "survived" not in ran.stdout


@pytest.mark.parametrize(
    ("condition", "mistakes"),
    [
        ("sessions_7d >= 3", {
            "sessions_7d > 3", "sessions_7d >= (2)", "sessions_7d >= (4)", "sessions_28d >= 3",
            "sessions_lifetime >= 3",
        }),
        ("errors_28d = 0", {"errors_28d >= 0", "errors_28d <= 0", "errors_28d = (-1)", "errors_28d = (1)"}),
        ("errors_28d between 1 and 2", {
            f"errors_28d BETWEEN {low} AND {high}" for low, high in (("(0)", 2), ("(2)", 2), (1, "(1)"), (1, "(3)"))
        }),
        ("errors_28d <= 2.5", {"errors_28d < 2.5", "errors_28d <= 2.4", "errors_28d <= 2.6"}),
        ("plan is not null", {"(plan IS NULL)"}),
        ("plan = 'pro'", {"plan >= 'pro'", "plan <= 'pro'", "plan = 'something else'"}),
        ("errors_28d > 1 and plan is null", {
            "errors_28d >= 1 AND plan IS NULL", "errors_28d > (0) AND plan IS NULL",
            "errors_28d > (2) AND plan IS NULL",
            "(errors_28d > 1 OR plan IS NULL)", "errors_28d > 1", "plan IS NULL",
        }),
    ],
)  # fmt: skip
def test_every_small_mistake_is_made_once(condition, mistakes):
    made = [mistake.sql(dialect="duckdb") for _, mistake in changed(parse_condition(condition, "here"), NAMES)]
    assert sorted(made) == sorted(mistakes)


def test_and_for_or_keeps_what_belongs_together(condition="(errors_28d > 1 or plan is null) and sessions_7d > 0"):
    made = {mistake.sql(dialect="duckdb") for _, mistake in changed(parse_condition(condition, "here"), NAMES)}
    assert "((errors_28d > 1 AND plan IS NULL)) AND sessions_7d > 0" in made
    assert "((errors_28d > 1 OR plan IS NULL) OR sessions_7d > 0)" in made


@pytest.fixture
def project(tmp_path) -> Path:
    """The project with the set engagement alone."""
    for name in ("models", "macros", "seeds", "tests/generic", "tests/singular", "tools"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / name, tmp_path / name)
    settings = yaml.safe_load((tmp_path / "dbt_project.yml").read_text())
    settings["vars"]["segment_sets"] = ["engagement"]
    (tmp_path / "dbt_project.yml").write_text(yaml.safe_dump(settings))
    for file in (tmp_path / "models/segments").iterdir():
        if "engagement" not in file.name:
            file.unlink()
    return tmp_path


def without_rows_of(project: Path, *users: str) -> None:
    """Takes the rows of these users out of the unit test of the set."""
    file = project / "models/segments/_seg_engagement.yml"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not any(f" {user}," in line for user in users)]
    assert len(kept) == len(lines) - 2 * len(users)
    file.write_text("".join(kept), encoding="utf-8")


SURVIVOR = "active_days_28d BETWEEN (13) AND 20"


def overlapping(project: Path) -> None:
    """Declares the set so that the proof has nothing to hold against a mistake."""
    file = project / "models/segments/_seg_engagement.yml"
    text = file.read_text(encoding="utf-8")
    text = text.replace("overlap: exclusive", "overlap: overlapping").replace("coverage: total", "coverage: partial")
    file.write_text(text, encoding="utf-8")


def test_a_survivor_is_printed_with_its_file_and_line(project):
    overlapping(project)
    without_rows_of(project, "days 13", "days 14")
    ran = run(project)
    assert ran.returncode == 1
    assert f"models/segments/seg_engagement.sql:19: nothing notices regular: {SURVIVOR}\n" in ran.stdout


def test_the_proof_catches_what_the_unit_tests_of_an_exclusive_total_set_do_not(project):
    without_rows_of(project, "days 13", "days 14")
    ran = run(project)
    assert ran.returncode == 0, ran.stdout
    assert "caught by the proof" in ran.stdout


def test_a_mutant_is_accepted_with_a_reason_and_only_as_long_as_it_survives(project):
    overlapping(project)
    without_rows_of(project, "days 13", "days 14")
    file = project / "models/segments/_seg_engagement.yml"
    documents = yaml.safe_load(file.read_text())
    survivors = [line.rpartition(": ")[2] for line in run(project).stdout.splitlines() if "nothing notices" in line]
    meta = next(found for found in documents["models"][0]["columns"] if found["name"] == "regular")["config"]["meta"]
    meta["accepted_mutants"] = {sql: "Thirteen days or fourteen are the same to us." for sql in survivors}
    file.write_text(yaml.safe_dump(documents))
    ran = run(project)
    assert ran.returncode == 0 and f"{len(survivors)} accepted" in ran.stdout
    meta["accepted_mutants"][survivors[0]] = ""
    file.write_text(yaml.safe_dump(documents))
    assert "without a reason" in run(project).stdout
    meta["accepted_mutants"] = {"active_days_28d >= 3": "gone"} | dict.fromkeys(survivors, "a reason")
    file.write_text(yaml.safe_dump(documents))
    ran = run(project)
    assert ran.returncode == 1 and "accepted_mutants has active_days_28d >= 3, which is noticed" in ran.stdout


def test_a_set_that_fails_already_is_to_be_mended_first(project):
    file = project / "models/segments/seg_engagement.sql"
    file.write_text(file.read_text().replace("active_days_28d >= 21", "active_days_28d >= 22"))
    ran = run(project)
    assert ran.returncode == 1
    assert "seg_engagement: mend it first: unit test seg_engagement_on_each_side_of_every_line fails" in ran.stdout


def test_the_unit_tests_pass_and_fail_here_as_they_do_in_dbt(project, clean_env, built_sample):
    # dbt asks the warehouse for the columns of a unit test's input.
    warehouse = shutil.copy(built_sample, project / "warehouse.duckdb")
    own = {"WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(project / "target"), "DBT_PROJECT_DIR": str(project)}
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "test", "--select"]

    def in_dbt() -> str:
        ran = subprocess.run(
            [*command, "seg_engagement,test_type:unit"],
            cwd=project, env=clean_env | own, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return ran.stdout

    def here() -> list[str]:
        [found], errors = read_sets(project)
        assert errors == []
        return UnitTests(found, read_metrics(project)).failing(found)

    name = "seg_engagement_on_each_side_of_every_line"
    assert here() == []
    assert " WARN=0 ERROR=0 " in in_dbt()
    file = project / "models/segments/seg_engagement.sql"
    file.write_text(file.read_text().replace("active_days_28d between 7 and 13", "active_days_28d between 7 and 12"))
    assert here() == [name]
    told = in_dbt()
    assert " WARN=0 ERROR=1 " in told and name in told and "actual differs from expected" in told
