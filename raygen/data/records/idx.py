"""The format of MNIST: an array of pictures in one file, an array of their labels in another."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raygen.data.images.decoding import MAX_PIXELS, READ_ERRORS
from raygen.data.records.listing import Reading, Records, each_file, part_files
from raygen.data.records.part import Part, PartFile, Piece
from raygen.data.records.record import Record
from raygen.data.remarks import Remarks
from raygen.data.sources.compressed import Stream, unpacked, unpacking
from raygen.data.sources.files import AnyFile, find_files
from raygen.errors import DamagedError, DataError
from raygen.spec import Source
from raygen.spec.data.sources import ResolvedSource

IMAGES, LABELS = 0x803, 0x801
"""Magic numbers: unsigned bytes in three dimensions, and in one."""
_PIECE = 1 << 20
"""Bytes that are read at a time."""


def pieces(source: ResolvedSource, base: Path, remarks: Remarks, size: int) -> Sequence[Piece]:
    """The files, whole, each with the number of its first picture; see `raygen.data.records.parts`."""
    del size
    files = part_files(find_files(source, base, remarks), source, base)
    counts = [_count(file, remarks) for file in files]
    labels = labels_of(source, base, remarks)
    if labels is not None:
        check_count(len(labels), sum(counts), source)
    starts = [sum(counts[:number]) for number in range(len(files))]
    return [
        Piece(file, start, records=count) for file, start, count in zip(files, starts, counts, strict=True)
    ]


def read(part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int) -> Records:
    """The records, as PNG; see `raygen.data.records.parts`."""
    del limit
    labels = labels_of(source, base, remarks)
    counts = {file: _count(file, remarks) for file in part.files}
    firsts = {
        file: part.start + sum(counts[one] for one in part.files[:number])
        for number, file in enumerate(part.files)
    }
    return each_file(part, lambda file, reading: _records(file, reading, firsts[file], labels, remarks))


def _records(
    file: PartFile, reading: Reading, first: int, labels: Sequence[int] | None, remarks: Remarks
) -> Records:
    with reading.opened(file) as opened:
        stream = unpacking(opened, file.uri, remarks)
        count, height, width = _sides(_exactly(stream, 16), file.uri)
        reading.records = count
        for number in range(count):
            pixels = _exactly(stream, height * width)
            if len(pixels) < height * width:
                raise _damaged(
                    file.uri, f"it ends within picture {number:,} of {count:,} ({height}x{width} values each)"
                )
            label = None if labels is None else labels[first + number]
            where = f"{file.uri}, picture {number}"
            yield Record(f"{file.key}#{number}", where, grey_png(pixels, width, height), label)


def _count(file: PartFile, remarks: Remarks) -> int:
    with file.file.open() as opened:
        head = _exactly(unpacking(opened, file.uri, remarks), 16)
    return _sides(head, file.uri)[0]


def _sides(head: bytes, where: str) -> tuple[int, int, int]:
    """How many pictures there are, and their height and width."""
    count, height, width = _shape(head, IMAGES, 3, where)
    if height * width > MAX_PIXELS:
        raise _damaged(
            where, f"its pictures have {height}x{width} values, and at most {MAX_PIXELS:,} are read"
        )
    return count, height, width


def _exactly(stream: Stream, count: int) -> bytes:
    """As many bytes, or fewer at the end."""
    pieces, left = [], count
    # A stream takes the memory that it is asked to fill, whether or not there is so much to read.
    while left and (piece := stream.read(min(left, _PIECE))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def grey_png(pixels: bytes, width: int, height: int) -> bytes:
    """A picture of one byte a pixel, row by row, as PNG."""
    rows = np.zeros((height, width + 1), dtype=np.uint8)
    rows[:, 1:] = np.frombuffer(pixels, dtype=np.uint8).reshape(height, width)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def labels_of(source: Source, base: Path, remarks: Remarks) -> list[int] | None:
    """The labels of a source's pictures; None where it names no file of them.

    Raises:
        DataError: The file is missing or damaged.
    """
    if source.labels is None:
        return None
    (file,) = find_files(Source(uri=source.labels), base, remarks)[:1]
    labels: list[int] = array_of(file, LABELS, 1, remarks).tolist()
    return labels


def check_count(labels: int, images: int, source: Source) -> None:
    """Refuses labels that are not as many as the pictures."""
    if labels != images:
        raise DataError(
            f"there are {labels:,} labels for {images:,} images",
            where=str(source.labels),
            remedy="Give the labels that belong to the images.",
        )


def array_of(file: AnyFile, magic: int, dimensions: int, remarks: Remarks) -> NDArray[np.uint8]:
    """An array of unsigned bytes: magic number, sizes as big-endian 32-bit numbers, then the values.

    Raises:
        DataError: The file cannot be read, or is damaged.
    """
    content = file.read()
    try:
        data = unpacked(content, str(file), remarks)
    except READ_ERRORS as error:
        raise _damaged(str(file), str(error) or type(error).__name__) from error
    start = 4 * (1 + dimensions)
    shape = _shape(data[:start], magic, dimensions, str(file))
    if len(data) != start + int(np.prod(shape, dtype=object)):
        raise _damaged(str(file), f"it has {len(data):,} bytes for {'x'.join(map(str, shape))} values")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def _shape(head: bytes, magic: int, dimensions: int, where: str) -> list[int]:
    try:
        found, *shape = struct.unpack(f">{1 + dimensions}I", head)
    except struct.error as error:
        raise _damaged(where, str(error)) from error
    if found != magic:
        raise _damaged(where, f"it begins with {found:#x} instead of {magic:#x}")
    if 0 in shape:
        raise _damaged(where, f"it has {len(head):,} bytes for {'x'.join(map(str, shape))} values")
    return shape


def _damaged(where: str, why: str) -> DamagedError:
    return DamagedError(
        f"is not an idx file: {why}",
        where=where,
        remedy="Give a file in the format of MNIST; images in `uri`, labels in `labels`.",
    )
