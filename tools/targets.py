"""What the make verbs have to know of an engine, in one object each: `make run TARGET=postgres`.

An engine is a class here and a name in ENGINES. The verbs ask it for how raw data get there, what dbt is told, how rows
are read, who holds the warehouse, and what readers get; they know no engine by name.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import one_run
import product
import short_of_room
import spark_session
from one_run import Busy
from publish import publish
from raw_erasure import has_traces, rewrite
from spark_session import NoSpark, NotThere, SparkError

PROJECT = Path(__file__).resolve().parent.parent
TOOLS = PROJECT / "tools"


class Unusable(Exception):
    """The engine that was asked for is not there; the message is one line for the person."""


class Engine(ABC):
    """A warehouse of an engine, as the environment `env` describes it."""

    # As TARGET says it, and profiles.yml.
    name: ClassVar[str]
    # The variable that says which warehouse it is, for messages.
    setting: ClassVar[str]
    # A table that is built anew takes the views with it that read it.
    drops_views: ClassVar[bool] = False
    # What readers get besides, in words that follow on what publish() says.
    also_published: ClassVar[str] = ""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env

    @property
    @abstractmethod
    def place(self) -> str:
        """The warehouse, as a person knows it."""

    @property
    @abstractmethod
    def errors(self) -> tuple[type[Exception], ...]:
        """What its client raises."""

    @property
    @abstractmethod
    def not_there(self) -> tuple[type[Exception], ...]:
        """What its client raises where a table, or its schema, does not exist."""

    @property
    def dbt_options(self) -> tuple[str, ...]:
        """What each command of dbt is told besides."""
        return ("--target", self.name)

    @abstractmethod
    def connect(self, read_only: bool = True) -> AbstractContextManager[Any]:
        """A connection: `execute(sql)` gives what has fetchall() and fetchone(); each statement is a transaction."""

    def exists(self) -> bool:
        """Whether there is a warehouse to ask."""
        return True

    @abstractmethod
    def only_run(self) -> AbstractContextManager[None]:
        """Nobody else is in here with the same warehouse. Raises Busy, which names who is."""

    def load(self) -> str | None:
        """Brings the raw data there where dbt does not do so itself; in one line, why that cannot be."""
        return None

    def complaint(self, connection: Any) -> str | None:
        """Why the warehouse cannot take the events that RAW_DATA names, in one line; None where it can, or where dbt
        does not look at them."""
        return None

    @abstractmethod
    def has_new_events(self) -> bool:
        """Whether events came that were not built yet."""

    @abstractmethod
    def row_estimate(self, connection: Any, schema: str, table: str) -> int:
        """About how many rows a table has; 0 where it is not there."""

    def tables(self, connection: Any, schema: str) -> set[str]:
        """The tables of a schema; none where it is not there."""
        listed = f"select table_name from information_schema.tables where table_schema = '{schema}'"
        return {name for (name,) in connection.execute(listed).fetchall()}

    def quoted(self, name: str) -> str:
        """A name as SQL takes it."""
        return '"' + name.replace('"', '""') + '"'

    @abstractmethod
    def day_copy(self, folder: Path) -> tuple[Path, tuple[str, ...]]:
        """A throw-away DuckDB warehouse in `folder`, new, in which a past day can be answered, and which models
        dbt has to build there. Raises history.Refused, and the errors of the client."""

    @abstractmethod
    def publish(self, keep_before: bool = True) -> str:
        """Gives the marts of a good run to readers, and says where these find them. `keep_before`: whether what they
        had before may stay for those who are just reading it."""

    def has_traces(self) -> bool:
        """Whether forgotten people may still be readable in files of the warehouse, or in what was published."""
        return False

    def remove_traces(self) -> None:
        """Makes sure that they are not."""

    def left_for_readers(self) -> str | None:
        """What readers have after a run that failed."""
        return None

    def first_line(self, error: Exception) -> str:
        """An error of its client, or of the system, in one line."""
        return str(error).strip().splitlines()[0]

    @abstractmethod
    def said(self, error: Exception, what: str) -> str:
        """An error of its client in one line, without values of rows, with what to do where that is known."""

    def hidden(self, line: str) -> str:
        """A line of dbt about an error of the engine without the values that it quotes."""
        return line

    @abstractmethod
    def short_of(self, kind: str, message: str, what: str) -> str:
        """A line about `what`, which lacked memory or disk (`kind`), with what to do."""

    def close_dbt(self) -> None:
        """Lets go of what dbt keeps open in this process between commands."""


class DuckDb(Engine):
    """A file (WAREHOUSE), which one program writes or many read. dbt shows the raw files itself (raw_files.py)."""

    name = "duckdb"
    setting = "WAREHOUSE"
    also_published = ", and a Parquet file a mart"

    @property
    def file(self) -> Path:
        """The file of the warehouse."""
        return Path(self.env["WAREHOUSE"])

    @property
    def place(self) -> str:
        """The path of the file."""
        return self.env["WAREHOUSE"]

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """All that DuckDB raises."""
        return (duckdb.Error,)

    @property
    def not_there(self) -> tuple[type[Exception], ...]:
        """A name that the catalogue does not have."""
        return (duckdb.CatalogException,)

    @property
    def dbt_options(self) -> tuple[str, ...]:
        """Nothing: profiles.yml has it as the default."""
        return ()

    def connect(self, read_only: bool = True) -> AbstractContextManager[Any]:
        """A connection, with the settings that profiles.yml gives to dbt where it writes."""
        connection = duckdb.connect(self.place, read_only=read_only)
        if not read_only:
            connection.execute("set TimeZone = 'UTC'")
            if limit := self.env.get("MEMORY_LIMIT"):
                connection.execute("set memory_limit = '" + limit.replace("'", "''") + "'")
        return connection

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.file.is_file()

    def only_run(self) -> AbstractContextManager[None]:
        """By a lock on a file beside the warehouse."""
        return one_run.only_run(self.file)

    def has_new_events(self) -> bool:
        """Whether the files of events are others than those that the warehouse has read."""
        # They load dbt, which takes longer than the rest.
        from raw_tables import BadInput, find_inputs

        folder = Path(self.env.get("RAW_DATA") or PROJECT / "seeds" / "sample").resolve()
        taxonomy = Path(self.env.get("TAXONOMY") or PROJECT / "seeds" / "event_taxonomy.csv").resolve()
        try:
            events = next(item for item in find_inputs(folder, taxonomy) if item.table.name == "events")
        except BadInput:
            return False
        with self.connect() as connection:
            read = connection.execute("select fingerprint from raw.loaded_files where table_name = 'events'").fetchone()
        return read != (events.fingerprint(),)

    def complaint(self, connection: Any) -> str | None:
        """Where it holds the sample and others are asked for, or the other way round."""
        return product.complaint(product.holds_sample(connection), self.place, self.setting)

    def row_estimate(self, connection: Any, schema: str, table: str) -> int:
        """As the catalogue has it."""
        (rows,) = connection.execute(
            f"select coalesce(max(estimated_size), 0) from duckdb_tables() where table_name = '{table}'"
        ).fetchone()
        return rows

    def day_copy(self, folder: Path) -> tuple[Path, tuple[str, ...]]:
        """A copy of the file, of the same name: DuckDB writes that into every view. Nobody can write meanwhile."""
        folder.mkdir(parents=True)
        with self.connect():
            for file in (self.file, self.file.with_name(f"{self.file.name}.wal")):
                if file.exists():
                    shutil.copyfile(file, folder / file.name)
        return folder / self.file.name, ("--select", "int_as_of_dates+")

    def publish(self, keep_before: bool = True) -> str:
        """A copy beside the warehouse: who has the warehouse itself open stops the next run."""
        return f"For BI: {publish(self.file, keep_before=keep_before)}/marts.duckdb"

    def has_traces(self) -> bool:
        """DuckDB leaves deleted rows where they were until something else is written there."""
        return has_traces(self.file)

    def remove_traces(self) -> None:
        """By writing the file anew."""
        rewrite(self.file)

    def left_for_readers(self) -> str | None:
        """The copy of the last good run."""
        published = self.file.with_name("published")
        return f"Readers still see the last good run: {published}" if published.exists() else None

    def said(self, error: Exception, what: str) -> str:
        """Also who holds the file."""
        return short_of_room.said(error, what, dict(self.env))

    def short_of(self, kind: str, message: str, what: str) -> str:
        """Of this machine."""
        return short_of_room.short_of(kind, message, what, dict(self.env))

    def close_dbt(self) -> None:
        """The connection to the file, which nobody else could open."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        DuckDBConnectionManager.close_all_connections()


class Server(Engine):
    """A warehouse into which tools/load.py copies the raw data, by way of a DuckDB file, and which readers ask."""

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(env)
        self.loaded_events = False

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Any]:
        """A connection for reading that sees one state of the warehouse: `execute(sql)` gives what has fetchmany()."""

    @abstractmethod
    def columns(self, connection: Any, schema: str, table: str) -> dict[str, str]:
        """The columns of a table and their types, as DuckDB can read them, too; none where it is not there."""

    def as_text(self, column: str) -> str:
        """SQL for the value of a column as text that DuckDB can read."""
        return f"cast({self.quoted(column)} as varchar)"

    def load(self) -> str | None:
        """By tools/load.py, which prints what it does."""
        before = self.events_loaded()
        command = [sys.executable, str(TOOLS / "load.py")]
        # In a session of its own: Ctrl-C reaches it once, from here.
        loading = subprocess.Popen(
            command, env=dict(self.env) | {"TARGET": self.name}, stderr=subprocess.PIPE, text=True, errors="replace",
            start_new_session=True,
        )  # fmt: skip
        try:
            _, complaints = loading.communicate()
        finally:
            if loading.poll() is None:
                loading.terminate()
                loading.wait()
        if loading.returncode:
            lines = complaints.strip().splitlines() or [f"it ended with code {loading.returncode}"]
            return lines[-1].strip().removeprefix("load: ")
        self.loaded_events = self.events_loaded() != before
        return None

    def events_loaded(self) -> list[tuple]:
        """Something that differs when other files of events are there."""
        with self.connect() as connection:
            try:
                return connection.execute(
                    "select count(*), max(load_number), sum(load_number) from raw.event_files"
                ).fetchall()
            except self.not_there:
                return []

    def has_new_events(self) -> bool:
        """Whether the last load brought files of events."""
        return self.loaded_events

    def day_copy(self, folder: Path) -> tuple[Path, tuple[str, ...]]:
        """Made of the landing, and of the history that the server has: no other role, and no room, is needed there."""
        from server_copy import copy_of_server

        return copy_of_server(self, folder), ()

    def publish(self, keep_before: bool = True) -> str:
        """Nothing: readers ask the server."""
        return f"For BI: schema marts of {self.place}"


class Postgres(Server):
    """A database of PostgreSQL (PGHOST ...)."""

    name = "postgres"
    setting = "PGDATABASE"
    drops_views = True
    # Two numbers that no other lock has: the letters `user`, and which of the project's locks it is.
    LOCK = (0x75736572, 1)

    def __init__(self, env: Mapping[str, str]) -> None:
        """Raises Unusable where the client is not installed."""
        super().__init__(env)
        try:
            import psycopg2
        except ImportError:
            raise Unusable(
                "TARGET: postgres needs psycopg2: make run TARGET=postgres installs it, or pip install -r "
                "requirements-postgres.txt"
            ) from None
        self.client = psycopg2

    @property
    def place(self) -> str:
        """The database and its server."""
        return f"{self.env.get('PGDATABASE') or 'postgres'} on {self.env.get('PGHOST') or 'localhost'}"

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """All that psycopg2 raises."""
        return (self.client.Error,)

    @property
    def not_there(self) -> tuple[type[Exception], ...]:
        """A table or a schema that is not there."""
        return (self.client.errors.UndefinedTable, self.client.errors.InvalidSchemaName)

    @contextmanager
    def connect(self, read_only: bool = True) -> Iterator[Any]:
        """A connection as profiles.yml has it."""
        connection = self.connected()
        try:
            connection.set_session(readonly=read_only, autocommit=True)
            yield Statements(connection)
        finally:
            connection.close()

    def connected(self, **others: str) -> Any:
        """The client's own connection. Raises its errors."""
        return self.client.connect(
            host=self.env.get("PGHOST") or "localhost",
            port=self.env.get("PGPORT") or "5432",
            user=self.env.get("PGUSER") or "postgres",
            password=self.env.get("PGPASSWORD") or None,
            dbname=self.env.get("PGDATABASE") or "postgres",
            **others,
        )

    @contextmanager
    def only_run(self) -> Iterator[None]:
        """By a lock in the server, which is gone when the connection is. Its name says who holds it."""
        own = f"user_segments: process {os.getpid()} on {socket.gethostname()}"
        # A name is 63 bytes long at most there.
        connection = self.connected(application_name=own.encode("ascii", "replace").decode()[:63])
        try:
            connection.set_session(autocommit=True)
            ask = Statements(connection)
            ask.execute("set idle_session_timeout = 0")
            if not ask.execute("select pg_try_advisory_lock(%s, %s)" % self.LOCK).fetchone()[0]:
                holder = ask.execute(
                    "select activity.application_name from pg_locks as locks "
                    "inner join pg_stat_activity as activity on locks.pid = activity.pid "
                    "where locks.locktype = 'advisory' and locks.granted and locks.objsubid = 2 "
                    "and locks.classid = %s and locks.objid = %s and locks.database = "
                    "(select oid from pg_database where datname = current_database())" % self.LOCK
                ).fetchone()
                name = (holder[0] if holder else "").partition("user_segments: ")[2]
                raise Busy(
                    f"PGDATABASE: {self.place} is being built by another run{f' ({name})' if name else ''}; wait until "
                    "it ends, or name another PGDATABASE"
                )
            yield
        finally:
            connection.close()

    def row_estimate(self, connection: Any, schema: str, table: str) -> int:
        """As the planner has it; by its size where nobody has analysed the table yet."""
        (rows,) = connection.execute(
            "select coalesce(max(case when reltuples >= 0 then reltuples else pg_relation_size(oid) / 100 end), 0) "
            f"from pg_class where oid = to_regclass('{schema}.{table}')"
        ).fetchone()
        return int(rows)

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        """A connection that sees one state of the database, and gives rows as they are fetched."""
        connection = self.connected()
        try:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            yield Statements(connection, streams=True)
        finally:
            connection.close()

    def columns(self, connection: Any, schema: str, table: str) -> dict[str, str]:
        """As the catalogue has them."""
        return dict(
            connection.execute(
                "select column_name, data_type from information_schema.columns "
                f"where table_schema = '{schema}' and table_name = '{table}' order by ordinal_position"
            ).fetchall()
        )

    def first_line(self, error: Exception) -> str:
        """What the server says first; more of it could hold values."""
        if isinstance(error, OSError):
            return str(error)
        message = getattr(getattr(error, "diag", None), "message_primary", None) or str(error).strip()
        return f"PostgreSQL: {self.hidden((message or 'it closed the connection').splitlines()[0])}"

    def said(self, error: Exception, what: str) -> str:
        """The same: what it takes stands in it."""
        return self.first_line(error)

    def hidden(self, line: str) -> str:
        """Values stand in double quotes behind a colon, or after the word value."""
        return re.sub(r"(: |\bvalue )\"[^\"]*\"", r'\1"..."', line)

    def short_of(self, kind: str, message: str, what: str) -> str:
        """Of the server's machine, not of this one."""
        if kind == "disk":
            return f"disk: the server has no room for {what}: free space there; then run again"
        return f"memory: the server has too little for {what}: give it more, or lower work_mem; then run again"


class Statements:
    """A connection of psycopg2 with the one method of DuckDB's that the verbs use. `streams`: the server keeps the rows
    of a query until they are fetched."""

    def __init__(self, connection: Any, streams: bool = False) -> None:
        self.connection = connection
        self.numbers = itertools.count() if streams else None

    def execute(self, sql: str) -> Any:
        """Runs a statement; the cursor that it gives has its rows."""
        cursor = self.connection.cursor(f"rows_{next(self.numbers)}") if self.numbers else self.connection.cursor()
        cursor.execute(sql)
        return cursor


class Spark(Server):
    """A warehouse of Spark (SPARK_WAREHOUSE), to which a Connect server leads (SPARK_REMOTE), or else a driver that the
    verb starts (MASTER)."""

    name = "spark"
    setting = "SPARK_WAREHOUSE"

    def __init__(self, env: Mapping[str, str]) -> None:
        """Raises Unusable where the client is not installed, or is not the one that dbt would use."""
        # What programs are told that are started from here: with the address of the driver, once there is one.
        super().__init__(dict(env))
        method = env.get("SPARK_METHOD") or "session"
        if method != "session":
            raise Unusable(
                f"SPARK_METHOD: with {method} dbt alone can speak with Spark (dbt build --target spark); for this unset "
                "it, and set MASTER or SPARK_REMOTE"
            )
        if not all(importlib.util.find_spec(module) for module in ("pyspark", "grpc")):
            raise Unusable(
                "TARGET: spark needs pyspark: make run TARGET=spark installs it, or pip install -r "
                "requirements-spark.txt"
            )
        spark_session.be_quiet()

    @property
    def folder(self) -> Path:
        """The folder of the warehouse, as this machine sees it."""
        return Path(self.env.get("SPARK_WAREHOUSE") or "spark-warehouse").resolve()

    @property
    def place(self) -> str:
        """The folder, and the server if it is somebody else's."""
        address = self.env.get("SPARK_REMOTE") or ""
        is_own = not address or address in spark_session.started
        return str(self.folder) if is_own else f"{self.folder} ({spark_session.shown(address)})"

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """All that its sessions raise."""
        return (SparkError,)

    @property
    def not_there(self) -> tuple[type[Exception], ...]:
        """A table or a schema that is not there."""
        return (NotThere,)

    def connect(self, read_only: bool = True) -> AbstractContextManager[Any]:
        """A session of its own, with the settings that profiles.yml gives to dbt."""
        if not self.env.get("SPARK_REMOTE"):
            self.env["SPARK_REMOTE"] = spark_session.driver(self.env)
            # Spark refuses to be told both.
            self.env.pop("MASTER", None)
        return spark_session.new_session(self.env["SPARK_REMOTE"], self.env)

    @contextmanager
    def only_run(self) -> Iterator[None]:
        """By a lock on a file in the folder of the warehouse, which its machines share."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            # A folder that Spark alone sees: no lock can be had there.
            pass
        holder = f"{os.getpid()} on {socket.gethostname()}"
        with one_run.only_run(self.folder, self.setting, holder, self.folder / "run.lock"):
            yield

    def load(self) -> str | None:
        """Not without Spark, for which it would be; nor what somebody else makes the raw tables of."""
        with self.connect():
            pass
        return None if self.env.get("SPARK_RAW") == "none" else super().load()

    def events_loaded(self) -> list[tuple]:
        """By the files: the tables show them when dbt runs."""
        # It loads dbt, which takes longer than the rest.
        from load_spark import folder_of_raw_tables, query_of

        counted = "count(*), max(load_number), sum(load_number)"
        query = query_of(folder_of_raw_tables(self.env), "event_files", counted)
        return duckdb.execute(query).fetchall() if query else []

    def has_new_events(self) -> bool:
        """Nobody can tell where somebody else makes the raw tables."""
        return self.loaded_events or self.env.get("SPARK_RAW") == "none"

    def row_estimate(self, connection: Any, schema: str, table: str) -> int:
        """As the files say it."""
        try:
            (rows,) = connection.execute(f"select count(*) from {schema}.{table}").fetchone()
        except NotThere:
            return 0
        return rows

    def tables(self, connection: Any, schema: str) -> set[str]:
        """As the metastore lists them; views of the session are named with every schema."""
        try:
            listed = connection.execute(f"show tables in {schema}").fetchall()
        except NotThere:
            return set()
        return {name for _, name, is_of_session in listed if not is_of_session}

    def quoted(self, name: str) -> str:
        """Between backticks."""
        return "`" + name.replace("`", "``") + "`"

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        """A session while nobody else may run: Spark keeps no state of several tables. Raises Busy."""
        with self.only_run(), self.connect() as session:
            yield session

    def columns(self, connection: Any, schema: str, table: str) -> dict[str, str]:
        """As the metastore has them."""
        try:
            return connection.types(f"select * from {schema}.{table}")
        except NotThere:
            return {}

    def as_text(self, column: str) -> str:
        """As `string`: a varchar has a length there."""
        return f"cast({self.quoted(column)} as string)"

    def first_line(self, error: Exception) -> str:
        """What Spark says first; what follows is where in the code of Java it was."""
        if isinstance(error, (OSError, NoSpark)):
            return str(error)
        return f"Spark: {self.hidden((str(error).strip() or 'it said nothing').splitlines()[0])}"

    def said(self, error: Exception, what: str) -> str:
        """The same, unless something was short."""
        kind = None if isinstance(error, (OSError, NoSpark)) else short_of_room.lacking(str(error))
        return self.short_of(kind, str(error), what) if kind else self.first_line(error)

    def hidden(self, line: str) -> str:
        """Values stand in single quotes, in which there may be others, or behind what a key or a value is called."""
        line = re.sub(r"'.*'|'.*$", "'...'", line)
        unquoted = r"\b(map key|The value) (?!'\.\.\.')(?:.*(?= (?:was|is|cannot|could)\b)|.*$)"
        return re.sub(unquoted, r"\1 '...'", line)

    def short_of(self, kind: str, message: str, what: str) -> str:
        """Of Spark's machines."""
        if kind == "disk":
            return (
                f"disk: Spark has no room for {what}: free space where SPARK_WAREHOUSE is, and where its machines keep "
                "what they work on (spark.local.dir); then run again"
            )
        return (
            f"memory: Spark has too little for {what}: give its driver and its executors more (spark.driver.memory, "
            "spark.executor.memory); then run again"
        )


ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (DuckDb, Postgres, Spark)}


def engine_of(env: Mapping[str, str]) -> Engine:
    """The engine that TARGET names; DuckDB where it names none. Raises Unusable."""
    name = env.get("TARGET") or DuckDb.name
    if name not in ENGINES:
        raise Unusable(unknown(name))
    return ENGINES[name](env)


def unknown(name: str) -> str:
    """A line about a TARGET that there is not."""
    return f"TARGET: there is no '{name}'; use one of {', '.join(ENGINES)}"
