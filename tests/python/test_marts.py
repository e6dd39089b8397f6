"""The marts say what plain SQL says, each of their dbt tests can fail, and a new set appears in all of them."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import duckdb
import jinja2
import pytest
from conftest import PROJECT, run_program

# Each after those that it reads.
MARTS = (
    "fct_segment_membership",
    "fct_segment_membership_history",
    "fct_segment_changes",
    "fct_segment_transitions",
    "dim_users",
    "dim_segments",
    "fct_segment_daily",
    "fct_segment_profile",
    "fct_segment_overlap",
    "fct_segment_health",
    "fct_growth_accounting",
    "fct_active_users",
    "fct_stickiness",
    "fct_retention",
    "fct_funnel",
    "fct_key_moments",
)
# What they are counted from.
MEMBERSHIP = ("int_user_segments", "int_segment_combinations", "int_latest_user_segments")
# Of the marts, the ones that tell of more than one day, or of none.
OF_ALL_DAYS = (
    "dim_segments",
    "fct_segment_membership_history",
    "fct_segment_transitions",
    "fct_growth_accounting",
    "fct_active_users",
    "fct_retention",
    "fct_funnel",
    "fct_key_moments",
)
KEY_TEST = "mart_key_is_unique"


class Marts:
    """A built warehouse with the compiled dbt tests of its marts; what is changed in it can be taken back."""

    def __init__(self, warehouse: Path, manifest: Path) -> None:
        """Opens the warehouse for writing and reads what dbt compiled."""
        self.connection = duckdb.connect(str(warehouse))
        nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
        nodes = [node for node in nodes if "compiled_code" in node]
        self.tests = {node["name"]: node["compiled_code"] for node in nodes if node["resource_type"] == "test"}
        self.models = {node["name"]: node for node in nodes if node["resource_type"] == "model"}

    def rows(self, sql: str) -> list[tuple]:
        """What a query gives."""
        return self.connection.execute(sql).fetchall()

    def failures(self, test: str) -> list[dict]:
        """The rows that fail the one test whose name begins so. Raises ValueError where that is not one test."""
        (sql,) = [sql for name, sql in self.tests.items() if name.startswith(test)]
        found = self.connection.execute(sql)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row)) for row in found.fetchall()]

    def sets(self) -> dict[str, dict]:
        """What the YAML says of each segment set, by its name."""
        declared = [node["config"]["meta"].get("segment_set") for node in self.models.values()]
        return {said["name"]: said for said in declared if said}

    def flags(self, segment_set: str) -> list[str]:
        """The segments of a set of flags, as its view has them."""
        columns = self.rows(f"describe segments.seg_{segment_set}")
        return [name for name, data_type, *_ in columns if data_type == "BOOLEAN"]


@pytest.fixture(scope="module")
def opened(dbt, built_sample, clean_env, tmp_path_factory) -> Iterator[Marts]:
    """A copy of the built sample. The tests are compiled with nothing in the warehouse, as they must."""
    compiled = dbt("compile", "--select", "marts", "membership", "segments")
    assert compiled.code == 0, compiled.output
    copy = shutil.copy(built_sample, tmp_path_factory.mktemp("marts") / built_sample.name)
    marts = Marts(copy, Path(clean_env["DBT_TARGET_PATH"]) / "manifest.json")
    yield marts
    marts.connection.close()


@pytest.fixture
def marts(opened) -> Iterator[Marts]:
    """The built sample; whatever a test does to it is taken back."""
    opened.connection.execute("begin")
    yield opened
    opened.connection.execute("rollback")


# Each mart against SQL that says the same in another way.


def test_every_mart_answers_for_the_latest_date(marts):
    (latest,) = marts.rows("select max(as_of_date) from intermediate.int_user_metrics")
    for mart in MARTS:
        if mart not in OF_ALL_DAYS:
            assert marts.rows(f"select distinct as_of_date from marts.{mart}") == [latest], mart


def test_membership_is_what_each_flag_and_value_says(marts):
    expected, smallest = Counter(), {}
    for name, said in marts.sets().items():
        if said["kind"] == "flags":
            for flag in marts.flags(name):
                users = marts.rows(f'select user_id from segments.seg_{name} where "{flag}"')
                expected.update((user, name, flag) for (user,) in users)
        else:
            values = marts.rows(f"select user_id, segment from segments.seg_{name}")
            sizes = Counter(value for _, value in values)
            expected.update((user, name, value if sizes[value] >= 5 else "other") for user, value in values)
            smallest[name] = min(sizes.values())
            assert max(sizes.values()) >= 5
    # The sample has to have sets of both kinds.
    assert smallest["geography_device"] < 5 <= smallest["device"]
    assert expected == Counter(marts.rows("select user_id, segment_set, segment from marts.fct_segment_membership"))


def test_a_value_with_four_members_is_folded_and_one_with_five_stays(marts):
    # Nobody is in these two countries, which no standard will ever give away.
    marts.connection.execute(
        "update intermediate.int_user_metrics set country = case when place <= 4 then 'XA' else 'XB' end, "
        "device_type = 'mobile' from (select user_id as id, row_number() over (order by user_id) as place "
        "from intermediate.int_user_metrics) where id = user_id and place <= 9"
    )
    rebuild(marts, *MEMBERSHIP, "fct_segment_membership", "dim_segments", "fct_segment_daily")
    folded = marts.rows(
        "select given.segment, kept.segment, count(*) from segments.seg_geography_device as given "
        "inner join marts.fct_segment_membership as kept using (as_of_date, user_id) "
        "where kept.segment_set = 'geography_device' and given.segment[:2] in ('XA', 'XB') group by all order by all"
    )
    assert folded == [("XA / mobile", "other", 4), ("XB / mobile", "XB / mobile", 5)]
    # The catalogue and the sizes go by what is left.
    left = (
        "select segment from marts.{} where segment_set = 'geography_device' "
        "and segment in ('XA / mobile', 'XB / mobile', 'other') order by segment"
    )
    for mart in ("dim_segments", "fct_segment_daily"):
        assert marts.rows(left.format(mart)) == [("XB / mobile",), ("other",)]


def test_every_segment_has_a_member_in_the_sample(marts):
    members = {
        (name, segment): members
        for name, segment, members in marts.rows("select segment_set, segment, members from marts.fct_segment_daily")
    }
    defined = {(name, flag) for name, said in marts.sets().items() for flag in marts.flags(name)}
    values = {name for name, said in marts.sets().items() if said["kind"] == "attribute"}
    # None of the sets is left out for having nothing to count.
    assert {name for name, _ in defined} | values == set(marts.sets()) == {name for name, _ in members} - {"all"}
    assert [segment for segment in sorted(defined | members.keys()) if not members.get(segment)] == []


def test_daily_has_every_segment_and_its_share_of_the_population(marts):
    expected = {("all", "all"): (marts.rows("select count(*) from intermediate.int_user_metrics")[0][0], 1.0)}
    for name, said in marts.sets().items():
        (population,) = marts.rows(f"select count(*) from segments.seg_{name}")[0]
        members = Counter(
            segment
            for segment_set, segment in marts.rows("select segment_set, segment from marts.fct_segment_membership")
            if segment_set == name
        )
        for segment in marts.flags(name) if said["kind"] == "flags" else members:
            expected[name, segment] = (members[segment], members[segment] / population)
    rows = marts.rows("select segment_set, segment, members, share from marts.fct_segment_daily")
    assert {(name, segment): (members, share) for name, segment, members, share in rows} == expected
    assert len(rows) == len(expected)


def test_an_empty_segment_counts_zero_and_an_empty_population_has_no_share(marts):
    marts.connection.execute(
        "update intermediate.int_user_metrics "
        "set active_days_28d = 0, purchase_days_365d = 0, purchase_days_lifetime = 0"
    )
    rebuild(marts, *MEMBERSHIP, *MARTS)
    daily = "select members, share from marts.fct_segment_daily where segment_set = '{}' and segment = '{}'"
    assert marts.rows(daily.format("engagement", "core")) == [(0, 0.0)]
    assert marts.rows(daily.format("rfm", "champions")) == [(0, None)]
    overlap = marts.rows(
        "select members_both, members_either, jaccard from marts.fct_segment_overlap "
        "where segment_a = 'core' and segment_b = 'champions'"
    )
    assert overlap == [(0, 0, None)]
    assert marts.rows("select distinct rfm from marts.dim_users") == [(None,)]
    for test in marts.tests:
        if test.startswith(("assert_mart_", "assert_catalogue_")):
            assert marts.failures(test) == []


def rebuild(marts: Marts, *names: str) -> None:
    """Replaces marts, in this order, by what their models now give."""
    for name in names:
        if name == "fct_segment_membership_history":
            # What was found at the time is not computed again.
            continue
        node = marts.models[name]
        kind = "view" if node["config"]["materialized"] == "view" else "table"
        marts.connection.execute(f"create or replace {kind} {node['relation_name']} as {node['compiled_code']}")


def test_nobody_at_all_is_a_result(marts):
    marts.connection.execute("delete from intermediate.int_user_metrics")
    rebuild(marts, *MEMBERSHIP, *MARTS)
    assert marts.rows("select sum(members), count(share) from marts.fct_segment_daily") == [(0, 0)]
    assert marts.rows("select count(*) from marts.fct_segment_profile") == [(0,)]
    assert marts.failures("assert_mart_daily_counts_membership") == []


def test_profile_is_what_plain_sql_gives(marts):
    metrics = {
        "avg_session_minutes_28d": "coalesce(sum(avg_session_minutes_28d * sessions_28d) "
        "/ nullif(sum(sessions_28d), 0), 0)",
        "sessions_per_user_28d": "avg(sessions_28d)",
        "active_days_per_user_28d": "avg(active_days_28d)",
        "conversion_rate_28d": "avg(case when purchase_days_28d > 0 then 1.0 else 0 end)",
        "revenue_per_user_28d": "avg(revenue_28d)",
    }
    expected = {}
    segments = marts.rows("select distinct segment_set, segment from marts.fct_segment_membership")
    for metric, sql in metrics.items():
        ((overall,),) = marts.rows(f"select {sql} from intermediate.int_user_metrics")
        for name, segment in segments:
            value = marts.connection.execute(
                f"select {sql} from intermediate.int_user_metrics where user_id in (select user_id "
                "from marts.fct_segment_membership where segment_set = ? and segment = ?)",
                [name, segment],
            ).fetchone()[0]
            index = value / overall * 100 if overall else None
            expected[name, segment, metric] = pytest.approx((value, overall, index), rel=1e-4, abs=1e-5)
    rows = marts.rows(
        "select segment_set, segment, metric, segment_value, overall_value, index from marts.fct_segment_profile"
    )
    assert {row[:3]: row[3:] for row in rows} == expected
    assert len(rows) == len(expected)


def test_index_is_null_where_there_is_nothing_to_compare_with(marts):
    marts.connection.execute("update intermediate.int_user_metrics set revenue_28d = 0")
    rebuild(marts, "fct_segment_profile")
    rows = marts.rows("select distinct index from marts.fct_segment_profile where metric = 'revenue_per_user_28d'")
    assert rows == [(None,)]


def test_overlap_is_what_a_self_join_gives(marts):
    members = {}
    for user, *segment in marts.rows("select user_id, segment_set, segment from marts.fct_segment_membership"):
        members.setdefault(tuple(segment), set()).add(user)
    exclusive = {name for name, said in marts.sets().items() if said["overlap"] == "exclusive"}
    catalogue = marts.rows("select segment_set, segment from marts.dim_segments where segment_set <> 'all'")
    expected = {}
    for a, b in combinations(sorted(catalogue), 2):
        users_a, users_b = members.get(a, set()), members.get(b, set())
        if a[0] != b[0] or a[0] not in exclusive:
            both, either = len(users_a & users_b), len(users_a | users_b)
            expected[a + b] = (len(users_a), len(users_b), both, either, pytest.approx(both / either))
    rows = marts.rows(
        "select segment_set_a, segment_a, segment_set_b, segment_b, members_a, members_b, members_both, "
        "members_either, jaccard from marts.fct_segment_overlap"
    )
    assert {row[:4]: row[4:] for row in rows} == expected
    assert len(rows) == len(expected)
    assert any(row[6] == 0 for row in rows) and any(row[0] == row[2] for row in rows)


def test_an_exclusive_set_that_overlaps_after_all_is_shown(marts):
    # core is the first flag of its set and counts 1, regular the second.
    marts.connection.execute("update segments.int_user_segments set engagement = 1 + 2 where engagement = 1")
    rebuild(marts, "int_segment_combinations", "fct_segment_overlap")
    assert len(marts.rows("from marts.fct_segment_overlap where segment_a = 'core' and segment_b = 'regular'")) == 1


def test_users_have_their_traits_and_metrics_and_a_column_for_each_exclusive_set_of_flags_alone(marts):
    columns = [name for name, *_ in marts.rows("describe marts.dim_users")]
    sets = [name for name, said in marts.sets().items() if (said["kind"], said["overlap"]) == ("flags", "exclusive")]
    assert set(sets) <= set(columns) and len(sets) >= 5
    # An attribute set is exclusive, too, but has no column: some are traits, under whose names the metric stands.
    # Somebody can be in several segments of an overlapping set, which one column cannot say.
    traits = {"plan", "country", "language", "channel"}
    assert set(marts.sets()) & set(columns) == set(sets) | traits and "geography_device" not in columns
    plain = [column for column in columns if column not in (*sets, "is_identified")]
    in_users, in_metrics = (
        Counter(marts.rows(f"select {', '.join(plain)} from {table}"))
        for table in ("marts.dim_users", "intermediate.int_user_metrics")
    )
    assert in_users == in_metrics
    for name in sets:
        in_column = f'select user_id, {name} from marts.dim_users where {name} is not null'
        in_membership = f"select user_id, segment from marts.fct_segment_membership where segment_set = '{name}'"
        assert Counter(marts.rows(in_column)) == Counter(marts.rows(in_membership))
    identified = dict(marts.rows("select is_identified, min(user_id like 'anon:%') from marts.dim_users group by 1"))
    assert identified == {True: False, False: True}


def test_the_catalogue_has_every_word_of_the_project(marts):
    catalogue = marts.connection.execute("select * from marts.dim_segments").fetchall()
    names = [column[0] for column in marts.connection.description]
    rows = [dict(zip(names, row)) for row in catalogue]
    for name, said in marts.sets().items():
        node = marts.models[f"seg_{name}"]
        for row in (row for row in rows if row["segment_set"] == name):
            column = node["columns"][row["segment"] if said["kind"] == "flags" else "segment"]
            assert row["description"] == column["description"]
            for key in ("rationale", "action", "since"):
                assert str(row[key]) == str(column["config"]["meta"][key])
            assert str(row["review_by"]) == str(said["review_by"])
            assert row["population"] == said["population"]["description"]
            for key in ("objective", "owner", "overlap", "coverage", "kind"):
                assert row[key] == said[key]
            # The predicate gives the flag again.
            if said["kind"] == "flags":
                again = f"select user_id from intermediate.int_user_metrics where {row['predicate']}"
                flagged = f'select user_id from segments.seg_{name} where "{row["segment"]}"'
                assert sorted(marts.rows(again)) == sorted(marts.rows(flagged)), row["segment"]
    assert [row["segment_set"] for row in rows].count("all") == 1


# Each dbt test of the marts fails where it has to.

SOMEBODY = "(select min(user_id) from marts.fct_segment_membership where segment_set = 'cart')"
A_BUYER = "(select min(user_id) from marts.fct_segment_membership where segment_set = 'rfm')"


def one_more(mart: str, where: str, change: str) -> str:
    """SQL that adds a copy of one row to a mart, with a value changed."""
    return f"insert into marts.{mart} by name select * replace ({change}) from marts.{mart} where {where} limit 1"


# The test, what it says of the failure (failed_check), and the changes that it has to find.
DOCTORED = [
    (
        "assert_catalogue_and_membership_agree",
        "members, but not in the catalogue",
        ["delete from marts.dim_segments where segment = 'core'"],
    ),
    (
        "assert_catalogue_and_membership_agree",
        "in the catalogue, but not in the project",
        [one_more("dim_segments", "segment = 'core'", "'gone' as segment")],
    ),
    (
        "assert_catalogue_and_membership_agree",
        "members are not those of the definition",
        ["delete from marts.fct_segment_membership where segment = 'core'"],
    ),
    *(
        (
            "assert_catalogue_and_membership_agree",
            "members are not those of the definition",
            [f"delete from marts.fct_segment_membership where segment_set = '{name}' and user_id = {SOMEBODY}"],
        )
        for name in ("cart", "geography_device")
    ),
    (
        # An empty segment that the catalogue does not know.
        "assert_catalogue_and_membership_agree",
        "members are not those of the definition",
        [
            "update intermediate.int_user_metrics set active_days_28d = least(active_days_28d, 20)",
            "update marts.fct_segment_membership set segment = 'regular' where segment = 'core'",
            "delete from marts.dim_segments where segment = 'core'",
        ],
    ),
    (
        "assert_catalogue_and_membership_agree",
        "a value of the catalogue without members",
        [one_more("dim_segments", "segment_set = 'geography_device'", "'XX / tv' as segment")],
    ),
    (
        "assert_catalogue_and_membership_agree",
        "a value with too few members",
        [
            one_more("dim_segments", "segment_set = 'geography_device'", "'XX / tv' as segment"),
            "update marts.fct_segment_membership set segment = 'XX / tv' "
            f"where segment_set = 'geography_device' and user_id = {SOMEBODY}",
        ],
    ),
    (
        "assert_mart_users_are_those_of_the_metrics",
        "missing in dim_users",
        [f"delete from marts.dim_users where user_id = {SOMEBODY}"],
    ),
    (
        "assert_mart_users_are_those_of_the_metrics",
        "missing in dim_users",
        ["update marts.dim_users set as_of_date = as_of_date - 1"],
    ),
    (
        "assert_mart_users_are_those_of_the_metrics",
        "in dim_users, but without metrics",
        [one_more("dim_users", "true", "'stranger' as user_id")],
    ),
    (
        "assert_mart_users_are_those_of_the_metrics",
        "in a segment, but without metrics",
        [one_more("fct_segment_membership", "true", "'stranger' as user_id")],
    ),
    *(
        (
            "assert_mart_daily_counts_membership",
            "missing",
            [f"delete from marts.fct_segment_daily where segment = '{name}'"],
        )
        for name in ("core", "all")
    ),
    (
        "assert_mart_daily_counts_membership",
        "not in the catalogue",
        [one_more("fct_segment_daily", "segment = 'core'", "'gone' as segment")],
    ),
    (
        "assert_mart_daily_counts_membership",
        "other members than the membership",
        ["update marts.fct_segment_daily set members = members + 1 where segment = 'all'"],
    ),
    *(
        (
            "assert_mart_daily_counts_membership",
            failed_check,
            [f"update marts.fct_segment_daily set {change} where segment = 'cart_abandoner'"],
        )
        for failed_check, change in (
            ("other members than the membership", "members = 0, share = 0"),
            ("a share that is none", "share = -0.1"),
            ("a share that is none", "share = 1.1"),
            ("a share that is none", "share = null"),
            ("a share that is none", "share = 0"),
            ("a share that is none", "members = 0"),
        )
    ),
    (
        "assert_mart_daily_counts_membership",
        "shares do not add up to 1",
        ["update marts.fct_segment_daily set share = share / 2 where segment = 'champions'"],
    ),
    (
        "assert_mart_stays_never_overlap",
        "ends before it begins",
        [f"update marts.fct_segment_membership_history set valid_to = valid_from where user_id = {SOMEBODY}"],
    ),
    *(
        (
            "assert_mart_stays_never_overlap",
            "goes on when the next one begins",
            [
                f"insert into marts.fct_segment_membership_history select * replace ({earlier}) "
                f"from marts.fct_segment_membership_history where user_id = {SOMEBODY}"
            ],
        )
        for earlier in (
            "valid_from - 9 as valid_from",
            "valid_from - 9 as valid_from, valid_from as valid_to",
            "valid_from - 9 as valid_from, valid_from + 1 as valid_to",
        )
    ),
    (
        "assert_mart_stays_leave_no_gap",
        "people without a stay",
        [f"delete from marts.fct_segment_membership_history where segment_set = 'rfm' and user_id = {A_BUYER}"],
    ),
    *(
        (
            "assert_mart_stays_leave_no_gap",
            "a turn on a day that was not evaluated",
            [f"update marts.fct_segment_membership_history set {turn} where user_id = {SOMEBODY}"],
        )
        for turn in ("valid_from = valid_from - 1", "valid_to = valid_from + 1")
    ),
    *(
        (
            "assert_mart_profile_and_overlap_fit_daily",
            "profile: metrics are missing",
            [f"delete from marts.fct_segment_profile where segment = 'core' and metric {which}"],
        )
        for which in ("is not null", "= 'conversion_rate_28d'")
    ),
    (
        "assert_mart_profile_and_overlap_fit_daily",
        "profile: nobody is in the segment",
        ["update marts.fct_segment_daily set members = 0 where segment = 'core'"],
    ),
    *(
        (
            "assert_mart_profile_and_overlap_fit_daily",
            "overlap: the pair is missing",
            [f"delete from marts.fct_segment_overlap where segment_a = '{a}' and segment_b = '{b}'"],
        )
        for a, b in (("core", "dormant"), ("cart_abandoner", "checkout_abandoner"))
    ),
    *(
        (
            "assert_mart_profile_and_overlap_fit_daily",
            "overlap: sizes are not those of fct_segment_daily",
            [
                f"update marts.fct_segment_overlap set {change} "
                "where segment_a = 'mobile_first' and segment_b = 'repeat_buyer'"
            ],
        )
        for change in (
            "members_a = members_a + 1, members_either = members_either + 1",
            "members_b = members_b + 1, members_either = members_either + 1",
            "members_both = members_a + members_b, members_either = 0",
            "members_either = members_either - 1",
            "jaccard = jaccard / 2",
            "segment_set_a = 'gone'",
        )
    ),
    *(
        ("assert_mart_growth_adds_up", failed_check, [change])
        for failed_check, change in (
            (
                "growth: other people are active than dau says",
                "update marts.fct_growth_accounting set users = users + 1 where segment = 'core' and period = 'day' "
                "and state = 'resurrecting'",
            ),
            (
                "growth: other people are active than dau says",
                "delete from marts.fct_active_users where segment = 'core'",
            ),
            (
                "growth: other people are active than dau says",
                "delete from marts.fct_growth_accounting where segment_set = 'all' and period = 'day' "
                "and period_start = (select max(as_of_date) from marts.fct_active_users)",
            ),
            (
                "growth: who was active before neither returns nor is dormant",
                "update marts.fct_growth_accounting set users = users + 1 where segment_set = 'all' "
                "and period = 'month' and state = 'dormant'",
            ),
            (
                "active users: a longer window has fewer people",
                "update marts.fct_active_users set wau = mau + 1 where segment = 'core'",
            ),
            (
                "stickiness: its people are not those of mau",
                "update marts.fct_stickiness set users = users + 1 where segment_set = 'all' and period = 'day' "
                "and active_periods = 28",
            ),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("test", "failed_check", "changes"), DOCTORED)
def test_a_doctored_mart_is_found(marts, test, failed_check, changes):
    make_a_table_of(marts, "fct_segment_membership")
    assert marts.failures(test) == []
    for change in changes:
        marts.connection.execute(change)
    assert failed_check in [row["failed_check"] for row in marts.failures(test)]


@pytest.mark.parametrize("mart", MARTS)
def test_a_second_row_with_the_same_key_is_found(marts, mart):
    test = key_test(marts, mart)
    assert marts.failures(test) == []
    if marts.models[mart]["config"]["materialized"] == "view":
        make_a_table_of(marts, mart)
    marts.connection.execute(f"insert into marts.{mart} from marts.{mart} limit 1")
    assert [row["number_of_rows"] for row in marts.failures(test)] == [2]


def make_a_table_of(marts: Marts, view: str) -> None:
    """Puts a table with its rows in the place of a view, so that they can be doctored."""
    marts.connection.execute(f"create temp table rows_of_view as from marts.{view}")
    marts.connection.execute(f"drop view marts.{view}")
    marts.connection.execute(f"create table marts.{view} as from rows_of_view")


def key_test(marts: Marts, mart: str) -> str:
    """The test of a mart's key; the name of one mart may begin with that of another."""
    longer = tuple(f"{KEY_TEST}_{other}_" for other in MARTS if other.startswith(f"{mart}_"))
    found = [test for test in marts.tests if test.startswith(f"{KEY_TEST}_{mart}_")]
    (test,) = [test for test in found if not longer or not test.startswith(longer)]
    return test


def test_a_key_with_a_null_is_found(marts):
    marts.connection.execute(
        "create or replace table marts.fct_segment_daily as "
        "select * replace (nullif(segment, 'core') as segment) from marts.fct_segment_daily"
    )
    assert [row["segment"] for row in marts.failures(f"{KEY_TEST}_fct_segment_daily")] == [None]


def test_every_test_of_the_marts_is_seen_to_fail(marts):
    own = {test for test in marts.tests if test.startswith(("mart_", "assert_mart_", "assert_catalogue_"))}
    keys = {key_test(marts, mart) for mart in MARTS}
    assert own == keys | {test for test, *_ in DOCTORED} and len(keys) == len(MARTS)


# The macros that read the project, without dbt: its Jinja with the few words that they use.


class Returned(Exception):
    """What a macro returns: a way out of it, not an error."""


class Refused(Exception):
    """What dbt stops with."""


def macros(**context: object) -> Callable[..., object]:
    """Gives a function that calls a macro of macros/segments by its name."""

    def give_back(value: object) -> None:
        raise Returned(value)

    def refuse(message: str) -> None:
        raise Refused(message)

    def call(name: str, *arguments: object) -> object:
        try:
            return getattr(own, f"own_{name}")(*arguments)
        except Returned as returned:
            return returned.args[0]

    context |= {
        "return": give_back,
        "execute": True,
        "modules": SimpleNamespace(re=re),
        "exceptions": SimpleNamespace(raise_compiler_error=refuse),
        "api": SimpleNamespace(Column=SimpleNamespace(translate_type=str)),
    }
    # Renamed, so that a macro calls another one through `call`, as dbt's own do.
    source = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "macros" / "segments").glob("*.sql"))
    source = re.sub(r"({%-? macro )(\w+)", r"\1own_\2", source)
    for name in re.findall(r"{%-? macro own_(\w+)", source):
        context[name] = lambda *arguments, name=name: call(name, *arguments)
    environment = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
    own = environment.from_string(source).make_module(context)
    return call


PREDICATES = {
    "one line": ("\n    x >= 21 as f,\n", "x >= 21"),
    "the last one": ("\n    -- Why.\n    x >= 21 as f\nfrom metrics\n", "x >= 21"),
    "several lines": ("\n    -- Why.\n    x = 5\n    and y between 4 and 5 as f,\n", "x = 5 and y between 4 and 5"),
    "a name on a line of its own": ("\n    (\n        x > 1\n        or y\n    )\n    as f,\n", "( x > 1 or y )"),
    "a name in quotes": ('\n    x > 1 as "f",\n', "x > 1"),
    "a reason beside each branch": (
        "\n    -- Why.\n    x = 5 -- it's the best\n    -- And why this.\n    and y = 1 as f, -- no more\n",
        "x = 5 and y = 1",
    ),
    "a comment within parentheses": ("\n\n    (\n        -- Why.\n        x > 1\n    ) as f,\n", "( x > 1 )"),
    "quotes, hyphens and parentheses in text": (
        "\n    -- It's so.\n    country in ('it''s', '-- (', 'x as f,') as f,\n",
        "country in ('it''s', '-- (', 'x as f,')",
    ),
    "another column right above": ("\n    user_id,\n    x > 1\n    and y > 2 as f,\n", "x > 1 and y > 2"),
    "right after select": ("select\n    x > 1 as f,\n", "x > 1"),
    "a list over lines": ("\n    x in (\n        1,\n        2\n    ) as f,\n", "x in ( 1, 2 )"),
    "a name that is part of others": ("\n    x > 1 as half_f,\n\n    x > 2 as f,\n\n    x > 3 as f_v2\n", "x > 2"),
    "capitals and windows line ends": ("\r\n    x > 1 AS f,\r\n", "x > 1"),
}


@pytest.mark.parametrize("case", PREDICATES)
def test_a_predicate_is_taken_as_it_is_written(case):
    sql, expected = PREDICATES[case]
    assert macros()("segment_predicate", {"name": "seg_s", "raw_code": sql}, "f") == expected


@pytest.mark.parametrize("sql", ["", "\n    x > 1 as g,\n", "\n    -- x > 1 as f,\n", "x > 1 as f,\n"])
def test_a_predicate_that_is_not_found_is_an_error(sql):
    with pytest.raises(Refused, match="seg_s.sql: no predicate of f is found"):
        macros()("segment_predicate", {"name": "seg_s", "raw_code": sql}, "f")


def project_with(**changes: object) -> dict:
    """The context of a project with the set s and its flag f; `changes` are of its YAML, by dotted name."""
    flag = {"name": "f", "data_type": "boolean", "description": "F.", "config": {"meta": {"since": "2026-01-31"}}}
    said = {"name": "s", "kind": "flags", "overlap": "exclusive", "review_by": "2026-12-31"}
    for key, value in changes.items():
        (flag["config"]["meta"] if key == "since" else flag if key == "data_type" else said)[key] = value
    node = {
        "name": "seg_s",
        "resource_type": "model",
        "raw_code": "\n    x > 1 as f\n",
        "config": {"meta": {"segment_set": said}},
        "columns": {"user_id": {"name": "user_id", "data_type": "string"}, "f": flag},
    }
    return {"graph": {"nodes": {"model.seg_s": node}}, "var": lambda name: ["s"]}


def set_of(flags: int) -> dict:
    """A set with so many flags, as segment_sets() gives it."""
    return {"name": "s", "kind": "flags", "segments": [{"name": f"f{number}"} for number in range(flags)]}


def test_each_flag_is_found_again_in_the_number_of_its_set():
    flags = set_of(62)
    names = [segment["name"] for segment in flags["segments"]]
    call = macros(adapter=SimpleNamespace(quote='"{}"'.format))
    found = ", ".join(call("is_in_segment", flags, segment, "numbered") for segment in flags["segments"])
    rows = [[True] * 62, [False] * 62, [None] * 62, *([n == flag for n in range(62)] for flag in range(62))]
    with duckdb.connect() as con:
        con.execute(f"create table rows ({', '.join(f'{name} boolean' for name in names)})")
        con.executemany(f"insert into rows values ({', '.join('?' * 62)})", rows)
        number = call("flags_as_number", flags, "rows")
        numbered = con.execute(f"select {found} from (select {number} as s from rows) as numbered").fetchall()
    assert numbered == [tuple(bool(value) for value in row) for row in rows]


def test_a_set_of_more_flags_than_a_number_has_places_is_refused():
    flag = {"data_type": "boolean", "description": "F.", "config": {"meta": {}}}
    project = project_with()
    columns = project["graph"]["nodes"]["model.seg_s"]["columns"]
    columns.update({f"f{number}": flag | {"name": f"f{number}"} for number in range(61)})
    assert len(macros(**project)("segment_set", "s")["segments"]) == 62
    columns["f61"] = flag | {"name": "f61"}
    with pytest.raises(Refused, match="seg_s has 63 segments; 62 is the most"):
        macros(**project)("segment_set", "s")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": None}, "_seg_s.yml: config.meta.segment_set.kind of seg_s is missing or unknown"),
        ({"kind": "flag"}, "_seg_s.yml: config.meta.segment_set.kind of seg_s is missing or unknown"),
        ({"name": "t"}, "_seg_s.yml: config.meta.segment_set.name is 't'; write s"),
        ({"data_type": "string"}, "_seg_s.yml: no boolean column of seg_s is documented"),
        ({"kind": "attribute"}, "_seg_s.yml: no string column of seg_s is documented"),
        ({"since": "last year"}, "seg_s.f: since is 'last year'; write a day"),
        ({"review_by": "2026-6-30"}, "seg_s: review_by is '2026-6-30'; write a day"),
    ],
)
def test_yaml_that_the_marts_cannot_read_is_named(changes, message):
    with pytest.raises(Refused, match="^" + re.escape(message)):
        macros(**project_with(**changes))("segment_sets")


def test_a_set_named_as_a_column_of_the_users_is_refused():
    call = macros(**project_with())
    users = SimpleNamespace(name="dim_users", columns={"user_id": {}})
    call("add_exclusive_set_columns", users)
    assert users.columns["s"]["data_type"] == "string"
    with pytest.raises(Refused, match="seg_s: dim_users has a column s of its own"):
        call("add_exclusive_set_columns", users)


# A new set: its SQL, its YAML and one line.

FLAGS_SQL = """-- A set that a test adds.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- It's a text with a quote.
        coalesce(country, 'it''s -- nowhere') = 'DE' -- here
        -- Or so.
        or coalesce(country, '') = 'FR' as near,

        coalesce(country, '') not in ('DE', 'FR') as far,

        -- Nobody.
        active_days_28d > 28 as nowhere
    from metrics

)

select * from final
"""
ATTRIBUTE_SQL = """-- An attribute set that a test adds.
select
    as_of_date,
    user_id,

    coalesce(language, 'unknown') as segment
from {{ ref('int_user_metrics') }}
"""
NASTY = "It's \"quoted\" \\ {braces}, 100 %\nand 🦆 on two lines; --"
UNLISTED = "a set that vars.segment_sets does not list"


def set_yaml(name: str, columns: dict[str, str], **said: object) -> str:
    """The YAML of a set, as JSON, which YAML is, too."""
    described = [
        {
            "name": column,
            "data_type": data_type,
            "description": NASTY,
            "config": {"meta": {"rationale": NASTY, "action": NASTY, "since": "2026-01-31"}},
        }
        for column, data_type in columns.items()
    ]
    keys = [{"name": "as_of_date", "data_type": "date"}, {"name": "user_id", "data_type": "string"}]
    meta = {
        "name": name,
        "overlap": "exclusive",
        "coverage": "total",
        "population": {"description": NASTY, "sql": "days_since_first_active >= 0"},
        "objective": NASTY,
        "owner": "somebody@example.com",
        "review_by": "2030-01-01",
        **said,
    }
    config = {"contract": {"enforced": True}, "meta": {"segment_set": meta}}
    tests = ["segment_set_is_valid"]
    return json.dumps(
        {"models": [{"name": f"seg_{name}", "config": config, "data_tests": tests, "columns": keys + described}]},
        ensure_ascii=False,
    )


def test_a_new_set_is_its_sql_its_yaml_and_one_line(built_sample, clean_env, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".*", "target", "logs", "*.duckdb*"))
    warehouse = shutil.copy(built_sample, tmp_path / built_sample.name)
    env = clean_env | {"WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(tmp_path / "target")}
    dbt = str(Path(sys.executable).with_name("dbt"))

    segments = project / "models" / "segments"
    (segments / "seg_nearness.sql").write_text(FLAGS_SQL, encoding="utf-8")
    (segments / "_seg_nearness.yml").write_text(
        set_yaml("nearness", dict.fromkeys(("near", "far", "nowhere"), "boolean"), kind="flags"), encoding="utf-8"
    )
    (segments / "seg_tongue.sql").write_text(ATTRIBUTE_SQL, encoding="utf-8")
    (segments / "_seg_tongue.yml").write_text(
        set_yaml("tongue", {"segment": "string"}, kind="attribute"), encoding="utf-8"
    )

    # Without the line it is missed.
    ran = run_program([dbt, "test", "--select", "assert_catalogue_and_membership_agree"], env, project)
    assert ran.code != 0 and "Got 2 results" in ran.output, ran.output

    settings = project / "dbt_project.yml"
    listed = settings.read_text(encoding="utf-8")
    lines = "segment_sets:\n    - nearness\n    - tongue\n"
    settings.write_text(listed.replace("segment_sets:\n", lines, 1), encoding="utf-8")
    ran = run_program([dbt, "build", "--select", "seg_nearness", "seg_tongue", "membership", "marts"], env, project)
    assert ran.code == 0, ran.output

    catalogue = ran.rows(
        "select segment, description, rationale, action, objective, population, predicate from marts.dim_segments "
        "where segment_set = 'nearness'"
    )
    assert {row[0]: row[6] for row in catalogue} == {
        "near": "coalesce(country, 'it''s -- nowhere') = 'DE' or coalesce(country, '') = 'FR'",
        "far": "coalesce(country, '') not in ('DE', 'FR')",
        "nowhere": "active_days_28d > 28",
    }
    assert all(row[1:6] == (NASTY,) * 5 for row in catalogue)
    near = "select user_id from intermediate.int_user_metrics where country in ('DE', 'FR')"
    members = ran.rows("select user_id from marts.fct_segment_membership where segment = 'near'")
    assert sorted(members) == sorted(ran.rows(near)) and members
    assert sorted(ran.rows("select user_id from marts.dim_users where nearness = 'near'")) == sorted(members)
    assert "tongue" not in [row[0] for row in ran.rows("describe marts.dim_users")]
    assert ran.rows("select members from marts.fct_segment_daily where segment = 'nowhere'") == [(0,)]
    assert len(ran.rows("from marts.fct_segment_profile where segment = 'near'")) == 5
    for segment_set in ("nearness", "tongue"):
        pairs = f"from marts.fct_segment_overlap where '{segment_set}' in (segment_set_a, segment_set_b)"
        assert ran.rows(pairs)
        assert ran.rows(f"from marts.fct_segment_membership where segment_set = '{segment_set}'")
        # On a day that was evaluated before, too: what is new has no history yet that could be written again.
        assert ran.rows(f"from marts.fct_segment_membership_history where segment_set = '{segment_set}'")


def test_the_queries_of_the_page_of_product_analytics_can_be_asked(built_sample):
    page = (PROJECT / "docs" / "product_analytics.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert len(queries) == 4
    with duckdb.connect(str(built_sample), read_only=True) as connection:
        answers = [connection.execute(query).fetchall() for query in queries]
    # Of a segment there is no whole month yet in the sample: its history is one day.
    assert [bool(rows) for rows in answers] == [True, False, True, True]
