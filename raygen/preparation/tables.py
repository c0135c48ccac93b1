"""Tables that tasks leave for each other: Parquet files in the storage, read by groups of rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raygen.storage import Storage

_CHUNK = 8 << 20


def write_groups(storage: Storage, key: str, schema: pa.Schema, groups: Iterable[pa.Table]) -> None:
    """Writes a file with one group of rows for each table, in order; a table may be empty."""
    with tempfile.TemporaryFile() as file:
        with pq.ParquetWriter(
            file, schema, compression="zstd", compression_level=1, write_statistics=False
        ) as out:
            for group in groups:
                out.write_table(group, row_group_size=max(len(group), 1))
        file.seek(0)
        storage.stream(key, iter(lambda: file.read(_CHUNK), b""))


@contextmanager
def opened(storage: Storage, key: str) -> Iterator[Any]:
    """A file that `write_groups` wrote, as pyarrow's `ParquetFile`."""
    with storage.open(key) as file, pq.ParquetFile(pa.PythonFile(file, mode="r")) as table:
        yield table
