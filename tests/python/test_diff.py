"""Tests of tools/diff.py, what `make diff` calls, and of the operation segment_diff: who a change moves.

All of them work in copies of the project, each a git repository with one commit: the base. Numbers are counted anew
here, from the metrics of the base, by other SQL than the tool's.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import diff as diff_tool
import diff_markdown
import duckdb
import pytest
from conftest import Run, run_program
from diff_compare import Comparison, Example
from diff_markdown import Change, Version

NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "target", "logs", "*.duckdb*", "__pycache__", ".hypothesis", ".pytest_cache", "dbt_packages"
)
MARTS = (
    "exposures Segments in the messaging tools (activation_sync), How the product grows (product_dashboard), "
    "Segments at a glance (segment_dashboard)"
)


@pytest.fixture(scope="module")
def clone(project, tmp_path_factory) -> Path:
    """The project as it is now, committed: the base of all comparisons, which is built once."""
    return commit(Path(shutil.copytree(project, tmp_path_factory.mktemp("diff") / "project", ignore=NOT_COPIED)))


@pytest.fixture
def branch(clone) -> Path:
    """The clone without the changes of the test before."""
    git(clone, "reset", "--quiet", "--hard")
    git(clone, "clean", "--quiet", "-d", "--force")
    return clone


@pytest.fixture(scope="module")
def moved(clone, clean_env) -> Run:
    """A narrower segment that leaves a gap in an exclusive set, and a wider one in an overlapping set."""
    git(clone, "reset", "--quiet", "--hard")
    edit(clone, "models/segments/seg_engagement.sql", "active_days_28d >= 21 as core", "active_days_28d >= 24 as core")
    edit(clone, "models/segments/seg_support.sql", "errors_28d >= 3 as tech", "errors_28d >= 2 as tech")
    ran = diff(clone, clean_env)
    assert ran.code == 0, ran.output
    # Later tests build head anew.
    shutil.copytree(clone / "target", clone.parent / "moved")
    return ran


def git(folder: Path, *arguments: str) -> str:
    """What git prints in a folder. Raises where it fails."""
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> Path:
    """Puts all files of the folder into a new commit on main."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "base")
    return folder


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Replaces a text that is there once."""
    text = (folder / file).read_text(encoding="utf-8")
    assert text.count(old) == 1, (file, old)
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")


def diff(folder: Path, env: dict[str, str], base: str = "main") -> Run:
    """What `make diff` does; standard error, where progress goes, is part of the output."""
    return run_program([sys.executable, "tools/diff.py", "--base", base], env | {"WAREHOUSE": "none.duckdb"}, folder)


def markdown(folder: Path) -> str:
    """The comment for the pull request."""
    return (folder / "target" / "segment_diff.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """The part of the Markdown under a heading; the top under its title."""
    (found,) = re.findall(rf"^##? {re.escape(heading)}.*?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found


def cells(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose heading begins with a word."""
    tables = re.split(r"\n\n", text)
    (found,) = [part for part in tables if re.match(rf"\| {first} *\|", part.strip())]
    return [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in found.strip().splitlines()[2:]]


def asked(warehouse: Path, sql: str) -> list[tuple]:
    """What a query gives on a warehouse."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def of_base(clone: Path, sql: str) -> list[tuple]:
    """What a query on the metrics of base gives."""
    return asked(clone / "target/diff/base/warehouse.duckdb", sql.replace("metrics", "intermediate.int_user_metrics"))


# A threshold


def test_who_moves_by_a_threshold(clone, moved):
    text = (clone.parent / "moved/segment_diff.md").read_text()
    assert text in moved.output
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections == ["support", "engagement"]

    ((core, left, everybody),) = of_base(
        clone,
        "select sum((active_days_28d >= 21)::int), sum((active_days_28d in (21, 22, 23))::int), count(*) from metrics",
    )
    ((trouble, two_errors, both),) = of_base(
        clone,
        "select sum((errors_28d > 2)::int), sum((errors_28d = 2)::int), "
        "sum((errors_28d = 2 or active_days_28d in (21, 22, 23))::int) from metrics",
    )
    assert left > 0 and two_errors > 0
    top = section(text, "Segment diff: main (")
    assert f"**{both} users move**, in support, engagement." in top
    assert f"People: {everybody} before, {everybody} after.\n" in top
    assert cells(top, "set") == [
        ["support", "SQL", str(two_errors), "proven", "proven"],
        ["engagement", "SQL", str(left), "proven", "**not proven**"],
    ]

    engagement = section(text, "engagement")
    assert f"**{left} users move** in this set (exclusive, total).\nEdited: SQL.\n" in engagement
    assert "```diff\n@@ core @@\n- active_days_28d >= 21\n+ active_days_28d >= 24\n```" in engagement
    sizes = {row[0]: row[1:] for row in cells(engagement, "segment")}
    assert sizes["core"] == [str(core), str(core - left), f"-{left}", "0", str(left)]
    assert sizes["regular"][2:] == ["0", "0", "0"] and len(sizes) == 5
    assert cells(engagement, "from") == [["core", "(none)", str(left)]]
    assert "no flag is true for some users" in engagement
    assert "- read by models dim_segments, dim_users, " in engagement and MARTS in engagement

    support = section(text, "support")
    sizes = {row[0]: row[1:] for row in cells(support, "segment")}
    assert sizes["technical_trouble"] == [
        str(trouble), str(trouble + two_errors), f"+{two_errors}", str(two_errors), "0",
    ]  # fmt: skip
    assert "| from " not in re.sub(r"\| example.*", "", support)


def test_movers_beside_those_who_stay(clone, moved):
    text = (clone.parent / "moved/segment_diff.md").read_text()
    found = {row[0]: row[1:] for row in cells(section(text, "engagement"), "")}
    for word, condition in (("moved", "between 21 and 23"), ("stayed", "not between 21 and 23")):
        ((users, *averages),) = of_base(
            clone,
            "select count(*), avg(active_days_28d), avg(sessions_28d), avg(revenue_365d) from metrics "
            f"where active_days_28d {condition}",
        )
        assert found[word] == [str(users), *[f"{average:.2f}".rstrip("0").rstrip(".") for average in averages]]


def test_examples_are_hashes_that_the_warehouse_resolves(clone, moved):
    text = (clone.parent / "moved/segment_diff.md").read_text()
    (query,) = re.findall(r"```sql\n(.*)\n```", text)
    warehouse = clone.parent / "moved/diff/head/warehouse.duckdb"
    assert "`target/diff/head/warehouse.duckdb`" in text
    for name, metric in (("engagement", "active_days_28d"), ("support", "errors_28d")):
        examples = cells(section(text, name), "example")
        assert 0 < len(examples) <= 5
        for example, _, _, decides in examples:
            ((user,),) = asked(warehouse, query.replace("<example>", example))
            ((value,),) = asked(
                warehouse, f"select {metric} from intermediate.int_user_metrics where user_id = '{user}'"
            )
            assert decides == f"{metric} `{value}"
    ids = {row[0] for row in of_base(clone, "select user_id from metrics")}
    assert not ids & set(re.findall(r"[\w:.@-]+", text))


def test_what_a_comment_has_no_room_for_is_named(clone, moved, monkeypatch, tmp_path):
    monkeypatch.setattr(diff_markdown, "MOST_CHARACTERS", 3_000)
    folder = clone.parent / "moved/diff"
    manifests = [json.loads((folder / side / "dbt/manifest.json").read_text()) for side in ("base", "head")]
    before, after = [Version(name, manifest, "no proof tool") for name, manifest in zip(("a", "b"), manifests)]
    warehouses = [folder / side / "warehouse.duckdb" for side in ("base", "head")]
    comparison = Comparison(tmp_path / "comparison.duckdb", *warehouses)
    whole, cut = diff_markdown.report(Change(before, after, {}, ("a", "b")), comparison)
    assert "## engagement" in whole and "Left out" not in whole
    assert "## engagement" not in cut and "room for them: engagement.** `make diff` shows all." in cut
    assert len(cut) < len(whole) and cut.rstrip().endswith("```")
    assert "| no proof tool | no proof tool |" in cut


# Nobody moves


def test_a_comment_moves_nobody(branch, clean_env, moved):
    path = branch / "models/segments/seg_cart.sql"
    path.write_text(path.read_text().replace("-- ", "-- In other words: "))
    path = branch / "models/segments/_seg_rfm.yml"
    path.write_text(path.read_text().replace("rationale: ", "rationale: In short, ", 1))
    ran = diff(branch, clean_env)
    assert ran.code == 0, ran.output
    assert "built before" in ran.output
    text = markdown(branch)
    assert "\n**No user moves.**\n" in text and "WARNING" not in text and "md5" not in text
    rows = [row[:3] for row in cells(section(text, "Segment diff: "), "set")]
    assert rows == [["cart", "SQL", "0"], ["rfm", "YAML", "0"]]
    assert "No predicate differs: only comments or the layout were edited." in section(text, "cart")
    assert "```diff" not in text


def test_nothing_is_built_where_nothing_decides(branch, clean_env):
    (branch / "README.md").write_text("New words.\n")
    (branch / "tests/python/test_new.py").write_text("")
    ran = diff(branch, clean_env)
    assert ran.code == 0, ran.output
    assert "**No user moves.** No model, macro, seed or setting that decides about segments is changed." in ran.output
    assert "building" not in ran.output


# Other changes than those of a set


def test_a_metric_and_an_event_name_move_members_of_sets_that_nobody_edited(branch, clean_env, moved):
    # What an event name means is a definition, though dbt takes it for data.
    edit(branch, "seeds/event_taxonomy.csv", "order_completed,purchase,true", "order_completed,other,true")
    edit(branch, "models/segments/seg_rfm.sql", "where purchase_days_lifetime >= 1", "where purchase_days_lifetime > 1")
    edit(
        branch,
        "models/intermediate/int_user_totals.sql",
        "count(case when window_days <= 28 then 1 end) as active_days_28d",
        "count(case when window_days <= 7 then 1 end) as active_days_28d",
    )
    ran = diff(branch, clean_env)
    assert ran.code == 0, ran.output
    assert "built before" in ran.output
    text = markdown(branch)

    folder = branch / "target/diff"
    days = "select user_id, active_days_28d from intermediate.int_user_metrics"
    before, after = [dict(asked(folder / side / "warehouse.duckdb", days)) for side in ("base", "head")]
    changed = sum(before[user] != after[user] for user in before)

    def band(days: int) -> int:
        return sum(days >= bound for bound in (1, 7, 14, 21))

    engaged = sum(band(before[user]) != band(after[user]) for user in before)
    ((buyers,),) = of_base(branch, "select count(*) from metrics where purchase_days_lifetime > 0")
    assert engaged > 0 and buyers > 0

    top = section(text, "Segment diff: ")
    rows = {row[0]: row[1:3] for row in cells(top, "set")}
    assert rows["engagement"] == ["**not edited**", str(engaged)] and rows["rfm"] == ["SQL", str(buyers)]
    assert rows["purchase_frequency"] == ["**not edited**", str(buyers)] and list(rows)[-1] == "rfm"
    (warning,) = re.findall(r"> \[!WARNING\]\n> \*\*Not edited, but their members move: (.*)\.\*\*\n", top)
    surprising = [f"{name} ({users} users)" for name, (edited, users) in rows.items() if edited == "**not edited**"]
    assert warning == ", ".join(surprising)
    assert "- int_user_totals (SQL); read by models dim_segments, " in top and MARTS in top
    assert "- stg_generic__event_taxonomy (its raw data differs); read by " in top

    metrics = {row[0]: row[1:] for row in cells(section(text, "Metrics"), "metric")}
    assert metrics["active_days_28d"] == [str(changed), "engagement, monetization"]
    assert metrics["purchase_days_lifetime"] == [str(buyers), "monetization, purchase_frequency, rfm, value_tier"]
    assert "sessions_28d" not in metrics

    engagement = section(text, "engagement")
    assert "**Not edited.** Moved by int_user_totals (SQL), " in engagement
    assert ", through active_days_28d.\n" in engagement and "```diff" not in engagement
    for _, _, _, decides in cells(engagement, "example"):
        one, other = re.fullmatch(r"active_days_28d `(\d+)` to `(\d+)", decides).groups()
        assert int(one) > int(other)

    rfm = section(text, "rfm")
    assert "\nEdited: SQL. Also touched by int_user_totals (SQL), " in rfm
    assert "-    where purchase_days_lifetime >= 1\n+    where purchase_days_lifetime > 1\n" in rfm
    assert {row[1] for row in cells(rfm, "from")} == {"(none)"}
    assert all("purchase_days_lifetime" in row[3] for row in cells(rfm, "example"))


# What goes wrong


def test_reports_and_funnels_are_definitions_of_each_side(project, tmp_path, monkeypatch):
    for name in ("TAXONOMY", "RETENTION_REPORTS", "FUNNELS"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(project / "seeds", tmp_path / "seeds")
    shutil.copytree(project / "tools", tmp_path / "tools")
    base = diff_tool.Side("base", tmp_path, tmp_path / "target")
    head = diff_tool.Side("head", project, tmp_path / "target")
    assert diff_tool.changed_sources(base, head) == set()
    (tmp_path / "seeds" / "funnels.csv").write_text("funnel,step,event,window_seconds\n")
    assert diff_tool.changed_sources(base, head) == {"funnels"}
    (tmp_path / "seeds" / "retention_reports.csv").write_text("report\n")
    assert diff_tool.changed_sources(base, head) == {"funnels", "retention_reports"}
    seeds = {name: Path(diff_tool.environment_of(base)[name]).parent for name in ("TAXONOMY", "FUNNELS")}
    assert set(seeds.values()) == {tmp_path / "seeds"}
    # A file of the person's own is the same on both sides.
    monkeypatch.setenv("FUNNELS", str(tmp_path / "seeds" / "funnels.csv"))
    monkeypatch.setenv("RETENTION_REPORTS", str(tmp_path / "seeds" / "retention_reports.csv"))
    assert diff_tool.changed_sources(base, head) == set()


def test_a_base_that_git_does_not_know(branch, clean_env):
    for base in ("no_such_branch", "--all", "main; ls"):
        ran = run_program([sys.executable, "tools/diff.py", f"--base={base}"], clean_env | {"WAREHOUSE": "x"}, branch)
        assert (ran.code, ran.output) == (
            1,
            f"BASE: git knows no revision '{base}'; fetch it, or name another: make diff BASE=origin/main\n",
        )


def test_a_folder_without_git(project, clean_env, tmp_path):
    shutil.copytree(project / "tools", tmp_path / "tools", ignore=NOT_COPIED)
    # So that git does not find a repository above.
    ran = diff(tmp_path, clean_env | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
    assert ran.code == 1 and len(ran.output.splitlines()) == 1
    assert ran.output.startswith("git rev-parse: fatal: not a git repository")


def test_raw_data_that_is_not_there(branch, clean_env):
    edit(branch, "models/segments/seg_cart.sql", "final as (", "final as  (")
    ran = diff(branch, clean_env | {"RAW_DATA": "nowhere"})
    assert ran.code == 1
    assert ran.output.startswith(f"RAW_DATA: there is no folder {branch}/nowhere; name the one ")
    assert len(ran.output.splitlines()) == 1


def test_a_working_tree_that_does_not_build(branch, clean_env, moved):
    edit(branch, "models/segments/seg_cart.sql", "ref('int_user_metrics')", "ref('int_user_metric')")
    ran = diff(branch, clean_env)
    assert ran.code == 1
    assert ran.output.splitlines()[-1].startswith("the working tree does not build: ")
    assert "int_user_metric" in ran.output.splitlines()[-1] and "Traceback" not in ran.output


def test_ctrl_c_ends_it(branch, clean_env, moved):
    edit(branch, "models/segments/seg_cart.sql", "final as (", "final as  (")
    running = subprocess.Popen(
        [sys.executable, "tools/diff.py"],
        cwd=branch,
        env=clean_env,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for line in running.stderr:
        if line.startswith("the working tree: "):
            break
    running.send_signal(signal.SIGINT)
    rest = running.stderr.read()
    assert rest.endswith("Stopped. The next run begins anew.\n") and "Traceback" not in rest
    assert running.wait() == 130


# Nothing of the person's own is touched


def test_nothing_but_target_is_written(clone, moved):
    assert not (clone / "none.duckdb").exists() and not (clone / "warehouse.duckdb").exists()
    assert git(clone, "worktree", "list").count("\n") == 1 and git(clone, "stash", "list") == ""
    assert git(clone, "branch").split() == ["*", "main"]
    assert not [line for line in git(clone, "status", "--porcelain").splitlines() if line.startswith("??")]


# What decides


@pytest.mark.parametrize(
    ("before", "after", "head_values", "decides"),
    [
        # Only the edited condition of several.
        ("r >= 3 and f between 1 and 2", "r >= 3 and f between 1 and 3", {"r": 4, "f": 3}, ["f"]),
        ("r >= 3", "r >= 3 and f = 1", {"r": 4, "f": 3}, ["f"]),
        # A value that differs moved the user, whatever else was edited.
        ("r >= 3 and f = 3", "r >= 4 and f = 3", {"r": 4, "f": 2}, ["f"]),
        # Names in quotes are texts.
        ("plan = 'r'", "plan = 'f'", {"r": 4, "f": 3, "plan": "f"}, ["plan"]),
        # Nothing of the set differs: its predicate, whole.
        ("r >= 3 and f = 3", "r >= 3 and f = 3", {"r": 4, "f": 3}, ["r", "f"]),
    ],
)
def test_the_metric_that_decides(before, after, head_values, decides):
    values = {"r": 4, "f": 3, "plan": "f"}
    example = Example("0123456789", [], ["flag"], values, values | head_values)
    codes = tuple(f"select\n    {predicate} as flag\nfrom metrics" for predicate in (before, after))
    assert diff_markdown.deciding_metrics(example, ({"flag": before}, {"flag": after}), codes) == decides


def test_text_from_data_is_no_markdown():
    assert diff_markdown.code("a|b `c`\n@d") == "`a\\|b 'c' @d`"
    assert len(diff_markdown.code("x" * 999)) < 70
    rows = [[str(number)] for number in range(30)]
    assert diff_markdown.table(["n"], rows)[-1] == "and 5 more"


# The same in a running warehouse


def operation(clone: Path, env: dict[str, str], warehouse: Path, schema: str) -> Run:
    """`dbt run-operation segment_diff` in a clone; the paths are those of the tool, so that dbt parses nothing anew."""
    folder = clone / "target/diff/head"
    env = env | {
        "WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(folder / "dbt"), "DBT_LOG_PATH": str(folder / "logs"),
        "DBT_PROJECT_DIR": str(clone),
    }  # fmt: skip
    dbt = [str(Path(sys.executable).with_name("dbt")), "--quiet", "--no-use-colors", "run-operation", "segment_diff"]
    return run_program([*dbt, "--args", f"{{base_schema: {schema}}}"], env, clone)


def test_the_operation_says_the_same(branch, clean_env, moved):
    warehouse = branch / "target/diff/head/warehouse.duckdb"
    shutil.copyfile(branch.parent / "moved/diff/head/warehouse.duckdb", warehouse)
    base, copied = branch / "target/diff/base/warehouse.duckdb", branch.parent / "membership_before.parquet"
    table = "fct_segment_membership"
    # By its own name: the mart is a view, which would else show what the other warehouse has.
    with duckdb.connect(str(base), read_only=True) as connection:
        connection.execute(f"copy (from marts.{table}) to '{copied}'")
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema marts_base")
        connection.execute(f"create table marts_base.{table} as from '{copied}'")
    text = (branch.parent / "moved/segment_diff.md").read_text()
    ran = operation(branch, clean_env, warehouse, "marts_base")
    assert ran.code == 0, ran.output
    users = re.search(r"\*\*(\d+) users move\*\*", text).group(1)
    lines = ran.output.splitlines()
    assert lines[0] == "# Segment diff: marts_base to marts" and f"**{users} users move.**" in lines
    sizes = {tuple(row[:2]): row[2:] for row in cells(section(ran.output, "Sizes"), "set")}
    for name in ("engagement", "support"):
        for segment, before, after, _, entered, left in cells(section(text, name), "segment"):
            assert sizes[name, segment] == [before, after, entered, left]
    (flow,) = cells(section(text, "engagement"), "from")
    assert cells(section(ran.output, "From where to where"), "set") == [["engagement", *flow]]

    same = operation(branch, clean_env, warehouse, "marts")
    assert same.code == 0 and "**No user moves.**" in same.output and "From where" not in same.output
    missing = operation(branch, clean_env, warehouse, "nowhere")
    assert missing.code != 0
    assert re.search(r"segment_diff: there is no table \S*nowhere\S*; base_schema names the schema", missing.output)


# Last: dbt reads everything anew where a var differs, and there is another base after these.


def test_a_set_more_a_set_less_and_a_var(branch, clean_env, moved):
    for ending, old in ((".sql", "seg_{}.sql"), (".yml", "_seg_{}.yml")):
        source = (branch / "models/segments" / old.format("cart")).read_text()
        (branch / "models/segments" / old.format("trolley")).write_text(
            re.sub(r"\b(seg_)?cart\b(?!_)", lambda found: f"{found.group(1) or ''}trolley", source)
        )
        (branch / "models/segments" / old.format("cart")).unlink()
    edit(branch, "dbt_project.yml", "    - cart\n", "    - trolley\n")
    # dbt does not see a var that changes.
    edit(branch, "dbt_project.yml", "min_segment_size: 5", "min_segment_size: 12")
    ran = diff(branch, clean_env)
    assert ran.code == 0, ran.output
    text = markdown(branch)
    ((users,),) = asked(
        branch / "target/diff/base/warehouse.duckdb",
        "select count(distinct user_id) from marts.fct_segment_membership where segment_set = 'cart'",
    )
    # Whose value is `other` already stays there, however few they are.
    folded = {
        file.stem.removeprefix("seg_"): sum(
            size
            for (size,) in asked(
                branch / "target/diff/base/warehouse.duckdb",
                f"select count(*) from segments.{file.stem} where segment <> 'other' group by segment "
                "having count(*) between 5 and 11",
            )
        )
        for file in (branch / "models/segments").glob("seg_*.sql")
        if " as segment\n" in file.read_text()
    }
    moved_values = {name: ["**not edited**", str(size)] for name, size in folded.items() if size}
    assert {"geography_device", "country", "signup_cohort"} <= set(moved_values) and folded["device"] == 0
    top = section(text, "Segment diff: ")
    assert " (reads vars.min_segment_size, vars.segment_sets); read by " in top
    assert {row[0]: row[1:3] for row in cells(top, "set")} == moved_values | {
        "cart": ["removed", str(users)],
        "trolley": ["new", str(users)],
    }
    trolley, cart = section(text, "trolley"), section(text, "cart")
    assert "+ days_since_abandoned" in trolley and "- days_since_abandoned" not in trolley
    assert "- days_since_abandoned" in cart and "+ days_since_abandoned" not in cart
    assert {row[1] for row in cells(trolley, "example")} == {row[2] for row in cells(cart, "example")} == {"(none)"}
    assert {row[1] for row in cells(section(text, "geography_device"), "from")} == {"other"}


def test_a_base_that_does_not_build(branch, clean_env, moved):
    edit(branch, "models/segments/seg_cart.sql", "ref('int_user_metrics')", "ref('int_user_metric')")
    commit(branch)
    edit(branch, "models/segments/seg_cart.sql", "ref('int_user_metric')", "ref('int_user_metrics')")
    (branch / "target/segment_diff.md").unlink()
    ran = diff(branch, clean_env, "HEAD")
    assert ran.code == 1
    revision = git(branch, "rev-parse", "HEAD")[:7]
    assert ran.output.splitlines()[-1].startswith(f"BASE HEAD ({revision}) does not build: ")
    assert "int_user_metric" in ran.output.splitlines()[-1] and "Traceback" not in ran.output
    assert not (branch / "target/segment_diff.md").exists()
