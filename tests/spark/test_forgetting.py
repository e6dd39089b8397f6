"""Forgetting on Spark: after a request nothing of the person is left in any file of the warehouse, the folder of raw
tables or the landing."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from engines import Engine, Engines
from equality import assert_equal
from raw_data import whole_sample


def everything(engine: Engine) -> str:
    """All that is in the files below the warehouse, as text. Parquet is read as such: its pages are compressed."""
    place = Path(engine.place)
    found = []
    for file in sorted(place.rglob("*")):
        if file.suffix == ".parquet" and file.is_file():
            (rows,) = duckdb.execute("select coalesce(string_agg(cast(r as varchar), ' '), '') from read_parquet(?) as r",
                                     [str(file)]).fetchone()  # fmt: skip
            found.append(rows)
        elif file.is_file() and "metastore" not in file.relative_to(place).parts:
            found.append(file.read_bytes().decode("utf-8", "replace"))
    return " ".join(found)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """The sample, as raw data of one's own."""
    return whole_sample(tmp_path_factory.mktemp("raw"))


def test_nothing_of_a_forgotten_person_is_left(new: Engines, raw):
    engines = [new("duckdb"), new("spark")]
    for engine in engines:
        engine.build(RAW_DATA=str(raw), AS_OF="2024-06-28")
    spark = engines[1]
    ((user, device),) = spark.rows(
        "select user_id, min(anonymous_id) from intermediate.int_identities where user_id is not null "
        "and anonymous_id is not null group by user_id having count(*) > 1 order by user_id limit 1"
    )
    before = everything(spark)
    assert user in before and device in before
    requests = f"user_id,anonymous_id,requested_at\n{user},,2024-06-30T00:00:00Z\n"
    (raw / "deletion_requests.csv").write_text(requests, "utf-8")
    for engine in engines:
        ended = engine.load(RAW_DATA=str(raw))
        assert ended.code == 0 and user not in ended.output and device not in ended.output, ended.output
        engine.build(RAW_DATA=str(raw))
    after = everything(spark)
    assert user not in after and device not in after
    landing = Path(spark.env["LANDING"]).read_bytes()
    assert user.encode() not in landing and device.encode() not in landing
    assert_equal(engines, "after forgetting")
    # Whom it forgot it knows without the landing, too.
    Path(spark.env["LANDING"]).unlink()
    (raw / "deletion_requests.csv").unlink()
    assert spark.load(RAW_DATA=str(raw)).code == 0
    assert user not in everything(spark)
