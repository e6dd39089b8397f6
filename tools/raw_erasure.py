"""Forgets people: who they are, by the requests of the input `deletion_requests`, and that no raw table shows them.

A request names a user_id, an anonymous_id, or both. Of it only hashes are kept, in `runs.erased_ids`, so that a later
event of the same ids is refused as well: a row an id, of all ids of the person as the marts know them (a device is
`anon:<anonymous_id>`). The whole person is

    the ids of the request; of a device, the user whose it was by the day of the request,
    what aliases connect with these in either direction, by the day of the request,
    every device whose first identified user is one of them.

Nothing here ends: a request that is taken back, or a full refresh, brings nobody back. Ids are in temporary tables
only, which are never written into the warehouse's file.

    erased_ids  kind (user, device); id_hash, the SHA-256 of the id; id_key, DuckDB's own hash of it, to filter fast;
                person, the same for all ids of one; requested_at; is_requested: named by a request; erased_at
    erasure     check_value, a hash that differs when DuckDB's own does: the keys are then looked for again;
                traces_left: rows were deleted, and the file or a published copy may still hold them
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import duckdb
from raw_formats import quoted

# The columns of each input that hold a person's id as the marts know it.
PERSONAL = {
    "users": ("user_id",),
    "aliases": ("previous_id", "user_id"),
    "feedback": ("user_id",),
    "consents": ("user_id",),
}
DEVICE = "'anon:' || nullif(anonymous_id, '')"
CHECK = "hash('the hash that DuckDB has')"


def prepare(conn: duckdb.DuckDBPyConnection) -> bool:
    """Creates what is remembered, and gives whether DuckDB hashes otherwise than before: the keys are void then."""
    conn.execute("create schema if not exists runs")
    conn.execute(
        "create table if not exists runs.erased_ids (kind varchar, id_hash varchar, id_key ubigint, person varchar, "
        "requested_at timestamp, is_requested boolean, erased_at timestamp)"
    )
    conn.execute("create table if not exists runs.erasure (check_value ubigint, traces_left boolean)")
    conn.execute(f"insert into runs.erasure select {CHECK}, false where not exists (from runs.erasure)")
    if conn.execute(f"select check_value <> {CHECK} from runs.erasure").fetchone()[0]:
        conn.execute("update runs.erased_ids set id_key = null")
        conn.execute(f"update runs.erasure set check_value = {CHECK}")
        return True
    return False


def anybody(conn: duckdb.DuckDBPyConnection) -> bool:
    """Whether somebody was forgotten."""
    return conn.execute("select exists (from runs.erased_ids)").fetchone()[0]


def keys_missing(conn: duckdb.DuckDBPyConnection) -> bool:
    """Whether some ids are known by their SHA-256 alone, and have to be looked for by it."""
    return conn.execute("select exists (from runs.erased_ids where id_key is null)").fetchone()[0]


def is_erased(person: str, by_hash: bool, catalog: str = "") -> str:
    """SQL, never null: whether an id as the marts know it is that of a forgotten person. `by_hash`: keys_missing()."""
    erased = f"{catalog}runs.erased_ids"
    by_key = f"hash({person}) in (select id_key from {erased} where id_key is not null)"
    if not by_hash:
        return by_key
    return f"({by_key} or coalesce(sha256({person}) in (select id_hash from {erased} where id_key is null), false))"


def without_erased(conn: duckdb.DuckDBPyConnection, table: str, query: str) -> str:
    """The rows of `query`, which are of the input `table`, without those of forgotten people. An event of somebody else
    on a forgotten device stays, without the device."""
    by_hash = keys_missing(conn)
    catalog = '"' + conn.execute("select current_database()").fetchone()[0].replace('"', '""') + '".'
    if table == "events":
        user, device = is_erased("user_id", by_hash, catalog), is_erased(DEVICE, by_hash, catalog)
        return (
            f"select * replace (case when not {device} then anonymous_id end as anonymous_id) from ({query}) "
            f"where not {user} and (coalesce(user_id, '') <> '' or not {device})"
        )
    if table not in PERSONAL:
        return query
    others = " and ".join(f"not {is_erased(column, by_hash, catalog)}" for column in PERSONAL[table])
    return f"select * from ({query}) where {others}"


def delete_erased(conn: duckdb.DuckDBPyConnection, table: str) -> None:
    """Deletes the rows of forgotten people from the table raw.<table>, which holds rows of that input."""
    by_hash = keys_missing(conn)
    if table == "events":
        user, device = is_erased("user_id", by_hash), is_erased(DEVICE, by_hash)
        deleted = conn.execute(
            f"delete from raw.events where {user} or (coalesce(user_id, '') = '' and {device})"
        ).fetchone()[0]
        deleted += conn.execute(f"update raw.events set anonymous_id = null where {device}").fetchone()[0]
    else:
        erased = " or ".join(is_erased(column, by_hash) for column in PERSONAL[table])
        deleted = conn.execute(f"delete from raw.{table} where {erased}").fetchone()[0]
    if deleted:
        conn.execute("update runs.erasure set traces_left = true")


def nameless_requests(conn: duckdb.DuckDBPyConnection) -> int:
    """How many rows of the temporary table `deletion_requests` name nobody."""
    nobody = "coalesce(user_id, '') = '' and coalesce(anonymous_id, '') = ''"
    return conn.execute(f"select count(*) from deletion_requests where {nobody}").fetchone()[0]


def find_people(conn: duckdb.DuckDBPyConnection, events: str, aliases: str, time_of, day_of, clean: str) -> bool:
    """Adds to runs.erased_ids whatever ids of forgotten people are not there yet, and gives whether there were any:
    they are then in the temporary table `newly_erased`.

    `events` and `aliases` are SQL for all rows, those of forgotten people included; the temporary table
    `deletion_requests` holds the requests that are new. `time_of`, `day_of` give SQL for the time and day of a column,
    `clean` is that for an event which is not rejected.
    """
    by_hash = keys_missing(conn)
    conn.execute(f"create or replace temp view all_events as {events}")
    conn.execute(
        "create or replace temp table links as "
        f"select previous_id as here, user_id as there, {day_of('aliased_at')} as known_on from ({aliases}) "
        "where coalesce(previous_id, '') <> '' and coalesce(user_id, '') <> '' and previous_id <> user_id"
    )
    conn.execute("insert into links select there, here, known_on from links")
    conn.execute(
        "create or replace temp table found (id varchar, requested_at timestamp, is_requested boolean, person varchar)"
    )
    conn.execute(
        "create or replace temp view people as select id, max(requested_at) as requested_at, "
        "bool_or(is_requested) as is_requested, min(person) as person from found group by id"
    )
    conn.execute("create or replace temp table owners (id varchar, owner varchar, owned_on date)")
    now = "cast(now() as timestamp)"
    when = f"coalesce({time_of('requested_at')}, {now})"
    for id in ("nullif(user_id, '')", DEVICE):
        # Both ids of a request are of one person.
        person = f"sha256(coalesce(nullif(user_id, ''), {DEVICE}))"
        conn.execute(
            f"insert into found select {id}, {when}, true, {person} from deletion_requests where {id} is not null"
        )
    # Those of earlier requests who are still in the data: they may have come to further ids since.
    known = (
        f"select user_id as id from all_events where {is_erased('user_id', by_hash)} "
        f"union select {DEVICE} from all_events where {is_erased(DEVICE, by_hash)} "
        f"union select here from links where {is_erased('here', by_hash)}"
    )
    conn.execute(
        "insert into found select ids.id, erased.requested_at, erased.is_requested, erased.person "
        f"from ({known}) as ids inner join runs.erased_ids as erased on sha256(ids.id) = erased.id_hash"
    )
    if by_hash:
        conn.execute(
            "update runs.erased_ids set id_key = hash(people.id) from people "
            "where sha256(people.id) = erased_ids.id_hash"
        )
    while look_for_owners(conn, day_of("event_at"), time_of("event_at"), clean) or follow(conn, day_of):
        pass

    conn.execute(
        "create or replace temp table newly_erased as select people.*, hash(id) as id_key from people "
        "where sha256(id) not in (select id_hash from runs.erased_ids)"
    )
    conn.execute(
        "update runs.erased_ids set requested_at = people.requested_at, person = people.person, "
        "is_requested = people.is_requested or erased_ids.is_requested from people "
        "where sha256(people.id) = erased_ids.id_hash"
    )
    conn.execute(
        "insert into runs.erased_ids select case when id like 'anon:%' then 'device' else 'user' end, sha256(id), "
        f"id_key, person, requested_at, is_requested, {now} from newly_erased"
    )
    newly = conn.execute("select exists (from newly_erased)").fetchone()[0]
    if newly:
        conn.execute("update runs.erasure set traces_left = true")
        # What tests found may be rows of theirs.
        conn.execute("drop schema if exists test_failures cascade")
        conn.execute("drop schema if exists dbt_test__audit cascade")
    return newly


def is_newly_erased() -> str:
    """SQL for whether an event is of one whom find_people() has found now, or on a device of theirs."""
    newly = "(select id_key from temp.newly_erased)"
    return f"hash(user_id) in {newly} or hash({DEVICE}) in {newly}"


def clear(conn: duckdb.DuckDBPyConnection) -> None:
    """Drops what find_people() made: it names people."""
    for view in ("people", "all_events"):
        conn.execute(f"drop view if exists temp.{view}")
    for table in ("links", "found", "owners", "newly_erased"):
        conn.execute(f"drop table if exists temp.{table}")


def look_for_owners(conn: duckdb.DuckDBPyConnection, day: str, time: str, clean: str) -> bool:
    """Adds to `owners` who first used each device that a person of `people` used, or asked for, and gives whether there
    were any that had not been looked for."""
    conn.execute(
        f"create or replace temp table devices as select distinct {DEVICE} as id from all_events "
        f"where user_id in (select id from people) and {DEVICE} is not null "
        "union select id from people where id like 'anon:%' and is_requested"
    )
    conn.execute("delete from devices where id in (select id from owners)")
    conn.execute(
        f"insert into owners select id, first_use.owner, first_use.owned_on from ("
        f"select {DEVICE} as id, min(struct_pack(at := {time}, owner := user_id, owned_on := {day})) as first_use "
        f"from all_events where {DEVICE} in (select id from devices) and coalesce(user_id, '') <> '' and ({clean}) "
        "group by 1)"
    )
    looked_for = conn.execute("select count(*) from devices").fetchone()[0]
    # Nobody's yet: not to be looked for again.
    conn.execute("insert into owners select id, null, null from devices where id not in (select id from owners)")
    conn.execute("drop table devices")
    return looked_for > 0


def follow(conn: duckdb.DuckDBPyConnection, day_of) -> bool:
    """Adds to `found` where a step from `people` leads, and gives whether anything was not known."""
    requested_on = day_of("people.requested_at")
    return (
        conn.execute(
            "insert into found with steps as ("
            "select links.there as id, people.requested_at, people.person from people "
            f"inner join links on people.id = links.here and coalesce(links.known_on <= {requested_on}, true) "
            "union all select owners.id, people.requested_at, people.person from people "
            "inner join owners on people.id = owners.owner "
            "union all select owners.owner, people.requested_at, people.person from people "
            "inner join owners on people.id = owners.id and people.is_requested "
            f"and owners.owned_on <= {requested_on}), "
            "reached as (select id, max(requested_at) as requested_at, min(person) as person from steps group by id) "
            "select reached.id, reached.requested_at, false, reached.person from reached "
            "left join people on reached.id = people.id "
            "where people.id is null or people.requested_at < reached.requested_at or people.person > reached.person"
        ).fetchone()[0]
        > 0
    )


# After a run


def forgotten(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """How many people, and how many ids of theirs, were ever forgotten."""
    return connection.execute("select count(distinct person), count(*) from runs.erased_ids").fetchone() or (0, 0)


def has_traces(warehouse: Path) -> bool:
    """Whether forgotten people may still be readable in the bytes of the warehouse, or in a published copy."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        there = "select exists (from information_schema.tables where table_schema = 'runs' and table_name = 'erasure')"
        if not connection.execute(there).fetchone()[0]:
            return False
        return bool(connection.execute("select bool_or(traces_left) from runs.erasure").fetchone()[0])


def rewrite(warehouse: Path) -> None:
    """Writes the file of the warehouse anew, row by row, and puts it in place of the old one: DuckDB leaves deleted
    rows where they were until something else is written there. Nobody may have it open. Raises OSError and
    duckdb.Error; the old one stays then."""
    new = warehouse.with_name(f".{warehouse.name}.rewritten")
    for left in (new, new.with_name(f"{new.name}.wal")):
        left.unlink(missing_ok=True)
    name = '"' + warehouse.stem.replace('"', '""') + '"'
    try:
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute("set preserve_insertion_order = false")
            if limit := os.environ.get("MEMORY_LIMIT"):
                connection.execute(f"set memory_limit = {quoted(limit)}")
            connection.execute(f"set temp_directory = {quoted(new.with_name(new.name + '.tmp'))}")
            connection.execute(f"attach {quoted(warehouse)} as {name}")
            # So that nothing of it waits in the log beside the file.
            connection.execute(f"checkpoint {name}")
            connection.execute(f"attach {quoted(new)} as rewritten")
            connection.execute(f"use {name}")
            connection.execute(f"copy from database {name} to rewritten")
            connection.execute("update rewritten.runs.erasure set traces_left = false")
            connection.execute("checkpoint rewritten")
            connection.execute("detach rewritten")
        os.replace(new, warehouse)
    finally:
        for left in (new, new.with_name(f"{new.name}.wal")):
            left.unlink(missing_ok=True)


def main() -> int:
    """Rewrites the warehouse named on the command line, for those who do not use `make run`."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        print("usage: python tools/raw_erasure.py warehouse.duckdb", file=sys.stderr)
        return 2
    warehouse = Path(sys.argv[1]).resolve()
    try:
        rewrite(warehouse)
    except (OSError, duckdb.Error) as error:
        print(f"{warehouse} is as it was: {str(error).strip().splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
