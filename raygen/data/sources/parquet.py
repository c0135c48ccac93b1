"""Reads encoded images and their labels from Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raygen.data.remarks import Remarks
from raygen.data.sources.arrow import input_file, reason
from raygen.data.sources.files import AnyFile, File, find_files
from raygen.errors import DataError
from raygen.spec.data.sources import ParquetSource
from raygen.spec.schema.messages import nearest

Label = int | str

_SUFFIXES = frozenset({".parq", ".parquet", ".pq"})
_MAGIC = b"PAR1"
_ROWS = 32
"""Rows that are Python objects at a time."""
_BUFFER = 1 << 20
"""Bytes of a column that are read at a time from this machine."""


@dataclass(frozen=True)
class EncodedRow:
    """One image of a table.

    Attributes:
        name: File and row, from 0.
        encoded: Content of an image file.
        label: As the table has it; None where there is none.
    """

    name: str
    encoded: bytes
    label: Any


class ParquetImages:
    """The rows of a source's files, of which a few are in memory at a time.

    Attributes:
        images: How many have an image, as far as the files say.
    """

    def __init__(self, source: ParquetSource, base: Path, remarks: Remarks) -> None:
        """Looks at the columns of every file.

        Raises:
            DataError: A file or column is missing or damaged.
        """
        self._remarks = remarks
        self._tables = [_table(file, source) for file in _parquet_files(source, base, remarks)]
        self.images = sum(table.images for table in self._tables)

    def rows(self) -> Iterator[EncodedRow]:
        """The rows in order; those without an image are left out.

        Raises:
            DataError: A file is damaged, or its images are of another type.
        """
        for table in self._tables:
            for number, (image, value) in enumerate(_values(table)):
                name = f"{table.file}, row {number}"
                encoded = image.get("bytes") if isinstance(image, dict) else image
                if isinstance(encoded, bytes):
                    yield EncodedRow(name, encoded, value)
                elif encoded is None and not (isinstance(image, dict) and image.get("path")):
                    self._remarks.skipped("row", "the image is null", name)
                else:
                    raise DataError(
                        f"the row has no image bytes{_instead(image)}",
                        where=name,
                        remedy="Write the content of image files into the column, as bytes or as a struct with `bytes`.",
                    )


@dataclass(frozen=True)
class _Table:
    file: AnyFile
    metadata: Any
    image: str
    label: str | None

    @property
    def images(self) -> int:
        """Rows without those whose image is null, where the file counts them."""
        groups = [self.metadata.row_group(number) for number in range(self.metadata.num_row_groups)]
        return sum(max(group.num_rows - _nulls(group, self.image), 0) for group in groups)


def _nulls(group: Any, image: str) -> int:
    columns = [group.column(number) for number in range(group.num_columns)]
    for column in columns:
        if column.path_in_schema in (image, f"{image}.bytes") and column.is_stats_set:
            return int(column.statistics.null_count or 0)
    return 0


def _instead(image: Any) -> str:
    path = image.get("path") if isinstance(image, dict) else None
    return f", but the path {path!r}" if path else f", but a value of the type {type(image).__name__}"


def _parquet_files(source: ParquetSource, base: Path, remarks: Remarks) -> Sequence[AnyFile]:
    """The files of a source; where there are several, without those that are not Parquet by name or content."""
    files = find_files(source, base, remarks)
    if len(files) == 1:
        return files
    chosen = [
        file
        for file in files
        if file.suffix in _SUFFIXES or not isinstance(file, File) or file.head(len(_MAGIC)) == _MAGIC
    ]
    for file in sorted(set(files).difference(chosen), key=str):
        remarks.skipped("file", "it is not Parquet", str(file))
    if not chosen:
        raise DataError(
            "there are no Parquet files",
            where=source.uri,
            remedy="Put Parquet files there, or correct the uri.",
        )
    return chosen


def _table(file: AnyFile, source: ParquetSource) -> _Table:
    image, label = source.field, source.label_field or "label"
    with _explained(file), pq.ParquetFile(input_file(file)) as opened:
        columns = opened.schema_arrow.names
        if image not in columns:
            raise _missing(file, image, columns, "the image in the source's field")
        if label not in columns and source.label_field is not None:
            raise _missing(file, label, columns, "the labels in the source's labelField, or leave it out")
        return _Table(file, opened.metadata, image, label if label in columns else None)


def _values(table: _Table) -> Iterator[tuple[Any, Any]]:
    """Image and label of each row; None for every label where there is no such column."""
    columns = [table.image] if table.label is None else [table.image, table.label]
    # From this machine a part of a column at a time is read; from an object store a group of rows at once, in few requests.
    local = isinstance(table.file, File)
    how = {"pre_buffer": not local, "buffer_size": _BUFFER if local else 0}
    with (
        _explained(table.file),
        pq.ParquetFile(input_file(table.file), metadata=table.metadata, **how) as opened,
    ):
        for group in range(table.metadata.num_row_groups):
            for batch in opened.iter_batches(_ROWS, row_groups=[group], columns=columns):
                images = batch.column(table.image).to_pylist()
                labels = (
                    [None] * len(images) if table.label is None else batch.column(table.label).to_pylist()
                )
                yield from zip(images, labels, strict=True)


@contextmanager
def _explained(file: AnyFile) -> Iterator[None]:
    """Errors of pyarrow as those of the data."""
    try:
        yield
    # Names and texts that are not UTF-8 raise UnicodeDecodeError, which is a ValueError.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"the Parquet file cannot be read: {reason(error)}",
            where=str(file),
            remedy="Restore the file, or leave it out.",
        ) from error


def _missing(file: AnyFile, name: str, columns: Sequence[str], what: str) -> DataError:
    close = nearest(name, columns)
    meant = f"Did you mean {close!r}? " if close is not None else ""
    return DataError(
        f"there is no column {name!r}; there are {', '.join(columns)}",
        where=str(file),
        remedy=f"{meant}Name the column of {what}.",
    )
