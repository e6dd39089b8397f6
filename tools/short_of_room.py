"""What to say when a run had too little memory or disk: that is no damage, and not the fault of the model it met."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

# Of DuckDB, of Python and of the kernel. The disk comes first: what cannot be moved out of memory onto a full disk is
# an Out of Memory Error too. The last one is heard when the raw tables could not be committed.
SIGNS = {
    "disk": r"No space left on device|File too large|Disk quota exceeded|failed to offload|max_temp_directory_size|"
    r"cannot rollback - no transaction is active",
    "memory": r"Out of Memory Error|MemoryError|Cannot allocate memory|could not allocate|failed to (allocate|pin)",
}
# What every query is told after the one that the disk had no room for.
AFTERWARDS = "database has been invalidated because of a previous fatal error"


def lacking(message: str) -> str | None:
    """What was missing, by the words of an error: 'disk', 'memory', or None for any other error."""
    return next((kind for kind, words in SIGNS.items() if re.search(words, message)), None)


def short_of(kind: str, message: str, what: str, env: dict[str, str]) -> str:
    """One line: what was short, what met it, and what to do. `what` is in words; `env` names the run's folders."""
    if kind == "memory":
        if limit := env.get("MEMORY_LIMIT"):
            more = "set it higher, or leave it out; then run again"
            return f"memory: {what} needs more than MEMORY_LIMIT={limit}: {more}"
        return (
            f"memory: {what} needs more than is free on this machine: end other programs, or set MEMORY_LIMIT to what "
            "is free, so that the rest is kept on disk; then run again"
        )
    found = re.search(r"file \"([^\"]+)\"", message)
    folder = Path(found.group(1)).parent if found else fullest(env)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if "File too large" in message:
        raised = "raise `ulimit -f`; then run again"
        return f"disk: {what} needs a larger file in {folder} than this account may write: {raised}"
    free = shutil.disk_usage(folder).free / 1e6
    # A full disk may have room again by now: what did not fit was given back.
    return f"disk: no room for {what} ({free:,.0f} MB are free now): free space where {folder} is; then run again"


def fullest(env: dict[str, str]) -> Path:
    """The folder with the least room of those that a run writes into."""
    target = env.get("DBT_TARGET_PATH") or Path(__file__).resolve().parent.parent / "target"
    folders = [Path(env["WAREHOUSE"]).parent, Path(target), Path(env["DBT_LOG_PATH"])]
    known = [folder for folder in folders if folder.exists()]
    return min(known, key=lambda folder: shutil.disk_usage(folder).free, default=Path(os.sep))


def said(error: Exception, what: str, env: dict[str, str]) -> str:
    """An error of DuckDB or of the system in one line, with what to do where that is known."""
    message = str(error)
    if kind := lacking(message):
        return short_of(kind, message, what, env)
    if holder := re.search(r"Conflicting lock is held in (.*?) \(PID (\d+)\)", message):
        other = f"another program meanwhile ({Path(holder.group(1)).name}, process {holder.group(2)})"
        return f"{env['WAREHOUSE']} was opened by {other}: run again when that ended"
    line = message.strip().partition("\n")[0]
    # What an engine quotes may be a person's id; what the system quotes is a file.
    return line if isinstance(error, OSError) else re.sub(r"'[^']*'|(?<=value )\"[^\"]*\"", "'...'", line)
