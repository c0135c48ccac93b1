"""The interface that every storage has, small enough for a folder and an object store alike.

There is no rename and no append, since object stores have neither. An object is complete or
invisible; `create` is the one operation on which processes may race and learn who won.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from raygen.errors import InputError, OutputError

Buffer = bytes | bytearray | memoryview
"""Bytes to be written. A memoryview is one-dimensional, of format 'B'."""


class AlreadyExistsError(OutputError):
    """A conditional create lost: an object with that key is there and was left as it is."""


class NotFoundError(InputError):
    """There is no object with that key."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One object in a listing.

    Attributes:
        key: The object's key, relative to the storage that listed it.
        size: Bytes.
    """

    key: str
    size: int


class Storage(Protocol):
    """Objects by key under one root.

    A key is a relative path with '/' between its segments (`raygen.storage.check_key`). A prefix is
    empty or ends with '/'. Every method raises InputError for a bad key or prefix and OutputError
    where the storage refuses (full, read-only, no permission).
    """

    @property
    def uri(self) -> str:
        """The root, as a person would write it."""
        ...

    def within(self, folder: str) -> Storage:
        """The same storage seen from `folder`: its keys are relative to that folder."""
        ...

    def read(self, key: str) -> bytes:
        """The whole object; NotFoundError if there is none."""
        ...

    def open(self, key: str) -> BinaryIO:
        """A seekable reader that the caller closes; NotFoundError if there is no such object."""
        ...

    def write(self, key: str, data: Buffer) -> None:
        """Writes or replaces an object. Readers see the old bytes or the new ones, never a part."""
        ...

    def stream(self, key: str, chunks: Iterable[Buffer]) -> None:
        """As `write`, from chunks, which must not change once given. If `chunks` raises, the key stays as it was."""
        ...

    def create(self, key: str, data: Buffer) -> None:
        """Writes an object that must not exist; of several processes exactly one succeeds.

        Raises:
            AlreadyExistsError: For all the others.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every finished object under `prefix`, sorted by key; nothing if there is none."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is an object with that key."""
        ...

    def size(self, key: str) -> int:
        """The object's size in bytes; NotFoundError if there is none."""
        ...

    def delete(self, key: str) -> None:
        """Deletes an object; one that is already gone is no error."""
        ...

    def delete_prefix(self, prefix: str) -> None:
        """Deletes every object under `prefix`, which may not be empty, in no particular order."""
        ...

    def clean(self, prefix: str = "") -> int:
        """Removes what writers that were killed left unfinished; returns how many pieces."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The object's path, for readers that need a real file; None where there is no such path."""
        ...
