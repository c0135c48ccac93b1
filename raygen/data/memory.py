"""Refuses data that cannot fit into memory before it is read, since what a container lacks ends it without a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from raygen import machine
from raygen.errors import DataError

_MORE = "use a machine or container with more memory."


def check_memory(what: str, needed: float, where: str, remedy: str) -> None:
    """Compares what is needed with what this process can still have.

    Args:
        what: Subject and verb, such as `12 images need`.
        needed: Bytes; a lower bound, so that nothing is refused that fits.
        where: The place of the data.
        remedy: What to do, up to a comma; more memory is added to it.

    Raises:
        DataError: There is less.
    """
    memory = machine.memory()
    if needed > memory.free:
        raise DataError(
            f"{what} {needed / 2**30:.1f} GiB of memory to be read; {memory}",
            where=where,
            remedy=f"{remedy}, or {_MORE}",
        )


class Sized(Protocol):
    """What has a size, as files do."""

    @property
    def size(self) -> int:
        """Bytes."""


def check_files(files: Sequence[Sized], copies: int, where: str) -> None:
    """Compares what files need with what this process can still have.

    Args:
        files: The files that are in memory at once.
        copies: How many times their size they need at least.
        where: The place of the data.

    Raises:
        DataError: There is less, or a file cannot be read.
    """
    size = sum(file.size for file in files)
    counted = f"{len(files):,} files of {size / 2**30:.1f} GiB need at least"
    if len(files) == 1:
        counted = f"a file of {size / 2**30:.1f} GiB needs at least"
    check_memory(counted, copies * size, where, "Give fewer or smaller files")
