"""What readers see: a whole copy of the marts, and never one of a run that failed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest
from publish import publish


@pytest.fixture
def warehouse(built_sample, tmp_path) -> Path:
    """A warehouse of the sample that may be changed, in a folder with a quote in its name."""
    folder = tmp_path / "it's here"
    folder.mkdir()
    return Path(shutil.copy(built_sample, folder / "warehouse.duckdb"))


def rows(file: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_mart_is_there_twice_and_equal(warehouse):
    marts = rows(warehouse, "select table_name from information_schema.tables where table_schema = 'marts'")
    published = publish(warehouse)
    assert published == warehouse.parent / "published"
    assert {file.name for file in published.iterdir()} == {"marts.duckdb", *(f"{mart}.parquet" for (mart,) in marts)}
    for (mart,) in marts:
        # `marts.` is the schema in the one file, and the file itself in the other.
        there = rows(warehouse, f"select * from marts.{mart} order by all")
        assert there == rows(published / "marts.duckdb", f"select * from marts.{mart} order by all")
        parquet = str(published / f"{mart}.parquet").replace("'", "''")
        assert there == duckdb.sql(f"select * from '{parquet}' order by all").fetchall()


def test_a_reader_who_holds_the_file_keeps_it_and_stops_nobody(warehouse):
    published = publish(warehouse)
    with duckdb.connect(str(published / "marts.duckdb"), read_only=True) as reader:
        before = reader.execute("select count(*) from dim_users").fetchone()
        with duckdb.connect(str(warehouse)) as writer:
            writer.execute("delete from marts.dim_users where user_id like 'anon:%'")
        publish(warehouse)
        publish(warehouse)
        assert reader.execute("select count(*) from dim_users").fetchone() == before
    assert rows(published / "marts.duckdb", "select count(*) from dim_users where user_id like 'anon:%'") == [(0,)]
    assert len(list(warehouse.parent.glob(".published-*"))) == 2


def test_readers_see_one_run_or_the_other_at_any_moment(warehouse):
    published, stop, seen, wrong = publish(warehouse), threading.Event(), set(), []

    def read() -> None:
        while not stop.is_set():
            folder = published.resolve()
            # Both files of the folder that the link led to: of one run, however long ago.
            in_file = rows(folder / "marts.duckdb", "select count(*) from fct_segment_daily")
            parquet = str(folder / "fct_segment_daily.parquet").replace("'", "''")
            if in_file != duckdb.connect().execute(f"select count(*) from '{parquet}'").fetchall():
                wrong.append(in_file)
            seen.update(in_file)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        with duckdb.connect(str(warehouse)) as writer:
            writer.execute("insert into marts.fct_segment_daily from marts.fct_segment_daily limit 1")
        publish(warehouse)
    stop.set()
    reader.join()
    assert not wrong and seen


def test_what_cannot_be_published_leaves_the_last_copy(warehouse):
    published = publish(warehouse)
    before = rows(published / "marts.duckdb", "select count(*) from dim_users")
    with duckdb.connect(str(warehouse)) as writer:
        writer.execute("create table marts.gone (n integer); create view marts.broken as select * from marts.gone")
        writer.execute("drop table marts.gone")
    with pytest.raises(duckdb.Error):
        publish(warehouse)
    assert rows(published / "marts.duckdb", "select count(*) from dim_users") == before
    assert len(list(warehouse.parent.glob(".published-*"))) == 1


def test_a_folder_of_somebody_else_is_not_touched(warehouse):
    theirs = warehouse.parent / "published"
    theirs.mkdir()
    with pytest.raises(FileExistsError):
        publish(warehouse)
    assert theirs.is_dir() and not any(theirs.iterdir())


def test_a_run_whose_tests_fail_publishes_nothing(project, clean_env, tmp_path):
    copied = tmp_path / "project"
    for name in ("models", "macros", "tests/generic", "tests/singular", "seeds", "tools"):
        shutil.copytree(project / name, copied / name)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(project / name, copied / name)

    def run() -> subprocess.CompletedProcess:
        env = clean_env | {"WAREHOUSE": str(tmp_path / "warehouse.duckdb"), "DBT_TARGET_PATH": str(tmp_path / "target")}
        command = [sys.executable, str(copied / "tools" / "run.py")]
        return subprocess.run(command, cwd=copied, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    ran = run()
    assert ran.returncode == 0, ran.stdout
    published = tmp_path / "published"
    assert f"For BI: {published}/marts.duckdb" in ran.stdout
    seen = os.readlink(published)
    wrong = copied / "models/segments/seg_engagement.sql"
    wrong.write_text(wrong.read_text().replace("active_days_28d between 1 and 6", "active_days_28d between 1 and 13"))
    ran = run()
    assert ran.returncode == 1
    assert f"Readers still see the last good run: {published}" in ran.stdout
    assert os.readlink(published) == seen
    [(count,)] = rows(published / "marts.duckdb", "select count(*) from dim_users where engagement is not null")
    assert count > 0
