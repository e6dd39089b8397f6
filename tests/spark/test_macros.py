"""Each macro of macros/cross_db means on Spark what it means on the other engines (macro_cases.py)."""

from __future__ import annotations

import re

import pytest
from engines import Engine, Engines
from macro_cases import GROUPS, assert_as_counted

# What the cases themselves say in words of the other engines.
WORDS = {
    r"\bas varchar\)": "as string)",
    r"\bdouble precision\b": "double",
    r"\btimestamp with time zone\b": "timestamp",
    r"string_agg\((.*?), ' ' order by d\)": r"string_agg(\1, ' ') within group (order by d)",
}
# There is no such time on Spark.
INFINITY = "cast('infinity' as timestamp)"


@pytest.fixture(scope="module")
def engine(new: Engines) -> Engine:
    """A warehouse with raw data."""
    engine = new("spark")
    assert engine.load().code == 0
    return engine


@pytest.mark.parametrize("group", GROUPS)
def test_a_macro_gives_what_was_counted_by_hand(engine, group):
    def ask(query: str) -> list[tuple]:
        for pattern, word in WORDS.items():
            query = re.sub(pattern, word, query)
        return engine.rows(query)

    variables, cases = GROUPS[group]
    assert_as_counted(engine, variables, [case for case in cases if INFINITY not in case[0]], ask)
