"""A warehouse on the throw-away PostgreSQL server."""

from __future__ import annotations

from pathlib import Path

import psycopg2
from engines import Engine, clean_env
from server import Server


class PostgresEngine(Engine):
    """A warehouse of PostgreSQL: `place` is the name of its database."""

    def rows(self, sql: str) -> list[tuple]:
        """What a query gives."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def connect(self, **other: str):
        """A connection, as the owner or as somebody else."""
        known = {"host": self.env["PGHOST"], "user": self.env["PGUSER"], "dbname": self.place}
        return psycopg2.connect(**(known | other))


def new_postgres(folder: Path, server: Server, database: str) -> PostgresEngine:
    """A new, empty database on `server`."""
    connection = psycopg2.connect(host=str(server.socket), user=server.user, dbname="postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f'create database "{database}"')
    connection.close()
    env = clean_env("postgres", folder) | server.environment(database) | {"LANDING": str(folder / "landing.duckdb")}
    return PostgresEngine("postgres", database, env)
