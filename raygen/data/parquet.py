"""Reads encoded images and their labels from Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raygen.data.arrow import input_file, reason
from raygen.data.files import AnyFile, File, find_files
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.spec import Source
from raygen.spec.messages import nearest

Label = int | str

_SUFFIXES = frozenset({".parq", ".parquet", ".pq"})
_MAGIC = b"PAR1"


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


def parquet_rows(source: Source, base: Path, remarks: Remarks) -> list[EncodedRow]:
    """The rows of a source's files, in order; rows without an image are left out.

    Raises:
        DataError: A file or column is missing, damaged, or of another type.
    """
    rows: list[EncodedRow] = []
    for file in _parquet_files(source, base, remarks):
        images, labels = _columns(file, source)
        for number, (image, value) in enumerate(zip(images, labels, strict=True)):
            name = f"{file}, row {number}"
            encoded = image.get("bytes") if isinstance(image, dict) else image
            if isinstance(encoded, bytes):
                rows.append(EncodedRow(name, encoded, value))
            elif encoded is None and not (isinstance(image, dict) and image.get("path")):
                remarks.skipped("row", "the image is null", name)
            else:
                raise DataError(
                    f"the row has no image bytes{_instead(image)}",
                    where=name,
                    remedy="Write the content of image files into the column, as bytes or as a struct with `bytes`.",
                )
    return rows


def _instead(image: Any) -> str:
    path = image.get("path") if isinstance(image, dict) else None
    return f", but the path {path!r}" if path else f", but a value of the type {type(image).__name__}"


def _parquet_files(source: Source, base: Path, remarks: Remarks) -> Sequence[AnyFile]:
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


def _columns(file: AnyFile, source: Source) -> tuple[list[Any], list[Any]]:
    """Images and labels of all rows; None for every label where there is no such column."""
    image, label = source.field or "image", source.label_field or "label"
    try:
        opened = pq.ParquetFile(input_file(file))
        columns = opened.schema_arrow.names
        if image not in columns:
            raise _missing(file, image, columns, "the image in the source's field")
        if label in columns:
            table = opened.read(columns=[image, label])
            return table.column(image).to_pylist(), table.column(label).to_pylist()
        if source.label_field is not None:
            raise _missing(file, label, columns, "the labels in the source's labelField, or leave it out")
        images = opened.read(columns=[image]).column(image).to_pylist()
    # Names and texts that are not UTF-8 raise UnicodeDecodeError, which is a ValueError.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"the Parquet file cannot be read: {reason(error)}",
            where=str(file),
            remedy="Restore the file, or leave it out.",
        ) from error
    return images, [None] * len(images)


def _missing(file: AnyFile, name: str, columns: Sequence[str], what: str) -> DataError:
    close = nearest(name, columns)
    meant = f"Did you mean {close!r}? " if close is not None else ""
    return DataError(
        f"there is no column {name!r}; there are {', '.join(columns)}",
        where=str(file),
        remedy=f"{meant}Name the column of {what}.",
    )
