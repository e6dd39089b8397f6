"""Sessions with Spark for the make verbs.

With SPARK_REMOTE they are those of a Spark Connect server. Without it, this process starts the driver, as MASTER says,
and lets the programs that it starts in on the loopback interface, with a token that nobody else knows: one driver for
all of a verb, since the Derby files of a metastore let one in at a time. It ends with this process.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import secrets
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
MISSING = ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND")
DEFAULT_PORT = 15002
WAIT_SECONDS = 10
# Where a driver of one's own listens.
PORTS = range(20_000, 32_000)
# The address of the driver that this process started.
started: list[str] = []


class SparkError(Exception):
    """What Spark said."""


class NotThere(SparkError):
    """A table, or its schema, does not exist."""


class NoSpark(SparkError):
    """Spark cannot be reached, or started; the message is one line for the person."""


@contextmanager
def new_session(address: str, env: Mapping[str, str]) -> Iterator[Statements]:
    """A session of its own: one remembers which files a table had when it first read it. Raises SparkError."""
    check_that_it_answers(address)
    with words_of_spark():
        from pyspark.sql.connect.session import SparkSession

        builder = SparkSession.builder.remote(address)
        for name, value in settings(env).items():
            builder = builder.config(name, value)
        session = builder.create()
    try:
        yield Statements(session)
    finally:
        session.stop()


class Statements:
    """A session with the one method of DuckDB's connections that the verbs use."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def execute(self, sql: str) -> Rows:
        """Runs a statement. Raises SparkError."""
        with words_of_spark():
            return Rows(self.session.sql(sql))

    def types(self, sql: str) -> dict[str, str]:
        """The columns of a query and their types. Raises SparkError."""
        with words_of_spark():
            return {field.name: field.dataType.simpleString() for field in self.session.sql(sql).schema.fields}


class Rows:
    """The rows of a query, which come as they are fetched."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.rows: Iterator[tuple] | None = None

    def fetchmany(self, count: int | None) -> list[tuple]:
        """As many more rows; all where `count` is none. Raises SparkError."""
        with words_of_spark():
            self.rows = self.rows or (tuple(row) for row in self.frame.toLocalIterator())
            return list(islice(self.rows, count))

    def fetchall(self) -> list[tuple]:
        """All other rows. Raises SparkError."""
        return self.fetchmany(None)

    def fetchone(self) -> tuple | None:
        """One more row, if there is one. Raises SparkError."""
        return next(iter(self.fetchmany(1)), None)


def be_quiet() -> None:
    """Lets Spark's client, also that of dbt in this process, print nothing: neither which settings a server has fixed
    for itself, with each statement, nor errors, which may hold values of rows."""
    warnings.filterwarnings("ignore", category=UserWarning, module=r"pyspark\.")
    logging.getLogger("SQLQueryContextLogger").disabled = True


@contextmanager
def words_of_spark() -> Iterator[None]:
    """Lets what Spark, or its client, raises be a SparkError."""
    import grpc
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, grpc.RpcError) as error:
        condition = error.getCondition() if isinstance(error, PySparkException) else None
        # What Java raised stands behind the line of who called it.
        said = re.sub(r"\AAn error occurred while calling .*\n: ", "", str(error))
        raise (NotThere if condition in MISSING else SparkError)(said) from error


def settings(env: Mapping[str, str]) -> dict[str, str]:
    """What profiles.yml says of a session of dbt's."""
    from jinja2 import Template

    profile = yaml.safe_load((PROJECT / "profiles.yml").read_text("utf-8"))["user_segments"]["outputs"]["spark"]
    said = {
        name: Template(value).render(env_var=lambda variable, default: env.get(variable, default))
        for name, value in profile["server_side_parameters"].items()
        # The others are for a Thrift server, to which dbt alone speaks.
        if name.startswith("spark.")
    }
    # So has dbt-spark it, whatever the profile says, and what dbt ran has to run here.
    return said | {"spark.sql.ansi.enabled": "false"}


def shown(address: str) -> str:
    """The address of a server without what stands behind it, which may be a token."""
    return address.partition("/;")[0]


def check_that_it_answers(address: str) -> None:
    """Raises NoSpark where nobody listens there: the client would try for ten minutes."""
    host, _, port = shown(address).removeprefix("sc://").rstrip("/").rpartition(":")
    if not port.isdigit():
        host, port = f"{host}:{port}" if host else port, str(DEFAULT_PORT)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=WAIT_SECONDS):
            pass
    except OSError as error:
        why = error.strerror or error
        raise NoSpark(f"SPARK_REMOTE: no Spark Connect server answers at {shown(address)}: {why}; start it") from None


# A driver of one's own


def driver(env: Mapping[str, str]) -> str:
    """The address of the driver in this process, which is started the first time. Raises NoSpark."""
    if not started:
        log = Path(env.get("DBT_LOG_PATH") or PROJECT / "logs") / "spark.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with errors_into(log):
            started.append(start_driver(env, log))
    return started[0]


def start_driver(env: Mapping[str, str], log: Path) -> str:
    """Starts it, and gives its address. Raises NoSpark."""
    for others in (True, True, False):
        port, token = free_port(), secrets.token_hex(16)
        try:
            open_driver(env, port, token)
            break
        except SparkError as error:
            if "Failed to bind" in str(error) and others:
                # Somebody was faster.
                continue
            if "MetaStoreClient" in str(error):
                place = env.get("HIVE_METASTORE_URIS") or f"in {env.get('SPARK_WAREHOUSE', 'spark-warehouse')}"
                raise NoSpark(
                    f"SPARK_WAREHOUSE: the metastore {place} cannot be opened; one in a folder lets in one program at a "
                    f"time: wait until another one ends, or name a server (HIVE_METASTORE_URIS, SPARK_REMOTE). See {log}"
                ) from error
            raise NoSpark(f"MASTER: Spark does not start: {str(error).strip().splitlines()[0]} See {log}") from error
    # Only of a host that is called so a client sends a token without encryption.
    return f"sc://localhost:{port}/;token={token}"


def open_driver(env: Mapping[str, str], port: int, token: str) -> None:
    """Lets this process be the driver, which listens on a port. Raises SparkError."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.enableHiveSupport()
    for name, value in settings(env).items():
        builder = builder.config(name, value)
    for name, value in (
        ("spark.plugins", "org.apache.spark.sql.connect.SparkConnectPlugin"),
        ("spark.connect.grpc.binding.address", LOOPBACK),
        ("spark.connect.grpc.binding.port", str(port)),
        ("spark.connect.authenticate.token", token),
    ):
        builder = builder.config(name, value)
    with words_of_spark():
        session = builder.getOrCreate()
        atexit.register(end_driver, session)
        # The list of tables is opened when it is first asked for.
        session.sql("show schemas").collect()


def end_driver(session: Any) -> None:
    """Ends the driver, and waits for that: the next program may want its metastore."""
    gateway = session.sparkContext._gateway
    with suppress(Exception):
        session.stop()
    with suppress(Exception):
        gateway.shutdown()
    with suppress(OSError, subprocess.TimeoutExpired):
        gateway.proc.stdin.close()
        gateway.proc.wait(timeout=WAIT_SECONDS)


def free_port() -> int:
    """A port on which nobody listens, and which no system gives to who asks for any."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as tried, suppress(OSError):
            tried.bind((LOOPBACK, port))
            return port


@contextmanager
def errors_into(log: Path) -> Iterator[None]:
    """What programs that are started in here say of errors is written to a file, not to the person."""
    sys.stderr.flush()
    before = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)
