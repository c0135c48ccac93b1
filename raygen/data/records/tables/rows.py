"""Rows of a table as records: which columns are read, and that the files of a source agree about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import types

from raygen.data.records.listing import Records, too_long
from raygen.data.records.part import PartFile
from raygen.data.records.record import KEPT_BYTES, BrokenRecord, Record
from raygen.data.remarks import Remarks
from raygen.data.sources.arrow import reason
from raygen.errors import DamagedError, DataError
from raygen.spec.data.sources import ResolvedSource
from raygen.spec.schema.messages import nearest

_IMAGE_REMEDY = "Write the content of image files into the column, as bytes or as a struct with `bytes`."
_TEXT_REMEDY = "Name the column of the text in the source's field, or leave the row out."
_LISTED = 3
"""Files that an error names."""


@dataclass(frozen=True)
class Columns:
    """The columns of a file that are read.

    Attributes:
        content: Of the text or image.
        label: Of the label; None where there is none.
        kinds: What those hold that all files must agree about, in words; without columns whose values are all null.
    """

    content: str
    label: str | None
    kinds: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """Their names, the content's first."""
        return [self.content] if self.label is None else [self.content, self.label]


def columns_of(schema: pa.Schema, source: ResolvedSource, where: str) -> Columns:
    """The columns that a source reads of a file with this schema.

    Raises:
        DataError: One that the source names is missing; says which there are.
    """
    content, names = source.field or "", schema.names
    if twice := next(
        (name for name in (content, source.label_field, "label") if names.count(name) > 1), None
    ):
        raise DataError(
            f"there are {names.count(twice)} columns named {twice!r}",
            where=where,
            remedy="Give each column a name of its own.",
        )
    what = "image" if source.contents == "Images" else "text"
    if content not in names:
        raise _missing(where, content, names, f"the {what} in the source's field")
    label = source.label_field
    if label is not None and label not in names:
        raise _missing(where, label, names, "the labels in the source's labelField, or leave it out")
    if label is None and source.contents == "Images" and "label" in names:
        label = "label"
    # Labels that nobody asked for by name may turn out not to be needed.
    named = {content: source.contents == "Images"} | ({label: False} if source.label_field else {})
    held = {name: schema.field(name).type for name in named if name is not None}
    kinds = {name: _kind(of, named[name]) for name, of in held.items() if not types.is_null(of)}
    return Columns(content, label, kinds)


def check_alike(found: Sequence[tuple[str, Columns]]) -> None:
    """Compares what the columns of a source's files hold.

    Args:
        found: URI and columns of each file.

    Raises:
        DataError: They differ; names the files.
    """
    for name in dict.fromkeys(name for _, columns in found for name in columns.kinds):
        by_kind: dict[str, list[str]] = {}
        for uri, columns in found:
            if name in columns.kinds:
                by_kind.setdefault(columns.kinds[name], []).append(uri)
        if len(by_kind) > 1:
            usual = max(by_kind, key=lambda kind: len(by_kind[kind]))
            other, uris = next((kind, uris) for kind, uris in by_kind.items() if kind != usual)
            more = f" and {len(uris) - _LISTED:,} more" if len(uris) > _LISTED else ""
            raise DataError(
                f"the column {name!r} holds {other}, and in {by_kind[usual][0]} it holds {usual}",
                where=", ".join(uris[:_LISTED]) + more,
                remedy="Write all files of a source with the same types, or give them as sources of their own.",
            )


def records_of(
    batch: pa.RecordBatch,
    first: int,
    columns: Columns,
    source: ResolvedSource,
    file: PartFile,
    remarks: Remarks,
    limit: int,
    number: int | None = None,
) -> Records:
    """The rows of a batch, all of which are objects at once.

    Args:
        batch: With these columns.
        first: Number of its first row within the file, or within the batch of that number, from 0.
        columns: Which to read.
        source: What the rows hold.
        file: Where they are from.
        remarks: Takes rows without content.
        limit: The longest content, in bytes.
        number: Of the batch within the file, where rows are counted by batches.
    """
    place, words = ("", "") if number is None else (f"{number}.", f"batch {number}, ")
    record = _image if source.contents == "Images" else _text
    contents = _values(batch.column(columns.content))
    labels = [None] * len(contents) if columns.label is None else _values(batch.column(columns.label))
    for row, (content, label) in enumerate(zip(contents, labels, strict=True), start=first):
        key, where = f"{file.key}#{place}{row}", f"{file.uri}, {words}row {row}"
        found = record(content, label, key, where, remarks)
        if isinstance(found, Record) and len(found.content) > limit:
            yield too_long(key, where, limit)
        elif found is not None:
            yield found


def _values(column: pa.Array) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        # Of one text that is not UTF-8 the others must not be lost.
        plain = column.dictionary_decode() if types.is_dictionary(column.type) else column
        values = plain.cast(pa.large_binary()).to_pylist()
    return values


def _image(image: Any, label: Any, key: str, where: str, remarks: Remarks) -> Record | BrokenRecord | None:
    encoded = image.get("bytes") if isinstance(image, dict) else image
    if isinstance(encoded, bytes):
        return Record(key, where, encoded, label)
    if encoded is None and not (isinstance(image, dict) and image.get("path")):
        remarks.skipped("row", "the image is null", where)
        return None
    has_path = isinstance(image, dict) and image.get("path")
    # Reasons stand in the index and in the card, unmasked, so they show no values.
    instead = "a path" if has_path else f"a value of the type {type(image).__name__}"
    return BrokenRecord(key, where, f"the row has no image bytes, but {instead}", remedy=_IMAGE_REMEDY)


def _text(text: Any, label: Any, key: str, where: str, remarks: Remarks) -> Record | BrokenRecord | None:
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            reason = f"is not UTF-8 (byte {text[error.start]:#04x} at offset {error.start})"
            return BrokenRecord(key, where, reason, text[:KEPT_BYTES], _TEXT_REMEDY)
    if text is None or text == "" or text != text:
        remarks.skipped("row", "its text is empty" if text == "" else "its text is null", where)
        return None
    if not isinstance(text, str):
        reason = f"has no text, but a value of the type {type(text).__name__}"
        return BrokenRecord(key, where, reason, remedy=_TEXT_REMEDY)
    return Record(key, where, text, label)


def _kind(of: pa.DataType, is_image: bool) -> str:
    """What a column holds, in words; types that are read alike have the same ones."""
    if types.is_dictionary(of):
        return _kind(of.value_type, is_image)
    is_bytes = (
        types.is_binary(of)
        or types.is_large_binary(of)
        or types.is_fixed_size_binary(of)
        or types.is_binary_view(of)
    )
    if is_bytes or (is_image and types.is_struct(of) and of.get_field_index("bytes") >= 0):
        return "encoded images" if is_image else "text"
    if types.is_string(of) or types.is_large_string(of) or types.is_string_view(of):
        return "text"
    return "whole numbers" if types.is_integer(of) or types.is_boolean(of) else f"values of the type {of}"


@contextmanager
def explained(uri: str, noun: str) -> Iterator[None]:
    """Errors of pyarrow as those of the data: of the content, or of reaching it."""
    try:
        yield
    # Names and texts that are not UTF-8 raise UnicodeDecodeError, which is a ValueError.
    except (pa.ArrowException, OSError, ValueError) as error:
        away = isinstance(error, OSError) and (error.errno is not None or "AWS Error" in str(error))
        raise (DataError if away else DamagedError)(
            f"the {noun} file cannot be read: {reason(error)}",
            where=uri,
            remedy="Restore the file, or leave it out.",
        ) from error


def _missing(where: str, name: str, columns: Sequence[str], what: str) -> DataError:
    close = nearest(name, columns)
    meant = f"Did you mean {close!r}? " if close is not None else ""
    return DataError(
        f"there is no column {name!r}; there are {', '.join(columns)}",
        where=where,
        remedy=f"{meant}Name the column of {what}.",
    )
