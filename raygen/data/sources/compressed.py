"""Unpacks files that were compressed as a whole, in pieces, so that a small one that holds a huge one cannot fill the memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Protocol

import pyarrow as pa

from raygen import machine
from raygen.data.remarks import Remarks
from raygen.data.sources.raw import Raw
from raygen.errors import DamagedError, DataError

PIECE = 1 << 24
"""Bytes that are unpacked at a time."""
MAX_DEPTH = 4
"""How often a file may have been compressed: one that unpacks to itself would never end."""


HEAD_BYTES = 1 << 16
"""Bytes at the beginning by which it is known how a file was compressed."""


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, count: int, /) -> bytes | None:
        """The next bytes, at most `count`; none at the end."""


def _arrow(codec: str) -> Callable[[io.RawIOBase], Any]:
    return lambda content: pa.CompressedInputStream(content, codec)


_OPENERS: dict[str, Callable[[Any], Any]] = {
    "gzip": lambda content: gzip.GzipFile(fileobj=content),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "lzma": lzma.LZMAFile,
    "zstd": _arrow("zstd"),
    "lz4": _arrow("lz4"),
}
"""Reader of each way of compressing."""
_STEPS = {"zstd": 1 << 12, "lz4": 1 << 12}
"""Bytes that Arrow is asked for at a time: of a call that fails, what it has unpacked is lost."""
_MAGICS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x5d\0\0": "lzma",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
"""Ways of compressing, by the bytes that a file begins with."""
_BZIP2_BLOCK = b"1AY&SY"
"""What follows in bzip2, since a text may well begin with BZh."""
_LZMA_HEADER = 13
_LZMA_LENGTH = slice(5, 13)
_LZMA_UNKNOWN = b"\xff" * 8
_LZMA_LONGEST = 1 << 40
_SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 1 to 3 of a frame of zstd or lz4 that holds notes of the program that wrote it; the first is 0x50 to 0x5f."""
_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError)


def compression(content: bytes) -> str | None:
    """How the content was compressed: gzip, bzip2, xz, lzma, zstd or lz4; None if it was not."""
    start = _behind_notes(content)
    name = next((name for magic, name in _MAGICS.items() if content.startswith(magic, start)), None)
    if name == "bzip2" and content[4:10] != _BZIP2_BLOCK:
        return None
    if name == "lzma" and not _is_lzma(content):
        return None
    return name if not start or name in ("zstd", "lz4") else None


class Stream(Raw):
    """Bytes that are read once, from beginning to end, and whose beginning can be looked at before.

    Args:
        source: Where they come from.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._head = b""
        self._fault: DamagedError | None = None

    def head(self, count: int = HEAD_BYTES) -> bytes:
        """The next bytes, at most `count`; they are read again. What is damaged ends them, and is raised behind them."""
        while len(self._head) < count and self._fault is None:
            try:
                piece = self._source.read(count - len(self._head))
            except DamagedError as error:
                self._fault = error
                break
            if not piece:
                break
            self._head += piece
        if self._fault is not None and not self._head:
            raise self._fault
        return self._head[:count]

    def fill(self, view: memoryview) -> int:
        """Reads what is there, at most as much as fits."""
        if self._head:
            piece, self._head = self._head[: len(view)], self._head[len(view) :]
        elif self._fault is not None:
            raise self._fault
        else:
            piece = self._source.read(len(view)) or b""
        view[: len(piece)] = piece
        return len(piece)


def unpacking(source: Readable, where: str, remarks: Remarks) -> Stream:
    """What was compressed, once or several times, as it is read; what was not, as it is.

    Args:
        source: The file's content.
        where: What to call it.
        remarks: Takes what is left out.

    Returns:
        A stream that raises DamagedError at the place from which on nothing can be unpacked.

    Raises:
        DamagedError: It was compressed too often.
    """
    stream = Stream(source)
    for _ in range(MAX_DEPTH):
        name = compression(stream.head())
        if name is None:
            return stream
        stream = Stream(_Unpacked(stream, name, where, remarks))
    if compression(stream.head()) is not None:
        raise DamagedError(
            f"is compressed more than {MAX_DEPTH} times", where=where, remedy="Unpack it, or leave it out."
        )
    return stream


def unpacked(content: bytes, where: str, remarks: Remarks, limit: int | None = None) -> bytes:
    """The content as it was before it was compressed, if it was, once or several times.

    Args:
        content: Of a whole file.
        where: What to call it.
        remarks: Takes what is left out.
        limit: The most that it may be unpacked to, in bytes.

    Raises:
        DamagedError: It is damaged or cut off, or larger than the limit.
        DataError: It does not fit into the memory that is free now, which says nothing of the content.
    """
    if compression(content) is None:
        return content
    stream = unpacking(io.BytesIO(content), where, remarks)
    memory = machine.memory().free // 2
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(PIECE):
        pieces.append(piece)
        size += len(piece)
        if limit is not None and size > limit:
            raise DamagedError(
                f"unpacked it is larger than {limit:,} bytes", where=where, remedy="Give a smaller file."
            )
        if size > memory:
            raise DataError(
                f"unpacked it does not fit into memory, of which {2 * memory:,} bytes are free",
                where=where,
                remedy="Give more memory or fewer workers, or a smaller file.",
            )
    return b"".join(pieces)


class _Unpacked(Raw):
    """What a compressed stream holds. What was unpacked before a fault is given before the fault is raised."""

    def __init__(self, packed: Stream, name: str, where: str, remarks: Remarks) -> None:
        self._name, self._where, self._remarks = name, where, remarks
        self._fault: DamagedError | None = None
        self._ended = False
        opened = _OPENERS[name](packed)
        # Each of these gives what one step has unpacked, so that it is not lost to what follows.
        self._step = opened.read if name in _STEPS else opened.read1
        self._most = _STEPS.get(name, PIECE)

    def fill(self, view: memoryview) -> int:
        """Unpacks as much as fits."""
        filled = 0
        while filled < len(view) and not self._ended:
            try:
                piece = self._step(min(self._most, len(view) - filled))
            except _ERRORS as error:
                self._end(error)
                break
            self._ended = not piece
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        if not filled and self._fault is not None:
            raise self._fault
        return filled

    def _end(self, error: Exception) -> None:
        self._ended = True
        if _is_trailing(error):
            self._remarks.converted("file", "what follows the end of its gzip data is left out", self._where)
            return
        self._fault = DamagedError(
            f"is compressed by {self._name}, and damaged or cut off: {error}",
            where=self._where,
            remedy="Restore the file, or leave it out.",
        )
        self._fault.__cause__ = error


def _is_trailing(error: Exception) -> bool:
    """Whether something else than gzip follows the last member, as padding of tapes does; gzip passes over it, too."""
    # A file is opened as gzip by its first bytes, so these are of a later member.
    return isinstance(error, gzip.BadGzipFile) and str(error).startswith("Not a gzipped file")


def _is_lzma(content: bytes) -> bool:
    """Whether the header of the old format of lzma makes sense: it has no magic number."""
    length = content[_LZMA_LENGTH]
    known = int.from_bytes(length, "little") < _LZMA_LONGEST
    return len(content) > _LZMA_HEADER and (known or length == _LZMA_UNKNOWN)


def _behind_notes(content: bytes) -> int:
    """Where the first frame begins that is not to be skipped."""
    start = 0
    while content[start + 1 : start + 4] == _SKIPPABLE and content[start] & 0xF0 == 0x50:
        start += 8 + int.from_bytes(content[start + 4 : start + 8], "little")
    return start
