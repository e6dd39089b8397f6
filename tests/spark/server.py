"""A throw-away Spark: a standalone cluster on the loopback interface (a master and two workers, processes of their
own, from the pip package) and Spark Connect servers that are submitted to it, one for each warehouse; gone when the
tests end.

A Connect server is the driver: dbt talks to it as to a remote cluster (SPARK_REMOTE), and it stays warm from run to
run. To end one at once is what kills a run. `python tests/spark/server.py` says whether it can all be started here.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

HOST = "127.0.0.1"
WORKERS = 2
OLDEST_JAVA = 17
WAIT_SECONDS = 180
DRIVER_MEMORY = "2g"
CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
THRIFT_SERVER = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"
# For a few thousand rows: no code is generated for a query, files are read as a few pieces, and Derby, which keeps the
# catalogue, does not write through to the disk.
JAVA_OPTIONS = "-XX:+UseSerialGC -Dderby.system.durability=test -Dderby.stream.error.file=/dev/null"
QUICK = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.subexpressionElimination.enabled": "false",
    "spark.sql.adaptive.enabled": "false",
    # Half of the time of planning.
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.parquet.filterPushdown": "false",
    "spark.sql.files.openCostInBytes": "65536",
    # As profiles.yml says for a driver of dbt's own: several models at once would wait for each other.
    "spark.sql.subquery.maxThreadThreshold": "128",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
}


class NoServer(Exception):
    """Spark cannot be started here; the message is one line: what is missing, and what to do."""


@dataclass
class Process:
    """A process that was started here, and its log."""

    name: str
    running: subprocess.Popen
    log: Path

    def wait_for(self, port: int) -> None:
        """Comes back when it listens. Raises NoServer where it ends before, or takes too long."""
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            if self.running.poll() is not None:
                break
            with socket.socket() as tried:
                tried.settimeout(1)
                if tried.connect_ex((HOST, port)) == 0:
                    return
            time.sleep(0.2)
        lines = [line for line in self.log.read_text("utf-8", "replace").splitlines() if line.strip()]
        errors = [line for line in lines if re.search(r"Exception: |[Ee]rror: ", line)] or lines[-1:] or ["it said nothing"]
        self.end()
        raise NoServer(f"Spark does not start here ({self.name}: {errors[0].strip()[:200]})")

    def end(self) -> None:
        """Ends it at once, with whatever it started."""
        if self.running.poll() is None:
            os.killpg(self.running.pid, signal.SIGKILL)
        self.running.wait()


@dataclass
class Cluster:
    """A cluster that runs: where its master is, and the folder of its logs."""

    folder: Path
    home: Path
    port: int
    processes: list[Process] = field(default_factory=list)

    @property
    def master(self) -> str:
        return f"spark://{HOST}:{self.port}"

    def start(self, name: str, words: list[str], port: int, **env: str) -> Process:
        """Starts a program of Spark's, and waits until it listens. Raises NoServer."""
        log = self.folder / f"{name}.log"
        known = {
            key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_", "JAVA_TOOL_"))
        }
        known |= {
            "SPARK_HOME": str(self.home), "SPARK_LOCAL_IP": HOST, "SPARK_LOCAL_DIRS": str(self.folder / "scratch"),
            "SPARK_WORKER_DIR": str(self.folder / name), "SPARK_DAEMON_MEMORY": "256m", "TZ": "UTC",
        }  # fmt: skip
        with log.open("wb") as file:
            running = subprocess.Popen(
                words, cwd=self.folder, env=known | env, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip
        process = Process(name, running, log)
        self.processes.append(process)
        process.wait_for(port)
        return process

    def start_driver(self, name: str, warehouse: Path, thrift: bool = False, **more: str) -> tuple[Process, str]:
        """Submits a Connect server with a warehouse to the cluster, and gives it and its address; or a Thrift server, and
        its port. `more` are settings of the driver, less "spark.driver.". Raises NoServer."""
        port = free_port()
        warehouse.mkdir(parents=True, exist_ok=True)
        conf = QUICK | {
            "spark.sql.catalogImplementation": "hive",
            "spark.sql.warehouse.dir": str(warehouse),
            "spark.hadoop.javax.jdo.option.ConnectionURL": (
                f"jdbc:derby:;databaseName={warehouse}/metastore;create=true"
            ),
            "spark.connect.grpc.binding.address": HOST,
            "spark.connect.grpc.binding.port": str(port),
            "spark.driver.host": HOST,
            "spark.driver.bindAddress": HOST,
            "spark.executor.memory": "768m",
            "spark.executor.cores": "1",
            "spark.cores.max": str(WORKERS),
            "spark.driver.extraJavaOptions": JAVA_OPTIONS,
            "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        }
        conf |= {f"spark.driver.{key}": value for key, value in more.items()}
        words = [
            str(self.home / "bin" / "spark-submit"), "--master", self.master, "--driver-memory", DRIVER_MEMORY, "--class",
            THRIFT_SERVER if thrift else CONNECT_SERVER,
        ]  # fmt: skip
        for key, value in conf.items():
            words += ["--conf", f"{key}={value}"]
        words.append("spark-internal")
        if thrift:
            for key, value in (("port", port), ("bind.host", HOST)):
                words += ["--hiveconf", f"hive.server2.thrift.{key}={value}"]
        # Of these servers this is the memory of the driver, whatever --driver-memory says.
        started = self.start(name, words, port, SPARK_DAEMON_MEMORY=DRIVER_MEMORY)
        return started, str(port) if thrift else f"sc://{HOST}:{port}"


def spark_home() -> Path:
    """The folder of pyspark. Raises NoServer where Spark, or a Java that it runs on, is missing."""
    for module in ("pyspark", "grpc"):
        if not find_spec(module):
            raise NoServer(f"{module} is missing; pip install -r requirements-spark.txt")
    java = shutil.which("java", path=f"{os.environ.get('JAVA_HOME', '')}/bin{os.pathsep}{os.environ.get('PATH', '')}")
    if not java:
        raise NoServer("Java is missing; on Debian: apt-get install openjdk-17-jre-headless")
    said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', said)
    if not version or int(version.group(1)) < OLDEST_JAVA:
        raise NoServer(f"Java {OLDEST_JAVA} or newer is needed, {java} is {version.group(1) if version else 'none'}")
    return Path(find_spec("pyspark").origin).parent


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as tried:
        tried.bind((HOST, 0))
        return tried.getsockname()[1]


@contextmanager
def throwaway_cluster() -> Iterator[Cluster]:
    """Runs a cluster while the block does. Raises NoServer."""
    home = spark_home()
    folder = Path(tempfile.mkdtemp(prefix="spark_"))
    cluster = Cluster(folder, home, free_port())
    spark_class = str(home / "bin" / "spark-class")
    deploy = "org.apache.spark.deploy"
    try:
        web = str(free_port())
        cluster.start(
            "master",
            [spark_class, f"{deploy}.master.Master", "--host", HOST, "--port", str(cluster.port), "--webui-port", web],
            cluster.port,
        )
        for number in range(1, WORKERS + 1):
            port, web = free_port(), str(free_port())
            # More cores than there are: each warehouse of a test takes one of each worker.
            cluster.start(
                f"worker_{number}",
                [spark_class, f"{deploy}.worker.Worker", "--host", HOST, "--port", str(port), "--webui-port", web,
                 "--cores", "4", "--memory", "4g", cluster.master],
                port,
            )  # fmt: skip
        yield cluster
    finally:
        for process in reversed(cluster.processes):
            process.end()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Starts a cluster and stops it again; says in one line what is missing where that cannot be."""
    try:
        with throwaway_cluster():
            return 0
    except NoServer as error:
        print(f"make test-spark: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
