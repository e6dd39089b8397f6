"""Locks: a warehouse is built and published by one run at a time.

DuckDB locks the warehouse while dbt builds it, but not between the build and the copy for readers, where another run
could change what is about to be published. A lock is gone when its process is, however it ended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Busy(Exception):
    """Another run has the warehouse; the message says which."""


@contextmanager
def only_run(
    warehouse: Path, setting: str = "WAREHOUSE", holder: str = "", file: Path | None = None
) -> Iterator[None]:
    """Nobody else is in here with the same warehouse. Raises Busy, which names the process that is. `setting` is the
    variable that names the warehouse, `holder` this process, in words that follow on "process"; the lock is on `file`,
    or on one beside the warehouse.

    Where no lock can be had (a folder that is not there, a full disk), it goes on without one: DuckDB's own lock stays.
    """
    try:
        lock = os.open(file or warehouse.with_name(f"{warehouse.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        yield
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(lock, 200).decode("ascii", "replace").strip()
            process = f" (process {other})" if other else ""
            raise Busy(
                f"{setting}: {warehouse} is being built by another run{process}; wait until it ends, or name another "
                f"{setting}"
            ) from None
        except OSError:
            pass
        else:
            write_process(lock, holder or str(os.getpid()))
        yield
    finally:
        os.close(lock)


def write_process(lock: int, holder: str) -> None:
    """Writes down who holds the lock. It is held without that, too."""
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{holder}\n".encode("ascii", "replace"), 0)
    except OSError:
        pass


@contextmanager
def one_after_the_other(folder: Path) -> Iterator[None]:
    """Waits until nobody else is in here with the same folder. Without locks on its disk, nobody waits."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass
        yield
    finally:
        os.close(lock)
