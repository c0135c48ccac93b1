"""Digests of files: taken while they are written, and checked while a part of one is read."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from raygen.checkpoint.manifest import CHUNK_BYTES, FileRecord
from raygen.errors import CheckpointError
from raygen.storage import Buffer

ALTERED = "does not match its digest: it was altered after it was written"


class Tally:
    """Counts and digests the bytes that pass through it.

    Args:
        chunks: Whether to take the checksums of chunks too, by which parts of the file can be verified.
    """

    def __init__(self, *, chunks: bool = False) -> None:
        self._size = 0
        self._digest = hashlib.sha256()
        self._chunks = chunks
        self._sums: list[int] = []

    def add(self, data: Buffer) -> None:
        """Takes the next bytes into account."""
        self._digest.update(data)
        rest = memoryview(data)
        while self._chunks and rest:
            begun = self._size % CHUNK_BYTES
            if not begun:
                self._sums.append(0)
            part, rest = rest[: CHUNK_BYTES - begun], rest[CHUNK_BYTES - begun :]
            self._sums[-1] = zlib.crc32(part, self._sums[-1])
            self._size += len(part)
        self._size += len(rest)

    def through(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """Yields `chunks` unchanged, adding each."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk

    def record(self) -> FileRecord:
        """Size and digests of all that was added."""
        return FileRecord(self._size, self._digest.hexdigest(), "".join(f"{crc:08x}" for crc in self._sums))


class VerifiedFile:
    """Parts of a file, none of which is handed out before its chunks have matched their checksums.

    Args:
        stream: The file, seekable.
        record: Its record, with checksums.
    """

    def __init__(self, stream: BinaryIO, record: FileRecord) -> None:
        self._stream = stream
        self._record = record
        # The chunk that was read last: parts that lie one after the other share it.
        self._number = -1
        self._chunk = memoryview(b"")

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on, fewer where the file ends.

        Raises:
            CheckpointError: They were altered; its text follows a file name.
        """
        data = bytearray(max(min(count, self._record.size - start), 0))
        self.read_into(start, memoryview(data))
        return bytes(data)

    def read_into(self, start: int, view: memoryview) -> None:
        """Fills `view`, of bytes, with what begins at `start` and is in the file; errors as in `read`."""
        done = 0
        while done < len(view):
            number, skip = divmod(start + done, CHUNK_BYTES)
            size = min(CHUNK_BYTES, self._record.size - number * CHUNK_BYTES)
            take = min(size - skip, len(view) - done)
            if number == self._number or take < size:
                view[done : done + take] = self._cached(number, size)[skip : skip + take]
            else:
                self._load(number, view[done : done + size])
            done += take

    def _cached(self, number: int, size: int) -> memoryview:
        if number != self._number:
            chunk = memoryview(bytearray(size))
            self._load(number, chunk)
            self._number, self._chunk = number, chunk
        return self._chunk

    def _load(self, number: int, view: memoryview) -> None:
        self._stream.seek(number * CHUNK_BYTES)
        if self._stream.readinto(view) != len(view):  # type: ignore[attr-defined]
            raise CheckpointError("ended while it was being read")
        if zlib.crc32(view) != self._record.checksum(number):
            raise CheckpointError(ALTERED)
