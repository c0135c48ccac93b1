"""Tables that tasks leave for each other: Parquet files in the storage, read by groups of rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, pairwise
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raygen.storage import Storage

_CHUNK = 8 << 20


def write_groups(storage: Storage, key: str, groups: Iterable[pa.Table]) -> None:
    """Writes a file with one group of rows for each table, in order; all have one schema, and may be empty."""
    with tempfile.TemporaryFile() as file:
        _write(file, groups)
        storage.stream(key, iter(lambda: file.read(_CHUNK), b""))


def in_order(tables: Iterable[pa.Table], groups: int) -> Iterator[pa.Table]:
    """Rows put in the order of their column `order`, and dealt into equal ranges of it; equal ones stay as they come.

    Where there are several tables, each lies on disk once it is in order, so that memory holds one of them, or one range.

    Args:
        tables: The rows; one table at least.
        groups: How many ranges.
    """
    several = iter(tables)
    first, second = next(several), next(several, None)
    if second is None:
        yield from _dealt(sorted_rows(first), groups)
        return
    with ExitStack() as stack:
        runs = []
        remaining = chain([first, second], several)
        del first, second
        for table in remaining:
            file = stack.enter_context(tempfile.TemporaryFile())
            _write(file, _dealt(sorted_rows(table), groups))
            runs.append(stack.enter_context(pq.ParquetFile(file)))
        del table
        for group in range(groups):
            yield sorted_rows(pa.concat_tables([run.read_row_group(group) for run in runs]))


def sorted_rows(rows: pa.Table) -> pa.Table:
    """Rows in the order of their column `order`; equal ones stay as they are."""
    return rows.take(pa.array(np.argsort(rows.column("order").to_numpy(), kind="stable")))


def _dealt(rows: pa.Table, groups: int) -> Iterator[pa.Table]:
    """Rows that are in order by equal ranges of it."""
    borders = [(number << 64) // groups for number in range(1, groups)]
    found = np.searchsorted(rows.column("order").to_numpy(), np.array(borders, dtype=np.uint64))
    for first, end in pairwise([0, *found.tolist(), len(rows)]):
        yield rows.slice(first, end - first)


def _write(file: IO[bytes], groups: Iterable[pa.Table]) -> None:
    """Writes a Parquet file with one group of rows for each table, and goes to its beginning."""
    with ExitStack() as stack:
        out = None
        for group in groups:
            if out is None:
                settings = {"compression": "zstd", "compression_level": 1, "write_statistics": False}
                out = stack.enter_context(pq.ParquetWriter(file, group.schema, **settings))
            out.write_table(group, row_group_size=max(len(group), 1))
    file.seek(0)


@contextmanager
def opened(storage: Storage, key: str) -> Iterator[Any]:
    """A file that `write_groups` wrote, as pyarrow's `ParquetFile`."""
    with storage.open(key) as file, pq.ParquetFile(pa.PythonFile(file, mode="r")) as table:
        yield table
