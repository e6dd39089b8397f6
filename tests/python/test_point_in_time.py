"""What the marts answer for a day does not depend on anything that happened after it: they are the same built from all
data and from what was known by the end of the day, and whatever else happens later."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from compiled_project import CompiledProject, Warehouse
from conftest import PROJECT
from reference import Raw, Row, Settings, moment_of
from test_metrics_reference import read

# When a row of each input happened. What arrived and what was done on purpose are no function of a day.
WHEN = {
    "events": "event_at",
    "users": "updated_at",
    "aliases": "aliased_at",
    "feedback": "submitted_at",
    "exchange_rates": "day",
}
NOT_OF_A_DAY = ("fct_input_health", "fct_restatements")
MARTS = tuple(
    sorted(file.stem for file in (PROJECT / "models" / "marts").glob("*.sql") if file.stem not in NOT_OF_A_DAY)
)
AS_OF_DATES = [date(2024, 4, 4), date(2024, 5, 31)]
ZONES = ("UTC", "America/New_York")


@pytest.fixture(scope="module")
def compiled(dbt, clean_env) -> CompiledProject:
    """The SQL of the marts and all that they read, ready to run in any time zone."""
    return CompiledProject(dbt, Path(clean_env["DBT_TARGET_PATH"]), MARTS)


@pytest.fixture(scope="module")
def sample() -> Raw:
    """The raw rows of the sample."""
    folder = PROJECT / "seeds" / "sample"
    taxonomy = read(PROJECT / "seeds" / "event_taxonomy.csv")
    return Raw(**{name: read(folder / f"{name}.csv") for name in WHEN}, event_taxonomy=taxonomy)


@pytest.fixture(scope="module")
def answers(compiled, sample) -> Callable[[str, date], dict[str, list[tuple]]]:
    """`answers(zone, as_of)` gives the marts of that day, made of the whole sample; made once."""
    made: dict[tuple[str, date], dict[str, list[tuple]]] = {}

    def get(zone: str, as_of: date) -> dict[str, list[tuple]]:
        if (zone, as_of) not in made:
            made[zone, as_of] = marts(compiled.warehouse(zone)[0], sample, as_of)
        return made[zone, as_of]

    return get


def marts(warehouse: Warehouse, raw: Raw, as_of: date) -> dict[str, list[tuple]]:
    """The rows of every mart of a day, made of these rows alone."""
    for table in ("retention_reports", "funnels"):
        warehouse.connection.execute(f"delete from raw.{table}")
        file = PROJECT / "seeds" / f"{table}.csv"
        warehouse.connection.execute(f"insert into raw.{table} by name from read_csv('{file}', all_varchar = true)")
    warehouse.build(raw, [as_of])
    return {name: sorted(warehouse.rows(f"from marts.{name}"), key=str) for name in MARTS}


def split(rows: list[Row], column: str, as_of: date, settings: Settings) -> tuple[list[Row], list[Row]]:
    """The rows of a day and before, and the later ones. What has no time was always there."""
    earlier, later = [], []
    for row in rows:
        # A rate is of a local day already.
        moment = moment_of(row[column])
        day = moment and (moment.date() if column == "day" else settings.day(moment))
        (later if day and day > as_of else earlier).append(row)
    return earlier, later


def at_another_time(row: Row, column: str, as_of: date, chance: random.Random) -> Row:
    """The row, on some day after the as-of date in any time zone."""
    days = timedelta(days=chance.randrange(2, 90), minutes=chance.randrange(1440))
    moment = datetime.combine(as_of, datetime.min.time()) + days
    if column == "day":
        return row | {column: str(moment.date())}
    # Delivered at once, so that no event is refused for having been there before it happened.
    return row | {column: f"{moment:%Y-%m-%dT%H:%M:%SZ}"} | ({"received_at": None} if column == "event_at" else {})


def another_future(raw: Raw, as_of: date, settings: Settings, chance: random.Random) -> Raw:
    """The same past, after which other things happened: rows of every input are removed, moved and added."""
    tables = {}
    for name, column in WHEN.items():
        earlier, later = split(getattr(raw, name), column, as_of, settings)
        stayed = [dict(row) for row in later if chance.random() < 0.3]
        moved = [at_another_time(row, column, as_of, chance) for row in later if chance.random() < 0.3]
        # Of people and devices, with ids and answers, that are known already.
        added = [at_another_time(row, column, as_of, chance) for row in earlier if chance.random() < 0.2]
        tables[name] = earlier, [*stayed, *moved, *added]
    devices = [row["anonymous_id"] for row in tables["events"][0] if row["anonymous_id"]]
    people = sorted({row["user_id"] for row in tables["events"][0] if row["user_id"]})
    for row in tables["events"][1]:
        if chance.random() < 0.3:
            # Known devices become people, and belong to others.
            row |= {"user_id": chance.choice(people), "anonymous_id": chance.choice(devices)}
    # Nobody gets the name of somebody who is there already: that could go in a circle.
    aliases = [
        at_another_time({"previous_id": person, "user_id": f"{person} later"}, "aliased_at", as_of, chance)
        for person in chance.sample(people, len(people) // 3)
    ]
    tables["aliases"] = tables["aliases"][0], aliases
    for row in tables["users"][1]:
        row |= {"plan": chance.choice(["free", "pro"]), "country": chance.choice(["DE", "FR", "NO"])}
    return replace(raw, **{name: [*earlier, *later] for name, (earlier, later) in tables.items()})


def check_same(found: dict[str, list[tuple]], expected: dict[str, list[tuple]]) -> None:
    """Asserts that two answers agree cell by cell, and that they are answers."""
    for name in MARTS:
        assert set(found[name]) ^ set(expected[name]) == set(), name
        assert len(found[name]) == len(expected[name]), name
    # On the first day of a history everybody enters, and nobody changes.
    assert [name for name in MARTS if not expected[name]] == []
    assert len(expected["dim_users"]) > 300


@pytest.mark.parametrize("as_of", AS_OF_DATES)
@pytest.mark.parametrize("zone", ZONES)
def test_a_day_in_the_midst_of_the_data_is_answered_as_if_it_were_the_last(compiled, answers, sample, zone, as_of):
    warehouse, settings = compiled.warehouse(zone)
    parts = {name: split(getattr(sample, name), column, as_of, settings) for name, column in WHEN.items()}
    assert all(parts["events"]) and all(parts["feedback"])
    by_then = replace(sample, **{name: earlier for name, (earlier, _) in parts.items()})
    check_same(marts(warehouse, by_then, as_of), answers(zone, as_of))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("zone", ZONES)
def test_whatever_happens_later_changes_no_mart(compiled, answers, sample, zone, seed):
    warehouse, settings = compiled.warehouse(zone)
    as_of = AS_OF_DATES[seed]
    raw = another_future(sample, as_of, settings, random.Random(seed))
    assert [name for name in WHEN if getattr(raw, name) == getattr(sample, name)] == []
    check_same(marts(warehouse, raw, as_of), answers(zone, as_of))
