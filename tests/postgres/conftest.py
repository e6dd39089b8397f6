"""Fixtures for tests on PostgreSQL: one throw-away server for all of them, and a database for each that asks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from engines import Engines, new_duckdb
from postgres_engine import new_postgres
from server import Server, throwaway_server

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server that runs until the tests end."""
    with throwaway_server() as started:
        yield started


@pytest.fixture(scope="session")
def new(server, tmp_path_factory) -> Engines:
    """`new("postgres")` and `new("duckdb")` give an empty warehouse each time."""

    def make(name: str):
        number = next(numbers)
        folder = tmp_path_factory.mktemp(f"{name}_{number}")
        return new_duckdb(folder) if name == "duckdb" else new_postgres(folder, server, f"test_{number}")

    return make
