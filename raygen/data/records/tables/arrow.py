"""Arrow's own files and streams (Feather): rows with a text or an encoded image, read by record batches.

Extension types are made plain before pyarrow sees them, since it would run the Python code of a library such as Ray that has
registered one to make sense of them.
"""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from raygen.data.records.listing import Reading, Records, chosen_files, each_file, part_files
from raygen.data.records.part import Part, PartFile, Piece
from raygen.data.records.tables.rows import Columns, check_alike, columns_of, explained, records_of
from raygen.data.remarks import Remarks
from raygen.data.sources.files import READ_AHEAD, AnyFile
from raygen.data.sources.opened import Opened
from raygen.data.sources.raw import Raw
from raygen.errors import DamagedError
from raygen.spec.data.sources import ResolvedSource

SUFFIXES = frozenset({".arrow", ".arrows", ".feather", ".ipc"})
_FILE_MAGIC = b"ARROW1"
_OLD_MAGIC = b"FEA1"
_MARK = b"\xff\xff\xff\xff"
"""What a message of a stream begins with, before the length of its metadata."""
_STREAM_AT = 8
"""Where the stream begins that a file holds, behind the magic number and its padding."""
_EXTENSION = b"ARROW:extension:name"
_PLAIN = b"ARROW-extension-name"
_LONGEST_SCHEMA = 64 << 20
_ROWS = 32
"""Rows that are Python objects at a time."""


def pieces(source: ResolvedSource, base: Path, remarks: Remarks, size: int) -> Sequence[Piece]:
    """The files, and of large ones ranges of record batches; see `raygen.data.records.parts`."""
    files = part_files(chosen_files(source, base, remarks, "Arrow", _is_arrow), source, base)
    return pieces_of(files, source, size)


def pieces_of(files: Sequence[PartFile], source: ResolvedSource, size: int) -> list[Piece]:
    """The pieces of these files, whose columns are compared."""
    with ThreadPoolExecutor(READ_AHEAD, thread_name_prefix="data") as threads:
        looked = list(threads.map(lambda file: _look(file, source), files))
    check_alike([(file.uri, found[0]) for file, found in zip(files, looked, strict=True) if found])
    cut: list[Piece] = []
    for file, found in zip(files, looked, strict=True):
        count = found[1] if found else 1
        ranges = min(count, max(-(-file.size // size), 1))
        if ranges <= 1:
            cut.append(Piece(file))
            continue
        borders = [count * number // ranges for number in range(ranges + 1)]
        cut += [Piece(file, start, stop) for start, stop in pairwise(borders)]
    return cut


def _look(file: PartFile, source: ResolvedSource) -> tuple[Columns, int] | None:
    """The columns and number of batches of a file, 1 for a stream; None if it is damaged, which its reader is told."""
    try:
        with _opened(file) as reader:
            return columns_of(reader.schema, source, file.uri), getattr(reader, "num_record_batches", 1)
    except DamagedError:
        return None


def schema_of(file: PartFile) -> pa.Schema:
    """The columns of a file or stream; DamagedError if they cannot be read."""
    with _opened(file) as reader:
        return reader.schema


def _is_arrow(file: AnyFile) -> bool:
    return file.suffix in SUFFIXES or file.head(len(_FILE_MAGIC)).startswith((_FILE_MAGIC, _MARK))


def read(part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int) -> Records:
    """The records; see `raygen.data.records.parts`."""
    del base
    return each_file(part, lambda file, reading: _records(file, reading, part, source, remarks, limit))


def _records(
    file: PartFile, reading: Reading, part: Part, source: ResolvedSource, remarks: Remarks, limit: int
) -> Records:
    with _opened(file) as reader:
        columns, names = columns_of(reader.schema, source, file.uri), reader.schema.names
    found = False
    with _opened(file, [names.index(name) for name in columns.names]) as reader:
        for number, batch in _batches(reader, file, part, reading):
            for start in range(0, batch.num_rows, _ROWS):
                found = True
                some = batch.slice(start, _ROWS)
                yield from records_of(some, start, columns, source, file, remarks, limit, number)
    if not found:
        remarks.skipped("file", "it has no rows", file.uri)


def _batches(
    reader: Any, file: PartFile, part: Part, reading: Reading
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The batches of the part's range with their numbers."""
    number, stop = part.start, part.stop
    if stop is None:
        stop = getattr(reader, "num_record_batches", sys.maxsize)
    size, whole = reading.size, getattr(reader, "num_record_batches", 0)
    if whole:
        reading.size = size * (stop - part.start) // whole
    while number < stop:
        with explained(file.uri, "Arrow"):
            try:
                is_file = isinstance(reader, pa.RecordBatchFileReader)
                batch = reader.get_batch(number) if is_file else reader.read_next_batch()
            except StopIteration:
                return
        yield number, batch
        number += 1
        if whole:
            reading.at = size * (number - part.start) // whole


@contextmanager
def _opened(file: PartFile, fields: list[int] | None = None) -> Iterator[Any]:
    """A reader of a file or stream of Arrow's, without extension types; with these columns alone, if they are given."""
    options = pa.ipc.IpcReadOptions(included_fields=fields)
    with file.file.open() as opened:
        head = opened.read(len(_FILE_MAGIC))
        if head.startswith(_OLD_MAGIC):
            raise DamagedError(
                "is Feather of the first version, which is not read",
                where=file.uri,
                remedy="Write it again, for example with pandas' to_feather or as Parquet.",
            )
        with explained(file.uri, "Arrow"):
            if head == _FILE_MAGIC:
                reader = _file_reader(opened, options)
            else:
                reader = pa.ipc.open_stream(_plain_stream(opened, 0), options=options)
        yield reader


def _file_reader(opened: Opened, options: Any) -> Any:
    """The reader of a file; of one that has lost its end of the stream that it begins with."""
    size = opened.seek(0, io.SEEK_END)
    opened.seek(max(size - 10, 0))
    tail = opened.read(10)
    length = struct.unpack("<i", tail[:4])[0] if tail.endswith(_FILE_MAGIC) else 0
    if not 0 < length <= min(size - 10, _LONGEST_SCHEMA):
        return pa.ipc.open_stream(_plain_stream(opened, _STREAM_AT), options=options)
    start = size - 10 - length
    plain = _Plain(opened, start, _exactly(opened, start, length))
    return pa.ipc.open_file(pa.PythonFile(plain, mode="r"), options=options)


def _plain_stream(opened: Opened, at: int) -> Any:
    """A stream from there on, which begins with a schema."""
    start = _exactly(opened, at, 8)
    length = struct.unpack("<i", start[4:])[0] if start[:4] == _MARK and len(start) == 8 else 0
    schema = _exactly(opened, at + 8, min(max(length, 0), _LONGEST_SCHEMA))
    opened.seek(at)
    return pa.PythonFile(_Plain(opened, at + 8, schema), mode="r")


def _exactly(opened: Opened, at: int, count: int) -> bytes:
    """As many bytes from there on, or fewer at the end."""
    opened.seek(at)
    pieces = []
    while count and (piece := opened.read(count)):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


class _Plain(Raw):
    """A file whose schema says nothing of extension types, so that columns have the types in which they are stored.

    Args:
        opened: The file.
        at: Where the schema stands.
        schema: Its bytes.
    """

    def __init__(self, opened: Opened, at: int, schema: bytes) -> None:
        self._opened = opened
        self._at = at
        self._schema = schema.replace(_EXTENSION, _PLAIN)

    def seekable(self) -> bool:
        """True: files are."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._opened.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves there."""
        return self._opened.seek(offset, whence)

    def fill(self, view: memoryview) -> int:
        """Reads what is there, at most as much as fits."""
        position = self._opened.tell()
        count = self._opened.readinto(view)
        start, stop = max(position, self._at), min(position + count, self._at + len(self._schema))
        if start < stop:
            view[start - position : stop - position] = self._schema[start - self._at : stop - self._at]
        return count

    def read(self, count: int = -1, /) -> bytes:
        """As many bytes, or fewer at the end, since Arrow takes fewer for the end."""
        pieces = []
        while count and (piece := super().read(count)):
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)
