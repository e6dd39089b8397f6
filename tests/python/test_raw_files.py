"""Tests of tools/raw_files.py: what becomes of a folder of files, file by file, on a plain DuckDB connection."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
from collections.abc import Callable

import duckdb
import pyarrow.parquet
import pytest
import raw_files
from raw_files import REJECTION_REASON, check_warehouse, show_raw_tables
from raw_folder import EVENT, TAXONOMY_CSV, put, put_not_utf8, put_query, put_rows, rows
from raw_tables import TABLES, TAXONOMY, BadInput, find_inputs

# What breaks careless readers, and a value of one megabyte.
AWKWARD = {
    "quotes": 'she said "no", \'yes\'; \\"',
    "lines": "one\ntwo\r\nthree\n\n",
    "emoji": "🍕 ragù\t日本",
    "spaces": "  both ends  ",
    "null-like": "NULL",
    "comma": ",,,",
}
MEGABYTE = json.dumps({"text": 'é"\n,' * 200_000}, ensure_ascii=False)


# Formats and places

ENDINGS = ["parquet", "csv", "csv.gz", "json", "json.gz", "ndjson", "ndjson.gz"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("place", ["events.{}", "events/part.{}", "events/2024/01/part.{}", "Events.{}"])
def test_every_format_in_every_place(folder, show, conn, ending, place):
    put_rows(folder / place.format(ending), [EVENT, EVENT | {"event_id": "e2"}])
    show()
    assert rows(conn, "event_id, event_name, user_id, platform") == [
        ("e1", "viewed", "u1", None),
        ("e2", "viewed", "u1", None),
    ]


@pytest.mark.parametrize("ending", ENDINGS)
def test_text_goes_through_unharmed(folder, show, conn, ending):
    sent = [EVENT | {"event_id": key, "search_query": text} for key, text in AWKWARD.items()]
    put_rows(folder / f"events.{ending}", [*sent, EVENT | {"event_id": "megabyte", "properties": MEGABYTE}])
    show()
    assert rows(conn, "event_id, search_query, properties") == sorted(
        [*((key, text, None) for key, text in AWKWARD.items()), ("megabyte", None, MEGABYTE)], key=str
    )


@pytest.mark.parametrize("ending", ENDINGS)
def test_columns_go_by_name_in_any_order_and_case(folder, show, conn, ending):
    put_rows(
        folder / f"events.{ending}",
        [{"Extra": "dropped", "USER_ID": "u1", "Event_At": "2024-01-01", "event_name": "viewed", "Event_ID": "e1"}],
    )
    show()
    assert rows(conn, "event_id, event_name, event_at, user_id, anonymous_id") == [
        ("e1", "viewed", "2024-01-01", "u1", None)
    ]
    described = [row[0] for row in conn.execute("describe raw.events").fetchall()]
    assert described == [*TABLES[0].columns, "source_file"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_of_one_table_may_differ_in_columns(folder, show, conn, ending):
    put_rows(folder / f"events/1.{ending}", [EVENT | {"platform": "web"}])
    put_rows(folder / f"events/2.{ending}", [{"os": "linux"} | EVENT | {"event_id": "e2"}])
    put_rows(folder / f"events/3.{ending}", [{"Event_ID": "e3", "anonymous_id": "d"}])
    show()
    assert rows(conn, "event_id, event_name, platform, os, anonymous_id") == [
        ("e1", "viewed", "web", None, None),
        ("e2", "viewed", None, "linux", None),
        ("e3", None, None, None, "d"),
    ]


def test_optional_tables_that_are_absent_are_empty(folder, show, conn):
    put_rows(folder / "events.csv", [EVENT])
    show()
    for table in TABLES[1:]:
        assert rows(conn, ", ".join(f'"{column}"' for column in table.columns), table.name) == []


def test_an_optional_table_comes_and_goes(folder, show, conn):
    put_rows(folder / "events.csv", [EVENT])
    for ending in ("csv", "parquet", "ndjson"):
        file = put_rows(folder / f"users.{ending}", [{"user_id": "u1", "plan": "free"}])
        show()
        assert rows(conn, "user_id, plan, country", "users") == [("u1", "free", None)]
        file.unlink()
        show()
        assert rows(conn, "*", "users") == []


def test_an_optional_table_may_hold_no_row(folder, show, conn):
    put_rows(folder / "events.csv", [EVENT])
    put(folder / "users.csv", "user_id,plan\n")
    put(folder / "aliases.ndjson", "")
    put(folder / "feedback.json", "[]")
    show()
    assert [rows(conn, "*", name) for name in ("users", "aliases", "feedback")] == [[], [], []]


def test_files_that_are_no_data_are_passed_over(folder, show, conn):
    put_rows(folder / "events" / "part.csv", [EVENT])
    for name in ("_SUCCESS", "readme.txt", "._part.csv", ".part.csv.crc", "_temporary/0/part.csv", ".cache/part.csv"):
        put(folder / "events" / name, b"\x00\x05 not data")
    put(folder / "notes.csv", "of,the\nperson,own\n")
    # Not a file of users, no file at all, and one beside the file that is read.
    others = ("users_old.xlsx", "users.csv.bak", ".users.tsv", "all users.tsv", "users.xlsx/readme.txt", "events.sql")
    for name in others:
        put(folder / name, "of the person's own")
    show()
    assert rows(conn, "event_id") == [("e1",)]
    assert rows(conn, "*", "users") == []


@pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson"])
def test_names_of_files_are_not_patterns(folder, show, conn, ending):
    names = ["a*", "ab", "a?", "[ab]", "{a,b}", "it's", 'say "x"', "back\\slash", "ünï 🍕", "a b", "%s $HOME", "~"]
    for number, name in enumerate(names):
        put_rows(folder / "events" / f"{name}.{ending}", [EVENT | {"event_id": f"e{number:02}"}])
    show()
    assert rows(conn, "event_id") == [(f"e{number:02}",) for number in range(len(names))]


def test_any_path_to_the_folder(tmp_path, conn):
    folder = tmp_path / "it's [a] day=x & ünï*? 🍕"
    put_rows(folder / "events" / "1.csv", [EVENT])
    put_rows(folder / "users.parquet", [{"user_id": "u1"}])
    put_rows(folder / "aliases.json", [{"previous_id": "a", "user_id": "b"}])
    show_raw_tables(conn, find_inputs(folder, put(folder / "taxonomy.csv", TAXONOMY_CSV)))
    assert [len(rows(conn, "*", name)) for name in ("events", "users", "aliases")] == [1, 1, 1]


@pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson.gz"])
def test_partitioned_folders_give_their_columns(folder, show, conn, ending):
    for day in (1, 2):
        put_rows(folder / f"events/day=2024-01-0{day}/platform=web/part.{ending}", [EVENT | {"event_id": f"e{day}"}])
    put_rows(folder / f"events/plain.{ending}", [EVENT | {"event_id": "e3"}])
    for currency in ("EUR", "GBP"):
        put_rows(folder / f"exchange_rates/currency={currency}/r.{ending}", [{"day": "2024-01-01", "rate": "1.1"}])
    show()
    assert rows(conn, "event_id, platform") == [("e1", "web"), ("e2", "web"), ("e3", None)]
    assert rows(conn, "currency, rate", "exchange_rates") == [("EUR", "1.1"), ("GBP", "1.1")]


@pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson"])
def test_a_year_of_daily_files(folder, show, conn, ending):
    first = put_rows(folder / f"events/000.{ending}", [EVENT])
    for day in range(1, 365):
        put(folder / f"events/{day:03}.{ending}", first.read_bytes())
    show()
    assert conn.execute("select count(*), count(distinct event_id) from raw.events").fetchone() == (365, 1)


# CSV


def test_a_csv_row_that_does_not_parse_is_a_row_of_nulls(folder, show, conn):
    header = b"event_id,event_name,event_at,user_id\n"
    good = b'"e1",viewed,2024-01-01,"u ""1"""\n'
    broken = [
        b"e2,viewed,2024-01-01\n",
        b"e3,viewed,2024-01-01,u1,more,and more\n",
        b"e4,view\xff\xfeed,2024-01-01,u1\n",
        b'e5,"viewed" today,2024-01-01,u1\n',
        b'e6,viewed,2024-01-01,"never closed\n',
    ]
    put(folder / "events/1.csv", header + good.join(broken[:4]) + good + broken[4])
    put(folder / "events/2.csv.gz", gzip.compress(header + good + broken[0]))
    put(folder / "events/3.csv", header + good)
    show()
    found = rows(conn, "event_id, user_id")
    assert found.count(("e1", 'u "1"')) == 4 + 1 + 1
    assert found.count((None, None)) == 5 + 1
    assert len(found) == 12


@pytest.mark.parametrize(
    "lines",
    [
        "event_id,event_name,event_at,user_id\r\ne1,viewed,2024-01-01,u1\r\ne2,viewed,2024-01-01,u2\r\n",
        "event_id,event_name,event_at,user_id\re1,viewed,2024-01-01,u1\re2,viewed,2024-01-01,u2",
        "event_id,event_name,event_at,user_id\r\ne1,viewed,2024-01-01,u1\ne2,viewed,2024-01-01,u2\r\n",
        'event_id,event_name,event_at,user_id\n"e1","viewed","2024-01-01","u1"\r\ne2,viewed,2024-01-01,u2\r\n',
        "\ufeffevent_id, Event_Name ,event_at,user_id\ne1,viewed,2024-01-01,u1\n\n\ne2,viewed,2024-01-01,u2\n",
        "\n\nevent_id,event_name,event_at,user_id\ne1,viewed,2024-01-01,u1\ne2,viewed,2024-01-01,u2\n",
        '"a\nb",event_id,event_name,event_at,user_id\r\n,e1,viewed,2024-01-01,u1\r\n,e2,viewed,2024-01-01,u2\r\n',
        'event_id,event_name,event_at,user_id,""\ne1,viewed,2024-01-01,u1,x\ne2,viewed,2024-01-01,u2,y\n',
        "event_id,event_id,event_name,event_at,user_id\ne1,x,viewed,2024-01-01,u1\ne2,x,viewed,2024-01-01,u2\n",
        "event_id,event_name,event_at,user_id,platform\n# e0\ne1,viewed,2024-01-01,u1,\ne2,viewed,2024-01-01,u2,\n",
    ],
    ids=["crlf", "cr", "mixed", "mixed-quoted", "bom", "blank-first", "two-line-header", "no-name", "twice", "hash"],
)
def test_line_ends_and_headers(folder, show, conn, lines):
    put(folder / "events.csv", lines)
    show()
    found = rows(conn, "event_id, event_name, event_at, user_id")
    good = [("e1", "viewed", "2024-01-01", "u1"), ("e2", "viewed", "2024-01-01", "u2")]
    assert [row for row in found if row[0]] == good
    assert len(found) == 2 + lines.count("#")


def test_a_csv_with_mixed_line_ends_keeps_all_the_rest(folder, show, conn):
    header = b"event_id,event_name,event_at,user_id,search_query\r\n"
    text = 'one\r\ntwo\nthree "four" \U0001f355'
    quoted = text.replace('"', '""')
    good = f'e1,viewed,2024-01-01,u1,"{quoted}"\n'.encode()
    put(
        folder / "events/platform=web/1.csv.gz",
        gzip.compress(header + good + b'e2,"x"y,2024-01-01,u1,z\n' + b"e3,\xff,1,u1,z\n" + b"e4,viewed\n" + good),
    )
    show()
    assert rows(conn, "event_id, search_query, platform") == [
        ("e1", text, "web"),
        ("e1", text, "web"),
        (None, None, "web"),
        (None, None, None),
        (None, None, None),
    ]


def test_long_quoted_text_across_the_chunks_of_a_large_csv(folder, show, conn):
    count = 3_000
    text = 'a "quoted" word,\nanother line\r\n' * 60
    sent = [EVENT | {"event_id": f"e{number}", "properties": text} for number in range(count)]
    file = put_rows(folder / "events.csv", sent)
    with open(file, "ab") as more:
        more.write(b"too,few\n")
    assert file.stat().st_size > 5_000_000
    show()
    assert conn.execute("select count(*), count(distinct event_id), min(properties), max(properties) from raw.events"
                        ).fetchone() == (count + 1, count, text, text)  # fmt: skip


# JSON


def test_a_json_line_that_does_not_parse_is_a_row_of_nulls(folder, show, conn):
    good = json.dumps(EVENT)
    put(folder / "events.ndjson", f'{{"event_id": \n{good}\nhello\n[1, 2]\n"text"\n\n{good}\n{{"event_id": "e2", "ev')
    show()
    assert rows(conn, "event_id") == [("e1",), ("e1",), (None,), (None,), (None,), (None,), (None,)]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([EVENT]),
        "\ufeff" + json.dumps([EVENT]),
        json.dumps(EVENT),
        "\ufeff" + json.dumps(EVENT) + "\r\n",
        json.dumps(EVENT, indent=2) + "\n" + json.dumps(EVENT, indent=2),
        "\n\n" + json.dumps(EVENT) + "\r\n\r\n" + json.dumps(EVENT),
    ],
    ids=["array", "array-bom", "line", "line-bom", "pretty", "blank-lines"],
)
def test_every_way_of_writing_objects_down(folder, show, conn, content):
    put(folder / "events.json", content)
    show()
    assert set(rows(conn, "event_id, user_id")) == {("e1", "u1")}


def test_values_of_json_become_text(folder, show, conn):
    event = {
        "event_id": 12345678901234567890, "event_name": "viewed", "event_at": "2024-01-01T10:00:00+02:00",
        "user_id": 17, "properties": {"a": [1, {"b": 'é "x"\n'}], "c": None}, "revenue": 12.5, "quantity": None,
        "platform": True,
    }  # fmt: skip
    put(folder / "events.ndjson", json.dumps(event, ensure_ascii=False) + "\n")
    show()
    found = rows(conn, "event_id, user_id, event_at, revenue, quantity, platform")
    assert found == [("12345678901234567890", "17", "2024-01-01T10:00:00+02:00", "12.5", None, "true")]
    assert json.loads(rows(conn, "properties")[0][0]) == event["properties"]


def test_the_contracts_own_spelling_of_a_key_comes_first(folder, show, conn):
    put(folder / "events/1.ndjson", json.dumps(EVENT | {"User_ID": "no", "USER_ID": "no"}))
    put(folder / "events/2.ndjson", json.dumps({"EVENT_ID": "e2", "event_name": "viewed", "User_Id": "u2"}))
    show()
    assert rows(conn, "event_id, user_id") == [("e1", "u1"), ("e2", "u2")]


# Parquet


def test_times_of_every_type(folder, show, conn):
    instant = "timestamptz '2024-01-01 10:00:00.123456+02'"
    for name, value in {
        "tz": instant,
        "naive": "timestamp '2024-01-01 08:00:00.123456'",
        "ns": "timestamp_ns '2024-01-01 08:00:00.123456'",
    }.items():
        put_query(folder / "events.parquet", f"select 'e' event_id, 'viewed' event_name, {value} event_at, 'u' user_id")
        show()
        kind = conn.execute("select typeof(event_at), cast(event_at as timestamp) from raw.events").fetchone()
        assert kind[0].startswith("TIMESTAMP") and "ZONE" not in kind[0], name
        assert kind[1] == dt.datetime(2024, 1, 1, 8, 0, 0, 123456), name


def test_files_with_other_types_for_one_column_live_side_by_side(folder, show, conn):
    for number, (event_id, event_at, properties) in enumerate(
        [
            ("7", "timestamptz '2024-01-01 10:00:00+02'", "{'a': 1}"),
            ("'7'", "'2024-01-01T10:00:00+02:00'", "'{\"b\": 2}'"),
            ("7.0::double", "1704096000", "map {'c': 3}"),
            ("'7'::blob", "date '2024-01-01'", "null"),
        ]
    ):
        put_query(
            folder / f"events/{number}.parquet",
            f"select {event_id} event_id, 'viewed' event_name, {event_at} event_at, 'u' user_id, "
            f"{properties} properties",
        )
    show()
    assert rows(conn, "event_id, properties") == [("7", '{"a":1}'), ("7", '{"b": 2}'), ("7", '{"c":3}'), ("7", None)]
    assert {row[0].removesuffix(" 00:00:00") for row in rows(conn, "event_at")} == {
        "1704096000",
        "2024-01-01",
        "2024-01-01 08:00:00",
        "2024-01-01T10:00:00+02:00",
    }
    # A number of seconds is no timestamp: it is rejected, not taken for the year 1704096000.
    reasons = conn.execute(f"select {REJECTION_REASON} as reason, count(*) from raw.events group by 1").fetchall()
    assert sorted(reasons, key=str) == [("event_at is no timestamp", 1), (None, 3)]


def test_ids_that_are_numbers(folder, show, conn):
    values = ["17.0::double", "17.5::double", "'nan'::double", "null::double", "1e15::double"]
    for number, value in enumerate(values):
        put_query(
            folder / f"events/{number}.parquet",
            f"select 'e{number}' event_id, 'viewed' event_name, '2024-01-01' event_at, {value} user_id, "
            "'d' anonymous_id",
        )
    show()
    assert rows(conn, "event_id, user_id") == [
        ("e0", "17"), ("e1", "17.5"), ("e2", None), ("e3", None), ("e4", "1000000000000000"),
    ]  # fmt: skip


def test_parquet_is_read_in_place_and_of_later_rows_the_time_alone(folder, show, conn):
    file = put_query(
        folder / "events.parquet",
        "select 'e' || i as event_id, 'viewed' as event_name, timestamp '2024-01-01' as event_at, 'u' || i as user_id, "
        "random() as noise from range(1_000_000) t(i)",
    )
    # Whoever reads more of the later rows than their time, fails.
    chunks = duckdb.execute(
        "select coalesce(dictionary_page_offset, data_page_offset), total_compressed_size "
        f"from parquet_metadata('{file}') where row_group_id > 2 and path_in_schema <> 'event_at'"
    ).fetchall()
    assert len(chunks) > 4
    with open(file, "r+b") as damaged:
        for offset, size in chunks:
            damaged.seek(offset)
            damaged.write(b"\xff" * size)
    # Several threads begin in several places.
    conn.execute("set threads = 1")
    show()
    assert conn.execute("select count(*) from raw.events").fetchone() == (1_000_000,)
    with pytest.raises(duckdb.Error):
        conn.execute("select max(user_id) from raw.events").fetchall()


# When it is read, and when not


def test_an_unchanged_input_is_not_read_again(folder, show, conn, monkeypatch):
    for day in range(365):
        put_rows(folder / f"events/{day}.csv", [EVENT])
    put_rows(folder / "users.parquet", [{"user_id": "u1"}])
    show()
    monkeypatch.setattr(raw_files, "show", lambda *_: pytest.fail("read again"))
    show()


@pytest.mark.parametrize("ending", ["parquet", "csv", "json"])
def test_a_changed_input_is_read_again(folder, show, conn, ending):
    file = put_rows(folder / f"events.{ending}", [EVENT])
    show()
    put_rows(file, [EVENT, EVENT | {"event_id": "e2"}])
    show()
    assert rows(conn, "event_id") == [("e1",), ("e2",)]
    # A replacement of the same size is noticed by its time.
    put_rows(file, [EVENT, EVENT | {"event_id": "e3"}])
    os.utime(file, ns=(0, 0))
    show()
    assert rows(conn, "event_id") == [("e1",), ("e3",)]
    file.unlink()
    put_rows(folder / f"events/1.{ending}", [EVENT | {"event_id": "e4"}])
    show()
    assert rows(conn, "event_id") == [("e4",)]


# What cannot be used

HEADER = "event_id,event_name,event_at,user_id\n"
GZIPPED = gzip.compress((HEADER + "".join(f"e{i},viewed,2024-01-01,u{i * i}\n" for i in range(5000))).encode())
PARQUET = "<parquet>"
BAD_FOLDERS = {
    "empty folder": ({}, ["no events in", "put events.parquet"]),
    "only folders of others": ({"readme.txt": "x"}, ["no events in"]),
    "two formats": ({"events.csv": HEADER, "events/a.json": "[]"}, ["csv and as json", "keep one format"]),
    "twice": ({"events.csv": HEADER, "events.csv.gz": GZIPPED}, ["twice", "events.csv.gz", "keep one"]),
    "file and folder": ({"events.csv": HEADER, "events/x.csv": HEADER}, ["twice", "events/x.csv"]),
    "header and no row": ({"events.csv": HEADER}, ["events.csv", "holds no row"]),
    "zero bytes": ({"events.csv": ""}, ["events.csv", "holds no row"]),
    "zero bytes of ndjson": ({"events.ndjson": ""}, ["events.ndjson", "holds no row"]),
    "empty array": ({"events.json": "[]"}, ["events.json", "holds no row"]),
    "zero bytes of parquet": ({"events.parquet": ""}, ["events.parquet cannot be read as parquet"]),
    "text as parquet": ({"events.parquet": HEADER + "e1,viewed,2024-01-01,u1\n"}, ["events.parquet cannot be read as"]),
    "parquet as csv": ({"events.csv": PARQUET}, ["events.csv is Parquet", ".parquet"]),
    "parquet as json": ({"events.json": PARQUET}, ["events.json is Parquet"]),
    "gzip as csv": ({"events.csv": GZIPPED}, ["events.csv is gzip"]),
    "csv as gzip": ({"events.csv.gz": HEADER + "e1,viewed,2024-01-01,u1\n"}, ["events.csv.gz is not gzip"]),
    "truncated gzip": ({"events.csv.gz": GZIPPED[:-2000]}, ["events.csv.gz", "ends early"]),
    "gzip without its last bytes": ({"events.csv.gz": GZIPPED[:-3]}, ["events.csv.gz", "ends early"]),
    "damaged gzip": (
        {"events.csv.gz": GZIPPED[:9000] + b"\x00\xff" * 9 + GZIPPED[9018:]},
        ["events.csv.gz", "damaged"],
    ),
    "truncated gzip of json": (
        {"events.ndjson.gz": gzip.compress(json.dumps(EVENT).encode() * 999)[:-9]},
        ["events.ndjson.gz", "ends early"],
    ),
    "spreadsheet": ({"events.csv": b"PK\x03\x04rest"}, ["events.csv is a zip archive or a spreadsheet"]),
    "utf-16": ({"events.csv": HEADER.encode("utf-16")}, ["events.csv is UTF-16", "UTF-8"]),
    "semicolons": ({"events.csv": HEADER.replace(",", ";") + "e1;viewed;2024-01-01;u1\n"}, ["';'", "commas"]),
    "garbage as json": ({"events.json": "hello\nworld\n"}, ["events.json holds no JSON object"]),
    "broken array": ({"events.json": "[" + json.dumps(EVENT) + ",{]"}, ["events.json cannot be read as json"]),
    "array of arrays": ({"events.json": '[["secret-person"]]'}, ["events.json"]),
    "an object around all": ({"events.json": json.dumps({"rows": [EVENT]})}, ["no column event_id"]),
    "no key columns": (
        {"events.csv": "event_id,uid,when\ne1,secret-person,2024\n"},
        ["no column event_name, no event_at, no user_id or anonymous_id", "events.csv", "it has event_id and 2 more"],
    ),
    "no header": ({"events.csv": "secret-person,viewed,2024-01-01,u1\n" * 2}, ["no column event_id", "events.csv"]),
    "every event rejected": (
        {"events.csv": HEADER + "e1,viewed,1704067200,u1\ne2,viewed,1704067200,u1\n,,\n,x,,secret-person\n"},
        ["every row of", "2 x event_at is no timestamp, 1 x no event_id, 1 x unreadable or empty row"],
    ),
    "users without key column": (
        {"events.ndjson": json.dumps(EVENT), "users.csv": "id,plan\nsecret-person,free\n"},
        ["users has no column user_id", "users.csv"],
    ),
    "users without a user": (
        {"events.ndjson": json.dumps(EVENT), "users.csv": "user_id,plan\n,free\n"},
        ["no row of", "users.csv has user_id"],
    ),
    "damaged users": ({"events.ndjson": json.dumps(EVENT), "users.parquet": b"PAR1...PAR1"}, ["users.parquet cannot"]),
    "spreadsheet of events": ({"events.xlsx": b"PK\x03\x04rest"}, ["events.xlsx has no ending that is read; save it"]),
    **{
        f"users as {name}": (
            {"events.ndjson": json.dumps(EVENT), name: b"\x00secret-person"},
            [f"/{name} has no ending that is read; save it as parquet, csv, json or ndjson", "that is not users"],
        )
        for name in ("users.xlsx", "Users.TSV", "users.parquet.gz", "users.csv.zip", "users.txt", "users")
    },
    "circle of aliases": (
        {
            "events.ndjson": json.dumps(EVENT),
            "aliases.csv": "previous_id,user_id\nsecret-person,b\nb,c\nc,secret-person\nx,b\ny,z\nz,z\n",
        },
        ["aliases.csv lead in a circle (4 ids"],
    ),
}  # fmt: skip
BAD_TAXONOMIES = {
    "unknown type": ("event_name,event_type\nviewed,page_view\nbought,buy\n", ["'bought'", "'buy'", "purchase"]),
    "no type": ("event_name,event_type\nviewed,\nbought,purchase\n", ["'viewed' the event_type ''"]),
    "name twice": ("event_name,event_type\nviewed,page_view\nviewed,other\n", ["'viewed' 2 times"]),
    "no type column": ("event_name,type\nviewed,page_view\n", ["no column event_type"]),
    "flag": ("event_name,event_type,is_activity\nviewed,page_view,yes\n", ["'viewed' is_activity 'yes'"]),
    "no row": ("event_name,event_type\n", ["holds no row"]),
}


# Texts that no calendar has, of rows that are all right but for that.
NO_TIMES = ["-infinity", "infinity", "0044-03-15 (BC)", "290000-01-01 (BC)", "200000-01-01", "294247-01-10", ""]


@pytest.mark.parametrize("received_at", [None, *NO_TIMES])
@pytest.mark.parametrize("event_at", ["2024-01-01", *NO_TIMES])
def test_a_time_that_no_calendar_has_is_no_time(folder, show, conn, event_at, received_at):
    put_rows(folder / "events.ndjson", [EVENT, EVENT | {"event_at": event_at, "received_at": received_at}])
    show()
    reasons = rows(conn, f"{REJECTION_REASON} as reason")
    assert reasons == sorted([(None,), (None if event_at == "2024-01-01" else "event_at is no timestamp",)], key=str)


REJECTED_OF_1970 = [
    EVENT | {"event_id": "", "event_at": "1970-01-01"},
    EVENT | {"user_id": None, "event_at": "1970-01-01"},
    EVENT | {"event_at": "1970-01-03", "received_at": "1970-01-01"},
    EVENT | {"event_at": "0044-03-15 (BC)"},
]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize(("zone", "first"), [("UTC", "2024-01-01"), ("Pacific/Auckland", "2024-01-02")])
def test_a_day_before_the_first_clean_event_replaces_nothing(folder, conn, tmp_path, ending, zone, first):
    taxonomy = put(tmp_path / "taxonomy.csv", TAXONOMY_CSV)
    put_rows(folder / f"events.{ending}", [EVENT])
    show_raw_tables(conn, find_inputs(folder, taxonomy))
    before = rows(conn, "*", "loaded_files")
    (folder / f"events.{ending}").rename(tmp_path / "old")
    new = [*REJECTED_OF_1970, EVENT | {"event_id": "new", "event_at": "2024-01-01T11:00:00Z"}]
    put_rows(folder / f"events/new.{ending}", new)
    early = str(dt.date.fromisoformat(first) - dt.timedelta(days=1))
    for as_of in ("1970-01-01", "2000-01-01", early):
        message = rf"AS_OF: {as_of} is before the first event \({first}\); ask for that day or a later one$"
        with pytest.raises(BadInput, match=message):
            show_raw_tables(conn, find_inputs(folder, taxonomy), as_of, zone)
        assert rows(conn, "*", "loaded_files") == before
    show_raw_tables(conn, find_inputs(folder, taxonomy), first, zone)
    assert ("new",) in rows(conn, "event_id")
    # Files that are known already are asked as well.
    with pytest.raises(BadInput, match="is before the first event"):
        show_raw_tables(conn, find_inputs(folder, taxonomy), early, zone)


@pytest.mark.parametrize("asked", ["30.6.2024", "2023-02-29", "0000-01-01", "20240630", "2024-06-30 ", "2024-6-30"])
def test_a_day_that_is_none_is_one_line(asked):
    with pytest.raises(BadInput, match=f"AS_OF: '{asked}' is no date; write it as 2024-06-30$"):
        raw_files.asked_day(asked)
    assert raw_files.asked_day("2024-02-29") == "2024-02-29"
    assert raw_files.asked_day("") is raw_files.asked_day(None) is None


def test_text_in_parquet_that_is_no_utf8_is_one_line(folder, show, conn, good):
    before = good()
    put_not_utf8(folder / "events.parquet", EVENT | {"user_id": b"secret-person: \xff"})
    with pytest.raises(BadInput, match="RAW_DATA: .*events.parquet cannot be read as parquet .*Invalid str") as raised:
        show()
    assert "secret-person" not in raised.value.msg and "\n" not in raised.value.msg
    assert good() == before


@pytest.fixture
def good(folder, show, conn, tmp_path) -> Callable[[], list]:
    """Shows good input of every table, empties the folder, and gives a function for what is shown."""
    put_rows(folder / "events.csv", [EVENT])
    put_rows(folder / "users.parquet", [{"user_id": "u1", "plan": "free"}])
    put_rows(folder / "aliases.json", [{"previous_id": "a", "user_id": "b"}])
    show()
    # The view on the Parquet file goes on reading it.
    kept = put(tmp_path / "kept.parquet", (folder / "users.parquet").read_bytes())
    for file in folder.iterdir():
        file.unlink()

    def shown() -> list:
        put(folder / "users.parquet", kept.read_bytes())
        tables = [table.name for table in (*TABLES, TAXONOMY)] + [
            "loaded_files",
            "event_files",
            "event_file_days",
            "event_days",
        ]
        return [rows(conn, "*", table) for table in tables]

    return shown


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_input_is_one_line_and_replaces_nothing(folder, show, conn, good, case):
    before = good()
    (folder / "users.parquet").unlink()
    files, expected = BAD_FOLDERS[case]
    for name, content in files.items():
        if content == PARQUET:
            put_rows(folder / "x.parquet", [EVENT]).rename(folder / name)
        else:
            put(folder / name, content)
    with pytest.raises(BadInput) as raised:
        show()
    message = raised.value.msg
    assert "RAW_DATA: " in message and str(folder) in message
    assert [part for part in expected if part not in message] == []
    assert message.splitlines() == [message] and len(message) < 500
    assert "secret-person" not in message
    assert good() == before
    conn.execute("begin")


@pytest.mark.parametrize("case", BAD_TAXONOMIES)
def test_a_bad_taxonomy_is_one_line_and_replaces_nothing(folder, show, conn, good, case):
    before = good()
    # Good events come with it: they are not shown either.
    put_rows(folder / "events.csv", [EVENT | {"event_id": "new"}])
    taxonomy, expected = BAD_TAXONOMIES[case]
    with pytest.raises(BadInput) as raised:
        show(taxonomy)
    message = raised.value.msg
    assert "TAXONOMY: " in message and "taxonomy.csv" in message
    assert [part for part in expected if part not in message] == []
    assert message.splitlines() == [message] and len(message) < 500
    assert good() == before


@pytest.mark.parametrize("taxonomy", ["nowhere.csv", "taxonomy.xlsx"])
def test_a_taxonomy_that_is_no_table(folder, tmp_path, taxonomy):
    put(tmp_path / "taxonomy.xlsx", "x")
    with pytest.raises(BadInput, match=f"TAXONOMY: .*{taxonomy}"):
        find_inputs(folder, tmp_path / taxonomy)


@pytest.mark.parametrize("place", ["nowhere", "events.csv"])
def test_a_folder_that_is_none(folder, place):
    put_rows(folder / "events.csv", [EVENT])
    with pytest.raises(BadInput, match=f"RAW_DATA: .*{place}.*; name the one that holds events"):
        find_inputs(folder / place, folder / "events.csv")


@pytest.mark.parametrize(
    ("path", "reason"), [("letter.duckdb", "not a valid DuckDB"), ("no/such.duckdb", "No such file")]
)
def test_a_warehouse_that_cannot_be_opened(tmp_path, path, reason):
    letter = put(tmp_path / "letter.duckdb", "a letter to a friend")
    with pytest.raises(BadInput, match=f"^Runtime Error\n  WAREHOUSE: .*{path} cannot be opened: .*{reason}.*$"):
        check_warehouse(str(tmp_path / path), {})
    assert letter.read_text() == "a letter to a friend"


def test_an_interrupted_load_replaces_nothing(folder, show, conn, good, monkeypatch):
    before = good()
    put_rows(folder / "events.csv", [EVENT | {"event_id": "new"}])
    check = raw_files.check

    def interrupt(connection, item):
        check(connection, item)
        if item.table is TAXONOMY:
            raise KeyboardInterrupt

    monkeypatch.setattr(raw_files, "check", interrupt)
    with pytest.raises(KeyboardInterrupt):
        show(TAXONOMY_CSV + "left,other,true\n")
    assert good() == before
    monkeypatch.undo()
    show()
    assert rows(conn, "event_id") == [("new",)]


def test_aliases_without_a_circle(folder, show, conn):
    put_rows(folder / "events.csv", [EVENT])
    chain = [{"previous_id": f"i{number}", "user_id": f"i{number + 1}"} for number in range(20_000)]
    forks = [{"previous_id": "i5", "user_id": "i9"}, {"previous_id": "x", "user_id": "i5"}]
    itself = [{"previous_id": "i7", "user_id": "i7"}, {"previous_id": "i20000", "user_id": "i20000"}]
    put_rows(folder / "aliases.csv", chain + forks + itself + chain[:10])
    show()
    assert len(rows(conn, "previous_id", "aliases")) == 20_014


def test_one_usable_event_is_enough(folder, show, conn):
    put(folder / "events.csv", HEADER + ",,,\n" * 1000 + "e1,viewed,2024-01-01,u1\n")
    show()
    assert len(rows(conn)) == 1001


def test_what_is_refused_here_is_what_staging_rejects(built_sample):
    with duckdb.connect(str(built_sample), read_only=True) as warehouse:
        warehouse.execute("set TimeZone = 'UTC'")
        here = warehouse.execute(f"select {REJECTION_REASON} as reason, count(*) from raw.events group by 1").fetchall()
        staging = warehouse.execute(
            "select rejection_reason, count(*) from staging.base_generic__events group by 1"
        ).fetchall()
    assert len(staging) >= 6
    assert dict(here) == dict(staging)


def test_a_memory_limit_is_set(conn):
    raw_files.set_memory_limit(conn, "2GB")
    assert conn.execute("select current_setting('memory_limit')").fetchone() == ("1.8 GiB",)


@pytest.mark.parametrize("limit", ["much", "80%", "2'; drop schema raw"])
def test_a_memory_limit_that_is_no_size_is_one_line(conn, limit):
    with pytest.raises(BadInput, match="MEMORY_LIMIT: .* write it as 2GB") as error:
        raw_files.set_memory_limit(conn, limit)
    assert "\n" not in error.value.msg


# Which days are touched


def days(conn) -> dict[str, int]:
    """The load that last touched each day."""
    return dict(conn.execute("select cast(event_date as varchar), load_number from raw.event_days").fetchall())


def on(*moments: str) -> list[dict]:
    """Events at these times."""
    return [EVENT | {"event_id": f"e{moment}", "event_at": moment} for moment in moments]


@pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson"])
def test_a_new_file_touches_its_days_and_no_others(folder, show, conn, ending):
    put_rows(folder / f"events/1.{ending}", on("2024-06-01 10:00:00", "2024-06-02 10:00:00"))
    show()
    assert days(conn) == {"2024-06-01": 1, "2024-06-02": 1}
    put_rows(folder / f"events/2.{ending}", on("2024-06-02 11:00:00", "2024-06-03 10:00:00"))
    show()
    assert days(conn) == {"2024-06-01": 1, "2024-06-02": 2, "2024-06-03": 2}
    assert len(rows(conn)) == 4
    show()
    assert days(conn) == {"2024-06-01": 1, "2024-06-02": 2, "2024-06-03": 2}
    files = conn.execute("select distinct source_file from raw.events order by 1").fetchall()
    assert files == [(str(folder / f"events/{number}.{ending}"),) for number in (1, 2)]


@pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson"])
def test_a_file_that_changed_or_went_touches_the_days_it_had(folder, show, conn, ending):
    for number, day in enumerate(("2024-06-01 10:00:00", "2024-06-02 10:00:00", "2024-06-03 10:00:00")):
        put_rows(folder / f"events/{number}.{ending}", on(day))
    show()
    put_rows(folder / f"events/1.{ending}", on("2024-06-05 10:00:00", "2024-06-05 11:00:00"))
    (folder / f"events/2.{ending}").unlink()
    show()
    assert days(conn) == {"2024-06-01": 1, "2024-06-02": 2, "2024-06-03": 2, "2024-06-05": 2}
    assert [row[0] for row in rows(conn, "event_at::date::varchar")] == ["2024-06-01", "2024-06-05", "2024-06-05"]
    assert rows(conn, "event_date::varchar", "event_file_days") == [("2024-06-01",), ("2024-06-05",)]


def test_another_time_zone_format_or_program_touches_all_days(folder, show, conn, monkeypatch):
    put_rows(folder / "events/1.csv", on("2024-06-01 00:30:00"))
    put_rows(folder / "events/2.csv", on("2024-06-05 10:00:00"))
    show()
    inputs = find_inputs(folder, put(folder / "taxonomy.csv", TAXONOMY_CSV))
    monkeypatch.setattr(raw_files, "program_fingerprint", lambda: "newer")
    conn.execute("delete from raw.loaded_files where table_name = 'events'")
    show_raw_tables(conn, inputs)
    assert days(conn) == {"2024-06-01": 2, "2024-06-05": 2}
    conn.execute("delete from raw.loaded_files where table_name = 'events'")
    show_raw_tables(conn, inputs, zone="America/New_York")
    assert days(conn) == {"2024-06-01": 3, "2024-05-31": 3, "2024-06-05": 3}
    for file in (1, 2):
        put_rows(folder / f"events/{file}.parquet", on(f"2024-06-0{file} 12:00:00"))
        (folder / f"events/{file}.csv").unlink()
    show()
    assert days(conn) == {"2024-06-01": 4, "2024-05-31": 4, "2024-06-02": 4, "2024-06-05": 4}
    assert len(rows(conn)) == 2


# How many rows have a value


def filled(conn, file: str, load: int) -> dict[str, int]:
    """The rows with a value of the columns that have any, and all rows as `rows`, in a file as a load read it."""
    found = conn.execute(
        "select column_name, row_count, filled_rows from raw.event_file_columns "
        f"where source_file like '%/{file}' and load_number = {load}"
    ).fetchall()
    assert not found or [name for name, *_ in found] == list(TABLES[0].columns)
    return {name: count for name, _, count in found if count} | {"rows": rows for _, rows, _ in found}


@pytest.mark.parametrize("ending", ENDINGS)
def test_values_are_counted_by_file_and_column(folder, show, conn, ending):
    put_rows(folder / f"events/1.{ending}", [EVENT | {"channel": ""}, EVENT | {"channel": "", "PLAN": "x"}])
    put_rows(folder / f"events/2.{ending}", [EVENT | {"Channel": "ad", "user_id": None, "anonymous_id": "a"}, EVENT])
    show()
    usual = {"event_id": 2, "event_name": 2, "event_at": 2, "rows": 2}
    assert filled(conn, f"1.{ending}", 1) == usual | {"user_id": 2}
    assert filled(conn, f"2.{ending}", 1) == usual | {"user_id": 1, "anonymous_id": 1, "channel": 1}


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_count_stays_until_the_file_changed_twice(folder, show, conn, ending):
    file = put_rows(folder / f"events/1.{ending}", [EVENT | {"channel": "ad"}])
    put_rows(folder / f"events/2.{ending}", [EVENT])
    show()
    usual = {"event_id": 1, "event_name": 1, "event_at": 1, "user_id": 1, "rows": 1}
    for load in (2, 3):
        put_rows(file, [EVENT | {"os": f"{load:0{load}}"}])
        show()
    assert [filled(conn, f"1.{ending}", load) for load in (1, 2, 3)] == [{}, usual | {"os": 1}, usual | {"os": 1}]
    # A file that went still says what it had; the number of a load is never given twice.
    file.unlink()
    show()
    put_rows(file, [EVENT])
    show()
    assert filled(conn, f"1.{ending}", 3) == usual | {"os": 1}
    newest = conn.execute("select source_file, load_number from raw.event_files order by all").fetchall()
    assert newest == [(str(file), 5), (str(folder / f"events/2.{ending}"), 1)]


def test_parquet_says_itself_how_many_values_are_null(folder, show, conn):
    file = put_query(
        folder / "events/day=2024-01-01/1.parquet",
        "select 'e' || i as event_id, 'viewed' as event_name, timestamp '2024-01-01' as event_at, 'u1' as user_id, "
        "case when i % 4 = 0 then 'ad' end as channel, {'a': i} as properties, [] as referrer, '' as os, "
        "cast(null as double) as revenue from range(300_000) t(i)",
    )
    # Whoever reads the texts fails.
    (chunks,) = duckdb.execute(
        "select list((coalesce(dictionary_page_offset, data_page_offset), total_compressed_size)) "
        f"from parquet_metadata('{file}') where path_in_schema in ('channel', 'user_id', 'os') and row_group_id > 0"
    ).fetchone()
    with open(file, "r+b") as damaged:
        for offset, size in chunks:
            damaged.seek(offset)
            damaged.write(b"\xff" * size)
    # Several threads begin in several places.
    conn.execute("set threads = 1")
    show()
    every = 300_000
    assert filled(conn, "1.parquet", 1) == {
        "event_id": every, "event_name": every, "event_at": every, "user_id": every, "channel": every // 4,
        "properties": every, "referrer": every, "rows": every,
    }  # fmt: skip


def test_parquet_without_statistics_is_counted(folder, show, conn):
    columns = {name: [value, value] for name, value in EVENT.items()}
    table = pyarrow.table(columns | {"channel": ["", None], "os": ["a", ""]})
    (folder / "events").mkdir()
    for number, statistics in enumerate((False, ["event_id", "event_name", "event_at", "user_id"])):
        pyarrow.parquet.write_table(table, folder / f"events/{number}.parquet", write_statistics=statistics)
    show()
    expected = {"event_id": 2, "event_name": 2, "event_at": 2, "user_id": 2, "os": 1, "rows": 2}
    assert [filled(conn, f"{number}.parquet", 1) for number in (0, 1)] == [expected, expected]
