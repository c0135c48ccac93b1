"""The files of a source as parts name them: with keys that say where in the source they are, wherever that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from raygen.data.records.part import Part, PartFile
from raygen.data.records.record import BrokenRecord, Record
from raygen.data.remarks import Remarks
from raygen.data.sources.files import GLOB_CHARACTERS, AnyFile, find_files, local_path
from raygen.data.sources.opened import Opened
from raygen.errors import DamagedError, DataError
from raygen.spec import Source

Records = Iterator[Record | BrokenRecord]
USUAL_BYTES = 1 << 12
"""What a record is taken to have where none has been read: about a page of text."""


def part_files(
    files: Sequence[AnyFile], source: Source, base: Path, labels: Sequence[str | None] | None = None
) -> list[PartFile]:
    """Files of a listing with their keys: what follows the source's folder, or the part of a pattern without wildcards."""
    top = _top(source.uri, base)
    return [
        PartFile(str(file), _key(file, top), file.size, label)
        for file, label in zip(files, labels or [None] * len(files), strict=True)
    ]


def _top(uri: str, base: Path) -> str:
    """The folder that a pattern stands in, without the slash."""
    parts = uri.split("/")
    wild = next((at for at, part in enumerate(parts) if GLOB_CHARACTERS & set(part)), None)
    if wild is None:
        return ""
    plain = "/".join(parts[:wild])
    return plain if uri.lower().startswith("s3://") else str(local_path(plain, base))


def _key(file: AnyFile, top: str) -> str:
    inner, path = "/".join(file.inner), str(file)
    # A pattern may match files of one name in several folders.
    return path[len(top) + 1 :] if top and len(file.inner) == 1 and path.startswith(f"{top}/") else inner


def chosen_files(
    source: Source, base: Path, remarks: Remarks, noun: str, is_chosen: Callable[[AnyFile], bool]
) -> Sequence[AnyFile]:
    """The files of a source; where there are several, without those that are of another kind, which are told.

    Args:
        source: Where to look.
        base: Folder that relative paths start from.
        remarks: Takes what is left out.
        noun: What the files are.
        is_chosen: Whether a file is of this kind.

    Raises:
        DataError: There are none.
    """
    files = find_files(source, base, remarks)
    if len(files) == 1:
        return files
    chosen = [file for file in files if is_chosen(file)]
    for file in sorted(set(files).difference(chosen), key=str):
        remarks.skipped("file", f"it is not {noun}", str(file))
    if not chosen:
        raise DataError(
            f"there are no {noun} files",
            where=source.uri,
            remedy=f"Put {noun} files there, or correct the uri.",
        )
    return chosen


@dataclass
class Reading:
    """How far a file is read, so that of one that is damaged it can be told how much is lost.

    Attributes:
        size: Bytes of what is read: the file, or the range of it.
        at: How many of them were read.
        records: How many records there are, where the file says so.
    """

    size: int
    at: int = 0
    records: int | None = None

    @contextmanager
    def opened(self, file: PartFile) -> Iterator[Opened]:
        """The content of the file, of which it is noted where reading ended."""
        with file.file.open() as opened:
            try:
                yield opened
            finally:
                self.at = opened.tell()

    def lost(self, given: int, usual: float) -> int:
        """About how many records follow the place of the damage; at least 1.

        Args:
            given: Records that were read before.
            usual: What a record has in files like this one, in bytes, where none was read.
        """
        if self.records is not None:
            return max(self.records - given, 1)
        if not given:
            return max(round(self.size / usual), 1)
        rest = self.size - self.at
        # Of a file that was read to its end nobody knows how long it was: that half of it is gone must not pass for nothing.
        return max(math.ceil(given * rest / self.at), 1) if self.at and rest > 0 else given


def each_file(part: Part, read: Callable[[PartFile, Reading], Records]) -> Records:
    """The records of each file in turn; what is damaged ends its file with a broken record, and the next one begins.

    That record stands for as many as are lost with it, so that a file of which much is lost is not taken for one fault among many.
    """
    sound = sound_bytes = 0
    for file in part.files:
        reading, given = Reading(file.size), 0
        try:
            for record in read(file, reading):
                given += 1
                yield record
        except DamagedError as error:
            usual = sound_bytes / sound if sound and sound_bytes else USUAL_BYTES
            lost = reading.lost(given, usual)
            fault = BrokenRecord.of(file.key, error, where=file.uri)
            yield replace(fault, records=lost, is_estimate=reading.records is None)
        else:
            sound, sound_bytes = sound + given, sound_bytes + file.size


def too_long(key: str, where: str, limit: int, records: int = 1) -> BrokenRecord:
    """A record that is longer than the limit, or as many as are lost with it."""
    return BrokenRecord(
        key,
        where,
        f"is longer than {limit:,} bytes",
        remedy="Cut it into shorter records, or leave it out.",
        records=records,
    )
