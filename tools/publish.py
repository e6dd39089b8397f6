"""Puts a copy of the marts where readers find it: `published/` beside the warehouse, whole or not at all.

DuckDB locks the file that it writes, and a reader who holds the warehouse open stops the next run. So BI reads a copy:
`published/marts.duckdb`, and `published/<mart>.parquet` for each mart. `published` is a link to the folder of the last
good run, and changing it is one rename: a reader sees yesterday or today, never half of each, and who holds a file open
keeps what it held.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb

def publish(warehouse: Path) -> Path:
    """Copies schema marts of `warehouse`, which nobody may be writing, and gives the folder that readers open. Raises
    OSError and duckdb.Error; what was published before stays then."""
    link = warehouse.parent / "published"
    if link.exists() and not link.is_symlink():
        raise FileExistsError(0, "is in the way; move it, so that the marts can be published there", str(link))
    known = {folder for folder in link.parent.glob(f".{link.name}-*") if folder.is_dir()}
    number = 1 + max((int(folder.name.rpartition("-")[2]) for folder in known), default=0)
    folder = link.with_name(f".{link.name}-{number}")
    folder.mkdir()
    try:
        copy_marts(warehouse, folder)
        change(link, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # The one before stays for readers who are just about to open it.
    for old in sorted(known, key=lambda found: int(found.name.rpartition("-")[2]))[:-1]:
        shutil.rmtree(old, ignore_errors=True)
    return link


def copy_marts(warehouse: Path, folder: Path) -> None:
    """Writes marts.duckdb and a Parquet file a mart into the folder."""
    with duckdb.connect() as connection:
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


def quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
