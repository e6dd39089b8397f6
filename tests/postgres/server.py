"""A throw-away PostgreSQL: a cluster in a temporary folder, on a Unix socket alone, gone when the tests end.

The programs are those of Debian's `postgresql` package. PostgreSQL does not run as root: there the cluster is the user
`postgres`'s, whom the package makes. `python tests/postgres/server.py` says whether it can be started here.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER_FOR_ROOT = "postgres"
OWNER = "segments"


class NoServer(Exception):
    """PostgreSQL cannot be started here; the message is one line: what is missing, and what to do."""


@dataclass(frozen=True)
class Server:
    """A server that runs: the folder of its socket, which is what a client calls its host, and who owns everything."""

    socket: Path
    user: str = OWNER

    def environment(self, database: str) -> dict[str, str]:
        """The variables with which psql, dbt and the tools of this project find a database of it."""
        return {
            "PGHOST": str(self.socket),
            "PGPORT": "5432",
            "PGUSER": self.user,
            "PGPASSWORD": "",
            "PGDATABASE": database,
        }


def programs() -> Path:
    """The folder of the newest server programs. Raises NoServer."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which("initdb")
    if not found or not Path(found).with_name("pg_ctl").exists():
        raise NoServer("PostgreSQL's server programs are missing; on Debian: apt-get install postgresql")
    return Path(found).parent


def as_its_user() -> list[str]:
    """What stands before a command so that it does not run as root. Raises NoServer."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam(USER_FOR_ROOT)
    except KeyError:
        raise NoServer(
            f"PostgreSQL refuses to run as root, and there is no user {USER_FOR_ROOT}; as root: useradd -r "
            f"{USER_FOR_ROOT}, or run the tests as somebody else"
        ) from None
    runuser = shutil.which("runuser")
    if not runuser:
        raise NoServer("PostgreSQL refuses to run as root, and runuser is missing; install util-linux")
    return [runuser, "-u", USER_FOR_ROOT, "--"]


@contextmanager
def throwaway_server() -> Iterator[Server]:
    """Runs a server while the block does. Raises NoServer, with the last line of what PostgreSQL said."""
    place, user = programs(), as_its_user()
    # A name of its own, short: the path of a socket has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="pg_", dir="/tmp"))
    data = folder / "data"
    if user:
        shutil.chown(folder, USER_FOR_ROOT)
    # The socket's folder is closed to everybody else, so that the server need not ask for passwords.
    folder.chmod(0o700)
    # A crash of the machine may take it all: it is not written through to the disk.
    options = f"-k {folder} -h '' -c fsync=off -c full_page_writes=off -c shared_buffers=256MB"
    try:
        command([*user, f"{place}/initdb", "-D", str(data), "-U", OWNER, "-A", "trust", "--no-sync",
                 "--locale=C", "--encoding=UTF8"])  # fmt: skip
        command([*user, f"{place}/pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-w", "-o", options, "start"])
        try:
            yield Server(folder)
        finally:
            command([*user, f"{place}/pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def command(words: list[str]) -> None:
    """Runs a command that says nothing where all is well. Raises NoServer."""
    # Not from the caller's folder, into which the server's user may not be let.
    ended = subprocess.run(words, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if ended.returncode:
        said = (ended.stderr or ended.stdout).strip().splitlines() or ["it said nothing"]
        program = next(Path(word).name for word in words if "/bin/" in word and "runuser" not in word)
        raise NoServer(f"PostgreSQL does not start here ({program}: {said[-1].strip()})")


def main() -> int:
    """Starts a server and stops it again; says in one line what is missing where that cannot be."""
    try:
        with throwaway_server():
            return 0
    except NoServer as error:
        print(f"make test-postgres: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
