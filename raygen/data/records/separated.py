"""Comma-separated values and their kind: the first line names the columns, and one of them holds a text in each row."""

from __future__ import annotations

import codecs
import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from raygen.data.records.listing import Reading, Records, each_file, part_files, too_long
from raygen.data.records.part import Part, PartFile, Piece
from raygen.data.records.record import KEPT_BYTES, BrokenRecord, Record
from raygen.data.remarks import Remarks
from raygen.data.sources.compressed import unpacking
from raygen.data.sources.files import find_files
from raygen.data.sources.lines import lines
from raygen.data.text.plain_text import utf8_stream
from raygen.errors import DataError
from raygen.spec.data.sources import ResolvedSource
from raygen.spec.schema.messages import nearest

_DELIMITERS = ",\t;|"
_LONGEST_FIELD = (1 << 31) - 1
"""What a field may have in Python's reader on every machine, in characters."""
_LISTED = 8
"""Columns that an error names."""
_REPEATED = 2
"""How many times as many bytes as a file has may be read once more behind quotes that are not closed."""
_MERGED_LINES = 16
"""From so many lines on a row is taken for several whose first quote is not closed, if each of the others is a whole row by itself.
Prose and verse have lines with as many delimiters, too, and hardly ever so many in turn."""
_REMEDY = "Quote texts with line breaks, quotes or delimiters, as RFC 4180 says, or leave the row out."


def pieces(source: ResolvedSource, base: Path, remarks: Remarks, size: int) -> Sequence[Piece]:
    """The files, whole, since a line break may be inside of a text; see `raygen.data.records.parts`."""
    del size
    return [Piece(file) for file in part_files(find_files(source, base, remarks), source, base)]


def read(part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int) -> Records:
    """The records; see `raygen.data.records.parts`."""
    del base
    # Of all readers of this process, but it is only ever raised; `_Feed` holds to a lower limit.
    csv.field_size_limit(max(csv.field_size_limit(), min(limit, _LONGEST_FIELD)))
    return each_file(part, lambda file, reading: _records(file, reading, source.field or "", remarks, limit))


@dataclass(frozen=True)
class _Line:
    """A line with its offset and its number, from 1; without content if it is longer than the limit."""

    at: int
    number: int
    content: bytes | None


class _Feed:
    """Lines for Python's reader, which asks for as many as a row has.

    Attributes:
        lost: Lines that the row took which is not read to its end, since it is too long: 1 if its quotes end.
    """

    def __init__(self, found: Iterator[tuple[int, bytes | None]], at: int, limit: int) -> None:
        self.lost = 1
        self._found, self._limit = found, limit
        self._again: deque[_Line] = deque()
        self._row: list[_Line] = []
        self._at, self._number = at, 1
        self._held = self._quotes = 0
        self._read = self._repeated = 0

    def begin_row(self) -> tuple[int, int]:
        """Offset and number of the line that the next row begins with."""
        self._row.clear()
        self._held = self._quotes = 0
        return (self._again[0].at, self._again[0].number) if self._again else (self._at, self._number)

    def resume(self) -> int:
        """Gives the lines of the last row but the first once more, since a quote that is not closed takes all of them for one row.

        Returns:
            How many lines are lost: 1, or all of the row where so many have been read again that it would take for ever.
        """
        rest = self._row[1:]
        size = sum(len(line.content or b"") for line in rest)
        if self._repeated + size > _REPEATED * self._read:
            return len(self._row)
        self._repeated += size
        self._again.extendleft(reversed(rest))
        return 1

    @property
    def taken(self) -> bytes:
        """The lines of the last row, as they were read."""
        return b"\n".join(line.content or b"" for line in self._row)

    @property
    def begun(self) -> bytes:
        """The first line of the last row."""
        return (self._row[0].content if self._row else None) or b""

    def merged(self, delimiter: str, columns: int) -> int:
        """How many lines the last row took, if it seems to be several: a quote that is not closed was closed by a later row's.

        Returns:
            0 for a row that is one; also where each line of any text would be a row, as in files of one column.
        """
        if columns == 1 or len(self._row) < _MERGED_LINES:
            return 0
        separator = delimiter.encode()
        return len(self._row) * all(
            _fields(line.content or b"", separator) == columns for line in self._row[1:]
        )

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._line()
        if line.content is None or self._held > self._limit:
            self._pass_over()
            raise _TooLongError
        self._row.append(line)
        # What is no UTF-8 spoils its row alone.
        return line.content.decode("utf-8", "surrogateescape") + "\n"

    def _pass_over(self) -> None:
        """Ends the row where its quotes do."""
        self.lost = 1
        passed = len(self._row) + 1
        self._row.clear()
        try:
            while self._quotes % 2:
                self._line()
                passed += 1
        except StopIteration:
            # Nothing closes the quote, so these are rows of their own.
            self.lost = passed

    def _line(self) -> _Line:
        if self._again:
            line = self._again.popleft()
        else:
            at, content = next(self._found)
            line = _Line(at, self._number, content)
            self._number += 1
            self._at = at + len(content or b"") + 1
            self._read += len(content or b"") + 1
        if line.content is not None:
            self._held += len(line.content) + 1
            self._quotes += line.content.count(b'"')
        return line


class _TooLongError(Exception):
    """A row is longer than the limit."""


def _records(file: PartFile, reading: Reading, field: str, remarks: Remarks, limit: int) -> Records:
    with reading.opened(file) as opened:
        stream = unpacking(opened, file.uri, remarks)
        mark = len(codecs.BOM_UTF8) if stream.head(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0
        feed = _Feed(lines(utf8_stream(stream, file.uri), limit, mark), mark, limit)
        try:
            first = next(feed)
        except StopIteration:
            remarks.skipped("file", "it is empty", file.uri)
            return
        except _TooLongError:
            yield too_long(f"{file.key}#0", f"{file.uri}:1", limit)
            return
        delimiter, columns = _header(first, field)
        if field not in columns:
            if "\r" in first.strip("\r\n"):
                raise DataError(
                    "its lines end with a carriage return alone",
                    where=file.uri,
                    remedy="Save it with line feeds, as `tr '\\r' '\\n'` writes it.",
                )
            raise _without(field, columns, file.uri)
        if columns.count(field) > 1:
            raise DataError(
                f"there are {columns.count(field)} columns named {field!r} in the first line",
                where=file.uri,
                remedy="Give each column a name of its own.",
            )
        rows = csv.reader(feed, delimiter=delimiter, strict=True)
        while True:
            at, number = feed.begin_row()
            key, where = f"{file.key}#{at}", f"{file.uri}:{number}"
            try:
                row = next(rows)
            except StopIteration:
                return
            except _TooLongError:
                yield too_long(key, where, limit, feed.lost)
                continue
            except csv.Error as error:
                reason = f"is not a row of separated values: {error}"
                yield BrokenRecord(key, where, reason, feed.begun[:KEPT_BYTES], _REMEDY, feed.resume())
                continue
            if count := feed.merged(delimiter, len(columns)):
                reason = f"its quote is closed {count - 1:,} lines later, and each of these lines is a whole row by itself"
                yield BrokenRecord(key, where, reason, feed.begun[:KEPT_BYTES], _REMEDY, feed.resume())
                continue
            found = _record(row, feed, columns, field, key, where, remarks)
            if found is not None:
                yield found


def _record(
    row: list[str], feed: _Feed, columns: list[str], field: str, key: str, where: str, remarks: Remarks
) -> Record | BrokenRecord | None:
    if not row:
        return None
    if len(row) != len(columns):
        reason = f"has {len(row)} fields, and the first line names {len(columns)} columns"
        return BrokenRecord(key, where, reason, feed.taken[:KEPT_BYTES], _REMEDY)
    text = row[columns.index(field)]
    if not text:
        remarks.skipped("line", "its text is empty", where)
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        byte = ord(text[error.start]) & 0xFF
        reason = f"is not UTF-8 (byte {byte:#04x} in the column {field!r})"
        remedy = "Convert the file to UTF-8, for example with iconv -f LATIN1 -t UTF-8, or leave it out."
        return BrokenRecord(key, where, reason, feed.taken[:KEPT_BYTES], remedy)
    return Record(key, where, text)


def _fields(line: bytes, delimiter: bytes) -> int:
    """How many fields a line has by itself."""
    if b'"' not in line:
        return line.count(delimiter) + 1
    try:
        text = line.decode("utf-8", "surrogateescape")
        return len(next(csv.reader([text], delimiter=delimiter.decode())))
    except csv.Error:
        return 0


def _header(line: str, field: str) -> tuple[str, list[str]]:
    """The delimiter of a file and its columns: the one with which there is the column that is looked for, else with most."""
    found = []
    for delimiter in _DELIMITERS:
        try:
            found.append((delimiter, next(csv.reader([line], delimiter=delimiter), [])))
        except csv.Error:
            continue
    named = [one for one in found if field in one[1]]
    return (named or sorted(found, key=lambda one: -len(one[1])) or [(",", [])])[0]


def _without(field: str, columns: list[str], uri: str) -> DataError:
    close = nearest(field, columns)
    meant = f"Did you mean {close!r}? " if close is not None else ""
    shown = ", ".join(column.strip()[:40] for column in columns[:_LISTED])
    return DataError(
        f"there is no column {field!r} in the first line; there are {shown}",
        where=uri,
        remedy=f"{meant}Name the column of the text in the source's field; the first line has the names of all columns.",
    )
