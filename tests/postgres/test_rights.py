"""What the role of BI tools may read on PostgreSQL (BI_ROLE), and the indexes that are there for them."""

from __future__ import annotations

import psycopg2
import pytest
from engines import Engine, Engines

ROLE = "bi reader"


@pytest.fixture(scope="module")
def built(new: Engines) -> Engine:
    """The sample, built twice, the second time with all tests of dbt, with a role for BI tools: what is made anew has to
    be given to it again."""
    engine = new("postgres")
    with engine.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f'create role "{ROLE}" login')
    engine.build(BI_ROLE=ROLE)
    engine.build("build", BI_ROLE=ROLE)
    return engine


@pytest.fixture
def reader(built):
    """A connection of the role."""
    connection = built.connect(user=ROLE)
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


def test_the_role_reads_every_mart(built, reader):
    marts = [name for (name,) in built.rows("select relname from pg_class where relnamespace = 'marts'::regnamespace "
                                            "and relkind in ('r', 'v')")]  # fmt: skip
    assert {"fct_segment_membership", "fct_segment_membership_history", "fct_segment_daily"} <= set(marts)
    for mart in marts:
        reader.execute(f'select count(*) from marts."{mart}"')
        assert reader.fetchone()[0] > 0 or mart == "fct_restatements"


@pytest.mark.parametrize(
    "table",
    [
        "raw.events", "raw.users", "staging.stg_generic__events", "intermediate.int_identities",
        "intermediate.int_user_metrics", "segments.seg_lifecycle", "segments.int_user_segments", "runs.evaluations",
        "runs.erased_ids",
    ],
)  # fmt: skip
def test_the_role_is_refused_everywhere_else(built, reader, table):
    assert built.rows(f"select to_regclass('{table}') is not null") == [(True,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        reader.execute(f"select 1 from {table}")


@pytest.mark.parametrize(
    "sql", ["delete from marts.dim_segments", "drop table marts.dim_segments", "create table marts.own (a integer)"]
)
def test_the_role_changes_nothing(reader, sql):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        reader.execute(sql)


def test_a_role_that_is_not_there_is_one_line(built):
    ran = built.dbt("run", "--select", "stg_generic__funnels", BI_ROLE="nobody of that name")
    assert ran.code != 0 and "BI_ROLE: there is no role 'nobody of that name'" in ran.output


def test_marts_have_one_index_for_each_filter(built):
    indexes = built.rows(
        "select tablename, indexdef from pg_indexes where schemaname = 'marts' order by tablename, indexdef"
    )
    columns = {}
    for table, definition in indexes:
        columns.setdefault(table, []).append(definition.partition("USING btree ")[2])
    assert columns["fct_segment_membership_history"] == ["(segment_set, segment)", "(user_id)"]
    assert columns["fct_segment_daily"] == ["(as_of_date)", "(segment_set, segment)"]
    assert "(user_id)" in columns["dim_users"]
