"""Cuts sources into parts, and reads a part record by record, whatever the format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from raygen.data.records.part import WHOLE, Part, PartFile, Piece, grouped
from raygen.data.records.record import BrokenRecord, Record
from raygen.data.remarks import Remarks
from raygen.spec.data.sources import ResolvedSource

__all__ = ["PART_BYTES", "RECORD_BYTES", "WHOLE", "Part", "PartFile", "parts_of", "read_part"]

PART_BYTES = 64 << 20
RECORD_BYTES = 256 << 20
"""The longest record that is read; what is longer is broken, and is passed over without being held."""


class Format(Protocol):
    """A module that reads one format."""

    def pieces(self, source: ResolvedSource, base: Path, remarks: Remarks, size: int) -> Sequence[Piece]:
        """The source's files in order, large ones cut into ranges of about `size` bytes where the format allows it.

        Raises:
            DataError: There are none, or they do not fit together.
        """

    def read(
        self, part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int
    ) -> Iterator[Record | BrokenRecord]:
        """The records of a part, in order; see `read_part`."""


def _whole_files() -> Format:
    from raygen.data.records import whole_files

    return whole_files


def _json_lines() -> Format:
    from raygen.data.records import json_lines

    return json_lines


def _csv() -> Format:
    from raygen.data.records import separated

    return separated


def _idx() -> Format:
    from raygen.data.records import idx

    return idx


def _parquet() -> Format:
    from raygen.data.records.tables import parquet

    return parquet


def _arrow() -> Format:
    from raygen.data.records.tables import arrow

    return arrow


def _tar() -> Format:
    from raygen.data.records import tar

    return tar


def _mds() -> Format:
    from raygen.data.records import mds

    return mds


def _hugging_face() -> Format:
    from raygen.data.records.tables import hugging_face

    return hugging_face


FORMATS: dict[str, Callable[[], Format]] = {
    "Text": _whole_files,
    "JsonLines": _json_lines,
    "Csv": _csv,
    "ImageFolder": _whole_files,
    "Idx": _idx,
    "Parquet": _parquet,
    "Arrow": _arrow,
    "Tar": _tar,
    "Mds": _mds,
    "HuggingFace": _hugging_face,
    "Midi": _whole_files,
}
"""Format -> its reader, imported when it is needed."""


def parts_of(
    sources: Sequence[ResolvedSource], base: Path, remarks: Remarks, size: int = PART_BYTES
) -> list[Part]:
    """Cuts sources into parts, in order. They depend on the files and on `size` alone.

    Large JSON lines are cut by bytes, Parquet by row groups, Arrow files by record batches; of all else a file is read by one
    task. Small files are put together.

    Args:
        sources: Where to read.
        base: Folder that relative paths start from. Paths of parts are relative where it is.
        remarks: Takes what is left out.
        size: Bytes that a part has about.

    Raises:
        DataError: A source is missing or empty, a column is missing, or files of one source do not fit together.
        MissingExtraError: A format needs a library that is not installed.
    """
    parts: list[Part] = []
    for number, source in enumerate(sources):
        parts += grouped(number, FORMATS[source.format]().pieces(source, base, remarks, size), size)
    return parts


def read_part(
    part: Part, source: ResolvedSource, base: Path, remarks: Remarks, limit: int = RECORD_BYTES
) -> Iterator[Record | BrokenRecord]:
    """The records of a part, in order, of which few are in memory at a time: of tables a batch, else one.

    Of a file that is damaged or cut off the records before that place are given, then a broken one that says where.

    Args:
        part: What to read.
        source: Its source.
        base: Folder that relative paths start from.
        remarks: Takes what is left out or changed.
        limit: The longest record, in bytes; what is longer is broken.

    Raises:
        DataError: A file is gone or cannot be read, or has no such column.
    """
    return FORMATS[source.format]().read(part, source, base, remarks, limit)
