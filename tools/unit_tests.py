"""The dbt unit tests of a segment set, run on a definition that may have been changed: in DuckDB, without dbt.

dbt takes seconds to start, and there are hundreds of changed definitions to try. What dbt compares is compared here:
the rows of the expectation, in the columns that it names, in any order.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import duckdb
from proof import duckdb_type, literal
from segment_files import KEYS, Invalid, Metrics, SegmentSet

Row = dict[str, Any]


class UnitTests:
    """The unit tests that stand in the YAML of a set, with their rows in a DuckDB in memory."""

    def __init__(self, found: SegmentSet, metrics: dict[str, Metrics]) -> None:
        """Raises Invalid for a test in a form that is not read here."""
        self.connection = duckdb.connect()
        self.expected: dict[str, list[Row]] = {}
        self.given: dict[str, dict[str, str]] = {}
        for number, test in enumerate(found.unit_tests):
            name = str(test.get("name"))
            self.expected[name] = rows_of(test.get("expect") or {}, found.yaml_path, name)
            self.given[name] = {}
            for given in test.get("given") or []:
                model = re.search(r"ref\(\s*['\"](\w+)", str(given.get("input")))
                if not model or model.group(1) not in metrics:
                    raise Invalid(f"unit test {name} is given {given.get('input')}, which is no model of metrics")
                table = f"{model.group(1)}_{number}"
                self.create(table, metrics[model.group(1)], rows_of(given, found.yaml_path, name))
                self.given[name][model.group(1)] = table

    def create(self, table: str, metrics: Metrics, rows: list[Row]) -> None:
        """A table with the columns of the metrics; what a row does not say is null."""
        columns = ", ".join(f'"{name}" {duckdb_type(type_)}' for name, type_ in metrics.columns.items())
        self.connection.execute(f'create table "{table}" ({columns})')
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            values = ", ".join(literal(value) for value in row.values())
            self.connection.execute(f'insert into "{table}" ({names}) values ({values})')

    def failing(self, found: SegmentSet) -> list[str]:
        """The tests that the definitions of `found` fail."""
        return [name for name in self.expected if not self.passes(found, name)]

    def passes(self, found: SegmentSet, name: str) -> bool:
        expected = self.expected[name]
        columns = list(expected[0]) if expected else [KEYS[1]]
        flags = ", ".join(f'({flag.sql}) as "{flag.name}"' for flag in found.flags)
        first, *others = found.models
        froms = f'"{self.given[name][found.models[first]]}" as "{first}"'
        for alias in others:
            kind = "inner" if alias in found.inner else "left"
            table = self.given[name][found.models[alias]]
            same = " and ".join(f'"{first}".{key} is not distinct from "{alias}".{key}' for key in KEYS)
            froms += f' {kind} join "{table}" as "{alias}" on {same}'
        condition = found.filter.sql(dialect="duckdb", comments=False)
        keys = ", ".join(f'"{first}".{key}' for key in KEYS)
        told = self.connection.execute(
            f"select {', '.join(columns)} from (select {keys}, {flags} from {froms} where {condition})"
        ).fetchall()
        wanted = [tuple(row.get(column) for column in columns) for row in expected]
        return sorted(map(comparable, told)) == sorted(map(comparable, wanted))


def comparable(row: tuple) -> tuple[str, ...]:
    """A row as text: in CSV everything is."""
    return tuple(str(value).lower() for value in row)


def rows_of(said: dict[str, Any], path: str, name: str) -> list[Row]:
    """The rows of a fixture, in dbt's formats dict and csv. Raises Invalid for another."""
    kind, rows = said.get("format", "dict"), said.get("rows") or []
    if kind == "csv" and isinstance(rows, str):
        return [{key: value or None for key, value in row.items()} for row in csv.DictReader(io.StringIO(rows.strip()))]
    if kind == "dict" and isinstance(rows, list):
        return rows
    raise Invalid(f"{path}: unit test {name} has rows in format {kind}, which cannot be read here; write dict or csv")
