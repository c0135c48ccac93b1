"""Parquet: rows with a text or an encoded image, read by row groups.

A file may carry the Arrow schema of its writer, and in it extension types whose Python code pyarrow would run to make sense of
them, where a library such as Ray has registered it. That schema is left out, so columns have the types of Parquet itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raygen.data.records.listing import Reading, Records, chosen_files, each_file, part_files, too_long
from raygen.data.records.part import Part, PartFile, Piece
from raygen.data.records.tables.rows import Columns, check_alike, columns_of, explained, records_of
from raygen.data.remarks import Remarks
from raygen.data.sources.arrow import input_file
from raygen.data.sources.files import READ_AHEAD, AnyFile, File
from raygen.data.sources.opened import Opened
from raygen.errors import DamagedError
from raygen.spec.data.sources import ResolvedSource

_SUFFIXES = frozenset({".parq", ".parquet", ".pq"})
_MAGIC = b"PAR1"
_TAIL_BYTES = 1 << 16
"""Bytes at the end of a file that are read at once; most footers are shorter."""
_END_BYTES = 8
"""Length of the footer and magic number."""
_ARROW_SCHEMA = b"\x0cARROW:schema"
"""Key of the writer's Arrow schema as Thrift has it: its length, then its characters."""
_NO_SCHEMA = b"\x0cARROW-schema"
_ROWS = 32
"""Rows that are Python objects at a time."""
_HELD = 1 << 28
"""Bytes that they have at most, if each had all of its group: one value may stand for many rows."""
_OVERHEAD = 1 << 16
"""What a value takes in a group beyond its own bytes."""
_BUFFER = 1 << 20
"""Bytes of a column that are read at a time from this machine."""


@dataclass(frozen=True)
class _Table:
    """What the footer of a file says; None of both of a file that is damaged."""

    metadata: Any
    columns: Columns

    def rows_before(self, group: int) -> int:
        """Number of the first row of a group."""
        return sum(self.metadata.row_group(number).num_rows for number in range(group))

    def records(self, start: int, stop: int) -> int:
        """Rows of these groups without those whose content is null, where the file counts them."""
        groups = [self.metadata.row_group(number) for number in range(start, stop)]
        return sum(max(group.num_rows - _nulls(group, self.columns.content), 0) for group in groups)


def pieces(source: ResolvedSource, base: Path, remarks: Remarks, size: int) -> Sequence[Piece]:
    """The files, and of large ones ranges of row groups; see `raygen.data.records.parts`."""
    files = chosen_files(source, base, remarks, "Parquet", _is_parquet)
    named = part_files(files, source, base)
    with ThreadPoolExecutor(READ_AHEAD, thread_name_prefix="data") as threads:
        tables = list(threads.map(lambda file: _readable(file, source), named))
    check_alike([(file.uri, table.columns) for file, table in zip(named, tables, strict=True) if table])
    return [piece for file, table in zip(named, tables, strict=True) for piece in _cut(file, table, size)]


def _is_parquet(file: AnyFile) -> bool:
    return file.suffix in _SUFFIXES or file.head(len(_MAGIC)) == _MAGIC


def _readable(file: PartFile, source: ResolvedSource) -> _Table | None:
    """The table of a file; None if it is damaged, which whoever reads it is told in its place."""
    try:
        return _table(file, source)
    except DamagedError:
        return None


def _cut(file: PartFile, table: _Table | None, size: int) -> Iterator[Piece]:
    if table is None or file.size <= size:
        yield Piece(file, records=None if table is None else table.records(0, table.metadata.num_row_groups))
        return
    start = held = 0
    count = table.metadata.num_row_groups
    for group in range(count):
        weight = _bytes(table.metadata.row_group(group), table.columns.names, "total_compressed_size")
        if group > start and held + weight > size:
            yield Piece(file, start, group, table.records(start, group))
            start, held = group, 0
        held += weight
    yield Piece(file, start, count if start else None, table.records(start, count))


def _bytes(group: Any, names: Sequence[str], size: str) -> int:
    """Bytes that these columns take in a row group, by the size of that name."""
    columns = [group.column(number) for number in range(group.num_columns)]
    return sum(
        getattr(column, size) for column in columns if column.path_in_schema.partition(".")[0] in names
    )


def read(part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int) -> Records:
    """The records; see `raygen.data.records.parts`."""
    del base
    return each_file(part, lambda file, reading: _records(file, reading, part, source, remarks, limit))


def _records(
    file: PartFile, reading: Reading, part: Part, source: ResolvedSource, remarks: Remarks, limit: int
) -> Records:
    table = _table(file, source)
    stop = table.metadata.num_row_groups if part.stop is None else part.stop
    row = table.rows_before(part.start)
    reading.records = table.records(part.start, stop)
    if table.metadata.num_rows == 0:
        remarks.skipped("file", "it has no rows", file.uri)
    for batch in _batches(file, table, range(part.start, stop), limit):
        if batch is None:
            yield too_long(f"{file.key}#{row}", f"{file.uri}, row {row}", limit)
            row += 1
            continue
        yield from records_of(batch, row, table.columns, source, file, remarks, limit)
        row += batch.num_rows


def _batches(file: PartFile, table: _Table, groups: range, limit: int) -> Iterator[pa.RecordBatch | None]:
    """The rows of these groups, some at a time; None for one that is longer than the limit, which is not unpacked."""
    # From this machine a part of a column at a time is read; from an object store a group of rows at once, in few requests.
    local = isinstance(file.file, File)
    how = {"pre_buffer": not local, "buffer_size": _BUFFER if local else 0}
    with (
        explained(file.uri, "Parquet"),
        pq.ParquetFile(input_file(file.file), metadata=table.metadata, **how) as opened,
    ):
        for number in groups:
            group, names = table.metadata.row_group(number), table.columns.names
            size = _bytes(group, names, "total_uncompressed_size")
            if group.num_rows == 1 and size > limit + _OVERHEAD:
                yield None
                continue
            rows = min(max(_HELD // max(size, 1), 1), _ROWS)
            yield from opened.iter_batches(rows, row_groups=[number], columns=names)


def _table(file: PartFile, source: ResolvedSource) -> _Table:
    metadata = metadata_of(file)
    with explained(file.uri, "Parquet"):
        schema = metadata.schema.to_arrow_schema()
    return _Table(metadata, columns_of(schema, source, file.uri))


def metadata_of(file: PartFile) -> pq.FileMetaData:
    """The footer of a file, without the Arrow schema of its writer.

    Raises:
        DamagedError: It is damaged, or the file is no Parquet file.
        DataError: It cannot be read.
    """
    with file.file.open() as opened:
        size = opened.seek(0, 2)
        tail = _tail(opened, size, _TAIL_BYTES)
        length = _END_BYTES + (struct.unpack("<I", tail[-8:-4])[0] if tail.endswith(_MAGIC) else size)
        if len(tail) < length <= size - len(_MAGIC):
            tail = _tail(opened, size, length)
    with explained(file.uri, "Parquet"):
        if not length <= size - len(_MAGIC):
            # In pyarrow's own words.
            return pq.read_metadata(input_file(file.file))
        footer = tail[-length:].replace(_ARROW_SCHEMA, _NO_SCHEMA)
        return pq.read_metadata(pa.BufferReader(_MAGIC + footer))


def _tail(opened: Opened, size: int, count: int) -> bytes:
    """The last bytes of a file, or all that it has."""
    left = min(count, size)
    opened.seek(size - left)
    pieces = []
    while left and (piece := opened.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _nulls(group: Any, content: str) -> int:
    columns = [group.column(number) for number in range(group.num_columns)]
    for column in columns:
        if column.path_in_schema in (content, f"{content}.bytes") and column.is_stats_set:
            return int(column.statistics.null_count or 0)
    return 0
