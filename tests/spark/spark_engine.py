"""A warehouse on the throw-away Spark cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engines import Ended, Engine, clean_env
from server import Cluster, Process


@dataclass(frozen=True)
class SparkEngine(Engine):
    """A warehouse of Spark: `place` is its folder. `drivers` are the Connect servers that it had; the last one runs."""

    cluster: Cluster
    drivers: list[Process] = field(default_factory=list)
    sessions: list = field(default_factory=list)

    def start(self, **conf: str) -> None:
        """Submits a driver to the cluster, with settings of its own."""
        process, address = self.cluster.start_driver(f"driver_{Path(self.place).parent.name}", Path(self.place), **conf)
        self.drivers.append(process)
        self.env["SPARK_REMOTE"] = address

    def kill(self) -> None:
        """Ends the driver at once, whatever it does."""
        self.look_anew()
        self.drivers[-1].end()

    def dbt(self, *arguments: str, **env: str) -> Ended:
        """Runs dbt, which writes tables."""
        ended = super().dbt(*arguments, **env)
        self.look_anew()
        return ended

    def look_anew(self) -> None:
        """Ends the sessions of this process, which remember the files of what they have read. As long as there is a
        driver: without one they would try for minutes."""
        for session in self.sessions:
            session.stop()
        self.sessions.clear()

    def session(self):
        """A session of this process with the driver."""
        if not self.sessions:
            from pyspark.sql.connect.session import SparkSession

            self.sessions.append(SparkSession.builder.remote(self.env["SPARK_REMOTE"]).create())
            self.sessions[0].conf.set("spark.sql.session.timeZone", "UTC")
        return self.sessions[0]

    def rows(self, sql: str) -> list[tuple]:
        """What a query gives."""
        return [tuple(row) for row in self.session().sql(sql).collect()]

    def columns(self, mart: str) -> list[str]:
        """The columns of a mart, in their order."""
        return list(self.session().sql(f"select * from marts.{mart} where 1 = 0").columns)


def new_spark(folder: Path, cluster: Cluster) -> SparkEngine:
    """A new, empty warehouse, with a driver that runs."""
    warehouse = folder / "warehouse"
    env = clean_env("spark", folder) | {
        "SPARK_WAREHOUSE": str(warehouse),
        "SPARK_PARTITIONS": "2",
        "LANDING": str(folder / "landing.duckdb"),
        "PYTHONWARNINGS": "ignore",
        "TZ": "UTC",
    }
    engine = SparkEngine("spark", str(warehouse), env, cluster)
    engine.start()
    return engine
