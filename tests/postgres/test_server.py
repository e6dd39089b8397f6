"""The throw-away server of these tests."""

from __future__ import annotations

import os
import subprocess
import sys

from engines import PROJECT
from server import throwaway_server


def test_what_is_missing_is_one_line(tmp_path):
    command = [sys.executable, str(PROJECT / "tests" / "postgres" / "server.py")]
    ended = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    # Who is not root needs no other user.
    said = "make test-postgres: PostgreSQL refuses to run as root, and runuser is missing; install util-linux\n"
    assert (ended.returncode, ended.stderr) == ((1, said) if os.geteuid() == 0 else (0, ""))


def test_nothing_of_it_is_left():
    with throwaway_server() as server:
        folder = server.socket
        assert list(folder.iterdir()) and str(folder) in running()
    assert not folder.exists() and str(folder) not in running()


def running() -> str:
    """The commands of all processes, in full."""
    return subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
