"""Runs that fail: too little memory, a full disk, two at once, tests that find something. What readers have stays good,
the person is told what to do in one line, and the next run ends as if nothing had been."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from conftest import PROJECT, Run, run_program
from failing_rows import keep_failing_rows
from publish import publish
from run import Outcome, name_rows, note
from short_of_room import lacking, short_of

# The run before the one that goes wrong; that one is for the newest day of the sample.
DAY_BEFORE = "2024-06-01"
RUN = [sys.executable, "tools/run.py"]
STILL = "Readers still see the last good run: "


class Disk:
    """A folder whose disk can be full: one of its own where this account may mount one, else a limit on the size of the
    files that a run may write."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.filling = folder, folder / "somebody's"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)]
        try:
            self.mounted = subprocess.run(mount, capture_output=True).returncode == 0
        except OSError:
            self.mounted = False

    def fill(self, process: subprocess.Popen | None = None) -> Callable[[], None] | None:
        """Leaves no room, for a process that runs or, by what it gives, for one that is about to start."""
        if not self.mounted:
            limit = (200_000, 200_000)
            if process:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)
            return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        with self.filling.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError as error:
                    assert error.errno == errno.ENOSPC
        return None

    def free(self) -> None:
        """Gives the room back."""
        self.filling.unlink(missing_ok=True)

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> Iterator[Disk]:
    """Where all runs of this file build: dbt reads the whole project again when the path of the warehouse changes."""
    disk = Disk(tmp_path_factory.mktemp("wrong") / "disk")
    yield disk
    disk.close()


@pytest.fixture(scope="module")
def env(clean_env, disk, tmp_path_factory) -> dict[str, str]:
    """The environment of a run. dbt's unit tests read no data; without them a run takes half as long."""
    target = tmp_path_factory.mktemp("target")
    own = {"WAREHOUSE": disk.folder / "warehouse.duckdb", "DBT_TARGET_PATH": target, "DBT_LOG_PATH": target / "logs"}
    env = clean_env | {name: str(value) for name, value in own.items()} | {"DBT_EXCLUDE_RESOURCE_TYPES": "unit_test"}
    env.pop("MEMORY_LIMIT", None)
    return env


@pytest.fixture(scope="module")
def good(env, disk, tmp_path_factory) -> tuple[Path, dict]:
    """A folder as the run of the day before left it, and the marts of the next run when nothing goes wrong."""
    ran = run_program(RUN, env | {"AS_OF": DAY_BEFORE})
    assert ran.code == 0, ran.output
    kept = tmp_path_factory.mktemp("kept") / "folder"
    shutil.copytree(disk.folder, kept, symlinks=True)
    ran = run_program(RUN, env)
    assert ran.code == 0, ran.output
    return kept, marts(ran.warehouse)


@pytest.fixture
def warehouse(good, env, disk) -> Path:
    """The warehouse as the run of the day before left it, its marts published beside it."""
    for found in disk.folder.iterdir():
        shutil.rmtree(found) if found.is_dir() and not found.is_symlink() else found.unlink()
    shutil.copytree(good[0], disk.folder, symlinks=True, dirs_exist_ok=True)
    return Path(env["WAREHOUSE"])


@pytest.fixture
def start(env) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts `make run` and does not wait; none is left when the test ends."""
    running = []

    def run() -> subprocess.Popen:
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        running.append(subprocess.Popen(RUN, cwd=PROJECT, env=env, **output))
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def marts(file: Path) -> dict[str, list[tuple]]:
    """Every cell of every mart in a warehouse, or in a published file."""
    with duckdb.connect(str(file), read_only=True) as connection:
        schema = "marts" if file.name == "warehouse.duckdb" else "main"
        listed = f"select table_name from information_schema.tables where table_schema = '{schema}' order by 1"
        names = [name for (name,) in connection.execute(listed).fetchall()]
        assert len(names) > 7
        return {name: connection.execute(cells(name, f"{schema}.{name}")).fetchall() for name in names}


def parquet(folder: Path) -> dict[str, list[tuple]]:
    """Every cell of every Parquet file in a folder."""
    return {file.stem: duckdb.sql(cells(file.stem, f"'{file}'")).fetchall() for file in folder.glob("*.parquet")}


def cells(mart: str, relation: str) -> str:
    """SQL for the rows of a mart. The checks of one delivery beside the ones before depend on what was delivered when,
    not on what there is."""
    kept = "where check_name not like 'column without values%'" if mart == "fct_input_health" else ""
    return f"from {relation} {kept} order by all"


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The files that readers have."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def folders(warehouse: Path) -> list[str]:
    """The folders behind `published`, and what a publication leaves that was cut off."""
    return sorted(found.name for found in warehouse.parent.glob(".published*"))


def the_one_line(ran: Run, published: Path) -> str:
    """The line that says why a run failed; all that follows is who is not affected."""
    assert ran.code == 1, ran.output
    *_, line, last = ran.output.splitlines()
    assert last == STILL + str(published), ran.output
    assert len(re.findall("^(memory|disk|model|test|dbt|Built)", ran.output, re.MULTILINE)) == 1, ran.output
    assert "Traceback" not in ran.output
    return line


def appears(file: Path, process: subprocess.Popen) -> None:
    """Stops the process as soon as it has made the file."""
    until = time.monotonic() + 120
    while not file.exists():
        assert process.poll() is None and time.monotonic() < until, "it was never made"
        time.sleep(0.0005)
    process.send_signal(signal.SIGSTOP)


# Too little memory, too little disk.


def test_too_little_memory(env, warehouse, good):
    limit = "8MB"
    before, published = marts(warehouse), warehouse.with_name("published")
    seen = bytes_of(published)
    line = the_one_line(run_program(RUN, env | {"MEMORY_LIMIT": limit}), published)
    assert re.fullmatch(
        rf"memory: model \w+( \(and \d+ more\))? needs more than MEMORY_LIMIT={limit}: set it higher, or leave it out; "
        "then run again",
        line,
    )
    assert marts(warehouse) == before and bytes_of(published) == seen

    ran = run_program(RUN, env)
    assert ran.code == 0, ran.output
    assert marts(warehouse) == good[1] == marts(published / "marts.duckdb") == parquet(published)
    assert before != good[1]


def test_a_full_disk(env, disk, warehouse, good):
    before, published = marts(warehouse), warehouse.with_name("published")
    seen = bytes_of(published)
    limit = disk.fill()
    ended = subprocess.run(RUN, cwd=PROJECT, env=env, text=True, capture_output=True, preexec_fn=limit)
    line = the_one_line(Run(ended.returncode, ended.stdout + ended.stderr, warehouse), published)
    if disk.mounted:
        assert re.fullmatch(
            rf"disk: no room for model \w+( \(and \d+ more\))? \(\d+ MB are free now\): free space where {disk.folder} "
            "is; then run again",
            line,
        )
    else:
        assert line.startswith("disk: ") and line.endswith("; then run again")
    assert marts(warehouse) == before and bytes_of(published) == seen

    disk.free()
    ran = run_program(RUN, env)
    assert ran.code == 0, ran.output
    assert marts(warehouse) == good[1] == marts(published / "marts.duckdb") == parquet(published)


def test_a_disk_that_is_full_when_the_marts_are_published(env, disk, warehouse, start, good):
    published = warehouse.with_name("published")
    seen = bytes_of(published)
    running = start()
    appears(warehouse.with_name(".published-2") / "marts.duckdb", running)
    disk.fill(running)
    running.send_signal(signal.SIGCONT)
    output, _ = running.communicate(timeout=120)
    line = the_one_line(Run(running.returncode, output, warehouse), published)
    assert line.startswith("Built and tested, but not published: disk: ") and line.endswith("; then run again")
    assert "the copy for readers" in line
    assert bytes_of(published) == seen and folders(warehouse) == [".published-1"]
    # The build itself was good.
    assert marts(warehouse) == good[1]

    disk.free()
    publish(warehouse)
    assert marts(published / "marts.duckdb") == good[1] == parquet(published)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Out of Memory Error: failed to allocate data of size 2.0 MiB (904.0 KiB/976.5 KiB used)", "memory"),
        ("Out of Memory Error: could not allocate block of size 256.0 KiB (9.3 MiB/9.5 MiB used)", "memory"),
        (
            "Out of Memory Error: failed to offload data block of size 256.0 KiB (1.0 GiB/1.0 GiB used).\nThis limit "
            "was set by the 'max_temp_directory_size' setting.",
            "disk",
        ),
        ('Error: Failed to commit: Could not write file "/d/w.wal": No space left on device', "disk"),
        ("[Errno 28] No space left on device", "disk"),
        ("TransactionContext Error: cannot rollback - no transaction is active", "disk"),
        ("RAW_DATA: /x/events.csv cannot be read as csv (could not allocate block of size 32 KiB)", "memory"),
        ("RAW_DATA: /x has no events", None),
        ("Catalog Error: Table with name memory does not exist", None),
    ],
)
def test_what_is_short_is_seen_in_the_words_of_an_error(message, kind):
    assert lacking(message) == kind


def test_a_disk_or_memory_that_is_short_is_one_line_whatever_it_met(tmp_path):
    env = {"WAREHOUSE": str(tmp_path / "w.duckdb"), "DBT_LOG_PATH": str(tmp_path / "none"), "DBT_TARGET_PATH": "/none"}
    outcome = Outcome()
    full = f'TransactionContext Error: Could not write file "{tmp_path}/w.duckdb.wal": No space left on device'
    for name, said in (("a", full), ("b", "Failed: database has been invalidated because of a previous fatal error")):
        node = {"node_info": {"resource_type": "model", "node_name": name}, "msg": f"Runtime Error in model\n  {said}"}
        note(node, {"name": "RunResultError"}, outcome)
    (line,) = outcome.causes.values()
    assert line.startswith("disk: no room for model a (and 1 more) (") and f"free space where {tmp_path} is" in line
    assert f"free space where {tmp_path} is" in short_of("disk", full, "model a", env)
    assert "[Errno" not in short_of("disk", "[Errno 28] No space left on device", "dbt's own files", env)
    assert "set MEMORY_LIMIT to what is free" in short_of("memory", "", "model a", env)


# Two at the same time.


def test_two_runs_started_together(warehouse, start, good):
    both = [start(), start()]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], outputs
    (winner,) = [process for process in both if process.returncode == 0]
    (refused,) = [output for process, output in zip(both, outputs, strict=True) if process.returncode]
    published = warehouse.with_name("published")
    assert refused.splitlines() == [
        f"WAREHOUSE: {warehouse} is being built by another run (process {winner.pid}); wait until it ends, or name "
        "another WAREHOUSE",
        STILL + str(published),
    ]
    assert marts(warehouse) == good[1] == marts(published / "marts.duckdb") == parquet(published)


def test_a_run_that_starts_while_another_one_publishes(env, warehouse, start, good):
    first = start()
    # dbt has ended, and nobody writes the warehouse.
    appears(warehouse.with_name(".published-2") / "marts.duckdb", first)
    second = run_program(RUN, env)
    assert second.code == 1 and f"is being built by another run (process {first.pid}); wait" in second.output
    # dbt itself asks DuckDB.
    dbt = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "run", "--select", "dim_users"]
    third = run_program(dbt, env)
    assert third.code != 0 and re.search(rf"it is open in another program \(.*process {first.pid}\)", third.output)
    first.send_signal(signal.SIGCONT)
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 0, output
    published = warehouse.with_name("published")
    assert marts(warehouse) == good[1] == marts(published / "marts.duckdb") == parquet(published)
    assert folders(warehouse) == [".published-1", ".published-2"]


def publisher(warehouse: Path) -> subprocess.Popen:
    """Starts another process that publishes a warehouse."""
    program = "import sys; from pathlib import Path; from publish import publish; publish(Path(sys.argv[1]))"
    tools = {**os.environ, "PYTHONPATH": str(PROJECT / "tools")}
    return subprocess.Popen([sys.executable, "-c", program, str(warehouse)], env=tools, stderr=subprocess.PIPE)


def test_publications_at_the_same_time_come_one_after_the_other(warehouse):
    published = warehouse.with_name("published")
    for _ in range(2):
        together = [publisher(warehouse) for _ in range(4)]
        assert [process.communicate(timeout=120)[1] for process in together] == [b""] * 4
    assert marts(published / "marts.duckdb") == marts(warehouse) == parquet(published)
    assert folders(warehouse) == [".published-8", ".published-9"]


def test_no_publication_deletes_what_another_one_writes(warehouse):
    slow = publisher(warehouse)
    appears(warehouse.with_name(".published-2") / "marts.duckdb", slow)
    others = [publisher(warehouse) for _ in range(2)]
    time.sleep(2)
    assert (warehouse.with_name(".published-2") / "marts.duckdb").exists()
    slow.send_signal(signal.SIGCONT)
    assert [process.communicate(timeout=120)[1] for process in (slow, *others)] == [b""] * 3
    assert marts(warehouse.with_name("published") / "marts.duckdb") == marts(warehouse)


def test_what_a_killed_publication_left_goes_and_what_readers_had_stays(warehouse):
    killed = publisher(warehouse)
    appears(warehouse.with_name(".published-2") / "marts.duckdb", killed)
    killed.kill()
    killed.wait()
    assert os.readlink(warehouse.with_name("published")) == ".published-1"
    warehouse.with_name(".published-of-somebody").mkdir()
    publish(warehouse)
    assert folders(warehouse) == [".published-1", ".published-3", ".published-of-somebody"]


# Tests that find something.


@pytest.fixture
def own_project(tmp_path) -> Path:
    """A copy of the project, to which tests may be added."""
    copy = tmp_path / "project"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(".*", "target", "logs", "*.duckdb*", "python"))
    return copy


def test_failing_rows_are_stored_and_named_and_nothing_is_published(env, warehouse, good, own_project):
    published, tests = warehouse.with_name("published"), own_project / "tests" / "singular"
    seen, link, before = bytes_of(published), os.readlink(published), marts(warehouse)
    membership, users = "{{ ref('fct_segment_membership') }}", "{{ ref('dim_users') }}"
    added = {
        "assert_many": f"select segment, user_id from {membership} -- and no more",
        "assert_few": f"{{{{ config(severity='warn') }}}}\nselect user_id from {users} order by user_id limit 3",
        "assert_broken": f"select user_id from {users} where cast('no ' || 'number' as integer) = length(user_id)",
    }
    for name, sql in added.items():
        (tests / f"{name}.sql").write_text(sql)
    env = env | {"DBT_TARGET_PATH": str(own_project / "target"), "DBT_LOG_PATH": str(own_project / "logs")}
    ran = run_program([sys.executable, str(own_project / "tools" / "run.py")], env, own_project)
    ((rows,),) = ran.rows("select count(*) from marts.fct_segment_membership")
    assert ran.code == 1 and rows > 1000, ran.output
    lines = ran.output.splitlines()
    where = "1,000 of them in test_failures.assert_many): look with dbt test --select assert_many"
    assert f"test assert_many failed ({rows} rows, {where}" in lines
    look = "look with dbt test --select assert_few"
    assert f"test assert_few warns (3 rows, see test_failures.assert_few): {look}" in lines
    assert [line for line in lines if line.startswith("test assert_broken failed: tests/singular/assert_broken.sql: ")]
    stored = "select table_name from information_schema.tables where table_schema = 'test_failures' order by 1"
    assert ran.rows(stored) == [("assert_few",), ("assert_many",)]
    count = "select count(*), count(distinct (segment, user_id)) from test_failures.assert_many"
    assert ran.rows(count) == [(1000, 1000)]
    few = ran.rows("from test_failures.assert_few order by 1")
    assert few == ran.rows("select user_id from marts.dim_users order by 1 limit 3")
    # Readers have what they had, to the byte, and are told so.
    assert lines[-1] == STILL + str(published)
    assert bytes_of(published) == seen and os.readlink(published) == link and folders(warehouse) == [link]
    assert marts(warehouse) != before
    # Nobody's id left the warehouse.
    said = ran.output + (own_project / "logs" / "dbt.log").read_text()
    ids = {id for (id,) in ran.rows("select user_id from marts.dim_users")}
    assert not {word for word in re.findall(r"[\w:-]+", said) if word in ids and len(word) > 5}

    # One is mended, and one finds something else, of which it only warns: that is published, without its rows.
    for name in ("assert_many", "assert_broken"):
        (tests / f"{name}.sql").unlink()
    (tests / "assert_few.sql").write_text(added["assert_few"].replace("limit 3", "desc limit 2"))
    ran = run_program([sys.executable, str(own_project / "tools" / "run.py")], env, own_project)
    assert ran.code == 0, ran.output
    assert "test assert_few warns (2 rows, see test_failures.assert_few)" in ran.output
    assert ran.rows(stored) == [("assert_few",)]
    last = ran.rows("select user_id from marts.dim_users order by 1 desc limit 2")
    assert ran.rows("from test_failures.assert_few") == last
    assert marts(published / "marts.duckdb") == parquet(published) == good[1] == marts(warehouse)
    assert {file.stem for file in published.iterdir()} == {*good[1], "marts"}
    with duckdb.connect(str(published / "marts.duckdb"), read_only=True) as copy:
        named = copy.execute("select schema_name, table_name from duckdb_tables()").fetchall()
    assert sorted(named) == sorted(("main", name) for name in good[1])


@pytest.fixture
def dbts_results(env, tmp_path) -> Callable[[dict[str, tuple[str, str]]], Path]:
    """Writes the results of a run that dbt calls `now`: {name: (status, sql)}. Gives the folder."""

    def write(tests: dict[str, tuple[str, str]]) -> Path:
        results = [
            {"unique_id": f"test.user_segments.{name}.0", "status": status, "compiled_code": sql}
            for name, (status, sql) in tests.items()
        ]
        left = {"metadata": {"invocation_id": "now"}, "results": results}
        (tmp_path / "run_results.json").write_text(json.dumps(left))
        return tmp_path

    return write


def test_rows_of_a_test_that_did_not_run_stay_and_all_others_go(env, warehouse, dbts_results):
    env = {"WAREHOUSE": str(warehouse)}

    def keep(**tests: tuple[str, str]) -> tuple[dict[str, str], list[str]]:
        found = {f"test.user_segments.{name}.0": name for name, (status, _) in tests.items() if status == "fail"}
        said = keep_failing_rows(found, "now", dbts_results(tests), env)
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            listed = "select table_name from duckdb_tables() where schema_name = 'test_failures' order by 1"
            return said, [name for (name,) in connection.execute(listed).fetchall()]

    fails = ("fail", "select 1 as n")
    see = {name: f"see test_failures.{name}" for name in "abcd"}
    assert keep(a=fails, b=fails, c=fails, d=fails) == (see, ["a", "b", "c", "d"])
    # d is no test any more.
    assert keep(a=("skipped", ""), b=("error", ""), c=("pass", "select 1")) == ({}, ["a", "b"])
    # Where its rows cannot be had, those of last time are not taken for them.
    said, left = keep(a=("fail", "select cast('secret' as integer)"), b=("skipped", ""))
    assert said["a"].startswith("not stored: Conversion Error: ") and "secret" not in said["a"] and left == ["b"]
    assert keep(a=("pass", ""), b=("pass", "")) == ({}, [])
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        assert connection.execute("from duckdb_schemas() where schema_name = 'test_failures'").fetchall() == []


def test_a_test_that_fails_is_told_even_where_its_rows_cannot_be_stored(env, disk, warehouse, dbts_results, tmp_path):
    outcome = Outcome(1)
    node = {"resource_type": "test", "node_name": "t", "unique_id": "test.user_segments.t.0"}
    info = {"name": "LogTestResult", "invocation_id": "now"}
    note({"node_info": node, "status": "fail", "num_failures": 7}, info, outcome)
    health = node | {"node_name": "segment_health_is_ok_x", "unique_id": "test.user_segments.segment_health_is_ok_x.0"}
    note({"node_info": health, "status": "warn", "num_failures": 7}, info, outcome)
    # What a unit test finds is no row.
    unit = node | {"resource_type": "unit_test", "unique_id": "unit_test.user_segments.m.u", "node_name": "u"}
    note({"node_info": unit, "status": "fail", "num_failures": 1}, info, outcome)
    assert sorted(outcome.tests.values()) == ["segment_health_is_ok_x", "t"]
    env = {"WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(tmp_path), "DBT_LOG_PATH": str(tmp_path)}

    def told() -> str:
        name_rows(outcome, env)
        assert outcome.causes["u"] == "test u failed: look with dbt test --select u"
        assert outcome.warnings["segment_health_is_ok_x"].startswith("test segment_health_is_ok_x warns (7 rows, not ")
        line = outcome.causes["t"]
        outcome.causes["t"] = "test t failed (7 rows): look with dbt test --select t"
        outcome.warnings["segment_health_is_ok_x"] = "test segment_health_is_ok_x warns (7 rows): look"
        return line

    holder = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", holder, str(warehouse)], **pipes) as other:
        other.stdout.readline()
        dbts_results({"t": ("fail", "select 1 as n")})
        assert re.match(r"test t failed \(7 rows, not stored: .* was opened by another program .*process \d+", told())
        other.stdin.close()
    # dbt ended before it wrote down what it did; what is there is of an earlier run.
    (tmp_path / "run_results.json").write_text('{"metadata": {"invocation_id": "then"}, "results": []}')
    warehouse.rename(warehouse.with_suffix(".away"))
    assert re.match(r"test t failed \(7 rows, not stored: .*of another run", told())
