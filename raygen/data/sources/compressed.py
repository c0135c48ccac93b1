"""Unpacks files that were compressed as a whole, in pieces, so that a small one that holds a huge one cannot fill the memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from raygen import machine
from raygen.data.remarks import Remarks
from raygen.errors import DataError

PIECE = 1 << 24
"""Bytes that are unpacked at a time."""
MAX_DEPTH = 4
"""How often a file may have been compressed: one that unpacks to itself would never end."""


def _arrow(codec: str) -> Callable[[io.BytesIO], Any]:
    return lambda content: pa.CompressedInputStream(content, codec)


_OPENERS: dict[str, Callable[[io.BytesIO], Any]] = {
    "gzip": lambda content: gzip.GzipFile(fileobj=content),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "lzma": lzma.LZMAFile,
    "zstd": _arrow("zstd"),
    "lz4": _arrow("lz4"),
}
"""Reader of each way of compressing."""
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


def unpacked(content: bytes, where: str, remarks: Remarks) -> bytes:
    """The content as it was before it was compressed, if it was, once or several times.

    Args:
        content: Of a whole file.
        where: What to call it.
        remarks: Takes what is left out.

    Raises:
        DataError: It is damaged or cut off, or does not fit into memory.
    """
    for _ in range(MAX_DEPTH):
        name = compression(content)
        if name is None:
            return content
        content = _unpacked(content, name, where, remarks)
    if compression(content) is not None:
        raise DataError(
            f"is compressed more than {MAX_DEPTH} times", where=where, remedy="Unpack it, or leave it out."
        )
    return content


def _unpacked(content: bytes, name: str, where: str, remarks: Remarks) -> bytes:
    limit = machine.memory().free // 2
    pieces: list[bytes] = []
    try:
        with _OPENERS[name](io.BytesIO(content)) as opened:
            # Of gzip what a call has unpacked must not be lost to what follows the end.
            read = opened.read1 if name == "gzip" else opened.read
            while piece := read(PIECE):
                pieces.append(piece)
                limit -= len(piece)
                if limit < 0:
                    raise DataError(
                        "unpacked it does not fit into memory", where=where, remedy="Give a smaller file."
                    )
    except _ERRORS as error:
        if _is_trailing(error):
            remarks.converted("file", "what follows the end of its gzip data is left out", where)
        else:
            raise DataError(
                f"is compressed by {name}, and damaged or cut off: {error}",
                where=where,
                remedy="Restore the file, or leave it out.",
            ) from error
    return b"".join(pieces)


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
