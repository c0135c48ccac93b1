"""Walks a folder on this machine as its owner sees it: through symbolic links, without what systems leave in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from raygen.data.remarks import Remarks

SYSTEM_NAMES = frozenset(
    {
        # Desktops and file servers.
        "$recycle.bin",
        "@eadir",
        "__macosx",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "system volume information",
        "thumbs.db",
        # Markers beside the data that Spark and its kind write.
        "_common_metadata",
        "_delta_log",
        "_metadata",
        "_success",
        "_temporary",
    }
)
"""Names, in lower case, of files and folders that programs put beside data. Others that begin with `_` are data:
cameras name photographs so."""
SYSTEM_REASON = "hidden, or written by the system"


def is_system(name: str) -> bool:
    """Whether a file or folder of this name is hidden or a program's own."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def walk(folder: Path, remarks: Remarks, *, hidden: bool = False, tell_hidden: bool = True) -> Iterator[Path]:
    """Every regular file below a folder, in no particular order.

    Symbolic links are followed, wherever they lead; a link to a folder around itself is not, so that the walk ends.

    Args:
        folder: Where to begin.
        remarks: Takes what is left out.
        hidden: Whether to go through hidden files and folders too.
        tell_hidden: Whether names that begin with a dot are remarked on too, or only other ones that are left out.

    Raises:
        OSError: A folder cannot be listed.
    """
    status = folder.stat()
    left = [(folder, frozenset({(status.st_dev, status.st_ino)}))]
    while left:
        place, around = left.pop()
        with os.scandir(place) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
        for entry in entries:
            path = place / entry.name
            kind = _kind(path)
            if is_system(entry.name) and not hidden:
                if tell_hidden or entry.name.lower() in SYSTEM_NAMES:
                    tell_system(str(path), remarks, folder=kind == "folder")
            elif kind == "file":
                yield path
            elif kind == "folder":
                status = path.stat()
                identity = (status.st_dev, status.st_ino)
                if identity in around:
                    remarks.skipped("link", "it leads to a folder that it is in", str(path))
                else:
                    left.append((path, around | {identity}))
            else:
                remarks.skipped(*_REASONS[kind], str(path))


_REASONS = {
    "broken": ("link", "it leads nowhere"),
    "special": ("file", "it is a socket, pipe or device"),
}


def tell_system(path: str, remarks: Remarks, *, folder: bool = False) -> None:
    """Remarks on a file or folder that is left out for its name."""
    if folder:
        remarks.skipped("folder", SYSTEM_REASON, f"{path}/")
    else:
        remarks.skipped("file", SYSTEM_REASON, path)


def tell_unread(path: Path, remarks: Remarks) -> None:
    """Remarks on a path that is not a regular file."""
    kind = _kind(path)
    if kind == "folder":
        remarks.skipped("folder", "the pattern ends at it; `/**` after it reads what is inside", f"{path}/")
    elif kind != "file":
        remarks.skipped(*_REASONS[kind], str(path))


def _kind(path: Path) -> str:
    if path.is_file():
        return "file"
    if path.is_dir():
        return "folder"
    return "broken" if path.is_symlink() else "special"
