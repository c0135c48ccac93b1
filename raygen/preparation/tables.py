"""Tables that tasks leave for each other: Parquet files in the storage, read by groups of rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raygen.storage import Storage

_CHUNK = 8 << 20


def write_groups(storage: Storage, key: str, groups: Iterable[pa.Table]) -> None:
    """Writes a file with one group of rows for each table, in order; all have one schema, and may be empty."""
    with tempfile.TemporaryFile() as file, ExitStack() as stack:
        out = None
        for group in groups:
            if out is None:
                settings = {"compression": "zstd", "compression_level": 1, "write_statistics": False}
                out = stack.enter_context(pq.ParquetWriter(file, group.schema, **settings))
            out.write_table(group, row_group_size=max(len(group), 1))
        stack.close()
        file.seek(0)
        storage.stream(key, iter(lambda: file.read(_CHUNK), b""))


@contextmanager
def opened(storage: Storage, key: str) -> Iterator[Any]:
    """A file that `write_groups` wrote, as pyarrow's `ParquetFile`."""
    with storage.open(key) as file, pq.ParquetFile(pa.PythonFile(file, mode="r")) as table:
        yield table
