"""Puts a copy of the marts where readers find it: `published/` beside the warehouse, whole or not at all.

DuckDB locks the file that it writes, and a reader who holds the warehouse open stops the next run. So BI reads a copy:
`published/marts.duckdb`, and `published/<mart>.parquet` for each mart. `published` is a link to the folder of the last
good run, and changing it is one rename: a reader sees yesterday or today, never half of each, and who holds a file open
keeps what it held.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import duckdb
from one_run import one_after_the_other
from raw_formats import quoted


def publish(warehouse: Path, keep_before: bool = True) -> Path:
    """Copies schema marts of `warehouse`, which nobody may be writing, and gives the folder that readers open.
    `keep_before`: whether the copy before stays; it does not when somebody was forgotten since. Raises OSError and
    duckdb.Error; what was published before stays then."""
    link = warehouse.parent / "published"
    if link.exists() and not link.is_symlink():
        raise FileExistsError(0, "is in the way; move it, so that the marts can be published there", str(link))
    # One at a time: what another one is writing would look like what a dead one left, which is deleted below.
    with one_after_the_other(link.parent):
        before = os.readlink(link) if link.is_symlink() else None
        folder = new_folder(link)
        try:
            copy_marts(warehouse, folder)
            change(link, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        # The one before stays for readers who are just about to open it.
        for old in folders_of(link).values():
            if old.name != folder.name and not (keep_before and old.name == before):
                shutil.rmtree(old, ignore_errors=keep_before)
    return link


def folders_of(link: Path) -> dict[int, Path]:
    """The folders that publish() made, by their number: what readers see, saw before, or never saw."""
    found = {folder: re.fullmatch(rf"\.{link.name}-(\d+)", folder.name) for folder in link.parent.iterdir()}
    return {int(match[1]): folder for folder, match in found.items() if match}


def new_folder(link: Path) -> Path:
    """Makes the folder with the next number, which is nobody else's."""
    while True:
        folder = link.with_name(f".{link.name}-{1 + max(folders_of(link), default=0)}")
        try:
            folder.mkdir()
        except FileExistsError:
            # Where locks do not work, another one was faster.
            continue
        return folder


def copy_marts(warehouse: Path, folder: Path) -> None:
    """Writes marts.duckdb and a Parquet file a mart into the folder."""
    with duckdb.connect() as connection:
        if limit := os.environ.get("MEMORY_LIMIT"):
            connection.execute(f"set memory_limit = {quoted(limit)}")
        # What does not fit goes with the folder if this ends badly; DuckDB removes it when all went well.
        connection.execute(f"set temp_directory = {quoted(folder / '.tmp')}")
        # By its own name, which its views carry.
        source = '"' + warehouse.stem.replace('"', '""') + '"'
        connection.execute(f"attach {quoted(warehouse)} as {source} (read_only)")
        connection.execute(f"attach {quoted(folder / 'marts.duckdb')} as published_copy")
        marts = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'marts' and table_catalog = "
            + quoted(warehouse.stem)
        ).fetchall()
        for (mart,) in marts:
            # In the default schema: the file is called marts, so that `marts.dim_users` is the same table in both.
            connection.execute(f'create table published_copy."{mart}" as from {source}.marts."{mart}"')
            parquet = quoted(folder / f"{mart}.parquet")
            connection.execute(f'copy published_copy."{mart}" to {parquet} (format parquet)')
        connection.execute("detach published_copy")


def change(link: Path, folder: Path) -> None:
    """Lets the link lead to the folder, in one step."""
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(folder.name, target_is_directory=True)
    os.replace(new, link)
