"""The project's own SQL, run without dbt: compiled once, then executed on any number of small inputs.

dbt needs seconds to start, a property test hundreds of runs. `dbt compile` writes what each model says and the order
of the models; this executes just that in a DuckDB in memory, with the rows of schema `raw` and the as-of dates given
by the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path

import duckdb
import jinja2
from raw_arrivals import TABLES as KEPT_OF_FILES
from raw_files import show_raw_tables
from raw_tables import find_inputs
from reference import EVENT_COLUMNS, Raw, Row, Settings

TABLES = {
    "events": (
        "event_id", "event_name", "event_at", "received_at", "user_id", "anonymous_id", "session_id", "platform",
        "device_type", "os", "country", "language", "channel", "page_path", "referrer", "item_category",
        "search_query", "quantity", "revenue", "currency", "properties", "source_file",
    ),
    "users": (
        "user_id", "updated_at", "signed_up_at", "plan", "country", "language", "channel", "birth_year",
    ),
    "aliases": ("previous_id", "user_id", "aliased_at"),
    "feedback": ("feedback_id", "user_id", "kind", "score", "comment", "submitted_at"),
    "exchange_rates": ("currency", "day", "rate"),
    "event_taxonomy": ("event_name", "event_type", "is_activity"),
}  # fmt: skip
AS_OF_DATES = "int_as_of_dates"
# What the pre-hooks of stored models call, in the form that DuckDB takes.
JINJA = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
HOOK_MACROS = JINJA.from_string(
    "".join(
        (Path(__file__).resolve().parents[2] / "macros" / "cross_db" / f"{name}.sql").read_text("utf-8")
        for name in ("delete_rows", "none_of", "on_days")
    )
)
# What tools/raw_arrivals.py and macros/runs keep; empty, all that is there is built.
KEPT = f"""
    {"; ".join(KEPT_OF_FILES)};
    create schema if not exists runs;
    create table if not exists runs.built_days (cause varchar, event_date date, version varchar);
    create table if not exists runs.retention (first_open_day date);
    create table if not exists runs.evaluations (
        as_of_date date, segment_set varchar, segment varchar, people bigint, evaluated_at timestamp
    );
    create table if not exists runs.restatements (
        restated_at timestamp, from_date date, to_date date, segment_set varchar
    );
    create table if not exists raw.consents (user_id varchar, purpose varchar, granted varchar, "at" varchar);
    create table if not exists raw.given_inputs (table_name varchar);
    create table if not exists raw.retention_reports (
        report varchar, period varchar, start_event varchar, return_event varchar, mode varchar, bound varchar,
        min_occurrences varchar
    );
    create table if not exists raw.funnels (funnel varchar, step varchar, event varchar, window_seconds varchar);
"""
# What is built from the raw events, and stays from run to run or is what later layers read.
MODELS = ("int_user_metrics", "int_sessions", "stg_generic__rejected_events", "stg_generic__event_counts")


def event_rows(events: Iterable[tuple[str, str, str]]) -> list[Row]:
    """Raw events of those who did something (user_id, event_name, event_at), each with an id of its own."""
    return [
        dict.fromkeys(EVENT_COLUMNS)
        | {"event_id": str(number), "event_name": name, "event_at": at, "user_id": user}
        for number, (user, name, at) in enumerate(events)
    ]


class Warehouse:
    """A DuckDB in memory with the models of the project; `build` fills it anew."""

    def __init__(self, manifest: str, models: tuple[str, ...] = MODELS) -> None:
        """Takes the manifest that dbt wrote, with these models. Raises StopIteration where the project has no model of
        that name."""
        compiled = json.loads(manifest)
        self.nodes: dict[str, dict] = compiled["nodes"]
        self.run_started = datetime.fromisoformat(compiled["metadata"]["run_started_at"]).replace(
            microsecond=0, tzinfo=None
        )
        self.models = self.in_order(*models)
        self.connection = duckdb.connect()
        database = self.models[0]["database"]
        self.connection.execute(f"attach ':memory:' as \"{database}\"")
        self.connection.execute(f'use "{database}"')
        self.connection.execute("set TimeZone = 'UTC'")
        self.connection.execute("set threads = 1")
        for schema in {"raw", *(node["schema"] for node in self.models)}:
            self.connection.execute(f"create schema if not exists {schema}")
        for table, columns in TABLES.items():
            self.connection.execute(f"create table raw.{table} ({', '.join(f'{name} varchar' for name in columns)})")
        self.connection.execute(KEPT)
        for node in self.models:
            self.create(node)

    def node(self, name: str) -> dict:
        """What dbt knows of a model or a test. Raises StopIteration where there is none of that name."""
        return next(node for node in self.nodes.values() if node["name"] == name)

    def in_order(self, *names: str) -> list[dict]:
        """These models and all that they read, each after what it reads."""
        ordered: dict[str, dict] = {}

        def visit(node: dict) -> None:
            for parent in node["depends_on"]["nodes"]:
                if parent in self.nodes and parent not in ordered:
                    visit(self.nodes[parent])
            ordered[node["unique_id"]] = node

        for name in names:
            visit(self.node(name))
        return [node for node in ordered.values() if node["config"]["materialized"] != "ephemeral"]

    def create(self, node: dict) -> None:
        """A model as dbt would materialize it; the as-of dates are a table that the test fills."""
        if node["name"] == AS_OF_DATES:
            self.connection.execute(f"create or replace table {node['relation_name']} (as_of_date date)")
        else:
            kind = "view" if node["config"]["materialized"] == "view" else "table"
            self.connection.execute(f"create or replace {kind} {node['relation_name']} as\n{node['compiled_code']}")

    def build(self, raw: Raw, as_of_dates: Iterable[date]) -> None:
        """Replaces everything by what comes of these rows at these dates."""
        self.load(raw)
        for node in self.models:
            if node["name"] == AS_OF_DATES:
                self.connection.execute(f"delete from {node['relation_name']}")
                self.connection.execute(f"insert into {node['relation_name']} select unnest(?)", [list(as_of_dates)])
            elif node["config"]["materialized"] != "view":
                self.create(node)

    def spoil(self, model: str, select: str) -> None:
        """Puts the rows that `select` gives in the place of a model; it finds the model's own as `right_rows`."""
        relation = self.node(model)["relation_name"]
        kind = "view" if self.node(model)["config"]["materialized"] == "view" else "table"
        self.connection.execute(f"create or replace table raw.right_rows as select * from {relation}")
        self.connection.execute(f"drop {kind} {relation}")
        self.connection.execute(f"create table {relation} as select * from raw.right_rows where false")
        self.connection.execute(f"insert into {relation} by name {select.replace('right_rows', 'raw.right_rows')}")

    def load(self, raw: Raw) -> None:
        """Replaces the rows of schema raw."""
        for table, columns in TABLES.items():
            self.connection.execute(f"delete from raw.{table}")
            shape = json.dumps([{name: "VARCHAR" for name in columns}])
            self.connection.execute(
                f"insert into raw.{table} by name select unnest(from_json(?, '{shape}'), max_depth := 2)",
                [json.dumps(getattr(raw, table))],
            )

    def rows(self, sql: str) -> list[tuple]:
        """What a query gives."""
        return self.connection.execute(sql).fetchall()

    def insert(self, into: str, rows: Iterable[tuple]) -> None:
        """Inserts rows, if there are any."""
        values = list(rows)
        if values:
            places = f"({', '.join('?' * len(values[0]))})"
            self.connection.execute(
                f"insert into {into} values {', '.join([places] * len(values))}",
                [value for row in values for value in row],
            )

    def put_history(self, stays: Iterable[tuple], evaluated: Iterable[tuple]) -> None:
        """Replaces the history by these stays (user_id, segment_set, segment, valid_from, valid_to) and evaluated days
        (as_of_date, segment_set, segment, people)."""
        self.connection.execute("delete from runs.evaluations")
        self.connection.execute("delete from marts.fct_segment_membership_history")
        self.insert("runs.evaluations (as_of_date, segment_set, segment, people)", evaluated)
        self.insert(
            "marts.fct_segment_membership_history (user_id, segment_set, segment, valid_from, valid_to)", stays
        )

    def failures(self, test: str) -> list[tuple]:
        """The rows for which a singular test fails."""
        return self.rows(self.node(test)["compiled_code"])

    def metrics(self, as_of: date) -> dict[str, dict]:
        """The columns of int_user_metrics by user_id. Raises AssertionError where a user has two rows."""
        found = self.connection.execute(
            "select * exclude (as_of_date) from intermediate.int_user_metrics where as_of_date = ?", [as_of]
        )
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row)) for row in found.fetchall()]
        by_user = {row.pop("user_id"): row for row in rows}
        assert len(by_user) == len(rows)
        return by_user


class Growing(Warehouse):
    """A warehouse in which files arrive: the first run builds everything, each later one what changed, as dbt would."""

    # The columns of the tables that were made in this process, by the SQL that makes them.
    columns: dict[str, str] = {}

    def __init__(self, manifest: str, incremental_manifest: str, models: tuple[str, ...] = MODELS) -> None:
        """Takes what dbt wrote for an empty warehouse, and for one that was built before, with these models."""
        self.filled = False
        super().__init__(manifest, models)
        self.filled = True
        # Tables from which nothing is stored: made anew by each run, and by the next one as if this had not made them.
        read = {
            parent
            for node in self.models
            if node["config"]["materialized"] == "incremental"
            for parent in (one["unique_id"] for one in self.in_order(node["name"]))
        }
        self.ends = {
            node["unique_id"]
            for node in self.models
            if node["config"]["materialized"] == "table" and node["unique_id"] not in read
        }
        self.later = {node["unique_id"]: node for node in json.loads(incremental_manifest)["nodes"].values()}
        self.started = False

    def create(self, node: dict) -> None:
        """As any warehouse does; but until files arrive a table only needs its columns, which are quick to say when the
        SQL was planned once."""
        sql, relation = node.get("compiled_code"), node["relation_name"]
        is_table = node["config"]["materialized"] != "view" and node["name"] != AS_OF_DATES
        if is_table and not self.filled and sql in self.columns:
            self.connection.execute(f"create or replace table {relation} ({self.columns[sql]})")
            return
        super().create(node)
        if is_table and sql not in self.columns:
            described = self.rows(f"describe {relation}")
            self.columns[sql] = ", ".join(f'"{name}" {kind}' for name, kind, *_ in described)

    def arrive(
        self,
        folder: Path,
        taxonomy: Path,
        zone: str,
        as_of_dates: Iterable[date],
        until: int = 99,
        retention: int | None = None,
        asked: dict[str, Path] | None = None,
        ends: bool = True,
    ) -> None:
        """A run on the files of a folder. `until`: how many of the stored models it comes to before it dies. `asked`:
        as find_inputs has it. `ends`: whether it makes what no later run builds on, which takes most of the time."""
        show_raw_tables(self.connection, find_inputs(folder, taxonomy, asked), zone=zone, retention=retention)
        stored = 0
        for node in self.models:
            if node["name"] == AS_OF_DATES:
                self.connection.execute(f"delete from {node['relation_name']}")
                self.connection.execute(f"insert into {node['relation_name']} select unnest(?)", [list(as_of_dates)])
            elif node["config"]["materialized"] == "incremental" and self.started:
                if stored == until:
                    return
                stored += 1
                later = self.later[node["unique_id"]]
                self.connection.execute("begin")
                for hook in node["config"]["pre-hook"]:
                    self.connection.execute(self.rendered(hook["sql"], node))
                self.connection.execute(f"insert into {node['relation_name']} by name {later['compiled_code']}")
                self.connection.execute("commit")
            elif node["config"]["materialized"] != "view" and (ends or node["unique_id"] not in self.ends):
                # The views go on reading the table, which is another one.
                self.create(node)
        self.started = True
        # macros/runs/built_days.sql.
        changed = self.node("int_changed_days")["relation_name"]
        self.connection.execute(
            f"delete from runs.built_days where (cause, event_date) in (select (cause, event_date) from {changed})"
        )
        self.connection.execute(f"insert into runs.built_days by name from {changed} where version is not null")

    def rendered(self, hook: str, node: dict) -> str:
        """A pre-hook as dbt would run it in a warehouse that was built before."""
        context: dict[str, object] = {
            "return": lambda value: value,
            "is_incremental": lambda: True,
            "this": node["relation_name"],
            "ref": lambda name: self.node(name)["relation_name"],
            "source": lambda schema, table: f"{schema}.{table}",
            "adapter": {"dispatch": lambda name, _: context[f"default__{name}"]},
        }
        macros = vars(HOOK_MACROS.make_module(context))
        context |= {name: macro for name, macro in macros.items() if not name.startswith("_")}
        return JINJA.from_string(hook).render(context)

    def contents(self) -> dict[str, list[tuple]]:
        """The rows of every stored model and table, sorted."""
        tables = [node for node in self.models if node["config"]["materialized"] in ("table", "incremental")]
        return {
            # In which load a file came is no function of the files.
            node["name"]: sorted(
                self.rows(f"select columns(name -> name <> 'file_version') from {node['relation_name']}"), key=str
            )
            for node in tables
            if node["name"] not in ("int_changed_days", AS_OF_DATES)
        }


# What dbt wrote, by folder and time zone: every module of tests that asks has the same project in front of it.
MANIFESTS: dict[tuple[Path, str, Path | None, tuple[str, ...]], str] = {}


class CompiledProject:
    """The project compiled for any time zone; dbt is started twice at most.

    UTC has SQL of its own (macros/cross_db/local_date.sql). All other zones share theirs but for the name in it, so
    one stands in for them.
    """

    STAND_IN = "Europe/Lisbon"

    def __init__(self, dbt: Callable, target: Path, models: tuple[str, ...] = MODELS) -> None:
        """`dbt` is the fixture, `target` the folder that it writes to unless told otherwise. `models`: which are built,
        besides what they read."""
        self.dbt, self.target, self.models = dbt, target, models
        self.warehouses: dict[str, tuple[Warehouse, Settings]] = {}

    def manifest(self, zone: str, built: Path | None = None) -> str:
        """What dbt writes for this zone, in a new warehouse or in the one that was `built` before. Raises
        AssertionError where dbt fails."""
        known = (self.target, zone, built, self.models)
        if known not in MANIFESTS:
            variables = [] if zone == "UTC" else ["--vars", json.dumps({"timezone": zone})]
            selected = (f"+{model}" for model in self.models)
            env = {"WAREHOUSE": built} if built else {}
            ran = self.dbt("compile", "--select", *selected, *variables, env=env)
            assert ran.code == 0, ran.output
            MANIFESTS[known] = (self.target / "manifest.json").read_text(encoding="utf-8")
        return MANIFESTS[known]

    def growing(self, zone: str, built: Path) -> Growing:
        """A warehouse in which files arrive, in this zone; `built` is any that dbt has built before."""
        stand_in = "UTC" if zone == "UTC" else self.STAND_IN
        texts = (self.manifest(stand_in), self.manifest(stand_in, built))
        return Growing(*(text.replace(f"'{stand_in}'", f"'{zone}'") for text in texts), self.models)

    def warehouse(self, zone: str = "UTC") -> tuple[Warehouse, Settings]:
        """The models in a warehouse without rows, and the settings that the reference needs to agree with them."""
        if zone not in self.warehouses:
            stand_in = "UTC" if zone == "UTC" else self.STAND_IN
            warehouse = Warehouse(self.manifest(stand_in).replace(f"'{stand_in}'", f"'{zone}'"), self.models)
            self.warehouses[zone] = warehouse, Settings(zone=zone, run_started=warehouse.run_started)
        return self.warehouses[zone]
