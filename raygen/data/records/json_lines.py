"""JSON lines: each line is an object that holds a text."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from raygen.data.records.listing import Reading, Records, each_file, part_files, too_long
from raygen.data.records.part import Part, PartFile, Piece
from raygen.data.records.record import BrokenRecord, Record
from raygen.data.remarks import Remarks
from raygen.data.sources.compressed import HEAD_BYTES, compression, unpacking
from raygen.data.sources.files import find_files
from raygen.data.sources.lines import lines
from raygen.data.text.plain_text import is_wide, utf8_stream
from raygen.data.text.tokenizers import to_utf8
from raygen.errors import DamagedError, DataError
from raygen.spec.data.sources import ResolvedSource
from raygen.spec.schema.messages import nearest

_LISTED = 8
"""Keys of a line that an error names."""


def pieces(source: ResolvedSource, base: Path, remarks: Remarks, size: int) -> Sequence[Piece]:
    """The files, and of large ones in plain UTF-8 ranges of bytes; see `raygen.data.records.parts`."""
    return [
        piece
        for file in part_files(find_files(source, base, remarks), source, base)
        for piece in _cut(file, size)
    ]


def _cut(file: PartFile, size: int) -> Iterator[Piece]:
    if file.size <= size or not _is_plain(file.file.head(HEAD_BYTES)):
        yield Piece(file)
        return
    count = -(-file.size // size)
    borders = [file.size * number // count for number in range(count)]
    for start, stop in zip(borders, [*borders[1:], None], strict=True):
        yield Piece(file, start, stop)


def _is_plain(head: bytes) -> bool:
    """Whether a newline ends a line wherever it stands in the file."""
    return compression(head) is None and not is_wide(head)


def read(part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int) -> Records:
    """The records; see `raygen.data.records.parts`.

    Writers of tables leave out the key of a value that is null, so a line without the text's key is skipped where another
    line of the part has it. Where none has it, the key is wrong: no reader sees more of a source than a part.
    """
    del base
    keys = _Keys(source.field or "", remarks)
    yield from each_file(part, lambda file, reading: _records(file, reading, part, keys, remarks, limit))
    keys.check()


def _records(
    file: PartFile, reading: Reading, part: Part, keys: _Keys, remarks: Remarks, limit: int
) -> Records:
    """The records of the lines that begin within the part's range."""
    if part.stop is not None:
        reading.size = part.stop
    with reading.opened(file) as opened:
        if part.start:
            # A line belongs to the range that it begins in, so this one starts behind the newline from here on.
            opened.seek(part.start - 1)
            found = lines(opened, limit, part.start - 1)
            next(found, None)
        else:
            stream = unpacking(opened, file.uri, remarks)
            mark = len(codecs.BOM_UTF8) if stream.head(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0
            found = lines(utf8_stream(stream, file.uri), limit, mark)
        number = 0
        for number, (at, line) in enumerate(found, start=1):
            # The first line of a file is of the first range, even if that ends within a byte-order mark.
            if part.stop is not None and at >= part.stop and (part.start or number > 1):
                return
            where = f"{file.uri}, byte {at}" if part.start else f"{file.uri}:{number}"
            key = f"{file.key}#{at}"
            if line is None:
                yield too_long(key, where, limit)
            elif line and not line.isspace():
                try:
                    text = keys.text(_row(_decoded(line, at, where), where), where)
                except DamagedError as error:
                    yield BrokenRecord.of(key, error, line)
                    continue
                if text:
                    yield Record(key, where, text)
        if not number and not part.start:
            remarks.skipped("file", "it is empty", file.uri)


class _Keys:
    """Takes the text out of the objects of one part, and remembers whether any had it.

    Args:
        field: The key of the text.
        remarks: Takes what is skipped.
    """

    def __init__(self, field: str, remarks: Remarks) -> None:
        self._field = field
        self._remarks = remarks
        self._known = False
        self._fault: DataError | None = None

    def text(self, row: dict[str, Any], where: str) -> str | None:
        """The text of a line; None if it is skipped.

        Raises:
            DamagedError: It is something else than a text.
        """
        if self._field not in row:
            self._fault = self._fault or _without(self._field, sorted(row), where)
            self._remarks.skipped("line", f"it has no key {self._field!r}", where)
            return None
        self._known = True
        document = _text_of(row, self._field, where)
        if not document:
            why = "its text is null" if document is None else "its text is empty"
            self._remarks.skipped("line", why, where)
        return document

    def check(self) -> None:
        """Ends the part.

        Raises:
            DataError: There were lines, and none had the key; names the first.
        """
        if self._fault is not None and not self._known:
            raise self._fault


def _decoded(line: bytes, at: int, where: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DamagedError(
            f"is not UTF-8 (byte {line[error.start]:#04x} at offset {at + error.start})",
            where=where,
            remedy="Convert the file to UTF-8, for example with iconv -f LATIN1 -t UTF-8, or leave it out.",
        ) from error


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        if line.strip() == "[":
            raise _one_document("begins a JSON array", ".[]", where) from error
        if line.strip() == "{":
            raise _one_document("begins a JSON object of several lines", ".", where) from error
        raise DamagedError(
            "is not a JSON object; the line may be cut off",
            where=where,
            remedy="Write one complete JSON object per line.",
        ) from error
    if isinstance(row, list) and row and isinstance(row[0], dict):
        raise _one_document("is a JSON array", ".[]", where)
    if not isinstance(row, dict):
        raise DamagedError(
            f"is not a JSON object, but {_KINDS[type(row)]}",
            where=where,
            remedy="Write one JSON object per line, with the text under the key that `field` names.",
        )
    return row


def _one_document(what: str, query: str, where: str) -> DamagedError:
    return DamagedError(
        f"{what}, and JSON lines have one object in each line",
        where=where,
        remedy=f"Convert it, for example with: jq -c '{query}' FILE.json > FILE.jsonl",
    )


def _without(field: str, keys: list[str], where: str) -> DataError:
    close = nearest(field, keys)
    meant = f"Did you mean {close!r}? " if close is not None else ""
    return DataError(
        f"has no text under the key {field!r}; it has the keys {keys[:_LISTED]}",
        where=where,
        remedy=f"{meant}Name the key that holds the text in the source's `field`.",
    )


def _text_of(row: dict[str, Any], field: str, where: str) -> str | None:
    """The text of a line; None for null, which tables write for a missing one, and NaN, as pandas has it."""
    document = row[field]
    if document is None or document != document:
        return None
    if not isinstance(document, str):
        raise DamagedError(
            f"has {_KINDS[type(document)]} under the key {field!r}, and not a text",
            where=where,
            remedy="Write it as a JSON string, or name the key that holds the text in the source's `field`.",
        )
    if document.isascii():
        return document
    try:
        to_utf8(document)
    except DataError as error:
        raise DamagedError(error.what, where=where, remedy=error.remedy) from error
    return document


_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
"""What JSON's values are called where they must not be shown: reasons stand in the index and in the card, unmasked."""
