"""Cuts a stream into lines, of which one is in memory at a time, and no more of it than a limit."""

from __future__ import annotations

from collections.abc import Iterator

from raygen.data.sources.compressed import Readable

PIECE = 1 << 20
"""Bytes that are read at a time."""


def lines(stream: Readable, limit: int, at: int = 0) -> Iterator[tuple[int, bytes | None]]:
    """Each line with the place where it begins.

    Args:
        stream: What to cut; only a newline ends a line.
        limit: The longest line that is kept, in bytes.
        at: Offset of the stream's first byte.

    Yields:
        Offset of its first byte, and its content without the newline; None for a line that is longer than the limit. What
        follows the last newline is a line, unless it is empty.
    """
    begun: list[bytes] = []
    length, start = 0, at
    while piece := stream.read(PIECE):
        first, newline, rest = piece.partition(b"\n")
        length += len(first)
        if length <= limit:
            begun.append(first)
        else:
            begun.clear()
        if not newline:
            continue
        yield start, b"".join(begun) if length <= limit else None
        start += length + 1
        *whole, last = rest.split(b"\n")
        for line in whole:
            yield start, line if len(line) <= limit else None
            start += len(line) + 1
        begun, length = [last] if len(last) <= limit else [], len(last)
    if length:
        yield start, b"".join(begun) if length <= limit else None
