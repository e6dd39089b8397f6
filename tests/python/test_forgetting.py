"""Who is forgotten, and that nothing of them is left: in raw tables on a plain DuckDB connection, and everywhere after
real runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import raw_erasure
from raw_folder import put, put_rows, rows
from raw_tables import BadInput

FORMATS = ["csv", "parquet", "ndjson"]


def event(id: str, user: str | None, device: str | None, at: str = "2024-01-05 10:00:00") -> dict:
    return {"event_id": id, "event_name": "viewed", "event_at": at, "user_id": user, "anonymous_id": device}


def ids(conn) -> set[str]:
    """Every id that a raw table shows, and those of runs.erased_ids that are no hash."""
    found = set()
    for table, columns in {"events": ("user_id", "anonymous_id"), **raw_erasure.PERSONAL}.items():
        for column in columns:
            found |= {id for (id,) in conn.execute(f"select distinct {column} from raw.{table}").fetchall() if id}
    return found


def forget(folder: Path, *requests: dict) -> None:
    keys = {"user_id": None, "anonymous_id": None, "requested_at": None}
    put_rows(folder / "deletion_requests.csv", [keys | request for request in requests])


# Ann on two devices, one of which Bob used later; Ann was Anna before; Cid's device is Ann's first.
EVENTS = [
    event("1", None, "d1", "2024-01-01 10:00:00"),
    event("2", "ann", "d1", "2024-01-02 10:00:00"),
    event("3", "bob", "d1", "2024-01-03 10:00:00"),
    event("4", "anna", "d2", "2024-01-03 11:00:00"),
    event("5", None, "d2", "2024-01-04 10:00:00"),
    event("6", "cid", "d3", "2024-01-04 10:00:00"),
    event("7", "ann", "d3", "2024-01-05 10:00:00"),
    event("8", None, "d3", "2024-01-05 11:00:00"),
    {
        "event_id": None,
        "event_name": "no id",
        "event_at": "2024-01-06 10:00:00",
        "user_id": "ann",
        "anonymous_id": None,
    },
    event("9", "dan", "d4", "2024-01-07 10:00:00"),
]
ALIASES = [{"previous_id": "anna", "user_id": "ann", "aliased_at": "2024-01-03 12:00:00"}]
USERS = [{"user_id": user, "plan": "free"} for user in ("ann", "anna", "bob", "cid", "dan")]
FEEDBACK = [
    {"feedback_id": user, "user_id": user, "kind": "nps", "score": "9", "submitted_at": "2024-01-05"}
    for user in ("ann", "bob")
]
LEFT = {"bob", "cid", "dan", "d3", "d4"}


@pytest.fixture(params=FORMATS)
def data(folder, request) -> Callable:
    """Writes the tables above, in each of the formats; the events in a file a day."""

    def write(events: list[dict] = EVENTS, aliases: list[dict] = ALIASES) -> None:
        by_day: dict[str, list[dict]] = {}
        for row in events:
            by_day.setdefault(row["event_at"][:10], []).append(row)
        for day, of_day in by_day.items():
            put_rows(folder / "events" / f"{day}.{request.param}", of_day)
        for name, records in {"aliases": aliases, "users": USERS, "feedback": FEEDBACK}.items():
            put_rows(folder / f"{name}.{request.param}", records)

    return write


@pytest.mark.parametrize(
    "request_", [{"user_id": "ann"}, {"user_id": "anna"}, {"anonymous_id": "d1"}, {"anonymous_id": "d2"}]
)
@pytest.mark.parametrize("at_once", [True, False])
def test_the_whole_person_goes_and_nobody_else(data, folder, show, conn, request_, at_once):
    data()
    if not at_once:
        show()
        assert {"ann", "anna", "d1", "d2"} < ids(conn)
    forget(folder, request_)
    show()
    assert ids(conn) == LEFT
    assert rows(conn, "event_id, user_id, anonymous_id") == [
        ("3", "bob", None),
        ("6", "cid", "d3"),
        ("8", None, "d3"),
        ("9", "dan", "d4"),
    ]
    assert raw_erasure.forgotten(conn) == (1, 4)
    assert rows(conn, "user_id", "feedback") == [("bob",)]
    assert rows(conn, "previous_id", "aliases") == []


def test_days_that_held_them_are_touched_and_no_others(data, folder, show, conn):
    data()
    show()
    before = dict(conn.execute("select event_date::varchar, load_number from raw.event_days").fetchall())
    forget(folder, {"user_id": "ann"})
    show()
    after = dict(conn.execute("select event_date::varchar, load_number from raw.event_days").fetchall())
    assert {day for day in after if after[day] != before[day]} == {f"2024-01-0{day}" for day in (1, 2, 3, 4, 5, 6)}
    show()
    assert dict(conn.execute("select event_date::varchar, load_number from raw.event_days").fetchall()) == after


def test_nothing_brings_them_back(data, folder, show, conn, monkeypatch):
    data()
    forget(folder, {"user_id": "ann", "requested_at": "2024-01-08"})
    show()
    (folder / "deletion_requests.csv").unlink()
    show()
    assert ids(conn) == LEFT
    # Later events of the same ids, one of them on a device that was not known.
    late = [
        event("20", "ann", "d9", "2024-01-09 10:00:00"),
        event("21", None, "d9", "2024-01-09 11:00:00"),
        event("22", None, "d2", "2024-01-09 12:00:00"),
        event("23", "eve", "d1", "2024-01-09 13:00:00"),
    ]
    data([*EVENTS, *late])
    show()
    assert ids(conn) == LEFT | {"eve"}
    # A load of everything.
    conn.execute("delete from raw.loaded_files")
    show()
    assert ids(conn) == LEFT | {"eve"}


def test_other_ids_later_are_another_person(data, folder, show, conn):
    data()
    forget(folder, {"anonymous_id": "d1", "requested_at": "2024-01-01 12:00:00"})
    show()
    # Nobody's device on that day: Ann, who used it on the next, did not ask.
    assert ids(conn) == LEFT | {"ann", "anna", "d2"}
    forget(folder, {"user_id": "ann", "requested_at": "2024-01-08"})
    data(EVENTS, [*ALIASES, {"previous_id": "ann", "user_id": "zoe", "aliased_at": "2024-01-09"}])
    put_rows(
        folder / "feedback.csv",
        [{"feedback_id": "z", "user_id": "zoe", "kind": "nps", "score": "1", "submitted_at": "2024-01-09"}],
    ) if (folder / "feedback.csv").exists() else None
    show()
    assert not {"ann", "anna", "d1", "d2"} & ids(conn)
    assert conn.execute("select count(*) from runs.erased_ids where id_hash = sha256('zoe')").fetchone() == (0,)


def test_only_hashes_are_kept(data, folder, show, conn):
    data()
    forget(folder, {"user_id": "ann"}, {"user_id": "nobody-yet"})
    show()
    kept = conn.execute("select kind, id_hash from runs.erased_ids where is_requested order by 2").fetchall()
    assert {hash for _, hash in kept} == {
        conn.execute(f"select sha256('{id}')").fetchone()[0] for id in ("ann", "nobody-yet")
    }
    text = str(conn.execute("from runs.erased_ids").fetchall())
    assert not any(id in text for id in ("ann", "anna", "nobody-yet", "anon:"))
    left = conn.execute("select table_name from information_schema.tables where table_catalog = 'temp'").fetchall()
    assert left == []


def test_keys_of_another_version_of_duckdb_are_found_again(data, folder, show, conn):
    data()
    forget(folder, {"user_id": "ann"}, {"user_id": "late"})
    show()
    conn.execute("update runs.erased_ids set id_key = id_key // 2")
    conn.execute("update runs.erasure set check_value = 1")
    data([*EVENTS, event("30", "ann", None)])
    show()
    assert ids(conn) == LEFT
    # Whoever was not in the data is still known by the SHA-256.
    data([*EVENTS, event("31", "late", "d31")])
    show()
    assert ids(conn) == LEFT


def test_aliases_in_a_circle_and_everybody_at_once_do_not_stop_it(data, folder, show, conn):
    data(EVENTS, [*ALIASES, {"previous_id": "ann", "user_id": "anna", "aliased_at": "2024-01-04"}])
    forget(folder, *({"user_id": user} for user in ("ann", "bob", "cid", "dan")))
    show()
    assert ids(conn) == set()
    assert raw_erasure.forgotten(conn)[0] == 4


@pytest.mark.parametrize(
    "content, said",
    [
        ("user_id,anonymous_id\nzoe,\n,\n", "1 rows of"),
        ("who\nzoe\n", "no column user_id or anonymous_id"),
        ('user_id,anonymous_id\n"zoe\n', "cannot be read"),
    ],
)
def test_a_request_that_cannot_be_understood_stops_the_run(folder, show, conn, content, said):
    put_rows(folder / "events.csv", EVENTS)
    show()
    put(folder / "deletion_requests.csv", content)
    with pytest.raises(BadInput) as error:
        show()
    message = str(error.value.msg).replace(str(folder), "")
    assert said in message and "zoe" not in message and "\n" not in message
    assert "ann" in ids(conn)


# Real runs

# Ids that nothing else resembles, so that they can be looked for in the bytes of files.
ZOE = ("zoe-quux-4711", "zoe-before-0815", "device-of-zoe-1234", "device-of-zoe-5678")


@pytest.fixture(scope="module")
def runs(project, make_run, tmp_path_factory):
    """A warehouse of the sample and of Zoe, and the same after she was forgotten: the folder, and how both runs ended.

    She has clean, rejected and repeated events, an alias, a second device, and shared her first one.
    """
    place = tmp_path_factory.mktemp("forgetting")
    raw = Path(shutil.copytree(project / "seeds" / "sample", place / "raw"))
    user, before, device, other_device = ZOE
    (events,) = raw.glob("events*")
    kept = events.suffix == ".parquet"
    hers = [
        event(f"z{number}", who, what, f"2024-06-{number:02} 10:00:00")
        for number, (who, what) in enumerate(
            [
                (None, device),
                (user, device),
                (user, None),
                (before, other_device),
                (None, other_device),
                (user, device),
            ],
            1,
        )
    ]
    hers += [hers[1], hers[1] | {"event_id": None}, event("b1", "bystander-77", device, "2024-06-20 10:00:00")]
    (raw / "events").mkdir(exist_ok=True)
    if events.is_file():
        events.rename(raw / "events" / events.name)
    put_rows(raw / "events" / ("zoe.parquet" if kept else "zoe" + "".join(events.suffixes)), hers)
    append(raw, "aliases", {"previous_id": before, "user_id": user, "aliased_at": "2024-06-05"})
    append(raw, "users", {"user_id": user, "plan": "pro"})
    append(
        raw,
        "feedback",
        {
            "feedback_id": "zf",
            "user_id": user,
            "kind": "nps",
            "score": "9",
            "comment": "no",
            "submitted_at": "2024-06-06",
        },
    )
    first = make_run(place, RAW_DATA=raw, WAREHOUSE=place / "warehouse.duckdb")
    assert first.code == 0, first.output
    with duckdb.connect(str(place / "warehouse.duckdb")) as warehouse:
        found = where(warehouse, ZOE)
        warehouse.execute("create schema if not exists test_failures")
        warehouse.execute("create table test_failures.something as select user_id from intermediate.int_identities")
    put(raw / "deletion_requests.csv", f"user_id,anonymous_id,requested_at\n,{other_device},2024-06-28\n")
    second = make_run(place, RAW_DATA=raw, WAREHOUSE=place / "warehouse.duckdb")
    return place, first, found, second


def append(raw: Path, table: str, record: dict) -> None:
    """Adds a row to a table of the sample, whatever its format."""
    (file,) = raw.glob(f"{table}.*")
    source = f"read_csv('{file}', all_varchar=true)" if file.suffix == ".csv" else f"'{file}'"
    values = ", ".join(f"'{value}' as {name}" for name, value in record.items())
    new = file.with_name(f"new_{file.name}")
    how = "format csv, header" if file.suffix == ".csv" else "format parquet"
    duckdb.connect().execute(
        f"copy (select columns(*)::varchar from {source} union all by name select {values}) to '{new}' ({how})"
    )
    new.replace(file)


def where(connection, ids) -> set[str]:
    """Every table and view, and column, in which one of the ids stands, by itself or in a longer text."""
    found = set()
    columns = connection.execute(
        "select table_schema, table_name, column_name from information_schema.columns "
        "where table_schema not in ('information_schema', 'pg_catalog')"
    ).fetchall()
    for schema, table, column in columns:
        held = " or ".join(f"contains(cast(\"{column}\" as varchar), '{id}')" for id in ids)
        if connection.execute(f'select exists (from "{schema}"."{table}" where {held})').fetchone()[0]:
            found.add(f"{schema}.{table}.{column}")
    return found


def test_nothing_is_left_of_them_in_any_column(runs):
    place, _, found_before, second = runs
    assert second.code == 0, second.output
    # That the search finds what is there.
    assert {
        "raw.events.user_id", "raw.events.anonymous_id", "raw.aliases.previous_id", "raw.users.user_id",
        "raw.feedback.user_id", "staging.stg_generic__rejected_events.user_id", "intermediate.int_identities.user_id",
        "intermediate.int_first_deliveries.user_id", "marts.dim_users.user_id", "marts.fct_segment_membership.user_id",
    } <= found_before  # fmt: skip
    with duckdb.connect(str(place / "warehouse.duckdb"), read_only=True) as warehouse:
        assert where(warehouse, ZOE) == set()
        assert where(warehouse, ["bystander-77"])
        assert not where(warehouse, ["test_failures"])
    for file in (place / "published").glob("*.duckdb"):
        with duckdb.connect(str(file), read_only=True) as published:
            assert where(published, ZOE) == set()


def test_nothing_is_left_of_them_in_the_bytes_of_any_file(runs):
    place = runs[0]
    looked_at = 0
    for file in place.rglob("*"):
        if file.is_file() and not file.is_relative_to(place / "raw"):
            content = file.read_bytes()
            looked_at += 1
            assert [id for id in ZOE if id.encode() in content] == [], file
    assert looked_at > 5
    assert len(list(place.glob(".published-*"))) == 1


def test_the_summary_counts_them_and_names_nobody(runs):
    assert "Forgotten" not in runs[1].output
    assert "Forgotten: 1 people (4 ids)." in runs[3].output
    assert not any(id in runs[3].output for id in ZOE)


def test_built_in_one_go_it_is_the_same(runs, dbt, tmp_path):
    place = runs[0]
    at_once = dbt("run", env={"RAW_DATA": place / "raw", "WAREHOUSE": tmp_path / "warehouse.duckdb"})
    assert at_once.code == 0, at_once.output
    for table in (
        "intermediate.int_half_hours", "intermediate.int_key_events", "intermediate.int_first_deliveries",
        "intermediate.int_identities", "intermediate.int_user_days", "intermediate.int_user_metrics", "marts.dim_users",
        "marts.fct_input_health",
    ):  # fmt: skip
        # What was compared between deliveries is about them, not about what is left.
        counts = "input_table, check_name, row_count" if table.endswith("health") else "*"
        select = f"select {counts} from {table} order by all"
        assert at_once.rows(select) == runs[3].rows(select), table
