"""What differs between two warehouses: who is in which segment, and the metrics. tools/diff.py asks, and
tools/diff_markdown.py writes it down.

Ids of people stay in here: what is given out is counts, averages, and hashes that the warehouse can resolve.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb

# What a reviewer wants to know first of people who move: how active they are, and what they are worth.
MAIN_METRICS = ("active_days_28d", "sessions_28d", "revenue_365d")
MOST_EXAMPLES = 5
# A text column, so that `like` finds it on any engine. Ten digits tell a million users apart, but for one in a million.
HASH = "substr(md5(user_id), 1, 10)"


@dataclass(frozen=True)
class Size:
    """A segment: its members before and after, and how many of them stayed, entered and left."""

    segment: str
    before: int
    after: int
    stayed: int
    entered: int
    left: int


@dataclass(frozen=True)
class Example:
    """A user who moved: the hash of the id, the segments before and after, and the metrics before and after."""

    hash: str
    before: list[str]
    after: list[str]
    metrics_before: dict[str, object]
    metrics_after: dict[str, object]


class Comparison:
    """Two warehouses side by side. Close it when done."""

    # What is compared, and by what name it is known here.
    TABLES = {
        "membership": "marts.fct_segment_membership",
        "segments": "marts.dim_segments",
        "metrics": "intermediate.int_user_metrics",
    }

    def __init__(self, file: Path, base: Path, head: Path) -> None:
        """Copies what is compared into `file`, which it replaces. Raises duckdb.Error where a table is missing."""
        file.unlink(missing_ok=True)
        self.connection = duckdb.connect(str(file))
        for side, warehouse in (("base", base), ("head", head)):
            # Each by the name that it was built under, which is written into its views: so one after the other.
            path = str(warehouse).replace("'", "''")
            self.connection.execute(f"attach '{path}' as {warehouse.stem} (read_only)")
            for name, table in self.TABLES.items():
                relation = f"{warehouse.stem}.{table}"
                latest = f"where as_of_date = (select max(as_of_date) from {relation})" if name != "segments" else ""
                self.connection.execute(f"create table {side}_{name} as select * from {relation} {latest}")
            self.connection.execute(f"detach {warehouse.stem}")
        self.connection.execute(
            """
            create table states as
            with base as (
                select segment_set, user_id, list(segment order by segment) as segments
                from base_membership group by all
            ),
            head as (
                select segment_set, user_id, list(segment order by segment) as segments
                from head_membership group by all
            )
            select
                segment_set,
                user_id,
                coalesce(base.segments, []) as before,
                coalesce(head.segments, []) as after,
                base.segments is distinct from head.segments as moved
            from base
            full join head using (segment_set, user_id)
            """
        )
        both = ", ".join(f'"{name}"' for name in ["user_id", *self.common_metrics()])
        self.connection.execute(
            f"""
            create table people as
            select {both} from head_metrics
            union all
            select {both} from base_metrics where user_id not in (select user_id from head_metrics)
            """
        )

    def close(self) -> None:
        """Lets go of the file."""
        self.connection.close()

    def rows(self, sql: str, *values: object) -> list[tuple]:
        """What a query gives."""
        return self.connection.execute(sql, values).fetchall()

    # Everybody

    def days(self) -> tuple[str, str]:
        """The as-of dates before and after."""
        return tuple(str(self.rows(f"select max(as_of_date) from {side}_metrics")[0][0]) for side in ("base", "head"))

    def people(self) -> tuple[int, int, int, int]:
        """How many people there are before and after, and how many of them only before, and only after."""
        return self.rows(
            """
            select count(base.user_id), count(head.user_id),
                count(*) - count(head.user_id), count(*) - count(base.user_id)
            from base_metrics as base full join head_metrics as head on base.user_id = head.user_id
            """
        )[0]

    def movers(self) -> dict[str, int]:
        """How many users move in each set, where somebody does."""
        return dict(self.rows("select segment_set, count(*) from states where moved group by 1 order by 2 desc, 1"))

    def all_movers(self) -> int:
        """How many users move in one set or more."""
        return self.rows("select count(distinct user_id) from states where moved")[0][0]

    # Metrics

    def columns(self, side: str) -> dict[str, str]:
        """The metrics of a side and their types."""
        listed = self.rows(f"select column_name, column_type from (describe {side}_metrics)")
        return {name: kind for name, kind in listed if name not in ("as_of_date", "user_id")}

    def common_metrics(self) -> list[str]:
        """The metrics that both sides have."""
        head = self.columns("head")
        return [name for name in self.columns("base") if name in head]

    @cached_property
    def changed_metrics(self) -> dict[str, int]:
        """The metrics whose value differs, and for how many of the people who are there on both sides."""
        base, head = self.columns("base"), self.columns("head")
        differs = []
        for name in self.common_metrics():
            left, right = f'base."{name}"', f'head."{name}"'
            if base[name] == head[name] == "DOUBLE":
                # A sum of floats depends on the order of the rows.
                left, right = f"round({left}, 6)", f"round({right}, 6)"
            elif base[name] != head[name]:
                left, right = f"cast({left} as varchar)", f"cast({right} as varchar)"
            differs.append(f"count(case when {left} is distinct from {right} then 1 end)")
        if not differs:
            return {}
        counts = self.rows(
            f"select {', '.join(differs)} from base_metrics as base inner join head_metrics as head using (user_id)"
        )[0]
        return {name: users for name, users in zip(self.common_metrics(), counts) if users}

    # One set

    def predicates(self, side: str, segment_set: str) -> dict[str, str]:
        """The predicates of a set by segment, as dim_segments of a side gives them; an attribute set has one, of the
        column `segment`."""
        return dict(
            self.rows(
                f"""
                select distinct case when kind = 'attribute' then 'segment' else segment end, predicate
                from {side}_segments where segment_set = ? order by 1
                """,
                segment_set,
            )
        )

    def sizes(self, segment_set: str) -> list[Size]:
        """The segments of a set, those first where most changes; empty ones are not among them."""
        found = self.rows(
            """
            with members as (
                select unnest(list_distinct(before || after)) as segment, before, after
                from states where segment_set = ?
            )
            select
                segment,
                count(case when list_contains(before, segment) then 1 end) as before_,
                count(case when list_contains(after, segment) then 1 end) as after_,
                count(case when list_contains(before, segment) and list_contains(after, segment) then 1 end) as stayed
            from members group by segment
            order by before_ + after_ - 2 * stayed desc, before_ + after_ desc, segment
            """,
            segment_set,
        )
        return [Size(name, before, after, stay, after - stay, before - stay) for name, before, after, stay in found]

    def flows(self, segment_set: str) -> list[tuple[list[str], list[str], int]]:
        """From which segments to which, and how many users; the largest flows first."""
        return self.rows(
            """
            select before, after, count(*) as users from states
            where segment_set = ? and moved group by before, after order by users desc, before, after
            """,
            segment_set,
        )

    def moved_and_stayed(self, segment_set: str) -> tuple[list[str], list[tuple]]:
        """The main metrics, and for those who moved and those who stayed in a segment: how many, and the averages."""
        metrics = [name for name in MAIN_METRICS if name in self.common_metrics()]
        averages = "".join(f', avg(people."{name}")' for name in metrics)
        return metrics, self.rows(
            f"""
            select case when states.moved then 'moved' else 'stayed' end as what, count(*){averages}
            from states left join people using (user_id)
            where states.segment_set = ? group by what order by what
            """,
            segment_set,
        )

    def examples(self, segment_set: str) -> list[Example]:
        """Up to five users who moved: one of each flow, the largest flows first, then a second one of each. The hash
        decides which, so that the same users are shown each time."""
        chosen = self.rows(
            f"""
            with moved as (
                select
                    user_id,
                    {HASH} as hash,
                    before,
                    after,
                    row_number() over (partition by before, after order by md5(user_id)) as place,
                    count(*) over (partition by before, after) as users
                from states where segment_set = ? and moved
            )
            select user_id, hash, before, after from moved order by place, users desc, hash limit {MOST_EXAMPLES}
            """,
            segment_set,
        )
        return [
            Example(hash_, before, after, self.metrics_of("base", user), self.metrics_of("head", user))
            for user, hash_, before, after in chosen
        ]

    def metrics_of(self, side: str, user_id: str) -> dict[str, object]:
        """The metrics of one user, without the id; nothing where the side does not have that user."""
        found = self.connection.execute(
            f"select * exclude (as_of_date, user_id) from {side}_metrics where user_id = ?", [user_id]
        )
        names = [column[0] for column in found.description]
        row = found.fetchone()
        return dict(zip(names, row)) if row else {}
