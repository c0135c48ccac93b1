"""One shard: a Parquet file with one group of rows.

Tokens of a document are one value of bytes, little-endian, of the type that the index names, since Parquet has no type
for numbers of 16 bits, and unpacks lists slowly: `numpy.frombuffer(value, dtype="<u2")` gives them back. Pictures are values of
one length (channels, height, width), uint8, or encoded as PNG. What follows depends on the rows alone: settings are fixed.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raygen.data.shards.index import Shard
from raygen.errors import DataError

TOKENS, IMAGE, LABEL, KEY = "tokens", "image", "label", "key"
"""Columns: what a sample holds, and what its record is known by in its source."""
_COMPRESSION_LEVEL = 1


def packed(name: str, table: pa.Table, units: int) -> tuple[Shard, bytes]:
    """A shard of these rows, and the content of its file.

    Args:
        name: Key that the file will have.
        table: The rows.
        units: Tokens or images in them.
    """
    table = table.combine_chunks()
    out = io.BytesIO()
    pq.write_table(
        table,
        out,
        row_group_size=max(len(table), 1),
        compression="zstd",
        compression_level=_COMPRESSION_LEVEL,
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,
        version="2.6",
        data_page_version="1.0",
    )
    content = out.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    return Shard(name, len(table), units, len(content), digest, _digest(table)), content


def _digest(table: pa.Table) -> str:
    """SHA-256 over names, types and values of the columns."""
    total = hashlib.sha256(len(table).to_bytes(8, "little"))
    for column in table.schema:
        total.update(f"{column.name}:{column.type}\n".encode())
        values, offsets = column_values(table.column(column.name))
        if offsets is not None:
            total.update(np.diff(offsets).astype("<i8").tobytes())
        total.update(np.ascontiguousarray(values).data)
    return total.hexdigest()


def unpacked(shard: Shard, content: bytes, where: str, columns: Sequence[str]) -> pa.Table:
    """The rows of a shard.

    Args:
        shard: What the index says of it.
        content: Of its file.
        where: What to call it.
        columns: Which ones; one that the file lacks is left out.

    Raises:
        DataError: the file is not the one that was indexed.
    """
    if len(content) != shard.bytes or hashlib.sha256(content).hexdigest() != shard.sha256:
        raise DataError(
            "the shard was changed since it was indexed: its SHA-256 is another one",
            where=where,
            remedy="Restore it, or prepare the data again with `raygen prepare` under another uri.",
        )
    # pyarrow alone reads the file, and takes nothing from it but the named columns: notes of other programs in its metadata stay notes.
    with pq.ParquetFile(pa.BufferReader(content), arrow_extensions_enabled=False) as opened:
        present = [name for name in columns if name in opened.schema_arrow.names]
        return opened.read(columns=present, use_threads=False)


def check(shard: Shard, content: bytes, where: str) -> None:
    """Checks a shard's file and the values in it against the index.

    The index names the file's bytes, and its fingerprint covers the values: an index that was altered with the file is found out by them.

    Raises:
        DataError: the file is not the one that was indexed.
    """
    table = unpacked(shard, content, where, (TOKENS, IMAGE, LABEL, KEY))
    if len(table) != shard.rows or _digest(table) != shard.content:
        raise DataError(
            "the shard holds other values than its index says",
            where=where,
            remedy="Restore it, or prepare the data again with `raygen prepare` under another uri.",
        )


def column_values(column: pa.ChunkedArray) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """The values of a column, one after the other, and for values of different lengths where each begins.

    Returns:
        Of binary columns and texts all bytes, and (rows + 1,) offsets into them; of values of one length all bytes, and None; of
        numbers the numbers, and None.
    """
    array = column
    if isinstance(column, pa.ChunkedArray):
        # To combine copies, even if there is one.
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    kind = array.type
    if pa.types.is_fixed_size_binary(kind):
        width = kind.byte_width
        data = np.frombuffer(array.buffers()[1] or b"", dtype=np.uint8)
        return data[array.offset * width : (array.offset + len(array)) * width], None
    if pa.types.is_binary(kind) or pa.types.is_string(kind) or pa.types.is_large_binary(kind):
        wide = pa.types.is_large_binary(kind)
        raw = np.frombuffer(array.buffers()[1] or b"", dtype=np.int64 if wide else np.int32)
        offsets = raw[array.offset : array.offset + len(array) + 1].astype(np.int64)
        if not len(offsets):
            offsets = np.zeros(1, dtype=np.int64)
        data = np.frombuffer(array.buffers()[2] or b"", dtype=np.uint8)
        return data[offsets[0] : offsets[-1]], offsets - offsets[0]
    # Not `to_numpy`, which imports pandas: 0.4 s of a start.
    return np.from_dlpack(array), None


def pieces_of(column: pa.ChunkedArray) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """All bytes of a column whose values are of different lengths, and (rows + 1,) offsets into them.

    Raises:
        TypeError: they are of one length, or no bytes.
    """
    values, offsets = column_values(column)
    if offsets is None:
        raise TypeError(f"values of {column.type} are not of different lengths")
    return values, offsets


@dataclass(frozen=True)
class Documents:
    """The tokens of some documents.

    Attributes:
        tokens: All of them, one document after the other: (tokens,).
        offsets: Where each document begins, and the end of the last: (documents + 1,).
    """

    tokens: NDArray[Any]
    offsets: NDArray[np.int64]


def documents_of(table: pa.Table, dtype: str) -> Documents:
    """The documents of a shard, whose tokens are of this type, such as `<u2`."""
    values, offsets = pieces_of(table.column(TOKENS))
    tokens = np.frombuffer(values.tobytes() if not values.flags.c_contiguous else values, dtype=dtype)
    return Documents(tokens, offsets // np.dtype(dtype).itemsize)
