"""Forgetting on PostgreSQL: after a request nothing of the person is left in any table, also where the landing is lost
and single events are kept no longer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from engines import Engine, Engines
from equality import differences, marts_of
from raw_data import whole_sample


def everything(engine: Engine) -> str:
    """All that is in the database, as text."""
    dumped = subprocess.run(
        ["pg_dump", "--data-only", "--dbname", engine.place], env=engine.env, capture_output=True, text=True, check=True
    )
    return dumped.stdout


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """The sample, as raw data of one's own."""
    return whole_sample(tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="module")
def engines(new: Engines) -> list[Engine]:
    """An empty warehouse of each engine."""
    return [new("duckdb"), new("postgres")]


def test_nothing_of_a_forgotten_person_is_left(engines, raw):
    for engine in engines:
        engine.build(RAW_DATA=str(raw), AS_OF="2024-06-28")
    postgres = engines[1]
    ((user, device),) = postgres.rows(
        "select user_id, min(anonymous_id) from intermediate.int_identities where user_id is not null "
        "and anonymous_id is not null group by user_id having count(*) > 1 order by user_id limit 1"
    )
    before = everything(postgres)
    assert user in before and device in before
    assert user.encode() in Path(postgres.env["LANDING"]).read_bytes()
    requests = f"user_id,anonymous_id,requested_at\n{user},,2024-06-30T00:00:00Z\n"
    (raw / "deletion_requests.csv").write_text(requests, "utf-8")
    # PostgreSQL remembers whom it forgot, be the landing there or not.
    for lost in (False, True):
        if lost:
            Path(postgres.env["LANDING"]).unlink()
            (raw / "deletion_requests.csv").unlink()
        for engine in engines:
            ended = engine.load(RAW_DATA=str(raw))
            assert ended.code == 0 and user not in ended.output and device not in ended.output, ended.output
            engine.build(RAW_DATA=str(raw))
        after = everything(postgres)
        assert user not in after and device not in after
        landing = Path(postgres.env["LANDING"]).read_bytes()
        assert user.encode() not in landing and device.encode() not in landing
        for mart, key in marts_of(postgres).items():
            # A new landing reads all files as new ones: what they have in each column is counted again, without them.
            if not (lost and mart == "fct_input_health"):
                assert list(differences(*engines, mart, key)) == []
    assert postgres.rows("select count(*) > 0 from runs.erased_ids") == [(True,)]
