"""Unpacks files that were compressed as a whole, in pieces, so that a small one that holds a huge one cannot fill the memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any

import pyarrow as pa

from raygen import machine
from raygen.errors import DataError

PIECE = 1 << 24
"""Bytes that are unpacked at a time."""


def _arrow(codec: str) -> Callable[[io.BytesIO], Any]:
    return lambda content: pa.CompressedInputStream(content, codec)


_OPENERS: dict[bytes, tuple[str, Callable[[io.BytesIO], IO[bytes] | Any]]] = {
    b"\x1f\x8b": ("gzip", lambda content: gzip.GzipFile(fileobj=content)),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\0": ("xz", lzma.LZMAFile),
    b"\x28\xb5\x2f\xfd": ("zstd", _arrow("zstd")),
    b"\x04\x22\x4d\x18": ("lz4", _arrow("lz4")),
}
"""Name and reader of each way of compressing, by the bytes that a file begins with."""
_BZIP2_BLOCK = b"1AY&SY"
"""What follows in bzip2, since a text may well begin with BZh."""
_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError)


def compression(content: bytes) -> str | None:
    """How the content was compressed: gzip, bzip2, xz, zstd or lz4; None if it was not."""
    for magic, (name, _) in _OPENERS.items():
        if content.startswith(magic):
            return None if name == "bzip2" and content[4:10] != _BZIP2_BLOCK else name
    return None


def unpacked(content: bytes, where: str) -> bytes:
    """The content as it was before it was compressed, if it was.

    Args:
        content: Of a whole file.
        where: What to call it.

    Raises:
        DataError: It is damaged or cut off, or does not fit into memory.
    """
    name = compression(content)
    if name is None:
        return content
    limit = machine.memory().free // 2
    pieces: list[bytes] = []
    opener = next(opener for known, opener in _OPENERS.values() if known == name)
    try:
        with opener(io.BytesIO(content)) as opened:
            while piece := opened.read(PIECE):
                pieces.append(piece)
                limit -= len(piece)
                if limit < 0:
                    raise DataError(
                        "unpacked it does not fit into memory", where=where, remedy="Give a smaller file."
                    )
    except _ERRORS as error:
        raise DataError(
            f"is compressed by {name}, and damaged or cut off: {error}",
            where=where,
            remedy="Restore the file, or leave it out.",
        ) from error
    return b"".join(pieces)
