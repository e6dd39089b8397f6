"""The project as a whole: what its YAML promises, the commands that people type, what CI runs, no clock and no dice,
and engines that differ in one folder alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import pytest
import test_health
import test_input_health
import test_marts
import test_segment_tests_can_fail
import yaml
from conftest import PROJECT, Run, run_program

# What was agreed of each set (overlap, coverage). A new set needs no line here; these are not changed in passing.
AGREED = {
    "lifecycle": ("exclusive", "total"),
    "engagement": ("exclusive", "total"),
    "purchase_frequency": ("exclusive", "total"),
    "rfm": ("exclusive", "total"),
    "cart": ("overlapping", "partial"),
    "support": ("overlapping", "partial"),
    "journey": ("exclusive", "total"),
    "core_workflow": ("exclusive", "total"),
    "attitude": ("exclusive", "total"),
    "monetization": ("overlapping", "partial"),
    "prompt_response": ("exclusive", "total"),
    "contact_pressure": ("overlapping", "partial"),
    "platform": ("exclusive", "total"),
    "geography_device": ("exclusive", "total"),
    "session_depth": ("exclusive", "total"),
    "content_affinity": ("exclusive", "total"),
    "shopping_interest": ("exclusive", "total"),
    "search_interest": ("exclusive", "total"),
    "value_tier": ("exclusive", "total"),
    "plan": ("exclusive", "total"),
    "channel": ("exclusive", "total"),
    "language": ("exclusive", "total"),
    "country": ("exclusive", "total"),
    "device": ("exclusive", "total"),
    "signup_cohort": ("exclusive", "total"),
}
OF_A_SET = ("name", "kind", "overlap", "coverage", "objective", "owner", "review_by")
OF_A_POPULATION = ("description", "sql")
OF_A_SEGMENT = ("rationale", "action", "since")

# The generic tests for which a case in pytest makes them fail. Another one has its name here when it has its case.
SEEN_TO_FAIL = {test_segment_tests_can_fail.TEST, test_marts.KEY_TEST, test_health.TEST, test_input_health.TEST}

# What Jinja knows of the clock and the dice, besides the words that lint blocks in SQL.
CLOCKS_OF_JINJA = ("run_started_at", "modules.datetime", "invocation_id")


@pytest.fixture(scope="module")
def typed(dbt, built_sample, tmp_path_factory) -> Callable[..., Run]:
    """`typed("test")` runs dbt as a person types it, on a copy of the built sample."""
    copy = shutil.copy(built_sample, tmp_path_factory.mktemp("typed") / built_sample.name)
    return lambda *arguments: dbt(*arguments, env={"WAREHOUSE": copy})


@pytest.fixture(scope="module")
def nodes(typed, clean_env) -> list[dict]:
    """All that dbt knows of the project's models and tests."""
    parsed = typed("parse")
    assert parsed.code == 0, parsed.output
    manifest = Path(clean_env["DBT_TARGET_PATH"]) / "manifest.json"
    return list(json.loads(manifest.read_text("utf-8"))["nodes"].values())


def models_of(nodes: list[dict], *layers: str) -> list[dict]:
    """The models in these folders of models/, of which there has to be one at least in each."""
    models = [node for node in nodes if node["resource_type"] == "model"]
    found = [[node for node in models if node["path"].startswith(f"{layer}/")] for layer in layers]
    assert all(found)
    return sum(found, [])


def said_of_sets(nodes: list[dict]) -> dict[str, dict]:
    """What the YAML of each model in models/segments says of its set, by the name of the model."""
    return {node["name"]: node["config"]["meta"].get("segment_set") or {} for node in models_of(nodes, "segments")}


# What YAML promises.


def test_what_others_read_has_an_enforced_contract(nodes):
    metrics = [node for node in models_of(nodes, "intermediate") if node["name"] == "int_user_metrics"]
    promised = [*models_of(nodes, "marts", "segments"), *metrics]
    assert metrics
    assert [node["name"] for node in promised if not node["config"]["contract"]["enforced"]] == []


def test_every_model_and_column_that_others_read_is_described(nodes):
    models = models_of(nodes, "marts", "segments")
    described = {node["name"]: node["description"] for node in models} | {
        f"{node['name']}.{column['name']}": column["description"]
        for node in models
        for column in node["columns"].values()
    }
    assert [name for name, description in described.items() if not description.strip()] == []


def test_every_mart_and_set_has_one_yaml_file_beside_it(nodes):
    models = models_of(nodes, "marts", "segments")
    expected = {node["name"]: re.sub(r"(\w+)\.sql$", r"_\1.yml", node["original_file_path"]) for node in models}
    assert {node["name"]: (node["patch_path"] or "").split("://")[-1] for node in models} == expected


def test_the_sets_are_what_was_agreed(nodes):
    declared = {
        name.removeprefix("seg_"): (said.get("overlap"), said.get("coverage"))
        for name, said in said_of_sets(nodes).items()
    }
    assert {name: declared.get(name) for name in AGREED} == AGREED


def test_every_set_and_segment_says_what_a_reviewer_has_to_know(nodes):
    said = {}
    for name, of_set in said_of_sets(nodes).items():
        said |= {f"{name}: {key}": of_set.get(key) for key in OF_A_SET}
        said |= {f"{name}: population.{key}": (of_set.get("population") or {}).get(key) for key in OF_A_POPULATION}
    for node in models_of(nodes, "segments"):
        for column in node["columns"].values():
            if column["name"] not in ("as_of_date", "user_id"):
                said[f"{node['name']}.{column['name']}: description"] = column["description"]
                for key in OF_A_SEGMENT:
                    said[f"{node['name']}.{column['name']}: {key}"] = column["config"]["meta"].get(key)
    assert [where for where, value in said.items() if not str(value or "").strip()] == []


def test_every_generic_test_is_seen_to_fail(nodes, project):
    used = {node["test_metadata"]["name"] for node in nodes if node.get("test_metadata")}
    assert used == SEEN_TO_FAIL
    assert {path.stem for path in (project / "tests" / "generic").glob("*.sql")} <= used


# Commands that people type.


def results_of(clean_env: dict[str, str]) -> dict[str, str]:
    """How each model and test of the last dbt command ended, by its id."""
    written = Path(clean_env["DBT_TARGET_PATH"]) / "run_results.json"
    ended = {one["unique_id"]: one["status"] for one in json.loads(written.read_text("utf-8"))["results"]}
    # Neither what runs before all of them (on-run-start), nor exposures, for which nothing runs.
    return {node: status for node, status in ended.items() if not node.startswith(("operation.", "exposure."))}


def test_build_of_one_set_and_what_reads_it(typed, clean_env):
    ran = typed("build", "--select", "seg_lifecycle+")
    assert ran.code == 0, ran.output
    results = results_of(clean_env)
    models = {node.split(".")[-1] for node in results if node.startswith("model.")}
    of_membership = {path.stem for path in (PROJECT / "models" / "membership").glob("*.sql")}
    assert models == {"seg_lifecycle", *of_membership, *test_marts.MARTS}
    assert any(node.startswith("test.user_segments.segment_set_is_valid_seg_lifecycle_") for node in results)
    assert set(results.values()) == {"success", "pass"}


def test_an_edited_model_is_built_anew_and_what_it_reads_stays(built_sample, clean_env, tmp_path):
    copy = tmp_path / "project"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "target", "logs", "*.duckdb*"))
    warehouse = shutil.copy(built_sample, tmp_path / built_sample.name)
    seeds = PROJECT / "seeds"
    env = clean_env | {
        "WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(tmp_path / "target"),
        "RAW_DATA": str(seeds / "sample"), "TAXONOMY": str(seeds / "event_taxonomy.csv"),
    }  # fmt: skip
    program = str(Path(sys.executable).with_name("dbt"))
    edited = copy / "models" / "intermediate" / "int_user_totals.sql"
    counted = "count(case when window_days <= {} then 1 end) as active_days_28d"
    text = edited.read_text("utf-8")
    assert counted.format(28) in text
    edited.write_text(text.replace(counted.format(28), counted.format(7)), "utf-8")
    # Stored models that are not asked for have to be there still.
    ran = run_program([program, "run", "--select", "int_user_totals+"], env, copy)
    assert ran.code == 0, ran.output
    days = "select count(*), count(distinct active_days_7d) from intermediate.int_user_metrics where active_days_28d "
    ((same, kinds),) = ran.rows(days + "= active_days_7d")
    assert same > 500 and kinds > 3 and ran.rows(days + "<> active_days_7d") == [(0, 0)]
    # What all others are made of: everything is built anew, in a warehouse that has a history.
    first = copy / "models" / "intermediate" / "int_half_hours.sql"
    first.write_text(first.read_text("utf-8") + "-- Another version.\n", "utf-8")
    ran = run_program([program, "run"], env, copy)
    assert ran.code == 0, ran.output


def test_test_runs_all_tests_and_nothing_else(typed, clean_env, nodes):
    ran = typed("test")
    assert ran.code == 0, ran.output
    results = results_of(clean_env)
    assert set(results.values()) == {"pass"}
    assert {node.split(".")[0] for node in results} == {"test", "unit_test"}
    assert {node["unique_id"] for node in nodes if node["resource_type"] == "test"} <= set(results)


def test_compile_writes_the_sql_of_every_model(typed, clean_env, nodes):
    folder = Path(clean_env["DBT_TARGET_PATH"]) / "compiled"
    shutil.rmtree(folder, ignore_errors=True)
    ran = typed("compile")
    assert ran.code == 0, ran.output
    models = [node for node in nodes if node["resource_type"] == "model"]
    written = [folder / "user_segments" / node["original_file_path"] for node in models]
    assert [path.stem for path in written if not path.exists() or "{{" in path.read_text("utf-8")] == []


def test_the_documentation_is_one_file(typed, tmp_path):
    ran = typed("docs", "generate", "--static", "--target-path", str(tmp_path))
    assert ran.code == 0, ran.output
    page = (tmp_path / "static_index.html").read_text("utf-8")
    assert re.findall(r"<script[^>]+src=[^>]*>|<link[^>]+stylesheet[^>]*>", page) == [], "a file that it needs"

    def inside(name: str) -> dict:
        """The JSON of that name that dbt wrote into the page."""
        start = page.index(f'{name}:{{"metadata"') + len(f"{name}:")
        return json.JSONDecoder().raw_decode(page, start)[0]["nodes"]["model.user_segments.dim_users"]

    assert "One row a user" in inside("manifest")["description"]
    assert {"user_id", "lifecycle"} <= set(inside("catalog")["columns"])


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Auckland"])
def test_dbts_own_tests_pass_in_a_project_with_settings_of_its_own(dbt, zone):
    settings = {
        "timezone": zone, "week_start": "sunday", "event_retention_days": 120, "currency": "JPY", "min_segment_size": 50,
        "stickiness_periods": {"day": 7, "week": 4, "month": 3}, "monthly_activity_threshold": 2,
    }  # fmt: skip
    ran = dbt("build", "--vars", json.dumps(settings))
    assert ran.code == 0, ran.output


# What CI runs.


def make_would_run(*asked: str) -> str:
    """The commands of a make target, none of which is run; variables may follow on it."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "TARGET")}
    ask = ["make", "--dry-run", *asked]
    return subprocess.run(ask, cwd=PROJECT, env=env, check=True, text=True, stdout=subprocess.PIPE).stdout


def test_make_test_lints_then_proves_then_runs_pytest_then_builds_in_a_throw_away_warehouse():
    in_order = r"/sqlfluff lint models\b.*/python tools/prove\.py\n.*/python -m pytest\b.*\bWAREHOUSE=target/test/\S+ .*/dbt .*\bbuild\n"
    assert re.search(in_order, make_would_run("test"), re.DOTALL)


def test_make_docs_writes_the_one_file():
    for asked, target in (([], "duckdb"), (["TARGET=postgres"], "postgres"), (["TARGET=spark"], "spark")):
        assert f'/dbt --quiet docs generate --static --target "{target}"\n' in make_would_run("docs", *asked)


@pytest.mark.parametrize(
    ("verb", "asked", "target", "program"),
    [
        ("load", [], "postgres", "load"),
        ("load", ["TARGET=spark"], "spark", "load"),
        ("load", ["TARGET=oracle"], "oracle", "load"),
        ("run", [], '""', "run"),
        *(
            (verb, [f"TARGET={target}"], f'"{target}"', program)
            for target in ("postgres", "spark")
            for verb, program in (
                ("run", "run"), ("backfill", "backfill"), ("restate", "backfill"), ("as-of", "as_of"), ("diff", "diff")
            )
        ),
    ],
)
def test_a_verb_tells_its_program_the_engine(verb, asked, target, program):
    would_run = make_would_run(verb, *asked)
    assert re.search(rf"\bTARGET={re.escape(target)} \S+/python tools/{program}\.py\b", would_run)
    # What a program needs is installed before (a comparison of two versions needs no server); an engine that nobody
    # knows gets its line from the program.
    needed = {name for name in ("postgres", "spark") if name in target and verb != "diff"}
    # What Spark reads is written without it.
    needed -= {"spark"} if verb == "load" else set()
    would_install = make_would_run("--always-make", verb, *asked)
    assert {name for name in ("postgres", "spark") if f"requirements-{name}.txt" in would_install} == needed


def ci(project, tmp_path, make_fails: str = "", there: tuple[str, ...] = ()) -> tuple[int, list[str]]:
    """How .ci/run ends, and what it calls, where nothing is installed but `there`; one call of make may fail."""
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    for name in ("make", "apt-get", *there):
        program = tmp_path / name
        failing = f'[ "$*" = "{make_fails}" ] && exit 2' if make_fails else ""
        program.write_text(f'#!{shutil.which("sh")}\necho "{name} $*, in $(pwd)"\n{failing}\nexit 0\n', "utf-8")
        program.chmod(0o755)
    ended = subprocess.run(
        [str(tmp_path / "bash"), str(project / ".ci" / "run")], cwd=tmp_path, env={"PATH": str(tmp_path)}, text=True,
        stdout=subprocess.PIPE, timeout=60,
    )  # fmt: skip
    lines = ended.stdout.splitlines()
    assert all(line.endswith(f", in {project}") for line in lines)
    return ended.returncode, [line.partition(", in ")[0] for line in lines]


def test_ci_runs_make_test_in_the_project_and_then_those_of_the_servers(project, tmp_path):
    called = ["make test", "make test-postgres", "make test-spark"]
    assert ci(project, tmp_path, there=("pg_ctlcluster", "java")) == (0, called)


@pytest.mark.parametrize(("failing", "calls"), [("test", 1), ("test-postgres", 2), ("test-spark", 3)])
def test_ci_ends_with_what_fails_first(project, tmp_path, failing, calls):
    code, called = ci(project, tmp_path, failing, there=("pg_ctlcluster", "java"))
    assert code == 2 and len(called) == calls and called[-1] == f"make {failing}"


def test_ci_installs_what_a_machine_does_not_have(project, tmp_path):
    code, called = ci(project, tmp_path)
    installs = [call.split()[-1] for call in called if call.startswith("apt-get install")]
    assert code == 0 and installs == ["postgresql", "openjdk-17-jre-headless"]


def test_the_workflow_calls_what_people_call_on_both_systems(project):
    jobs = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]
    calls = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert calls["test"] == ["make test", "make run", "make docs"]
    assert jobs["test"]["runs-on"] == "${{ matrix.os }}"
    assert set(jobs["test"]["strategy"]["matrix"]["os"]) == {"ubuntu-latest", "macos-latest"}
    assert "3.10" in jobs["test"]["strategy"]["matrix"]["python"], "the oldest that make accepts"
    assert calls["postgres"][-1] == "make test-postgres"
    assert calls["spark"] == ["make test-spark"]


# No clock and no dice.


def test_no_clock_and_no_dice_where_lint_does_not_look(project):
    """sqlfluff reads neither macros nor generic tests, and passes over what Jinja writes into a model."""
    settings = ConfigParser(interpolation=None)
    settings.read(project / ".sqlfluff", "utf-8")
    blocked = settings["sqlfluff:rules:convention.blocked_words"]["blocked_words"].split(",")
    either = "|".join(re.escape(word.strip()) for word in [*blocked, *CLOCKS_OF_JINJA])
    words = re.compile(rf"\b({either})\b", re.IGNORECASE)
    comments = re.compile(r"{#.*?#}|(?:^|(?<=\s))-- [^\n]*", re.DOTALL | re.MULTILINE)
    found = {}
    for path in (path for folder in ("macros", "models", "tests") for path in (project / folder).rglob("*.sql")):
        if names := words.findall(comments.sub("", path.read_text("utf-8"))):
            found[path.relative_to(project).as_posix()] = names
    # The one clock there is: when an event does not say when it was received, the start of the run stands in.
    assert found == {"macros/run_started_at_utc.sql": ["run_started_at"]}


# Engines.


def test_engines_differ_in_one_folder_alone(project):
    """Whatever asks which engine it is on, elsewhere, is forgotten when another one comes."""
    asks = re.compile(r"\btarget\s*(?:\.\s*type\b|\[\s*['\"]type)|\badapter\s*\.\s*type\b", re.IGNORECASE)
    files = [
        path
        for folder in ("macros", "models", "tests")
        for path in (project / folder).rglob("*")
        if path.suffix in (".sql", ".yml", ".yaml") and path.parent != project / "macros" / "cross_db"
    ]
    assert len(files) > 50
    assert [str(path.relative_to(project)) for path in files if asks.search(path.read_text("utf-8"))] == []


def test_functions_of_one_engine_are_called_in_one_folder_alone(project):
    """Not all that there are: those that one has, others do not, and somebody wrote in passing."""
    functions = (
        "arg_max|arg_min|epoch|generate_series|hash|sha256|strptime|struct_pack|try_cast|unnest"
        "|collect_list|date_add|datediff|explode|get_json_object|inline|max_by|min_by|named_struct|unix_micros|xxhash64"
        "|strftime|to_char|date_format|date_part|datepart|date_diff|date_sub|make_date|string_agg|group_concat|array_agg"
        r"|listagg|regexp_\w+|list_\w+|array_\w+|median|quantile|quantile_cont|percentile_disc|percentile_approx"
        r"|approx_\w+|any_value|bool_or|bool_and|ifnull|nvl|iff|to_timestamp|to_date|from_unixtime|json_extract\w*"
        "|json_value|md5"
    )
    calls = re.compile(rf"(?<!\.)\b({functions})\s*\(|\(\s*from\s", re.IGNORECASE)
    cross_db = project / "macros" / "cross_db"
    found = {
        path.relative_to(project).as_posix(): calls.findall(path.read_text("utf-8"))
        for folder in ("macros", "models", "tests")
        for path in (project / folder).rglob("*.sql")
    }
    assert {path: names for path, names in found.items() if names and not path.startswith("macros/cross_db/")} == {}
    # That the search finds what is there.
    assert any(found[path.relative_to(project).as_posix()] for path in cross_db.glob("*.sql"))


def test_the_page_of_the_sets_lists_them_with_their_segments(project):
    page = (project / "docs" / "the_sets.md").read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    listed = {name: cells[-1] for cells in lines for name in re.findall(r"`(\w+)`", cells[0])}
    sets = yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["segment_sets"]
    assert sorted(listed) == sorted(sets)
    assert len(sets) == 25, "the page says twenty-five"
    for name in sets:
        written = (project / "models" / "segments" / f"_seg_{name}.yml").read_text(encoding="utf-8")
        columns = yaml.safe_load(written)["models"][0]["columns"]
        flags = [column["name"] for column in columns if column["data_type"] == "boolean"]
        assert not flags or sorted(listed[name].split(", ")) == sorted(flags), name
