"""Fixtures for tests on Spark: one throw-away cluster for all of them, and a warehouse for each that asks."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator

import pytest
from engines import Engines, new_duckdb
from server import Cluster, throwaway_cluster
from spark_engine import new_spark

numbers = itertools.count(1)
# What a session gives as a time is one of this process's zone.
os.environ["TZ"] = "UTC"
time.tzset()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that runs until the tests end."""
    with throwaway_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def new(cluster, tmp_path_factory) -> Iterator[Engines]:
    """`new("spark")` and `new("duckdb")` give an empty warehouse each time."""
    made = []

    def make(name: str):
        folder = tmp_path_factory.mktemp(f"{name}_{next(numbers)}")
        made.append(new_duckdb(folder) if name == "duckdb" else new_spark(folder, cluster))
        return made[-1]

    yield make
    for engine in made:
        if engine.name == "spark":
            engine.kill()
